"""The gateway's mark on an account: one key of its ATTRIBUTE, beside whatever administrators keep there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

KEY = "scim"


@dataclass(frozen=True, slots=True)
class Mark:
    """Whose account it is.

    :param id: SCIM id of the person.
    :param tenant: directory that the person is in; several gateways may share an Engine.
    :param locked: whether the gateway locked the account: what an administrator locked is not unlocked again.
    """

    id: str
    tenant: str
    locked: bool = False

    def with_lock(self, locked: bool) -> Mark:
        """The same mark of an account that the gateway has locked, or not."""
        return replace(self, locked=locked)


def attributes_of(text: object) -> dict[str, Any]:
    """The object in an ATTRIBUTE column; what is no object counts as empty."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    if not isinstance(text, str):
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def mark_in(attributes: Mapping[str, Any]) -> Mark | None:
    """The mark among an account's attributes, if it carries one."""
    found = attributes.get(KEY)
    if not isinstance(found, Mapping):
        return None
    id, tenant = found.get("id"), found.get("tenant")
    if not isinstance(id, str) or not isinstance(tenant, str):
        return None
    return Mark(id, tenant, found.get("locked") is True)


def attribute_text(mark: Mark, others: Mapping[str, Any] | None = None) -> str:
    """The whole ATTRIBUTE of an account; every key is written, so it does not matter whether the server merges."""
    own = {"id": mark.id, "tenant": mark.tenant, "locked": mark.locked}
    return json.dumps({**(others or {}), KEY: own}, sort_keys=True)
