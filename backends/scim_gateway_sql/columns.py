"""Types of columns: texts that are compared as bytes, on every database alike."""

from __future__ import annotations

from collections.abc import Callable
from operator import methodcaller
from typing import Any

from sqlalchemy import String
from sqlalchemy.engine import Dialect


class Key(String):
    """A text of keys and conditions, equal and in order by its bytes in UTF-8.

    SQLite compares TEXT so. The collations of MySQL's family take ``'a'`` and ``'a '`` for the same, even the binary
    ones, so there the column is VARBINARY, and texts cross as bytes.
    """

    def bind_processor(self, dialect: Dialect) -> Callable[[str | None], Any] | None:
        return None if dialect.name == "sqlite" else _encoded

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], str | None] | None:
        return None if dialect.name == "sqlite" else decoded


def _encoded(text: str | None) -> bytes | None:
    return None if text is None else text.encode("utf-8", "surrogatepass")


def decoded(value: bytes | None) -> str | None:
    """The text of a key."""
    return None if value is None else DECODE(value)


DECODE: Callable[[bytes], str] = methodcaller("decode", "utf-8", "surrogatepass")
"""The text of a key that is no NULL, without a call of Python's own."""
