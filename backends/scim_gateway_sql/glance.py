"""A glance: a read that is a single statement as a rule, and then needs no transaction around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, CursorResult, Executable

from scim_gateway.errors import StaleResource

from .driver import Columns, Driver, Row
from .failures import DRIVER_ERRORS, meaning_of
from .session import Session

if TYPE_CHECKING:
    from .database import Database


class GlancingSession(Session):
    """Sees one moment, like any read; for a statement that is alone as a rule, its transaction is not begun yet.

    If another one follows, what the first found is read again: where it has changed meanwhile, the two would be of
    different moments, and the read has to be done again in a transaction.

    :raises StaleResource: that is so.
    """

    __slots__ = ("_alone", "_first", "begun")

    def __init__(self, connection: Connection, driver: Driver) -> None:
        super().__init__(connection, driver, False)
        self._first: tuple[str, Sequence[Any], Columns, Sequence[Row]] | None = None
        self._alone = self.begun = False

    def alone(self) -> None:
        self._alone = self._first is None

    def rows(self, sql: str, values: Sequence[Any], columns: Columns) -> Sequence[Row]:
        if self._alone and not self.begun:
            self._alone = False
            found = super().rows(sql, values, columns)
            self._first = sql, values, columns, found
            return found
        self._begin()
        return super().rows(sql, values, columns)

    def run(self, sql: str, values: Sequence[Any]) -> Any:
        self._begin()
        return super().run(sql, values)

    def execute(
        self, statement: Executable, parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> CursorResult[*tuple[Any, ...]]:
        self._begin()
        return super().execute(statement, parameters)

    def state(self) -> object | None:
        self._begin()
        return super().state()

    def _begin(self) -> None:
        if self.begun:
            return
        try:
            self._driver.begin(self._connection, False)
        except DRIVER_ERRORS as error:
            raise meaning_of(error) from error
        self.begun = True
        if self._first is not None:
            sql, values, columns, found = self._first
            if super().rows(sql, values, columns) != found:
                raise StaleResource("")

    def end(self) -> bool:
        """End the transaction, if one has begun; nothing was changed in it. Whether that could be done."""
        try:
            if self.begun:
                self._driver.rollback(self._connection, False)
        except DRIVER_ERRORS:
            return False
        return True


class Glance:
    """The block of a glance. No generator: most requests come this way, and one takes as long as half a statement."""

    __slots__ = ("_database", "_session")

    def __init__(self, database: Database) -> None:
        self._database = database

    def __enter__(self) -> Session:
        self._session = self._database.begin_glance()
        return self._session

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._database.end_glance(self._session, failed=kind is not None)
