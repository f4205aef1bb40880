"""States of a resource: new, changed, replaced; what the core sets itself (RFC 7643 §3.1, RFC 7644 §3.5.1)."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from scim_gateway.errors import Mutability
from scim_gateway.schema import Attribute, Resource, ResourceType
from scim_gateway.text import fold

_MILLISECOND = 1_000_000
_SET_HERE = frozenset({"id", "meta"})


def created(resource: Resource, resource_type: ResourceType) -> Resource:
    """The same resource with ``id`` and ``meta`` of a new one."""
    nanoseconds = time.time_ns()
    now = _text(nanoseconds // _MILLISECOND)
    meta = {"resourceType": resource_type.name, "created": now, "lastModified": now, "version": "1"}
    return {**resource, "id": new_id(nanoseconds), "meta": meta}


def new_id(nanoseconds: int | None = None) -> str:
    """An identifier that was never used and never will be: a UUID of version 7 (RFC 9562 §5.7).

    Ids of the same millisecond are in order of creation (§6.2, method 3), and so are pages, which are sorted by
    ``meta.created`` and ``id``: what is created during a walk comes behind what the walk has seen.

    :param nanoseconds: the time of creation since 1970; now, if it is not given.
    """
    milliseconds, rest = divmod(time.time_ns() if nanoseconds is None else nanoseconds, _MILLISECOND)
    fraction = rest * 4096 // _MILLISECOND
    digits = f"{milliseconds << 80 | 7 << 76 | fraction << 64 | 2 << 62 | secrets.randbits(62):032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def changed(before: Resource, after: Resource) -> Resource:
    """``after`` with the ``meta`` that follows upon ``before``: later, whatever the clock says, with a new version."""
    meta = before["meta"]
    last, now = meta["lastModified"], _text(time.time_ns() // _MILLISECOND)
    # Of the same form, the later one is the greater text.
    if now <= last or len(now) != len(last):
        moment = datetime.fromisoformat(last).timestamp()
        now = max(now, _text(round(moment * 1000) + 1))
    # Both stand at the end, as in a new resource: answers are made of stored texts (splicing.py).
    rest = {name: value for name, value in after.items() if name not in _SET_HERE}
    return {**rest, "id": before["id"], "meta": {**meta, "lastModified": now, "version": str(int(meta["version"]) + 1)}}


def same(before: Resource, after: Resource) -> bool:
    """Whether nothing but ``meta`` differs; the order of ``schemas`` means nothing (RFC 7643 §3)."""
    return _comparable(before) == _comparable(after)


def replaced(before: Resource, sent: Resource, resource_type: ResourceType) -> Resource:
    """What PUT makes of a resource (RFC 7644 §3.5.1).

    What the client cannot set stays, an immutable value that is left out stays, everything else is as sent.

    :raises Mutability: an immutable attribute has another value.
    """
    after = dict(sent)
    for urn, attribute in resource_type.remembered:
        owner_before = before if urn is None else before.get(urn, {})
        if attribute.name not in owner_before:
            continue
        owner_after = after if urn is None else dict(after.get(urn, {}))
        _keep(attribute, owner_before, owner_after, _name(urn, attribute))
        if urn is not None and owner_after:
            after[urn] = owner_after
            if urn not in after["schemas"]:
                after["schemas"] = [*after["schemas"], urn]
    after["id"], after["meta"] = before["id"], before["meta"]
    return after


def without_write_only(resource: Resource, resource_type: ResourceType) -> Resource:
    """The resource as it is stored: writeOnly values were checked, and are not kept.

    The gateway authenticates nobody, so a password has no use here and could only leak.
    """
    stored = resource
    for urn, attribute in resource_type.write_only:
        owner = stored if urn is None else stored.get(urn, {})
        if attribute.name not in owner:
            continue
        owner = {name: value for name, value in owner.items() if name != attribute.name}
        if urn is None:
            stored = owner
        elif owner:
            stored = {**stored, urn: owner}
        else:
            stored = {name: value for name, value in stored.items() if name != urn}
            stored["schemas"] = [schema for schema in stored["schemas"] if schema != urn]
    return stored


def _keep(attribute: Attribute, before: Mapping[str, Any], after: dict[str, Any], name: str) -> None:
    old, new = before[attribute.name], after.get(attribute.name)
    if attribute.mutability == "readOnly":
        after[attribute.name] = old
    elif attribute.mutability == "immutable":
        if new is not None and not _equal(attribute, old, new):
            raise Mutability(f"{name} is immutable: leave it out, or send the value that it has.")
        after[attribute.name] = old
    elif attribute.type == "complex" and not attribute.multi_valued and new is not None:
        # Elements of a multi-valued attribute are given and taken as wholes; only a single one has a past to keep.
        inner = dict(new)
        for sub in attribute.sub_attributes:
            if sub.name in old:
                _keep(sub, old, inner, f"{name}.{sub.name}")
        after[attribute.name] = inner


def _equal(attribute: Attribute, old: Any, new: Any) -> bool:
    if isinstance(old, str) and isinstance(new, str) and attribute.type == "string" and not attribute.case_exact:
        return fold(old) == fold(new)
    return bool(old == new)


def _name(urn: str | None, attribute: Attribute) -> str:
    return attribute.name if urn is None else f"{urn}:{attribute.name}"


def _comparable(resource: Resource) -> dict[str, Any]:
    return {**resource, "meta": None, "schemas": set(resource.get("schemas", ()))}


def _text(milliseconds: int) -> str:
    """A time since 1970 as ISO 8601 in UTC, to the millisecond."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{_second(seconds)}.{rest:03}Z"


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()
