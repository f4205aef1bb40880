"""Attributes, schemas and resource types as data; everything else asks them how to behave (RFC 7643 §2, §6, §7)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeAlias

from scim_gateway.text import collision_key

Resource: TypeAlias = dict[str, Any]
"""A resource in SCIM's own JSON names, canonically spelled, without unassigned attributes."""

AttributeType = Literal["string", "boolean", "decimal", "integer", "dateTime", "binary", "reference", "complex"]
Mutability = Literal["readOnly", "readWrite", "immutable", "writeOnly"]
Returned = Literal["always", "never", "default", "request"]
Uniqueness = Literal["none", "server", "global"]

CORE_USER = "urn:ietf:params:scim:schemas:core:2.0:User"
CORE_GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE_USER = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


@dataclass(frozen=True)
class Attribute:
    """One attribute definition; the defaults are those of RFC 7643 §2.2.

    :param default: the value of POST and PUT when none was sent (RFC 7643 §2.2 leaves it to the service provider).
    :param min_length: fewest characters of an assigned text. Neither of the two is published under ``/Schemas``.
    """

    name: str
    type: AttributeType = "string"
    multi_valued: bool = False
    description: str = ""
    required: bool = False
    case_exact: bool = False
    mutability: Mutability = "readWrite"
    returned: Returned = "default"
    uniqueness: Uniqueness = "none"
    canonical_values: tuple[str, ...] = ()
    reference_types: tuple[str, ...] = ()
    sub_attributes: tuple[Attribute, ...] = ()
    default: str | int | float | bool | None = None
    min_length: int = 0

    @cached_property
    def by_name(self) -> Mapping[str, Attribute]:
        """Sub-attributes by lower-case name (names are case-insensitive, RFC 7643 §2.1)."""
        return {sub.name.lower(): sub for sub in self.sub_attributes}

    def sub(self, name: str) -> Attribute | None:
        """The sub-attribute of that name in any letter case, if there is one."""
        return self.by_name.get(name.lower())


@dataclass(frozen=True)
class Schema:
    """A named set of attributes (RFC 7643 §7)."""

    id: str
    name: str
    description: str = ""
    attributes: tuple[Attribute, ...] = ()

    @cached_property
    def by_name(self) -> Mapping[str, Attribute]:
        """Attributes by lower-case name."""
        return {attribute.name.lower(): attribute for attribute in self.attributes}


@dataclass(frozen=True)
class SchemaExtension:
    """An extension that resources of a type may carry (RFC 7643 §3.3, §6)."""

    schema: Schema
    required: bool = False


COMMON_ATTRIBUTES: tuple[Attribute, ...] = (
    # RFC 7643 §3, §3.1: they belong to every resource type although no Schema lists them.
    Attribute(
        "schemas",
        type="reference",
        multi_valued=True,
        required=True,
        returned="always",
        reference_types=("uri",),
        description="The URNs of the schemas whose attributes the resource holds.",
    ),
    Attribute(
        "id",
        case_exact=True,
        mutability="readOnly",
        returned="always",
        uniqueness="server",
        description="Identifier issued by the service provider; never changes and is never used again.",
    ),
    Attribute(
        "externalId", case_exact=True, description="Identifier of the resource as the provisioning client knows it."
    ),
    Attribute(
        "meta",
        type="complex",
        mutability="readOnly",
        description="Metadata kept by the service provider.",
        sub_attributes=(
            Attribute("resourceType", case_exact=True, mutability="readOnly"),
            Attribute("created", type="dateTime", mutability="readOnly"),
            Attribute("lastModified", type="dateTime", mutability="readOnly"),
            Attribute("location", type="reference", case_exact=True, mutability="readOnly", reference_types=("uri",)),
            Attribute("version", case_exact=True, mutability="readOnly"),
        ),
    ),
)
_COMMON_BY_NAME = {attribute.name.lower(): attribute for attribute in COMMON_ATTRIBUTES}


