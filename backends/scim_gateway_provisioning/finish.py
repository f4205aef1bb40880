"""What a write operation does after its transaction: it brings the change to every target, before it is answered."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from scim_gateway.errors import ScimError, Unavailable

from . import promises
from .compensation import revokes, take_back
from .context import Context, new_holder
from .journal import Change
from .pauses import growing
from .promises import SignsOfLife
from .record import Recorded
from .settle import Settlement
from .target import Deadline, Unreachable
from .work import WorkKey

RETRY_AFTER = 10
"""Seconds until a client may come again; by then the retry has had its turn, too."""


@dataclass(slots=True)
class Failures:
    """What targets could not do, by their names.

    :param refused: will not, however often they are asked.
    :param unreachable: could not be asked, or not in time; a line for the operator.
    """

    refused: dict[str, ScimError] = field(default_factory=dict)
    unreachable: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.refused or self.unreachable)


def finish(context: Context, recorded: Recorded, deadline: Deadline) -> None:
    """Bring a change to the targets, or take it back as far as they cannot follow.

    :raises scim_gateway.errors.ScimError: of the target that refused it.
    :raises scim_gateway.errors.Unavailable: a target could not be reached; what takes rights away stays in force.
    """
    wanted = settlements(context, recorded.goals, deadline, recorded=recorded)
    failures = settle(context, wanted, deadline)
    if not failures:
        _keep(context, recorded, kept=any(settlement.kept for settlement in wanted.values()))
        return
    failed = failures.refused.keys() | failures.unreachable.keys()
    reachable = context.targets.keys() - failures.unreachable.keys()
    if recorded.changes:
        undone = take_back(context, recorded, failed, reachable, whole=bool(failures.refused))
        if undone is not None and undone.goals:
            more = Deadline(max(deadline.left(), context.times.grace))
            left = settlements(context, undone.goals, more, recorded=undone, targets=reachable)
            # What does not succeed now is pending work, like everything else that is not answered with success.
            settle(context, left, more)
    raise answer(failures, recorded.changes)


def _keep(context: Context, recorded: Recorded, *, kept: bool) -> None:
    """All is there: what was promised is kept, unless it was taken back meanwhile.

    :raises scim_gateway.errors.Unavailable: it was.
    """
    if recorded.promise is not None and not kept:
        kept = promises.keep_alone(context.database, context.tenant, recorded.promise)
        if not kept:
            raise Unavailable(
                "The request took so long that what it gives was taken back. Send it again.", retry_after=RETRY_AFTER
            )
    if recorded.upon and not promises.rely_on(context.database, context.tenant, recorded.upon):
        raise Unavailable(
            "An earlier change of the same resource, which was not answered with success, was taken back "
            "meanwhile. Send the request again.",
            retry_after=RETRY_AFTER,
        )


def answer(failures: Failures, changes: Collection[Change] = ()) -> ScimError:
    """What the client is told.

    :param changes: of the request; what they take away stays taken away.
    """
    if failures.refused:
        return next(iter(failures.refused.values()))
    target, text = next(iter(failures.unreachable.items()))
    consequence = (
        "What takes rights away stays in force, and is tried again until it holds; all else was taken back."
        if revokes(changes)
        else "The change was taken back."
        if changes
        else "An earlier change is still pending there."
    )
    return Unavailable(f"{target} cannot follow: {text} {consequence} Send the request again.", retry_after=RETRY_AFTER)


def settlements(
    context: Context,
    goals: Mapping[WorkKey, int],
    deadline: Deadline,
    *,
    recorded: Recorded | None = None,
    targets: Iterable[str] | None = None,
    answered: bool = True,
) -> dict[str, Settlement]:
    """What is to be done in each target."""
    holder = recorded.holder if recorded else new_holder()
    promise = recorded.promise if recorded else None
    alive = SignsOfLife(context.database, context.tenant, promise, context.times.claim) if promise else None
    found: dict[str, Settlement] = {}
    for target in context.targets:
        mine = {id: generation for (id, name), generation in goals.items() if name == target}
        if mine and (targets is None or target in targets):
            first = recorded.first.get(target) if recorded else None
            found[target] = Settlement(
                context, target, mine, holder, deadline, first, answered, promise=promise, alive=alive
            )
    return found


def settle(context: Context, wanted: Mapping[str, Settlement], deadline: Deadline) -> Failures:
    """Work on all targets, each at once; an unreachable one is tried again while there is time."""
    left = dict(wanted)
    budget = Deadline(min(context.times.retry, deadline.left()))
    pause = growing(context.times.first_pause, context.times.pause)
    while True:
        failures = Failures()
        for number, (target, settlement) in enumerate(list(left.items())):
            # One that hangs leaves the others their share: a revocation has to reach them in time.
            settlement.deadline = Deadline(deadline.left() / (len(left) - number))
            settlement.last = number == len(left) - 1 and not failures
            try:
                settlement.run()
            except Unreachable as error:
                failures.unreachable[target] = str(error)
            except Unavailable as error:
                # The directory itself: what the target has is found out when it is asked again.
                failures.unreachable[target] = error.detail
            except ScimError as error:
                failures.refused[target] = error
        left = {target: settlement for target, settlement in left.items() if target in failures.unreachable}
        hopeless = all(context.health.is_down(target) for target in left)
        if failures.refused or hopeless or budget.left() <= 0:
            return failures
        for settlement in left.values():
            settlement.stay_alive()
        time.sleep(min(pause(), budget.left()))
