"""Memberships of one team: a difference in one call, and a second look when the answer leaves something open."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

from scim_gateway_provisioning.target import MemberChanges, Unreachable

from scim_gateway.errors import InvalidValue
from scim_gateway.text import shown

from .answers import PENDING, Invitation, Team
from .client import Client, TeamUpdate
from .context import Context
from .notes import Note, Standing
from .transport import Absent, Refused, Unsure


def change(context: Context, changes: MemberChanges) -> frozenset[str]:
    """Bring memberships about; ids of those that have to wait for somebody to join.

    :raises scim_gateway.errors.Forbidden: the team is protected.
    """
    team_id = changes.group.get("team")
    if team_id is None:
        raise Unreachable("The team is not there yet.")
    update, waiting = _update(changes)
    try:
        context.protection.team(context.client, team_id, str(changes.group["name"]), context.organization)
        for known in changes.remove.values():
            if "team" not in known:
                _take_from_invitation(context, team_id, Note.of(known))
        if update.body():
            bring_about(context.client, team_id, update)
    except Absent as error:
        if context.client.team(team_id) is not None:
            raise Unreachable(f"The SingleStore Portal does not find something of the team: {error}") from None
        # Deleted by hand: nobody is in it any more, and nobody can join before it is made again.
        return frozenset(changes.add)
    if context.settings.pending_teams == "email":
        _ask_by_email(context, team_id, [Note.of(changes.add[id]) for id in waiting])
    return waiting


def _update(changes: MemberChanges) -> tuple[TeamUpdate, frozenset[str]]:
    """The difference as one update, and who is not there yet.

    Somebody who is changing the address is one person with two members for a while: the new one comes in as the old
    one goes out.
    """
    add_users: set[str] = set()
    remove_users: set[str] = set()
    add_teams: set[str] = set()
    remove_teams: set[str] = set()
    waiting: set[str] = set()
    for known in changes.remove.values():
        if "team" in known:
            remove_teams.add(known["team"])
        else:
            remove_users.update(Note.of(known).users)
    for id, known in changes.add.items():
        note = Note.of(known)
        if "team" in known:
            add_teams.add(known["team"])
        elif note.now is not None and note.now.user is not None:
            add_users.add(note.now.user)
            remove_users.update(note.users[1:])
        else:
            waiting.add(id)
    update = TeamUpdate(
        add_users=add_users,
        remove_users=remove_users - add_users,
        add_teams=add_teams,
        remove_teams=remove_teams - add_teams,
    )
    return update, frozenset(waiting)


def bring_about(client: Client, team_id: str, update: TeamUpdate) -> None:
    """Change a team so that it is as the update says; whatever of it holds already is fine.

    :raises Absent: the team is not there.
    :raises InvalidValue: the API will not have somebody in it.
    :raises Unreachable: it could not be done, or is not confirmed.
    """
    try:
        client.update_team(team_id, update)
    except Unsure:
        if not _left(_team(client, team_id), update).body():
            return
        raise
    except (Refused, Absent):
        # What is not there may be somebody who comes or goes as well: whether it is the team is looked at.
        _one_after_the_other(client, team_id, update)


def _one_after_the_other(client: Client, team_id: str, update: TeamUpdate) -> None:
    """The API refused the update as a whole: take away first, then add one by one, and say who cannot be added."""
    left = _left(_team(client, team_id), update)
    away = replace(left, add_users=(), add_teams=())
    if away.body():
        try:
            _once(client, team_id, away)
        except Refused as error:
            # What is to be taken away is never given up: it is asked for until it holds.
            raise Unreachable(f"The SingleStore Portal does not take members out of the team: {error.text}") from None
    troubles: list[str] = []
    for one in _singly(left):
        try:
            _once(client, team_id, one)
        except Refused as error:
            gone = next((id for id in one.add_users if client.member(id) is None), None)
            if gone is not None:
                raise Unreachable("Somebody is not a member of the organization any more; looked at again.") from None
            troubles.append(error.text)
    if troubles:
        raise InvalidValue(f"The SingleStore organization does not take a member into the team: {troubles[0]}")


def _once(client: Client, team_id: str, update: TeamUpdate) -> None:
    """One update that is fine if it turns out to hold already.

    :raises Absent: the team is not there.
    :raises Refused: the team is there, and the API does not do it.
    """
    try:
        client.update_team(team_id, update)
    except (Refused, Unsure, Absent) as error:
        if not _left(_team(client, team_id), update).body():
            return
        if isinstance(error, Absent):
            raise Refused(404, str(error)) from None
        raise


def _singly(update: TeamUpdate) -> Iterable[TeamUpdate]:
    yield from (TeamUpdate(add_users=[id]) for id in sorted(update.add_users))
    yield from (TeamUpdate(add_teams=[id]) for id in sorted(update.add_teams))


def _left(team: Team, update: TeamUpdate) -> TeamUpdate:
    """What of an update does not hold yet."""
    return TeamUpdate(
        name=update.name if update.name not in (None, team.name) else None,
        description=update.description if update.description not in (None, team.description) else None,
        add_users=set(update.add_users) - team.people.keys(),
        remove_users=set(update.remove_users) & team.people.keys(),
        add_teams=set(update.add_teams) - team.teams.keys(),
        remove_teams=set(update.remove_teams) & team.teams.keys(),
    )


def _team(client: Client, team_id: str) -> Team:
    team = client.team(team_id)
    if team is None:
        raise Absent(team_id)
    return team


def _ask_by_email(context: Context, team_id: str, notes: Iterable[Note]) -> None:
    """Ask for teams of people who are invited only; whether the API takes that shows when they have joined."""
    emails = [note.now.address for note in notes if note.now is not None and note.now.invitation is not None]
    if emails:
        try:
            context.client.update_team(team_id, TeamUpdate(add_emails=emails))
        except (Refused, Unsure):
            return


def _take_from_invitation(context: Context, team_id: str, note: Note) -> None:
    """An invitation that leads into the team must not do so any more when the person accepts.

    Nobody is invited here: whether the person is to be invited at all is known only to who works on the person.
    """
    for one in note.everywhere:
        if one.user is None and _leading(context, one, team_id):
            _end_invitations(context, one, team_id)


def _end_invitations(context: Context, one: Standing, team_id: str) -> None:
    with suppress(Refused, Absent, Unsure):  # what came of it is looked at next
        context.client.update_team(team_id, TeamUpdate(remove_emails=[one.address]))
    for invitation in _leading(context, one, team_id):
        with suppress(Refused):  # not pending any more: accepted, or done with
            context.client.revoke(invitation.id)
    context.until(
        lambda: not _leading(context, one, team_id),
        f"The invitation of {shown(one.address)} still leads into the team.",
    )
    if context.sight.members(context.client, one.address):
        raise Unreachable(f"{shown(one.address)} has joined in the meantime; looked at again.")


def _leading(context: Context, one: Standing, team_id: str) -> list[Invitation]:
    """The invitations that make the person a member of the team, whether or not the note knows them."""
    known = None if one.invitation is None else context.client.invitation(one.invitation)
    if known is not None and known.state == PENDING:
        return [known] if team_id in known.teams else []
    return [each for each in context.sight.pending(context.client, one.address) if team_id in each.teams]
