"""By which address somebody is known in the organization, and when two addresses are one."""

from __future__ import annotations

import re

from scim_gateway.errors import InvalidValue
from scim_gateway.schema import Resource
from scim_gateway.text import collision_key, shown

from .settings import PortalSettings

# An atom of RFC 5322 §3.2.3, or letters of any script (RFC 6532); which of those are there is for the API to say.
_ATOM = r"[^\W_]|[!#$%&'*+/=?^_`{|}~-]"
_LOCAL = rf"(?:{_ATOM})+(?:\.(?:{_ATOM})+)*"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"(?P<local>{_LOCAL})@(?P<domain>{_LABEL}(?:\.{_LABEL})+)")
LONGEST, LONGEST_LOCAL = 254, 64  # RFC 5321 §4.5.3.1


def address_of(resource: Resource, settings: PortalSettings) -> str:
    """The address of a SCIM User, with its domain in lower case: the primary email, otherwise made of the userName.

    :raises InvalidValue: it has none that could be invited.
    """
    written = _written(resource, settings)
    match = _ADDRESS.fullmatch(written)
    if match is None or len(written) > LONGEST or len(match["local"]) > LONGEST_LOCAL:
        raise InvalidValue(
            f"{shown(written)} cannot be invited to the SingleStore organization: an address there is written as in "
            "ada@example.com, without quotes or blanks, a domain with other letters in its xn-- form."
        )
    return f"{match['local']}@{match['domain'].lower()}"


def key(address: str) -> str:
    """Two addresses with the same key are one person: the Portal matches people by it in any letter case."""
    return collision_key(address)


def same(one: str, other: str) -> bool:
    """Whether two addresses are one."""
    return key(one) == key(other)


def _written(resource: Resource, settings: PortalSettings) -> str:
    if settings.address == "email":
        emails = [email for email in resource.get("emails", ()) if email.get("value")]
        for wanted in (("primary", True), ("type", "work")):
            for email in emails:
                if email.get(wanted[0]) == wanted[1]:
                    return str(email["value"]).strip()
        if emails:
            return str(emails[0]["value"]).strip()
    user_name = str(resource.get("userName", "")).strip()
    if "@" in user_name:
        return user_name
    if settings.email_domain:
        return f"{user_name}@{settings.email_domain}"
    raise InvalidValue(
        "The User has no email address, and the SingleStore organization knows people by it: send one, or let the "
        "gateway make it of the userName (its setting portal_email_domain)."
    )
