"""Who and what is never managed: by its look, by the roles it holds, by whose it is."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from contextlib import suppress
from fnmatch import fnmatchcase

from scim_gateway.actor import current
from scim_gateway.errors import Forbidden
from scim_gateway.text import collision_key, shown

from .answers import STANDARD, Member, Organization, Role, Team
from .client import Client
from .patterns import pattern_of
from .settings import PortalSettings
from .sight import Sight, outer
from .transport import Absent

# As the vendor names them; the ends cover those that have come with an edition of its own.
_PREDEFINED = re.compile(r"organization .*(owners|administrators|operators|writers|readers|observers)")
_PREDEFINED_FILTER = pattern_of("organization ").removesuffix("$") + ".*$"
OWNERS = "Organization Owners"
_PRIVILEGED = ("owner", "admin")
_ORGANIZATION = "organization"


_security = logging.getLogger("scim_gateway.security")


def refusal(detail: str) -> Forbidden:
    """The error for what is protected; whoever watches over the gateway is told who asked for it."""
    actor = current()
    _security.warning(
        "refused: %s Asked for by %s, request %s", detail, shown(actor.name), shown(actor.request_id or "none")
    )
    return Forbidden(detail)


def privileged_role(role: Role) -> bool:
    """Whether a role is one over the organization itself: who holds it can give rights to anybody."""
    about = role.on.casefold() in ("", _ORGANIZATION)
    return about and any(word in role.name.casefold() for word in _PRIVILEGED)


class Protection:
    """The rules for one organization; what is learned of it on the way is kept for the process.

    :param settings: patterns, and the exact names of teams that may be managed all the same.
    :param sight: how teams are looked for.
    """

    def __init__(self, settings: PortalSettings, sight: Sight) -> None:
        self._sight = sight
        self._users = tuple(collision_key(pattern) for pattern in settings.protected_users)
        self._teams = tuple(collision_key(pattern) for pattern in settings.protected_teams)
        self._allowed = frozenset(settings.allowed_teams)
        self._learned: dict[str, str] = {}
        self._roles_reach: bool | None = None

    # By look

    def address(self, address: str) -> None:
        """Refuse an address that is protected by a pattern.

        :raises Forbidden: it is.
        """
        if _matches(self._users, address):
            raise refusal(f"{shown(address)} is protected in the SingleStore organization (portal_protected_users).")

    def team_name(self, name: str, organization: Organization | None = None) -> None:
        """Refuse a team name that is predefined, the organization's own, or protected by a pattern.

        :raises Forbidden: it is.
        """
        reason = self.reason_of_name(name, organization)
        if reason is not None:
            raise refusal(f"The team {shown(name)} of the SingleStore organization is not managed: {reason}.")

    def reason_of_name(self, name: str, organization: Organization | None = None) -> str | None:
        """Why a team of this name is protected, or ``None``."""
        key = collision_key(name)
        if key == collision_key(OWNERS):
            return "it makes owners"
        if name in self._allowed:
            return None
        if _PREDEFINED.fullmatch(key):
            return "it is predefined"
        if organization is not None and key == collision_key(organization.name):
            return "it is named like the organization"
        return "portal_protected_teams names it" if _matches(self._teams, name) else None

    # By what it holds

    def team(self, client: Client, id: str, name: str, organization: Organization) -> None:
        """Refuse a team that is protected.

        :raises Forbidden: by its name, or by a role that it holds or gets from a team that it is inside of.
        """
        self.team_name(name, organization)
        reason = self.reason_of_roles(client, id)
        if reason is not None:
            raise refusal(
                f"The team {shown(name)} of the SingleStore organization is not managed: {reason}, and who is in it "
                "could give rights to anybody."
            )

    def reason_of_roles(self, client: Client, id: str) -> str | None:
        """Why the members of a team are owners or administrators of the organization, or ``None``."""
        role = self.privileged_team(client, id)
        if role is not None:
            return f"it holds the role {shown(role)} on the organization"
        for above, name in self._sight.above(client, id).items():
            with suppress(Absent):  # deleted since the teams were read
                role = self._role_of(client, above, name)
            if role is not None:
                return f"it is inside the team {shown(name)}, which holds the role {shown(role)} on the organization"
        return None

    def privileged_team(self, client: Client, id: str) -> str | None:
        """The role that makes a team privileged."""
        role = next((role.name for role in client.roles_of_team(id) if privileged_role(role)), None)
        if role is None:
            self._learned.pop(id, None)
        else:
            self._learned[id] = role
        return role

    def reason_of_team(self, team: Team, organization: Organization) -> str | None:
        """Why a team is protected, as far as that is known without asking for its roles."""
        role = self._learned.get(team.id)
        return f"it holds the role {role}" if role else self.reason_of_name(team.name, organization)

    def privileged_by_look(self, team: Team) -> bool:
        """Whether the members of a team are owners or administrators, without asking for its roles."""
        key = collision_key(team.name)
        makes = _PREDEFINED.fullmatch(key) and any(word in key for word in _PRIVILEGED)
        return bool(makes) or team.id in self._learned

    # Who

    def member(self, client: Client, member: Member, me: Member, *, by_roles: bool = True) -> None:
        """Refuse a member who is protected.

        :param by_roles: whether roles protect them.
        :raises Forbidden: by an address, by what they are, or by a role that they hold.
        """
        reason = self.reason_of_member(member, me)
        if reason is None and by_roles and (role := self.privilege(client, member, me)) is not None:
            reason = f"holds the role {shown(role)} on the organization"
        if reason is not None:
            raise refusal(
                f"{shown(member.email)} is not managed in the SingleStore organization: {reason}. What is to become of "
                "them is decided there, by an owner."
            )

    def reason_of_member(self, member: Member, me: Member) -> str | None:
        """Why a member is protected, without asking for their roles."""
        if member.kind != STANDARD:
            return f"is no person ({member.kind})"
        if member.id == me.id:
            return "the gateway's API key is theirs"
        return "portal_protected_users names them" if _matches(self._users, member.email) else None

    def privilege(self, client: Client, member: Member, me: Member) -> str | None:
        """The role by which somebody is an owner or administrator of the organization, or ``None``."""
        held = _privileged_role_of(client, member.id)
        if held is not None:
            return held
        predefined = self._sight.teams_matching(client, _PREDEFINED_FILTER)
        look = next((team for team in predefined if member.id in team.people and self.privileged_by_look(team)), None)
        if look is not None:
            return look.name
        if self._roles_reach is None:
            self._learn_reach(client, predefined, me)
        if self._roles_reach:
            return None
        teams = reaching(client.teams(), member.id)
        return next((role for team in teams if (role := self._role_of(client, team.id, team.name))), None)

    def privileged_teams_of(self, client: Client, member: Member) -> list[Team]:
        """The teams that somebody is in directly and that make owners or administrators."""
        return [
            team for team in client.teams() if member.id in team.people and self._role_of(client, team.id, team.name)
        ]

    def _role_of(self, client: Client, id: str, name: str) -> str | None:
        if collision_key(name) == collision_key(OWNERS):
            return "Owner"
        return self.privileged_team(client, id)

    def _learn_reach(self, client: Client, predefined: Iterable[Team], me: Member) -> None:
        """Whether the roles of a person are told with those of their teams: learned from the key's own user.

        Nothing says so. An owner holds that role by a team; where it shows among the person's own, it is so.
        """
        if any(me.id in team.people and self.privileged_by_look(team) for team in predefined):
            self._roles_reach = _privileged_role_of(client, me.id) is not None


def _privileged_role_of(client: Client, member_id: str) -> str | None:
    return next((role.name for role in client.roles_of_member(member_id) if privileged_role(role)), None)


def reaching(teams: Iterable[Team], id: str) -> list[Team]:
    """The teams that a member is in, through nested ones too."""
    everything = list(teams)
    direct = {team.id: team for team in everything if id in team.people}
    return list({**direct, **{team.id: team for team in outer(everything, direct)}}.values())


def _matches(patterns: Iterable[str], name: str) -> bool:
    key = collision_key(name)
    return any(fnmatchcase(key, pattern) for pattern in patterns)
