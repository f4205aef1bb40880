"""How much is asked of a backend, and kept in memory, at once where there may be very much of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

RESOURCES = 500
"""Resources that are read at once."""
TERMS = 40
"""Ids that one filter asks for."""


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items, as they come, in lists of a size."""
    chunk: list[T] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
