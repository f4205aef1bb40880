"""The suite for backends refuses those that break a rule in a way that is easily overlooked."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

import pytest
from scim_gateway_memory import MemoryBackend, MemoryHandler
from without_texts import WithoutTexts

from scim_gateway.abilities import Text
from scim_gateway.backend import Backend, Query, Reference
from scim_gateway.errors import Unavailable
from scim_gateway.filter import Comparison
from scim_gateway.testing import BackendTests, suite_resource_types

TYPES = suite_resource_types()
Test = Callable[[Backend], None]


def _without_nul(id: str) -> str:
    if "\0" in id:
        raise Unavailable("embedded null byte", retry_after=1)
    return id


TAKEN_FOR: Mapping[str, Callable[[str], str]] = {
    "letter case": str.lower,
    "blanks at the end": lambda text: text.rstrip(" "),
    "blanks": str.strip,
    "paths": lambda text: posixpath.basename(posixpath.normpath(text)),
    "C strings": lambda text: text.partition("\0")[0],
    "NUL is an error": _without_nul,
}


class Mistaking(MemoryBackend):
    """Takes other texts for the id; at first nowhere."""

    def mistake(self, where: str, taken_for: Callable[[str], str]) -> None:
        for handler in self.handlers.values():
            made: dict[str, tuple[str, Any]] = {
                "get": ("get", _by_id(handler.get, taken_for)),
                "text": ("text", _by_id(handler.text, taken_for)),
                "delete": ("delete", _by_resource(handler.delete, taken_for)),
                "modify": ("modify", _by_resource(handler.modify, taken_for)),
                "filter": ("texts", _by_filter(handler, taken_for)),
            }
            if where in made:
                setattr(handler, *made[where])
        if where == "references":
            self.__dict__["references"] = _references(super().references, taken_for)


def _by_id(call: Callable[..., Any], taken_for: Callable[[str], str]) -> Callable[..., Any]:
    return lambda asked, **more: call(taken_for(asked), **more)


def _by_resource(call: Callable[..., None], taken_for: Callable[[str], str]) -> Callable[..., None]:
    return lambda before, *after: call(*({**each, "id": taken_for(each["id"])} for each in (before, *after)))


def _by_filter(handler: MemoryHandler, taken_for: Callable[[str], str]) -> Callable[[Query], Any]:
    texts = handler.texts

    def answered(query: Query) -> Any:
        match query.filter:
            case Comparison(path, "eq", str(text)) if str(path) in ("id", "members.value"):
                query = replace(query, filter=Comparison(path, "eq", taken_for(text)))
        return texts(query)

    return answered


def _references(call: Callable[..., Mapping[str, Reference]], taken_for: Callable[[str], str]) -> Callable[..., Any]:
    def answered(ids: Collection[str]) -> Mapping[str, Reference]:
        found = {id: call([taken_for(id)]).get(taken_for(id)) for id in ids}
        return {id: replace(reference, id=id) for id, reference in found.items() if reference is not None}

    return answered


def refused(test: Test, backend: Backend) -> bool:
    """Whether a test of the suite fails for a backend."""
    try:
        test(backend)
    except (AssertionError, Unavailable, pytest.fail.Exception):
        return True
    return False


SUITE = BackendTests()
PINS: Mapping[str, Test] = {
    "get": SUITE.test_only_the_exact_text_of_an_id_is_found,
    "references": SUITE.test_only_the_exact_text_of_an_id_is_found,
    "text": lambda backend: SUITE.test_what_is_not_there_has_no_text(backend, "User"),
    "filter": SUITE.test_no_filter_finds_more_than_the_exact_text_of_an_id,
    "delete": SUITE.test_by_nearly_an_id_nothing_is_changed_or_removed,
    "modify": SUITE.test_by_nearly_an_id_nothing_is_changed_or_removed,
}


@pytest.mark.parametrize("where", PINS)
@pytest.mark.parametrize("taken", TAKEN_FOR.values(), ids=TAKEN_FOR)
def test_a_backend_that_takes_nearly_an_id_for_the_id_is_refused(where: str, taken: Callable[[str], str]) -> None:
    backend = Mistaking(TYPES)
    backend.mistake(where, taken)
    assert refused(PINS[where], backend)
    assert not refused(PINS[where], MemoryBackend(TYPES))


@pytest.mark.parametrize("kind", ["User", "Group", "Device"])
def test_texts_of_one_type_alone_are_tested(kind: str) -> None:
    backend = MemoryBackend(TYPES)
    plain = WithoutTexts(backend)
    handler = backend.handlers[kind]

    def somebodys(id: str) -> Text:
        handler.at(id)
        return Text(min(each.text for each in handler._stored.values()))

    plain.handlers[kind] = handler
    handler.__dict__["text"] = somebodys
    assert refused(lambda each: SUITE.test_a_text_is_what_was_stored(each, kind), plain)
    assert not refused(lambda each: SUITE.test_a_text_is_what_was_stored(each, kind), MemoryBackend(TYPES))


@pytest.mark.parametrize("kind", ["User", "Group", "Device"])
def test_a_type_without_texts_is_said_to_be_without(kind: str) -> None:
    with pytest.raises(pytest.skip.Exception, match=f"no texts of a {kind}"):
        SUITE.test_a_text_is_what_was_stored(WithoutTexts(MemoryBackend(TYPES)), kind)
