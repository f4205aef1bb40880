"""The calls of the Management API that provisioning needs, typed; all of them and no others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote

from scim_gateway_provisioning.target import Deadline, Unreachable

from . import answers
from .answers import Invitation, Member, Organization, Role, Team
from .transport import Absent, Transport, Unsure

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TeamUpdate:
    """What one PATCH of a team changes; ids of users and of teams apart, addresses of people who are no members yet."""

    name: str | None = None
    description: str | None = None
    add_users: Collection[str] = ()
    remove_users: Collection[str] = ()
    add_teams: Collection[str] = ()
    remove_teams: Collection[str] = ()
    add_emails: Collection[str] = ()
    remove_emails: Collection[str] = ()

    def body(self) -> Mapping[str, Any]:
        """The body of the request."""
        lists = {
            "removeMemberUserIDs": self.remove_users,
            "removeMemberUserEmails": self.remove_emails,
            "removeMemberTeamIDs": self.remove_teams,
            "addMemberUserIDs": self.add_users,
            "addMemberUserEmails": self.add_emails,
            "addMemberTeamIDs": self.add_teams,
        }
        body: dict[str, Any] = {name: sorted(ids) for name, ids in lists.items() if ids}
        if self.name is not None:
            body["name"] = self.name
        if self.description is not None:
            body["description"] = self.description
        return body


@dataclass(frozen=True, slots=True)
class Client:
    """The API within a deadline; every method raises what :meth:`Transport.call` raises.

    :param transport: the connections.
    :param deadline: after it no call begins.
    """

    transport: Transport
    deadline: Deadline

    def now(self) -> datetime:
        """The time by the clock of the API."""
        return self.transport.now()

    def organization(self) -> Organization:
        """The organization of the key."""
        return answers.organization(self._get("/v1/organizations/current"))

    def myself(self) -> Member:
        """Whose key it is."""
        return answers.member(self._get("/v1/users/current"))

    def members(self, email_pattern: str | None = None) -> list[Member]:
        """The members of the organization."""
        return [answers.member(one) for one in self._list("/v1/users", email=email_pattern)]

    def member(self, id: str) -> Member | None:
        """One member."""
        value = self._get_if_there(f"/v1/users/{_part(id)}")
        return None if value is None else answers.member(value)

    def add_member(self, email: str) -> None:
        """Add somebody who has an account."""
        self.transport.call(self.deadline, "POST", "/v1/users", body={"email": email})

    def remove_member(self, id: str) -> None:
        """Remove somebody from the organization; that they are gone already is fine."""
        self._delete(f"/v1/users/{_part(id)}")

    def roles_of_member(self, id: str, on: str | None = None) -> list[Role]:
        """The roles that somebody holds."""
        return [answers.role(one) for one in self._list(f"/v1/users/{_part(id)}/identityRoles", resourceType=on)]

    def invitations(self, state: str, email_pattern: str | None = None) -> list[Invitation]:
        """Invitations of the organization that are in a state, whatever the API makes of being asked for it."""
        found = (answers.invitation(one) for one in self._list("/v1/invitations", email=email_pattern, state=state))
        return [one for one in found if one.state == state]

    def invitation(self, id: str) -> Invitation | None:
        """One invitation."""
        value = self._get_if_there(f"/v1/invitations/{_part(id)}")
        return None if value is None else answers.invitation(value)

    def invite(self, email: str, teams: Collection[str] = ()) -> Invitation:
        """Invite somebody."""
        body: dict[str, Any] = {"email": email}
        if teams:
            body["teamIDs"] = sorted(teams)
        return _made(answers.invitation, self.transport.call(self.deadline, "POST", "/v1/invitations", body=body))

    def revoke(self, id: str) -> None:
        """Revoke an invitation; that it is gone already is fine."""
        self._delete(f"/v1/invitations/{_part(id)}")

    def teams(self, name_pattern: str | None = None) -> list[Team]:
        """Teams with their members."""
        return [answers.team(one) for one in self._list("/v1/teams", name=name_pattern)]

    def team(self, id: str) -> Team | None:
        """One team with its members."""
        value = self._get_if_there(f"/v1/teams/{_part(id)}")
        return None if value is None else answers.team(value)

    def create_team(self, name: str, description: str) -> Team:
        """Make a team without members."""
        body = {"name": name, "description": description}
        return _made(answers.team, self.transport.call(self.deadline, "POST", "/v1/teams", body=body))

    def update_team(self, id: str, update: TeamUpdate) -> None:
        """Change a team in one call."""
        self.transport.call(self.deadline, "PATCH", f"/v1/teams/{_part(id)}", body=update.body())

    def delete_team(self, id: str) -> None:
        """Delete a team; that it is gone already is fine."""
        self._delete(f"/v1/teams/{_part(id)}")

    def roles_of_team(self, id: str) -> list[Role]:
        """The roles that a team holds."""
        return [answers.role(one) for one in self._list(f"/v1/teams/{_part(id)}/identityRoles")]

    def _get(self, path: str, query: Sequence[tuple[str, str]] = ()) -> Any:
        return self.transport.call(self.deadline, "GET", path, query=query)

    def _get_if_there(self, path: str) -> Any | None:
        try:
            return self._get(path)
        except Absent:
            return None

    def _list(self, path: str, **query: str | None) -> list[Any]:
        return answers.listed(self._get(path, [(name, value) for name, value in query.items() if value is not None]))

    def _delete(self, path: str) -> None:
        try:
            self.transport.call(self.deadline, "DELETE", path)
        except Absent:
            return


def _part(id: str) -> str:
    """An id as a part of a path: it comes from an answer, and no answer may choose the path."""
    if id in ("", ".", ".."):
        raise Unreachable("The SingleStore Portal's answer does not have the documented form.")
    return quote(id, safe="")


def _made(read: Callable[[Any], T], value: Any) -> T:
    """What was made; an answer that cannot be read leaves open what it is called."""
    try:
        return read(value)
    except Unreachable as error:
        raise Unsure(str(error)) from None
