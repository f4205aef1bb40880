"""Every statement that clients sent, in order, with who sent it and what came of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from .statements import Account, AccountStatement, Statement

Outcome = Literal["running", "done", "error", "cut before", "cut after", "killed"]
_PASSWORDS = re.compile(r"(IDENTIFIED\s+BY|PASSWORD\s*\()\s*'(?:[^'\\]|\\.|'')*'", re.IGNORECASE | re.DOTALL)


@dataclass(eq=False)
class Entry:
    """One statement.

    Attributes:
        node_id: the aggregator that was asked.
        connection_id: unique on that node only.
        account: the user and host that the connection logged in as.
        statement: what the grammar read, for statements of accounts, sessions and lists.
        error: the number that was answered.
    """

    node_id: int
    connection_id: int
    account: Account
    sql: str
    statement: Statement | None = None
    outcome: Outcome = "running"
    error: int | None = None

    @property
    def is_account_statement(self) -> bool:
        return isinstance(self.statement, AccountStatement)

    @property
    def shown(self) -> str:
        """The text without passwords."""
        return _PASSWORDS.sub(r"\1 '…'", self.sql)


Matcher = str | Callable[[Entry], bool]


def matcher(match: Matcher) -> Callable[[Entry], bool]:
    """A test of entries: a function as it is, a text as a regular expression that is searched, blind to case."""
    if callable(match):
        return match
    pattern = re.compile(match, re.IGNORECASE | re.DOTALL)
    return lambda entry: pattern.search(entry.sql) is not None


@dataclass
class StatementLog:
    """Entries in the order in which the double began with them.

    Attributes:
        listeners: called with each entry when its outcome is known, in the thread of the server.
    """

    entries: list[Entry] = field(default_factory=list)
    listeners: list[Callable[[Entry], None]] = field(default_factory=list)

    def add(self, entry: Entry) -> None:
        self.entries.append(entry)

    def clear(self) -> None:
        self.entries.clear()

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self.entries))

    def __len__(self) -> int:
        return len(self.entries)

    def matching(self, match: Matcher) -> list[Entry]:
        """Entries that fit: a function of the entry, or a regular expression found in its text."""
        fits = matcher(match)
        return [entry for entry in self if fits(entry)]

    def count(self, match: Matcher) -> int:
        return len(self.matching(match))

    def account_statements(self) -> list[str]:
        """The texts of CREATE USER, GRANT GROUP and their like, in order."""
        return [entry.sql for entry in self if entry.is_account_statement]
