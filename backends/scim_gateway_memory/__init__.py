"""A backend that keeps everything in this process: for tests, and the template to copy for a new one."""

from __future__ import annotations

import copy
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

from scim_gateway.backend import Backend, Page, Query, ResourceHandler, value_taken
from scim_gateway.errors import NotFound, StaleResource
from scim_gateway.schema import Resource, ResourceType, ResourceTypes


class MemoryHandler(ResourceHandler):
    """Resources of one type in a dictionary by id."""

    def __init__(self, resource_type: ResourceType) -> None:
        self.resource_type = resource_type
        self.stored: dict[str, Resource] = {}

    def get(self, id: str, *, without: Collection[str] = ()) -> Resource:
        return copy.deepcopy(self._stored(id))

    def query(self, query: Query) -> Page:
        page = query.run(list(self.stored.values()))
        return Page(copy.deepcopy(page.resources), page.total_results)

    def create(self, resource: Resource) -> None:
        self._refuse_taken_values(resource)
        self.stored[resource["id"]] = copy.deepcopy(resource)

    def modify(self, before: Resource, after: Resource) -> None:
        self._refuse_stale(before)
        self._refuse_taken_values(after)
        self.stored[after["id"]] = copy.deepcopy(after)

    def delete(self, resource: Resource) -> None:
        self._refuse_stale(resource)
        del self.stored[resource["id"]]

    def _stored(self, id: str) -> Resource:
        try:
            return self.stored[id]
        except KeyError:
            raise NotFound(f"There is no {self.resource_type.name} with id {id!r}.") from None

    def _refuse_stale(self, before: Resource) -> None:
        stored = self.stored.get(before["id"])
        if stored is None or stored["meta"]["version"] != before["meta"]["version"]:
            raise StaleResource(before["id"])

    def _refuse_taken_values(self, resource: Resource) -> None:
        unique_keys = self.resource_type.unique_keys
        mine = set(unique_keys(resource))
        for other in self.stored.values():
            taken = mine.intersection(unique_keys(other)) if other["id"] != resource["id"] else None
            if taken:
                raise value_taken(self.resource_type, next(iter(taken))[0])


class MemoryBackend(Backend):
    """One lock around every operation; a failed write puts back the dictionaries as they were."""

    def __init__(self, resource_types: ResourceTypes) -> None:
        self.resource_types = resource_types
        self.handlers: Mapping[str, MemoryHandler] = {kind.name: MemoryHandler(kind) for kind in resource_types}
        self._lock = threading.RLock()

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], resource_types: ResourceTypes) -> Self:
        return cls(resource_types)

    @contextmanager
    def operation(self, *, write: bool) -> Iterator[None]:
        with self._lock:
            # Stored resources are replaced, never changed in place, so a shallow copy is a snapshot.
            before = {name: dict(handler.stored) for name, handler in self.handlers.items()} if write else {}
            try:
                yield
            except BaseException:
                for name, stored in before.items():
                    self.handlers[name].stored = stored
                raise
