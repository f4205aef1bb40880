"""Tries again what is pending: rows that are due, those that take rights away first, each by itself."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from scim_gateway_sql.portable import Clock
from sqlalchemy import BindParameter, Column, ColumnElement, Select, and_, bindparam, or_

from scim_gateway.errors import ScimError, Unavailable

from .context import Context, new_holder
from .fed import feed
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

URGENT_SECONDS = 1.0
"""So often a round looks whether something that takes rights away has become due meanwhile."""

_OPEN = (works.c.tenant == bindparam("tenant_"), works.c.next_ms.is_not(None), FREE)
_ORDER = (works.c.revoking_flag.desc(), works.c.next_ms, works.c.resource_id, works.c.target_name)


def _behind(*columns: Column[Any]) -> ColumnElement[bool]:
    """Behind a place in the ascending order by these columns, which :func:`_place` gives."""
    first, *rest = columns
    place: BindParameter[Any] = bindparam(f"{first.name}_")
    return first > place if not rest else or_(first > place, and_(first == place, _behind(*rest)))


_DUE = (
    selection()
    .where(
        *_OPEN,
        works.c.next_ms <= Clock(),
        or_(
            works.c.revoking_flag < bindparam("revoking_flag_"),
            and_(
                works.c.revoking_flag == bindparam("revoking_flag_"),
                _behind(works.c.next_ms, works.c.resource_id, works.c.target_name),
            ),
        ),
    )
    .order_by(*_ORDER)
    .limit(bindparam("most_"))
)
_URGENT = (
    selection()
    .where(*_OPEN, works.c.next_ms <= Clock(), works.c.revoking_flag == 1)
    .order_by(works.c.next_ms)
    .limit(bindparam("most_"))
)
_EVERY = (
    selection()
    .where(*_OPEN, _behind(works.c.resource_id, works.c.target_name))
    .order_by(works.c.resource_id, works.c.target_name)
    .limit(bindparam("most_"))
)
_FROM_THE_START: Mapping[str, Any] = {"revoking_flag_": 2, "next_ms_": 0, "resource_id_": "", "target_name_": ""}


def _place(work: Work) -> Mapping[str, Any]:
    """Where a row stands, in either order."""
    return {
        "revoking_flag_": int(work.revoking),
        "next_ms_": work.next,
        "resource_id_": work.id,
        "target_name_": work.target,
    }


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
    feed(context)
    withdraw_dead(context)
    tried = Tried()
    for work in _due(context, Resting(context, alive, looks=LOOKS)):
        if not alive():
            break
        _try(context, work, tried)
    return tried


def _due(context: Context, resting: Resting) -> Iterator[Work]:
    """Each row that is due, once; what takes rights away comes first, also when it becomes due on the way."""
    seen: set[tuple[str, str]] = set()
    looked = time.monotonic()

    def read(statement: Select[Any], **place: Any) -> list[Work]:
        # What has failed comes again at a later place; that is for the next round.
        with context.database.operation(write=False) as session:
            rows = session.execute(statement, {"tenant_": context.tenant, "most_": BATCH, **place})
            return [work_of(row) for row in rows]

    def unseen(rows: Iterable[Work]) -> list[Work]:
        new = [work for work in rows if work.key not in seen]
        seen.update(work.key for work in new)
        return new

    place = _FROM_THE_START
    while due := read(_DUE, **place):
        place = _place(due[-1])
        for work in resting.others(unseen(due)):
            if time.monotonic() - looked >= URGENT_SECONDS:
                yield from unseen(read(_URGENT))
                looked = time.monotonic()
            yield work


def settle_pending(context: Context, seconds: float | None = None) -> Tried:
    """Try everything that is pending, due or not, once.

    :param seconds: when to stop; by default all of it is tried.
    :raises scim_gateway.errors.Unavailable: the directory cannot be reached.
    """
    feed(context)
    withdraw_dead(context)
    tried, resting = Tried(), Resting(context)
    end = None if seconds is None else Deadline(seconds)
    place = _FROM_THE_START
    while True:
        with context.database.operation(write=False) as session:
            found = session.execute(_EVERY, {"tenant_": context.tenant, "most_": BATCH, **place})
            rows = [work_of(row) for row in found]
        if not rows:
            return tried
        place = _place(rows[-1])
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
