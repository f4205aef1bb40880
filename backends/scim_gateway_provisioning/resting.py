"""Rows that only wait: a target tells of all at once who still does, and these are left alone until the next time.

What it tells is never taken for more: who may have joined, been refused or been taken away is looked at by itself.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from scim_gateway_sql.database import Session
from scim_gateway_sql.portable import Clock
from sqlalchemy import and_, bindparam, select, update

from scim_gateway.errors import ScimError

from .context import Context
from .defects import DefectsLogged
from .mark import WAITING
from .tables import edges, works
from .target import Deadline, Known, Unreachable
from .work import BATCH, FREE, Work, WorkKey, batches, selection, work_of

FEW = 2
"""So few rows are as cheap to look at one by one."""

LOOKS = 100
"""So many are looked at one by one in a round in which a target cannot tell; the next round asks it again."""

_log = logging.getLogger("scim_gateway.provisioning")

# As :func:`only_waits` says of a row that was read.
_ONLY_WAITS = and_(
    works.c.applied_no == works.c.gen_no,
    works.c.stale_no == 0,
    works.c.absent_flag == 0,
    works.c.waiting_text.is_not(None),
    works.c.trouble_text.is_(None),
    works.c.next_ms.is_not(None),
    FREE,
)
_HERE = and_(works.c.tenant == bindparam("tenant_"), works.c.target_name == bindparam("target_"))
_EVERY = (
    selection()
    .where(_HERE, works.c.resource_id > bindparam("after_"), _ONLY_WAITS)
    .order_by(works.c.resource_id)
    .limit(BATCH)
)
_MEMBERS = select(edges.c.group_id, edges.c.member_id, edges.c.deferred_flag).where(
    edges.c.tenant == bindparam("tenant_"),
    edges.c.target_name == bindparam("target_"),
    edges.c.group_id.in_(bindparam("ids", expanding=True)),
)
_NEXT_TIME = (
    update(works)
    .where(_HERE, works.c.resource_id.in_(bindparam("ids", expanding=True)), _ONLY_WAITS)
    .values(next_ms=Clock() + bindparam("again_ms_"))
)


def only_waits(work: Work) -> bool:
    """Whether the target has all that the directory wants, but for what it waits for."""
    waits = work.waiting is not None and work.trouble is None and work.next is not None
    return waits and work.free and not (work.pending or work.stale or work.absent)


class Resting:
    """What one round of the retry leaves alone.

    :param alive: asked before a target is, and before rows are moved on; ``False``: another process has taken over.
    :param looks: so many rows are looked at one by one if a target cannot tell; ``None``: all.
    """

    def __init__(self, context: Context, alive: Callable[[], bool] = lambda: True, *, looks: int | None = None) -> None:
        self._context = context
        self._alive = alive
        self._most = looks
        self._asked: set[str] = set()
        self._resting: set[WorkKey] = set()
        self._looks: dict[str, int] = {}

    def others(self, found: Sequence[Work]) -> Iterator[Work]:
        """Rows to look at one by one: those that do not only wait come first, those that wait for members last.

        A target is asked once in a round, when more than a few rows wait for it.

        :raises scim_gateway.errors.Unavailable: the directory cannot be reached.
        """
        waiting = [work for work in found if only_waits(work)]
        # What has to be done does not wait for a target that may take its time to tell.
        yield from (work for work in found if not only_waits(work))
        for target, count in Counter(work.target for work in waiting).items():
            if count > FEW and target in self._context.targets and target not in self._asked and self._alive():
                self._asked.add(target)
                self._ask(target)
        yield from sorted(filter(self._is_looked_at, waiting), key=_waits_for_members)

    def _is_looked_at(self, work: Work) -> bool:
        if work.key in self._resting:
            return False
        if work.target not in self._looks:
            return True
        self._looks[work.target] -= 1
        return self._looks[work.target] >= 0

    def _ask(self, target: str) -> None:
        if not self._context.journal.goes_on(revoking=False):
            return
        rows = list(self._only_waiting(target))
        still = self._still_waiting(target, {work.id: work.known for work in rows if work.kind == "User"})
        if not still:
            return
        groups = [work.id for work in rows if _waits_for_members(work)]
        left_alone = still | self._waiting_for_them(target, groups, still)
        if self._alive():
            # Those that are not due yet, too: so all are due together, and the target is asked once for them.
            self._move_on(target, left_alone)
            self._resting.update((id, target) for id in left_alone)

    def _only_waiting(self, target: str) -> Iterator[Work]:
        """All that wait for a target, due or not."""
        after: str | None = ""
        while after is not None:
            where = {"tenant_": self._context.tenant, "target_": target, "after_": after}
            with self._context.database.operation(write=False) as session:
                rows = [work_of(row) for row in session.execute(_EVERY, where)]
            yield from rows
            after = rows[-1].id if len(rows) == BATCH else None

    def _still_waiting(self, target: str, known: Mapping[str, Known]) -> set[str]:
        """Ids of those who still wait, as far as the target tells."""
        if not known:
            return set()
        with DefectsLogged(_log, "the target %s failed unexpectedly", target):
            try:
                told = self._context.targets[target].still_waiting(Deadline(self._context.times.background), known)
                return set(told) & known.keys()
            except (Unreachable, ScimError) as error:
                _log.warning("%s does not tell who still waits, and is asked one by one: %s", target, error)
        if self._most is not None:
            self._looks[target] = self._most
        return set()

    def _waiting_for_them(self, target: str, groups: Collection[str], still: Collection[str]) -> set[str]:
        """The groups all of whose memberships wait for these members."""
        found: set[str] = set()
        for batch in batches(groups):
            where = {"tenant_": self._context.tenant, "target_": target, "ids": batch}
            with self._context.database.operation(write=False) as session:
                rows = session.execute(_MEMBERS, where).all()
            moved = {row.group_id for row in rows if not row.deferred_flag or row.member_id not in still}
            found.update(row.group_id for row in rows if row.group_id not in moved)
        return found

    def _move_on(self, target: str, ids: Collection[str]) -> None:
        """Look at these the next time; but for those of which something was asked meanwhile."""
        for batch in batches(ids):
            row = {
                "tenant_": self._context.tenant,
                "target_": target,
                "ids": batch,
                "again_ms_": int(self._context.times.waiting * 1000),
            }

            def move(session: Session, row: Mapping[str, object] = row) -> None:
                # Done twice it is as good as once.
                session.prove_by(lambda later: False)
                session.execute(_NEXT_TIME, row)

            self._context.database.run(move)


def _waits_for_members(work: Work) -> bool:
    return work.kind == "Group" and work.waiting == WAITING and only_waits(work)
