"""A schema extension and a resource type that a configuration declares, with an attribute of every kind."""

from __future__ import annotations

from typing import Any

from scim_http import new_user

BADGE = "urn:example:params:scim:schemas:extension:badge:2.0:User"
DEVICE = "urn:example:params:scim:schemas:core:2.0:Device"
SITE = "urn:example:params:scim:schemas:extension:site:2.0:Device"

BADGE_SCHEMA: dict[str, Any] = {
    "id": BADGE,
    "name": "Badge",
    "description": "What a badge of the front door knows.",
    "attributes": [
        {"name": "bare"},
        {"name": "number", "type": "integer"},
        {"name": "weight", "type": "decimal"},
        {"name": "validFrom", "type": "dateTime"},
        {"name": "seal", "type": "binary", "caseExact": True},
        {"name": "page", "type": "reference", "caseExact": True, "referenceTypes": ["external"]},
        {"name": "flag", "type": "boolean"},
        {"name": "serial", "mutability": "immutable"},
        {"name": "hint", "returned": "request"},
        {"name": "pin", "mutability": "writeOnly", "returned": "never"},
        {"name": "code", "uniqueness": "server", "caseExact": True},
        {"name": "tags", "multiValued": True},
        {"name": "level", "mutability": "readOnly"},
        {
            "name": "access",
            "type": "complex",
            "subAttributes": [
                {"name": "floor", "required": True},
                {"name": "door"},
                {"name": "secret", "returned": "never"},
                {"name": "note", "returned": "request"},
                {"name": "maker", "mutability": "immutable"},
            ],
        },
        {
            "name": "keys",
            "type": "complex",
            "multiValued": True,
            "subAttributes": [
                {"name": "value"},
                {"name": "rank", "type": "integer"},
                {"name": "lost", "type": "boolean"},
            ],
        },
    ],
}
BADGE_EXTENSION = {"resourceType": "User", "schema": BADGE, "required": False}

DEVICE_SCHEMA: dict[str, Any] = {
    "id": DEVICE,
    "name": "Device",
    "attributes": [
        {"name": "label", "required": True, "uniqueness": "server", "caseExact": True},
        {"name": "slots", "type": "integer"},
    ],
}
SITE_SCHEMA: dict[str, Any] = {
    "id": SITE,
    "name": "Site",
    "attributes": [{"name": "site", "required": True}, {"name": "room"}],
}
DEVICE_TYPE: dict[str, Any] = {
    "name": "Device",
    "endpoint": "/Devices",
    "schema": DEVICE,
    "schemaExtensions": [{"schema": SITE, "required": True}],
}


def badge(**attributes: Any) -> dict[str, Any]:
    """The body of a user with these attributes in the declared extension."""
    body = new_user()
    return {**body, "schemas": [*body["schemas"], BADGE], BADGE: attributes}
