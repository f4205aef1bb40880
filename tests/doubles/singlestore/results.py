"""What a statement answers when it is no error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Done:
    """A statement without rows, and how many rows it changed."""

    affected_rows: int = 0


@dataclass(frozen=True, slots=True)
class Rows:
    """A result set."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Forward:
    """SQL for the MariaDB behind the double, already in its words, and what to do when it has succeeded."""

    sql: str
    then: Callable[[], object] | None = None


Result = Done | Rows | Forward
