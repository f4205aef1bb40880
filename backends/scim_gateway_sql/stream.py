"""The documents of all that may match, in batches: one look at the directory, little of it in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Select, bindparam, select

from .prepared import BATCH, Prepared, batches
from .pushdown import Plan
from .session import Session
from .tables import resources

_AMONG = Prepared(
    select(resources.c.doc).where(
        resources.c.tenant == bindparam("tenant_"),
        resources.c.kind == bindparam("kind_"),
        resources.c.id.in_(bindparam("ids", expanding=True)),
    ),
    among="ids",
)


def in_batches(session: Session, statement: Select[Any]) -> Iterator[Sequence[bytes]]:
    """The documents that a statement selects."""
    rows = session.execute(statement).scalars()
    try:
        while docs := rows.fetchmany(BATCH):
            yield docs
    finally:
        rows.close()


def streamed(
    session: Session,
    at: Mapping[str, Any],
    plan: Callable[[], Plan],
    among: Collection[str] | None,
    *,
    all_match: bool,
) -> Iterator[Sequence[bytes]]:
    """The documents of all that may match.

    :param at: tenant and resource type.
    :param plan: makes the plan of the query, which is not needed where ids tell more.
    :param among: the only ids that are of interest.
    :param all_match: whether the query asks for everything.
    """
    if among is None or (not all_match and len(among) > BATCH):
        found = plan()
        if among is None and session.sees_one_moment:
            yield from in_batches(session, found.candidates())
            return
        # A server's driver would read all documents at once; and of many ids an index tells which are worth it.
        matching = session.execute(found.matching).scalars()
        among = set(matching) if among is None else {id for id in matching if id in among}
    for batch in batches(among):
        yield [doc for (doc,) in _AMONG.rows(session, {**at, "ids": batch})]
