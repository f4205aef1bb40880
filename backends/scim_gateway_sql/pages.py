"""Pages out of rows, and out of the ids of all that match."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, select

from scim_gateway.abilities import Texts
from scim_gateway.backend import Query

from .prepared import Prepared
from .tables import resources

if TYPE_CHECKING:
    from .session import Session

BATCH = 500
"""Ids in one statement, resources in one fetch."""
FEW_MATCHES = 5_000
"""Up to so many matches of a filter that looks at all values are read at once, instead of being counted as well."""
FEW = 100
"""The most documents that are read to cut a page out of them; of more matches, the page is cut first."""
_STEP = 1_000
_FRONT = 5
_AS_LONG = 20
"""Reading so many rows in their order costs about as much as finding the place of one by its id."""

_IN_ORDER = Prepared(
    select(resources.c.id)
    .where(resources.c.tenant == bindparam("tenant_"), resources.c.kind == bindparam("kind_"))
    .order_by(resources.c.created, resources.c.id)
    .limit(bindparam("count_"))
)
_AMONG = and_(resources.c.tenant == bindparam("tenant_"), resources.c.id.in_(bindparam("ids", expanding=True)))
_PLACES = Prepared(select(resources.c.created, resources.c.id).where(_AMONG), among="ids")
_DOCS = Prepared(select(resources.c.id, resources.c.doc).where(_AMONG), among="ids")
_DOCS_AND_PLACES = Prepared(select(resources.c.doc, resources.c.created, resources.c.id).where(_AMONG), among="ids")


def batches(items: Iterable[str], size: int = BATCH) -> Iterator[list[str]]:
    """The items in lists that fit one statement, sorted: rows are locked in one order everywhere."""
    everything = sorted(items)
    for start in range(0, len(everything), size):
        yield everything[start : start + size]


def cut(query: Query, rows: Sequence[Sequence[Any]]) -> Texts:
    """A page in the default order out of all that match, each with its place in that order."""
    in_order = sorted(rows, key=itemgetter(1, 2)) if len(rows) > 1 else rows
    start = query.start_index - 1
    if query.after is not None:
        start = bisect_right(in_order, (query.after.created, query.after.id), key=itemgetter(1, 2))
    return Texts([row[0] for row in in_order[start : start + query.count]], len(rows))


def documents(session: Session, tenant: str, ids: Sequence[str]) -> list[bytes]:
    """Documents in the order of the ids."""
    docs: dict[str, bytes] = {}
    for batch in batches(ids):
        docs.update(_DOCS.rows(session, {"tenant_": tenant, "ids": batch}))
    return [docs[id] for id in ids if id in docs]


def page_among(session: Session, at: Mapping[str, Any], matches: Collection[str], query: Query) -> Texts:
    """A page in the default order out of all that match.

    :param at: tenant and resource type.
    :param matches: the ids of all that match.
    """
    if len(matches) <= FEW:
        return cut(query, _DOCS_AND_PLACES.rows(session, {"tenant_": at["tenant_"], "ids": sorted(matches)}))
    offset = query.start_index - 1
    end = min(offset + query.count, len(matches))
    ids = _first(session, at, matches, end) if end * _FRONT <= len(matches) else None
    ids = _sorted(session, at["tenant_"], matches) if ids is None else ids
    return Texts(documents(session, at["tenant_"], ids[offset:end]), len(matches))


def _first(session: Session, at: Mapping[str, Any], matches: Collection[str], count: int) -> list[str] | None:
    """The first ids in the default order, by following it: this reads few pages of the file.

    :return: ``None`` where that would be more work than to ask for the place of each.
    """
    found: list[str] = []
    for rows in _IN_ORDER.parts(session, {**at, "count_": _AS_LONG * len(matches)}, _STEP):
        found += [id for (id,) in rows if id in matches]
        if len(found) >= count:
            return found
    return None


def _sorted(session: Session, tenant: str, ids: Collection[str]) -> list[str]:
    """The ids in the default order, by the place of each."""
    places: list[Any] = []
    for batch in batches(ids):
        places += _PLACES.rows(session, {"tenant_": tenant, "ids": batch})
    return [id for _, id in sorted(places)]
