"""Takes a change back that a target could not follow: all of it when it was refused, what gives rights when it failed.

What somebody else changed in the meantime stays: an attribute goes back only while it has the value that this request
gave it and nobody gave rights since, a membership only while its row is the one that this request wrote.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, replace

from scim_gateway_sql.database import Session
from sqlalchemy import bindparam, select

from scim_gateway.abilities import MemberChange, MembershipHandler
from scim_gateway.changes import changed
from scim_gateway.errors import NotFound, StaleResource, Uniqueness
from scim_gateway.schema import Resource

from . import nesting
from .context import Context, new_holder
from .journal import Change
from .operation import Operation, active
from .pauses import between
from .promises import PromiseGone, withdraw
from .record import Recorded, record
from .tables import edges
from .target import Deadline
from .target_names import HeldByPending
from .work import batches, read

ATTEMPTS = 8
_WITH_NAMES = 4
"""After so many attempts names stay that somebody else may have taken; all else goes back all the same."""

_UNTOUCHED = ("id", "meta")

_EDGES = select(edges.c.group_id, edges.c.member_id, edges.c.edge_no).where(
    edges.c.tenant == bindparam("tenant_"),
    edges.c.target_name == bindparam("target_"),
    edges.c.group_id.in_(bindparam("ids", expanding=True)),
)


def take_back(
    context: Context,
    recorded: Recorded,
    failed: Collection[str],
    reachable: Collection[str],
    *,
    whole: bool,
    alone: bool = False,
) -> Recorded | None:
    """Undo a change in a transaction of its own; what is to be settled now, or ``None`` if nothing was to be undone.

    :param failed: targets that could not follow.
    :param reachable: targets that are brought to the new state by the caller; in the others it is pending work.
    :param whole: everything goes back; otherwise only what gives rights.
    :param alone: nobody else asked for it: members go as well that the targets have by now.
    :raises scim_gateway.errors.Unavailable: the directory cannot be reached.
    """
    context.failpoints.hit("compensate.before")
    for attempt in range(ATTEMPTS):
        operation = Operation(Deadline(context.times.request))
        try:
            with context.directory.operation(write=True), context.database.session(write=True) as session:
                names = whole or attempt < _WITH_NAMES
                undo = _Undo(session, context, recorded, failed, whole, alone=alone, names=names)
                undo.run(operation)
                if not operation.changes:
                    if recorded.promise is not None:
                        withdraw(session, context.tenant, recorded.promise, recorded.holder)
                    return None
                undone = record(
                    session,
                    context,
                    operation,
                    new_holder(),
                    undone=True,
                    claiming=reachable,
                    withdrawing=recorded,
                )
        except PromiseGone:
            # Another request answers for what was given, or it was taken back already.
            if not whole:
                return None
            recorded = replace(recorded, promise=None, changes=_refused_still(recorded.changes))
        except (StaleResource, Uniqueness, HeldByPending):
            # Somebody is changing the same resources; at last theirs is left as it is.
            if attempt == ATTEMPTS - 1:
                return None
            time.sleep(between(0, 0.002 * 2**attempt))
        else:
            context.failpoints.hit("compensate.committed")
            return undone
    return None


@dataclass(frozen=True, slots=True)
class _Back:
    """What goes back of one change: attributes, and members that leave or come again."""

    attributes: frozenset[str] = frozenset()
    leave: frozenset[str] = frozenset()
    rejoin: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.attributes or self.leave or self.rejoin)


class _Undo:
    """What goes back, by what is there now.

    :param alone: nobody else asked for it.
    :param names: whether attributes that may be somebody else's by now go back: all but ``active``.
    """

    def __init__(
        self,
        session: Session,
        context: Context,
        recorded: Recorded,
        failed: Collection[str],
        whole: bool,
        *,
        alone: bool,
        names: bool,
    ) -> None:
        self._alone = alone
        self._names = names
        self._session = session
        self._context = context
        self._recorded = recorded
        self._failed = failed
        self._whole = whole
        self._handlers = context.directory.handlers
        # Locks first, in the order of everybody: groups by id, then users by id.
        self._changes = sorted(recorded.changes, key=lambda change: (change.kind != "Group", change.kind, change.id))
        self._current = {change.id: self._now(change) for change in self._changes}
        ids = {id for id, _ in recorded.generations}.union(change.id for change in self._changes)
        self._rows = read(session, context.tenant, ids)
        self._concerned, self._ours = self._edges()

    def run(self, operation: Operation) -> None:
        """Change the directory, and note it."""
        back = [(change, self._back(change)) for change in self._changes]
        for change in self._changes:
            if change.after is None and self._whole:
                self._bring_back(change, operation)
            elif change.before is None and change.after is not None:
                self._remove(change, operation)
        for change, what in back:
            current = self._current[change.id]
            if what and current is not None:
                self._change(change, current, what, operation)

    def _now(self, change: Change) -> Resource | None:
        handler = self._handlers[change.kind]
        members = handler.resource_type.members
        unread = (members,) if members and isinstance(handler, MembershipHandler) else ()
        try:
            return handler.get(change.id, without=unread)
        except NotFound:
            return None

    def _edges(self) -> tuple[set[str], set[str]]:
        """Members whose memberships this request wrote down for failed targets, and those that nobody touched since."""
        concerned: set[str] = set()
        ours: set[str] = set()
        for target in self._failed:
            wrote = self._recorded.edges.get(target, frozenset())
            now: dict[tuple[str, str], int] = {}
            for batch in batches({group for group, _ in wrote}):
                here = {"tenant_": self._context.tenant, "target_": target, "ids": batch}
                for group, member, number in self._session.execute(_EDGES, here):
                    now[group, member] = number
            for group, member in wrote:
                concerned.add(member)
                number, mine = now.get((group, member)), self._recorded.generations.get((group, target))
                # One that the target has by now goes back with a change that was refused, unless the group went on.
                row = self._rows.get((group, target))
                alone = row is not None and row.generation == mine
                if number == mine or (number is None and (self._alone or (self._whole and alone))):
                    ours.add(member)
        return concerned, ours

    def _is_ours(self, id: str) -> bool:
        """Whether nobody gave anything to a resource since this request did."""
        for target in self._failed:
            mine, row = self._recorded.generations.get((id, target)), self._rows.get((id, target))
            if mine is not None and row is not None and mine not in (row.generation, row.granted):
                return False
        return True

    def _back(self, change: Change) -> _Back:
        before, after, current = change.before, change.after, self._current[change.id]
        if before is None or after is None or current is None:
            return _Back()
        names = before.keys() | after.keys()
        differing = {name for name in names if name not in _UNTOUCHED and before.get(name) != after.get(name)}
        if not self._whole and active(before) and not active(after):
            differing.discard("active")
        attributes = {name for name in differing if current.get(name) == after.get(name)}
        if not self._names:
            attributes &= {"active"}
        return _Back(
            frozenset(attributes if self._is_ours(change.id) else ()),
            frozenset(id for id, kind in change.added.items() if self._leaves(change.id, id, kind)),
            frozenset(change.removed if self._whole else ()),
        )

    def _leaves(self, group: str, member: str, kind: str) -> bool:
        """Whether a member that was added leaves again: not if the targets have it by now, or others touched it."""
        users = {member}
        if kind == "Group":
            users |= nesting.below(self._session, self._context.tenant, [member])[member]
        if users & self._concerned:
            return bool(users & self._ours)
        return self._is_ours(group)

    def _change(self, change: Change, current: Resource, what: _Back, operation: Operation) -> None:
        handler = self._handlers[change.kind]
        after = dict(current)
        assert change.before is not None
        for name in what.attributes:
            if name in change.before:
                after[name] = change.before[name]
            else:
                after.pop(name, None)
        members = self._members(change, what) if isinstance(handler, MembershipHandler) else MemberChange()
        if not members and after == current:
            return
        after = changed(current, after)
        if members and isinstance(handler, MembershipHandler):
            handler.change_members(current, after, members)
            operation.modified(change.kind, current, after, members)
        else:
            handler.modify(current, after)
            operation.modified(change.kind, current, after)

    def _members(self, change: Change, what: _Back) -> MemberChange:
        """The difference, against who is a member now and who exists."""
        if not what.leave and not what.rejoin:
            return MemberChange()
        handler = self._handlers[change.kind]
        assert isinstance(handler, MembershipHandler)
        there = handler.member_ids(change.id, among=what.leave | what.rejoin)
        known = self._context.directory.references(what.rejoin - there)
        return MemberChange(
            {id: reference.resource_type for id, reference in known.items()}, frozenset(what.leave & there)
        )

    def _bring_back(self, change: Change, operation: Operation) -> None:
        """A deletion that was refused: the same resource again, with the members that it had."""
        assert change.before is not None
        handler = self._handlers[change.kind]
        again = changed(change.before, dict(change.before))
        members = handler.resource_type.members
        if members and change.disbanded:
            known = self._context.directory.references(change.disbanded)
            again[members] = [{"value": id, "type": known[id].resource_type} for id in sorted(known)]
        handler.create(again)
        operation.created(change.kind, again, members)

    def _remove(self, change: Change, operation: Operation) -> None:
        """A creation: it never was, unless somebody has begun to use it."""
        current = self._current[change.id]
        assert change.after is not None
        if current is None or current["meta"]["version"] != change.after["meta"]["version"]:
            return
        if nesting.above(self._session, self._context.tenant, [change.id])[change.id]:
            return
        self._handlers[change.kind].delete(current)
        operation.deleted(change.kind, current)


def _refused_still(changes: Collection[Change]) -> tuple[Change, ...]:
    """What goes back of a refused request whose promise is another's by now: not what it made."""
    return tuple(change for change in changes if change.before is not None)


def revokes(changes: Collection[Change]) -> bool:
    """Whether changes take something away that stays taken away."""
    return any(
        change.before is not None
        and (change.after is None or bool(change.removed) or (active(change.before) and not active(change.after)))
        for change in changes
    )
