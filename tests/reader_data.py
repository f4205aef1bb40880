"""A type with values of every kind, and short forms for tests of the reader."""

from __future__ import annotations

from typing import Any

from scim_gateway.definitions import load_resource_types, standard_resource_types
from scim_gateway.reader import ResourceReader
from scim_gateway.schema import CORE_USER, AttributePath, Target

USERS = ResourceReader(standard_resource_types().by_name["User"])
GROUPS = ResourceReader(standard_resource_types().by_name["Group"])

THING = "urn:example:params:scim:schemas:Thing"
LABELS = "urn:example:params:scim:schemas:extension:Labels"
THINGS = ResourceReader(
    load_resource_types(
        [
            {
                "id": THING,
                "attributes": [
                    {"name": "count", "type": "integer"},
                    {"name": "ratio", "type": "decimal"},
                    {"name": "at", "type": "dateTime"},
                    {"name": "blob", "type": "binary", "caseExact": True},
                    {"name": "link", "type": "reference", "referenceTypes": ["uri"], "caseExact": True},
                    {"name": "tags", "multiValued": True},
                    {"name": "ports", "type": "integer", "multiValued": True},
                    {
                        "name": "owner",
                        "type": "complex",
                        "subAttributes": [{"name": "name", "required": True}, {"name": "x"}],
                    },
                    {
                        "name": "parts",
                        "type": "complex",
                        "multiValued": True,
                        "subAttributes": [{"name": "kind", "required": True}, {"name": "aliases", "multiValued": True}],
                    },
                    {"name": "state", "default": "new"},
                    {"name": "made", "mutability": "readOnly", "required": True},
                ],
            },
            {
                "id": LABELS,
                "attributes": [
                    {"name": "colour", "required": True},
                    {"name": "size", "type": "integer", "default": 1},
                    {"name": "secret", "mutability": "writeOnly"},
                ],
            },
        ],
        [
            {
                "name": "Thing",
                "endpoint": "/Things",
                "schema": THING,
                "schemaExtensions": [{"schema": LABELS, "required": True}],
            }
        ],
    ).by_name["Thing"]
)


def user(**attributes: Any) -> dict[str, Any]:
    return {"schemas": [CORE_USER], "userName": "bjensen", **attributes}


def thing(**attributes: Any) -> dict[str, Any]:
    return {"schemas": [THING], LABELS: {"colour": "red"}, **attributes}


def target(reader: ResourceReader, name: str, sub: str | None = None, urn: str | None = None) -> Target:
    found = reader.resource_type.resolve(AttributePath(urn, name, sub))
    assert found is not None
    return found
