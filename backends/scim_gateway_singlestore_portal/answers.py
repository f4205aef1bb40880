"""What the Management API answers, as values; what does not have the documented shape is no answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from scim_gateway_provisioning.target import Unreachable

STANDARD = "Standard"
PENDING, ACCEPTED, REFUSED, REVOKED = "Pending", "Accepted", "Refused", "Revoked"


@dataclass(frozen=True, slots=True)
class Organization:
    """The organization that the API key belongs to."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody in the organization; only those of kind ``Standard`` are people."""

    id: str
    email: str
    kind: str = STANDARD


@dataclass(frozen=True, slots=True)
class Invitation:
    """Somebody asked to join; every field may be missing in an answer, so that ``id`` may be empty."""

    id: str
    email: str
    state: str
    teams: frozenset[str] = frozenset()
    created: datetime | None = None
    acted: datetime | None = None


@dataclass(frozen=True, slots=True)
class Team:
    """A team with its direct members: people as address by id, teams as name by id; no description: none was told."""

    id: str
    name: str
    description: str | None
    people: Mapping[str, str]
    teams: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Role:
    """A role that somebody or a team holds on something."""

    name: str
    on: str
    id: str


def organization(value: Any) -> Organization:
    """Read an Organization."""
    one = _object(value)
    return Organization(_text(one, "orgID"), _text(one, "name"))


def member(value: Any) -> Member:
    """Read a User."""
    one = _object(value)
    return Member(_text(one, "userID"), _text(one, "email"), _text(one, "userKind", STANDARD))


def invitation(value: Any) -> Invitation:
    """Read a UserInvitation."""
    one = _object(value)
    return Invitation(
        _text(one, "invitationID", ""),
        _text(one, "email", ""),
        _text(one, "state", PENDING),
        frozenset(_texts(one.get("teamIDs"))),
        _instant(one.get("createdAt")),
        _instant(one.get("actedAt")),
    )


def team(value: Any) -> Team:
    """Read a Team; somebody who is listed twice is a member once."""
    one = _object(value)
    people = {_text(user, "userID"): _text(user, "email") for user in map(_object, _list(one.get("memberUsers")))}
    teams = {_text(inner, "teamID"): _text(inner, "name") for inner in map(_object, _list(one.get("memberTeams")))}
    return Team(_text(one, "teamID"), _text(one, "name"), one.get("description"), people, teams)


def role(value: Any) -> Role:
    """Read a role; the document leaves its fields open, so what is not there is empty."""
    one = _object(value)
    return Role(_text(one, "role", ""), _text(one, "resourceType", ""), _text(one, "resourceID", ""))


def listed(value: Any) -> list[Any]:
    """A list that was asked for; no list is no answer."""
    if not isinstance(value, list):
        raise _unreadable()
    return value


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _unreadable()
    return value


def _list(value: Any) -> list[Any]:
    return [] if value is None else listed(value)


def _text(one: Mapping[str, Any], name: str, missing: str | None = None) -> str:
    value = one.get(name)
    if value is None and missing is not None:
        return missing
    if not isinstance(value, str) or (missing is None and not value):
        raise _unreadable()
    return value


def _texts(value: Any) -> list[str]:
    texts = _list(value)
    if not all(isinstance(text, str) for text in texts):
        raise _unreadable()
    return texts


def _instant(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    # More digits than microseconds are cut: an instant here is only compared with minutes.
    try:
        moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", value))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _unreadable() -> Unreachable:
    return Unreachable("The SingleStore Portal's answer does not have the documented form.")
