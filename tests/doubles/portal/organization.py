"""An organization as the Management API shows it: members, invitations, teams, roles, API keys; no HTTP in here."""

from __future__ import annotations

import pickle
import re
import threading
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from doubles.portal.behaviour import Behaviour

OWNERS = "Organization Owners"
PREDEFINED = {
    OWNERS: "Owner",
    "Organization Billing Administrators": "Billing Administrator",
    "Organization User Administrators": "User Administrator",
    "Organization Operators": "Operator",
    "Organization Writers": "Writer",
    "Organization Readers": "Reader",
    "Organization Observers": "Observer",
}
Kind = Literal["Standard", "ServiceAccount", "CloudPrincipal"]


class Refused(Exception):
    """An answer of the API that is not 200."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


@dataclass
class Key:
    """An API key: whose it is, what it may do, until when."""

    user: str
    level: Literal["all", "teams", "read"] = "all"
    expires: datetime | None = None


@dataclass
class Member:
    """Somebody in the organization; ``roles`` are held directly, not through a team."""

    id: str
    email: str
    kind: Kind = "Standard"
    first: str = "First"
    last: str = "Last"
    roles: list[dict[str, str]] = field(default_factory=list)


@dataclass
class Invitation:
    """Somebody asked to join."""

    id: str
    email: str
    created: datetime
    state: Literal["Pending", "Accepted", "Refused", "Revoked"] = "Pending"
    teams: list[str] = field(default_factory=list)
    acted: datetime | None = None


@dataclass
class Team:
    """A team; ``users`` and ``teams`` are ids, each once."""

    id: str
    name: str
    created: datetime
    description: str = ""
    users: list[str] = field(default_factory=list)
    teams: list[str] = field(default_factory=list)
    roles: list[dict[str, str]] = field(default_factory=list)
    predefined: bool = False


class Organization:
    """State and rules; every method may be called from any thread."""

    def __init__(self, name: str = "Example Ltd", behaviour: Behaviour | None = None) -> None:
        self.id = str(uuid.uuid4())
        self.name = name
        self.behaviour = behaviour or Behaviour()
        self.lock = threading.RLock()
        self.members: dict[str, Member] = {}
        self.invitations: dict[str, Invitation] = {}
        self.teams: dict[str, Team] = {}
        self.keys: dict[str, Key] = {}
        self.accounts: set[str] = set()
        """Addresses that have a SingleStore account, whether or not they are members."""
        self.clock_ahead = timedelta()
        self._left: dict[str, int] = {}
        self._behind: dict[str, dict[str, Any]] = {}
        for team, role in PREDEFINED.items():
            self._new_team(team, roles=[self.role(role)], predefined=True)
        self._new_team(name, predefined=True)
        self.add_member("owner@example.com", teams=[OWNERS])

    # What a test, or a person in the Portal, does

    def now(self) -> datetime:
        return datetime.now(UTC).replace(microsecond=0) + self.clock_ahead

    def role(self, role: str, kind: str = "Organization", id: str | None = None) -> dict[str, str]:
        return {"role": role, "resourceType": kind, "resourceID": id or self.id}

    def add_key(self, key: str, email: str, level: Literal["all", "teams", "read"] = "all") -> Key:
        self.keys[key] = Key(self.member(email).id, level)
        return self.keys[key]

    def add_member(self, email: str, *, kind: Kind = "Standard", teams: list[str] | None = None) -> Member:
        with self.lock:
            self._changed("users", "teams")
            member = Member(str(uuid.uuid4()), email, kind)
            self.members[member.id] = member
            self.accounts.add(_key(email))
            for name in teams or ():
                self.team(name).users.append(member.id)
            return member

    def remove_member(self, email: str) -> None:
        with self.lock:
            self._remove(self.member(email))

    def make_team(self, name: str, *, emails: tuple[str, ...] = (), roles: tuple[str, ...] = ()) -> Team:
        with self.lock:
            self._changed("teams")
            team = self._new_team(name, roles=[self.role(role) for role in roles])
            team.users = [self.member(email).id for email in emails]
            return team

    def invite(self, email: str, *, teams: tuple[str, ...] = ()) -> Invitation:
        with self.lock:
            return self._invite(email, [self.team(name).id for name in teams])

    def accept(self, email: str) -> Member:
        """The person follows the link of the newest pending invitation."""
        with self.lock:
            invitation = self.pending(email)
            self._changed("users", "invitations", "teams")
            invitation.state, invitation.acted = "Accepted", self.now()
            member = self.find(email) or self.add_member(email)
            teams = list(invitation.teams) if self.behaviour.teams_at_acceptance else []
            if self.behaviour.owners_by_default:
                teams.append(self.team(OWNERS).id)
            for id in teams:
                if id in self.teams and member.id not in self.teams[id].users:
                    self.teams[id].users.append(member.id)
            return member

    def refuse(self, email: str) -> None:
        with self.lock:
            invitation = self.pending(email)
            self._changed("invitations")
            invitation.state, invitation.acted = "Refused", self.now()

    def revoke(self, email: str) -> None:
        """An administrator revokes the invitation in the Portal."""
        with self.lock:
            invitation = self.pending(email)
            self._changed("invitations")
            invitation.state, invitation.acted = "Revoked", self.now()

    def expire(self, email: str) -> None:
        with self.lock:
            invitation = self.pending(email)
            self._changed("invitations")
            if self.behaviour.expired == "gone":
                del self.invitations[invitation.id]
            else:
                invitation.state, invitation.acted = "Revoked", self.now()

    def pending(self, email: str) -> Invitation:
        found = [i for i in self.invitations.values() if i.state == "Pending" and _key(i.email) == _key(email)]
        assert found, f"{email} has no pending invitation"
        return found[-1]

    def find(self, email: str) -> Member | None:
        key = _key(email)
        return next((m for m in self.members.values() if _key(m.email) == key), None)

    def member(self, email: str) -> Member:
        found = self.find(email)
        assert found is not None, f"{email} is no member"
        return found

    def team(self, name: str) -> Team:
        found = next((t for t in self.teams.values() if t.name == name), None)
        assert found is not None, f"there is no team {name!r}"
        return found

    def emails(self, team: str) -> set[str]:
        """Addresses of the direct members of a team."""
        return {self.members[id].email for id in self.team(team).users}

    # What the API does

    def whose(self, key: str | None) -> Key:
        found = self.keys.get(key or "")
        if found is None or (found.expires is not None and found.expires <= self.now()):
            raise Refused(401, "invalid API key")
        if found.user not in self.members:
            raise Refused(401, "the owner of the API key is no member")
        return found

    def add_user(self, email: str) -> None:
        with self.lock:
            self._mail(email)
            if self.find(email):
                self._taken(self.behaviour.invite_member, f"{email} is a member already")
            elif _key(email) not in self.accounts:
                raise Refused(self.behaviour.add_unknown, f"user {email} does not exist")
            else:
                member = self.add_member(email)
                if self.behaviour.owners_by_default:
                    self.team(OWNERS).users.append(member.id)

    def create_invitation(self, email: str, team_ids: list[str]) -> Invitation:
        with self.lock:
            self._mail(email)
            for id in team_ids:
                if id not in self.teams:
                    raise Refused(400, f"team {id} does not exist")
            if self.find(email):
                self._taken(self.behaviour.invite_member, f"{email} is a member already")
                return self._old(email)
            key = _key(email)
            invited = any(i.state == "Pending" and _key(i.email) == key for i in self.invitations.values())
            if invited and self.behaviour.invite_pending != "another":
                self._taken(self.behaviour.invite_pending, f"{email} is invited already")
                return self.pending(email)
            return self._invite(email, team_ids)

    def revoke_invitation(self, id: str) -> None:
        with self.lock:
            invitation = self.invitations.get(id)
            if invitation is None or invitation.state == "Revoked":
                raise Refused(404, "invitation not found")
            if invitation.state != "Pending":
                raise Refused(400, f"the invitation is {invitation.state}")
            self._changed("invitations")
            invitation.state, invitation.acted = "Revoked", self.now()

    def remove_user(self, id: str) -> None:
        with self.lock:
            if id not in self.members:
                raise Refused(404, "user not found")
            owners = self.team(OWNERS).users
            if owners == [id]:
                raise Refused(400, "the last owner cannot be removed")
            self._remove(self.members[id])

    def create_team(self, name: str, description: str) -> Team:
        with self.lock:
            name = self._fit(name)
            self._free(name, None)
            self._changed("teams")
            return self._new_team(name, description=description)

    def delete_team(self, id: str) -> None:
        with self.lock:
            team = self._team(id)
            if team.predefined:
                raise Refused(403, "a predefined team cannot be deleted")
            self._changed("teams")
            del self.teams[id]
            for other in self.teams.values():
                other.teams = [inner for inner in other.teams if inner != id]

    def update_team(self, id: str, update: dict[str, Any]) -> None:
        """All of it or nothing."""
        with self.lock:
            team = self._team(id)
            changed = replace(team, users=list(team.users), teams=list(team.teams))
            if "name" in update:
                changed.name = self._fit(update["name"])
                self._free(changed.name, id)
                if team.predefined:
                    raise Refused(403, "a predefined team cannot be renamed")
            if "description" in update:
                changed.description = update["description"]
            later = self._change_members(changed, update)
            self._changed("teams")
            for invitation in later:
                self._changed("invitations")
                invitation.teams = [*invitation.teams, id] if id not in invitation.teams else invitation.teams
            if self.behaviour.pending_by_email == "apply":
                self._take_from_invitations(id, update.get("removeMemberUserEmails", ()))
            self.teams[id] = changed

    def roles_of(self, holder: Member | Team, kind: str | None) -> list[dict[str, str]]:
        with self.lock:
            roles = list(holder.roles)
            if isinstance(holder, Member) and self.behaviour.roles_through_teams:
                roles += [role for team in self._teams_of(holder.id) for role in team.roles]
            return [role for role in roles if kind is None or role["resourceType"] == kind]

    def catch_up(self, *kinds: str, after: int = 0) -> None:
        """Lists (these, or all) show what is, from now on, or after so many calls."""
        with self.lock:
            self.behaviour.lag = 0
            for kind in kinds or ("users", "invitations", "teams"):
                if after and kind in self._behind:
                    self._left[kind] = after
                else:
                    self._behind.pop(kind, None)

    def copied(self) -> bytes:
        """What is there, to go back to with :meth:`become`."""
        with self.lock:
            return pickle.dumps((self.members, self.invitations, self.teams, self.keys))

    def become(self, state: bytes) -> None:
        """Be as it was."""
        with self.lock:
            self.members, self.invitations, self.teams, self.keys = pickle.loads(state)
            self._behind.clear()

    # What of the past is still shown

    def shown(self, kind: str, *, item: bool = False) -> dict[str, Any]:
        """Members, invitations or teams by id, as a list shows them now: perhaps as they were before a change."""
        behind = self._behind.get(kind)
        if behind is None or (item and not self.behaviour.items_lag):
            return dict(self._current(kind))
        self._left[kind] -= 1
        if self._left[kind] <= 0:
            del self._behind[kind]
        return behind

    def selecting(self, pattern: str | None) -> Callable[[str], bool]:
        """Which values a filter selects."""
        mode = self.behaviour.filters
        if pattern is None or mode == "ignored":
            return lambda value: True
        flags = re.IGNORECASE if self.behaviour.filters_fold_case else 0
        try:
            compiled = re.compile(re.escape(pattern) if mode == "value" else pattern, flags)
        except re.error:
            raise Refused(400, "the filter is no regular expression") from None
        match = compiled.search if mode == "anywhere" else compiled.fullmatch
        return lambda value: match(value) is not None

    def _current(self, kind: str) -> dict[str, Any]:
        return {"users": self.members, "invitations": self.invitations, "teams": self.teams}[kind]

    def _changed(self, *kinds: str) -> None:
        if self.behaviour.lag:
            for kind in kinds:
                if kind not in self._behind:
                    self._behind[kind] = {id: _copy(one) for id, one in self._current(kind).items()}
                self._left[kind] = self.behaviour.lag

    def _new_team(self, name: str, **fields: Any) -> Team:
        team = Team(str(uuid.uuid4()), name, self.now(), **fields)
        self.teams[team.id] = team
        return team

    def _team(self, id: str) -> Team:
        if id not in self.teams:
            raise Refused(404, "team not found")
        return self.teams[id]

    def _invite(self, email: str, team_ids: list[str]) -> Invitation:
        self._changed("invitations")
        invitation = Invitation(str(uuid.uuid4()), email, self.now(), teams=list(dict.fromkeys(team_ids)))
        self.invitations[invitation.id] = invitation
        return invitation

    def _old(self, email: str) -> Invitation:
        found = [i for i in self.invitations.values() if _key(i.email) == _key(email)]
        if found:
            return found[-1]
        return Invitation(str(uuid.uuid4()), email, self.now(), "Accepted", acted=self.now())

    def _remove(self, member: Member) -> None:
        self._changed("users", "teams")
        del self.members[member.id]
        for team in self.teams.values():
            if member.id in team.users:
                team.users.remove(member.id)

    def _fit(self, name: str) -> str:
        if len(name) > self.behaviour.longest_name:
            if self.behaviour.long_names == "refuse":
                raise Refused(400, f"a team name has at most {self.behaviour.longest_name} characters")
            return name[: self.behaviour.longest_name]
        return name

    def _free(self, name: str, but: str | None) -> None:
        same = _key if self.behaviour.names_fold_case else str
        if any(same(team.name) == same(name) and id != but for id, team in self.teams.items()):
            raise Refused(self.behaviour.collision, "could not save the team")

    def _mail(self, email: str) -> None:
        if not re.fullmatch(r"[^@\s]+@[^@\s]+", email) or len(email) > 254:
            raise Refused(400, f"{email} is no email address")

    def _taken(self, answer: Any, text: str) -> None:
        if isinstance(answer, int):
            raise Refused(answer, text)

    def _teams_of(self, id: str) -> list[Team]:
        """The teams that a member reaches, through nested ones too."""
        found: dict[str, Team] = {}
        new = [team for team in self.teams.values() if id in team.users]
        while new:
            found.update((team.id, team) for team in new)
            inside = {team.id for team in new}
            new = [team for team in self.teams.values() if team.id not in found and inside & set(team.teams)]
        return list(found.values())

    def _change_members(self, team: Team, update: dict[str, Any]) -> list[Invitation]:
        later: list[Invitation] = []
        for id in update.get("removeMemberUserIDs", ()):
            self._take(team.users, id)
        for email in update.get("removeMemberUserEmails", ()):
            found = self.find(email)
            if found is not None:
                self._take(team.users, found.id)
            elif self.behaviour.pending_by_email != "apply":
                self._take(team.users, "")
        for id in update.get("removeMemberTeamIDs", ()):
            self._take(team.teams, id)
        for id in update.get("addMemberUserIDs", ()):
            if id not in self.members:
                raise Refused(self.behaviour.missing_member, f"user {id} does not exist")
            self._put(team.users, id)
        for email in update.get("addMemberUserEmails", ()):
            found = self.find(email)
            if found is not None:
                self._put(team.users, found.id)
                continue
            waiting = [i for i in self.invitations.values() if i.state == "Pending" and _key(i.email) == _key(email)]
            if not waiting or self.behaviour.pending_by_email == "refuse":
                raise Refused(400, f"user {email} does not exist")
            later += waiting if self.behaviour.pending_by_email == "apply" else []
        for id in update.get("addMemberTeamIDs", ()):
            if id not in self.teams:
                raise Refused(self.behaviour.missing_member, f"team {id} does not exist")
            if team.id == id or team.id in self._inside(id):
                raise Refused(400, "a team cannot be in itself")
            self._put(team.teams, id)
        return later

    def _take_from_invitations(self, team_id: str, emails: Iterable[str]) -> None:
        self._changed("invitations")
        keys = set(map(_key, emails))
        for invitation in self.invitations.values():
            if invitation.state == "Pending" and _key(invitation.email) in keys:
                invitation.teams = [id for id in invitation.teams if id != team_id]

    def _inside(self, id: str) -> set[str]:
        found: set[str] = set()
        new = set(self.teams[id].teams)
        while new:
            found |= new
            new = {inner for outer in new if outer in self.teams for inner in self.teams[outer].teams} - found
        return found

    def _take(self, ids: list[str], id: str) -> None:
        if id in ids:
            ids.remove(id)
        elif not self.behaviour.repeated_members:
            raise Refused(self.behaviour.missing_member, "no such member of the team")

    def _put(self, ids: list[str], id: str) -> None:
        if id not in ids:
            ids.append(id)
        elif not self.behaviour.repeated_members:
            raise Refused(400, "a member of the team already")


def _key(text: str) -> str:
    return text.casefold()


def _copy(one: Any) -> Any:
    return replace(one, users=list(one.users), teams=list(one.teams)) if isinstance(one, Team) else replace(one)
