"""What PATCH has to know of elements: which are the same, which is primary, what they refer to (RFC 7643 §2.4)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import unquote, urlsplit

from scim_gateway.filter import And, Comparison, Filter, Not
from scim_gateway.filter_predicates import comparable
from scim_gateway.schema import Attribute, Target


def owner_of(target: Target) -> Target:
    """The attribute that a path into its elements belongs to."""
    return Target(replace(target.path, sub=None), target.attribute) if target.sub_attribute else target


def sub_of(target: Target, name: str) -> Target:
    """One sub-attribute of a target."""
    definition = target.leaf.by_name[name.lower()]
    return Target(replace(target.path, sub=definition.name), target.attribute, definition)


def put(owner: dict[str, Any], name: str, value: Any) -> None:
    """Set a value; ``None`` takes it away."""
    if value is None:
        owner.pop(name, None)
    else:
        owner[name] = value


def is_primary(element: Any) -> bool:
    """Whether an element is the primary one."""
    return isinstance(element, dict) and element.get("primary") is True


def handed_over(elements: list[Any], primary: int | None) -> list[Any]:
    """The elements with at most that one primary (RFC 7644 §3.5.2)."""
    if primary is None:
        return elements
    return [
        {**element, "primary": False} if index != primary and is_primary(element) else element
        for index, element in enumerate(elements)
    ]


def with_past(leaf: Attribute, old: Any, new: Any) -> Any:
    """An element that was there before, sent again: what the client cannot change or left out stays."""
    if not isinstance(new, dict) or old is None:
        return new
    fixed = {sub.name for sub in leaf.sub_attributes if sub.mutability in ("readOnly", "immutable")}
    return {**{name: value for name, value in old.items() if name in fixed}, **new}


def without_primary(element: Mapping[str, Any]) -> dict[str, Any]:
    """An element without what it says about being primary, however that is spelled."""
    return {name: value for name, value in element.items() if name.lower() != "primary"}


def is_reference(leaf: Attribute) -> bool:
    """Whether values of an attribute refer to resources (RFC 7643 §2.4)."""
    ref = leaf.sub("$ref")
    return ref is not None and ref.type == "reference" and leaf.sub("value") is not None


def referring(leaf: Attribute, element: dict[str, Any]) -> dict[str, Any]:
    """An element that refers to a resource by ``$ref`` alone, with the id out of it (RFC 7643 §2.4)."""
    if element.get("value") is not None or not isinstance(element.get("$ref"), str) or not is_reference(leaf):
        return element
    try:
        id = unquote(urlsplit(element["$ref"]).path.rstrip("/").rpartition("/")[2])
    except ValueError:
        return element
    return {**element, "value": id} if id else element


def equalities(selection: Filter) -> dict[str, Any] | None:
    """What an element has to have, if a resolved filter is nothing but equalities."""
    match selection:
        case Comparison(path, "eq", value) if value is not None:
            return {path.name: value}
        case Not(Comparison(path, "eq", True)):
            # What `primary eq false` means: not being primary is what a new element has to be.
            return {path.name: False}
        case And(terms):
            united: dict[str, Any] = {}
            for term in terms:
                inner = equalities(term)
                if inner is None or not united.keys().isdisjoint(inner):
                    return None
                united |= inner
            return united
    return None


def key_of(attribute: Attribute, value: Any) -> Hashable:
    """What two values have in common that are equal by the attribute's definition (RFC 7643 §2.2)."""
    if isinstance(value, list):
        return tuple(key_of(attribute, element) for element in value)
    if isinstance(value, dict):
        return frozenset((name, key_of(attribute.sub(name) or attribute, inner)) for name, inner in value.items())
    form = comparable(attribute, value)
    return str(value) if form is None else form


def includes(leaf: Attribute, element: Mapping[str, Any], part: Mapping[str, Any]) -> bool:
    """Whether an element has all that a part of one has."""
    return all(
        name in element and key_of(leaf.sub(name) or leaf, element[name]) == key_of(leaf.sub(name) or leaf, value)
        for name, value in part.items()
    )
