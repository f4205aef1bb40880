"""What differs between databases in how they are opened, and in how their transactions begin and end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from sqlalchemy import Connection, Engine

Convert = Callable[[Any], Any]
Row = tuple[Any, ...]
Columns = Sequence[Convert | None] | None
"""What turns the driver's values of each column into others; ``None`` if nothing has to."""


class Driver(ABC):
    """One database that the settings name; nothing is opened before :meth:`open`."""

    concurrent: ClassVar[bool]
    """Whether several writes run side by side; if not, writers wait for each other from beginning to end."""

    @property
    @abstractmethod
    def dialect(self) -> str:
        """``sqlite``, ``mysql`` (MariaDB, too) or ``singlestore``; of a server known after the first connection."""

    @property
    @abstractmethod
    def place(self) -> str:
        """Where the database is, for messages to the operator; without secrets."""

    def unmade(self) -> str | None:
        """Where :meth:`open` would make a database; ``None`` if it is there, or is not made by us."""
        return None

    @abstractmethod
    def open(self) -> Engine:
        """An engine with its own pool; SQLAlchemy begins and ends no transaction on it."""

    @abstractmethod
    def begin(self, connection: Connection, write: bool) -> None:
        """Begin a transaction."""

    @abstractmethod
    def commit(self, connection: Connection, write: bool) -> None:
        """Make it last."""

    @abstractmethod
    def rollback(self, connection: Connection, write: bool) -> None:
        """Undo it."""

    @abstractmethod
    def rows(self, connection: Any, sql: str, parameters: Sequence[Any], columns: Columns) -> Sequence[Row]:
        """All rows that a statement selects.

        :param connection: of the driver.
        :param columns: what turns the driver's values of each column into others; ``None`` if nothing has to.
        """

    def ranked(self, connection: Connection, rank: int) -> None:
        """A new connection gets its rank: that of rank 0 is used whenever it is idle, the next when that one is not."""
        return

    def unhurried(self, connection: Connection) -> None:
        """Let the statements of a transaction take their time, where it is limited: those that build a table."""
        return

    def state(self, connection: Any) -> object | None:
        """What stays the same on a connection as long as nothing in the database has changed, if that can be told.

        :param connection: of the driver, inside a transaction.
        """
        return None

    def largest(self) -> int | None:
        """The most bytes that a statement may have; ``None`` for no limit."""
        return None


def converted(rows: Sequence[Row], columns: Sequence[Convert | None]) -> Sequence[Row]:
    """Rows with other values."""
    return [
        tuple([value if convert is None else convert(value) for value, convert in zip(row, columns, strict=True)])
        for row in rows
    ]
