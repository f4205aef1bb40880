"""The filter tree, its meaning against a resource type, and its evaluation (RFC 7644 §3.4.2.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from scim_gateway.profile import Profile
from scim_gateway.schema import AttributePath, Resource, ResourceType

Operator = Literal["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"]
Operand: TypeAlias = str | int | float | bool | None


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
    """``attrPath[filter]``: one element of the attribute fulfils the whole filter, whose paths are relative to it."""

    path: AttributePath
    filter: Filter


@dataclass(frozen=True, slots=True)
class Never:
    """Matches nothing: what an attribute unknown to this resource type comes to in a root query (§3.4.2.1)."""


Filter: TypeAlias = Comparison | Present | And | Or | Not | ValuePath | Never


def resolve(tree: Filter, resource_type: ResourceType, profile: Profile, *, unknown_is_absent: bool = False) -> Filter:
    """The same filter with canonical paths and operands that fit their attributes.

    Afterwards a path into a complex multi-valued attribute without a sub-attribute has become ``….value``, ``eq null`` a
    negated ``Present``, a date-time operand its instant in the stored form, and every operand has its attribute's type.

    :param unknown_is_absent: an unknown attribute has no value instead of being refused (root queries).
    :raises InvalidFilter: unknown attribute, operand that does not fit, operator the type does not have, or an attribute
        whose value must not be probed (``returned: never``).
    """
    raise NotImplementedError


def compile_filter(tree: Filter, resource_type: ResourceType) -> Callable[[Resource], bool]:
    """A predicate for a resolved filter; compiled once for each tree and type."""
    raise NotImplementedError
