"""The members of a definition in JSON, each of the type that it has to have; errors are for who wrote it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, get_args


class DefinitionError(ValueError):
    """A schema or resource type that the gateway cannot serve; the text is one line that names the place."""


def check_keys(document: Any, known: Iterable[str], place: str) -> None:
    """Refuse what is no object, and members that mean nothing."""
    if not isinstance(document, Mapping):
        raise DefinitionError(f"{place} has to be an object")
    known = sorted(known)
    for key in document:
        if key not in known:
            raise DefinitionError(f"{place}: unknown key {key!r}; known are {', '.join(known)}")


def read_text(document: Mapping[str, Any], key: str, place: str, *, default: str | None = None) -> str:
    """A text; without a default it has to be there, and not be empty."""
    value = document.get(key, default)
    if value is None:
        raise DefinitionError(f"{place}: {key} is missing")
    if not isinstance(value, str) or (default is None and not value):
        raise DefinitionError(f"{place}: {key} has to be a text")
    return value


def read_texts(document: Mapping[str, Any], key: str, place: str) -> tuple[str, ...]:
    """A list of texts that are not empty; without it, none."""
    values = document.get(key, ())
    if not isinstance(values, list | tuple) or not all(isinstance(value, str) and value for value in values):
        raise DefinitionError(f"{place}: {key} has to be a list of texts")
    return tuple(values)


def read_flag(document: Mapping[str, Any], key: str, place: str) -> bool:
    """True or false, which is the default."""
    value = document.get(key, False)
    if not isinstance(value, bool):
        raise DefinitionError(f"{place}: {key} has to be true or false")
    return value


def read_keyword(document: Mapping[str, Any], key: str, choice: Any, default: str, place: str) -> Any:
    """One of the words of a ``Literal``."""
    value = document.get(key, default)
    keywords: tuple[str, ...] = get_args(choice)
    if value not in keywords:
        raise DefinitionError(f"{place}: {key} is {value!r}; it has to be one of {', '.join(keywords)}")
    return value
