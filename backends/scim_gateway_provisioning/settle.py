"""Brings rows of work to what the directory wants: claim, read, call the target, mark; until it holds or cannot."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial

from scim_gateway_sql.database import Session

from scim_gateway.errors import Conflict, ScimError, Unavailable

from . import earlier, promises
from .apply import Application, Progress
from .context import Context
from .desired import Desired, Task, read_desired
from .earlier import DeadPromises
from .mark import Failure, Marked, Marker
from .mark_rows import note
from .pauses import between
from .promises import Promise, SignsOfLife
from .recheck import reached_meanwhile
from .record_rows import claim_rows, renew
from .standing import HELD
from .target import Deadline, Known, Save, Unreachable, User
from .withdrawal import withdraw
from .work import Work, WorkKey, read

_log = logging.getLogger("scim_gateway.provisioning")


class ClaimLost(Exception):
    """Somebody else took over, because the claim was not renewed in time."""


class HeldBack(Conflict):
    """What is to be done would give what a request has not been answered for: it is left alone until that is known."""

    def __init__(self) -> None:
        super().__init__(HELD)


@dataclass(slots=True)
class Settlement:
    """The rows of one target that one request, or one try of the retry, is about.

    :param goals: generations that have to be applied, by id; those that are reached are taken out.
    :param holder: name of the claims.
    :param first: what was read for claims that are taken already.
    :param answered: whether a client is told that it is done.
    :param deferred: whether the target is asked about what it waits for as well.
    :param promise: of the request: kept together with the last mark, if this is the last target (``last``).
    :param alive: the request's signs of life.
    :param kept: whether the promise was kept.
    """

    context: Context
    target: str
    goals: dict[str, int]
    holder: str
    deadline: Deadline
    first: Desired | None = None
    answered: bool = True
    deferred: bool = False
    promise: str | None = None
    alive: SignsOfLife | None = None
    last: bool = False
    kept: bool = False

    def run(self) -> None:
        """Work until every goal is reached.

        :raises Unreachable: the target cannot be asked, or there is no time left.
        :raises scim_gateway.errors.ScimError: the target refuses for good.
        :raises scim_gateway.errors.Unavailable: the directory cannot be asked.
        :raises HeldBack: nobody is answered, and something would be given that a request is not answered for yet.
        """
        ids = sorted(self.goals)
        desired, self.first = self.first, None
        while desired is not None or (desired := self._claimed()) is not None:
            if not self._work_on(desired) and self.goals:
                self._wait()
            desired = None
        for id in ids if self.deferred else ():
            self._ask_again(id)

    def _ask_again(self, id: str) -> None:
        """Ask about a resource, or all members of a group, that the target waits for."""
        after = ""
        while True:
            desired = self.context.database.run(partial(self._waiting, id=id, after=after))
            if desired is None:
                return
            self._work_on(desired)
            [task] = desired.tasks
            if not task.more:
                return
            after = task.edges[-1].id

    def _waiting(self, session: Session, id: str, after: str) -> Desired | None:
        work = read(session, self.context.tenant, [id], target=self.target, lock=True).get((id, self.target))
        if work is None or work.waiting is None or not self._may_claim(work):
            return None
        if self._promised(session, [work]):
            return None
        claim_rows(session, self.context, [work], self.holder)
        return read_desired(session, self.context, self.target, [work], deferred=True, after=after)

    def _claimed(self) -> Desired | None:
        """Claim what is free of what is left to do, and read it; ``None`` when nothing is left."""
        waited = False
        while self.goals:
            if not waited or self._something_free():
                try:
                    desired = self.context.database.run(self._claim)
                except DeadPromises as dead:
                    for promise in dead.promises:
                        withdraw(self.context, promise)
                    desired = None
                if desired is not None:
                    self.context.failpoints.hit("claim.committed")
                    return desired
                waited = True
            if self.goals:
                self._wait()
        return None

    def _claim(self, session: Session) -> Desired | None:
        free = [work for work in self._left(session, lock=True) if self._may_claim(work)]
        if not free:
            return None
        if others := self._promised(session, free):
            dead = [promise for promise in others if promise.dead and promise.trouble is None]
            if dead and self.answered:
                raise DeadPromises(dead)
            if not self.answered:
                return self._without_giving(session, free, {key for promise in others for key in promise.rows})
        claim_rows(session, self.context, free, self.holder)
        return read_desired(session, self.context, self.target, free)

    def _promised(self, session: Session, found: Sequence[Work]) -> list[Promise]:
        """What other requests are to answer for."""
        return earlier.others(session, self.context, found, own=self.promise)

    def _without_giving(self, session: Session, free: Sequence[Work], promised: Collection[WorkKey]) -> Desired:
        """Claim rows, and read what can be done about them without giving what is only promised.

        :raises HeldBack: there is nothing.
        """
        read = read_desired(session, self.context, self.target, free)
        wanted = (_losing(task) if task.work.key in promised else task for task in read.tasks)
        tasks = [task for task in wanted if task is not None]
        if not tasks:
            raise HeldBack
        claim_rows(session, self.context, [task.work for task in tasks], self.holder)
        return Desired(tasks)

    def _something_free(self) -> bool:
        with self.context.database.operation(write=False) as session:
            left = self._left(session, lock=False)
        return not left or any(self._may_claim(work) for work in left)

    def _may_claim(self, work: Work) -> bool:
        return work.free or work.holder == self.holder

    def _left(self, session: Session, *, lock: bool) -> list[Work]:
        """Rows whose goals are not reached yet; a row that is gone has nothing to reach."""
        rows = read(session, self.context.tenant, list(self.goals), target=self.target, lock=lock)
        left = []
        for id, goal in list(self.goals.items()):
            work = rows.get((id, self.target))
            if work is None or work.applied >= goal:
                del self.goals[id]
            else:
                left.append(work)
        return sorted(left, key=lambda work: work.id)

    def stay_alive(self) -> None:
        """Give a sign of life between two tries; if the directory fails, the next try finds out."""
        if self.alive is not None:
            with suppress(Unavailable):
                self.alive.renew_in_time()

    def _wait(self) -> None:
        """Wait a little for somebody else."""
        self.stay_alive()
        if self.deadline.left() <= 0:
            raise Unreachable("Other requests are working on the same resources, and did not finish in time.")
        time.sleep(between(0, min(self.context.times.poll, self.deadline.left())))

    def _work_on(self, desired: Desired) -> bool:
        """Bring a batch about as far as possible; ``False``: all of it depends on what others are working on."""
        progress = Progress()
        claim = _Claim(self.context, self.target, [task.work for task in desired.tasks], self.holder)
        try:
            self._call(desired, progress, claim)
        except ClaimLost:
            self._mark_failure(desired, progress, "Somebody else took over.")
            return False
        except (Unreachable, ScimError) as error:
            if isinstance(error, Unreachable):
                self.context.health.failed(self.target)
            self._mark_failure(desired, progress, str(error))
            if isinstance(error, ScimError) and error.status >= 500:
                raise Unreachable(error.detail) from error
            raise
        except Exception as error:  # a target may be a plugin's, and may raise anything
            # Rights must not hang in the air because of it: the change is taken back as from a target that is away.
            _log.exception("the target %s failed unexpectedly", self.target)
            self._mark_failure(desired, progress, "It failed unexpectedly; the gateway's log says why.")
            raise Unreachable("It failed unexpectedly; the gateway's log says why.") from error
        self.context.health.answered(self.target)
        self.goals |= reached_meanwhile(self.context, self.target, desired, progress)
        marked = self._mark(desired, progress)
        for id, generation in marked.applied.items():
            if self.goals.get(id, generation + 1) <= generation:
                del self.goals[id]
        self.goals |= marked.again
        for id, member in progress.blocked.items():
            self.goals.setdefault(id, member.generation)
        return bool(marked.applied or progress.put or progress.gone or marked.settled)

    def _call(self, desired: Desired, progress: Progress, claim: _Claim) -> None:
        deadline = _Watched(self.deadline, claim, self.alive)
        deadline.check()
        target = self.context.targets[self.target]
        with ExitStack() as stack:
            Application(
                lambda: stack.enter_context(target.session(deadline)),
                desired,
                progress,
                holder=self.holder,
                step=deadline.check,
                saver=self._saver,
                failpoints=self.context.failpoints,
            ).run()

    def _mark(self, desired: Desired, progress: Progress, failure: Failure | None = None) -> Marked:
        self.context.failpoints.hit("mark.before")

        def mark(session: Session) -> tuple[Marked, bool]:
            marker = Marker(
                session, self.context, self.target, self.holder, desired, progress, failure, answered=self.answered
            )
            marked, kept = marker.mark(), False
            if self.promise is not None and failure is None and self._is_last(marked, progress):
                kept = promises.keep(session, self.context.tenant, self.promise)
            marker.close()
            return marked, kept

        marked, self.kept = self.context.database.run(mark)
        self.context.failpoints.hit("mark.committed")
        return marked

    def _is_last(self, marked: Marked, progress: Progress) -> bool:
        """Whether all that the request is about is done with this mark."""
        done = all(marked.applied.get(id, -1) >= goal for id, goal in self.goals.items())
        return self.last and done and not marked.again and not progress.blocked

    def _mark_failure(self, desired: Desired, progress: Progress, text: str) -> None:
        """Note what was done before, and the trouble; if the directory fails as well, the claim runs out by itself."""
        times = self.context.times
        backoff = times.backoff * between(0.5, 1.0)
        with suppress(Unavailable):
            failure = Failure(text, progress.at, backoff, times.backoff_limit, retried=not self.answered)
            marked = self._mark(desired, progress, failure)
            self.goals |= marked.again

    def _saver(self, work: Work) -> Save:
        def save(known: Known) -> None:
            self.context.failpoints.hit("save.before")
            tenant = self.context.tenant
            if not self.context.database.run(lambda session: note(session, tenant, work, self.holder, known)):
                raise ClaimLost(work.id)
            self.context.failpoints.hit("save.committed")

        return save


def _losing(task: Task) -> Task | None:
    """What takes rights away of a task; ``None``: nothing does."""
    if task.desired is None or (isinstance(task.desired, User) and not task.desired.active):
        return task
    edges = [edge for edge in task.edges if not edge.wanted]
    if not edges or task.work.stale or not task.work.known:
        return None
    return replace(task, edges=edges, more=True)


class _Claim:
    """Claims that are renewed before they get old."""

    def __init__(self, context: Context, target: str, held: Collection[Work], holder: str) -> None:
        self._context = context
        self._target = target
        self._ids = sorted(work.id for work in held)
        self._holder = holder
        self._since = time.monotonic()

    def renew_in_time(self) -> None:
        """Hold on, if a third of the time is over.

        :raises ClaimLost: somebody else has taken over.
        """
        if time.monotonic() - self._since < self._context.times.claim / 3:
            return
        now = time.monotonic()
        if not self._context.database.run(self._renewed):
            raise ClaimLost
        self._since = now

    def _renewed(self, session: Session) -> bool:
        return renew(session, self._context, self._target, self._ids, self._holder)


class _Watched(Deadline):
    """The deadline of a request, asked before each step of a target: a claim does not get old in a long call."""

    def __init__(self, deadline: Deadline, claim: _Claim, alive: SignsOfLife | None) -> None:
        super().__init__(deadline.left())
        self._claim = claim
        self._alive = alive

    def check(self) -> None:
        super().check()
        self._claim.renew_in_time()
        if self._alive is not None:
            self._alive.renew_in_time()
