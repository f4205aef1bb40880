"""Resource types from JSON: the built-in ones and those a configuration declares (RFC 7643 §6)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from scim_gateway.definition_parts import DefinitionError, check_keys, read_flag, read_text, read_texts
from scim_gateway.schema import COMMON_ATTRIBUTES, ResourceType, ResourceTypes, Schema, SchemaExtension
from scim_gateway.schema_definitions import check_ambiguity, discovery_schemas, read_schema, standard_schemas

_TYPE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_ENDPOINT = re.compile(r"/[A-Za-z][A-Za-z0-9_-]*")
_RESERVED_ENDPOINTS = frozenset({"/bulk", "/me", "/schemas", "/resourcetypes", "/serviceproviderconfig"})
_RESERVED_NAMES = frozenset({"schema", "resourcetype", "serviceproviderconfig"})
_COMMON_NAMES = frozenset(attribute.name.lower() for attribute in COMMON_ATTRIBUTES)

_TYPE_KEYS = frozenset(
    {
        "schemas",
        "id",
        "name",
        "description",
        "endpoint",
        "schema",
        "schemaExtensions",
        "meta",
        "display",
        "members",
        "containers",
    }
)
_EXTENSION_KEYS = frozenset({"resourceType", "schema", "required"})


def load_resource_types(
    declared_schemas: Sequence[Mapping[str, Any]] = (),
    declared_types: Sequence[Mapping[str, Any]] = (),
    declared_extensions: Sequence[Mapping[str, Any]] = (),
) -> ResourceTypes:
    """The built-in resource types, extended and followed by what a configuration declares.

    :param declared_schemas: Schema resources (RFC 7643 §7). An attribute may also have ``default`` and ``minLength``.
    :param declared_types: ResourceType resources (RFC 7643 §6). Beyond it, ``display`` lists the attributes that name a
        resource to people, ``members`` and ``containers`` name those attributes, as in
        :class:`~scim_gateway.schema.ResourceType`.
    :param declared_extensions: ``{"resourceType", "schema", "required"}``, each adds an extension to a resource type.
    :raises DefinitionError: what is declared makes no sense.
    """
    if not (declared_schemas or declared_types or declared_extensions):
        return standard_resource_types()
    schemas = {schema.id.lower(): schema for schema in (*standard_schemas(), *discovery_schemas())}
    for position, document in enumerate(declared_schemas, 1):
        schema = read_schema(document, f"schema {position}")
        if schema.id.lower() in schemas:
            raise DefinitionError(f"schema {schema.id}: a schema with this URN exists already")
        schemas[schema.id.lower()] = schema
    check_ambiguity(schemas.values())

    types = {kind.name.lower(): kind for kind in standard_resource_types()}
    for position, document in enumerate(declared_types, 1):
        kind = _read_type(document, schemas, f"resource type {position}")
        if kind.name.lower() in types:
            raise DefinitionError(f"resource type {kind.name}: a resource type with this name exists already")
        if any(kind.endpoint.lower() == other.endpoint.lower() for other in types.values()):
            raise DefinitionError(
                f"resource type {kind.name}: the endpoint {kind.endpoint} is taken by another resource type"
            )
        types[kind.name.lower()] = kind
    for position, document in enumerate(declared_extensions, 1):
        place = f"extension {position}"
        check_keys(document, _EXTENSION_KEYS, place)
        name = read_text(document, "resourceType", place)
        extended = types.get(name.lower())
        if extended is None:
            raise DefinitionError(f"{place}: there is no resource type {name}; there are {_listing(types)}")
        extension = _read_extension(document, schemas, f"{place} of {extended.name}")
        types[name.lower()] = _with_extensions(extended, (*extended.extensions, extension))
    return ResourceTypes(tuple(types.values()))


@lru_cache(maxsize=1)
def standard_resource_types() -> ResourceTypes:
    """User with the enterprise extension, and Group (RFC 7643 §4)."""
    user, group, enterprise = standard_schemas()
    return ResourceTypes(
        (
            ResourceType(
                "User",
                "/Users",
                user,
                "User accounts.",
                (SchemaExtension(enterprise),),
                display=("displayName", "userName"),
                containers="groups",
            ),
            ResourceType("Group", "/Groups", group, "Groups of users and groups.", members="members"),
        )
    )


def all_schemas(resource_types: ResourceTypes) -> tuple[Schema, ...]:
    """Every schema that resources and discovery documents of a gateway use, each once."""
    schemas: dict[str, Schema] = {}
    for kind in resource_types:
        for schema in (kind.schema, *(extension.schema for extension in kind.extensions)):
            schemas.setdefault(schema.id.lower(), schema)
    for schema in discovery_schemas():
        schemas.setdefault(schema.id.lower(), schema)
    return tuple(schemas.values())


def _read_type(document: Mapping[str, Any], schemas: Mapping[str, Schema], place: str) -> ResourceType:
    check_keys(document, _TYPE_KEYS, place)
    name = read_text(document, "name", place)
    if not _TYPE_NAME.fullmatch(name):
        raise DefinitionError(
            f"{place}: the name {name!r} has to start with a letter and go on with letters, digits, - or _"
        )
    place = f"resource type {name}"
    if name.lower() in _RESERVED_NAMES:
        raise DefinitionError(f"{place}: the name is reserved for discovery")
    endpoint = read_text(document, "endpoint", place)
    if not _ENDPOINT.fullmatch(endpoint):
        raise DefinitionError(
            f"{place}: the endpoint {endpoint!r} has to be one path segment of letters and digits, such as /Badges"
        )
    if endpoint.lower() in _RESERVED_ENDPOINTS:
        raise DefinitionError(f"{place}: the endpoint {endpoint} is reserved by the protocol")
    schema = _schema(document, schemas, place)
    for attribute in schema.attributes:
        if attribute.name.lower() in _COMMON_NAMES:
            raise DefinitionError(
                f"{place}: the attribute {attribute.name} of {schema.id} is common to all resource types; "
                "leave it out of the schema"
            )
    described = document.get("schemaExtensions", ())
    if not isinstance(described, list | tuple):
        raise DefinitionError(f"{place}: schemaExtensions has to be a list")
    kind = ResourceType(
        name,
        endpoint,
        schema,
        read_text(document, "description", place, default=""),
        display=_display(document, schema, place),
        members=_role(document, "members", schema, place, read_only=False),
        containers=_role(document, "containers", schema, place, read_only=True),
    )
    extensions = []
    for position, entry in enumerate(described, 1):
        check_keys(entry, _EXTENSION_KEYS - {"resourceType"}, f"{place}: extension {position}")
        extensions.append(_read_extension(entry, schemas, f"{place}: extension {position}"))
    return _with_extensions(kind, tuple(extensions))


def _display(document: Mapping[str, Any], schema: Schema, place: str) -> tuple[str, ...]:
    """The attributes that name a resource: as declared, else displayName, name or the first required text there is."""
    names = read_texts(document, "display", place)
    display = []
    for name in names:
        attribute = schema.by_name.get(name.lower())
        if attribute is None or attribute.type != "string" or attribute.multi_valued or attribute.returned == "never":
            raise DefinitionError(f"{place}: display names {name}, which is no single-valued string of {schema.id}")
        display.append(attribute.name)
    if display:
        return tuple(display)
    texts = [
        attribute
        for attribute in schema.attributes
        if attribute.type == "string" and not attribute.multi_valued and attribute.returned != "never"
    ]
    usual = [
        attribute.name for name in ("displayname", "name") for attribute in texts if attribute.name.lower() == name
    ]
    return tuple(usual or [attribute.name for attribute in texts if attribute.required][:1])


def _role(document: Mapping[str, Any], key: str, schema: Schema, place: str, *, read_only: bool) -> str | None:
    name = read_text(document, key, place, default="")
    if not name:
        return None
    attribute = schema.by_name.get(name.lower())
    if (
        attribute is None
        or not attribute.multi_valued
        or attribute.sub("value") is None
        or (attribute.mutability == "readOnly") != read_only
    ):
        form = "readOnly" if read_only else "writable"
        raise DefinitionError(
            f"{place}: {key} names {name}; it takes a {form} multi-valued complex attribute with value"
        )
    return attribute.name


def _read_extension(document: Mapping[str, Any], schemas: Mapping[str, Schema], place: str) -> SchemaExtension:
    return SchemaExtension(_schema(document, schemas, place), read_flag(document, "required", place))


def _with_extensions(kind: ResourceType, extensions: tuple[SchemaExtension, ...]) -> ResourceType:
    seen = {kind.schema.id.lower()}
    for extension in extensions:
        urn = extension.schema.id.lower()
        if urn in seen:
            raise DefinitionError(f"resource type {kind.name}: the schema {extension.schema.id} is used twice")
        seen.add(urn)
    return replace(kind, extensions=extensions)


def _schema(document: Mapping[str, Any], schemas: Mapping[str, Schema], place: str) -> Schema:
    urn = read_text(document, "schema", place)
    schema = schemas.get(urn.lower())
    if schema is None or schema in discovery_schemas():
        raise DefinitionError(f"{place}: there is no schema {urn}; declare it, or correct the URN")
    return schema


def _listing(types: Mapping[str, ResourceType]) -> str:
    return ", ".join(kind.name for kind in types.values())
