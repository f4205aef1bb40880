"""The whole organization at once, in three calls whatever its size."""

from __future__ import annotations

from collections.abc import Mapping

from scim_gateway_provisioning.target import Inventory, Observed

from scim_gateway.text import collision_key, shown

from .answers import PENDING, Invitation, Member, Team
from .context import Context


def observe(context: Context, *, nests: bool) -> Inventory:
    """Read members, pending invitations and teams.

    Somebody who is invited counts as being there, in the teams of the invitation.

    :raises Unreachable: the API shows less than there is.
    """
    client = context.client
    members = context.members()
    pending = client.invitations(PENDING)
    teams = client.teams()
    warnings: list[str] = []
    privileged = _privileged(context, teams)
    users = _users(context, members, pending, teams, privileged, warnings)
    groups, inside = _groups(context, pending, teams, privileged, nests, warnings)
    return Inventory(users, groups, inside, tuple(warnings))


def key(name: str) -> bytes:
    """What names are compared by."""
    return collision_key(name).encode()


def _privileged(context: Context, teams: list[Team]) -> Mapping[str, str]:
    """The teams whose members are owners or administrators, by id: the name of the team that makes them so."""
    by_id = {team.id: team for team in teams}
    found = {team.id: team.name for team in teams if context.protection.privileged_by_look(team)}
    new = [by_id[id] for id in found]
    while new:
        team = new.pop()
        for id in team.teams.keys() & by_id.keys() - found.keys():
            found[id] = found[team.id]
            new.append(by_id[id])
    return found


def _users(
    context: Context,
    members: list[Member],
    pending: list[Invitation],
    teams: list[Team],
    privileged: Mapping[str, str],
    warnings: list[str],
) -> Mapping[bytes, Observed]:
    rights = {
        id: f"is in the team {privileged[team.id]}" for team in teams if team.id in privileged for id in team.people
    }
    found: dict[bytes, Observed] = {}
    for member in members:
        reason = context.protection.reason_of_member(member, context.me) or rights.get(member.id)
        if key(member.email) in found:
            warnings.append(f"Two members of the organization have the address {shown(member.email)}.")
            reason = "two members have this address"
        found[key(member.email)] = Observed(member.email, protected=reason)
    for invitation in pending:
        found.setdefault(key(invitation.email), Observed(invitation.email))
    return found


def _groups(
    context: Context,
    pending: list[Invitation],
    teams: list[Team],
    privileged: Mapping[str, str],
    nests: bool,
    warnings: list[str],
) -> tuple[Mapping[bytes, Observed], Mapping[bytes, frozenset[bytes]]]:
    groups: dict[bytes, Observed] = {}
    inside: dict[bytes, frozenset[bytes]] = {}
    invited: dict[str, set[bytes]] = {}
    for invitation in pending:
        for id in invitation.teams:
            invited.setdefault(id, set()).add(key(invitation.email))
    for team in teams:
        reason = context.protection.reason_of_team(team, context.organization)
        outside = privileged.get(team.id, team.name)
        if reason is None and outside != team.name:  # its own look may be allowed by portal_allowed_teams
            reason = f"it is inside the team {outside}"
        if key(team.name) in groups:
            warnings.append(f"Two teams of the organization are named {shown(team.name)}, letter case apart.")
            reason = "two teams have this name"
        groups[key(team.name)] = Observed(team.name, protected=reason)
        here = {key(address) for address in team.people.values()} | invited.get(team.id, set())
        if nests:
            here |= {key(name) for name in team.teams.values()}
        inside[key(team.name)] = frozenset(here)
    return groups, inside
