"""The statements by which a mark notes what came of a change: each on full keys, and only under the claim."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from scim_gateway_sql.database import Session
from scim_gateway_sql.portable import Clock
from sqlalchemy import and_, bindparam, case, delete, select, update

from .tables import edges, works
from .target import Known
from .work import HERE, Work

_MINE = and_(HERE, works.c.holder == bindparam("holder_"))
_STILL = and_(_MINE, works.c.gen_no == bindparam("gen_no_"))
_FREE: dict[str, Any] = {"holder": None, "held_until_ms": 0, "beat_no": works.c.beat_no + 1}
_APPLIED: dict[str, Any] = {
    "applied_no": bindparam("gen_no_"),
    "known_doc": bindparam("known_"),
    "attempt_count": 0,
    "trouble_text": None,
    "waiting_text": bindparam("waiting_"),
    "answered_flag": case((bindparam("answered_") == 1, 1), else_=works.c.answered_flag),
}
DONE = (
    update(works)
    .where(_STILL)
    .values(
        **_APPLIED,
        **_FREE,
        stale_no=0,
        revoking_flag=0,
        # What waits may be waiting for its new name: both are its own until then.
        renaming_flag=case((bindparam("again_ms_") > 0, works.c.renaming_flag), else_=0),
        next_ms=case((bindparam("again_ms_") > 0, Clock() + bindparam("again_ms_")), else_=None),
    )
)
# What was read is done, but more was asked for in between, or there was more than was read.
STEP = (
    update(works)
    .where(_MINE)
    .values(
        **_FREE,
        applied_no=case((bindparam("whole_") == 1, bindparam("gen_no_")), else_=works.c.applied_no),
        answered_flag=case((bindparam("answered_") == 1, 1), else_=works.c.answered_flag),
        stale_no=case((works.c.stale_no <= bindparam("gen_no_"), 0), else_=works.c.stale_no),
        known_doc=bindparam("known_"),
        next_ms=Clock(),
    )
)
_FAILED: dict[str, Any] = {
    **_FREE,
    "attempt_count": bindparam("attempts_"),
    "trouble_text": bindparam("trouble_"),
    "next_ms": Clock() + bindparam("again_ms_"),
}
FAILED = update(works).where(_MINE).values(**_FAILED)
# The resource itself was made or changed; what failed were memberships of it.
FAILED_LATER = (
    update(works)
    .where(_MINE)
    .values(
        **_FAILED,
        known_doc=bindparam("known_"),
        stale_no=case((works.c.stale_no <= bindparam("gen_no_"), 0), else_=works.c.stale_no),
    )
)
WAITS = update(works).where(HERE).values(waiting_text=bindparam("waiting_"))
RELEASED = update(works).where(_MINE).values(**_FREE)
REMOVED = delete(works).where(_STILL)
EDGES_OF = select(edges.c.member_id).where(
    edges.c.tenant == bindparam("tenant_"),
    edges.c.target_name == bindparam("target_"),
    edges.c.group_id == bindparam("id_"),
)
_EDGES = and_(
    edges.c.tenant == bindparam("tenant_"),
    edges.c.target_name == bindparam("target_"),
    edges.c.group_id == bindparam("id_"),
    edges.c.member_id.in_(bindparam("ids", expanding=True)),
)
DROP_EDGES = delete(edges).where(_EDGES)
DROP_EDGES_OF = delete(edges).where(_EDGES, edges.c.edge_no == bindparam("number_"))
DEFER_EDGES = (update(edges).where(_EDGES, edges.c.edge_no == bindparam("number_"), edges.c.deferred_flag == 0)).values(
    deferred_flag=1
)
DEFERRED = (
    select(edges.c.member_id)
    .where(
        edges.c.tenant == bindparam("tenant_"),
        edges.c.target_name == bindparam("target_"),
        edges.c.group_id == bindparam("id_"),
        edges.c.member_id.not_in(bindparam("ids", expanding=True)),
        edges.c.deferred_flag == 1,
    )
    .limit(1)
)
GENERATIONS = select(works.c.resource_id, works.c.gen_no).where(
    works.c.tenant == bindparam("tenant_"),
    works.c.target_name == bindparam("target_"),
    works.c.resource_id.in_(bindparam("ids", expanding=True)),
)


def note(session: Session, tenant: str, work: Work, holder: str, known: Known) -> bool:
    """Keep a target's note of a row that is claimed; ``False``: the claim was lost."""
    row = {"tenant_": tenant, "target_": work.target, "id_": work.id}
    document = orjson.dumps(dict(known))
    session.prove_by(lambda later: _is_noted(later, row, document))
    return session.execute(_NOTE, {**row, "holder_": holder, "known_": document}).rowcount == 1


def _is_noted(session: Session, row: Mapping[str, str], document: bytes) -> bool:
    stored = session.execute(_KNOWN, row).scalar()
    return stored is not None and bytes(stored) == document


_KNOWN = select(works.c.known_doc).where(HERE).with_for_update()
_NOTE = update(works).where(_MINE).values(known_doc=bindparam("known_"), beat_no=works.c.beat_no + 1)
