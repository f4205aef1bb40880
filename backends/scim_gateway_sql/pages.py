"""Pages out of rows, and out of the ids of all that match; and which filters look at more rows than they find."""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import Select, and_, bindparam, func, select

from scim_gateway.abilities import Texts
from scim_gateway.backend import Query
from scim_gateway.filter import And, Comparison, Filter, Not, Or, ValuePath

from .prepared import Prepared
from .tables import resources

if TYPE_CHECKING:
    from .session import Session

HAS_JSON = sqlite3.sqlite_version_info >= (3, 38)
"""Whether this SQLite takes and gives a list as one value; before, it depends on how it was built."""
BATCH = 500
"""Ids in one statement, resources in one fetch."""
FEW_MATCHES = 5_000
"""Up to so many matches of a filter that looks at all values are read at once, instead of being counted as well."""
FEW = 100
"""The most documents that are read to cut a page out of them; of more matches, the page is cut first."""
_FRONT = 5
_STEPS = 4
_STEP = 5
"""Reading ``_STEPS`` times as many ids in their order costs about as much as finding the place of one by its id."""

# Only SQLite is asked so: for each row that the driver takes by itself, threads that wait for each other change places.
_IN_ORDER = """
    SELECT json_group_array(id) FROM (
        SELECT id FROM scim_resource WHERE tenant = ? AND kind = ? ORDER BY created, id LIMIT ? OFFSET ?
    )
"""
_AMONG = and_(resources.c.tenant == bindparam("tenant_"), resources.c.id.in_(bindparam("ids", expanding=True)))
_PLACES = Prepared(select(resources.c.created, resources.c.id).where(_AMONG), among="ids")
_DOCS = Prepared(select(resources.c.id, resources.c.doc).where(_AMONG), among="ids")
_DOCS_AND_PLACES = Prepared(select(resources.c.doc, resources.c.created, resources.c.id).where(_AMONG), among="ids")


def all_ids(ids: Select[Any]) -> Select[Any]:
    """Selects the ids as one value, for :func:`ids_of` (SQLite)."""
    each = ids.subquery()
    return select(func.json_group_array(each.c[0]))


def ids_of(value: str) -> list[str]:
    """The ids that were selected as one value."""
    found: list[str] = orjson.loads(value)
    return found


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


def scans(tree: Filter) -> bool:
    """Whether a filter asks for a part of a text, which no index has."""
    match tree:
        case Comparison(_, operator):
            return operator in ("co", "ew")
        case And(terms) | Or(terms):
            return any(map(scans, terms))
        case Not(term):
            return scans(term)
        case ValuePath(_, inner):
            return scans(inner)
    return False


def documents(session: Session, tenant: str, ids: Sequence[str]) -> list[bytes]:
    """Documents in the order of the ids."""
    docs: dict[str, bytes] = {}
    for batch in batches(ids):
        docs.update(_DOCS.rows(session, {"tenant_": tenant, "ids": batch}))
    return [docs[id] for id in ids if id in docs]


def page_among(session: Session, at: Mapping[str, Any], matches: Set[str], query: Query) -> Texts:
    """A page in the default order out of all that match.

    :param at: tenant and resource type.
    :param matches: the ids of all that match.
    """
    if len(matches) <= FEW:
        return cut(query, _with_places(session, at["tenant_"], matches))
    offset = query.start_index - 1
    end = min(offset + query.count, len(matches))
    first = _first(session, at, matches, end) if end * _FRONT <= len(matches) else None
    if first is not None and end <= FEW:
        page = cut(query, _with_places(session, at["tenant_"], first))
        return Texts(page.json, len(matches))
    ids = _sorted(session, at["tenant_"], matches if first is None else first)
    return Texts(documents(session, at["tenant_"], ids[offset:end]), len(matches))


def _first(session: Session, at: Mapping[str, Any], matches: Set[str], count: int) -> list[str] | None:
    """All that match in the beginning of the default order, at least so many.

    No rule of SQL says that what is grouped keeps its order, so these are in none.

    :return: ``None`` where that would be more work than to ask for the place of each.
    """
    found: list[str] = []
    length = _STEP * len(matches)
    for step in range(_STEPS):
        place = (at["tenant_"], at["kind_"], length, step * length)
        found += matches & set(ids_of(session.run(_IN_ORDER, place).fetchone()[0]))
        if len(found) >= count:
            return found
    return None


def _with_places(session: Session, tenant: str, ids: Collection[str]) -> Sequence[Sequence[Any]]:
    """The document of each, with its place in the default order."""
    return _DOCS_AND_PLACES.rows(session, {"tenant_": tenant, "ids": sorted(ids)})


def _sorted(session: Session, tenant: str, ids: Collection[str]) -> list[str]:
    """The ids in the default order, by the place of each."""
    places: list[Any] = []
    for batch in batches(ids):
        places += _PLACES.rows(session, {"tenant_": tenant, "ids": batch})
    return [id for _, id in sorted(places)]
