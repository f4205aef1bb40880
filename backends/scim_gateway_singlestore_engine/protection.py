"""Who and what is never managed through SCIM, whatever the request looks like: by name, and by what it may do.

Membership is privilege: a group whose roles make administrators is as protected as an administrator's account.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import NoReturn

from scim_gateway_provisioning.target import Kind

from scim_gateway.actor import current
from scim_gateway.errors import Conflict, Forbidden
from scim_gateway.text import collision_key, shown

from .patterns import Patterns

BUILT_IN = frozenset({"", "root", "admin", "distributed"})
"""Names that are the server's own, of accounts and of groups."""

_security = logging.getLogger("scim_gateway.security")


class ProtectedNames:
    """What is protected by its name alone, in any spelling.

    :param own: name of the gateway's account.
    :param patterns: those of the operator.
    """

    def __init__(self, own: str, patterns: Mapping[Kind, Patterns]) -> None:
        self._own = collision_key(own)
        self._patterns = patterns

    def reason(self, kind: Kind, name: str) -> str | None:
        """Why a name is protected, or ``None``."""
        key = collision_key(name)
        if key in BUILT_IN:
            return "it is the server's own"
        if kind == "User" and key == self._own:
            return "it is the gateway's own account"
        if self._patterns[kind].match(name):
            return f"engine_protected_{kind.lower()}s names it"
        return None

    def admit(self, kind: Kind, name: str) -> None:
        """Refuse a protected name.

        :raises Forbidden: it is one.
        """
        reason = self.reason(kind, name)
        if reason is not None:
            refuse(kind, name, reason)


def refuse(kind: Kind, name: str, reason: str) -> NoReturn:
    """Refuse to touch something protected, and leave a line for those who watch over security.

    :raises Forbidden: always.
    """
    record(kind, name, f"is protected ({reason})")
    raise Forbidden(
        f"The Engine's {kind} {shown(name)} is protected: {reason}. It is managed by database administrators only; "
        f"take it out of the provisioning of the identity provider."
    )


def not_ours(kind: Kind, name: str) -> Conflict:
    """The refusal to touch what the gateway did not make; those who watch over security have a line about it."""
    record(kind, name, "was not made by the gateway")
    what = "an account" if kind == "User" else "a group"
    return Conflict(
        f"The Engine has {what} {shown(name)} that the gateway did not make. To manage it from now on, list it: "
        f"scim-gateway adopt engine {kind} {name}; otherwise use another name."
    )


def record(kind: Kind, name: str, why: str) -> None:
    """A line for those who watch over security.

    :param why: what is refused, as the rest of a sentence that begins with the name.
    """
    actor = current()
    _security.warning(
        "refused: the %s %s of the Engine %s; asked for by %s, request %s",
        kind,
        shown(name),
        why,
        shown(actor.name),
        shown(actor.request_id or "none"),
    )


def administrator(privilege: str) -> str:
    """The reason of what is protected because it holds a privilege."""
    return f"it holds {privilege}, a privilege of administrators"
