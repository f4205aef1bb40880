"""What an answer shows: ``attributes``, ``excludedAttributes`` and ``returned`` (RFC 7644 §3.9, RFC 7643 §7).

``always`` is shown whatever is asked for, ``never`` (and ``writeOnly``) under no circumstances, ``default`` unless
other attributes are asked for or it is excluded, ``request`` when it is named or the request that is answered set it.
Sub-attributes follow the same rules, wherever their attribute is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from scim_gateway.errors import InvalidValue
from scim_gateway.schema import Attribute, Resource, ResourceType

Names: TypeAlias = str | Sequence[str] | None
"""A comma-separated list as in a query, or a list as in a SearchRequest."""

_Cut: TypeAlias = Callable[[Any], Any]
"""What is shown of a value; ``None`` is nothing."""

_Key: TypeAlias = tuple[str | None, str]
"""A top-level attribute: URN of its extension and name; an empty name is the whole extension."""

_NOTHING: frozenset[str] = frozenset()
# Longer lists are read each time, so that what is kept stays small.
_LONGEST_KEPT = 2048


@dataclass(frozen=True, eq=False)
class Projection:
    """What is shown of the resources of one type.

    :param without: top-level attributes and URNs of extensions that an answer to a GET or a query will not hold.
    :param only: the members of a resource that may be shown at all; ``None`` if all that are not cut.
    :param cuts: what is shown of a top-level member, where it is not all of it.
    """

    resource_type: ResourceType
    asked: Mapping[_Key, frozenset[str]] | None
    excluded: Mapping[_Key, frozenset[str]]
    without: frozenset[str]
    only: frozenset[str] | None
    cuts: Mapping[str, _Cut]


def parse(attributes: Names, excluded_attributes: Names, resource_type: ResourceType) -> Projection:
    """The projection for two parameters as a client sends them; absent and empty are the same.

    Names are read in any letter case, with or without URN; unknown ones are ignored. The URN of a schema stands for all
    its attributes.

    :raises InvalidValue: both are given, which RFC 7644 §3.9 excludes.
    """
    if not attributes and not excluded_attributes:
        return _parsed((), (), resource_type)
    asked, excluded = _listed("attributes", attributes), _listed("excludedAttributes", excluded_attributes)
    if asked and excluded:
        raise InvalidValue("attributes and excludedAttributes exclude each other; send one of them.")
    if sum(map(len, asked)) + sum(map(len, excluded)) > _LONGEST_KEPT:
        return _compile(
            _selection(asked, resource_type) if asked else None, _selection(excluded, resource_type), resource_type
        )
    return _parsed(asked, excluded, resource_type)


def apply(
    projection: Projection,
    resource: Resource,
    resource_type: ResourceType,
    *,
    requested: frozenset[str] = _NOTHING,
) -> Resource:
    """What is shown of a resource; a new dict, which shares unchanged values with the resource.

    :param requested: canonical names of the top-level attributes that the body of the answered request sets, those of
        extensions with their URN (``urn:…:User:costCenter``).
    """
    if requested and projection.asked is None and (named := requested & _on_request(resource_type)):
        projection = _compile(None, projection.excluded, resource_type, named)
    cuts = projection.cuts
    if projection.only is None:
        if cuts.keys().isdisjoint(resource):
            return dict(resource)
        names: Any = resource
    else:
        only = projection.only
        names = (name for name in resource if name in only)
    shown = {}
    for name in names:
        value = resource[name]
        if (cut := cuts.get(name)) is not None:
            value = cut(value)
        if value is not None:
            shown[name] = value
    return shown


def _listed(parameter: str, names: Names) -> tuple[str, ...]:
    if names is None:
        return ()
    if isinstance(names, str):
        names = names.split(",")
    if not all(isinstance(name, str) for name in names):
        raise InvalidValue(f"{parameter} is a list of attribute names.")
    return tuple(stripped for name in names if (stripped := name.strip()))


@lru_cache(maxsize=512)
def _parsed(asked: tuple[str, ...], excluded: tuple[str, ...], resource_type: ResourceType) -> Projection:
    return _compile(
        _selection(asked, resource_type) if asked else None, _selection(excluded, resource_type), resource_type
    )


def _selection(names: Sequence[str], resource_type: ResourceType) -> dict[_Key, frozenset[str]]:
    """The named attributes, each with the named sub-attributes; none of them stands for the whole attribute."""
    selection: dict[_Key, frozenset[str]] = {}
    for name in names:
        if name.lower() == resource_type.schema.id.lower():
            # Like that of an extension, the URN names no attribute in particular: none that waits to be named.
            for attribute in resource_type.schema.attributes:
                if _returned(attribute) != "request":
                    selection[None, attribute.name] = _NOTHING
            continue
        target = resource_type.locate(name)
        if target is None:
            continue
        key = (target.path.urn, target.path.name)
        if target.path.sub is None:
            selection[key] = _NOTHING
        elif key not in selection:
            selection[key] = frozenset({target.path.sub})
        elif selection[key]:
            selection[key] |= {target.path.sub}
    return selection


def _compile(
    asked: Mapping[_Key, frozenset[str]] | None,
    excluded: Mapping[_Key, frozenset[str]],
    resource_type: ResourceType,
    requested: frozenset[str] = _NOTHING,
) -> Projection:
    rule = _Rule(asked, excluded, requested)
    cuts: dict[str, _Cut] = {}
    shown: set[str] = set()
    hidden: set[str] = set()
    for attribute in resource_type.attributes.values():
        _enter(attribute.name, rule.cut(None, attribute), cuts, shown, hidden)
    for extension in resource_type.extensions:
        urn = extension.schema.id
        _enter(urn, rule.extension(urn, extension.schema.attributes), cuts, shown, hidden)
    only = frozenset(shown) if asked is not None else None
    return Projection(resource_type, asked, excluded, frozenset(hidden), only, cuts)


def _enter(name: str, cut: _Cut | None, cuts: dict[str, _Cut], shown: set[str], hidden: set[str]) -> None:
    if cut is _nothing:
        hidden.add(name)
    else:
        shown.add(name)
    if cut is not None:
        cuts[name] = cut


@dataclass(frozen=True, slots=True)
class _Rule:
    """Decides about every attribute of a type."""

    asked: Mapping[_Key, frozenset[str]] | None
    excluded: Mapping[_Key, frozenset[str]]
    requested: frozenset[str]

    def cut(self, urn: str | None, attribute: Attribute) -> _Cut | None:
        """What is shown of an attribute; ``None`` is all of it."""
        returned = _returned(attribute)
        if returned == "never":
            return _nothing
        asked, excluded = self._asked(urn, attribute), self.excluded.get((urn, attribute.name))
        requested = self._requested(urn, attribute)
        if returned != "always":
            if self.asked is not None and asked is None:
                return _nothing
            if excluded is not None and not excluded:
                return _nothing
            if returned == "request" and asked is None and not requested:
                return _nothing
            if (urn, "") in self.excluded:
                return _nothing
        kept = frozenset(
            sub.name
            for sub in attribute.sub_attributes
            if _sub_is_shown(sub, asked or _NOTHING, excluded or _NOTHING, requested=requested)
        )
        if len(kept) == len(attribute.sub_attributes):
            return None
        return _keeping(kept)

    def extension(self, urn: str, attributes: Sequence[Attribute]) -> _Cut | None:
        cuts = {attribute.name: cut for attribute in attributes if (cut := self.cut(urn, attribute)) is not None}
        if not cuts:
            return None
        if len(cuts) == len(attributes) and all(cut is _nothing for cut in cuts.values()):
            return _nothing

        def cut_extension(values: Any) -> Any:
            if not isinstance(values, Mapping):
                return None
            shown = {}
            for name, value in values.items():
                left = cuts[name](value) if name in cuts else value
                if left is not None:
                    shown[name] = left
            return shown or None

        return cut_extension

    def _asked(self, urn: str | None, attribute: Attribute) -> frozenset[str] | None:
        """Sub-attributes asked for, empty for the whole attribute; ``None`` if it is not asked for."""
        if self.asked is None:
            return None
        if (urn, "") in self.asked and _returned(attribute) != "request":
            return _NOTHING
        return self.asked.get((urn, attribute.name))

    def _requested(self, urn: str | None, attribute: Attribute) -> bool:
        return (attribute.name if urn is None else f"{urn}:{attribute.name}") in self.requested


def _sub_is_shown(sub: Attribute, asked: frozenset[str], excluded: frozenset[str], *, requested: bool) -> bool:
    match _returned(sub):
        case "never":
            return False
        case "always":
            return True
        case "request":
            return sub.name in asked or (requested and sub.name not in excluded)
        case _:
            return sub.name in asked if asked else sub.name not in excluded


def _returned(attribute: Attribute) -> str:
    # What is writeOnly is never shown, whatever else its definition says (RFC 7643 §7).
    return "never" if attribute.mutability == "writeOnly" else attribute.returned


def _nothing(value: Any) -> None:
    return None


def _keeping(names: frozenset[str]) -> _Cut:
    """The cut that leaves these sub-attributes of a complex value, or of each element."""

    def part(element: Any) -> Any:
        if not isinstance(element, Mapping):
            return None
        return {name: value for name, value in element.items() if name in names} or None

    def cut(value: Any) -> Any:
        if isinstance(value, list):
            return [left for element in value if (left := part(element)) is not None] or None
        return part(value)

    return cut


@lru_cache(maxsize=64)
def _on_request(resource_type: ResourceType) -> frozenset[str]:
    """Names of top-level attributes about which it matters that a request sets them."""
    return frozenset(
        attribute.name if urn is None else f"{urn}:{attribute.name}"
        for urn, attribute in resource_type.every_attribute()
        if "request" in (attribute.returned, *(sub.returned for sub in attribute.sub_attributes))
    )
