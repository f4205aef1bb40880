"""Who asked for the operation that is under way: for the audit trail and for logs of a backend."""

from __future__ import annotations

from contextvars import ContextVar
from typing import NamedTuple


class Actor(NamedTuple):
    """The origin of an operation.

    :param name: label of the token, or ``command line``; never the token.
    :param request_id: the request's id, as in the access log.
    :param agent: the client's ``User-Agent``.
    :param action: what is asked for: ``create``, ``replace``, ``patch``, ``delete``; in bulk by operation.
    :param kind: resource type that it is asked of.
    :param id: id that it is asked of; a resource that is to be created has none.
    """

    name: str
    request_id: str | None = None
    agent: str | None = None
    action: str | None = None
    kind: str | None = None
    id: str | None = None


GATEWAY = Actor("gateway")
"""What the gateway does by itself: retry, reconcile."""

_current: ContextVar[Actor] = ContextVar("scim_gateway_actor", default=GATEWAY)


def current() -> Actor:
    """The actor of this thread's operation."""
    return _current.get()


class Acting:
    """Operations inside the block are this actor's: ``with Acting(actor):``."""

    __slots__ = ("_actor", "_token")

    def __init__(self, actor: Actor) -> None:
        self._actor = actor

    def __enter__(self) -> None:
        self._token = _current.set(self._actor)

    def __exit__(self, *_: object) -> None:
        _current.reset(self._token)
