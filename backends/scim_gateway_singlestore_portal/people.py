"""People: SCIM users as members of the organization, from the first invitation to the last removal."""

from __future__ import annotations

from dataclasses import replace

from scim_gateway_provisioning.target import Known, Outcome, Save, User

from . import addresses
from .context import Context
from .joining import stand
from .leaving import leave, revoke
from .notes import Note, Standing
from .people_teams import carry_teams


class People:
    """What can happen to a person, for the calls of one session."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def put(self, user: User, known: Known, save: Save) -> Outcome:
        """Make them a member under the address of the directory, or take them out if they are not active."""
        note = Note.of(known)
        if not user.active:
            leave(self._context, note.everywhere)
            return Outcome(note.gone().known)
        address = addresses.address_of(user.resource, self._context.settings)
        self._context.protection.address(address)
        if note.now is not None and not addresses.same(note.now.address, address):
            note = self._moved(note, address, save)
        elif note.now is None:
            note = Note(Standing(address))
        return self._settled(user, stand(self._context, user, note, save))

    def remove(self, known: Known) -> None:
        """Take them out, under every address that they had."""
        leave(self._context, Note.of(known).everywhere)

    def _moved(self, note: Note, address: str, save: Save) -> Note:
        """The directory has another address for them: the old one is given up when the new one stands."""
        assert note.now is not None
        client = self._context.client
        if note.now.user is not None:
            member = client.member(note.now.user)
            if member is not None:
                if addresses.same(member.email, address):
                    # The person changed the address of their account: the same member, under another address.
                    return replace(note, now=replace(note.now, address=address))
                self._context.protection.member(client, member, self._context.me)
        before = [one for one in (note.now, *note.former) if one.managed]
        back = next((one for one in note.former if addresses.same(one.address, address)), None)
        former = tuple(one for one in before if one is not back)
        moved = Note(replace(back, address=address) if back else Standing(address), former=former)
        save(moved.known)
        return moved

    def _settled(self, user: User, outcome: Outcome) -> Outcome:
        """Give up former addresses: those that only wait at once, the member when the new one is a member."""
        note = Note.of(outcome.known)
        if not note.former:
            return outcome
        assert note.now is not None
        if note.now.user is None:
            stays = next((one for one in note.former if one.user is not None), None)
            for one in note.former:
                if one is not stays:
                    leave(self._context, [one])
            if stays is not None:
                revoke(self._context, stays)
            kept = replace(note, former=() if stays is None else (stays,))
            return Outcome(kept.known, outcome.waiting)
        for one in note.former:
            if one.user is not None:
                carry_teams(self._context, user, one.user, note.now.user)
        leave(self._context, note.former)
        return Outcome(replace(note, former=()).known, outcome.waiting)
