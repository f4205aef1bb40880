"""CREATE TABLE of SingleStore: keys checked by SingleStore's rules, text in MariaDB's words."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

from .errors import FEATURE_NOT_SUPPORTED, EngineError, UnknownStatement
from .grammar_parts import is_reserved

_SHARD_LESS = 1896
_PART = re.compile(
    r"""(?P<literal>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*")|(?P<name>`(?:[^`]|``)*`)|(?P<word>[A-Za-z_]\w*)
      |(?P<comment>--\s[^\n]*|\#[^\n]*|/\*.*?\*/)|(?P<blank>\s+)|(?P<sign>.)""",
    re.VERBOSE | re.DOTALL,
)
_FOREIGN_OPTIONS = re.compile(r"\b(?:ENGINE|ROW_FORMAT|PARTITION|TABLESPACE|DATA|INDEX|WITH)\b", re.IGNORECASE)


class Part(NamedTuple):
    """A piece of a statement; ``word`` in upper case, empty for what is no word."""

    text: str
    word: str


@dataclass(frozen=True)
class Table:
    """What the rules need to know of a table.

    Attributes:
        shard: columns of the shard key; None for a reference table, none for one that is spread at random.
        unique: columns of each primary or unique key.
    """

    columns: frozenset[str]
    shard: tuple[str, ...] | None
    unique: tuple[tuple[str, ...], ...]
    rowstore: bool
    temporary: bool = False

    def check_unique(self, columns: tuple[str, ...]) -> None:
        """Refuse a unique key that SingleStore can't enforce.

        Raises:
            EngineError: it does not hold the shard key, or is one too many for a columnstore.
        """
        if self.shard is None:
            return
        if not self.shard:
            raise EngineError(_SHARD_LESS, "Cannot declare primary key or unique key when using an empty shard key")
        if not set(self.shard) <= set(columns):
            raise not_supported("unique key which does not contain all columns of the shard key")


def not_supported(feature: str) -> EngineError:
    return EngineError(FEATURE_NOT_SUPPORTED, f"Feature '{feature}' is not supported by SingleStore Distributed")


def parts_of(sql: str) -> list[Part]:
    """The statement without comments, in pieces that put together are its text."""
    parts = []
    for found in _PART.finditer(sql):
        if found.lastgroup == "blank" or found.lastgroup == "comment":
            parts.append(Part(" ", ""))
        else:
            parts.append(Part(found[0], found[0].upper() if found.lastgroup == "word" else ""))
    return parts


@dataclass(frozen=True)
class CreateTable:
    """A statement that was read: which table, and the statement for MariaDB."""

    name: str
    database: str | None
    table: Table
    sql: str


def read_create_table(sql: str) -> CreateTable:
    """Read and check CREATE TABLE.

    Raises:
        EngineError: SingleStore refuses such a table.
        UnknownStatement: not the documented form.
    """
    parts = parts_of(sql.strip().rstrip(";"))
    begin = next((at for at, part in enumerate(parts) if part.text == "("), None)
    if begin is None:
        raise UnknownStatement(f"CREATE TABLE without columns: {sql}")
    kinds, if_not_exists, database, name = _head([part for part in parts[:begin] if part.text != " "], sql)
    end = _closing(parts, begin)
    definitions = _split(parts[begin + 1 : end])
    reader = _Definitions(rowstore="ROWSTORE" in kinds, reference="REFERENCE" in kinds)
    kept = [definition for definition in definitions if reader.read(definition)]
    table = replace(reader.table(), temporary="TEMPORARY" in kinds)
    options = "".join(part.text for part in parts[end + 1 :])
    if _FOREIGN_OPTIONS.search(options):
        raise UnknownStatement(f"a table option that is not SingleStore's: {options}")
    target = ".".join(f"`{part}`" for part in (database, name) if part)
    temporary = "TEMPORARY " if table.temporary else ""
    body = ", ".join("".join(part.text for part in definition).strip() for definition in kept)
    exists = "IF NOT EXISTS " if if_not_exists else ""
    return CreateTable(
        name, database, table, f"CREATE {temporary}TABLE {exists}{target} ({body}) {options} ENGINE=InnoDB"
    )


def _head(parts: list[Part], sql: str) -> tuple[set[str], bool, str | None, str]:
    """Kinds, IF NOT EXISTS, database and name out of what stands before the columns."""
    words = [part.word for part in parts]
    table = words.index("TABLE")
    kinds = set(words[1:table])
    if not kinds <= {"ROWSTORE", "COLUMNSTORE", "REFERENCE", "TEMPORARY", "GLOBAL"}:
        raise UnknownStatement(f"not a documented kind of table: {sql}")
    if_not_exists = words[table + 1 : table + 4] == ["IF", "NOT", "EXISTS"]
    name = [_plain(part.text) for part in parts[table + (4 if if_not_exists else 1) :]]
    if len(name) == 1:
        return kinds, if_not_exists, None, name[0]
    if len(name) == 3 and name[1] == ".":
        return kinds, if_not_exists, name[0], name[2]
    raise UnknownStatement(f"not a table's name: {' '.join(name)}")


def _plain(text: str) -> str:
    return text[1:-1].replace("``", "`") if text.startswith("`") else text


def _closing(parts: list[Part], begin: int) -> int:
    depth = 0
    for at in range(begin, len(parts)):
        depth += {"(": 1, ")": -1}.get(parts[at].text, 0)
        if not depth:
            return at
    raise UnknownStatement("an open bracket in CREATE TABLE")


def _split(parts: list[Part]) -> list[list[Part]]:
    depth, definitions = 0, [list[Part]()]
    for part in parts:
        depth += {"(": 1, ")": -1}.get(part.text, 0)
        if part.text == "," and not depth:
            definitions.append([])
        else:
            definitions[-1].append(part)
    return definitions


def columns_in(parts: list[Part]) -> tuple[str, ...]:
    """The columns in the first brackets, in lower case; lengths and directions left out."""
    text = [part.text for part in parts]
    begin = text.index("(")
    inner = parts[begin + 1 : _closing(parts, begin)]
    return tuple(
        _plain(next(part.text for part in column if part.text != " ")).lower()
        for column in _split(inner)
        if any(part.text != " " for part in column)
    )


class _Definitions:
    """Gathers columns and keys; says of each definition whether MariaDB is to have it."""

    def __init__(self, *, rowstore: bool, reference: bool) -> None:
        self._rowstore = rowstore
        self._reference = reference
        self._columns: set[str] = set()
        self._primary: tuple[str, ...] | None = None
        self._unique: list[tuple[str, ...]] = []
        self._shard: tuple[str, ...] | None = None
        self._counted: list[str] = []

    def read(self, definition: list[Part]) -> bool:
        words = [part.word for part in definition if part.text != " "]
        if words[:1] == ["CONSTRAINT"]:
            words = words[2 if words[1] not in ("PRIMARY", "UNIQUE", "FOREIGN", "CHECK") else 1 :]
        match words:
            case ["SHARD", "KEY", *_]:
                self._shard = columns_in(definition)
                return False
            case ["SORT", "KEY", *_]:
                if self._rowstore:
                    raise UnknownStatement("SORT KEY is for columnstores")
                return False
            case ["PRIMARY", "KEY", *_]:
                self._primary = columns_in(definition)
            case ["UNIQUE", *_]:
                self._unique.append(columns_in(definition))
            case ["FOREIGN", *_]:
                raise not_supported("FOREIGN KEY")
            case ["KEY" | "INDEX", *_]:
                columns_in(definition)
            case ["FULLTEXT" | "SPATIAL" | "CHECK" | "PERIOD" | "VECTOR" | "MULTI", *_]:
                raise UnknownStatement(f"{words[0]} is nothing that the double takes")
            case _:
                self._column([part for part in definition if part.text != " "])
        return True

    def _column(self, parts: list[Part]) -> None:
        if parts[0].word and is_reserved(parts[0].word):
            raise UnknownStatement(f"{parts[0].text} is a reserved word: rename or quote the column")
        name = _plain(parts[0].text).lower()
        self._columns.add(name)
        words = [part.word for part in parts]
        if "REFERENCES" in words:
            raise not_supported("FOREIGN KEY")
        following = list(pairwise(words))
        if ("PRIMARY", "KEY") in following:
            self._primary = (name,)
        if "UNIQUE" in words:
            self._unique.append((name,))
        if "AUTO_INCREMENT" in words and words[1] != "BIGINT":
            self._counted.append(name)

    def table(self) -> Table:
        unique = [self._primary, *self._unique] if self._primary else self._unique
        if self._reference:
            if self._primary is None:
                raise not_supported("reference table without a primary key")
            return Table(frozenset(self._columns), None, tuple(unique), self._rowstore)
        if self._counted:
            raise not_supported(f"AUTO_INCREMENT of {self._counted[0]}: BIGINT only on a sharded table")
        shard = self._shard if self._shard is not None else (self._primary or ())
        table = Table(frozenset(self._columns), shard, tuple(unique), self._rowstore)
        for columns in (*unique, shard):
            missing = set(columns) - self._columns
            if missing:
                raise EngineError(1072, f"Key column '{min(missing)}' doesn't exist in table")
        for columns in unique:
            table.check_unique(columns)
        if not self._rowstore and len(unique) > 1 and any(len(columns) > 1 for columns in unique):
            raise not_supported("several unique keys on a columnstore when one has several columns")
        return table
