"""The filter tree (RFC 7644 §3.4.2.2): the parser makes it, :mod:`.filter_meaning` checks it against a resource type,
:mod:`.filter_predicates` evaluates it, and a backend translates as much of it as it can.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from scim_gateway.schema import AttributePath

Operator = Literal["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"]
Operand: TypeAlias = str | int | float | bool | None


class Word(str):
    """``True``, ``FALSE``, ``Null`` without quotes: not JSON, but some clients write their literals so."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """``attrPath compareOp compValue``; true if any value at the path compares so (``ne``: if none is equal)."""

    path: AttributePath
    operator: Operator
    value: Operand


@dataclass(frozen=True, slots=True)
class Present:
    """``attrPath pr``."""

    path: AttributePath


@dataclass(frozen=True, slots=True)
class And:
    """All terms hold."""

    terms: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """One of the terms holds."""

    terms: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The term does not hold."""

    term: Filter


@dataclass(frozen=True, slots=True)
class ValuePath:
    """``attrPath[filter]``: one element of the attribute fulfils the whole filter, whose paths are relative to it.

    :param then: what else the same element fulfils: a condition written behind the bracket, as in
        ``emails[type eq "work"].value eq "x"``, which some clients send. Part of the filter when resolved.
    """

    path: AttributePath
    filter: Filter
    then: Comparison | Present | None = None


@dataclass(frozen=True, slots=True)
class Never:
    """Matches nothing: what an attribute unknown to this resource type comes to in a root query (§3.4.2.1)."""


Filter: TypeAlias = Comparison | Present | And | Or | Not | ValuePath | Never


def paths(tree: Filter | None) -> Iterator[AttributePath]:
    """The paths that a resolved filter looks at; those inside a value path with the attribute they are relative to."""
    match tree:
        case Comparison(path) | Present(path):
            yield path
        case And(terms) | Or(terms):
            for term in terms:
                yield from paths(term)
        case Not(term):
            yield from paths(term)
        case ValuePath(owner, inner):
            yield from (AttributePath(owner.urn, owner.name, path.name) for path in paths(inner))
