"""A backend whose handlers give no texts: what the core makes of resources is what it has to make of texts, too."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Self

from scim_gateway.abilities import ContainingHandler, MemberChange, MembershipHandler, TextHandler
from scim_gateway.backend import Backend, Page, Query, Reference, ResourceHandler
from scim_gateway.schema import Resource, ResourceTypes


class _Plain(ResourceHandler):
    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.resource_type = inner.resource_type

    def get(self, id: str, *, without: Collection[str] = ()) -> Resource:
        resource: Resource = self.inner.get(id, without=without)
        return resource

    def query(self, query: Query) -> Page:
        page: Page = self.inner.query(query)
        return page

    def create(self, resource: Resource) -> None:
        self.inner.create(resource)

    def modify(self, before: Resource, after: Resource) -> None:
        self.inner.modify(before, after)

    def delete(self, resource: Resource) -> None:
        self.inner.delete(resource)


class _PlainContaining(_Plain, ContainingHandler):
    def containing(self, ids: Collection[str]) -> Mapping[str, Sequence[Reference]]:
        found: Mapping[str, Sequence[Reference]] = self.inner.containing(ids)
        return found


class _PlainMembership(_PlainContaining, MembershipHandler):
    def member_ids(self, id: str, *, among: Collection[str] | None = None) -> set[str]:
        found: set[str] = self.inner.member_ids(id, among=among)
        return found

    def change_members(self, before: Resource, after: Resource, change: MemberChange) -> None:
        self.inner.change_members(before, after, change)


def _plain(handler: ResourceHandler) -> ResourceHandler:
    assert isinstance(handler, TextHandler)
    if isinstance(handler, MembershipHandler):
        return _PlainMembership(handler)
    return _PlainContaining(handler) if isinstance(handler, ContainingHandler) else _Plain(handler)


class WithoutTexts(Backend):
    """The same store, seen without its texts."""

    def __init__(self, inner: Backend) -> None:
        self._inner = inner
        self.resource_types = inner.resource_types
        self.handlers = {name: _plain(handler) for name, handler in inner.handlers.items()}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], resource_types: ResourceTypes) -> Self:
        raise TypeError("it is made around another backend")

    def operation(self, *, write: bool) -> AbstractContextManager[object]:
        return self._inner.operation(write=write)

    def references(self, ids: Collection[str]) -> Mapping[str, Reference]:
        return self._inner.references(ids)

    @property
    def cursor_key(self) -> bytes:
        return self._inner.cursor_key