@dataclass(frozen=True, slots=True)
class AttributePath:
    """``attrPath`` of RFC 7644 §3.10: optional schema URN, attribute, optional sub-attribute.

    As parsed it is spelled as written. :meth:`ResourceType.resolve` gives the canonical form, in which ``urn`` is
    set only for attributes of an extension, because only those live in an object of their own.
    ``name`` is empty when the path is an extension's URN alone.
    """

    urn: str | None
    name: str
    sub: str | None = None

    def __str__(self) -> str:
        text = f"{self.name}.{self.sub}" if self.sub else self.name
        if self.urn is None:
            return text
        return f"{self.urn}:{text}" if text else self.urn


@dataclass(frozen=True)
class Target:
    """What a resolved path means: the canonical path and the definitions behind it.

    ``attribute`` is ``None`` only for the URN of a whole extension; ``sub_attribute`` only where the path has none.
    """

    path: AttributePath
    attribute: Attribute | None
    sub_attribute: Attribute | None = None

    @property
    def leaf(self) -> Attribute:
        """The definition that a value at this path has to fit."""
        leaf = self.sub_attribute or self.attribute
        if leaf is None:
            raise ValueError(f"{self.path} is an extension, not an attribute")
        return leaf


@dataclass(frozen=True, eq=False)
class ResourceType:
    """A kind of resource and where it is served (RFC 7643 §6).

    :param display: attributes that name a resource to people, best first; a reference shows the first one assigned.
    :param members: the multi-valued attribute that refers to other resources by id (``members`` of a Group), if any.
    :param containers: the readOnly attribute that lists the resources referring to this one (``groups`` of a User),
        if any.
    """

    name: str
    endpoint: str
    schema: Schema
    description: str = ""
    extensions: tuple[SchemaExtension, ...] = ()
    display: tuple[str, ...] = ("displayName",)
    members: str | None = None
    containers: str | None = None

    @cached_property
    def extensions_by_urn(self) -> Mapping[str, SchemaExtension]:
        """Extensions by lower-case URN (URNs are case-insensitive, RFC 7644 §3.10)."""
        return {extension.schema.id.lower(): extension for extension in self.extensions}

    @cached_property
    def attributes(self) -> Mapping[str, Attribute]:
        """Common and core attributes by lower-case name; extension attributes are not among them."""
        return {**_COMMON_BY_NAME, **self.schema.by_name}

    def resolve(self, path: AttributePath) -> Target | None:
        """The definition behind a path in any letter case, or ``None`` if this type has no such attribute."""
        owner: Mapping[str, Attribute]
        if path.urn is None or path.urn.lower() == self.schema.id.lower():
            urn, owner = None, self.attributes
        else:
            extension = self.extensions_by_urn.get(path.urn.lower())
            if extension is None:
                return None
            urn, owner = extension.schema.id, extension.schema.by_name
            if not path.name:
                return Target(AttributePath(urn, ""), None)
        attribute = owner.get(path.name.lower())
        if attribute is None:
            return None
        if path.sub is None:
            return Target(AttributePath(urn, attribute.name), attribute)
        sub_attribute = attribute.sub(path.sub)
        if sub_attribute is None:
            return None
        return Target(AttributePath(urn, attribute.name, sub_attribute.name), attribute, sub_attribute)

    @cached_property
    def schema_urns(self) -> tuple[str, ...]:
        """URNs of the core schema and the extensions, a longer one before one that it begins with."""
        urns = (self.schema.id, *(extension.schema.id for extension in self.extensions))
        return tuple(sorted(urns, key=len, reverse=True))

    def locate(self, text: str) -> Target | None:
        """The definition behind a path as text: ``name.familyName``, ``urn:…:User:manager.value``, ``urn:…:User``.

        Any letter case; a dot in place of the colon behind a schema's URN is read as the colon. ``None`` if this type
        has no such attribute, or the text is no path.
        """
        urn: str | None = None
        for candidate in self.schema_urns:
            size = len(candidate)
            if text[:size].lower() == candidate.lower() and text[size : size + 1] in ("", ":", "."):
                if len(text) == size + 1:
                    return None
                urn, text = candidate, text[size + 1 :]
                break
        name, dot, sub = text.partition(".")
        if dot and not sub:
            return None
        return self.resolve(AttributePath(urn, name, sub or None))

    def every_attribute(self) -> Iterator[tuple[str | None, Attribute]]:
        """Each top-level attribute with the URN of its extension (``None`` for common and core ones)."""
        for attribute in self.attributes.values():
            yield None, attribute
        for extension in self.extensions:
            for attribute in extension.schema.attributes:
                yield extension.schema.id, attribute

    @cached_property
    def write_only(self) -> tuple[tuple[str | None, Attribute], ...]:
        """Each attribute that is checked when it is sent, and not kept."""
        return tuple(each for each in self.every_attribute() if each[1].mutability == "writeOnly")

    @cached_property
    def remembered(self) -> tuple[tuple[str | None, Attribute], ...]:
        """Each attribute of which a value that is there already may outlast a PUT that says otherwise."""
        return tuple(each for each in self.every_attribute() if _outlasts(each[1]))

    @cached_property
    def unique_paths(self) -> tuple[AttributePath, ...]:
        """The single-valued attributes a client sets whose values the store has to keep unique."""
        return tuple(
            AttributePath(urn, attribute.name)
            for urn, attribute in self.every_attribute()
            if attribute.uniqueness != "none" and attribute.mutability != "readOnly" and not attribute.multi_valued
        )

    @cached_property
    def _compared(self) -> tuple[tuple[AttributePath, bool], ...]:
        """The unique paths, each with whether its values are compared as they are."""
        targets = {path: self.resolve(path) for path in self.unique_paths}
        return tuple((path, target is not None and target.leaf.case_exact) for path, target in targets.items())

    def unique_keys(self, resource: Mapping[str, Any]) -> Iterator[tuple[AttributePath, str]]:
        """The unique values that a resource has, each with its path, in the form in which they are compared."""
        for path, exact in self._compared:
            for value in values_at(resource, path):
                yield path, str(value) if exact else collision_key(str(value))

    def display_of(self, resource: Mapping[str, Any]) -> str | None:
        """The text that stands for a resource where another one refers to it."""
        return next((resource[name] for name in self.display if resource.get(name)), None)


