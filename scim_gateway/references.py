"""Attributes that refer to other resources by id: checked when written, completed when read (RFC 7643 §2.3.7, §2.4)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from scim_gateway.backend import Reference
from scim_gateway.errors import InvalidValue
from scim_gateway.ids import is_id
from scim_gateway.schema import Attribute, Resource, ResourceType, ResourceTypes
from scim_gateway.text import fold, printable

Element = Mapping[str, Any]
Resolve = Callable[[Collection[str]], Mapping[str, Reference]]

_NAMED = 5


def of_ids(resolve: Resolve) -> Resolve:
    """The same for whatever texts: those that cannot be an id stand for nothing, and are not looked up."""

    def found(texts: Collection[str]) -> Mapping[str, Reference]:
        ids = [text for text in texts if is_id(text)]
        return resolve(ids) if ids else {}

    return found


@dataclass(frozen=True, slots=True)
class ReferenceField:
    """A complex attribute with ``value`` and a ``$ref`` to resource types of this gateway: ``members``, ``manager``.

    :param urn: URN of the extension it belongs to, or ``None``.
    :param types: names of the resource types it may refer to.
    :param display: its sub-attribute that shows the name of what it refers to, if it has one.
    :param typed: whether an element tells the type of what it refers to.
    """

    urn: str | None
    attribute: Attribute
    types: frozenset[str]
    display: str | None
    typed: bool

    @property
    def name(self) -> str:
        """How error texts name it."""
        return self.attribute.name if self.urn is None else f"{self.urn}:{self.attribute.name}"

    def elements(self, resource: Resource) -> Sequence[Element]:
        """What the resource refers to there."""
        owner = resource if self.urn is None else resource.get(self.urn, {})
        value = owner.get(self.attribute.name)
        if value is None:
            return ()
        return value if self.attribute.multi_valued else (value,)

    def with_elements(self, resource: Resource, elements: Sequence[Element]) -> Resource:
        """The resource with other elements there; there has to be at least one."""
        value = list(elements) if self.attribute.multi_valued else elements[0]
        if self.urn is None:
            return {**resource, self.attribute.name: value}
        return {**resource, self.urn: {**resource[self.urn], self.attribute.name: value}}

    def complete(self, element: Element, reference: Reference | None, location: str | None) -> Element:
        """An element as it is shown: what it refers to decides, not what was once sent."""
        if reference is None:
            return element
        shown = dict(element)
        if self.typed:
            shown["type"] = reference.resource_type
        if self.display and reference.display is not None:
            shown[self.display] = reference.display
        if location is not None:
            shown["$ref"] = location
        return shown


def reference_fields(resource_type: ResourceType, resource_types: ResourceTypes) -> tuple[ReferenceField, ...]:
    """The attributes of a type by which a client makes it refer to others."""
    fields: list[ReferenceField] = []
    for urn, attribute in resource_type.every_attribute():
        ref = attribute.sub("$ref")
        types = frozenset(ref.reference_types) & resource_types.by_name.keys() if ref else frozenset()
        if attribute.mutability == "readOnly" or not types or attribute.sub("value") is None:
            continue
        display = next((name for name in ("display", "displayName") if attribute.sub(name)), None)
        fields.append(ReferenceField(urn, attribute, types, display, attribute.sub("type") is not None))
    return tuple(fields)


class ReferenceCheck:
    """Turns elements as sent into elements as stored, or refuses them.

    Only the id and the type are stored: names and locations of other resources change without us.

    :param resolve: what ids stand for; asked only about ids the resource did not refer to before, so that a reference
        to something deleted since then does not stand in the way of other changes.
    """

    def __init__(self, resource_types: ResourceTypes, resolve: Resolve) -> None:
        self._resource_types = resource_types
        self._resolve = resolve
        self.found: dict[str, Reference] = {}
        """What the ids looked up so far stand for."""

    def resource(self, after: Resource, before: Resource | None, fields: Iterable[ReferenceField]) -> Resource:
        """A resource as stored.

        :raises InvalidValue: a reference to nothing, to the wrong type, or one that contradicts itself.
        """
        for field in fields:
            if sent := field.elements(after):
                held = {element["value"]: element for element in field.elements(before or {}) if "value" in element}
                # References are a set: who is there already stays where it is, so that another order is no change.
                place = {id: index for index, id in enumerate(held)}
                stored = sorted(
                    self.elements(field, sent, held), key=lambda element: place.get(element["value"], len(place))
                )
                after = field.with_elements(after, stored)
        return after

    def elements(
        self, field: ReferenceField, sent: Iterable[Element], held: Mapping[str, Element]
    ) -> Iterator[Element]:
        """Elements as stored, each id once.

        :param held: elements by id that the resource has already.
        :raises InvalidValue: as above.
        """
        by_id = {id_of(field, element): element for element in sent}
        new = by_id.keys() - held.keys()
        # What is said of somebody who is there already has to be true as well, where the store keeps no type with it.
        told = {id for id in by_id.keys() & held.keys() if "type" not in held[id] and tells(by_id[id])}
        if wanted := (new | told) - self.found.keys():
            self.found |= self._resolve(sorted(wanted))
        if unknown := sorted(new - self.found.keys()):
            raise InvalidValue(_unknown(field, unknown))
        for id, element in by_id.items():
            reference = self.found.get(id)
            kind = reference.resource_type if reference else held.get(id, {}).get("type")
            if kind is not None:
                self._agree(field, id, element, kind)
            stored = {name: value for name, value in element.items() if name not in ("$ref", field.display)}
            stored["value"] = id
            if field.typed:
                stored.pop("type", None)
                if kind is not None:
                    stored["type"] = kind
            yield stored

    def _agree(self, field: ReferenceField, id: str, element: Element, kind: str) -> None:
        if kind not in field.types:
            raise InvalidValue(f"{field.name} refers to {_or(field.types)}; {printable(id)} is a {kind}.")
        claimed = element.get("type") if field.typed else None
        if claimed and fold(claimed) != fold(kind):
            raise InvalidValue(
                f"{field.name}: {printable(id)} is a {kind}, not a {printable(claimed)}; correct type or leave it out."
            )
        ref = element.get("$ref")
        if ref and _parts(ref) not in ((self._resource_types.by_name[kind].endpoint.strip("/"), id), ("", id)):
            raise InvalidValue(f"{field.name}: $ref and value do not name the same resource; leave $ref out.")


def id_of(field: ReferenceField, element: Element) -> str:
    """The id that an element refers to, by ``value`` or else by ``$ref``.

    :raises InvalidValue: it has neither.
    """
    value = element.get("value")
    if value is None and element.get("$ref"):
        value = _parts(element["$ref"])[1]
    if not isinstance(value, str) or not value:
        raise InvalidValue(f"{field.name}: each element needs a value, the id of the resource it refers to.")
    return value


def tells(element: Element) -> bool:
    """Whether an element says more of what it refers to than its id."""
    return bool(element.get("type") or element.get("$ref"))


def _parts(reference: str) -> tuple[str, str]:
    """Endpoint and id at the end of a URI, absolute or relative, of any protocol version (RFC 7643 §2.3.7)."""
    try:
        path = urlsplit(reference).path
    except ValueError:
        return "", ""
    parts = [unquote(part) for part in path.split("/") if part]
    return (parts[-2] if len(parts) > 1 else "", parts[-1] if parts else "")


def _unknown(field: ReferenceField, ids: Sequence[str]) -> str:
    named = ", ".join(printable(id) for id in ids[:_NAMED])
    more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
    return f"{field.name}: there is no {_or(field.types)} with id {named}{more}."


def _or(names: Collection[str]) -> str:
    return " or ".join(sorted(names, reverse=True))
