"""The order of a query's answer: sortBy, then creation, then id; and positions in it (RFC 7644 §3.4.2.3, RFC 9865)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from scim_gateway.schema import Resource, Target


@dataclass(frozen=True)
class Sort:
    """``sortBy`` resolved against a resource type, and the direction."""

    target: Target
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the order: what the resource before it is sorted by.

    :param value: the comparable form of its sort value (see :func:`sort_value`), ``None`` if it has none or nothing is sorted.
    """

    value: str | int | float | bool | None
    created: str
    id: str


def sort_value(resource: Resource, sort: Sort) -> str | int | float | bool | None:
    """The comparable form of what a resource is sorted by: folded unless caseExact, an instant for a dateTime."""
    raise NotImplementedError


def position_of(resource: Resource, sort: Sort | None) -> Position:
    """The position of a resource in the order."""
    raise NotImplementedError


def ordered(resources: Iterable[Resource], sort: Sort | None) -> list[Resource]:
    """Resources in the order of an answer; no value sorts last ascending and first descending."""
    raise NotImplementedError


def behind(position: Position, resources: list[Resource], sort: Sort | None) -> list[Resource]:
    """Those of the ordered resources that come after a position."""
    raise NotImplementedError
