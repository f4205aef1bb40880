"""Statements of the hot path: their text is made once, and they run on the driver's own connection.

SQLAlchemy spends more time on a look-up by a key than SQLite does. The statements are written with it all the same, so
there is one source for all dialects; what is left out here is its work for each execution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import CompoundSelect, Delete, Insert, LargeBinary, Select, Update
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

from .driver import Convert, Row

if TYPE_CHECKING:
    from .database import Session

Statement: TypeAlias = "Select[Any] | CompoundSelect[Any] | Insert | Update | Delete"

_TOGETHER = 32
"""Rows that SQLite is given in one statement; each number of them is a text of its own, which the driver keeps."""

BATCH = 500
"""Ids in one statement, resources in one fetch."""


def batches(items: Iterable[str]) -> Iterator[list[str]]:
    """The items in lists that fit one statement, sorted: rows are locked in one order everywhere."""
    everything = sorted(items)
    for start in range(0, len(everything), BATCH):
        yield everything[start : start + BATCH]


@dataclass(frozen=True, slots=True)
class _Text:
    """A statement as a driver takes it.

    :param names: of its parameters in their order, each with what turns a value into the driver's.
    :param fixed: values of parameters that are part of the statement, such as a limit.
    :param columns: what turns the columns of a row into values; ``None`` if nothing has to.
    :param as_they_are: takes the parameters in their order, where the driver takes them as they are.
    :param together: makes the text that inserts so many rows at once, where the driver does not do so itself.
    """

    sql: str
    names: tuple[tuple[str, Convert | None], ...]
    fixed: Mapping[str, Any]
    columns: tuple[Convert | None, ...] | None
    as_they_are: Callable[[Mapping[str, Any]], Row] | None
    together: Callable[[int], str] | None

    def values(self, parameters: Mapping[str, Any]) -> Row:
        """The parameters in the order of the text."""
        if self.as_they_are is not None:
            return self.as_they_are(parameters)
        if self.fixed:
            parameters = {**self.fixed, **parameters}
        return tuple(
            [parameters[name] if convert is None else convert(parameters[name]) for name, convert in self.names]
        )

    def converted(self, row: Row) -> Row:
        """Values that are in the order of the text already."""
        return tuple(
            value if convert is None else convert(value) for value, (_, convert) in zip(row, self.names, strict=True)
        )


class Prepared:
    """One statement, for any dialect.

    :param statement: with named parameters.
    :param among: name of an expanding parameter, if it has one.
    """

    def __init__(self, statement: Statement, among: str | None = None) -> None:
        self._statement = statement
        self._among = among
        self._texts: dict[tuple[str, int], _Text] = {}

    def rows(self, session: Session, parameters: Mapping[str, Any]) -> Sequence[Row]:
        """All rows that the statement selects.

        :raises Unavailable: the database cannot do it now.
        """
        text = self._texts.get((session.sql.name, 0)) if self._among is None else None
        if text is None:
            text, values = self._ready(session, parameters)
        else:
            values = text.values(parameters)
        return session.rows(text.sql, values, text.columns)

    def first(self, session: Session, parameters: Mapping[str, Any]) -> Row | None:
        """The first row."""
        rows = self.rows(session, parameters)
        return rows[0] if rows else None

    def changed(self, session: Session, parameters: Mapping[str, Any]) -> int:
        """How many rows the statement has changed.

        :raises Duplicate: a unique key is taken.
        """
        text, values = self._ready(session, parameters)
        session.changed = True
        count: int = session.run(text.sql, values).rowcount
        return count

    def each(self, session: Session, several: Sequence[Mapping[str, Any]]) -> None:
        """Run it with each of several sets of parameters.

        :raises Duplicate: a unique key is taken.
        """
        text = self._text(session.sql, 0)
        self._send(session, text, [text.values(parameters) for parameters in several])

    def each_row(self, session: Session, rows: Sequence[Row]) -> None:
        """The same with the values of each set as a row, in the order in which they stand in the statement.

        :raises Duplicate: a unique key is taken.
        """
        text = self._text(session.sql, 0)
        self._send(session, text, rows if text.as_they_are is not None else [text.converted(row) for row in rows])

    @staticmethod
    def _send(session: Session, text: _Text, rows: Sequence[Row]) -> None:
        if text.together is not None and 1 < len(rows) <= _TOGETHER:
            session.changed = True
            session.run(text.together(len(rows)), tuple(chain.from_iterable(rows)))
        else:
            session.run_each(text.sql, rows)

    def _ready(self, session: Session, parameters: Mapping[str, Any]) -> tuple[_Text, Row]:
        if self._among is None:
            text = self._text(session.sql, 0)
            return text, text.values(parameters)
        items = parameters[self._among]
        text = self._text(session.sql, len(items))
        return text, text.values({**parameters, **{f"{self._among}_{n}": item for n, item in enumerate(items)}})

    def _text(self, dialect: Dialect, items: int) -> _Text:
        text = self._texts.get((dialect.name, items))
        if text is None:
            text = self._texts[dialect.name, items] = _compile(self._statement, dialect, self._among, items)
        return text


def _compile(statement: Statement, dialect: Dialect, among: str | None, items: int) -> _Text:
    compiled = statement.compile(dialect=dialect)
    assert isinstance(compiled, SQLCompiler)
    assert compiled.positiontup is not None
    sql, names = compiled.string, []
    for name in compiled.positiontup:
        convert = _of_parameter(compiled.binds[name].type, dialect)
        several = [f"{name}_{number}" for number in range(items)] if name == among else [name]
        names += [(each, convert) for each in several]
    if among is not None:
        mark = "?" if dialect.paramstyle == "qmark" else "%s"
        # Nothing is among nothing.
        sql = sql.replace(f"__[POSTCOMPILE_{among}]", ", ".join([mark] * items) or "NULL")
    fixed = {name: value for name, value in compiled.params.items() if value is not None and name != among}
    selected = statement.selected_columns if isinstance(statement, Select | CompoundSelect) else ()
    columns = tuple(_of_column(column.type, dialect) for column in selected)
    plain = len(names) > 1 and not fixed and not any(convert for _, convert in names)
    as_they_are = itemgetter(*(name for name, _ in names)) if plain else None
    together = _together(sql) if isinstance(statement, Insert) and dialect.name == "sqlite" else None
    return _Text(sql, tuple(names), fixed, columns if any(columns) else None, as_they_are, together)


def _together(sql: str) -> Callable[[int], str] | None:
    """What makes the text that inserts several rows; ``None`` where there is more to it than the rows.

    For every row that runs alone, SQLite's driver lets another thread go on, and has to wait until it stops again.
    """
    start, _, row = sql.rpartition(" VALUES ")
    if not start.startswith("INSERT INTO ") or row.strip("(?, )"):
        return None
    # Where a key is taken, the rows before it stay, as when each is inserted alone: nothing is copied for the case.
    start = start.replace("INSERT", "INSERT OR FAIL", 1)
    return cache(lambda number: f"{start} VALUES {', '.join([row] * number)}")


def _of_parameter(kind: TypeEngine[Any], dialect: Dialect) -> Convert | None:
    # Drivers take bytes as they are.
    return None if isinstance(kind, LargeBinary) else kind.dialect_impl(dialect).bind_processor(dialect)


def _of_column(kind: TypeEngine[Any], dialect: Dialect) -> Convert | None:
    return None if isinstance(kind, LargeBinary) else kind.dialect_impl(dialect).result_processor(dialect, None)
