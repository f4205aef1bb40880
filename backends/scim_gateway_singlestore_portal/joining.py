"""Into the organization: who is a member already, who is invited, and how the first becomes the second."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from scim_gateway_provisioning.target import Known, Outcome, Save, Unreachable, User

from scim_gateway.errors import Conflict, Forbidden, InvalidValue
from scim_gateway.text import shown

from . import addresses
from .answers import ACCEPTED, PENDING, REFUSED, REVOKED, Invitation, Member
from .context import LAG, Context
from .leaving import revoke
from .notes import Note, Standing
from .people_teams import leave_unwanted_teams, team_ids
from .protection import refusal
from .transport import Absent, Refused, Unsure

FRESH = timedelta(seconds=60)
"""So long after somebody joined their rights are looked at once more: a list may have been behind."""
_TRIES = 3


def stand(context: Context, user: User, note: Note, save: Save) -> Outcome:
    """Make sure that the person is in the organization at the address of ``note.now``, or is invited.

    :raises Conflict: somebody is there whom the gateway did not invite.
    :raises Forbidden: they are protected, or an invitation would make an owner.
    """
    assert note.now is not None
    address, id = note.now.address, note.now.user
    member = None if id is None else context.client.member(id)
    if member is not None and not addresses.same(member.email, address):
        return _stuck(note, _drifted(member))
    if member is None:
        member = _only(context.sight.members(context.client, address), address)
        if id is not None and (member is None or member.id != id):
            # Removed by hand: who is here now, or comes by another's invitation, is not the one that we invited.
            note = note.at(user=None, invitation=None, ours=False, fresh=None)
    if member is not None:
        return _joined(context, user, note, member, save)
    return _invited(context, user, note, save)


def _drifted(member: Member) -> str:
    return (
        f"the address of this member is {shown(member.email)} in the Portal by now: give the user that address in the "
        "identity provider, or let the person change it back"
    )


def _only(members: list[Member], address: str) -> Member | None:
    if len(members) > 1:
        raise Conflict(f"The SingleStore organization has two members with the address {shown(address)}.")
    return members[0] if members else None


def _joined(context: Context, user: User, note: Note, member: Member, save: Save) -> Outcome:
    """Somebody is a member at this address: ours already, ours because they accepted, or somebody else's."""
    assert note.now is not None
    fresh = note.now.fresh
    if note.now.user != member.id:
        if note.now.ours:
            note = _accept(context, user, note, member, save)
        else:
            _take_over(context, user, member)
            note = note.at(user=member.id, invitation=None)
        save(note.known)
    elif fresh is not None and context.client.now() - fresh >= FRESH:
        try:
            context.rights.accepted(context.client, member, context.me)
        except Forbidden as error:
            save(_barred(note, error))
            raise
        note = note.at(fresh=None)
    waiting = None
    if note.now is not None and note.now.fresh is not None:
        waiting = "has joined; the rights of the new member are looked at once more in a minute"
    return Outcome(note.known, waiting)


def _accept(context: Context, user: User, note: Note, member: Member, save: Save) -> Note:
    reason = context.protection.reason_of_member(member, context.me)
    if reason is not None:
        raise refusal(f"{shown(member.email)} is not managed in the SingleStore organization: {reason}.")
    try:
        context.rights.accepted(context.client, member, context.me)
    except Forbidden as error:
        save(_barred(note, error))
        raise
    leave_unwanted_teams(context, user, member.id)
    return replace(note.at(user=member.id, invitation=None, fresh=context.client.now()), sent=None)


def _barred(note: Note, error: Forbidden) -> Known:
    """The note of somebody who is to be invited anew, should that be allowed one day; until then that is an error."""
    return {**replace(note.at(user=None, invitation=None, fresh=None), sent=None).known, "stuck": error.detail}


def _take_over(context: Context, user: User, member: Member) -> None:
    context.protection.member(context.client, member, context.me)
    if not (user.adoptable or context.settings.match_members):
        raise Conflict(
            f"{shown(member.email)} is a member of the SingleStore organization already, and was not invited by the "
            "gateway. To manage them, list them with scim-gateway adopt, or set portal_match_members."
        )


