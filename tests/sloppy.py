"""Backends that take nearly an id for the id, as stores do by collations and paths; they note what they are asked."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any, Self

from scim_gateway_memory import MemoryBackend
from scim_gateway_sql import SqlBackend

from scim_gateway.backend import Backend, Query, Reference
from scim_gateway.errors import Unavailable
from scim_gateway.filter import And, Comparison, Filter, Not, Or, ValuePath
from scim_gateway.schema import ResourceTypes

_REFERRING = ("id", "members", "manager", "groups")


def near(id: str) -> str:
    """The id that such a store takes a text for: letter case, blanks at the ends and folders make no difference."""
    if "\0" in id:
        raise Unavailable("embedded null byte", retry_after=1)
    return posixpath.basename(id.strip().rstrip("/")).lower()


def make_sloppy(backend: Backend, asked: list[str]) -> None:
    """Let a backend answer nearly an id as it answers the id.

    :param asked: gets all ids that it is asked for.
    """

    def heard(id: str) -> str:
        asked.append(id)
        return near(id)

    def by_id(answer: Callable[..., Any]) -> Callable[..., Any]:
        return lambda asked, *rest, **more: answer(heard(asked), *rest, **more)

    def member_ids(answer: Callable[..., set[str]]) -> Callable[..., set[str]]:
        def answered(id: str, *, among: Collection[str] | None = None) -> set[str]:
            found = answer(heard(id))
            return found if among is None else {each for each in among if heard(each) in found}

        return answered

    def containing(answer: Callable[..., Any]) -> Callable[..., Any]:
        return lambda ids: {id: holders for id in ids for holders in answer([heard(id)]).values()}

    def by_query(answer: Callable[[Query], Any]) -> Callable[[Query], Any]:
        return lambda query: answer(replace(query, filter=query.filter and _rewritten(query.filter, heard)))

    wrappers = {
        "get": by_id,
        "text": by_id,
        "members": by_id,
        "has_more_members": by_id,
        "member_ids": member_ids,
        "containing": containing,
        "query": by_query,
        "texts": by_query,
    }
    for handler in backend.handlers.values():
        for name, wrapped in wrappers.items():
            if hasattr(handler, name):
                setattr(handler, name, wrapped(getattr(handler, name)))
    references = backend.references

    def looked_up(ids: Collection[str]) -> Mapping[str, Reference]:
        places = {id: heard(id) for id in ids}
        found = references(set(places.values()))
        return {id: replace(found[place], id=id) for id, place in places.items() if place in found}

    backend.__dict__["references"] = looked_up


def _rewritten(tree: Filter, heard: Callable[[str], str], *, inside: bool = False) -> Filter:
    match tree:
        case Comparison(path, "eq" | "ne" as operator, str(value)) if (
            path.name == "value" if inside else path.name in _REFERRING and path.sub in (None, "value")
        ):
            return Comparison(path, operator, heard(value))
        case And(terms):
            return And(tuple(_rewritten(term, heard, inside=inside) for term in terms))
        case Or(terms):
            return Or(tuple(_rewritten(term, heard, inside=inside) for term in terms))
        case Not(term):
            return Not(_rewritten(term, heard, inside=inside))
        case ValuePath(path, inner) if path.name in _REFERRING:
            return ValuePath(path, _rewritten(inner, heard, inside=True))
    return tree


class _Sloppy(Backend):
    """Makes the backend that it is put in front of sloppy."""

    asked: list[str]

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], resource_types: ResourceTypes) -> Self:
        backend = super().from_settings(settings, resource_types)
        backend.asked = []
        make_sloppy(backend, backend.asked)
        return backend


class SloppyMemory(_Sloppy, MemoryBackend):
    """The memory backend, made sloppy."""


class SloppySql(_Sloppy, SqlBackend):
    """The SQL backend, made sloppy."""
