"""Schemas and resource types from JSON: the built-in ones and those a configuration declares (RFC 7643 §6, §7)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from importlib.resources import files
from typing import Any, get_args

from scim_gateway.schema import (
    COMMON_ATTRIBUTES,
    CORE_GROUP,
    CORE_USER,
    ENTERPRISE_USER,
    Attribute,
    AttributeType,
    Mutability,
    ResourceType,
    ResourceTypes,
    Returned,
    Schema,
    SchemaExtension,
    Uniqueness,
)

SCHEMA_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:Schema"
RESOURCE_TYPE_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
SERVICE_PROVIDER_CONFIG_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"

_MESSAGES = "urn:ietf:params:scim:api:"
_URN = re.compile(r"urn:[A-Za-z0-9][A-Za-z0-9-]*(:[A-Za-z0-9._-]+)+")
# RFC 7643 §2.1 with erratum 8924: $ref is the one name that does not start with a letter.
_ATTRIBUTE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9$_-]*|\$ref")
_TYPE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_ENDPOINT = re.compile(r"/[A-Za-z][A-Za-z0-9_-]*")
_RESERVED_ENDPOINTS = frozenset({"/bulk", "/me", "/schemas", "/resourcetypes", "/serviceproviderconfig"})
_RESERVED_NAMES = frozenset({"schema", "resourcetype", "serviceproviderconfig"})
_COMMON_NAMES = frozenset(attribute.name.lower() for attribute in COMMON_ATTRIBUTES)

_SCHEMA_KEYS = frozenset({"schemas", "id", "name", "description", "attributes", "meta"})
_ATTRIBUTE_KEYS = frozenset(
    {
        "name",
        "type",
        "multiValued",
        "description",
        "required",
        "canonicalValues",
        "caseExact",
        "mutability",
        "returned",
        "uniqueness",
        "referenceTypes",
        "subAttributes",
        "default",
        "minLength",
    }
)
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


class DefinitionError(ValueError):
    """A schema or resource type that the gateway cannot serve; the text is one line that names the place."""


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
    schemas = {schema.id.lower(): schema for schema in (*_standard_schemas(), *discovery_schemas())}
    for position, document in enumerate(declared_schemas, 1):
        schema = read_schema(document, f"schema {position}")
        if schema.id.lower() in schemas:
            raise DefinitionError(f"schema {schema.id}: a schema with this URN exists already")
        schemas[schema.id.lower()] = schema
    _check_ambiguity(schemas.values())

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
        _known_keys(document, _EXTENSION_KEYS, place)
        name = _text(document, "resourceType", place)
        extended = types.get(name.lower())
        if extended is None:
            raise DefinitionError(f"{place}: there is no resource type {name}; there are {_listing(types)}")
        extension = _read_extension(document, schemas, f"{place} of {extended.name}")
        types[name.lower()] = _with_extensions(extended, (*extended.extensions, extension))
    return ResourceTypes(tuple(types.values()))


@lru_cache(maxsize=1)
def standard_resource_types() -> ResourceTypes:
    """User with the enterprise extension, and Group (RFC 7643 §4)."""
    user, group, enterprise = _standard_schemas()
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


@lru_cache(maxsize=1)
def discovery_schemas() -> tuple[Schema, ...]:
    """The schemas of ServiceProviderConfig, ResourceType and Schema (RFC 7643 §5, §6, §7)."""
    return _built_in("ServiceProviderConfig"), _built_in("ResourceType"), _built_in("Schema")


def all_schemas(resource_types: ResourceTypes) -> tuple[Schema, ...]:
    """Every schema that resources and discovery documents of a gateway use, each once."""
    schemas: dict[str, Schema] = {}
    for kind in resource_types:
        for schema in (kind.schema, *(extension.schema for extension in kind.extensions)):
            schemas.setdefault(schema.id.lower(), schema)
    for schema in discovery_schemas():
        schemas.setdefault(schema.id.lower(), schema)
    return tuple(schemas.values())


def read_schema(document: Mapping[str, Any], place: str = "schema") -> Schema:
    """A schema from its JSON form.

    :param place: what to call it in an error, until its URN is known.
    :raises DefinitionError: it is none.
    """
    _known_keys(document, _SCHEMA_KEYS, place)
    urn = _text(document, "id", place)
    if not _URN.fullmatch(urn):
        raise DefinitionError(
            f"{place}: id {urn!r} is no URN of letters, digits and .:_-, such as urn:example:params:scim:Badge"
        )
    place = f"schema {urn}"
    if urn.lower().startswith(_MESSAGES):
        raise DefinitionError(f"{place}: {_MESSAGES} is the name space of protocol messages")
    attributes = _attributes(document, "attributes", place, inside=False, nests=urn == SCHEMA_SCHEMA)
    name = _text(document, "name", place, default=urn.rpartition(":")[2])
    return Schema(urn, name, _text(document, "description", place, default=""), attributes)


@lru_cache(maxsize=1)
def _standard_schemas() -> tuple[Schema, Schema, Schema]:
    user, group, enterprise = _built_in("User"), _built_in("Group"), _built_in("EnterpriseUser")
    assert (user.id, group.id, enterprise.id) == (CORE_USER, CORE_GROUP, ENTERPRISE_USER)
    return user, group, enterprise


def _built_in(name: str) -> Schema:
    return read_schema(json.loads((files("scim_gateway") / "schemas" / f"{name}.json").read_bytes()))


def _attributes(
    document: Mapping[str, Any], key: str, place: str, *, inside: bool, nests: bool = False
) -> tuple[Attribute, ...]:
    """The attribute definitions under a key.

    :param inside: whether they are sub-attributes.
    :param nests: for the schema of schemas alone: the RFC prints sub-attributes with sub-attributes there.
    """
    definitions = document.get(key)
    if not isinstance(definitions, list | tuple) or not definitions:
        raise DefinitionError(f"{place}: {key} has to be a list of attribute definitions, and not empty")
    attributes: dict[str, Attribute] = {}
    for position, definition in enumerate(definitions, 1):
        attribute = _attribute(definition, f"{place}: {key} {position}", place, inside=inside, nests=nests)
        if attribute.name.lower() in attributes:
            raise DefinitionError(
                f"{place}: the attribute {attribute.name} is defined twice (letter case makes no difference)"
            )
        attributes[attribute.name.lower()] = attribute
    return tuple(attributes.values())


def _attribute(definition: Any, place: str, owner: str, *, inside: bool, nests: bool) -> Attribute:
    _known_keys(definition, _ATTRIBUTE_KEYS, place)
    name = _text(definition, "name", place)
    if not _ATTRIBUTE_NAME.fullmatch(name):
        raise DefinitionError(
            f"{place}: the attribute name {name!r} has to start with a letter and go on with letters, digits, $, - or _"
        )
    place = f"{owner}: attribute {name}"
    kind: AttributeType = _keyword(definition, "type", AttributeType, "string", place)
    sub_attributes: tuple[Attribute, ...] = ()
    if kind == "complex":
        if inside and not nests:
            # RFC 7643 §2.3.8 with erratum 8415
            raise DefinitionError(f"{place}: a sub-attribute cannot be complex itself")
        sub_attributes = _attributes(definition, "subAttributes", place, inside=True, nests=nests and not inside)
    elif "subAttributes" in definition:
        raise DefinitionError(f"{place}: subAttributes belong to the type complex, not {kind}")
    mutability: Mutability = _keyword(definition, "mutability", Mutability, "readWrite", place)
    returned: Returned = _keyword(definition, "returned", Returned, "default", place)
    uniqueness: Uniqueness = _keyword(definition, "uniqueness", Uniqueness, "none", place)
    multi_valued = _flag(definition, "multiValued", place)
    if (
        uniqueness != "none"
        and mutability != "readOnly"
        and (inside or multi_valued or kind not in ("string", "reference"))
    ):
        raise DefinitionError(
            f"{place}: only a single-valued string or reference outside complex attributes can be unique"
        )
    if "referenceTypes" in definition and kind != "reference":
        raise DefinitionError(f"{place}: referenceTypes belong to the type reference, not {kind}")
    return Attribute(
        name,
        kind,
        multi_valued,
        _text(definition, "description", place, default=""),
        _flag(definition, "required", place),
        _flag(definition, "caseExact", place),
        mutability,
        returned,
        uniqueness,
        _texts(definition, "canonicalValues", place),
        _texts(definition, "referenceTypes", place),
        sub_attributes,
        _default(definition, kind, multi_valued or inside, place),
        _min_length(definition, kind, place),
    )


def _default(
    definition: Mapping[str, Any], kind: AttributeType, unfit: bool, place: str
) -> str | int | float | bool | None:
    value = definition.get("default")
    if value is None:
        return None
    fits: dict[str, bool] = {
        "string": isinstance(value, str),
        "reference": isinstance(value, str),
        "boolean": isinstance(value, bool),
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "decimal": isinstance(value, int | float) and not isinstance(value, bool),
    }
    if unfit or kind not in fits:
        raise DefinitionError(
            f"{place}: only a single-valued string, reference, boolean or number outside complex attributes has a "
            "default"
        )
    if not fits[kind]:
        raise DefinitionError(f"{place}: the default {value!r} is no {kind}")
    assert isinstance(value, str | int | float)
    return value


def _min_length(definition: Mapping[str, Any], kind: AttributeType, place: str) -> int:
    value = definition.get("minLength", 0)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0 or (value and kind != "string"):
        raise DefinitionError(f"{place}: minLength is a number of characters, for the type string")
    return value


def _read_type(document: Mapping[str, Any], schemas: Mapping[str, Schema], place: str) -> ResourceType:
    _known_keys(document, _TYPE_KEYS, place)
    name = _text(document, "name", place)
    if not _TYPE_NAME.fullmatch(name):
        raise DefinitionError(
            f"{place}: the name {name!r} has to start with a letter and go on with letters, digits, - or _"
        )
    place = f"resource type {name}"
    if name.lower() in _RESERVED_NAMES:
        raise DefinitionError(f"{place}: the name is reserved for discovery")
    endpoint = _text(document, "endpoint", place)
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
        _text(document, "description", place, default=""),
        display=_display(document, schema, place),
        members=_role(document, "members", schema, place, read_only=False),
        containers=_role(document, "containers", schema, place, read_only=True),
    )
    extensions = []
    for position, entry in enumerate(described, 1):
        _known_keys(entry, _EXTENSION_KEYS - {"resourceType"}, f"{place}: extension {position}")
        extensions.append(_read_extension(entry, schemas, f"{place}: extension {position}"))
    return _with_extensions(kind, tuple(extensions))


def _display(document: Mapping[str, Any], schema: Schema, place: str) -> tuple[str, ...]:
    """The attributes that name a resource: as declared, else displayName, name or the first required text there is."""
    names = _texts(document, "display", place)
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
    name = _text(document, key, place, default="")
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
    return SchemaExtension(_schema(document, schemas, place), _flag(document, "required", place))


def _with_extensions(kind: ResourceType, extensions: tuple[SchemaExtension, ...]) -> ResourceType:
    seen = {kind.schema.id.lower()}
    for extension in extensions:
        urn = extension.schema.id.lower()
        if urn in seen:
            raise DefinitionError(f"resource type {kind.name}: the schema {extension.schema.id} is used twice")
        seen.add(urn)
    return replace(kind, extensions=extensions)


def _schema(document: Mapping[str, Any], schemas: Mapping[str, Schema], place: str) -> Schema:
    urn = _text(document, "schema", place)
    schema = schemas.get(urn.lower())
    if schema is None or schema in discovery_schemas():
        raise DefinitionError(f"{place}: there is no schema {urn}; declare it, or correct the URN")
    return schema


def _check_ambiguity(schemas: Iterable[Schema]) -> None:
    """A path such as ``urn:example:a:b`` must not mean both a schema and an attribute (RFC 7644 §3.10)."""
    by_urn = {schema.id.lower(): schema for schema in schemas}
    for urn, schema in by_urn.items():
        parent, _, name = urn.rpartition(":")
        if parent in by_urn and name.partition(".")[0] in by_urn[parent].by_name:
            raise DefinitionError(f"schema {schema.id}: this is also the path of an attribute of {by_urn[parent].id}")


def _known_keys(document: Any, known: Iterable[str], place: str) -> None:
    if not isinstance(document, Mapping):
        raise DefinitionError(f"{place} has to be an object")
    known = sorted(known)
    for key in document:
        if key not in known:
            raise DefinitionError(f"{place}: unknown key {key!r}; known are {', '.join(known)}")


def _text(document: Mapping[str, Any], key: str, place: str, *, default: str | None = None) -> str:
    value = document.get(key, default)
    if value is None:
        raise DefinitionError(f"{place}: {key} is missing")
    if not isinstance(value, str) or (default is None and not value):
        raise DefinitionError(f"{place}: {key} has to be a text")
    return value


def _texts(document: Mapping[str, Any], key: str, place: str) -> tuple[str, ...]:
    values = document.get(key, ())
    if not isinstance(values, list | tuple) or not all(isinstance(value, str) and value for value in values):
        raise DefinitionError(f"{place}: {key} has to be a list of texts")
    return tuple(values)


def _flag(document: Mapping[str, Any], key: str, place: str) -> bool:
    value = document.get(key, False)
    if not isinstance(value, bool):
        raise DefinitionError(f"{place}: {key} has to be true or false")
    return value


def _keyword(document: Mapping[str, Any], key: str, choice: Any, default: str, place: str) -> Any:
    value = document.get(key, default)
    keywords: tuple[str, ...] = get_args(choice)
    if value not in keywords:
        raise DefinitionError(f"{place}: {key} is {value!r}; it has to be one of {', '.join(keywords)}")
    return value


def _listing(types: Mapping[str, ResourceType]) -> str:
    return ", ".join(kind.name for kind in types.values())