def _outlasts(attribute: Attribute) -> bool:
    if attribute.mutability in ("readOnly", "immutable"):
        return True
    return not attribute.multi_valued and any(_outlasts(sub) for sub in attribute.sub_attributes)


def values_at(resource: Mapping[str, Any], path: AttributePath) -> Sequence[Any]:
    """All values at a canonical path: none, one, or one for each element that has it.

    A path without a sub-attribute into a multi-valued attribute gives its elements.
    """
    owner: Any = resource if path.urn is None else resource.get(path.urn)
    if not isinstance(owner, Mapping):
        return ()
    if not path.name:
        return (owner,)
    value = owner.get(path.name)
    if value is None:
        return ()
    elements: Sequence[Any] = value if isinstance(value, list) else (value,)
    if path.sub is None:
        return elements
    sub = path.sub
    return [element[sub] for element in elements if isinstance(element, Mapping) and element.get(sub) is not None]


@dataclass(frozen=True)
class ResourceTypes:
    """The resource types of one gateway: built in ones and those the configuration declares."""

    types: tuple[ResourceType, ...]
    by_name: Mapping[str, ResourceType] = field(init=False)
    by_endpoint: Mapping[str, ResourceType] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {kind.name: kind for kind in self.types})
        object.__setattr__(self, "by_endpoint", {kind.endpoint: kind for kind in self.types})

    def __iter__(self) -> Iterator[ResourceType]:
        return iter(self.types)
