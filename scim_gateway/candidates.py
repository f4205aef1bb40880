"""What may match a filter, read little by little: in one go over a store, however much of it has to be looked at."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from scim_gateway.abilities import StreamHandler
from scim_gateway.backend import Query, ResourceHandler
from scim_gateway.batches import TERMS, chunks
from scim_gateway.filter import Comparison
from scim_gateway.narrowing import ID, any_of
from scim_gateway.schema import Resource

_FEW = 500
"""So many ids are asked for by filters; of more, one look at everything is shorter."""
_ALL = 2**31 - 1


def candidates(handler: ResourceHandler, query: Query, *, among: Collection[str] | None = None) -> Iterator[Resource]:
    """All resources of a handler that match, and perhaps others, each once, in any order.

    A handler that cannot do so by itself (:class:`StreamHandler`) is asked once for everything: each page of a filter
    that its store cannot answer alone would cost a look at everything again.

    :param query: what is looked for; order and page are without meaning here.
    :param among: the ids that are of interest; others are left out.
    """
    if isinstance(handler, StreamHandler):
        yield from handler.stream(query, among=among)
        return
    if among is None or len(among) > _FEW:
        for resource in handler.query(replace(query, count=_ALL)).resources:
            if among is None or resource["id"] in among:
                yield resource
        return
    for some in chunks(sorted(among), TERMS):
        asked = any_of([Comparison(ID, "eq", id) for id in some])
        yield from handler.query(replace(query, filter=asked, count=len(some))).resources
