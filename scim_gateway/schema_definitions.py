"""Schemas from JSON: the built-in ones and those a configuration declares (RFC 7643 §7)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

from scim_gateway.definition_parts import DefinitionError, check_keys, read_flag, read_keyword, read_text, read_texts
from scim_gateway.schema import (
    CORE_GROUP,
    CORE_USER,
    ENTERPRISE_USER,
    Attribute,
    AttributeType,
    Mutability,
    Returned,
    Schema,
    Uniqueness,
)

SCHEMA_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:Schema"
RESOURCE_TYPE_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
SERVICE_PROVIDER_CONFIG_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"

_MESSAGES = "urn:ietf:params:scim:api:"
_URN = re.compile(r"urn:[A-Za-z0-9][A-Za-z0-9-]*(:[A-Za-z0-9._-]+)+")
# RFC 7643 §2.1 with erratum 8924: $ref is the one name that does not start with a letter.
_ATTRIBUTE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9$_-]*|\$ref")

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


@lru_cache(maxsize=1)
def standard_schemas() -> tuple[Schema, Schema, Schema]:
    """The schemas of User, Group and the enterprise extension (RFC 7643 §4)."""
    user, group, enterprise = _built_in("User"), _built_in("Group"), _built_in("EnterpriseUser")
    assert (user.id, group.id, enterprise.id) == (CORE_USER, CORE_GROUP, ENTERPRISE_USER)
    return user, group, enterprise


@lru_cache(maxsize=1)
def discovery_schemas() -> tuple[Schema, ...]:
    """The schemas of ServiceProviderConfig, ResourceType and Schema (RFC 7643 §5, §6, §7)."""
    return _built_in("ServiceProviderConfig"), _built_in("ResourceType"), _built_in("Schema")


def read_schema(document: Mapping[str, Any], place: str = "schema") -> Schema:
    """A schema from its JSON form.

    :param place: what to call it in an error, until its URN is known.
    :raises DefinitionError: it is none.
    """
    check_keys(document, _SCHEMA_KEYS, place)
    urn = read_text(document, "id", place)
    if not _URN.fullmatch(urn):
        raise DefinitionError(
            f"{place}: id {urn!r} is no URN of letters, digits and .:_-, such as urn:example:params:scim:Badge"
        )
    place = f"schema {urn}"
    if urn.lower().startswith(_MESSAGES):
        raise DefinitionError(f"{place}: {_MESSAGES} is the name space of protocol messages")
    attributes = _attributes(document, "attributes", place, inside=False, nests=urn == SCHEMA_SCHEMA)
    name = read_text(document, "name", place, default=urn.rpartition(":")[2])
    return Schema(urn, name, read_text(document, "description", place, default=""), attributes)


def check_ambiguity(schemas: Iterable[Schema]) -> None:
    """A path such as ``urn:example:a:b`` must not mean both a schema and an attribute (RFC 7644 §3.10)."""
    by_urn = {schema.id.lower(): schema for schema in schemas}
    for urn, schema in by_urn.items():
        parent, _, name = urn.rpartition(":")
        if parent in by_urn and name.partition(".")[0] in by_urn[parent].by_name:
            raise DefinitionError(f"schema {schema.id}: this is also the path of an attribute of {by_urn[parent].id}")


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
    check_keys(definition, _ATTRIBUTE_KEYS, place)
    name = read_text(definition, "name", place)
    if not _ATTRIBUTE_NAME.fullmatch(name):
        raise DefinitionError(
            f"{place}: the attribute name {name!r} has to start with a letter and go on with letters, digits, $, - or _"
        )
    place = f"{owner}: attribute {name}"
    kind: AttributeType = read_keyword(definition, "type", AttributeType, "string", place)
    sub_attributes: tuple[Attribute, ...] = ()
    if kind == "complex":
        if inside and not nests:
            # RFC 7643 §2.3.8 with erratum 8415
            raise DefinitionError(f"{place}: a sub-attribute cannot be complex itself")
        sub_attributes = _attributes(definition, "subAttributes", place, inside=True, nests=nests and not inside)
    elif "subAttributes" in definition:
        raise DefinitionError(f"{place}: subAttributes belong to the type complex, not {kind}")
    mutability: Mutability = read_keyword(definition, "mutability", Mutability, "readWrite", place)
    returned: Returned = read_keyword(definition, "returned", Returned, "default", place)
    uniqueness: Uniqueness = read_keyword(definition, "uniqueness", Uniqueness, "none", place)
    multi_valued = read_flag(definition, "multiValued", place)
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
        read_text(definition, "description", place, default=""),
        read_flag(definition, "required", place),
        read_flag(definition, "caseExact", place),
        mutability,
        returned,
        uniqueness,
        read_texts(definition, "canonicalValues", place),
        read_texts(definition, "referenceTypes", place),
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
