"""The handlers of the directory, which note what an operation reads and changes on its way."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from scim_gateway.abilities import (
    MemberChange,
    MembershipHandler,
    MemberTextHandler,
    StreamHandler,
    Text,
    TextHandler,
    Texts,
)
from scim_gateway.backend import Page, Query, Reference, ResourceHandler
from scim_gateway.errors import NotFound
from scim_gateway.schema import Resource

from .operation import PROVISIONED, Operation

if TYPE_CHECKING:
    from .backend import ProvisioningBackend


class NotingHandler(TextHandler, StreamHandler):
    """A handler of the directory."""

    def __init__(self, directory: TextHandler, backend: ProvisioningBackend) -> None:
        self.resource_type = directory.resource_type
        self._directory = directory
        self._backend = backend
        self._kind = directory.resource_type.name

    def get(self, id: str, *, without: Collection[str] = ()) -> Resource:
        operation = self._backend.current
        if operation is None or self._kind not in PROVISIONED:
            return self._directory.get(id, without=without)
        try:
            resource = self._directory.get(id, without=without)
        except NotFound:
            operation.missed.add(id)
            raise
        operation.named.add(id)
        return resource

    def query(self, query: Query) -> Page:
        return self._directory.query(query)

    def stream(self, query: Query, *, among: Collection[str] | None = None) -> Iterator[Resource]:
        assert isinstance(self._directory, StreamHandler)
        return self._directory.stream(query, among=among)

    def text(self, id: str) -> Text:
        return self._directory.text(id)

    def texts(self, query: Query) -> Texts | Page:
        return self._directory.texts(query)

    def create(self, resource: Resource) -> None:
        with self._writing(), self._backend.replaying(self._kind, resource):
            self._directory.create(resource)
            self._operation.created(self._kind, resource, self.resource_type.members)

    def modify(self, before: Resource, after: Resource) -> None:
        with self._writing():
            self._directory.modify(before, after)
            self._operation.modified(self._kind, before, after)

    def delete(self, resource: Resource) -> None:
        with self._writing():
            members: Collection[str] = ()
            if self._kind == "Group" and isinstance(self._directory, MembershipHandler):
                members = self._directory.member_ids(resource["id"])
                self._backend.note_reached(resource["id"])
            self._directory.delete(resource)
            self._operation.deleted(self._kind, resource, members)

    @property
    def _operation(self) -> Operation:
        operation = self._backend.current
        assert operation is not None
        return operation

    def _writing(self) -> AbstractContextManager[object]:
        """The operation around this call, or one for this call alone."""
        return nullcontext() if self._backend.current is not None else self._backend.operation(write=True)


class NotingMembershipHandler(NotingHandler, MemberTextHandler):
    """A handler of the directory that keeps each membership apart."""

    _directory: MemberTextHandler

    def member_ids(self, id: str, *, among: Collection[str] | None = None) -> set[str]:
        operation = self._backend.current
        if operation is not None:
            operation.asked[id] = None if among is None else frozenset(among)
        return self._directory.member_ids(id, among=among)

    def has_more_members(self, id: str, than: int) -> bool:
        return self._directory.has_more_members(id, than)

    def members(self, id: str) -> Iterable[tuple[str, str, str | None]]:
        return self._directory.members(id)

    def change_members(self, before: Resource, after: Resource, change: MemberChange) -> None:
        with self._writing():
            self._directory.change_members(before, after, change)
            self._operation.modified(self._kind, before, after, change)

    def containing(self, ids: Collection[str]) -> Mapping[str, Sequence[Reference]]:
        return self._directory.containing(ids)


def noting(directory: ResourceHandler, backend: ProvisioningBackend) -> ResourceHandler:
    """A handler with the abilities of the directory's, which is one in SQL."""
    if isinstance(directory, MemberTextHandler):
        return NotingMembershipHandler(directory, backend)
    if not isinstance(directory, TextHandler):
        raise TypeError(f"{type(directory).__name__} is no handler of a directory in SQL")
    return NotingHandler(directory, backend)
