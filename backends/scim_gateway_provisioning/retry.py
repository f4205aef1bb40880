"""Tries again what is pending: rows that are due, those that take rights away first, each by itself."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from scim_gateway_sql.portable import Clock
from sqlalchemy import and_, bindparam, or_

from scim_gateway.errors import ScimError, Unavailable

from .context import Context, new_holder
from .resting import LOOKS, Resting
from .settle import HeldBack, Settlement
from .tables import works
from .target import Deadline, Unreachable
from .withdrawal import withdraw_dead
from .work import FREE, Work, selection, work_of

_log = logging.getLogger("scim_gateway.provisioning")

BATCH = 100
"""Most rows that are read at a time."""

GIVE_UP_AFTER = 3
"""After so many rows in a row for which a target could not be reached, the others are left for the next time."""

_OPEN = (works.c.tenant == bindparam("tenant_"), works.c.next_ms.is_not(None), FREE)
_ORDER = (works.c.revoking_flag.desc(), works.c.next_ms, works.c.resource_id, works.c.target_name)
_DUE = selection().where(*_OPEN, works.c.next_ms <= Clock()).order_by(*_ORDER).limit(bindparam("most_"))
_EVERY = (
    selection()
    .where(
        *_OPEN,
        or_(
            works.c.resource_id > bindparam("after_"),
            and_(works.c.resource_id == bindparam("after_"), works.c.target_name > bindparam("behind_")),
        ),
    )
    .order_by(works.c.resource_id, works.c.target_name)
    .limit(bindparam("most_"))
)


@dataclass(slots=True)
class Tried:
    """What came of it.

    :param done: how many rows are as they have to be.
    :param failed: how many are not.
    """

    done: int = 0
    failed: int = 0
    _silent: dict[str, int] = field(default_factory=dict)

    def gave_up(self, target: str) -> bool:
        """Whether a target does not answer."""
        return self._silent.get(target, 0) >= GIVE_UP_AFTER


def retry_due(context: Context, alive: Callable[[], bool] = lambda: True) -> Tried:
    """Try all rows that are due now, once.

    :param alive: asked before each; ``False`` ends it.
    :raises scim_gateway.errors.Unavailable: the directory cannot be reached.
    """
    withdraw_dead(context)
    tried, resting = Tried(), Resting(context, alive, looks=LOOKS)
    seen: set[tuple[str, str]] = set()
    while alive():
        with context.database.operation(write=False) as session:
            rows = session.execute(_DUE, {"tenant_": context.tenant, "most_": BATCH + len(seen)})
            due = [work for work in map(work_of, rows) if work.key not in seen]
        if not due:
            return tried
        seen.update(work.key for work in due)
        for work in resting.others(due):
            if not alive():
                return tried
            _try(context, work, tried)
    return tried


def settle_pending(context: Context, seconds: float | None = None) -> Tried:
    """Try everything that is pending, due or not, once.

    :param seconds: when to stop; by default all of it is tried.
    :raises scim_gateway.errors.Unavailable: the directory cannot be reached.
    """
    withdraw_dead(context)
    tried, resting = Tried(), Resting(context)
    end = None if seconds is None else Deadline(seconds)
    after = ("", "")
    while True:
        where = {"tenant_": context.tenant, "most_": BATCH, "after_": after[0], "behind_": after[1]}
        with context.database.operation(write=False) as session:
            rows = [work_of(row) for row in session.execute(_EVERY, where)]
        if not rows:
            return tried
        after = rows[-1].key
        for work in resting.others(rows):
            if end is not None and end.left() <= 0:
                return tried
            _try(context, work, tried)


def _try(context: Context, work: Work, tried: Tried) -> None:
    if work.target not in context.targets or tried.gave_up(work.target):
        return
    if not context.journal.goes_on(revoking=work.revoking):
        return
    context.failpoints.hit("retry.before")
    settlement = Settlement(
        context,
        work.target,
        {work.id: work.generation},
        new_holder(),
        Deadline(context.times.background),
        answered=False,
        deferred=True,
    )
    try:
        settlement.run()
    except Unreachable as error:
        tried.failed += 1
        tried._silent[work.target] = tried._silent.get(work.target, 0) + 1
        _log.warning("%s %s is still pending in %s: %s", work.kind, work.id, work.target, error)
    except Unavailable:
        raise
    except HeldBack:
        tried.failed += 1
    except ScimError as error:
        tried.failed += 1
        _log.error("%s refuses %s %s: %s", work.target, work.kind, work.id, error.detail)
    else:
        tried.done += 1
        tried._silent.pop(work.target, None)
    context.failpoints.hit("retry.after")
