"""Who still waits to join, seen in two lists for all: nobody is let in, out or invited again because of them.

Both lists have to agree: the invitation is shown as it was, and nobody is a member at the address. Of whom they do not,
nothing is told here; he is looked at by himself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scim_gateway_provisioning.target import Known

from scim_gateway.errors import Forbidden

from . import addresses
from .answers import PENDING, REFUSED, REVOKED, Invitation
from .context import Context
from .joining import leads_into_a_team, told_of
from .notes import Note


@dataclass(frozen=True, slots=True)
class _Invited:
    """Somebody of whom a list can tell.

    :param invitation: id of the invitation.
    :param stuck: what was told of it, if nothing more happens by itself.
    """

    note: Note
    address: str
    invitation: str
    stuck: str | None


def still_waiting(context: Context, known: Mapping[str, Known]) -> frozenset[str]:
    """Ids of those who are invited as before, and nothing else.

    :raises Unreachable: the list of members is not whole.
    """
    invited = {id: one for id, note in known.items() if (one := _invited(context, note)) is not None}
    if not invited:
        return frozenset()
    pending = _with_ids(context, PENDING)
    if any(one.stuck is None for one in invited.values()):
        try:
            context.rights.permit(context.client, context.me)
        except Forbidden:
            # What is pending would make an owner: each invitation is revoked.
            return frozenset()
    ended = _ended(context, invited.values())
    joined = {addresses.key(member.email) for member in context.members()}
    again = {addresses.key(each.email) for each in pending.values()}

    def waits(one: _Invited) -> bool:
        shown = (pending if one.stuck is None else ended).get(one.invitation)
        if shown is None or not addresses.same(shown.email, one.address) or addresses.key(one.address) in joined:
            return False
        if one.stuck is None:
            return True
        another = addresses.key(one.address) in again
        return not another and not leads_into_a_team(one.note, shown) and told_of(shown) == one.stuck

    return frozenset(id for id, one in invited.items() if waits(one))


def _invited(context: Context, known: Known) -> _Invited | None:
    """``None``: no list tells of a (new) member, of a former address, of an invitation whose id is not known yet."""
    note = Note.of(known)
    if note.now is None or note.now.user is not None or note.now.invitation is None or note.former:
        return None
    try:
        context.protection.address(note.now.address)
    except Forbidden:
        return None
    return _Invited(note, note.now.address, note.now.invitation, known.get("stuck"))


def _ended(context: Context, invited: Iterable[_Invited]) -> Mapping[str, Invitation]:
    """The invitations that were refused or revoked, if anybody's was."""
    if all(one.stuck is None for one in invited):
        return {}
    return {**_with_ids(context, REFUSED), **_with_ids(context, REVOKED)}


def _with_ids(context: Context, state: str) -> Mapping[str, Invitation]:
    return {one.id: one for one in context.client.invitations(state) if one.id}
