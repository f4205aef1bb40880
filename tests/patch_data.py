"""Resources, a type with every kind of characteristic, and short forms for tests of PATCH."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from typing import Any, Literal

from scim_gateway.definitions import standard_resource_types
from scim_gateway.messages import PatchOperation
from scim_gateway.patch import PatchResult, apply
from scim_gateway.profile import LENIENT, Profile
from scim_gateway.reader import ResourceReader
from scim_gateway.schema import Attribute, Resource, ResourceType, Schema, SchemaExtension

USER_URN = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP_URN = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE_URN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
BADGE_URN = "urn:example:params:scim:Badge"
LOCK_URN = "urn:example:params:scim:Lock"

USER = standard_resource_types().by_name["User"]
GROUP = standard_resource_types().by_name["Group"]

META = {
    "resourceType": "User",
    "created": "2026-01-01T00:00:00.000Z",
    "lastModified": "2026-01-02T00:00:00.000Z",
    "version": "3",
}

BADGE = ResourceType(
    "Badge",
    "/Badges",
    Schema(
        BADGE_URN,
        "Badge",
        attributes=(
            Attribute("label", required=True),
            Attribute("serial", mutability="immutable", case_exact=True),
            Attribute("maker", mutability="immutable"),
            Attribute("pin", mutability="writeOnly", returned="never"),
            Attribute("printed", type="dateTime", mutability="readOnly"),
            Attribute("tags", multi_valued=True),
            Attribute("seals", multi_valued=True, mutability="immutable"),
            Attribute("codes", type="integer", multi_valued=True, required=True),
            Attribute(
                "chip",
                type="complex",
                sub_attributes=(
                    Attribute("number", mutability="immutable"),
                    Attribute("state"),
                    Attribute("key", mutability="writeOnly", returned="never"),
                    Attribute("seen", mutability="readOnly"),
                    Attribute("zones", multi_valued=True),
                    Attribute("vendor", required=True),
                ),
            ),
            Attribute(
                "doors",
                type="complex",
                multi_valued=True,
                sub_attributes=(
                    Attribute("value", case_exact=True),
                    Attribute("type"),
                    Attribute("opened", mutability="readOnly"),
                    Attribute("hinge", mutability="immutable"),
                    Attribute("code", mutability="writeOnly", returned="never"),
                    Attribute("primary", type="boolean"),
                ),
            ),
        ),
    ),
    extensions=(
        SchemaExtension(
            Schema(
                LOCK_URN,
                "Lock",
                attributes=(
                    Attribute("model"),
                    Attribute("firmware", mutability="readOnly"),
                    Attribute("installed", mutability="immutable"),
                ),
            )
        ),
    ),
)


@cache
def reader(resource_type: ResourceType) -> ResourceReader:
    """The reader of a type."""
    return ResourceReader(resource_type)


def user(**attributes: Any) -> Resource:
    """A stored user; ``enterprise`` is the object of the extension."""
    resource: Resource = {
        "schemas": [USER_URN],
        "id": "u1",
        "meta": dict(META),
        "userName": "bjensen",
        "name": {"givenName": "Barbara", "familyName": "Jensen"},
        "active": True,
        "emails": [
            {"value": "work@example.com", "type": "work", "primary": True},
            {"value": "home@example.com", "type": "home", "display": "at home"},
        ],
    }
    enterprise = attributes.pop("enterprise", None)
    if enterprise:
        resource["schemas"].append(ENTERPRISE_URN)
        resource[ENTERPRISE_URN] = enterprise
    resource |= attributes
    return {name: value for name, value in resource.items() if value is not None}


def group(*ids: str, **attributes: Any) -> Resource:
    """A stored group with members by id."""
    resource: Resource = {
        "schemas": [GROUP_URN],
        "id": "g1",
        "meta": {**META, "resourceType": "Group"},
        "displayName": "Tour Guides",
    }
    if ids:
        resource["members"] = [{"value": id, "type": "User"} for id in ids]
    return resource | attributes


def badge(**attributes: Any) -> Resource:
    """A stored badge."""
    return {
        "schemas": [BADGE_URN],
        "id": "b1",
        "meta": {**META, "resourceType": "Badge"},
        "label": "Blue",
        "codes": [1, 2],
        **attributes,
    }


def op(name: Literal["add", "remove", "replace"], path: str | None = None, *value: Any) -> PatchOperation:
    """One operation; without a third argument it has no value."""
    return PatchOperation(name, path, value[0] if value else None, bool(value))


def add(path: str | None, value: Any) -> PatchOperation:
    """``add``."""
    return op("add", path, value)


def replace(path: str | None, value: Any) -> PatchOperation:
    """``replace``."""
    return op("replace", path, value)


def remove(path: str | None, *value: Any) -> PatchOperation:
    """``remove``."""
    return op("remove", path, *value)


def type_of(resource: Resource) -> ResourceType:
    """The type of one of the resources above."""
    return {"User": USER, "Group": GROUP, "Badge": BADGE}[resource["meta"]["resourceType"]]


def patch_result(resource: Resource, *operations: PatchOperation, profile: Profile = LENIENT) -> PatchResult:
    """What a PATCH comes to; the resource given is watched, and must not change."""
    before = deepcopy(resource)
    kind = type_of(resource)
    try:
        return apply(resource, operations, kind, reader(kind), profile)
    finally:
        assert resource == before, "the resource given was changed"


def patched(resource: Resource, *operations: PatchOperation, profile: Profile = LENIENT) -> Resource:
    """The resource after a PATCH."""
    return patch_result(resource, *operations, profile=profile).resource


def ids(resource: Resource) -> list[str]:
    """The members of a group."""
    return [member["value"] for member in resource.get("members", ())]
