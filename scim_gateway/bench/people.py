"""The people and groups of a benchmark, as an identity provider would send them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

RARE_DOMAIN = "rare.example"
"""Domain of the work address of one person in a hundred."""


def user_name(number: int, prefix: str = "person") -> str:
    """The ``userName`` of a person."""
    return f"{prefix}{number:07}@example.com"


def user(number: int, prefix: str = "person") -> dict[str, Any]:
    """A person: two addresses, a phone; one in ten is inactive, one in a hundred has a rare address."""
    name = user_name(number, prefix)
    work = f"{prefix}{number:07}@{RARE_DOMAIN}" if number % 100 == 7 else name
    return {
        "schemas": [USER],
        "externalId": f"00u{prefix}{number:010}",
        "userName": name,
        "name": {"givenName": "Person", "familyName": f"Number {number:07}"},
        "displayName": f"Person Number {number:07}",
        "emails": [
            {"value": work, "type": "work", "primary": True},
            {"value": f"{prefix}{number:07}@home.example", "type": "home"},
        ],
        "phoneNumbers": [{"value": f"+1 555 {number:07}", "type": "work"}],
        "active": number % 10 != 3,
    }


def group(name: str, ids: Iterable[str]) -> dict[str, Any]:
    """A group."""
    return {"schemas": [GROUP], "displayName": name, "members": [{"value": id} for id in ids]}


def patch(*operations: Mapping[str, Any]) -> dict[str, Any]:
    """A PATCH request."""
    return {"schemas": [PATCH], "Operations": list(operations)}


def activation(active: bool) -> dict[str, Any]:
    """Deactivate somebody, or activate."""
    return patch({"op": "replace", "path": "active", "value": active})


def joining(*ids: str) -> dict[str, Any]:
    """Add members."""
    return patch({"op": "add", "path": "members", "value": [{"value": id} for id in ids]})


def leaving(id: str, *, by_value: bool = False) -> dict[str, Any]:
    """Remove a member, by a value path or, as some services want it, by a list of values."""
    if by_value:
        return patch({"op": "remove", "path": "members", "value": [{"value": id}]})
    return patch({"op": "remove", "path": f'members[value eq "{id}"]'})
