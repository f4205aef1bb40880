"""Teams: SCIM groups as teams of the organization, ours by the note alone, whatever a description says."""

from __future__ import annotations

from typing import Any

from scim_gateway_provisioning.target import Group, Known, Outcome, Save, Unreachable

from scim_gateway.errors import Conflict, InvalidValue, Uniqueness
from scim_gateway.text import collision_key, shown

from .answers import Team
from .client import TeamUpdate
from .context import Context
from .team_members import bring_about
from .transport import Absent, Refused, Unsure


class Teams:
    """What can happen to a group, for the calls of one session."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def put(self, group: Group, known: Known, save: Save) -> Outcome:
        """Make the team, or give it its name and description.

        :raises Conflict: there is a team of this name that is not the gateway's.
        :raises scim_gateway.errors.Forbidden: the name, or the team, is protected.
        """
        name = team_name(group)
        context = self._context
        context.protection.team_name(name, context.organization)
        team = self._noted(known)
        if team is not None:
            context.protection.team(context.client, team.id, team.name, context.organization)
            return self._change(group, team, name, known)
        found = self._found(name)
        if found is not None:
            return self._found_there(group, found, name, bool(known.get("making")))
        return self._make(group, name, save, begun=bool(known.get("making")))

    def remove(self, id: str, known: Known) -> None:
        """Delete the team; that it is gone is fine."""
        context = self._context
        team = self._noted(known)
        if team is None and known.get("making"):
            found = self._found(str(known["name"]))
            team = found if found is not None and self._is_marked(found, id) else None
        if team is None:
            return
        context.protection.team(context.client, team.id, team.name, context.organization)
        gone = team.id
        try:
            context.client.delete_team(gone)
        except Refused as error:
            raise Unreachable(
                f"The SingleStore Portal does not delete the team {shown(team.name)}: {error.text}"
            ) from None
        context.until(
            lambda: context.client.team(gone) is None, f"The team {shown(team.name)} is still shown after its deletion."
        )

    def _noted(self, known: Known) -> Team | None:
        id = known.get("team")
        return None if id is None else self._context.client.team(id)

    def _found(self, name: str) -> Team | None:
        """The team of this name; names that differ in letter case only are one, to be on the safe side."""
        found = self._context.sight.teams(self._context.client, name)
        exact = [team for team in found if team.name == name]
        return next(iter(exact or found), None)

    def _found_there(self, group: Group, team: Team, name: str, making: bool) -> Outcome:
        """There is a team of this name: one that was being made when the answer was lost, or somebody else's."""
        context = self._context
        ours = making and self._is_marked(team, group.id)
        if not ours and not group.adoptable:
            raise Conflict(
                f"The SingleStore organization has a team {shown(team.name)} that is not the gateway's. Give the group "
                "another name, or list the team with scim-gateway adopt."
            )
        context.protection.team(context.client, team.id, team.name, context.organization)
        return self._change(group, team, name, _note(team.id, name, ours))

    def _make(self, group: Group, name: str, save: Save, *, begun: bool) -> Outcome:
        save({"name": name, "making": True})
        try:
            team = self._context.client.create_team(name, self._description(group.id))
        except (Refused, Unsure, Absent) as error:
            return self._after_trouble(group, name, error, begun, save)
        if team.name != name:
            self._context.client.delete_team(team.id)
            save({})
            raise _misfit(name, team.name)
        return Outcome(_note(team.id, name, True))

    def _after_trouble(self, group: Group, name: str, error: Exception, begun: bool, save: Save) -> Outcome:
        """The API did not say that it made the team: look whether it did, or whether the name is taken."""
        found = self._found(name)
        if found is not None:
            if not self._is_marked(found, group.id) and not group.adoptable:
                save({})
            return self._found_there(group, found, name, making=True)
        if isinstance(error, Refused) and not begun and error.status != 409:
            save({})
            raise InvalidValue(
                f"The SingleStore organization does not take a team named {shown(name)}: {error.text}"
            ) from None
        if isinstance(error, Unreachable):
            raise error
        raise Unreachable(f"The team {shown(name)} may have been made, but is not shown yet: {error}") from None

    def _change(self, group: Group, team: Team, name: str, known: Known) -> Outcome:
        ours = bool(known.get("ours"))
        description = self._description(group.id) if ours else None
        update = TeamUpdate(
            name=name if team.name != name else None,
            description=description if team.description not in (None, description) else None,
        )
        if update.body():
            self._update(team, name, update)
        return Outcome(_note(team.id, name, ours))

    def _update(self, team: Team, name: str, update: TeamUpdate) -> None:
        client = self._context.client
        try:
            client.update_team(team.id, update)
        except (Refused, Unsure) as error:
            now = client.team(team.id)
            if now is not None and now.name == name:
                return
            holder = self._found(name)
            if holder is not None and holder.id != team.id:
                raise Uniqueness(
                    f"The SingleStore organization has another team named {shown(holder.name)}; give the group another "
                    "name."
                ) from None
            if isinstance(error, Unsure):
                raise
            raise InvalidValue(
                f"The SingleStore organization does not take the team name {shown(name)}: {error.text}"
            ) from None
        if update.name is not None:
            self._check_name(team, name)

    def _check_name(self, team: Team, name: str) -> None:
        """See that the new name is there whole; one that was cut is taken back."""
        seen: list[str] = []

        def there() -> bool:
            now = self._context.client.team(team.id)
            seen[:] = [] if now is None else [now.name]
            return seen != [team.name]

        self._context.until(there, f"The team {shown(team.name)} is still shown under its old name.")
        if seen and seen != [name]:
            bring_about(self._context.client, team.id, TeamUpdate(name=team.name))
            raise _misfit(name, seen[0])

    def _description(self, id: str) -> str:
        return f"{self._context.settings.team_description} {_mark(id)}"

    @staticmethod
    def _is_marked(team: Team, id: str) -> bool:
        """Whether a team that we were about to make is the one: its description says so, if it is told at all."""
        return team.description is None or _mark(id) in team.description


def team_name(group: Group) -> str:
    """The name of the team of a group."""
    return str(group.resource["displayName"])


def _mark(id: str) -> str:
    return f"[scim {id}]"


def _note(id: str, name: str, ours: bool) -> dict[str, Any]:
    return {"name": name, "team": id, **({"ours": True} if ours else {})}


def _misfit(name: str, became: str) -> InvalidValue:
    return InvalidValue(
        f"The SingleStore organization keeps only {shown(became)} of the team name {shown(name)}: give the group a "
        f"shorter or plainer name."
    )


def fits(name: str) -> bool:
    """Whether a text can be a team's name at all."""
    return bool(collision_key(name)) and name == name.strip() and name.isprintable()
