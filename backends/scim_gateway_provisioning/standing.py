"""How resources stand in the targets, for operators: what is pending and why, and one resource in all targets."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from scim_gateway_sql.database import Session
from scim_gateway_sql.portable import instant
from scim_gateway_sql.tables import resources
from sqlalchemy import and_, bindparam, select

from scim_gateway.provisioned import Pending, Waiting

from .context import Context
from .promises import open_promises
from .tables import works
from .work import Work, WorkKey, batches, read, selection, work_of

_PENDING = (
    selection()
    .where(
        works.c.tenant == bindparam("tenant_"),
        works.c.next_ms.is_not(None),
        works.c.applied_no < works.c.gen_no,
    )
    .order_by(works.c.since_ms, works.c.resource_id, works.c.target_name)
)
_WAITING = selection().where(
    works.c.tenant == bindparam("tenant_"),
    works.c.next_ms.is_not(None),
    works.c.applied_no >= works.c.gen_no,
    works.c.waiting_text.is_not(None),
)
HELD = (
    "A request that gives something here was not answered with success: that is taken back, not given. "
    "To have it, send the request again."
)
"""What is said of work that is left alone because of a promise."""

_DISPLAY = select(resources.c.id, resources.c.display).where(
    and_(resources.c.tenant == bindparam("tenant_"), resources.c.id.in_(bindparam("ids", expanding=True)))
)


def pending(context: Context) -> list[Pending]:
    """What the targets do not have yet, oldest first."""
    with context.database.session() as session:
        rows = [work_of(row) for row in session.execute(_PENDING, {"tenant_": context.tenant})]
        held = _held(session, context)
    displays = dict(_displays(context, {work.id for work in rows if "name" not in work.known}))
    return [
        Pending(
            target=work.target,
            kind=work.kind,
            id=work.id,
            name=work.known.get("name") or displays.get(work.id),
            since=instant(work.since),
            attempts=work.attempts,
            next_try=None if work.next is None else instant(work.next),
            error=held.get(work.key, work.trouble),
            revoking=work.revoking or work.absent,
        )
        for work in rows
        if work.target in context.targets
    ]


def waiting(context: Context) -> list[Waiting]:
    """What the targets wait for, that which is stuck first."""
    with context.database.session() as session:
        rows = [work_of(row) for row in session.execute(_WAITING, {"tenant_": context.tenant})]
    found = [
        Waiting(
            work.target, work.kind, work.id, work.known.get("name"), work.stuck or work.waiting, work.stuck is not None
        )
        for work in rows
        if work.target in context.targets and work.waiting is not None
    ]
    return sorted(found, key=lambda one: (not one.stuck, one.target, one.kind, one.name or "", one.id))


def state_of(context: Context, id: str) -> Mapping[str, Mapping[str, Any]]:
    """By target: the name there, and how the resource stands.

    It is ``there``, ``pending``, ``waiting``, in ``error`` (it waits, and goes on only when somebody does something) or
    ``not managed``.
    """
    with context.database.session() as session:
        found = read(session, context.tenant, [id])
        held = _held(session, context) if any(work.pending for work in found.values()) else {}
    return {target: _state(found.get((id, target)), held) for target in context.targets}


def _held(session: Session, context: Context) -> dict[WorkKey, str]:
    """What is to be said of rows because of grants whose requests came to no end."""
    dead = [promise for promise in open_promises(session, context.tenant) if promise.dead]
    return {key: promise.trouble or HELD for promise in dead for key in promise.rows}


def _state(work: Work | None, held: Mapping[WorkKey, str]) -> dict[str, Any]:
    if work is None:
        return {"state": "not managed"}
    state = "pending" if work.pending else "error" if work.stuck else "waiting" if work.waiting else "there"
    shown = {"state": state, "name": work.known.get("name"), "error": work.trouble, "waiting": work.waiting}
    if work.stuck:
        shown |= {"error": work.stuck, "waiting": None}
    if work.pending:
        shown["error"] = held.get(work.key, work.trouble)
        shown["since"] = instant(work.since).isoformat()
    return {name: value for name, value in shown.items() if value is not None}


def _displays(context: Context, ids: Collection[str]) -> Iterator[tuple[str, str]]:
    for batch in batches(ids):
        with context.database.session() as session:
            rows = session.execute(_DISPLAY, {"tenant_": context.tenant, "ids": batch}).all()
        yield from ((id, display) for id, display in rows)
