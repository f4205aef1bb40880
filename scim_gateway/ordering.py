"""The order of a query's answer: sortBy, then creation, then id; and positions in it (RFC 7644 §3.4.2.3, RFC 9865)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from scim_gateway.errors import InvalidValue
from scim_gateway.filter_predicates import comparable
from scim_gateway.schema import AttributePath, Resource, ResourceType, Target
from scim_gateway.text import shown

_Value: TypeAlias = str | int | float | bool


@dataclass(frozen=True)
class Sort:
    """``sortBy`` resolved against a resource type, and the direction."""

    target: Target
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the order: what the resource before it is sorted by.

    :param value: the comparable form of its sort value (see :func:`sort_value`); ``None`` if there is none, or no sort.
    """

    value: str | int | float | bool | None
    created: str
    id: str


def resolve_sort(sort_by: str, sort_order: str | None, resource_type: ResourceType) -> Sort:
    """``sortBy`` and ``sortOrder`` as a client sends them; a complex attribute is sorted by its ``value``.

    :raises InvalidValue: an order other than ascending and descending, an attribute that the type does not have, that
        has parts of which one must be named, or whose value is never shown.
    """
    order = (sort_order or "ascending").strip().lower()
    if order not in ("ascending", "descending"):
        raise InvalidValue(f"sortOrder is ascending or descending, not {shown(sort_order or '')}.")
    target = resource_type.locate(sort_by.strip())
    if target is None or target.attribute is None:
        raise InvalidValue(f"sortBy names no attribute of a {resource_type.name}: {shown(sort_by, 100)}.")
    if target.leaf.type == "complex":
        path = target.path
        value = resource_type.resolve(AttributePath(path.urn, path.name, "value"))
        if value is None:
            raise InvalidValue(f"{path} has parts; sortBy has to name one of them.")
        target = value
    if any(
        part.returned == "never" or part.mutability == "writeOnly" for part in (target.attribute, target.leaf) if part
    ):
        # The order of an answer would tell the value little by little (RFC 7643 §7).
        raise InvalidValue(f"sortBy cannot use {target.path}: its value is never shown.")
    return Sort(target, order == "descending")


def sort_value(resource: Resource, sort: Sort) -> _Value | None:
    """The comparable form of what a resource is sorted by: folded unless caseExact, an instant for a dateTime.

    Of a multi-valued attribute it is the value of the primary element, else the first value.
    """
    path = sort.target.path
    owner: Any = resource if path.urn is None else resource.get(path.urn)
    value = owner.get(path.name) if isinstance(owner, Mapping) else None
    if isinstance(value, list):
        value = _representative(value, path.sub)
    elif path.sub is not None:
        value = _part(value, path.sub)
    return None if value is None else comparable(sort.target.leaf, value)


def _representative(elements: list[Any], sub: str | None) -> Any:
    if sub is None:
        return elements[0] if elements else None
    primary = next((element for element in elements if _part(element, "primary") is True), None)
    candidates = (_part(element, sub) for element in (primary, *elements))
    return next((value for value in candidates if value is not None), None)


def _part(element: Any, sub: str) -> Any:
    return element.get(sub) if isinstance(element, Mapping) else None


def position_of(resource: Resource, sort: Sort | None) -> Position:
    """The position of a resource in the order."""
    meta = resource.get("meta") or {}
    value = None if sort is None else sort_value(resource, sort)
    return Position(value, meta.get("created") or "", resource["id"])


def ordered(resources: Iterable[Resource], sort: Sort | None) -> list[Resource]:
    """Resources in the order of an answer; no value sorts last ascending and first descending."""
    found = list(resources)
    if len(found) < 2:
        return found
    keyed = [(position_key(position_of(resource, sort), sort), resource) for resource in found]
    keyed.sort(key=lambda pair: pair[0])
    return [resource for _, resource in keyed]


def behind(position: Position, resources: list[Resource], sort: Sort | None) -> list[Resource]:
    """Those of the ordered resources that come after a position."""

    def key(resource: Resource) -> tuple[Any, ...]:
        return position_key(position_of(resource, sort), sort)

    return resources[bisect_right(resources, position_key(position, sort), key=key) :]


def position_key(position: Position, sort: Sort | None) -> tuple[Any, ...]:
    """A key by which positions in one order sort as their resources do."""
    if sort is None:
        return position.created, position.id
    value = position.value
    if sort.descending:
        # Ties are in ascending order in both directions, so that only the value may be turned round.
        return (value is not None, None if value is None else _Descending(value), position.created, position.id)
    return value is None, value, position.created, position.id


@dataclass(slots=True)
class _Descending:
    """A value that sorts the other way round."""

    value: Any

    def __lt__(self, other: _Descending) -> bool:
        return bool(other.value < self.value)
