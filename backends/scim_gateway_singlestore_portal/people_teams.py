"""The teams of one person, seen from the person: those of the gateway that a member is in, or is to be in."""

from __future__ import annotations

from collections.abc import Iterator

from scim_gateway_provisioning.target import User

from .answers import Team
from .client import TeamUpdate
from .context import Context
from .team_members import bring_about


def team_ids(user: User) -> frozenset[str]:
    """Ids of the teams that the directory has the person in now."""
    return frozenset(known["team"] for known in user.groups() if "team" in known)


def carry_teams(context: Context, user: User, old: str, new: str) -> None:
    """Move the memberships in the gateway's teams to another member, each in one call: never both at once."""
    for team in _managed(context, user, old):
        bring_about(context.client, team.id, TeamUpdate(add_users=[new], remove_users=[old]))


def leave_unwanted_teams(context: Context, user: User, member: str) -> None:
    """Take a new member out of teams that an invitation of former times led into.

    Nothing else can have brought them there: whoever gives a team writes it down before.
    """
    if context.settings.pending_teams == "wait":
        return
    there = list(_managed(context, user, member))
    wanted = team_ids(user) if there else frozenset()
    for team in there:
        if team.id not in wanted:
            bring_about(context.client, team.id, TeamUpdate(remove_users=[member]))


def _managed(context: Context, user: User, member: str) -> Iterator[Team]:
    """The teams of the gateway that somebody is in, but for those which are protected."""
    here = [team for team in context.client.teams() if member in team.people]
    managed = set(user.managed_groups([team.name for team in here])) if here else set()
    for team in here:
        if team.name not in managed or context.protection.reason_of_team(team, context.organization) is not None:
            continue
        if context.protection.reason_of_roles(context.client, team.id) is not None:
            continue
        yield team
