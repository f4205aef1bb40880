"""Brings what was read to one target: what takes rights first, what gives them last."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from .desired import Desired, Edge, Member, Task
from .failpoints import Failpoints
from .target import Group, Known, MemberChanges, Outcome, Save, TargetSession, User
from .work import Work


@dataclass(slots=True)
class Progress:
    """What came of the tasks so far; complete up to the call that failed, if one did.

    :param put: by id, what came of users and groups that were made or changed.
    :param gone: ids of those that were removed.
    :param edges: memberships that were dealt with; each is done only if its member is still what it was.
    :param deferred: memberships that the target lets wait.
    :param blocked: members whose own change has to be applied first.
    :param at: the task whose call is under way.
    """

    put: dict[str, Outcome] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    edges: list[Edge] = field(default_factory=list)
    deferred: list[Edge] = field(default_factory=list)
    blocked: dict[str, Member] = field(default_factory=dict)
    at: Task | None = None


class Application:
    """The calls for one batch of tasks.

    :param connect: gives the session; asked when there is something to call it for.
    :param holder: of the claims of the tasks.
    :param step: called before each call: raises when there is no time left, or the claim is lost.
    :param saver: makes the function by which a target keeps a note of a row.
    """

    def __init__(
        self,
        connect: Callable[[], TargetSession],
        desired: Desired,
        progress: Progress,
        *,
        holder: str,
        step: Callable[[], None],
        saver: Callable[[Work], Save],
        failpoints: Failpoints,
    ) -> None:
        self._connect = connect
        self._session: TargetSession | None = None
        self._tasks = desired.tasks
        self._again = desired.deferred
        self._progress = progress
        self._holder = holder
        self._step = step
        self._saver = saver
        self._failpoints = failpoints
        self._known: dict[str, Known] = {task.work.id: task.work.known for task in desired.tasks}
        self._generations = {task.work.id: task.work.generation for task in desired.tasks}

    def run(self) -> None:
        """Call the target until everything is there.

        :raises Unreachable: the target cannot be asked.
        :raises scim_gateway.errors.ScimError: it will not do it.
        """
        users = [task for task in self._tasks if task.kind == "User" and self._is_due(task)]
        groups = [task for task in self._tasks if task.kind == "Group"]
        losing = [task for task in users if not _gains(task)]
        gaining = [task for task in users if _gains(task)]
        for task in groups:
            if task.desired is not None and (self._is_due(task) or not task.work.known):
                self._put(task)
        for task in losing:
            if task.desired is None:
                self._remove(task)
            else:
                self._put(task)
        at_once = not gaining and sum(bool(task.edges) for task in groups) == 1
        if not at_once:
            for task in groups:
                self._members(task, [edge for edge in task.edges if not edge.wanted])
        for task in gaining:
            self._put(task)
        for task in groups:
            done = {edge.id for edge in self._progress.edges if edge.group == task.work.id}
            self._members(task, [edge for edge in task.edges if edge.id not in done])
        for task in groups:
            if task.desired is None:
                self._remove(task)

    def _is_due(self, task: Task) -> bool:
        return bool(task.work.stale) or task.desired is None or (self._again and task.work.waiting is not None)

    @property
    def _target(self) -> TargetSession:
        if self._session is None:
            self._session = self._connect()
        return self._session

    def _put(self, task: Task) -> None:
        self._begin(task, f"put_{task.kind.lower()}")
        save = self._saver(task.work)
        if isinstance(task.desired, User):
            outcome = self._target.put_user(task.desired, task.work.known, save)
        else:
            assert isinstance(task.desired, Group)
            outcome = self._target.put_group(task.desired, task.work.known, save)
        self._progress.put[task.work.id] = outcome
        self._known[task.work.id] = outcome.known
        self._end(f"put_{task.kind.lower()}")

    def _remove(self, task: Task) -> None:
        self._begin(task, f"remove_{task.kind.lower()}")
        remove = self._target.remove_user if task.kind == "User" else self._target.remove_group
        remove(task.work.id, task.work.known, self._saver(task.work))
        self._progress.gone.add(task.work.id)
        self._end(f"remove_{task.kind.lower()}")

    def _members(self, task: Task, wanted: Sequence[Edge]) -> None:
        """Bring memberships of one group about, as far as their members are settled themselves."""
        if task.desired is None:
            return
        add: dict[str, Known] = {}
        remove: dict[str, Known] = {}
        done: list[Edge] = []
        for edge in self._ready(wanted, remove, done):
            member = edge.member
            if member is None or (not edge.wanted and not member.known):
                continue
            (add if edge.wanted else remove)[edge.id] = member.known
        waiting: frozenset[str] = frozenset()
        if add or remove:
            self._begin(task, "change_members")
            waiting = self._target.change_members(MemberChanges(self._known[task.work.id], add, remove))
            self._end("change_members")
        self._progress.edges += [edge for edge in done if edge.id not in waiting]
        self._progress.deferred += [edge for edge in done if edge.id in waiting]

    def _ready(self, wanted: Iterable[Edge], remove: dict[str, Known], done: list[Edge]) -> Iterable[Edge]:
        """The memberships whose members are settled, with what the target knows of these now."""
        for edge in wanted:
            member = edge.member
            if member is not None and member.stale:
                if edge.id not in self._progress.put:
                    self._block(edge, member, remove)
                    continue
                known, generation = self._known[edge.id], self._generations[edge.id]
                member = replace(member, known=known, generation=generation, stale=False)
            settled = replace(edge, member=member)
            done.append(settled)
            yield settled

    def _block(self, edge: Edge, member: Member, remove: dict[str, Known]) -> None:
        """A membership whose member has to be settled first; what is to be taken away is tried at once all the same.

        It counts only when it was done again afterwards: a change that was cut short may have left two names.
        """
        self._progress.blocked[edge.id] = member
        if not edge.wanted and member.known and member.holder in (None, self._holder):
            remove[edge.id] = member.known

    def _begin(self, task: Task, call: str) -> None:
        self._progress.at = task
        self._step()
        self._failpoints.hit(f"{call}.before")

    def _end(self, call: str) -> None:
        self._failpoints.hit(f"{call}.after")
        self._progress.at = None


def _gains(task: Task) -> bool:
    return isinstance(task.desired, User) and task.desired.active
