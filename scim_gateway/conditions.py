"""Conditional requests: entity tags, ``If-Match`` and ``If-None-Match`` (RFC 7644 §3.14, RFC 9110 §13)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from scim_gateway.errors import PreconditionFailed

_TAG = re.compile(r'(?:[Ww]/)?"([^"]*)"|([^\s,"]+)')


def weak_tag(version: str) -> str:
    """The entity tag of a version, as it stands in ``ETag`` and in ``meta.version``."""
    return f'W/"{version}"'


def names(header: str, tag: str) -> bool:
    """Whether a list of entity tags has this one.

    Opaque parts are compared although RFC 9110 §13.1.1 asks ``If-Match`` for strong tags: RFC 7644 §3.14 sends weak
    ones there. A tag that a client stripped of its quotes still names the version.
    """
    opaque = _opaque(tag)
    for quoted, bare in _TAG.findall(header):
        if bare == "*" or (bare.removeprefix("W/").removeprefix("w/") if bare else quoted) == opaque:
            return True
    return False


def check_write(headers: Mapping[str, str], tag: str) -> None:
    """Refuse a change whose preconditions do not hold; ``If-Match`` goes first (RFC 9110 §13.2.2).

    :raises PreconditionFailed: ``If-Match`` does not name the current version, or ``If-None-Match`` does.
    """
    expected = headers.get("if-match", "").strip()
    if expected and not names(expected, tag):
        raise PreconditionFailed(
            "The resource has changed since the version named by If-Match; read it again and repeat the change."
        )
    unwanted = headers.get("if-none-match", "").strip()
    if unwanted and names(unwanted, tag):
        raise PreconditionFailed("The resource is in a version that If-None-Match rules out.")


def not_modified(headers: Mapping[str, str], tag: str) -> bool:
    """Whether a reader already has this version (304).

    :raises PreconditionFailed: ``If-Match`` does not name it.
    """
    expected = headers.get("if-match", "").strip()
    if expected and not names(expected, tag):
        raise PreconditionFailed("The resource is not in a version that If-Match names.")
    known = headers.get("if-none-match", "").strip()
    return bool(known) and names(known, tag)


def _opaque(tag: str) -> str:
    return tag[tag.index('"') + 1 : -1]
