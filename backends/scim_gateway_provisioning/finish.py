"""What a write operation does after its transaction: it brings the change to every target, before it is answered."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from scim_gateway.errors import ScimError, Unavailable

from .context import Context, new_holder
from .record import Recorded
from .settle import Settlement, pauses
from .target import Deadline, Unreachable
from .work import WorkKey


@dataclass(slots=True)
class Failures:
    """What targets could not do, by their names.

    :param refused: will not, however often they are asked.
    :param unreachable: could not be asked, or not in time.
    """

    refused: dict[str, ScimError] = field(default_factory=dict)
    unreachable: dict[str, Unreachable] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.refused or self.unreachable)


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
    found: dict[str, Settlement] = {}
    for target in context.targets:
        mine = {id: generation for (id, name), generation in goals.items() if name == target}
        if mine and (targets is None or target in targets):
            first = recorded.first.get(target) if recorded else None
            found[target] = Settlement(context, target, mine, holder, deadline, first, answered)
    return found


def settle(context: Context, wanted: Mapping[str, Settlement], deadline: Deadline) -> Failures:
    """Work on all targets, each at once; an unreachable one is tried again while there is time.

    :raises scim_gateway.errors.Unavailable: the directory itself cannot be reached.
    """
    left = dict(wanted)
    budget = Deadline(min(context.times.retry, deadline.left()))
    pause = pauses(context.times.first_pause, context.times.pause)
    while True:
        failures = Failures()
        for target, settlement in list(left.items()):
            try:
                settlement.run()
            except Unreachable as error:
                failures.unreachable[target] = error
            except Unavailable:
                raise
            except ScimError as error:
                failures.refused[target] = error
                del left[target]
            else:
                del left[target]
        if failures.refused or not left or budget.left() <= 0:
            return failures
        time.sleep(min(pause(), budget.left()))
