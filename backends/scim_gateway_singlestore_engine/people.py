"""One person's account: made equal to what the directory says, or removed; each call may follow one that was cut."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from scim_gateway_provisioning.target import Outcome, Save, User

from scim_gateway.errors import Conflict, ScimError
from scim_gateway.text import collision_key

from . import accounts
from .accounts import look
from .marks import Mark
from .notes import Note
from .renaming import Renaming
from .sessions import end_sessions
from .users import Account
from .work import Work


def keeps_name(work: Work, stands: str, wanted: str) -> bool:
    """Whether a name stays: by the operator's choice, or spelled otherwise, which may be one name to the server."""
    return not work.settings.carry_names or collision_key(stands) == collision_key(wanted)


class Person:
    """One call about one person.

    :param id: SCIM id.
    :param note: what provisioning kept.
    :param save: keeps a note in the middle of the call.
    """

    def __init__(self, work: Work, id: str, note: Note, save: Save) -> None:
        self._work = work
        self._id = id
        self._note = note
        self._began = note
        self._save = save
        self._mark = Mark(id, work.settings.tenant)

    def put(self, user: User, wanted: str) -> Outcome:
        """Make the account equal to what the directory says.

        :param wanted: name that it has to have.
        """
        stands = self._note.name
        if stands is not None and (
            not self._work.settings.carry_names or collision_key(stands) == collision_key(wanted)
        ):
            wanted = stands  # kept by choice; or spelled otherwise, which may be the same name to the server
        for name in (stands, wanted):
            if name is not None:
                self._work.protected.admit("User", name)
        if not user.active and self._work.settings.on_deactivate == "drop":
            self.remove()
            return Outcome({})
        self._clear(wanted)
        account = self._carry(user, stands, wanted) if stands not in (None, wanted) else None
        account = account or self._ensure(user, wanted)
        if not user.active:
            self._shut_out(user, account or self._made(wanted))
        elif account is not None:
            accounts.unlock(self._work, account, self._mark, noted=self._note.locked)
            self._note = self._note.with_lock(False)
        return Outcome(self._note.known)

    def remove(self) -> None:
        """Remove whatever stands under any name of this person."""
        for name in self._note.names:
            self._remove(name)

    def _keep(self, note: Note) -> None:
        if note != self._note:
            self._save(note.known)
            self._note = note

    @contextmanager
    def _intending(self, note: Note) -> Iterator[None]:
        """Keep a note before something is made; if that is refused, what exists under the name is not the gateway's."""
        before = self._note
        self._keep(note)
        try:
            yield
        except ScimError:
            self._keep(before)
            raise

    def _clear(self, wanted: str) -> None:
        """Remove what an earlier call left under names that do not count any more."""
        if self._note.making not in (None, wanted, self._note.name):
            self._remove(str(self._note.making))
        if self._note.old is not None:
            self._remove(self._note.old)
        self._keep(self._note.cleared(but=wanted))

    def _remove(self, name: str) -> None:
        work = self._work
        work.protected.admit("User", name)
        standing = look(work, name)
        stood = name in (self._began.name, self._began.old)
        if standing.here is None:
            work.prove_sight()
            # Dropped by hand, or by a call that was cut: sessions live on.
            if not standing.elsewhere:
                end_sessions(work, name)
        elif self._is_own(standing.here):
            accounts.refuse_administrator(work, name)
            accounts.drop(work, standing.here, self._mark)
            stood = True
        if stood:
            accounts.none_elsewhere(standing)

    def _is_own(self, account: Account) -> bool:
        """Whether an account is this person's; one that is not has a name that this person had, and is left alone."""
        noted = account.name in (self._began.name, self._began.old)
        try:
            return accounts.is_ours(
                self._work, account, self._id, noted=noted, begun=account.name == self._began.making
            )
        except Conflict:
            return False

    def _ensure(self, user: User, name: str) -> Account | None:
        """The account of a name: taken over if it may be; ``None``: it was just made."""
        work = self._work
        standing = look(work, name)
        account = standing.here
        if account is None or user.active:
            accounts.alone(standing)
        if account is None:
            self._make(name, recreated=bool(standing.dropped))
            return None
        ours = accounts.is_ours(
            work, account, self._id, noted=name == self._began.name, begun=name == self._began.making
        )
        if not ours and not user.adoptable:
            raise accounts.not_ours(name)
        accounts.refuse_administrator(work, name)
        accounts.put_mark(work, account, self._mark.with_lock(self._note.locked))
        self._note = self._note.standing(name)
        return account

    def _make(self, name: str, *, recreated: bool) -> None:
        work = self._work
        work.prove_sight()
        if recreated:
            # Sessions of a dropped account might go on with the rights of the new one of its name.
            end_sessions(work, name)
        with self._intending(Note(making=name, method=work.settings.authentication.method)):
            accounts.make(work, name, self._mark)
        if recreated:
            for group in sorted(work.groups_of(name)):
                accounts.leave(work, name, group)
        self._note = self._note.standing(name)

    def _made(self, name: str) -> Account:
        account = look(self._work, name).here
        if account is None:
            raise accounts.not_ours(name)  # gone within a moment: somebody else is at work
        return account

    def _shut_out(self, user: User, account: Account) -> None:
        work = self._work
        if account.attributes is None:
            self._keep(self._note.with_lock(True))  # before: a lock that nobody remembers would never be taken off
        accounts.lock(work, account, self._mark)
        accounts.leave_groups(work, account.name, user.managed_groups)
        end_sessions(work, account.name)
        self._note = self._note.with_lock(True)
        accounts.none_elsewhere(look(work, account.name))

    def _carry(self, user: User, stands: str | None, wanted: str) -> Account | None:
        """Give the account another name, with all that it has; ``None``: there is no account to give one to."""
        assert stands is not None
        work = self._work
        old = look(work, stands)
        if old.here is None:
            work.prove_sight()
            end_sessions(work, stands)
            return None
        if not self._is_own(old.here):
            raise accounts.not_ours(stands)
        accounts.refuse_administrator(work, stands)
        if not user.active:
            self._shut_out(user, old.here)
        accounts.alone(old)
        renaming = Renaming(work, old.here, wanted, self._mark, self._note.method, active=user.active)
        new = look(work, wanted)
        accounts.alone(new)
        if new.here is not None:
            if not self._is_own(new.here):
                raise accounts.not_ours(wanted)
            accounts.refuse_administrator(work, wanted)
        else:
            work.prove_sight()
        with self._intending(self._note.beginning(wanted)):
            renaming.fill(new)
        self._keep(self._note.standing(wanted, instead_of=stands))
        renaming.finish()
        self._keep(self._note.standing(wanted))
        return self._made(wanted)
