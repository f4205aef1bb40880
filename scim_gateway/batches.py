"""How much is asked of a backend, and kept in memory, at once where there may be very much of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from scim_gateway.backend import Query, ResourceHandler
from scim_gateway.filter import Filter
from scim_gateway.ordering import position_of
from scim_gateway.schema import Resource

T = TypeVar("T")

RESOURCES = 500
"""Resources that are read at once."""
TERMS = 40
"""Ids that one filter asks for."""


def every(handler: ResourceHandler, tree: Filter | None = None) -> Iterator[Resource]:
    """All resources of a handler that match, read in batches."""
    query = Query(handler.resource_type, tree, count=RESOURCES)
    while True:
        page = handler.query(query)
        yield from page.resources
        if len(page.resources) < RESOURCES:
            return
        last = position_of(page.resources[-1], None)
        query = Query(handler.resource_type, tree, count=RESOURCES, after=last)


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
