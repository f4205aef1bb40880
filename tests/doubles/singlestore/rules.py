"""SQL on tables: what SingleStore takes of it, who may, and the same in MariaDB's words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlglot import ParseError, TokenError, exp, parse

from .access import rights_of
from .errors import TABLE_DENIED, EngineError, UnknownStatement
from .results import Forward
from .session import Session
from .table_definition import Table, columns_in, not_supported, parts_of, read_create_table

_WITH_BACKSLASH = re.compile(r"""'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|\b\d+(?:\.\d+)?\b""", re.DOTALL)
_WITHOUT_BACKSLASH = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\b\d+(?:\.\d+)?\b""", re.DOTALL)
_LISTS = re.compile(r"\?(?:\s*,\s*\?)+")
_TRANSACTION = re.compile(
    r"\s*(?:BEGIN(?:\s+WORK)?|START\s+TRANSACTION|COMMIT(?:\s+WORK)?|ROLLBACK(?:\s+WORK)?)\s*;?\s*", re.IGNORECASE
)
_READS = re.compile(
    r"""\s*(?:SHOW\s+(?:FULL\s+)?(?:TABLES|DATABASES|SCHEMAS|COLUMNS|FIELDS)|SHOW\s+(?:INDEX|INDEXES|KEYS)\b
        |SHOW\s+CREATE\s+TABLE|SHOW\s+TABLE\s+STATUS|DESC(?:RIBE)?\s|EXPLAIN\s)""",
    re.IGNORECASE | re.VERBOSE,
)
_NAME = r"(?:`(?P<{0}q>[^`]+)`|(?P<{0}>\w+))"
_TABLE_NAME = rf"(?:{_NAME.format('database')}\s*\.\s*)?{_NAME.format('table')}"
_DROP_TABLE = re.compile(rf"\s*DROP\s+TABLE\s+(?:IF\s+EXISTS\s+)?{_TABLE_NAME}\s*;?\s*\Z", re.IGNORECASE)
_TRUNCATE = re.compile(rf"\s*TRUNCATE\s+(?:TABLE\s+)?{_TABLE_NAME}\s*;?\s*\Z", re.IGNORECASE)
_DATABASE = re.compile(
    rf"\s*(?P<verb>CREATE|DROP)\s+(?:DATABASE|SCHEMA)\s+(?P<if>IF\s+(?:NOT\s+)?EXISTS\s+)?{_NAME.format('database')}"
    r"(?P<options>.*?)\s*;?\s*\Z",
    re.IGNORECASE | re.DOTALL,
)
_DATABASE_OPTIONS = re.compile(r"(?:\s+(?:PARTITIONS\s+\d+|WITH\s+A?SYNC\s+DURABILITY|COLLATE\s+\w+))*", re.IGNORECASE)
_INDEX = re.compile(
    rf"\s*CREATE\s+(?P<unique>UNIQUE\s+)?INDEX\s+\S+\s+ON\s+{_TABLE_NAME}\s*(?P<columns>\(.*\))\s*;?\s*\Z",
    re.IGNORECASE | re.DOTALL,
)
_DROP_INDEX = re.compile(rf"\s*DROP\s+INDEX\s+\S+\s+ON\s+{_TABLE_NAME}\s*;?\s*\Z", re.IGNORECASE)
_ALTER = re.compile(rf"\s*ALTER\s+TABLE\s+{_TABLE_NAME}\s+(?P<change>.*?)\s*;?\s*\Z", re.IGNORECASE | re.DOTALL)
_ALTERATION = re.compile(
    r"(?P<unique>ADD\s+UNIQUE\b)|ADD\s+(?:INDEX|KEY|COLUMN)\b|ADD\s+(?!PRIMARY|CONSTRAINT|FOREIGN|CHECK|FULLTEXT)[`\w]"
    r"|DROP\s+(?:INDEX|KEY|COLUMN)\b|(?P<retype>MODIFY\b|CHANGE\b)|RENAME\s+(?:TO|AS|COLUMN)\b",
    re.IGNORECASE,
)
_SERVER_LOCKS = frozenset({"GET_LOCK", "RELEASE_LOCK", "IS_FREE_LOCK", "IS_USED_LOCK", "RELEASE_ALL_LOCKS"})


@dataclass(frozen=True)
class _Use:
    """A table that a statement touches, and what for."""

    privilege: str
    database: str | None
    table: str


@dataclass(frozen=True)
class _Shape:
    """What is known of all statements that differ in literals only.

    Attributes:
        changes: columns that an UPDATE sets, in lower case.
    """

    uses: tuple[_Use, ...]
    changes: frozenset[str] = frozenset()
    limited_update: bool = False
    writes: bool = False


def is_transaction(sql: str) -> bool:
    """Whether it begins or ends a transaction, and does no more."""
    return _TRANSACTION.fullmatch(sql) is not None


class Rules:
    """Knows the tables that were made through the double."""

    def __init__(self) -> None:
        self.tables: dict[tuple[str, str], Table] = {}

    def translate(self, session: Session, sql: str) -> Forward:
        """Check a statement, and say it in MariaDB's words.

        Raises:
            EngineError: SingleStore refuses it, or this user may not.
            UnknownStatement: nothing that is known to work there.
        """
        if is_transaction(sql) or _READS.match(sql):
            return Forward(sql)
        first = sql.split(None, 1)[0].upper() if sql.split() else ""
        if first in ("CREATE", "DROP", "ALTER", "TRUNCATE"):
            return self._definition(session, sql)
        shape = _shape_of(sql, session.backslash_escapes)
        for use in shape.uses:
            _need(session, use.privilege, use.database, use.table)
        self._check_writes(session, shape)
        return Forward(sql)

    def _check_writes(self, session: Session, shape: _Shape) -> None:
        if not shape.writes:
            return
        target = shape.uses[0]
        table = self.tables.get(_key(session, target.database, target.table))
        if table is None:
            return
        if table.shard is None and session.in_transaction and not session.node.is_master:
            raise not_supported(
                "Writing to a reference table in multi-statement transaction is not permitted on child aggregators"
            )
        if table.shard is not None and shape.limited_update:
            raise not_supported("UPDATE with a LIMIT on a sharded table")
        changed = shape.changes & set(table.shard or ())
        if changed:
            number = session.node.cluster.behaviour.shard_key_update_error
            raise EngineError(number, f"Column '{min(changed)}' of the shard key can't be updated")

    def _definition(self, session: Session, sql: str) -> Forward:
        for pattern, define in (
            (_DATABASE, self._database),
            (_DROP_TABLE, self._drop_table),
            (_TRUNCATE, self._truncate),
            (_INDEX, self._create_index),
            (_DROP_INDEX, self._drop_index),
            (_ALTER, self._alter),
        ):
            found = pattern.match(sql)
            if found is not None:
                return define(session, found)
        if re.match(r"\s*CREATE\b[\w\s]*\bTABLE\b", sql, re.IGNORECASE):
            return self._create_table(session, sql)
        raise UnknownStatement(f"not known to work on SingleStore: {sql}")

    def _create_table(self, session: Session, sql: str) -> Forward:
        created = read_create_table(sql)
        _need(session, "CREATE", created.database, created.name)
        key = _key(session, created.database, created.name)
        return Forward(created.sql, lambda: self.tables.setdefault(key, created.table))

    def _drop_table(self, session: Session, found: re.Match[str]) -> Forward:
        database, table = _names(found)
        _need(session, "DROP", database, table)
        key = _key(session, database, table)
        return Forward(found.string, lambda: self.tables.pop(key, None))

    def _truncate(self, session: Session, found: re.Match[str]) -> Forward:
        _need(session, "DROP", *_names(found))
        return Forward(found.string)

    def _database(self, session: Session, found: re.Match[str]) -> Forward:
        verb, name = found["verb"].upper(), found["database"] or found["databaseq"]
        if not rights_of(session).has(f"{verb} DATABASE") and not rights_of(session).has(verb, name):
            raise _denied(session, f"{verb} DATABASE", name)
        if not _DATABASE_OPTIONS.fullmatch(found["options"]):
            raise UnknownStatement(f"not a documented option: {found['options']}")
        exists = " ".join((found["if"] or "").upper().split())
        if verb == "DROP":
            gone = [key for key in self.tables if key[0] == name.lower()]
            return Forward(f"DROP DATABASE {exists} `{name}`", lambda: [self.tables.pop(key, None) for key in gone])
        # What SingleStore calls its default since 7.5.
        return Forward(f"CREATE DATABASE {exists} `{name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")

    def _create_index(self, session: Session, found: re.Match[str]) -> Forward:
        database, name = _names(found)
        _need(session, "INDEX", database, name)
        table = self.tables.get(_key(session, database, name))
        if found["unique"] and table is not None:
            _check_added_unique(table, columns_in(parts_of(found["columns"])))
        return Forward(found.string)

    def _drop_index(self, session: Session, found: re.Match[str]) -> Forward:
        _need(session, "INDEX", *_names(found))
        return Forward(found.string)

    def _alter(self, session: Session, found: re.Match[str]) -> Forward:
        database, name = _names(found)
        _need(session, "ALTER", database, name)
        change = _ALTERATION.match(found["change"])
        if change is None:
            raise UnknownStatement(f"not known to work on SingleStore: {found.string}")
        table = self.tables.get(_key(session, database, name))
        if table is not None and change["unique"]:
            _check_added_unique(table, columns_in(parts_of(found["change"])))
        if table is not None and change["retype"] and not table.rowstore:
            raise not_supported("ALTER TABLE MODIFY on a columnstore")
        return Forward(found.string)


def _check_added_unique(table: Table, columns: tuple[str, ...]) -> None:
    if not table.rowstore:
        raise not_supported("adding a unique key to a columnstore")
    table.check_unique(columns)


def _names(found: re.Match[str]) -> tuple[str | None, str]:
    return found["database"] or found["databaseq"], found["table"] or found["tableq"]


def _key(session: Session, database: str | None, table: str) -> tuple[str, str]:
    return (database or session.database or "").lower(), table.lower()


def _denied(session: Session, privilege: str, what: str) -> EngineError:
    return EngineError(TABLE_DENIED, f"{privilege} command denied to user {session.user.account} for '{what}'")


def _need(session: Session, privilege: str, database: str | None, table: str) -> None:
    database = database or session.database
    if database is None:
        raise EngineError(1046, "No database selected")
    if database.lower() == "information_schema":
        return
    if not rights_of(session).has(privilege, database, table):
        raise _denied(session, privilege, f"{database}.{table}")


def _shape_of(sql: str, backslash_escapes: bool) -> _Shape:
    literals = _WITH_BACKSLASH if backslash_escapes else _WITHOUT_BACKSLASH
    shape = _LISTS.sub("?", literals.sub("?", sql))
    return _read_shape(shape) or _read_whole(sql)


@lru_cache(maxsize=4096)
def _read_shape(shape: str) -> _Shape | None:
    """None when it is the literals that make it a statement."""
    tree = _tree(shape)
    return None if tree is None else _describe(tree, shape)


def _read_whole(sql: str) -> _Shape:
    tree = _tree(sql)
    if tree is None:
        raise UnknownStatement(f"not known to work on SingleStore: {sql}")
    return _describe(tree, sql)


def _tree(sql: str) -> Any:
    try:
        trees = [tree for tree in parse(sql, dialect="singlestore") if tree is not None]
    except (ParseError, TokenError):
        return None
    return trees[0] if len(trees) == 1 and isinstance(trees[0], exp.Query | exp.DML) else None


def _describe(tree: Any, sql: str) -> _Shape:
    _refuse_what_is_not_there(tree, sql)
    target = _target(tree)
    uses = [] if target is None else [_Use(privilege, target.db or None, target.name) for privilege in _writes(tree)]
    named = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    uses += [
        _Use("SELECT", table.db or None, table.name)
        for table in tree.find_all(exp.Table)
        if table is not target and (table.db or table.name.lower() not in named)
    ]
    return _Shape(
        tuple(uses),
        frozenset(_changed_columns(tree)),
        limited_update=isinstance(tree, exp.Update) and tree.args.get("limit") is not None,
        writes=target is not None,
    )


def _target(tree: Any) -> Any:
    if isinstance(tree, exp.Insert):
        return tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
    if isinstance(tree, exp.Update | exp.Delete):
        return tree.this
    return None


def _writes(tree: Any) -> tuple[str, ...]:
    if isinstance(tree, exp.Update):
        return ("UPDATE",)
    if isinstance(tree, exp.Delete):
        return ("DELETE",)
    if tree.args.get("conflict") is not None:
        return ("INSERT", "UPDATE")
    return ("INSERT",)


def _changed_columns(tree: Any) -> Iterator[str]:
    assignments = tree.expressions if isinstance(tree, exp.Update) else []
    conflict = tree.args.get("conflict") if isinstance(tree, exp.Insert) else None
    if conflict is not None:
        assignments = conflict.expressions
    for assignment in assignments:
        if isinstance(assignment, exp.EQ):
            yield assignment.this.name.lower()


def _is_unknown_lock(lock: Any) -> bool:
    """FOR UPDATE is there, without NOWAIT, SKIP LOCKED and OF; LOCK IN SHARE MODE is not."""
    return not lock.args.get("update") or lock.args.get("wait") is not None or bool(lock.expressions)


def _refuse_what_is_not_there(tree: Any, sql: str) -> None:
    checks: list[tuple[type, Callable[[Any], bool], str]] = [
        (exp.Lock, _is_unknown_lock, "locks"),
        (exp.Returning, lambda _: True, "RETURNING"),
        (exp.Anonymous, lambda call: call.name.upper() in _SERVER_LOCKS, "locks of the server"),
    ]
    for kind, refused, what in checks:
        if any(refused(node) for node in tree.find_all(kind)):
            raise UnknownStatement(f"{what} of this kind are not there: {sql}")