def _invited(context: Context, user: User, note: Note, save: Save) -> Outcome:
    """Nobody is a member at this address: look at the invitation, and send one if there is none."""
    assert note.now is not None
    invitation = None
    if note.now.invitation is not None:
        invitation = context.client.invitation(note.now.invitation)
    if invitation is None or invitation.state != PENDING:
        # A second one may have been sent: by hand, or by us without learning its id.
        pending = context.sight.pending(context.client, note.now.address)
        if pending:
            invitation = pending[0]
            if not note.now.ours:
                _take_over_invitation(context, user, invitation)
            elif note.now.invitation is None:
                invitation = _rightly(context, user, note, invitation)
    if invitation is not None and leads_into_a_team(note, invitation):
        return _invite(context, user, note, save)
    if invitation is None or _of_the_past(context, invitation):
        if note.sent is not None and context.client.now() - note.sent < LAG:
            return Outcome(note.known, "was invited a moment ago; the invitation is not shown yet")
        return _invite(context, user, note, save)
    return _wait(context, note, invitation, save)


def _of_the_past(context: Context, invitation: Invitation) -> bool:
    """Accepted, but nobody is a member: removed by hand since then, unless that was a moment ago."""
    if invitation.state != ACCEPTED:
        return False
    return invitation.acted is None or context.client.now() - invitation.acted >= LAG


def leads_into_a_team(note: Note, invitation: Invitation) -> bool:
    """Revoked, and it named teams: so is an invitation to a team which the person has left meanwhile; sent again."""
    return note.now is not None and note.now.ours and invitation.state == REVOKED and bool(invitation.teams)


def _wait(context: Context, note: Note, invitation: Invitation, save: Save) -> Outcome:
    assert note.now is not None
    if invitation.state == PENDING:
        try:
            context.rights.permit(context.client, context.me)
        except Forbidden as error:
            # What is pending would make an owner as well.
            revoke(context, replace(note.now, invitation=invitation.id or None))
            save(_barred(note, error))
            raise
    if invitation.id and invitation.id != note.now.invitation:
        note = replace(note.at(invitation=invitation.id, ours=True), sent=None)
        save(note.known)
    told = told_of(invitation)
    return _stuck(note, told) if invitation.state in (REFUSED, REVOKED) else Outcome(note.known, told)


def _stuck(note: Note, told: str) -> Outcome:
    """Nothing more happens by itself: an error for whoever looks."""
    return Outcome({**note.known, "stuck": told}, told)


def told_of(invitation: Invitation) -> str:
    """The state of an invitation for an administrator, and what to do about it."""
    when = "" if invitation.acted is None else f" on {invitation.acted.date().isoformat()}"
    match invitation.state:
        case state if state == PENDING:
            sent = "" if invitation.created is None else f" on {invitation.created.date().isoformat()}"
            return f"invited{sent}; waits for the person to accept the invitation"
        case state if state == ACCEPTED:
            return "accepted the invitation, but is not shown among the members yet"
        case state if state == REFUSED:
            return (
                f"REFUSED the invitation{when}: talk to the person; another one is sent after the user was deactivated "
                "and activated again in the identity provider"
            )
        case _:
            return (
                f"the invitation was REVOKED in the Portal{when}: another one is sent after the user was deactivated "
                "and activated again in the identity provider"
            )


def _take_over_invitation(context: Context, user: User, invitation: Invitation) -> None:
    if not (user.adoptable or context.settings.match_members):
        raise Conflict(
            f"{shown(invitation.email)} has been invited to the SingleStore organization already, not by the gateway. "
            "Revoke that invitation in the Portal, list the address with scim-gateway adopt, or set "
            "portal_match_members."
        )
    for id in sorted(invitation.teams):
        reason = context.protection.reason_of_roles(context.client, id)
        if reason is not None:
            raise refusal(
                f"{shown(invitation.email)} has been invited into a team of the SingleStore organization, and is not "
                f"managed: {reason}."
            )


