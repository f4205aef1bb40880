"""Filters as conditions in SQL, where SQL can answer them; a superset for the core to finish where it cannot.

A condition is *exact* when it holds for just the resources that the filter matches, otherwise it holds for these and
perhaps for more. Only an exact one may be negated, counted or cut into pages. All comparisons are on bytes that were
stored in the core's own comparable form, so no collation has a say.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import (
    ColumnElement,
    FromClause,
    LargeBinary,
    Select,
    and_,
    cast,
    exists,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
)
from sqlalchemy.sql.selectable import NamedFromClause

from scim_gateway.filter import And, Comparison, Filter, Never, Not, Operand, Operator, Or, Present, ValuePath
from scim_gateway.schema import Attribute, AttributePath, ResourceType
from scim_gateway.text import fold

from .indexing import LIMIT, Index, Leaf, sortable, told, unique_key
from .pages import scans
from .tables import identifiers, members, resources, values
from .vocabulary import Stored

TEXT_TYPES = frozenset({"string", "reference"})

_Values: TypeAlias = "NamedFromClause[Any]"
# Beyond this a double does not hold every whole number (IEEE 754), and decimals are indexed as doubles.
_LARGEST_EXACT = 2**53


@dataclass(frozen=True, slots=True)
class Condition:
    """A SQL condition on a resource, and whether it says just what the filter says.

    :param ids: selects the ids of the resources that fulfil it, where the value index alone can tell them.
    """

    clause: ColumnElement[bool]
    exact: bool
    ids: Select[Any] | None = None


_ANY = Condition(true(), False)
_ROWS: list[_Values] = []


def _rows() -> Iterator[_Values]:
    """Rows of the value index, as one statement names them; each is made once, as SQLAlchemy takes its time for it."""
    for number in itertools.count():
        if number == len(_ROWS):
            _ROWS.append(values.alias())
        yield _ROWS[number]


@dataclass(frozen=True, slots=True)
class _Subject:
    """What stands for the resource that a condition is about: its own row, or a row of one of its values."""

    row: FromClause
    tenant: ColumnElement[str]
    id: ColumnElement[str]


_RESOURCE = _Subject(resources, resources.c.tenant, resources.c.id)


class Translation:
    """Makes the conditions of one filter.

    :param stored: tells what has to be known of the index; asked only when it matters.
    """

    def __init__(self, index: Index, tenant: str, stored: Stored) -> None:
        self._index = index
        self._type = index.resource_type
        self._tenant = tenant
        self._stored = stored
        self._subject = _RESOURCE
        self._rows = _rows()

    def condition(self, tree: Filter) -> Condition:
        match tree:
            case Never():
                return Condition(false(), True)
            case And(terms):
                return _all(self.condition(term) for term in terms)
            case Or(terms):
                return _one(self.condition(term) for term in terms)
            case Not(term):
                return _negated(self.condition(term))
            case Comparison(path, "ne", value):
                return _negated(self.condition(Comparison(path, "eq", value)))
            case Comparison(path, operator, value):
                return self._comparison(path, operator, value)
            case Present(path):
                return self._present(path)
            case ValuePath(path, inner):
                return self._value_path(path, inner)

    def ids(self, tree: Filter) -> Select[Any] | None:
        """Selects the ids of the resources that a filter matches, each once, without a look at their own rows.

        :return: ``None`` if the filter is not about a part of a text, or the value index alone cannot answer it.
        """
        terms = list(tree.terms) if isinstance(tree, And) else [tree]
        start = next(filter(scans, terms), None)
        first = _ANY if start is None else self.condition(start)
        if first.ids is None or not first.exact:
            return None
        (id,) = first.ids.selected_columns
        value = id.table
        self._subject = _Subject(value, value.c.tenant, value.c.resource_id)
        others = [self.condition(term) for term in terms if term is not start]
        if not all(other.exact for other in others):
            return None
        return first.ids.where(*(other.clause for other in others)).distinct()

    def _comparison(self, path: AttributePath, operator: Operator, value: Operand) -> Condition:
        if str(path) == "id":
            return Condition(self._subject.id == value, True) if operator == "eq" and isinstance(value, str) else _ANY
        if path.urn is None and path.name == self._type.members:
            return self._member(path.sub, operator, value)
        identifier = identifier_of(self._index, path, value) if operator == "eq" else None
        if identifier is not None:
            return Condition(self._holds(*identifier), True)
        leaf = self._index.leaves.get(str(path))
        return _ANY if leaf is None else self._any_value(leaf, operator, value)

    def _any_value(self, leaf: Leaf, operator: Operator, value: Operand) -> Condition:
        row = next(self._rows)
        matches = self._matches(row, leaf, operator, value)
        condition = self._among(row, (leaf.number,), matches.clause, matches.exact)
        if operator != "eq" or not coarse(leaf.attribute) or condition.ids is None:
            return condition
        # What a large part of the directory has in common is looked up resource by resource, in the order of the page.
        # By the tenant as well: SingleStore looks at a row from inside a sub-select only where both are on one shard.
        subject = self._subject
        here = condition.ids.where(row.c.tenant == subject.tenant, row.c.resource_id == subject.id)
        return Condition(exists(here.correlate(subject.row)), condition.exact, condition.ids)

    def _present(self, path: AttributePath) -> Condition:
        if str(path) == "id":
            return Condition(true(), True)
        if path.urn is None and path.name == self._type.members:
            return self._member(path.sub, "pr", None)
        numbers = self._numbers_below(path)
        row = next(self._rows)
        return self._among(row, numbers, _is_present(row), True) if numbers else _ANY

    def _numbers_below(self, path: AttributePath) -> Sequence[int]:
        """The indexed paths of which one has a row where the attribute has a value; none if that cannot be told."""
        target = self._type.resolve(path)
        if target is None:
            return ()
        leaves = self._index.leaves
        if target.sub_attribute is not None:
            return (leaves[str(path)].number,) if str(path) in leaves else ()
        if target.attribute is not None:
            attributes: Sequence[Attribute] = (target.attribute,)
        else:
            attributes = self._type.extensions_by_urn[str(path.urn).lower()].schema.attributes
        paths = [below for attribute in attributes if told(attribute) for below in _simple_paths(path.urn, attribute)]
        found = [leaves[str(below)].number for below in paths if str(below) in leaves]
        return found if len(found) == len(paths) else ()

    def _member(self, sub: str | None, operator: str, value: Operand) -> Condition:
        holding = select(members.c.group_id).where(members.c.tenant == self._tenant)
        if operator == "pr" and sub in (None, "value"):
            return Condition(self._subject.id.in_(holding), True)
        member_id = member_id_of(self._type, sub, value) if operator == "eq" else None
        if member_id is None:
            return _ANY
        return Condition(self._subject.id.in_(holding.where(members.c.member_id == member_id)), True)

    def _value_path(self, path: AttributePath, inner: Filter) -> Condition:
        """Conditions on one element: a row of the element to start from, and the other terms on its neighbours."""
        if path.urn is None and path.name == self._type.members:
            match inner:
                case Comparison(AttributePath(None, "value", None), "eq", value):
                    return self._member("value", "eq", value)
            return _ANY
        if isinstance(inner, Or):
            return _one(self._value_path(path, term) for term in inner.terms)
        terms = list(inner.terms) if isinstance(inner, And) else [inner]
        start = min(terms, key=lambda term: self._cost(path, term))
        first = self._first(path, start)
        if first is None:
            return _ANY
        row, number, matches = first
        others = _all(self._beside(row, path, term) for term in terms if term is not start)
        return self._among(row, (number,), and_(matches.clause, others.clause), matches.exact and others.exact)

    def _cost(self, path: AttributePath, term: Filter) -> int:
        """What to start from: a neighbour is found by its whole value only, so a range is where to begin."""
        match term:
            case Comparison(sub, operator) if operator != "ne" and (leaf := self._leaf_of_element(path, sub)):
                return 0 if operator != "eq" else 2 if coarse(leaf.attribute) else 1
            case Present(sub) if self._leaf_of_element(path, sub):
                return 0
        return 3

    def _first(self, path: AttributePath, term: Filter) -> tuple[_Values, int, Condition] | None:
        """A term that the row of one value answers."""
        match term:
            case Comparison(sub, operator, value) if operator != "ne":
                leaf = self._leaf_of_element(path, sub)
                if leaf is not None:
                    row = next(self._rows)
                    return row, leaf.number, self._matches(row, leaf, operator, value)
            case Present(sub):
                leaf = self._leaf_of_element(path, sub)
                if leaf is not None:
                    row = next(self._rows)
                    return row, leaf.number, Condition(_is_present(row), True)
        return None

    def _beside(self, start: _Values, path: AttributePath, term: Filter) -> Condition:
        """A term about the element that the row ``start`` belongs to."""
        match term:
            case And(terms):
                return _all(self._beside(start, path, inner) for inner in terms)
            case Or(terms):
                return _one(self._beside(start, path, inner) for inner in terms)
            case Not(inner):
                return _negated(self._beside(start, path, inner))
            case Comparison(sub, "ne", value):
                return _negated(self._beside(start, path, Comparison(sub, "eq", value)))
            case Comparison(_, "eq"):
                first = self._first(path, term)
                if first is not None:
                    row, number, matches = first
                    here = and_(
                        row.c.tenant == start.c.tenant,
                        row.c.attr == number,
                        matches.clause,
                        row.c.resource_id == start.c.resource_id,
                        row.c.elem == start.c.elem,
                    )
                    return Condition(exists(select(row.c.elem).where(here)), matches.exact)
        return _ANY

    def _leaf_of_element(self, path: AttributePath, sub: AttributePath) -> Leaf | None:
        if sub.urn is not None or sub.sub is not None:
            return None
        leaf = self._index.leaves.get(str(AttributePath(path.urn, path.name, sub.name)))
        # An element of a simple attribute is its own value.
        return self._index.leaves.get(str(path)) if leaf is None and sub.name == "value" else leaf

    def _matches(self, row: _Values, leaf: Leaf, operator: Operator, value: Operand) -> Condition:
        """The condition on the row of one value."""
        form = sortable(leaf.attribute, value)
        if form is None or (operator == "eq" and compared_by_key(leaf.attribute)):
            return _ANY
        column: ColumnElement[bytes] = row.c.sortable
        if leaf.attribute.type in TEXT_TYPES:
            match operator:
                case "sw":
                    return Condition(_begins(column, form[:LIMIT]), len(form) <= LIMIT)
                case "co" | "ew":
                    return self._contains(column, leaf, form, operator)
        # What was cut, or rounded to a double, keeps its order but may have become equal to another value.
        rounded = leaf.attribute.type == "decimal" and abs(float(value or 0)) >= _LARGEST_EXACT
        exact = len(form) < LIMIT and not rounded
        form = form[:LIMIT]
        match operator:
            case "eq":
                return Condition(column == form, exact)
            case "gt":
                return Condition(column > form if exact else column >= form, exact)
            case "ge":
                return Condition(column >= form, exact)
            case "lt":
                return Condition(column < form if exact else column <= form, exact)
            case "le":
                return Condition(column <= form, exact)
        return _ANY

    def _contains(self, column: ColumnElement[bytes], leaf: Leaf, form: bytes, operator: str) -> Condition:
        wanted = literal(form, LargeBinary)
        if not form:
            return Condition(true(), True)
        clause = func.instr(column, wanted) > 0 if operator == "co" else func.substr(column, -len(form)) == wanted
        if self._stored.has_cut():
            return Condition(or_(clause, func.length(column) >= LIMIT), False)
        texts = self._stored.texts(leaf, form, at_end=operator == "ew")
        return Condition(clause if texts is None else _is_among(column, texts), True)

    def _holds(self, text: str, key: bytes) -> ColumnElement[bool]:
        holder = select(identifiers.c.resource_id).where(
            identifiers.c.tenant == self._tenant,
            identifiers.c.kind == self._type.name,
            identifiers.c.attr == text,
            identifiers.c.name_key == key,
        )
        return self._subject.id.in_(holder)

    def _among(self, row: _Values, numbers: Sequence[int], clause: ColumnElement[bool], exact: bool) -> Condition:
        at = row.c.attr == numbers[0] if len(numbers) == 1 else row.c.attr.in_(numbers)
        ids = select(row.c.resource_id).where(row.c.tenant == self._tenant, at, clause)
        return Condition(self._subject.id.in_(ids), exact, ids)


def _is_among(column: ColumnElement[bytes], texts: ColumnElement[str]) -> ColumnElement[bool]:
    """Only SQLite is ever asked so."""
    each = func.json_each(texts).table_valued("value")
    return column.in_(select(cast(each.c.value, LargeBinary)))


def _simple_paths(urn: str | None, attribute: Attribute) -> Iterable[AttributePath]:
    """The paths of the simple values that an attribute is made of, without those that are never told."""
    if attribute.type != "complex":
        return [AttributePath(urn, attribute.name)]
    return [AttributePath(urn, attribute.name, sub.name) for sub in attribute.sub_attributes if told(sub)]


def coarse(attribute: Attribute) -> bool:
    """Whether a single value of the attribute is likely to be that of very many resources."""
    return attribute.type == "boolean" or bool(attribute.canonical_values)


def compared_by_key(attribute: Attribute) -> bool:
    """Whether eq compares collision keys, which only the table of identifiers has."""
    return attribute.type == "string" and attribute.uniqueness != "none" and not attribute.case_exact


def identifier_of(index: Index, path: AttributePath, value: Operand) -> tuple[str, bytes] | None:
    """The path and key of the identifier that a value would be, if it is one for which eq means the same key."""
    leaf = index.unique.get(str(path))
    if leaf is None or leaf.attribute.type != "string" or not isinstance(value, str):
        return None
    return str(path), unique_key(leaf.attribute, value)


def member_id_of(resource_type: ResourceType, sub: str | None, value: Operand) -> str | None:
    """The id of the member that a comparison with the ``value`` of the members asks for."""
    if sub != "value" or not isinstance(value, str):
        return None
    # Ids are lower-case ASCII, so the fold of an operand is equal to an id where the operand is.
    target = resource_type.resolve(AttributePath(None, resource_type.members or "", "value"))
    return value if target is None or target.leaf.case_exact else fold(value)


def _is_present(row: _Values) -> ColumnElement[bool]:
    """``pr``: an empty text is no value; of other types no form is empty."""
    present: ColumnElement[bool] = row.c.sortable > b""
    return present


def _all(conditions: Iterable[Condition]) -> Condition:
    terms = list(conditions)
    if len(terms) == 1:
        return terms[0]
    return Condition(and_(true(), *(term.clause for term in terms)), all(term.exact for term in terms))


def _one(conditions: Iterable[Condition]) -> Condition:
    terms = list(conditions)
    return Condition(or_(false(), *(term.clause for term in terms)), all(term.exact for term in terms))


def _negated(condition: Condition) -> Condition:
    return Condition(not_(condition.clause), True) if condition.exact else _ANY


def _begins(column: ColumnElement[bytes], form: bytes) -> ColumnElement[bool]:
    """A range instead of LIKE, which has wildcards to escape and folds ASCII letters on SQLite."""
    if not form:
        return true()
    # UTF-8 has no byte 0xFF, so the last byte can always be raised.
    return and_(column >= form, column < form[:-1] + bytes((form[-1] + 1,)))
