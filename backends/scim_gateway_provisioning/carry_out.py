"""Carries out what a comparison found: by raising generations and settling, in small portions between live requests.

What a request changed meanwhile is right all the same: settling reads what the directory wants under the claim. A
process that dies leaves pending work, which the retry brings to its end, and the rest of the plan for another time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from scim_gateway.errors import ScimError, StaleResource, Unavailable
from scim_gateway.provisioned import Progress

from .comparison import Comparison
from .context import Context, new_holder
from .difference import SECOND, Difference
from .journal import Result
from .raise_again import Again, Raised, raise_again
from .settle import Settlement
from .target import Deadline, Kind, Target, Unreachable
from .turn import Alive
from .work import read

PORTION = 20
"""Most resources that are worked on at a time: a live request for one of them waits for no more than these."""

MEMBERSHIPS = 1000
"""Most memberships of one portion."""

SECONDS = 300.0
"""How long a portion may take."""

_TRIES = 10


def carry_out(context: Context, comparison: Comparison, alive: Alive, progress: Progress | None) -> list[str]:
    """Carry out the steps of one target; what did not work, a line each.

    :param alive: raises when somebody else has taken over.
    :raises scim_gateway.errors.Unavailable: the directory cannot be reached.
    """
    return _Carrier(context, comparison, alive, progress).run()


@dataclass(slots=True)
class _Portion:
    """Resources to look at together.

    :param steps: how many steps of the plan it stands for.
    """

    again: dict[str, Again] = field(default_factory=dict)
    steps: int = 0


class _Carrier:
    def __init__(self, context: Context, comparison: Comparison, alive: Alive, progress: Progress | None) -> None:
        self._context = context
        self._target: Target = comparison.target
        self._to_do = comparison.to_do
        self._alive = alive
        self._progress = progress
        self._called = {d.resource: _called(d) for d in self._to_do if d.resource is not None}
        self._done = 0
        self._problems: list[str] = []

    def run(self) -> list[str]:
        try:
            for portion in _portions(self._to_do):
                self._alive()
                self._settle(portion)
                self._tell(portion.steps)
            for difference in self._to_do:
                if difference.left_over is not None:
                    self._alive()
                    self._remove(difference, difference.left_over)
                    self._tell(1)
        except Unreachable as error:
            self._problems.append(f"{self._target.name}: {error} What is pending is tried again by itself.")
        return self._problems

    def _tell(self, steps: int) -> None:
        self._done += steps
        if self._progress is not None:
            self._progress(self._done, len(self._to_do))

    def _settle(self, portion: _Portion) -> None:
        """Settle all of a portion, one by one if the target refuses something of it."""
        holder = new_holder()
        raised = self._raise(portion, holder)
        self._problems += [f"{self._target.name}: {problem}" for problem in raised.problems]
        goals = dict(raised.goals)
        whole = Settlement(
            self._context, self._target.name, goals, holder, Deadline(SECONDS), raised.desired, answered=False
        )
        try:
            whole.run()
        except Unavailable:
            raise
        except ScimError:
            for id, goal in raised.goals.items():
                self._settle_one(id, goal)

    def _raise(self, portion: _Portion, holder: str) -> Raised:
        for _ in range(_TRIES):
            try:
                with self._context.database.operation(write=True) as session:
                    return raise_again(session, self._context, self._target, portion.again.values(), holder)
            except StaleResource:
                continue  # a request made one of the rows at the same moment
        raise Unreachable("The directory changes too quickly.")

    def _settle_one(self, id: str, goal: int) -> None:
        one = Settlement(
            self._context, self._target.name, {id: goal}, new_holder(), Deadline(SECONDS), None, answered=False
        )
        try:
            one.run()
        except Unavailable:
            raise
        except ScimError as error:
            self._problems.append(f"{self._target.name}: {self._called.get(id, id)}: {error.detail}")

    def _remove(self, difference: Difference, id: str) -> None:
        """Remove what the directory does not know; the target's own mark is the proof that it is the gateway's."""
        with self._context.database.session() as session:
            known = id in self._context.directory.references([id]) or read(
                session, self._context.tenant, [id], target=self._target.name
            )
        if known:
            return  # it came to be known since the comparison
        step = difference.step
        with self._target.session(Deadline(SECONDS)) as session:
            remove = session.remove_user if step.kind == "User" else session.remove_group
            try:
                remove(id, {"name": step.name}, lambda _known: None)
            except ScimError as error:
                self._problems.append(f"{self._target.name}: {step.kind} {step.name}: {error.detail}")
                return
        kind: Kind = "User" if step.kind == "User" else "Group"
        done = [Result(self._target.name, kind, id, "done")]
        self._context.database.run(lambda write: self._context.journal.marked(write, done))


def _portions(to_do: Iterable[Difference]) -> Iterator[_Portion]:
    """The steps in portions: what takes rights first, then users, then groups with the members that they get."""
    steps = [difference for difference in to_do if difference.resource is not None]
    losing = [step for step in steps if step.revokes]
    people = [step for step in steps if not step.revokes and step.step.kind == "User"]
    groups = [step for step in steps if not step.revokes and step.step.kind != "User"]
    for phase in (losing, people, groups):
        yield from _cut(phase)


def _cut(steps: Sequence[Difference]) -> Iterator[_Portion]:
    by_resource: dict[str, list[Difference]] = {}
    for step in steps:
        by_resource.setdefault(step.resource or "", []).append(step)
    portion, memberships = _Portion(), 0
    for id in sorted(by_resource):
        mine = by_resource[id]
        for start in range(0, len(mine), MEMBERSHIPS):
            piece = mine[start : start + MEMBERSHIPS]
            if len(portion.again) >= PORTION or id in portion.again or memberships + len(piece) > MEMBERSHIPS:
                yield portion
                portion, memberships = _Portion(), 0
            portion.again[id] = _again(id, piece)
            portion.steps += len(piece)
            memberships += len(piece)
    if portion.again:
        yield portion


def _again(id: str, steps: Sequence[Difference]) -> Again:
    members = {step.member for step in steps if step.member is not None}
    kind: Kind = "User" if any(step.step.kind == "User" for step in steps) else "Group"
    return Again(
        kind,
        id,
        itself=any(step.member is None for step in steps),
        members=frozenset(members),
        revoking=all(step.revokes for step in steps),
        stands=next((step.stands for step in steps if step.stands is not None and step.effect != SECOND), None),
        beside=tuple(sorted(step.stands for step in steps if step.stands is not None and step.effect == SECOND)),
    )


def _called(difference: Difference) -> str:
    """The resource that a step is about, as people call it."""
    step = difference.step
    return f"{'Group' if step.kind == 'Membership' else step.kind} {step.name}"
