"""One person's account: made equal to what the directory says, or removed; each call may follow one that was cut."""

from __future__ import annotations

from contextlib import ExitStack

from scim_gateway_provisioning.target import Outcome, Save, Unreachable, User

from scim_gateway.errors import Conflict

from . import accounts
from .accounts import look
from .marks import Mark
from .named import Named
from .notes import Note
from .protection import administrator, refuse
from .renaming import Renaming
from .sessions import end_sessions, none_open
from .users import Account
from .work import Work


class Person(Named):
    """One call about one person.

    :param id: SCIM id.
    """

    kind = "User"

    def __init__(self, work: Work, id: str, note: Note, save: Save) -> None:
        super().__init__(work, note, save)
        self._id = id
        self._mark = Mark(id, work.settings.tenant)
        self._untouchable = False

    def put(self, user: User, wanted: str) -> Outcome:
        """Make the account equal to what the directory says.

        :param wanted: name that it has to have.
        """
        stands, wanted = self._note.name, self._settled_name(wanted)
        if not user.active and self._work.settings.on_deactivate == "drop":
            self.remove()
            return Outcome({})
        try:
            self._clear(wanted)
        except Unreachable:
            # What an earlier call left under another name must not keep the one that counts open.
            if not user.active and stands is not None:
                self._shut_out_as(user, stands)
            raise
        account = self._carry(user, stands, wanted) if stands not in (None, wanted) else None
        account = account or self._ensure(user, wanted)
        if self._untouchable:
            return Outcome(self._note.known)
        if not user.active:
            if account is None:
                return Outcome({})
            self._shut_out(user, account)
        elif account is not None:
            accounts.unlock(self._work, account, self._mark, noted=self._note.locked)
            self._note = self._note.with_lock(False)
        return Outcome(self._note.known)

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
        """The account of a name: taken over if it may be; ``None``: it was just made, or there is to be none.

        Nobody inactive gets an account: none can be made that is locked from the beginning, and one that is open for
        the time of a statement is open for longer when the next statement does not get through.
        """
        work = self._work
        standing = look(work, name)
        account = standing.here
        if user.active:
            accounts.alone(standing)
        if account is None:
            work.prove_sight()
            if standing.dropped or (not user.active and self._began.name is not None):
                # Sessions of a dropped account live on, listed or not, and might get the rights of a new one.
                end_sessions(work, name)
            if user.active:
                self._make(name, recreated=bool(standing.dropped))
            elif self._began.name is not None:
                accounts.none_elsewhere(standing)
            return None
        ours = accounts.is_ours(
            work, account, self._id, noted=name == self._began.name, begun=name == self._began.making
        )
        if not ours and not user.adoptable:
            raise accounts.foreign(work, name)
        privilege = work.privilege_of_user(name)
        if privilege is None:
            accounts.put_mark(work, account, self._mark.with_lock(self._note.locked))
        elif ours and self._is_so_already(user, account):
            self._untouchable = True
        else:
            refuse("User", name, administrator(privilege))
        self._note = self._note.standing(name)
        return account

    def _is_so_already(self, user: User, account: Account) -> bool:
        """Whether nothing has to be done to an account that may not be touched.

        What was refused is taken back in the directory, and that is asked for like anything else: while it seemed to be
        left to do, changes of the groups that this person is in would be refused, too.
        """
        work = self._work
        shut_out = account.mark.locked if account.mark is not None else self._note.locked
        if user.active or not shut_out:
            return user.active and not shut_out
        groups = work.groups_of(account.name)
        inside = bool(groups) and bool(user.managed_groups(groups))
        return account.locked is True and not inside and none_open(work, account.name)

    def _make(self, name: str, *, recreated: bool) -> None:
        work = self._work
        with self._intending(Note(making=name, method=work.settings.authentication.method)):
            accounts.make(work, name, self._mark)
        if recreated:
            for group in sorted(work.groups_of(name)):
                accounts.leave(work, name, group)
        self._note = self._note.standing(name)

    def _made(self, name: str) -> Account:
        account = look(self._work, name).here
        if account is None:
            raise accounts.foreign(self._work, name)  # gone within a moment: somebody else is at work
        return account

    def _shut_out(self, user: User, account: Account) -> None:
        work = self._work
        if account.attributes is None:
            self._keep(self._note.with_lock(True))  # before: a lock that nobody remembers would never be taken off
        with ExitStack() as after:  # backwards, and each whatever became of what was before it
            after.callback(end_sessions, work, account.name)
            after.callback(accounts.leave_groups, work, account.name, user.managed_groups)
            accounts.lock(work, account, self._mark)
        self._note = self._note.with_lock(True)
        accounts.none_elsewhere(look(work, account.name))

    def _shut_out_as(self, user: User, name: str) -> None:
        account = look(self._work, name).here
        if account is not None and self._is_own(account):
            accounts.refuse_administrator(self._work, name)
            self._shut_out(user, account)

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
            raise accounts.foreign(work, stands)
        accounts.refuse_administrator(work, stands)
        if not user.active:
            self._shut_out(user, old.here)
        accounts.alone(old)
        renaming = Renaming(work, old.here, wanted, self._mark, self._note.method, active=user.active)
        new = look(work, wanted)
        accounts.alone(new)
        if new.here is not None:
            if not self._is_own(new.here):
                raise accounts.foreign(work, wanted)
            accounts.refuse_administrator(work, wanted)
        else:
            work.prove_sight()
        with self._intending(self._note.beginning(wanted)):
            renaming.fill(new)
        self._keep(self._note.standing(wanted, instead_of=stands))
        renaming.finish()
        self._keep(self._note.standing(wanted))
        return self._made(wanted)
