"""A new name for an account: the Engine knows no RENAME, so a second account takes over all that the first one has.

At no time is more allowed than before or after: the new account gets only what the old one has, and has the same lock;
the old one goes when the new one has everything. A call that was cut is taken up again from what is there.
"""

from __future__ import annotations

from scim_gateway_provisioning.target import Unreachable

from scim_gateway.errors import Conflict
from scim_gateway.text import shown

from . import accounts
from .failures import Denied, Refused
from .grants import Grant, UnreadableGrant, parse_grant
from .marks import Mark, attribute_text
from .sessions import end_sessions
from .settings import TYPES
from .statements import change_user, grant_group, grant_privileges
from .users import Account, Standing
from .work import Work

_ROUNDS = 4
Held = dict[str, frozenset[str]]
"""Privileges by scope."""


class Renaming:
    """One account and the name that it is to have.

    :param old: the account as it is.
    :param method: how it was made to log in, if the gateway made it.
    :param active: whether its person may log in.
    :raises Conflict: there is something about it that cannot be carried over; nothing was changed.
    """

    def __init__(self, work: Work, old: Account, name: str, mark: Mark, method: str | None, *, active: bool) -> None:
        self._work = work
        self._old = old
        self._name = name
        by_gateway = old.mark.locked if old.mark is not None else False
        self._mark = mark.with_lock(not active)
        self._locked = not active or (old.locked is True and not by_gateway)
        self._refuse_other_log_in(method)
        self._held_by(old.name)

    def _refuse_other_log_in(self, method: str | None) -> None:
        chosen = self._work.settings.authentication
        same_type = self._old.type == TYPES[chosen.plugin] or self._old.type not in TYPES.values()
        if method != chosen.method and (method is not None or not same_type):
            raise Conflict(
                f"The Engine's account {shown(self._old.name)} logs in by {method or self._old.type}, new ones do by "
                f"{chosen.method}, and SingleStore renames no account. Set engine_on_rename=keep, or let a database "
                "administrator make the new one."
            )

    def fill(self, new: Standing) -> None:
        """Make the new account, unless it is there, and give it what the old one has.

        :raises Unreachable: the old one is being changed all the time.
        """
        work = self._work
        if new.here is not None and self._has_too_much():
            accounts.drop(work, new.here, self._mark)
            new = Standing(self._name)
        if new.here is None:
            if new.dropped:
                end_sessions(work, self._name)
            accounts.make(work, self._name, self._mark, self._old)
        if self._locked and not (new.here is not None and new.here.locked):
            self._lock()
        self._give_privileges()
        for _ in range(_ROUNDS):
            if self._groups_are_equal():
                return
        raise Unreachable(f"The groups of the account {shown(self._old.name)} change while it gets another name.")

    def finish(self) -> None:
        """Remove the old account, and end its sessions."""
        self._groups_are_equal()
        accounts.drop(self._work, self._old, self._mark)

    def _lock(self) -> None:
        """Lock the new account like the old one; whoever came in before that is put out."""
        work = self._work
        if not work.can.locks:
            return  # a password that nobody knows, as it was made, is the lock of such servers
        attribute = attribute_text(self._mark, self._old.attributes) if work.can.marks else None
        work.run(change_user(self._name, lock=True, attribute=attribute))
        end_sessions(work, self._name)

    def _has_too_much(self) -> bool:
        """Whether the new account, left over from a call that was cut, holds what the old one does not any more."""
        old, new = self._held_by(self._old.name), self._held_by(self._name)
        return any(not privileges <= old.get(scope, frozenset()) for scope, privileges in new.items())

    def _give_privileges(self) -> None:
        old, new = self._held_by(self._old.name), self._held_by(self._name)
        for scope, privileges in sorted(old.items()):
            missing = privileges - new.get(scope, frozenset())
            if missing:
                self._give(Grant(tuple(sorted(missing)), scope))

    def _give(self, grant: Grant) -> None:
        try:
            self._work.run(grant_privileges(grant, self._name))
        except Denied as error:
            made = accounts.look(self._work, self._name).here
            if made is not None:
                accounts.drop(self._work, made, self._mark)
            raise Conflict(
                f"The Engine's account {shown(self._old.name)} was given rights that the gateway's account may not "
                "hand on, so they cannot be carried over to another name. Set engine_on_rename=keep, or give them by "
                "groups."
            ) from error

    def _held_by(self, name: str) -> Held:
        """What an account was given directly, but for USAGE, which everybody has."""
        held: Held = {}
        for line in self._work.grants_of(name) or ():
            try:
                grant = parse_grant(line)
            except UnreadableGrant:
                grant = None
                if name == self._old.name:
                    raise Conflict(
                        f"The Engine's account {shown(name)} was given something that the gateway cannot carry over to "
                        "another name. Set engine_on_rename=keep, or take it away from the account."
                    ) from None
            if grant is not None:
                held[grant.scope] = held.get(grant.scope, frozenset()) | frozenset(grant.privileges) - {"USAGE"}
        return {scope: privileges for scope, privileges in held.items() if privileges}

    def _groups_are_equal(self) -> bool:
        """Bring the new account into the groups of the old one; whether nothing had to be done."""
        work = self._work
        old, new = work.groups_of(self._old.name), work.groups_of(self._name)
        for group in sorted(new - old):
            accounts.leave(work, self._name, group)
        for group in sorted(old - new):
            try:
                work.run(grant_group(group, self._name))
            except Refused:
                if group in work.groups_of(self._old.name) and group not in work.groups_of(self._name):
                    raise
        return old == new
