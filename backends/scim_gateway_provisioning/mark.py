"""The last step of a change: what the target has confirmed is noted, if nobody changed it in between.

Who finds that his claim was lost while the target was called marks nothing, and has it looked at again instead: what he
did may have come after what his successor did.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from scim_gateway_sql.database import Session

from . import mark_rows as rows
from . import target_names
from .apply import Progress
from .context import Context
from .desired import Desired, Edge, Task
from .journal import Result
from .record_rows import Touch, add_edges, held_by, write_touches
from .target import Kind, Known, Outcome, Target
from .work import Work, batches, read

WAITING = "members have to be there first"
"""What is said of a group whose members have an invitation to accept."""


@dataclass(slots=True)
class Marked:
    """What a mark found.

    :param applied: by id, the generation that the target has now.
    :param again: by id, generations of rows whose claim was lost: they are to be looked at again.
    :param settled: how many memberships are done with.
    """

    applied: dict[str, int] = field(default_factory=dict)
    again: dict[str, int] = field(default_factory=dict)
    settled: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """What stopped a batch.

    :param text: one line for the operator.
    :param at: the task whose call failed; ``None``: the target could not be asked at all.
    :param backoff: seconds until the first retry; twice as long after each retry, up to ``backoff_limit``.
    :param retried: whether a retry has failed. A request tries several times within a second, which is one attempt.
    """

    text: str
    at: Task | None
    backoff: float
    backoff_limit: float
    retried: bool

    def concerns(self, task: Task) -> bool:
        """Whether the task is one that failed, or that could not be tried."""
        return self.at is None or self.at.work.id == task.work.id

    def again(self, work: Work) -> float:
        """Seconds until the retry looks at a row."""
        doubled = min(work.attempts, 30) if self.retried else 0
        seconds: float = min(self.backoff * 2.0**doubled, self.backoff_limit)
        return seconds

    def attempts(self, work: Work) -> int:
        """How many attempts there were, this one included."""
        return work.attempts + 1 if self.retried else max(work.attempts, 1)


class Marker:
    """Marks what came of one batch, in the caller's transaction.

    :param failure: what stopped the batch, if something did.
    :param answered: whether a client is told; the retry tells nobody.
    """

    def __init__(
        self,
        session: Session,
        context: Context,
        target: str,
        holder: str,
        desired: Desired,
        progress: Progress,
        failure: Failure | None = None,
        *,
        answered: bool,
    ) -> None:
        self._session = session
        self._context = context
        self._target = target
        self._holder = holder
        self._desired = desired
        # Rows are locked in the order of their ids, and before the edges.
        self._tasks = sorted(desired.tasks, key=lambda task: task.work.id)
        self._progress = progress
        self._failure = failure
        self._answered = answered
        self._at = {"tenant_": context.tenant, "target_": target}
        self._applied: dict[str, int] = {}
        self._done: set[str] = set()
        self._lost: list[Task] = []
        self._results: list[Result] = []

    def mark(self) -> Marked:
        """Note the progress, and let the claims go."""
        moved = self._moved(self._progress.edges)
        unsettled = {edge.group for edge in moved}
        for task in self._tasks:
            self._row(task, whole=task.work.id not in unsettled)
        kept = {*map(id, moved)}
        lost = {task.work.id for task in self._lost}
        self._drop(edge for edge in self._progress.edges if id(edge) not in kept and edge.group not in lost)
        self._defer(edge for edge in self._progress.deferred if edge.group not in lost)
        again = self._look_again()
        self._suspect(edge for edge in moved if edge.group not in lost)
        self._clean()
        settled = len(self._progress.edges) + len(self._progress.deferred) - len(moved)
        return Marked(self._applied, again, settled)

    def close(self) -> None:
        """Record what came of it: the last statements before the transaction ends, as all wait for each other there."""
        if self._results:
            self._context.journal.marked(self._session, self._results)
        first, tenant, holder = self._tasks[0].work, self._context.tenant, self._holder
        # Whatever came of it, the claims are let go.
        self._session.prove_by(lambda later: not held_by(later, tenant, first, holder))

    # Rows

    def _row(self, task: Task, *, whole: bool) -> None:
        work = task.work
        if work.id in self._progress.gone:
            noted = self._removed(work)
        elif task.desired is not None and whole and self._is_complete(task):
            noted = self._complete(task)
        elif self._failure is not None and self._failure.concerns(task):
            noted = self._failed(task, self._failure)
        elif task.desired is not None and self._is_put(task):
            noted = self._changed(rows.STEP, self._step(task, whole=False))
        else:
            # Nothing was done for it.
            self._changed(rows.RELEASED, self._here(work))
            return
        if not noted:
            self._lost.append(task)

    def _is_put(self, task: Task) -> bool:
        # One that waits is put again although nothing is new about it: if that fails, it is not put.
        at = self._failure.at if self._failure is not None else None
        failed = at is not None and at.work.id == task.work.id
        return task.work.id in self._progress.put or not (task.work.stale or failed)

    def _is_complete(self, task: Task) -> bool:
        dealt_with = (*self._progress.edges, *self._progress.deferred)
        count = len({edge.id for edge in dealt_with if edge.group == task.work.id})
        return self._is_put(task) and not task.more and count == len(task.edges)

    def _removed(self, work: Work) -> bool:
        if self._changed(rows.REMOVED, {**self._here(work), "gen_no_": work.generation}):
            self._is_done(work)
            return True
        again = {"gen_no_": work.generation, "known_": b"{}", "whole_": 0, "answered_": 0}
        return self._changed(rows.STEP, {**self._here(work), **again})

    def _complete(self, task: Task) -> bool:
        waiting = self._waiting(task)
        again = self._context.times.waiting if waiting else 0.0
        row = self._step(task, whole=True)
        del row["whole_"]
        if self._changed(rows.DONE, {**row, "waiting_": waiting, "again_ms_": int(again * 1000)}):
            self._is_done(task.work)
            return True
        if self._changed(rows.STEP, self._step(task, whole=True)):
            # More was asked for in between; this much is there.
            self._applied[task.work.id] = task.work.generation
            return True
        return False

    def _failed(self, task: Task, failure: Failure) -> bool:
        work = task.work
        row = {
            **self._here(work),
            "trouble_": failure.text,
            "attempts_": failure.attempts(work),
            "again_ms_": int(failure.again(work) * 1000),
        }
        statement = rows.FAILED
        if outcome := self._progress.put.get(work.id):
            statement = rows.FAILED_LATER
            row |= {"known_": orjson.dumps(dict(outcome.known)), "gen_no_": work.generation}
        if not self._changed(statement, row):
            return False
        self._results.append(Result(self._target, work.kind, work.id, "pending", failure.text))
        return True

    def _is_done(self, work: Work) -> None:
        self._applied[work.id] = work.generation
        self._done.add(work.id)
        self._results.append(Result(self._target, work.kind, work.id, "done"))

    def _step(self, task: Task, *, whole: bool) -> dict[str, Any]:
        work = task.work
        return {
            **self._here(work),
            "gen_no_": work.generation,
            "known_": orjson.dumps(dict(self._known(task))),
            "answered_": int(self._answered),
            "whole_": int(whole),
        }

    def _here(self, work: Work) -> dict[str, Any]:
        return {**self._at, "id_": work.id, "holder_": self._holder}

    def _waiting(self, task: Task) -> str | None:
        """What the target waits for, for an administrator."""
        outcome = self._progress.put.get(task.work.id)
        if task.kind == "User":
            return outcome.waiting if outcome else task.work.waiting
        if outcome is not None and outcome.waiting is not None:
            return outcome.waiting
        if any(edge.group == task.work.id for edge in self._progress.deferred):
            return WAITING
        if not self._desired.deferred:
            return task.work.waiting
        settled = [edge.id for edge in self._progress.edges if edge.group == task.work.id]
        here = {**self._at, "id_": task.work.id, "ids": settled or [""]}
        return WAITING if self._session.execute(rows.DEFERRED, here).first() is not None else None

    def _changed(self, statement: Any, row: dict[str, Any]) -> bool:
        return self._session.execute(statement, row).rowcount == 1

    def _look_again(self) -> dict[str, int]:
        """Raise the generation of what was called for without a claim, and of whoever has such a name now."""
        if not self._lost:
            return {}
        lost = {task.work.id: task for task in self._lost}
        others = {holder for task in self._lost if (holder := self._other(task.kind, task.work.id, self._known(task)))}
        found = read(self._session, self._context.tenant, {*lost, *others}, target=self._target, lock=True)
        touches = []
        for id in sorted({*lost, *(id for id, _ in found)}):
            work = found.get((id, self._target))
            touch = Touch(self._context.targets[self._target], work.kind if work else lost[id].kind, id, work)
            touch.stale = touch.revoking = True
            # Where the row is gone, whatever was made now is left over.
            touch.absent = work is None or work.absent
            if id in lost and not touch.absent:
                touch.edges = {edge.id for edge in lost[id].edges} | self._mistaken(lost[id].edges)
            touches.append(touch)
        written = write_touches(self._session, self._context, touches, "", ())
        add_edges(self._session, self._context.tenant, self._target, touches, written)
        return {work.id: work.generation for work in written.values()}

    def _known(self, task: Task) -> Known:
        outcome = self._progress.put.get(task.work.id)
        return outcome.known if outcome else task.work.known

    def _other(self, kind: Kind, id: str, known: Known) -> str | None:
        """Who has a name now that was another's when it was used."""
        name = known.get("name")
        if name is None:
            return None
        target = self._context.targets[self._target]
        holder = target_names.holder_of(self._session, self._context.tenant, target, kind, name)
        return holder if holder != id else None

    # Memberships

    def _moved(self, done: Iterable[Edge]) -> list[Edge]:
        """Those memberships whose members are not any more what they were when the target was called."""
        members = {edge.id: edge for edge in done}
        found: dict[str, int] = {}
        for batch in batches(members):
            current = self._session.execute(rows.GENERATIONS, {**self._at, "ids": batch})
            found.update((row.resource_id, row.gen_no) for row in current)
        return [edge for edge in done if found.get(edge.id) != (edge.member.generation if edge.member else None)]

    def _suspect(self, moved: Iterable[Edge]) -> None:
        """Have the memberships looked at of those who have by now the names that were used for others."""
        by_group: dict[str, list[Edge]] = {}
        for edge in moved:
            by_group.setdefault(edge.group, []).append(edge)
        works = {task.work.id: task.work for task in self._desired.tasks}
        target = self._context.targets[self._target]
        touches = [
            Touch(target, "Group", group, works[group], edges=mistaken)
            for group, found in sorted(by_group.items())
            if (mistaken := self._mistaken(found))
        ]
        numbers = {touch.key: works[touch.id] for touch in touches}
        add_edges(self._session, self._context.tenant, self._target, touches, numbers)

    def _mistaken(self, found: Iterable[Edge]) -> set[str]:
        others = (self._other(edge.member.kind, edge.id, edge.member.known) for edge in found if edge.member)
        return {other for other in others if other is not None}

    def _drop(self, done: Iterable[Edge]) -> None:
        for (group, number), ids in _by_group(done):
            for batch in batches(ids):
                row = {**self._at, "id_": group, "number_": number, "ids": batch}
                self._session.execute(rows.DROP_EDGES_OF, row)

    def _defer(self, deferred: Iterable[Edge]) -> None:
        for (group, number), ids in _by_group(deferred):
            for batch in batches(ids):
                row = {**self._at, "id_": group, "number_": number, "ids": batch}
                self._session.execute(rows.DEFER_EDGES, row)
            if group not in self._done:
                # Whoever does the rest does not read these memberships, and has to know that there are some.
                self._session.execute(rows.WAITS, {**self._at, "id_": group, "waiting_": WAITING})

    def _clean(self) -> None:
        """Take away what belonged to rows that are gone, and names that are not used any more."""
        tenant, target = self._context.tenant, self._context.targets[self._target]
        for task in self._desired.tasks:
            work = task.work
            if work.id not in self._done:
                continue
            if work.id in self._progress.gone:
                if work.kind == "Group":
                    ids = self._session.execute(rows.EDGES_OF, {**self._at, "id_": work.id}).scalars().all()
                    for batch in batches(ids):
                        self._session.execute(rows.DROP_EDGES, {**self._at, "id_": work.id, "ids": batch})
                target_names.give_up(self._session, tenant, self._target, work.kind, work.id)
            elif work.renaming and (outcome := self._progress.put.get(work.id)) is not None and "name" in outcome.known:
                keys = [target_names.key_of(target, work.kind, name) for name in _names(target, task, outcome)]
                target_names.give_up(self._session, tenant, self._target, work.kind, work.id, but=keys)


def _names(target: Target, task: Task, outcome: Outcome) -> Iterator[str]:
    """The names that a resource has now; while the target waits for it, also those that it is to have, or still has."""
    yield outcome.known["name"]
    if outcome.waiting is not None and task.desired is not None:
        yield target.name_of(task.kind, task.desired.resource)
        yield from outcome.known.get("also", ())


def _by_group(found: Iterable[Edge]) -> Sequence[tuple[tuple[str, int], list[str]]]:
    by_group: dict[tuple[str, int], list[str]] = {}
    for edge in found:
        by_group.setdefault((edge.group, edge.number), []).append(edge.id)
    return sorted(by_group.items())
