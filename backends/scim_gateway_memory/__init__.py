"""A backend that keeps everything in this process: for tests, and to try the gateway out."""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right, insort
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Self

import orjson

from scim_gateway.abilities import ContainingHandler, Text, TextHandler, Texts
from scim_gateway.backend import Backend, Page, Query, Reference, value_taken
from scim_gateway.errors import NotFound, StaleResource
from scim_gateway.filter import And, Comparison, Filter
from scim_gateway.schema import AttributePath, Resource, ResourceType, ResourceTypes
from scim_gateway.text import fold

_ID = AttributePath(None, "id")

Undo = list[tuple["MemoryHandler", str, "_Stored | None"]]
"""What the resources that a write has touched were before, in the order of its steps."""

Holders = dict[str, set[str]]
"""For each member of resources of one type: what holds it."""


@dataclass(frozen=True, slots=True)
class _Stored:
    """A resource as JSON, which nobody can change by accident, and what it is looked up by.

    :param place: its place in the default order.
    :param keys: its unique values, as they are compared.
    :param members: ids of its members.
    """

    text: bytes
    version: str
    place: tuple[str, str]
    display: str | None
    keys: frozenset[tuple[AttributePath, str]]
    members: frozenset[str]


class MemoryHandler(ContainingHandler, TextHandler):
    """Resources of one type in a dictionary by id, and dictionaries for what else they are looked up by."""

    def __init__(self, resource_type: ResourceType, undo: Undo, memberships: list[Holders]) -> None:
        """:param memberships: those of each type that has members; its own are added."""
        self.resource_type = resource_type
        self._undo = undo
        self._stored: dict[str, _Stored] = {}
        self._order: list[tuple[str, str]] = []
        self._by_key: dict[tuple[AttributePath, str], str] = {}
        self._by_member: Holders = {}
        self._memberships = memberships
        if resource_type.members:
            memberships.append(self._by_member)
        self._member = AttributePath(None, resource_type.members or "", "value")
        targets = map(resource_type.resolve, resource_type.unique_paths)
        self._names = frozenset(each.path for each in targets if each is not None and each.leaf.type == "string")

    def get(self, id: str, *, without: Collection[str] = ()) -> Resource:
        return _read(self.at(id))

    def text(self, id: str) -> Text:
        return Text(self.at(id).text)

    def query(self, query: Query) -> Page:
        found = self.texts(query)
        return (
            found if isinstance(found, Page) else Page([orjson.loads(text) for text in found.json], found.total_results)
        )

    def texts(self, query: Query) -> Texts | Page:
        if query.filter is None and query.sort is None:
            return self._page(query)
        ids = self._looked_up(query.filter)
        if ids is None:
            return query.run(map(_read, self._stored.values()))
        if len(ids) != 1:
            return query.run(_read(self._stored[id]) for id in ids)
        # As a rule it is what was asked for, and then it is answered as it is stored.
        (id,) = ids
        if self._is_by_name(query.filter) and query.after is None and query.start_index == 1:
            return Texts([self._stored[id].text][: query.count], 1)
        page = query.run([_read(self._stored[id])])
        return Texts([self._stored[each["id"]].text for each in page.resources], page.total_results)

    def create(self, resource: Resource) -> None:
        self._put(resource["id"], self._what(resource))

    def modify(self, before: Resource, after: Resource) -> None:
        self._refuse_stale(before)
        self._put(after["id"], self._what(after))

    def delete(self, resource: Resource) -> None:
        self._refuse_stale(resource)
        self._put(resource["id"], None)

    def containing(self, ids: Collection[str]) -> Mapping[str, Sequence[Reference]]:
        found: dict[str, Sequence[Reference]] = {}
        for id in ids:
            if holders := self._by_member.get(id):
                in_order = sorted((self._stored[holder].place, self._stored[holder].display) for holder in holders)
                kind = self.resource_type.name
                found[id] = [Reference(of, kind, display, self._is_member(of)) for (_, of), display in in_order]
        return found

    def _is_member(self, id: str) -> bool:
        """Whether something holds a resource, of whatever type."""
        return any(id in by_member for by_member in self._memberships)

    def put_back(self, id: str, stored: _Stored | None) -> None:
        """Undo a step of a write."""
        self._exchange(id, stored)

    def __contains__(self, id: str) -> bool:
        return id in self._stored

    def at(self, id: str) -> _Stored:
        """What is stored with an id.

        :raises NotFound: nothing is.
        """
        stored = self._stored.get(id)
        if stored is None:
            raise NotFound(f"There is no {self.resource_type.name} with id {id!r}.")
        return stored

    def _page(self, query: Query) -> Texts:
        """A page of all resources: a part of the order."""
        start = query.start_index - 1
        if query.after is not None:
            start = bisect_right(self._order, (query.after.created, query.after.id))
        places = self._order[start : start + query.count]
        return Texts([self._stored[id].text for _, id in places], len(self._order))

    def _looked_up(self, tree: Filter | None) -> Collection[str] | None:
        """The ids of all matches, and perhaps of others, if a dictionary tells them."""
        match tree:
            case Comparison(path, "eq", str(value)) if path == _ID:
                return {value} & self._stored.keys()
            case Comparison(path, "eq", str(value)) if path == self._member:
                return self._by_member.get(fold(value), set())
            case Comparison(path, "eq", str(value)) if path in self.resource_type.unique_paths:
                # The form in which it would be stored tells who has it.
                owner = {path.name: value} if path.urn is None else {path.urn: {path.name: value}}
                keys = self.resource_type.unique_keys(owner)
                return {self._by_key[key] for key in keys if key in self._by_key}
            case And(terms):
                return next((ids for term in terms if (ids := self._looked_up(term)) is not None), None)
        return None

    def _is_by_name(self, tree: Filter | None) -> bool:
        """Whether who has the key is who matches: so it is of unique texts, which are equal where their keys are."""
        return isinstance(tree, Comparison) and tree.operator == "eq" and tree.path in self._names

    def _what(self, resource: Resource) -> _Stored:
        meta = resource["meta"]
        return _Stored(
            orjson.dumps(resource),
            meta["version"],
            (meta["created"], resource["id"]),
            self.resource_type.display_of(resource),
            frozenset(self.resource_type.unique_keys(resource)),
            frozenset(element["value"] for element in resource.get(self.resource_type.members or "", ())),
        )

    def _put(self, id: str, stored: _Stored | None) -> None:
        if stored is not None:
            for key in stored.keys:
                if self._by_key.get(key, id) != id:
                    raise value_taken(self.resource_type, key[0])
        self._undo.append((self, id, self._exchange(id, stored)))

    def _exchange(self, id: str, stored: _Stored | None) -> _Stored | None:
        """Replace what is stored of an id in all dictionaries; what it was."""
        before = self._stored.pop(id, None)
        if before is not None:
            del self._order[bisect_left(self._order, before.place)]
            for key in before.keys:
                del self._by_key[key]
            for member in before.members - (stored.members if stored else frozenset()):
                self._by_member[member].remove(id)
                if not self._by_member[member]:
                    del self._by_member[member]
        if stored is not None:
            self._stored[id] = stored
            insort(self._order, stored.place)
            self._by_key.update(dict.fromkeys(stored.keys, id))
            for member in stored.members - (before.members if before else frozenset()):
                self._by_member.setdefault(member, set()).add(id)
        return before

    def _refuse_stale(self, before: Resource) -> None:
        stored = self._stored.get(before["id"])
        if stored is None or stored.version != before["meta"]["version"]:
            raise StaleResource(before["id"])


