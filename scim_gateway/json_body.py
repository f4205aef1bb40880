"""Request bodies as JSON, read strictly: what two parsers could understand in two ways is refused (RFC 8259)."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from scim_gateway.errors import InvalidSyntax
from scim_gateway.text import printable

_BOM = b"\xef\xbb\xbf"
_LARGEST = 2**63
_DIGITS = 20


@dataclass(frozen=True, slots=True)
class _Fault:
    """What stands in the tree where something is wrong, once it is looked for."""

    message: str


class _Refused(Exception):
    """Something is wrong somewhere; parsing again with :class:`_Fault` values tells where."""


def loads(body: bytes, *, max_depth: int = 32) -> dict[str, Any]:
    """The JSON object in a body.

    Refused besides syntax errors: member names given twice (letter case makes no difference in SCIM), NaN and infinite
    numbers, integers beyond 64 bits, the NUL character, halves of surrogate pairs, nesting deeper than ``max_depth``.
    A byte order mark is ignored (RFC 8259 §8.1).

    :raises InvalidSyntax: with the place of the fault in its detail.
    """
    tree = _at_a_glance(body, max_depth)
    return _with_care(body, max_depth) if tree is None else tree


def _at_a_glance(body: bytes, max_depth: int) -> dict[str, Any] | None:
    """The object, if it is plain that nothing of what is refused can be in the body; else ``None``.

    Of names given twice, orjson takes the last. That is seen by the quotes: where there is no escape, two of them
    belong to each text that was read, and more are there where one was dropped.
    """
    if b"\\" in body:
        return None
    try:
        tree = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return tree if type(tree) is dict and 2 * _plain_texts(tree, max_depth) == body.count(b'"') else None


def _plain_texts(tree: dict[str, Any], max_depth: int) -> int:
    """How many texts there are, names included; -1 if there is anything that may be refused."""
    texts = 0
    level: list[Any] = [tree]
    for _ in range(max_depth):
        below: list[Any] = []
        for outer in level:
            values = outer
            if type(outer) is dict:
                if len({*map(str.lower, outer)}) != len(outer):
                    return -1
                texts += len(outer)
                values = outer.values()
            for value in values:
                kind = type(value)
                if kind is str:
                    texts += 1
                elif kind is dict or kind is list:
                    below.append(value)
                elif kind is float or (kind is int and not -_LARGEST <= value < _LARGEST):
                    return -1
        if not below:
            return texts
        level = below
    return -1


def _with_care(body: bytes, max_depth: int) -> dict[str, Any]:
    text = _decode(body)
    try:
        tree = _parsed(_DECODER, text, max_depth)
    except _Refused:
        tree = _parsed(_MARKING_DECODER, text, max_depth)
        _check_depth(max_depth, tree)
        for place, value in _walk(tree):
            if isinstance(value, _Fault):
                raise InvalidSyntax(f"{value.message} at {place} of the body.") from None
        raise
    if type(tree) is not dict:
        raise InvalidSyntax("The body has to be a JSON object.")
    _check_depth(max_depth, tree)
    # Neither a NUL nor half a surrogate pair can be written in UTF-8 JSON without an escape.
    if "\\u" in text:
        _check_texts(tree)
    return tree


def _parsed(decoder: json.JSONDecoder, text: str, max_depth: int) -> Any:
    try:
        return decoder.decode(text)
    except json.JSONDecodeError as error:
        raise InvalidSyntax(f"The body is no JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from None
    except RecursionError:
        raise InvalidSyntax(f"The body is nested deeper than {max_depth} levels.") from None


def _decode(body: bytes) -> str:
    body = body.removeprefix(_BOM)
    if not body.strip():
        raise InvalidSyntax("The request has no body; send a JSON object.")
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise InvalidSyntax(f"The body is not UTF-8: see byte {error.start + 1}.") from None


def _check_depth(levels: int, tree: Any) -> None:
    """Refuse arrays and objects nested deeper than that."""
    level = [tree] if type(tree) is dict or type(tree) is list else []
    for _ in range(levels):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) is dict or type(inner) is list
        ]
        if not level:
            return
    raise InvalidSyntax(f"The body is nested deeper than {levels} levels.")


def _check_texts(tree: Any) -> None:
    for place, value in _walk(tree):
        if type(value) is not str:
            continue
        if "\x00" in value:
            raise InvalidSyntax(f"The body holds the NUL character at {place}.")
        if any("\ud800" <= char <= "\udfff" for char in value):
            raise InvalidSyntax(f"The body holds half of a surrogate pair, which is no character, at {place}.")


def _walk(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Every value with its place, names of members as well."""
    yield place, value
    if type(value) is dict:
        for name, inner in value.items():
            yield f"the name of a member of {place or 'the outermost object'}", name
            yield from _walk(inner, f"{place}.{printable(name)}" if place else printable(name))
    elif type(value) is list:
        for index, inner in enumerate(value):
            yield from _walk(inner, f"{place}[{index}]")


def _decoder(fault: Callable[[str], Any]) -> json.JSONDecoder:
    """A decoder that calls ``fault`` with what is wrong, and puts what it returns in that place."""

    def integer(digits: str) -> Any:
        if len(digits) > _DIGITS or not -_LARGEST <= int(digits) < _LARGEST:
            return fault("An integer beyond 64 bits stands")
        return int(digits)

    def decimal(digits: str) -> Any:
        value = float(digits)
        return value if math.isfinite(value) else fault("A number too large stands")

    def constant(word: str) -> Any:
        return fault(f"{word}, which is no JSON, stands")

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len({name.lower() for name in members}) != len(pairs):
            members |= dict.fromkeys(_repeated(pairs), fault("A name given twice stands"))
        return members

    return json.JSONDecoder(parse_int=integer, parse_float=decimal, parse_constant=constant, object_pairs_hook=members)


def _repeated(pairs: list[tuple[str, Any]]) -> Iterator[str]:
    seen: set[str] = set()
    for name, _ in pairs:
        if name.lower() in seen:
            yield name
        seen.add(name.lower())


def _refuse(message: str) -> Any:
    raise _Refused(message)


_DECODER = _decoder(_refuse)
_MARKING_DECODER = _decoder(_Fault)
