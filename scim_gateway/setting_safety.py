"""The settings that guard a backend with targets against tampering and mistakes: audit trail, circuit breaker."""

from __future__ import annotations

from typing import Any

from scim_gateway.setting import Setting, a_number, a_text
from scim_gateway.tokens import MINIMUM_LENGTH


def some_keys(value: Any) -> tuple[str, ...]:
    """One or more keys with blanks or line breaks between them."""
    keys = tuple(a_text(value).split())
    if len(set(keys)) < len(keys) or any(len(key) < MINIMUM_LENGTH for key in keys):
        raise ValueError(
            f"keys of at least {MINIMUM_LENGTH} characters without blanks, each once (make one: "
            "python3 -c 'import secrets; print(secrets.token_urlsafe(32))')"
        )
    return keys


SAFETY_SETTINGS: tuple[Setting, ...] = (
    Setting(
        "audit_key",
        some_keys,
        (),
        "Key of the audit trail, so that a thief of the database cannot forge it; after a change the new key, a blank "
        "and the old one.",
        secret=True,
    ),
    Setting(
        "breaker_removals",
        a_number(0),
        50,
        "Removals within breaker_minutes that are always let through: users deactivated, deleted or given another name "
        "in a target, groups deleted; as many memberships. 0: no limit.",
    ),
    Setting(
        "breaker_share",
        a_number(0, 100),
        10,
        "Per cent of all users and groups (of all memberships) that are let through, where that is more.",
    ),
    Setting("breaker_minutes", a_number(1, 10080), 60, "Minutes in which removals are counted."),
)
