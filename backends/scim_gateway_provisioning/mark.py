"""The last step of a change: what the target has confirmed is noted, if nobody changed it in between."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from scim_gateway_sql.database import Session
from scim_gateway_sql.portable import clock
from sqlalchemy import and_, bindparam, case, delete, select, update

from . import target_names
from .apply import Progress
from .context import Context
from .desired import Desired, Edge, Task
from .journal import Result
from .record_rows import held_by
from .tables import edges, works
from .target import Known, Outcome, Target
from .work import HERE, Work, batches

_MINE = and_(HERE, works.c.holder == bindparam("holder_"))
_STILL = and_(_MINE, works.c.gen_no == bindparam("gen_no_"))
_FREE: dict[str, Any] = {"holder": None, "held_until_ms": 0, "beat_no": works.c.beat_no + 1}
_APPLIED: dict[str, Any] = {
    "applied_no": bindparam("gen_no_"),
    "known_doc": bindparam("known_"),
    "attempt_count": 0,
    "trouble_text": None,
    "waiting_text": bindparam("waiting_"),
    "answered_flag": case((bindparam("answered_") == 1, 1), else_=works.c.answered_flag),
}
_DONE = (
    update(works)
    .where(_STILL)
    .values(
        **_APPLIED,
        **_FREE,
        stale_no=0,
        revoking_flag=0,
        # What waits may be waiting for its new name: both are its own until then.
        renaming_flag=case((bindparam("again_ms_") > 0, works.c.renaming_flag), else_=0),
        next_ms=case((bindparam("again_ms_") > 0, clock() + bindparam("again_ms_")), else_=None),
    )
)
# What was read is done, but more was asked for in between, or there was more than was read.
_STEP = (
    update(works)
    .where(_MINE)
    .values(
        **_FREE,
        applied_no=case((bindparam("whole_") == 1, bindparam("gen_no_")), else_=works.c.applied_no),
        stale_no=case((works.c.stale_no <= bindparam("gen_no_"), 0), else_=works.c.stale_no),
        known_doc=bindparam("known_"),
        next_ms=clock(),
    )
)
_FAILED = (
    update(works)
    .where(_MINE)
    .values(
        **_FREE,
        attempt_count=works.c.attempt_count + 1,
        trouble_text=bindparam("trouble_"),
        next_ms=clock() + bindparam("again_ms_"),
    )
)
_RELEASED = update(works).where(_MINE).values(**_FREE)
_REMOVED = delete(works).where(_STILL)
_EDGES_OF = select(edges.c.member_id).where(
    edges.c.tenant == bindparam("tenant_"),
    edges.c.target_name == bindparam("target_"),
    edges.c.group_id == bindparam("id_"),
)
_EDGES = and_(
    edges.c.tenant == bindparam("tenant_"),
    edges.c.target_name == bindparam("target_"),
    edges.c.group_id == bindparam("id_"),
    edges.c.member_id.in_(bindparam("ids", expanding=True)),
)
_DROP_EDGES = delete(edges).where(_EDGES)
_DROP_EDGES_OF = delete(edges).where(_EDGES, edges.c.edge_no == bindparam("number_"))
_DEFER_EDGES = (
    update(edges).where(_EDGES, edges.c.edge_no == bindparam("number_"), edges.c.deferred_flag == 0)
).values(deferred_flag=1)
_GENERATIONS = select(works.c.resource_id, works.c.gen_no).where(
    works.c.tenant == bindparam("tenant_"),
    works.c.target_name == bindparam("target_"),
    works.c.resource_id.in_(bindparam("ids", expanding=True)),
)


@dataclass(slots=True)
class Marked:
    """What a mark found.

    :param applied: by id, the generation that the target has now.
    :param lost: ids whose claim was lost before they could be marked.
    """

    applied: dict[str, int] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)


class Marker:
    """Marks what came of one batch, in the caller's transaction.

    :param answered: whether a client is told; the retry tells nobody.
    """

    def __init__(self, session: Session, context: Context, target: str, holder: str, *, answered: bool) -> None:
        self._session = session
        self._context = context
        self._target = target
        self._holder = holder
        self._answered = answered
        self._at = {"tenant_": context.tenant, "target_": target}

    def mark(self, desired: Desired, progress: Progress, failure: Failure | None = None) -> Marked:
        """Note the progress, and let the claims go.

        :param failure: what stopped it, if something did.
        """
        marked = Marked()
        results: list[Result] = []
        moved = self._moved(progress.edges)
        kept = {edge.group for edge in moved}
        # Rows are locked in the order of their ids, and before the edges.
        for task in sorted(desired.tasks, key=lambda task: task.work.id):
            self._row(task, desired, progress, failure, kept, marked, results)
        settled = set(map(id, moved))
        self._drop([edge for edge in progress.edges if id(edge) not in settled])
        self._defer(progress.deferred)
        self._clean(desired, progress, marked)
        if results:
            self._context.journal.marked(self._session, results)
        first, tenant, holder = desired.tasks[0].work, self._context.tenant, self._holder
        # Whatever came of it, the claims are let go.
        self._session.prove_by(lambda later: not held_by(later, tenant, first, holder))
        return marked

    def _row(
        self,
        task: Task,
        desired: Desired,
        progress: Progress,
        failure: Failure | None,
        kept: set[str],
        marked: Marked,
        results: list[Result],
    ) -> None:
        work = task.work
        here = {**self._at, "id_": work.id, "holder_": self._holder}
        if work.id in progress.gone:
            if self._changed(_REMOVED, {**here, "gen_no_": work.generation}):
                marked.applied[work.id] = work.generation
                results.append(Result(self._target, work.kind, work.id, "done"))
            elif not self._changed(_STEP, {**here, "gen_no_": work.generation, "known_": b"{}", "whole_": 0}):
                marked.lost.add(work.id)
            return
        outcome = progress.put.get(work.id)
        known = outcome.known if outcome else work.known
        put = outcome is not None or not work.stale
        dealt_with = {edge.id for edge in (*progress.edges, *progress.deferred) if edge.group == work.id}
        complete = put and not task.more and work.id not in kept and len(dealt_with) == len(task.edges)
        step = {**here, "gen_no_": work.generation, "known_": orjson.dumps(dict(known))}
        if complete and task.desired is not None:
            waiting = self._waiting(task, desired, progress)
            again = self._context.times.waiting if waiting else 0.0
            row = {**step, "waiting_": waiting, "again_ms_": int(again * 1000), "answered_": int(self._answered)}
            if self._changed(_DONE, row):
                marked.applied[work.id] = work.generation
                results.append(Result(self._target, work.kind, work.id, "done"))
            elif self._changed(_STEP, {**step, "whole_": 1}):
                marked.applied[work.id] = work.generation
            else:
                marked.lost.add(work.id)
        elif failure is not None and failure.concerns(task):
            trouble = {**here, "trouble_": failure.text, "again_ms_": int(failure.again(work) * 1000)}
            if self._changed(_FAILED, trouble):
                results.append(Result(self._target, work.kind, work.id, "pending", failure.text))
        elif put and task.desired is not None:
            if not self._changed(_STEP, {**step, "whole_": 0}):
                marked.lost.add(work.id)
        else:
            self._session.execute(_RELEASED, here)

    @staticmethod
    def _waiting(task: Task, desired: Desired, progress: Progress) -> str | None:
        """What the target waits for, for an administrator."""
        outcome = progress.put.get(task.work.id)
        if task.kind == "User":
            return outcome.waiting if outcome else task.work.waiting
        if count := sum(edge.group == task.work.id for edge in progress.deferred):
            return f"{count} members have to be there first"
        return (outcome.waiting if outcome else None) or (None if desired.deferred else task.work.waiting)

    def _changed(self, statement: Any, row: dict[str, Any]) -> bool:
        return self._session.execute(statement, row).rowcount == 1

    def _moved(self, done: Iterable[Edge]) -> list[Edge]:
        """Those memberships whose members are not any more what they were when the target was called."""
        members = {edge.id: edge for edge in done}
        found: dict[str, int] = {}
        for batch in batches(members):
            rows = self._session.execute(_GENERATIONS, {**self._at, "ids": batch})
            found.update((row.resource_id, row.gen_no) for row in rows)
        return [edge for edge in done if found.get(edge.id) != (edge.member.generation if edge.member else None)]

    def _drop(self, done: Sequence[Edge]) -> None:
        for (group, number), ids in _by_group(done):
            for batch in batches(ids):
                row = {**self._at, "id_": group, "number_": number, "ids": batch}
                self._session.execute(_DROP_EDGES_OF, row)

    def _defer(self, deferred: Sequence[Edge]) -> None:
        for (group, number), ids in _by_group(deferred):
            for batch in batches(ids):
                row = {**self._at, "id_": group, "number_": number, "ids": batch}
                self._session.execute(_DEFER_EDGES, row)

    def _clean(self, desired: Desired, progress: Progress, marked: Marked) -> None:
        """Take away what belonged to rows that are gone, and names that are not used any more."""
        tenant, target = self._context.tenant, self._context.targets[self._target]
        for task in desired.tasks:
            work = task.work
            if work.id not in marked.applied:
                continue
            if work.id in progress.gone:
                if work.kind == "Group":
                    ids = self._session.execute(_EDGES_OF, {**self._at, "id_": work.id}).scalars().all()
                    for batch in batches(ids):
                        self._session.execute(_DROP_EDGES, {**self._at, "id_": work.id, "ids": batch})
                target_names.give_up(self._session, tenant, self._target, work.kind, work.id)
            elif work.renaming and (outcome := progress.put.get(work.id)) is not None and "name" in outcome.known:
                keys = [target_names.key_of(target, work.kind, name) for name in _names(target, task, outcome)]
                target_names.give_up(self._session, tenant, self._target, work.kind, work.id, but=keys)


def _names(target: Target, task: Task, outcome: Outcome) -> Iterator[str]:
    """The names that a resource has now; while the target waits for it, also those that it is to have, or still has."""
    yield outcome.known["name"]
    if outcome.waiting is not None and task.desired is not None:
        yield target.name_of(task.kind, task.desired.resource)
        yield from outcome.known.get("also", ())


@dataclass(frozen=True, slots=True)
class Failure:
    """What stopped a batch.

    :param text: one line for the operator.
    :param at: the task whose call failed; ``None``: the target could not be asked at all.
    """

    text: str
    at: Task | None
    backoff: float
    backoff_limit: float

    def concerns(self, task: Task) -> bool:
        """Whether the task is one that failed, or that could not be tried."""
        return self.at is None or self.at.work.id == task.work.id

    def again(self, work: Work) -> float:
        """Seconds until the retry looks at a row: twice as long after each attempt."""
        seconds: float = min(self.backoff * 2.0 ** min(work.attempts, 30), self.backoff_limit)
        return seconds


def note(session: Session, tenant: str, work: Work, holder: str, known: Known) -> bool:
    """Keep a target's note of a row that is claimed; ``False``: the claim was lost."""
    row = {"tenant_": tenant, "target_": work.target, "id_": work.id}
    document = orjson.dumps(dict(known))
    session.prove_by(lambda later: _is_noted(later, row, document))
    return session.execute(_NOTE, {**row, "holder_": holder, "known_": document}).rowcount == 1


def _is_noted(session: Session, row: Mapping[str, str], document: bytes) -> bool:
    stored = session.execute(_KNOWN, row).scalar()
    return stored is not None and bytes(stored) == document


_KNOWN = select(works.c.known_doc).where(HERE).with_for_update()
_NOTE = update(works).where(_MINE).values(known_doc=bindparam("known_"), beat_no=works.c.beat_no + 1)


def _by_group(found: Iterable[Edge]) -> list[tuple[tuple[str, int], list[str]]]:
    by_group: dict[tuple[str, int], list[str]] = {}
    for edge in found:
        by_group.setdefault((edge.group, edge.number), []).append(edge.id)
    return sorted(by_group.items())
