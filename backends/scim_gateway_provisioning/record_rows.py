"""The rows that recording a change writes: work raised and claimed, memberships to look at."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from scim_gateway_sql.database import Session
from scim_gateway_sql.failures import Duplicate
from scim_gateway_sql.portable import Clock
from sqlalchemy import Insert, bindparam, case, insert, select, update
from sqlalchemy.dialects import mysql, sqlite

from scim_gateway.errors import StaleResource

from .context import Context
from .tables import edges, works
from .target import Kind, Target
from .work import HERE, Work, WorkKey, batches

_NEW = insert(works).values(
    since_ms=Clock(),
    next_ms=Clock() + bindparam("due_ms_"),
    held_until_ms=Clock() + bindparam("claim_ms_"),
)
_RAISE: dict[str, Any] = {
    "gen_no": bindparam("gen_no_"),
    "stale_no": bindparam("stale_no_"),
    "granted_no": bindparam("granted_no_"),
    "absent_flag": bindparam("absent_"),
    "revoking_flag": bindparam("revoking_"),
    "renaming_flag": bindparam("renaming_"),
    "spread_flag": bindparam("spread_"),
    "since_ms": case((bindparam("since_") == 0, Clock()), else_=bindparam("since_")),
    "next_ms": Clock() + bindparam("due_ms_"),
    "attempt_count": 0,
    "beat_no": works.c.beat_no + 1,
}
_HOLD: dict[str, Any] = {"holder": bindparam("holder_"), "held_until_ms": Clock() + bindparam("claim_ms_")}
_RAISE_IT = update(works).where(HERE).values(**_RAISE)
_RAISE_AND_CLAIM = update(works).where(HERE).values(**_RAISE, **_HOLD)
_CLAIM = update(works).where(HERE).values(**_HOLD, beat_no=works.c.beat_no + 1)
_RENEW = (
    update(works)
    .where(
        works.c.tenant == bindparam("tenant_"),
        works.c.resource_id.in_(bindparam("ids", expanding=True)),
        works.c.target_name == bindparam("target_"),
        works.c.holder == bindparam("holder_"),
    )
    .values(held_until_ms=Clock() + bindparam("claim_ms_"), beat_no=works.c.beat_no + 1)
)
_CAUSED = (
    select(edges.c.group_id, edges.c.target_name)
    .where(
        edges.c.tenant == bindparam("tenant_"),
        edges.c.cause_id.in_(bindparam("ids", expanding=True)),
        edges.c.deferred_flag == 0,
    )
    .distinct()
)
_STATE = select(works.c.gen_no, works.c.holder).where(HERE).with_for_update()
_HOLDER = select(works.c.holder).where(HERE).with_for_update()
_ANSWERED = update(works).where(HERE).values(answered_flag=1, beat_no=works.c.beat_no + 1)


def _upsert(dialect: str) -> Insert:
    if dialect == "sqlite":
        lite = sqlite.insert(edges)
        return lite.on_conflict_do_update(
            index_elements=["tenant", "target_name", "group_id", "member_id"],
            set_={"edge_no": lite.excluded.edge_no, "cause_id": lite.excluded.cause_id, "deferred_flag": 0},
        )
    server = mysql.insert(edges)
    return server.on_duplicate_key_update(
        edge_no=server.inserted.edge_no, cause_id=server.inserted.cause_id, deferred_flag=server.inserted.deferred_flag
    )


_ADD_EDGE = {dialect: _upsert(dialect) for dialect in ("sqlite", "mysql", "singlestore")}


@dataclass(slots=True)
class Touch:
    """What a change means to one resource in one target.

    :param work: the row as it was, if there is one.
    :param stale: the resource itself is another one, not only its memberships.
    :param absent: the target is not to have it any more.
    :param granting: it gives the resource itself something: it is new, active, or has another name.
    :param revoking: it takes something away.
    :param edges: ids of members whose membership has to be looked at.
    :param causes: by member, the resource whose change made it necessary; by default the group itself.
    :param spread: its own change touches memberships of other groups.
    :param name: the name to claim for it.
    :param renaming: it has a name already.
    """

    target: Target
    kind: Kind
    id: str
    work: Work | None
    stale: bool = False
    absent: bool = False
    granting: bool = False
    revoking: bool = False
    edges: set[str] = field(default_factory=set)
    causes: dict[str, str] = field(default_factory=dict)
    spread: bool = False
    name: str | None = None
    renaming: bool = False

    @property
    def key(self) -> WorkKey:
        return self.id, self.target.name

    @property
    def matters(self) -> bool:
        """Whether there is anything to do."""
        return self.stale or bool(self.edges)


def write_touches(
    session: Session, context: Context, touches: Sequence[Touch], holder: str, claiming: Collection[str]
) -> dict[WorkKey, Work]:
    """Raise the generations, and claim what nobody works on; the rows as they are now.

    :param touches: in the order of their keys.
    :param claiming: targets whose rows are claimed.
    :raises StaleResource: another operation made one of the rows at the same moment.
    """
    written: dict[WorkKey, Work] = {}
    rows: dict[Any, list[dict[str, Any]]] = {}
    for touch in touches:
        claims = touch.target.name in claiming and (touch.work is None or touch.work.free)
        work = _raised(touch, holder if claims else None)
        written[touch.key] = work
        if touch.work is None:
            statement: Any = _NEW
            row = _new_row(context, work)
        else:
            statement = _RAISE_AND_CLAIM if claims else _RAISE_IT
            row = _raised_row(context, touch.work, work)
            if claims:
                row |= {"holder_": holder, "claim_ms_": int(context.times.claim * 1000)}
        # One statement for neighbours of the same sort: rows are locked in the order of their keys.
        if rows and next(reversed(rows)) is not statement:
            _flush(session, rows)
        rows.setdefault(statement, []).append(row)
    _flush(session, rows)
    first = next(iter(written.values()))
    session.prove_by(lambda later: _is_written(later, context.tenant, first))
    return written


def _is_written(session: Session, tenant: str, work: Work) -> bool | None:
    """Whether a row was raised, should the answer to the commit be lost; if others raised it since, nobody knows."""
    found = session.execute(_STATE, _key(tenant, work)).first()
    if found is None or found.gen_no < work.generation:
        return False
    return True if found.gen_no == work.generation and found.holder == work.holder else None


def held_by(session: Session, tenant: str, work: Work, holder: str) -> bool:
    """Whether somebody holds a row."""
    return bool(session.execute(_HOLDER, _key(tenant, work)).scalar() == holder)


def _flush(session: Session, rows: dict[Any, list[dict[str, Any]]]) -> None:
    for statement, parameters in rows.items():
        try:
            session.execute(statement, parameters)
        except Duplicate:
            raise StaleResource("work") from None
    rows.clear()


def _raised(touch: Touch, holder: str | None) -> Work:
    """The row as it will be.

    :param holder: who claims it; ``None``: nobody does now.
    """
    old = touch.work
    if old is None:
        return Work(
            target=touch.target.name,
            id=touch.id,
            kind=touch.kind,
            generation=1,
            applied=0,
            stale=1,
            granted=1,
            absent=touch.absent,
            revoking=touch.revoking,
            renaming=False,
            answered=False,
            spread=touch.spread,
            known={},
            since=0,
            next=None,
            attempts=0,
            trouble=None,
            waiting=None,
            holder=holder,
            free=holder is None,
        )
    generation = old.generation + 1
    return replace(
        old,
        generation=generation,
        stale=generation if touch.stale else old.stale,
        granted=generation if touch.granting else old.granted,
        absent=touch.absent if touch.stale else old.absent,
        revoking=touch.revoking or (old.pending and old.revoking),
        renaming=old.renaming or touch.renaming,
        spread=old.spread or touch.spread,
        attempts=0,
        holder=holder or (None if old.free else old.holder),
        free=old.free and holder is None,
    )


def _new_row(context: Context, work: Work) -> dict[str, Any]:
    return {
        "tenant": context.tenant,
        "target_name": work.target,
        "resource_id": work.id,
        "kind": work.kind,
        "gen_no": work.generation,
        "applied_no": work.applied,
        "stale_no": work.stale,
        "granted_no": work.granted,
        "absent_flag": int(work.absent),
        "revoking_flag": int(work.revoking),
        "renaming_flag": 0,
        "answered_flag": 0,
        "spread_flag": int(work.spread),
        "known_doc": b"{}",
        "attempt_count": 0,
        "trouble_text": None,
        "waiting_text": None,
        "holder": work.holder,
        "beat_no": 0,
        "due_ms_": _due(context, work),
        "claim_ms_": int(context.times.claim * 1000),
    }


def _raised_row(context: Context, old: Work, work: Work) -> dict[str, Any]:
    return {
        **_where(context, work),
        "gen_no_": work.generation,
        "stale_no_": work.stale,
        "granted_no_": work.granted,
        "absent_": int(work.absent),
        "revoking_": int(work.revoking),
        "renaming_": int(work.renaming),
        "spread_": int(work.spread),
        "since_": old.since if old.pending else 0,
        "due_ms_": _due(context, work),
    }


def _due(context: Context, work: Work) -> int:
    """After how many milliseconds the retry looks at a row: when the claim of whoever works on it is over."""
    return int(1000 * (context.times.backoff if work.free else context.times.claim))


def _where(context: Context, work: Work) -> dict[str, Any]:
    return _key(context.tenant, work)


def _key(tenant: str, work: Work) -> dict[str, Any]:
    return {"tenant_": tenant, "target_": work.target, "id_": work.id}


def add_edges(
    session: Session, tenant: str, target: str, touches: Sequence[Touch], written: Mapping[WorkKey, Work]
) -> frozenset[tuple[str, str]]:
    """Write down the memberships that have to be looked at; ids of groups and members."""
    rows = [
        {
            "tenant": tenant,
            "target_name": target,
            "group_id": touch.id,
            "member_id": member,
            "edge_no": written[touch.key].generation,
            "cause_id": touch.causes.get(member, touch.id),
            "deferred_flag": 0,
        }
        for touch in touches
        if touch.target.name == target
        for member in sorted(touch.edges)
    ]
    if rows:
        session.execute(_ADD_EDGE[session.dialect], rows)
    return frozenset((touch.id, member) for touch in touches if touch.target.name == target for member in touch.edges)


def caused_by(session: Session, tenant: str, ids: Collection[str]) -> set[WorkKey]:
    """The groups with memberships that are to be looked at because of changes of these resources."""
    found: set[WorkKey] = set()
    for batch in batches(ids):
        rows = session.execute(_CAUSED, {"tenant_": tenant, "ids": batch})
        found.update((row.group_id, row.target_name) for row in rows)
    return found


def claim_rows(session: Session, context: Context, free: Sequence[Work], holder: str) -> None:
    """Claim rows that nobody works on."""
    rows = [{**_where(context, work), "holder_": holder, "claim_ms_": int(context.times.claim * 1000)} for work in free]
    if rows:
        session.execute(_CLAIM, rows)
        session.prove_by(lambda later: held_by(later, context.tenant, free[0], holder))


def know_answered(session: Session, context: Context, unanswered: Iterable[Work]) -> None:
    """Note that a client knows the ids."""
    rows = [_where(context, work) for work in unanswered]
    if rows:
        session.execute(_ANSWERED, rows)


def renew(session: Session, context: Context, target: str, ids: Sequence[str], holder: str) -> bool:
    """Hold claims for as long again; ``False`` if one of them was lost."""
    here = {"tenant_": context.tenant, "target_": target, "holder_": holder}
    claim = int(context.times.claim * 1000)
    return all(
        session.execute(_RENEW, {**here, "ids": batch, "claim_ms_": claim}).rowcount == len(batch)
        for batch in batches(ids)
    )