class MemoryBackend(Backend):
    """One lock around every operation; the steps of a failed write are undone, the last one first."""

    settings_read = frozenset()

    def __init__(self, resource_types: ResourceTypes) -> None:
        self.resource_types = resource_types
        self._undo: Undo = []
        memberships: list[Holders] = []
        self.handlers: Mapping[str, MemoryHandler] = {
            kind.name: MemoryHandler(kind, self._undo, memberships) for kind in resource_types
        }
        self._lock = threading.RLock()

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], resource_types: ResourceTypes) -> Self:
        return cls(resource_types)

    def references(self, ids: Collection[str]) -> Mapping[str, Reference]:
        found: dict[str, Reference] = {}
        for id in ids:
            for name, handler in self.handlers.items():
                if id in handler:
                    found[id] = Reference(id, name, handler.at(id).display)
                    break
        return found

    def operation(self, *, write: bool) -> AbstractContextManager[object]:
        return self._write() if write else self._lock

    @contextmanager
    def _write(self) -> Iterator[None]:
        with self._lock:
            self._undo.clear()
            try:
                yield
            except BaseException:
                for handler, id, before in reversed(self._undo):
                    handler.put_back(id, before)
                raise


def _read(stored: _Stored) -> Resource:
    resource: Resource = orjson.loads(stored.text)
    return resource
