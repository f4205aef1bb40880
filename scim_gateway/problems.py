"""What is wrong with a body, in words: where marshmallow found it, and at most some of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

REPORTED = 3
"""The most problems that are told at once."""


def kind_of(value: Any) -> str:
    """What a JSON value is, for error texts; never the value itself, which may be a secret."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "an array"
    return "an object"


def problems_in(messages: Any, place: str = "") -> list[str]:
    """What marshmallow found, each problem with the path of its place."""
    if isinstance(messages, Mapping):
        return [text for key, inner in messages.items() for text in problems_in(inner, _within(place, key))]
    if isinstance(messages, list | tuple):
        return [text for inner in messages for text in problems_in(inner, place)]
    return [f"{place.rstrip(':')} {messages}".strip()]


def sentence(problems: Sequence[str]) -> str:
    """Some problems as one text; a long list is cut."""
    more = len(problems) - REPORTED
    return "; ".join(problems[:REPORTED]) + (f"; and {more} more." if more > 0 else ".")


def _within(place: str, key: Any) -> str:
    if isinstance(key, int):
        return f"{place}[{key}]"
    if key == "_schema":
        return place
    if str(key).startswith("urn:"):
        return f"{key}:"
    return f"{place}{key}" if not place or place.endswith(":") else f"{place}.{key}"
