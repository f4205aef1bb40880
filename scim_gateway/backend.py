"""The contract between the protocol core and a store: all that the author of a backend reads.

The rules. Each has a test in :mod:`scim_gateway.testing`; a backend that passes the suite is a backend. What is said of
processes (4, 6, ``references``, ``cursor_key``) is tested with the fixture ``another``, 10 with ``make_unreachable``.

1.  A resource is a plain ``dict`` in SCIM's JSON names, already validated. The core sets ``id`` (at most 64 lower-case
    letters, digits and ``-``), ``schemas`` and ``meta`` (``resourceType``, ``created``, ``lastModified``, ``version``);
    a backend keeps them as they are.
    ``meta.location``, ``groups`` of a User and ``$ref`` are never stored: the core adds them to answers.
2.  What a backend returns is the caller's: changing it changes nothing stored. What it is given it does not keep.
3.  ``get`` of an unknown id, or the id of another resource type, raises :class:`~scim_gateway.errors.NotFound`.
    Only the exact text of an id is found, whatever text is asked for: in ``references`` and filters, too, and where
    something is changed or deleted. The core asks for nothing but what may be an id by rule 1; no backend relies on it.
4.  ``create`` and ``modify`` raise :class:`~scim_gateway.errors.Uniqueness` when another resource of the type holds the
    same :func:`~scim_gateway.text.collision_key` at one of ``resource_type.unique_paths`` (the exact text where the
    attribute is ``caseExact``; ``unique_keys`` gives either); also when both are written at the same moment, by threads
    or by processes.
5.  ``modify`` writes the difference of ``before`` and ``after``; if what is stored is not ``before`` any more (its
    ``meta.version`` tells), it raises :class:`~scim_gateway.errors.StaleResource` and changes nothing. ``delete``, too.
6.  ``operation(write=True)`` is all or nothing: after an exception in its block the store is as it was before.
    Writes of two operations do not mix; what a committed operation wrote is durable when the block is left.
    One in which a unique value passes from a resource to another, which no request asks for, may be refused whole with
    :class:`~scim_gateway.errors.Conflict`: in a target there is no moment at which two accounts could change names.
7.  ``query`` gives exactly the page of ``Query.run`` over all resources of the type: same resources, same order, same
    total. A backend selects any superset of the matches by what it can translate, ends with ``query.run(candidates)``.
8.  The default order is by ``meta.created``, then ``id``.
9.  A deleted id is not found again, and never comes back; its unique values are free.
10. A store that cannot be reached raises :class:`~scim_gateway.errors.Unavailable`, whatever its driver raised.
11. ``without`` in ``get`` and ``Query`` is a hint: those attributes will not be in the answer and may be left unread.

What a store may be able to do besides is in :mod:`scim_gateway.abilities`: keep each membership apart, look up what
somebody is a member of, give the JSON that it keeps.
"""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from scim_gateway.errors import NotFound, ScimError, Uniqueness
from scim_gateway.filter import Filter
from scim_gateway.filter_predicates import compile_filter
from scim_gateway.ordering import Position, Sort, behind, ordered
from scim_gateway.schema import AttributePath, Resource, ResourceType, ResourceTypes
from scim_gateway.tokens import MemoryTokenStore, TokenStore


@dataclass(slots=True)
class Page:
    """One page of an answer; ``total_results`` counts all matches, before paging (RFC 7644 §3.4.2)."""

    resources: Sequence[Resource]
    total_results: int


@dataclass(slots=True)
class Query:
    """A query over one resource type (RFC 7644 §3.4.2); filter and sort are resolved against its schemas.

    :param start_index: 1-based index of the first resource; used when ``after`` is ``None``.
    :param count: the most resources that the page may hold; 0 asks for the total alone.
    :param after: the page starts behind this position in the order (cursor paging, RFC 9865).
    :param without: top-level attributes that the answer will not hold; a hint.
    """

    resource_type: ResourceType
    filter: Filter | None = None
    sort: Sort | None = None
    start_index: int = 1
    count: int = 100
    after: Position | None = None
    without: frozenset[str] = frozenset()

    def run(self, candidates: Iterable[Resource]) -> Page:
        """The exact page out of any superset of the matches, in any order."""
        if self.filter is not None:
            matches = compile_filter(self.filter, self.resource_type)
            candidates = (resource for resource in candidates if matches(resource))
        matching = ordered(candidates, self.sort)
        if self.after is not None:
            return Page(behind(self.after, matching, self.sort)[: self.count], len(matching))
        first = self.start_index - 1
        return Page(matching[first : first + self.count], len(matching))


@dataclass(frozen=True, slots=True)
class Reference:
    """What is shown of a resource where another one refers to it.

    :param contained: ``False`` if it is known to be a member of nothing, which spares a look.
    """

    id: str
    resource_type: str
    display: str | None
    contained: bool = field(default=True, compare=False)


