"""Pages out of rows, and which filters look at more rows than they find."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from scim_gateway.abilities import Texts
from scim_gateway.backend import Query
from scim_gateway.filter import And, Comparison, Filter, Not, Or, ValuePath


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
