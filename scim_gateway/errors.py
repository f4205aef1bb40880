"""One exception per SCIM error: status, scimType and a detail for an administrator (RFC 7644 §3.12)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


class ScimError(Exception):
    """An answer that is not a success; ``detail`` says what to do about it and repeats no secret.

    :param detail: text for the administrator who reads it in the identity provider's console.
    :param headers: extra response headers, such as ``Allow`` or ``Retry-After``.
    """

    status: ClassVar[int] = 500
    scim_type: ClassVar[str | None] = None

    def __init__(self, detail: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers: dict[str, str] = dict(headers or {})


class InvalidFilter(ScimError):
    """The filter is malformed, or compares what cannot be compared."""

    status = 400
    scim_type = "invalidFilter"


class TooMany(ScimError):
    """The filter yields more results than the server is willing to work out."""

    status = 400
    scim_type = "tooMany"


class Uniqueness(ScimError):
    """A value that has to be unique is already held by another resource."""

    status = 409
    scim_type = "uniqueness"


class Mutability(ScimError):
    """The change touches a readOnly attribute, or an immutable one that has a value."""

    status = 400
    scim_type = "mutability"


class InvalidSyntax(ScimError):
    """The body is no JSON object, or does not have the shape of the message."""

    status = 400
    scim_type = "invalidSyntax"


class InvalidPath(ScimError):
    """The ``path`` of a PATCH operation is malformed or names no attribute."""

    status = 400
    scim_type = "invalidPath"


class NoTarget(ScimError):
    """The ``path`` of a PATCH operation selects nothing that could be changed."""

    status = 400
    scim_type = "noTarget"


class InvalidValue(ScimError):
    """A required value is missing, or a value does not fit its attribute."""

    status = 400
    scim_type = "invalidValue"


class InvalidVersion(ScimError):
    """The protocol version in the URL is not supported."""

    status = 400
    scim_type = "invalidVers"


class InvalidCursor(ScimError):
    """The cursor is damaged, or belongs to another query (RFC 9865 §2.1)."""

    status = 400
    scim_type = "invalidCursor"


class ExpiredCursor(ScimError):
    """The cursor is older than ``cursorTimeout`` (RFC 9865 §2.1)."""

    status = 400
    scim_type = "expiredCursor"


class InvalidCount(ScimError):
    """``count`` is no number, or changed while a cursor was followed (RFC 9865 §2.1)."""

    status = 400
    scim_type = "invalidCount"


class Unauthorized(ScimError):
    """No credentials, or credentials that are not valid (RFC 6750 §3)."""

    status = 401


class Forbidden(ScimError):
    """The credentials are valid, but the operation is not allowed to them."""

    status = 403


class InsufficientScope(Forbidden):
    """The credentials are valid, but not for this kind of operation (RFC 6750 §3.1)."""


class NotFound(ScimError):
    """No such resource or endpoint."""

    status = 404


class MethodNotAllowed(ScimError):
    """The URL exists, the method does not apply to it.

    :param allow: the methods that do, for the ``Allow`` header (RFC 9110 §15.5.6).
    """

    status = 405

    def __init__(self, detail: str, *, allow: tuple[str, ...]) -> None:
        super().__init__(detail, headers={"Allow": ", ".join(allow)})


class NotAcceptable(ScimError):
    """The client accepts no JSON at all."""

    status = 406


class Conflict(ScimError):
    """The request contradicts the state of the directory, other than by a unique value."""

    status = 409


class PreconditionFailed(ScimError):
    """``If-Match`` or ``If-None-Match`` does not hold (RFC 7644 §3.14)."""

    status = 412


class PayloadTooLarge(ScimError):
    """The body, or the number of bulk operations, is over the advertised limit."""

    status = 413


class UnsupportedMediaType(ScimError):
    """The body is not JSON by its ``Content-Type``."""

    status = 415


class TooManyRequests(ScimError):
    """The client is throttled.

    :param retry_after: seconds until the next try makes sense (RFC 6585 §4).
    """

    status = 429

    def __init__(self, detail: str, *, retry_after: int) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})


class InternalError(ScimError):
    """A defect of the gateway; the detail carries no internals."""

    status = 500


class NotImplementedFeature(ScimError):
    """A feature of the protocol that this service provider does not offer."""

    status = 501


class Unavailable(ScimError):
    """The store, or a system behind it, cannot be reached; nothing was changed.

    :param retry_after: seconds until the next try makes sense (RFC 9110 §10.2.3).
    """

    status = 503
    place: str | None = None
    """Where the store is that could not be opened; for the operator alone, no client is told."""

    def __init__(self, detail: str, *, retry_after: int = 5) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})


class StaleResource(Exception):
    """A backend's word that ``before`` is no longer what it stores: the core reads and applies again."""


class Replayed(Exception):
    """A backend's word that a create was sent before and never answered: the resource is there, under this id.

    :param id: the id that the first request made.
    """

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.id = id
