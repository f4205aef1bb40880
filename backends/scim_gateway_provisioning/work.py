"""Rows of ``scim_work``: how a resource stands in a target, and statements that read them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from scim_gateway_sql.database import Session
from scim_gateway_sql.portable import Clock
from sqlalchemy import Row, and_, bindparam, or_, select

from .tables import works
from .target import Kind, Known

BATCH = 500
"""Most ids in one statement."""

WorkKey = tuple[str, str]
"""Id of a resource and name of a target: the order in which rows are locked."""

FREE = or_(works.c.holder.is_(None), works.c.held_until_ms <= Clock())
HERE = and_(
    works.c.tenant == bindparam("tenant_"),
    works.c.target_name == bindparam("target_"),
    works.c.resource_id == bindparam("id_"),
)
"""One row, by its full key."""

_ROWS = select(works, FREE.label("free_flag"), Clock().label("now_ms"))
_OF_RESOURCES = _ROWS.where(
    works.c.tenant == bindparam("tenant_"), works.c.resource_id.in_(bindparam("ids", expanding=True))
).order_by(works.c.resource_id, works.c.target_name)
_OF_TARGET = _OF_RESOURCES.where(works.c.target_name == bindparam("target_"))


@dataclass(frozen=True, slots=True)
class Work:
    """How a resource stands in a target.

    :param generation: raised by every change that concerns the target.
    :param applied: the generation that the target has; less than ``generation``: there is something to do.
    :param stale: generation of the last change of the resource itself, 0 if the target has that; memberships change
        ``generation`` alone.
    :param granted: generation of the last change that gave the resource itself something (made it, activated it, named
        it anew): who takes back his own change compares it. Memberships have generations of their own.
    :param absent: the target is not to have the resource (deleted, or not wanted any more).
    :param revoking: the pending change takes rights away.
    :param renaming: more than one name is held for the resource.
    :param answered: a client knows the id: what it sent was answered, or it has used the id.
    :param spread: a change of the resource made memberships of other groups necessary, perhaps pending still.
    :param known: the target's note.
    :param since: since when the work is pending, milliseconds since 1970.
    :param next: when the retry looks at it; ``None``: there is nothing to look at.
    :param free: nobody works on it.
    """

    target: str
    id: str
    kind: Kind
    generation: int
    applied: int
    stale: int
    granted: int
    absent: bool
    revoking: bool
    renaming: bool
    answered: bool
    spread: bool
    known: Known
    since: int
    next: int | None
    attempts: int
    trouble: str | None
    waiting: str | None
    holder: str | None
    free: bool

    @property
    def key(self) -> WorkKey:
        return self.id, self.target

    @property
    def pending(self) -> bool:
        """Whether the target lacks something of what the directory wants."""
        return self.applied < self.generation

    @property
    def stuck(self) -> str | None:
        """Why what the target waits for does not come by itself, if that is so."""
        return None if self.waiting is None else self.known.get("stuck")


def read(
    session: Session, tenant: str, ids: Collection[str], *, target: str | None = None, lock: bool = False
) -> dict[WorkKey, Work]:
    """The rows of resources, in the order of their keys; of all targets, or of one."""
    found: dict[WorkKey, Work] = {}
    statement = _OF_RESOURCES if target is None else _OF_TARGET
    if lock:
        statement = statement.with_for_update()
    for batch in batches(ids):
        for row in session.execute(statement, {"tenant_": tenant, "ids": batch, "target_": target}):
            work = work_of(row)
            found[work.key] = work
    return found


def work_of(row: Row[Any]) -> Work:
    """A row as selected with :func:`selection`."""
    kind: Literal["User", "Group"] = "Group" if row.kind == "Group" else "User"
    return Work(
        target=row.target_name,
        id=row.resource_id,
        kind=kind,
        generation=row.gen_no,
        applied=row.applied_no,
        stale=row.stale_no,
        granted=row.granted_no,
        absent=bool(row.absent_flag),
        revoking=bool(row.revoking_flag),
        renaming=bool(row.renaming_flag),
        answered=bool(row.answered_flag),
        spread=bool(row.spread_flag),
        known=orjson.loads(row.known_doc),
        since=row.since_ms,
        next=row.next_ms,
        attempts=row.attempt_count,
        trouble=row.trouble_text,
        waiting=row.waiting_text,
        holder=row.holder,
        free=bool(row.free_flag),
    )


def selection() -> Any:
    """A statement that selects what :func:`work_of` reads; the caller adds conditions."""
    return _ROWS


def batches(ids: Iterable[str], size: int = BATCH) -> Iterator[list[str]]:
    """Ids in lists that fit one statement, in order."""
    everything = sorted(set(ids))
    for start in range(0, len(everything), size):
        yield everything[start : start + size]
