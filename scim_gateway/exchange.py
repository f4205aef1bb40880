"""An HTTP request and its answer as the protocol core sees them: values without a web framework."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

SCIM_JSON = "application/scim+json"

# What a browser must not do with an answer, and nobody may keep (RFC 9111 §5.2, checklist T-10).
SECURITY_HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'",
}


@dataclass(frozen=True, slots=True)
class Principal:
    """Whom a request acts for.

    :param name: label of the token or of the host application's user; safe to log.
    :param scopes: what it may do: ``read`` for GET and search, ``write`` for everything else.
    :param profile: name of the IdP profile for its requests; ``None`` takes the gateway's default.
    :param resource_id: id of the User that ``/Me`` stands for, where the host application knows it.
    """

    name: str
    scopes: frozenset[str] = frozenset({"read", "write"})
    profile: str | None = None
    resource_id: str | None = None


@dataclass(slots=True)
class Request:
    """One HTTP request below the SCIM base URL; what is known of it grows until it is handed to the service provider.

    :param method: upper-case HTTP method.
    :param path: decoded path below the base URL, starting with ``/``; ``/Users/2819c223``.
    :param query: decoded query parameters in the order sent; a name may occur more than once.
    :param headers: header values by lower-case name.
    :param body: the raw body; empty when none was sent.
    :param base_url: the SCIM base URL the client used, without a trailing slash.
    :param principal: whom the request acts for; ``None`` only where a route allows anonymous reading.
    :param client: address the request came from; for throttling and logs.
    """

    method: str
    path: str
    base_url: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    principal: Principal | None = None
    client: str = ""


@dataclass(slots=True)
class Response:
    """One HTTP answer; ``body`` is empty for 204 and 304.

    :param route: what was asked for, without ids: ``PATCH /Users/{id}``; for logs and metrics.
    :param scim_type: kind of the error, if it is one that has a kind; for logs.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    route: str = ""
    scim_type: str | None = None
