"""What is noted of a person: under which address and ids they stand, what was begun, and what they were before.

The note outlives a crash at any step, so it says what was *intended* before that is done, and names what is to be
cleared away until it is gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from scim_gateway_provisioning.target import Known


@dataclass(frozen=True, slots=True)
class Standing:
    """One address under which somebody is, or was, in the organization.

    :param user: id of the member, once there is one.
    :param invitation: id of the invitation.
    """

    address: str
    user: str | None = None
    invitation: str | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """The note of a person.

    :param now: where they stand, or will; ``None``: they are not in the organization.
    :param ours: the gateway was about to invite the address, or has: who shows up there is theirs.
    :param sent: when the invitation was sent, by the clock of the API.
    :param fresh: when they were first seen as a member; rights that come late are looked for until a while after.
    :param former: addresses that are given up as soon as ``now`` stands.
    """

    now: Standing | None = None
    ours: bool = False
    sent: datetime | None = None
    fresh: datetime | None = None
    former: tuple[Standing, ...] = field(default=())

    @classmethod
    def of(cls, known: Known) -> Note:
        """Read what provisioning kept."""
        if "name" not in known:
            return cls()
        return cls(
            _standing(known),
            bool(known.get("ours")),
            _instant(known.get("sent")),
            _instant(known.get("fresh")),
            tuple(_standing(one) for one in known.get("former", ())),
        )

    @property
    def known(self) -> Known:
        """As provisioning keeps it."""
        if self.now is None:
            return {}
        known: dict[str, Any] = _written(self.now)
        if self.ours:
            known["ours"] = True
        if self.sent is not None:
            known["sent"] = self.sent.isoformat()
        if self.fresh is not None:
            known["fresh"] = self.fresh.isoformat()
        if self.former:
            known["former"] = [_written(one) for one in self.former]
            known["also"] = [one.address for one in self.former]
        return known

    @property
    def everywhere(self) -> tuple[Standing, ...]:
        """Every address that is, or may be, in the organization for this person."""
        return (*((self.now,) if self.now else ()), *self.former)

    @property
    def users(self) -> tuple[str, ...]:
        """Ids of all members that are this person."""
        return tuple(one.user for one in self.everywhere if one.user is not None)

    def standing(self, *, user: str | None = None, invitation: str | None = None) -> Note:
        """With another member, or another invitation, at the same address."""
        assert self.now is not None
        return replace(self, now=replace(self.now, user=user, invitation=invitation))


def _standing(known: Mapping[str, Any]) -> Standing:
    return Standing(str(known["name"]), known.get("user"), known.get("invitation"))


def _written(one: Standing) -> dict[str, Any]:
    ids = {"user": one.user, "invitation": one.invitation}
    return {"name": one.address, **{name: id for name, id in ids.items() if id is not None}}


def _instant(text: Any) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if isinstance(text, str) else None
