"""Names of one test on a server that others use too: each gets a prefix on its way there, and loses it on its way back.

A test says ``ada`` and reads ``ada``; the server knows ``t1f2e3_ada``. What carries no prefix is not shown to the test,
and a statement that could change something that carries none is not sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from .grammar import SyntaxRefused, parse
from .statements import Account, Kill, KillAll, Role, Scope

NEWEST = "9.1"
#: Of the server's own accounts the one that tests know of; it is shown, and never changed.
_SHOWN = ("root", "'root'@'%'", "root@%")
_LITERAL = r"'(?:[^'\\]|\\.|'')*'"
#: A literal that stands behind one of these is no name.
_TOKEN = re.compile(
    rf"(?P<other>(?:@\s*|\b(?:IDENTIFIED\s+BY|ATTRIBUTE|COMMENT|AS)\s+){_LITERAL})"
    rf"|(?P<name>{_LITERAL})"
    r"|(?P<on>\bON\s+)(?P<database>`#?(?:[^`]|``)+`|\w+)(?=\s*\.)",
    re.IGNORECASE | re.DOTALL,
)
_CHANGES = re.compile(r"\s*(?:CREATE|ALTER|DROP|GRANT|REVOKE|SET\s+PASSWORD|KILL)\b", re.IGNORECASE)
_READS = re.compile(
    r"\s*(?:SHOW\s+(?:USERS|GROUPS|ROLES|GRANTS)\b|SELECT\s[^;]*\sFROM\s+information_schema\.)", re.IGNORECASE
)
_NAMES_NOTHING = re.compile(
    r"""\s*(?:SELECT\s(?!.*\b(?:FROM|INTO)\b)|SHOW\s+(?:VARIABLES|AGGREGATORS|WARNINGS)\b
        |SET\s+(?:NAMES|SESSION|sql_mode|autocommit)\b|COMMIT|ROLLBACK|BEGIN)""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
# What asks for LIMIT 1 asks whether there is anybody at all.
_LISTS_ALL = re.compile(
    r"\s*SHOW\s+(?:USERS|GROUPS|ROLES)\b|(?!.*\bLIMIT\b).*\binformation_schema\.", re.IGNORECASE | re.DOTALL
)


class ForeignName(AssertionError):
    """A statement that is not, or not surely, about what the test made; it was not sent."""


class OwnNames:
    """The names of one test.

    Args:
        prefix: what they begin with on the server; nothing else there contains it.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    def on_the_server(self, sql: str) -> str:
        """The statement as it is sent.

        Raises:
            ForeignName: it might change something that the test did not make.
        """
        if _CHANGES.match(sql):
            translated = _TOKEN.sub(lambda token: self._token(token, may_be_root=False), sql)
            self._check(translated)
            return translated
        if _READS.match(sql):
            return _TOKEN.sub(lambda token: self._token(token, may_be_root=True), sql)
        if _NAMES_NOTHING.match(sql):
            return sql
        raise ForeignName(f"nobody has thought about whom this concerns on a server of others: {sql}")

    def _token(self, token: re.Match[str], *, may_be_root: bool) -> str:
        if token["other"]:
            return token["other"]
        if token["database"]:
            return token["on"] + re.sub(r"^`?#?", rf"\g<0>{self.prefix}", token["database"], count=1)
        if may_be_root and token["name"] == "'root'":
            return token["name"]
        # Views may show an account with quotes around its name, and are asked so.
        return re.sub(r"^'(?:\\'|'')?", rf"\g<0>{self.prefix}", token["name"], count=1)

    def _check(self, sql: str) -> None:
        """By the grammar, which knows nothing of the above: everything that the statement names is the test's own."""
        try:
            statement = parse(sql, version=NEWEST)
        except SyntaxRefused as refused:
            raise ForeignName(f"nobody can say whom this concerns: {refused}") from refused
        if isinstance(statement, KillAll):
            raise ForeignName("sessions of others would end")
        foreign = [name for name in _named(statement) if not name.removeprefix("#").startswith(self.prefix)]
        if foreign:
            raise ForeignName(f"{foreign} would be changed")

    def shown(self, sql: str, rows: Sequence[Sequence[Any]]) -> tuple[tuple[Any, ...], ...]:
        """Rows of an answer as the test sees them."""
        if _LISTS_ALL.match(sql):
            rows = [row for row in rows if self._is_own(row)]
        return tuple(tuple(self.without(cell) for cell in row) for row in rows)

    def _is_own(self, row: Sequence[Any]) -> bool:
        return any(isinstance(cell, str) and (self.prefix in cell or cell in _SHOWN) for cell in row)

    def without(self, value: Any) -> Any:
        """A value of the server without the prefix."""
        return value.replace(self.prefix, "") if isinstance(value, str) else value


def killed(sql: str) -> tuple[int, int | None] | None:
    """Id and node of the session that the statement would end."""
    if not re.match(r"\s*KILL\b", sql, re.IGNORECASE):
        return None
    statement = parse(sql, version=NEWEST)
    return (statement.id, statement.node_id) if isinstance(statement, Kill) else None


def _named(part: Any) -> Iterator[str]:
    """Every account, group, role and database in a statement."""
    if isinstance(part, Account | Role):
        yield part.name
    elif isinstance(part, Scope):
        if part.current_database:
            yield "the current database"
        elif part.database is not None:
            yield part.database
    elif isinstance(part, tuple):
        for each in part:
            yield from _named(each)
    elif is_dataclass(part):
        for field in fields(part):
            value = getattr(part, field.name)
            if field.name in ("group", "role"):
                yield value
            else:
                yield from _named(value)