class ResourceHandler(ABC):
    """The operations on resources of one type."""

    resource_type: ResourceType

    @abstractmethod
    def get(self, id: str, *, without: Collection[str] = ()) -> Resource:
        """The resource with that id.

        Inside ``operation(write=True)`` it stays as read until the operation ends, or ``modify`` finds it stale.

        :raises NotFound: there is none of this type.
        """

    @abstractmethod
    def query(self, query: Query) -> Page:
        """The page that ``query.run`` would cut out of all resources of the type."""

    @abstractmethod
    def create(self, resource: Resource) -> None:
        """Store a new resource.

        :raises Uniqueness: a unique value is taken.
        :raises Replayed: it was stored by a request that was never answered; the core answers with that one.
        """

    @abstractmethod
    def modify(self, before: Resource, after: Resource) -> None:
        """Make ``after`` of ``before``, both as the core read and changed them.

        :raises Uniqueness: a unique value is taken by another resource.
        :raises StaleResource: ``before`` is not what is stored any more.
        """

    @abstractmethod
    def delete(self, resource: Resource) -> None:
        """Remove a resource; the core has already taken it out of the groups that held it.

        :raises StaleResource: ``resource`` is not what is stored any more.
        """


def value_taken(resource_type: ResourceType, path: AttributePath) -> Uniqueness:
    """The error for a unique value that another resource holds, in words for the administrator of the IdP."""
    name = resource_type.name
    # Okta shows this text where a push failed; a group unlinked there but kept here is the usual cause.
    remedy = (
        f"To manage that {name}, link it instead of creating it again: in Okta's Push Groups choose to link the "
        "existing group; otherwise delete it here or use another name."
        if resource_type.members
        else f"To manage that {name}, match or import it in the identity provider instead of creating it again."
    )
    return Uniqueness(f"A {name} with this {path} exists. {remedy}")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of ``scim-gateway check``: what was looked at, how it is, what to do about it."""

    subject: str
    ok: bool
    message: str
    remedy: str = ""


class Backend(ABC):
    """A store of SCIM resources: one handler per resource type, and the transaction around an operation."""

    resource_types: ResourceTypes
    handlers: Mapping[str, ResourceHandler]
    """Handlers by the name of their resource type."""
    settings_read: ClassVar[frozenset[str] | None] = None
    """Parts of the settings that this very class reads (:data:`.unused.PARTS`), so that others set in vain are told."""

    shared: bool = False
    """Whether several processes may serve this store at once. If not, ``serve`` starts one worker."""

    @classmethod
    @abstractmethod
    def from_settings(cls, settings: Mapping[str, Any], resource_types: ResourceTypes) -> Self:
        """Build the backend from the gateway's settings (names of :mod:`scim_gateway.config`); connects to nothing yet.

        :raises scim_gateway.config.ConfigurationError: a setting is missing or makes no sense.
        """

    @abstractmethod
    def operation(self, *, write: bool) -> AbstractContextManager[object]:
        """The transaction around one SCIM operation.

        The core calls handlers and :meth:`references` inside such a block only, or one of :meth:`look_up`. They act in
        the operation of the thread that calls them: several threads are in one of their own at the same time, and
        nobody enters one inside another. What it gives to its block is the backend's own affair.

        :param write: ``False``: nothing is written in the block, and each call in it sees what was committed by then,
            not necessarily the moment that the call before it has seen. ``True``: rule 6, and calls see what the block
            has written already.
        """

    def look_up(self) -> AbstractContextManager[object]:
        """Like ``operation(write=False)``, around what is a single look-up as a rule.

        It may raise :class:`~scim_gateway.errors.StaleResource` where it is more and something has changed in between;
        the core then does it again in ``operation(write=False)``.
        """
        return self.operation(write=False)

    def references(self, ids: Collection[str]) -> Mapping[str, Reference]:
        """What the ids stand for; unknown ones are left out. Inside a write they cannot disappear until its end."""
        found: dict[str, Reference] = {}
        for id in ids:
            for handler in self.handlers.values():
                try:
                    resource = handler.get(id, without=self._unneeded(handler))
                except NotFound:
                    continue
                found[id] = Reference(id, handler.resource_type.name, handler.resource_type.display_of(resource))
                break
        return found

    @staticmethod
    def _unneeded(handler: ResourceHandler) -> tuple[str, ...]:
        return (handler.resource_type.members,) if handler.resource_type.members else ()

    @property
    def tokens(self) -> TokenStore:
        """Where bearer tokens are kept (hashed); the default forgets them with the process."""
        store: TokenStore | None = self.__dict__.get("_tokens")
        return store if store is not None else self.__dict__.setdefault("_tokens", MemoryTokenStore())

    @property
    def cursor_key(self) -> bytes:
        """32 secret bytes that seal cursors; the same in every process that serves this store.

        The default is one process's own: where ``shared`` is true, the key has to be kept with the data.
        """
        key: bytes | None = self.__dict__.get("_cursor_key")
        return key if key is not None else self.__dict__.setdefault("_cursor_key", secrets.token_bytes(32))

    def unmade(self) -> str | None:
        """Where the first operation would make the store, if it is not there yet: commands say so, or go no further."""
        return None

    def refused(self, error: ScimError) -> None:
        """Told of every change that was answered with an error, to record it; the actor tells what it was and whose."""
        return

    def check(self) -> Iterator[Finding]:
        """Look at the store for ``scim-gateway check``; a finding for each thing looked at."""
        yield Finding("backend", True, f"{type(self).__name__} is ready")

    def start(self) -> None:
        """Begin background work, unless this process has begun it or there is none; it keeps no process alive.

        Called in each serving process, at the latest with its first request; perhaps often, by several threads.
        """
        return

    def close(self) -> None:
        """Give connections back, where there are some; the backend is not used afterwards."""
        return


class Probing(ABC):
    """Ability of a backend over a system whose documents leave questions open: it tries the answers out."""

    @abstractmethod
    def probe(self) -> Iterator[Finding]:
        """Try out, on throw-away things that are removed again, what the backend has to know; a finding for each."""
