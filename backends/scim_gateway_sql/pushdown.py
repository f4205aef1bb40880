"""How SQL answers a query: which resources match, in which order, and how many; what it cannot tell is for the core."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, true
from sqlalchemy.util import LRUCache

from scim_gateway.backend import Query
from scim_gateway.filter import Filter, paths
from scim_gateway.ordering import Position, Sort

from .condition import TEXT_TYPES, Condition, Translation
from .indexing import Index, Leaf, sortable
from .pages import FEW_MATCHES, HAS_JSON, all_ids, ids_of, scans
from .session import KEPT_IN, Session
from .tables import resources, values
from .vocabulary import Later, Stored

KEPT = 64
"""Translated filters of one resource type, those used last; each takes some 30 KB."""
COMPILED = 32
"""Statements for filters that are kept compiled, half as many again for a while; a long one takes some 600 KB."""
_SORTABLE_TYPES = frozenset({"string", "reference", "dateTime", "boolean", "integer"})


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive ids of the answer: a select of the matches that have a sort value, or of those without."""

    ids: Select[Any]
    behind: ColumnElement[bool] | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """How a query is answered.

    :param matching: selects the resources that match, or at least these.
    :param segments: the ids of the matches in the order of the answer, where SQL can tell it.
    """

    matching: Select[Any]
    exact: bool
    segments: tuple[Segment, ...] = ()
    counted: Select[Any] | None = None

    def candidates(self) -> Select[Any]:
        """The documents of all resources that may match."""
        return self.matching.with_only_columns(resources.c.doc)

    def total(self) -> Select[Any]:
        """How many match."""
        return self.matching.with_only_columns(func.count()) if self.counted is None else self.counted


@dataclass(frozen=True, slots=True)
class _Found:
    """How the matches of a filter are found.

    :param statement: selects the ids, if the value index alone can tell them.
    :param asked: what its parameters stand for.
    """

    statement: Select[Any] | None
    asked: Mapping[str, tuple[Leaf, bytes, bool]]


class Translator:
    """Makes plans for the queries of one resource type."""

    def __init__(self, index: Index, tenant: str) -> None:
        self._index = index
        self._tenant = tenant
        self._kind = index.resource_type.name
        self._members = index.resource_type.members
        # By what a filter says, as each request makes a tree of its own. To find one takes less than a hundredth of the
        # time of a translation, with as many terms as are allowed, too.
        self._found = lru_cache(maxsize=KEPT)(self._translated)
        # Apart from all other statements: there are as many filters as somebody thinks of.
        self._compiled: LRUCache[Any, Any] = LRUCache(COMPILED)

    def matches(self, session: Session, query: Query, stored: Stored) -> set[str] | None:
        """The ids of all matches of a filter that looks for a part of a text, or one more than are few.

        :return: ``None`` if it does not, if the page is in another order, or if the value index is not enough.
        """
        tree = query.filter
        if tree is None or query.sort is not None or query.after is not None or not scans(tree):
            return None
        if not (HAS_JSON and session.sees_one_moment):
            return None
        found = self._found(tree)
        if found.statement is None or stored.has_cut():
            return None
        texts = {name: stored.told(*asked) for name, asked in found.asked.items()}
        if None not in texts.values():
            return set(ids_of(session.execute(found.statement, texts).scalar_one()))
        ids = Translation(self._index, self._tenant, stored).ids(tree)
        return None if ids is None else set(ids_of(session.execute(self._one_more(ids)).scalar_one()))

    def _translated(self, tree: Filter) -> _Found:
        """The statement for a filter."""
        later = Later()
        ids = Translation(self._index, self._tenant, later).ids(tree)
        return _Found(None if ids is None else self._one_more(ids), later.asked)

    def _one_more(self, ids: Select[Any]) -> Select[Any]:
        return self._kept_apart(all_ids(ids.limit(FEW_MATCHES + 1)))

    def _kept_apart(self, statement: Select[Any]) -> Select[Any]:
        """A statement that is kept with those for filters once it is compiled."""
        return statement.execution_options(**{KEPT_IN: self._compiled})

    def plan(self, query: Query, stored: Stored) -> Plan:
        """The plan of a query.

        :param stored: tells what has to be known of the index; asked only when it matters.
        """
        here = select(resources.c.id).where(resources.c.tenant == self._tenant, resources.c.kind == self._kind)
        condition = Condition(true(), True)
        counted = None
        if query.filter is not None:
            condition = Translation(self._index, self._tenant, stored).condition(query.filter)
            here = self._kept_apart(here.where(condition.clause))
            if condition.ids is not None:
                found = condition.ids.subquery()
                counted = self._kept_apart(select(func.count(found.c[0].distinct())).select_from(found))
        if not condition.exact:
            return Plan(here, False)
        if query.sort is None:
            behind = None if query.after is None else _later(query.after)
            segment = Segment(here.order_by(resources.c.created, resources.c.id), behind)
            return Plan(here, True, (segment,), counted=counted)
        leaf = self._sorting_leaf(query.sort)
        if leaf is None or (leaf.attribute.type in TEXT_TYPES and stored.has_cut()):
            return Plan(here, True)
        return Plan(here, True, tuple(self._segments(here, leaf, query.sort, query.after)), counted=counted)

    def _segments(self, here: Select[Any], leaf: Leaf, sort: Sort, after: Position | None) -> Iterable[Segment]:
        """What has a value in its order, and what has none; that is last, or first in descending order (§3.4.2.3)."""
        value = values.alias()
        first_value = (value.c.tenant == self._tenant, value.c.attr == leaf.number, value.c.elem == 0)
        by = value.c.sortable
        created, id = resources.c.created, resources.c.id
        with_value = (
            here.join_from(
                value, resources, and_(resources.c.tenant == value.c.tenant, resources.c.id == value.c.resource_id)
            )
            .where(*first_value)
            .order_by(by.desc() if sort.descending else by, created, id)
        )
        without_value = here.where(id.not_in(select(value.c.resource_id).where(*first_value))).order_by(created, id)
        if after is None:
            found = [Segment(with_value), Segment(without_value)]
            return reversed(found) if sort.descending else found
        form = _form(after, leaf)
        if form is None:
            rest = [Segment(without_value, _later(after))]
            return [*rest, Segment(with_value)] if sort.descending else rest
        behind = or_(by < form if sort.descending else by > form, and_(by == form, _later(after)))
        rest = [Segment(with_value, behind)]
        return rest if sort.descending else [*rest, Segment(without_value)]

    def _sorting_leaf(self, sort: Sort) -> Leaf | None:
        leaf = self._index.leaves.get(str(sort.target.path))
        attribute = sort.target.attribute
        if leaf is None or attribute is None or attribute.multi_valued or leaf.attribute.type not in _SORTABLE_TYPES:
            return None
        return leaf

    def mentions_members(self, query: Query) -> bool:
        """Whether the filter or the order of a query looks at the memberships."""
        if query.sort is not None and query.sort.target.path.name == self._members:
            return True
        return any(path.urn is None and path.name == self._members for path in paths(query.filter))


def _later(position: Position) -> ColumnElement[bool]:
    """Behind a position among those that sort alike."""
    created, id = resources.c.created, resources.c.id
    return and_(created >= position.created, or_(created > position.created, id > position.id))


def _form(position: Position, leaf: Leaf) -> bytes | None:
    """The stored form of a position's value, which is in the comparable form already."""
    if isinstance(position.value, str):
        return position.value.encode("utf-8", "surrogatepass")
    return None if position.value is None else sortable(leaf.attribute, position.value)
