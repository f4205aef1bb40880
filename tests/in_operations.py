"""A backend that fails where the core, or the suite for backends, calls it in another way than the contract says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Self

from scim_gateway_memory import MemoryBackend

from scim_gateway.backend import Reference
from scim_gateway.schema import ResourceTypes

_READS = ("get", "query", "containing")
_READS_ALONE = ("text", "texts")
_WRITES = ("create", "modify", "delete")


class InOperations(MemoryBackend):
    """The memory backend, called in operations alone, of which none is inside another."""

    def __init__(self, resource_types: ResourceTypes) -> None:
        super().__init__(resource_types)
        self._here = threading.local()
        self.calls: set[str] = set()
        for handler in self.handlers.values():
            for names, allowed in (
                (_READS, ("read", "write", "look-up")),
                (_READS_ALONE, ("read", "look-up")),
                (_WRITES, ("write",)),
            ):
                for name in names:
                    setattr(handler, name, self._checked(name, getattr(handler, name), allowed))

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], resource_types: ResourceTypes) -> Self:
        return cls(resource_types)

    def _checked(self, name: str, call: Callable[..., Any], allowed: Collection[str]) -> Callable[..., Any]:
        def checked(*arguments: Any, **options: Any) -> Any:
            if getattr(self._here, "within", False):
                return call(*arguments, **options)  # from another method of a handler
            self._check(name, allowed)
            self._here.within = True
            try:
                return call(*arguments, **options)
            finally:
                self._here.within = False

        return checked

    def _check(self, name: str, allowed: Collection[str]) -> None:
        inside = getattr(self._here, "inside", None)
        assert inside in allowed, f"{name} is called in {inside or 'no operation'}"
        self.calls.add(f"{name} in {inside}")

    def operation(self, *, write: bool) -> AbstractContextManager[object]:
        return self._entered("write" if write else "read", super().operation(write=write))

    def look_up(self) -> AbstractContextManager[object]:
        return self._entered("look-up", super().operation(write=False))

    @contextmanager
    def _entered(self, name: str, operation: AbstractContextManager[object]) -> Iterator[None]:
        assert getattr(self._here, "inside", None) is None, "an operation in an operation"
        with operation:
            self._here.inside = name
            try:
                yield
            finally:
                self._here.inside = None

    def references(self, ids: Collection[str]) -> Mapping[str, Reference]:
        self._check("references", ("read", "write", "look-up"))
        return super().references(ids)
