"""In which order bulk operations can run: those that refer to a later one wait for it (RFC 7644 §3.7.1, §3.7.2)."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

_WHOLE = re.compile(r"bulkId:(\S+)")
_INSIDE = re.compile(r'bulkId:([^"/\]\s]+)')
_TEXTS = ("path", "$ref")
"""Members whose text may hold a reference inside: the path of a PATCH operation, and a URI."""


def references(data: Any) -> set[str]:
    """The bulkIds that a value refers to, however deep."""
    return set(_references(data, ""))


def inside(text: str) -> set[str]:
    """The bulkIds in the path of a bulk operation."""
    return set(_INSIDE.findall(text))


def substituted(data: Any, ids: Mapping[str, str], name: str = "") -> Any:
    """The value with the ids that the bulkIds stand for; those not in ``ids`` are left."""
    if isinstance(data, str):
        if name in _TEXTS:
            return _INSIDE.sub(lambda found: ids.get(found[1], found[0]), data)
        found = _WHOLE.fullmatch(data)
        return ids.get(found[1], data) if found else data
    if isinstance(data, dict):
        return {key: substituted(value, ids, key) for key, value in data.items()}
    if isinstance(data, list):
        return [substituted(value, ids, name) for value in data]
    return data


class Schedule:
    """Which operation is next.

    Operations run in the order of the request. One that needs another's result waits until it is there and runs then:
    so a POST keeps its place among the operations it is in no relation with, such as a DELETE that frees its name.

    :param needs: for each operation the indices of those it waits for.
    """

    def __init__(self, needs: Sequence[set[int]]) -> None:
        self._needs = [set(some) for some in needs]
        self._waiting: dict[int, list[int]] = {}
        for index, some in enumerate(self._needs):
            for needed in some:
                self._waiting.setdefault(needed, []).append(index)
        self._ready: deque[int] = deque()
        self._next = 0
        self._done: set[int] = set()

    def __iter__(self) -> Iterator[int]:
        """Operations that can run, until none is left or those that are left wait for each other."""
        while True:
            if self._ready:
                index = self._ready.popleft()
            else:
                while self._next < len(self._needs) and (self._needs[self._next] or self._next in self._done):
                    self._next += 1
                if self._next == len(self._needs):
                    return
                index = self._next
            if index not in self._done:
                yield index

    def done(self, index: int) -> None:
        """An operation has run, well or not."""
        self._done.add(index)
        for waiting in self._waiting.pop(index, ()):
            self._needs[waiting].discard(index)
            # What is still ahead in the request comes in its turn.
            if not self._needs[waiting] and waiting < self._next and waiting not in self._done:
                self._ready.append(waiting)

    def in_circle(self) -> int | None:
        """The first operation found that waits for itself by way of others; ``None`` when nothing waits."""
        index = next((index for index, some in enumerate(self._needs) if index not in self._done and some), None)
        seen: set[int] = set()
        while index is not None and index not in seen:
            seen.add(index)
            index = min(self._needs[index])
        return index

    def release(self, index: int) -> None:
        """Let an operation run without what it waits for."""
        for needed in self._needs[index]:
            self._waiting[needed].remove(index)
        self._needs[index] = set()
        self._ready.append(index)


def without_references(
    data: Mapping[str, Any], open_ids: Callable[[Any], bool]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A resource without the values that cannot be resolved yet, and the PATCH operations that add them later.

    :param open_ids: whether a value refers to something that has no id yet.
    """
    kept: dict[str, Any] = {}
    later: list[dict[str, Any]] = []

    def split(owner: Mapping[str, Any], prefix: str) -> dict[str, Any]:
        rest: dict[str, Any] = {}
        for name, value in owner.items():
            if not open_ids(value):
                rest[name] = value
            elif isinstance(value, list):
                if some := [element for element in value if not open_ids(element)]:
                    rest[name] = some
                put_off = [element for element in value if open_ids(element)]
                later.append({"op": "add", "path": f"{prefix}{name}", "value": put_off})
            elif isinstance(value, dict) and ":" in name:
                if some_of_extension := split(value, f"{name}:"):
                    rest[name] = some_of_extension
            else:
                later.append({"op": "add", "path": f"{prefix}{name}", "value": value})
        return rest

    kept = split(data, "")
    return kept, later


def _references(data: Any, name: str) -> Iterator[str]:
    if isinstance(data, str):
        if name in _TEXTS:
            yield from _INSIDE.findall(data)
        elif found := _WHOLE.fullmatch(data):
            yield found[1]
    elif isinstance(data, dict):
        for key, value in data.items():
            yield from _references(value, key)
    elif isinstance(data, list):
        for value in data:
            yield from _references(value, name)
