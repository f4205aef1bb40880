"""Pages out of rows, and out of the ids of all that match; and which filters look at more rows than they find."""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import Select, and_, bindparam, func, select

from scim_gateway.abilities import Texts
from scim_gateway.backend import Query
from scim_gateway.filter import And, Comparison, Filter, Not, Or, ValuePath

from .ddl import OUT_OF_ORDER
from .prepared import Prepared, batches
from .tables import resources

if TYPE_CHECKING:
    from .session import Session

HAS_JSON = sqlite3.sqlite_version_info >= (3, 38)
"""Whether this SQLite takes and gives a list as one value; before, it depends on how it was built."""
FEW_MATCHES = 5_000
"""Up to so many matches of a filter that looks at all values are read at once, instead of being counted as well."""
FEW = 100
"""The most documents that are read to cut a page out of them; of more matches, the page is cut first."""

_OUT_OF_ORDER = """
    SELECT 1 FROM scim_resource INDEXED BY scim_resource_out_of_order
    WHERE tenant = ? AND kind = ? AND (condition) LIMIT 1
""".replace("condition", OUT_OF_ORDER)  # the planner takes an index of some rows only where its own words ask for them
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


def page_among(session: Session, at: Mapping[str, Any], matches: Collection[str], query: Query) -> Texts:
    """A page in the default order out of all that match (SQLite).

    :param at: tenant and resource type.
    :param matches: the ids of all that match.
    """
    tenant = at["tenant_"]
    if len(matches) <= FEW:
        return cut(query, _DOCS_AND_PLACES.rows(session, {"tenant_": tenant, "ids": sorted(matches)}))
    by_id = session.run(_OUT_OF_ORDER, (tenant, at["kind_"])).fetchone() is None
    ids = sorted(matches) if by_id else _sorted(session, tenant, matches)
    start = query.start_index - 1
    return Texts(documents(session, tenant, ids[start : start + query.count]), len(matches))


def _sorted(session: Session, tenant: str, ids: Collection[str]) -> list[str]:
    """The ids in the default order, by the place of each."""
    places: list[Any] = []
    for batch in batches(ids):
        places += _PLACES.rows(session, {"tenant_": tenant, "ids": batch})
    return [id for _, id in sorted(places)]