def _invite(context: Context, user: User, note: Note, save: Save) -> Outcome:
    """Invite; the note says so before it is done, because the answer may never come."""
    assert note.now is not None
    client, address = context.client, note.now.address
    try:
        context.rights.permit(client, context.me)
    except Forbidden as error:
        if note.now.managed:
            save(_barred(note, error))
        raise
    begun = note.now.ours and note.sent is None and note.now.invitation is None
    note = replace(note, now=Standing(address, ours=True), sent=None)
    save(note.known)
    if context.settings.add_existing and _add_at_once(context, address):
        member = _only(context.sight.members(client, address), address)
        if member is not None:
            note = _accept(context, user, note, member, save)
            save(note.known)
            return Outcome(note.known, "has joined; the rights of the new member are looked at once more in a minute")
        note = replace(note, sent=client.now())
        return Outcome(note.known, "was added a moment ago; the member is not shown yet")
    try:
        invitation = _send(context, address, _teams_along(context, user, note))
    except (Refused, Unsure, Absent) as error:
        invitation = _after_trouble(context, note, error, begun, save)
    invitation = _rightly(context, user, note, invitation)
    note = replace(note.at(invitation=invitation.id or None), sent=client.now())
    return _wait(context, note, invitation, save)


def _send(context: Context, address: str, teams: Collection[str]) -> Invitation:
    try:
        return context.client.invite(address, teams)
    except Refused:
        if not teams:
            raise
    # A team may be what it does not take; teams are given after the acceptance then.
    return context.client.invite(address)


def _rightly(context: Context, user: User, note: Note, invitation: Invitation) -> Invitation:
    """The invitation, or another one where the person was taken out of a team that it names while it was sent.

    Who takes somebody out of a team revokes the invitations that can be seen by then; this is one that could not.
    """
    assert note.now is not None
    for _ in range(_TRIES):
        if invitation.teams <= team_ids(user):
            return invitation
        revoke(context, replace(note.now, invitation=invitation.id or None))
        invitation = _send(context, note.now.address, _teams_along(context, user, note))
    raise Unreachable(f"The teams of {shown(note.now.address)} change faster than the person can be invited.")


def _teams_along(context: Context, user: User, note: Note) -> Collection[str]:
    """Ids of the teams that the invitation names; what they give begins when the person accepts.

    None for somebody who is a member under a former address: the pair would be in them twice for a while.
    """
    if context.settings.pending_teams == "wait" or note.former:
        return ()
    ids: set[str] = set()
    for known in user.groups():
        if "team" in known:
            with suppress(Forbidden, Absent):  # protected, or gone: nobody is let in by an invitation either
                context.protection.team(context.client, known["team"], str(known["name"]), context.organization)
                ids.add(known["team"])
    return ids


def _add_at_once(context: Context, address: str) -> bool:
    """Add somebody who has an account; whether that was done. Who has none is invited."""
    try:
        context.client.add_member(address)
    except Refused:
        return False
    except (Absent, Unsure):
        return bool(context.sight.members(context.client, address))
    return True


def _after_trouble(context: Context, note: Note, error: Exception, begun: bool, save: Save) -> Invitation:
    """The API did not say that it invited: look whether it did.

    :param begun: an earlier try may have invited already.
    """
    assert note.now is not None
    address = note.now.address
    pending = context.sight.pending(context.client, address)
    if pending:
        return pending[0]
    if context.sight.members(context.client, address):
        raise Unreachable(f"{shown(address)} has become a member in the meantime; looked at again.") from None
    if isinstance(error, Refused):
        if begun or error.status == 409:
            raise Unreachable(f"{shown(address)} may be invited already, but is not shown yet: {error.text}") from None
        # It was not done and will not be: nothing of it is left behind, not even the intention.
        save(note.at(ours=False).known if note.former else {})
        raise InvalidValue(f"The SingleStore organization does not invite {shown(address)}: {error.text}") from None
    raise error
