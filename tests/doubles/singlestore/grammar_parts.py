"""A cursor over tokens, with the parts that many statements share: names, accounts, privileges, numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import TypeVar

from . import versions as since
from .statements import Account
from .tokens import Kind, SyntaxRefused, Token
from .versions import Version

_Read = TypeVar("_Read")

# The vendor's list of privilege types (page of GRANT, 9.1).
PRIVILEGES = frozenset(
    {
        *("ALL PRIVILEGES", "USAGE", "SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "RELOAD", "PROCESS"),
        *(
            "FILE READ",
            "FILE WRITE",
            "INDEX",
            "ALTER",
            "SHOW METADATA",
            "GRANT OPTION",
            "SUPER",
            "SYSTEM_VARIABLES_ADMIN",
        ),
        *("CREATE TEMPORARY TABLES", "LOCK TABLES", "CREATE VIEW", "SHOW VIEW", "ALTER VIEW", "DROP VIEW"),
        *("CREATE USER", "ALTER USER", "CLUSTER", "BACKUP", "CREATE DATABASE", "DROP DATABASE", "CREATE PIPELINE"),
        *("DROP PIPELINE", "ALTER PIPELINE", "START PIPELINE", "SHOW PIPELINE", "EXECUTE", "CREATE ROUTINE"),
        *("ALTER ROUTINE", "SHOW ROUTINE", "CREATE POOL", "DROP POOL", "CREATE LINK", "DROP LINK", "SHOW LINK"),
        *("OUTBOUND", "ALTER EVENT TRACE"),
    }
)
_PRIVILEGES_SINCE = {
    "ALTER USER": since.ALTER_USER_PRIVILEGE,
    "SYSTEM_VARIABLES_ADMIN": since.SYSTEM_VARIABLES_ADMIN,
}


@cache
def _reserved_words() -> frozenset[str]:
    from sqlglot.dialects.singlestore import SingleStore

    words: Iterable[str] = SingleStore.Generator.RESERVED_KEYWORDS
    return frozenset(word.upper() for word in words)


def is_reserved(word: str) -> bool:
    """Whether a name of this spelling wants quotes."""
    return word.upper() in _reserved_words()


class Parser:
    """Where reading has come to in a list of tokens, for a server of one version."""

    def __init__(self, tokens: list[Token], version: Version) -> None:
        self.version = version
        self._tokens = tokens
        self._at = 0

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def since(self, version: Version, what: str) -> None:
        """Refuse ``what`` on servers older than ``version``."""
        if self.version < version:
            raise SyntaxRefused(f"{what} on {self.version}", since=version)

    def words(self, *words: str) -> bool:
        """Step over these words if they come next, all of them."""
        for offset, word in enumerate(words):
            token = self._tokens[min(self._at + offset, len(self._tokens) - 1)]
            if token.kind is not Kind.WORD or token.value != word:
                return False
        self._at += len(words)
        return True

    def sees(self, word: str) -> bool:
        return self._next.kind is Kind.WORD and self._next.value == word

    def sees_word(self) -> bool:
        return self._next.kind is Kind.WORD

    def sees_number(self) -> bool:
        return self._next.kind is Kind.NUMBER

    def sign(self, sign: str) -> bool:
        if self._next.kind is Kind.SIGN and self._next.text == sign:
            self._at += 1
            return True
        return False

    def need(self, *words: str) -> None:
        if not self.words(*words):
            raise self._unexpected(" ".join(words))

    def need_sign(self, sign: str) -> None:
        if not self.sign(sign):
            raise self._unexpected(sign)

    def expect(self, kind: Kind, what: str) -> Token:
        token = self._next
        if token.kind is not kind:
            raise self._unexpected(what)
        self._at += 1
        return token

    def end(self) -> None:
        if self._next.kind is not Kind.END:
            raise self._unexpected("the end of the statement")

    def string(self, what: str) -> str:
        return self.expect(Kind.STRING, what).value

    def number(self) -> int:
        return int(self.expect(Kind.NUMBER, "a number").text)

    def assigned_number(self) -> int:
        self.need_sign("=")
        return self.number()

    def identifier(self, what: str, *, qualified: bool = False) -> str:
        """A word or a name in backquotes, as databases and tables have it; behind a dot any word will do."""
        if self._next.kind is Kind.QUOTED:
            return self.expect(Kind.QUOTED, what).value
        token = self.expect(Kind.WORD, what)
        if not qualified and is_reserved(token.value):
            raise SyntaxRefused(f"{token.text} is a reserved word: quote it")
        return token.text

    def name(self, what: str) -> str:
        """A user, group, role or pool: a string literal, or an identifier."""
        if self._next.kind is Kind.STRING:
            return self.expect(Kind.STRING, what).value
        return self.identifier(what)

    def account(self) -> Account:
        name = self.name("a user")
        at = self._next
        if at.kind is not Kind.SIGN or at.text != "@":
            return Account(name)
        before = self._tokens[self._at - 1]
        self._at += 1
        if not before.end == at.start == self._next.start - 1:
            raise SyntaxRefused("blanks around the @ of an account")
        return Account(name, self.name("a host"))

    def privilege(self) -> str:
        words = [self.expect(Kind.WORD, "a privilege").value]
        while self._next.kind is Kind.WORD and self._next.value not in ("ON", "FROM"):
            words.append(self.expect(Kind.WORD, "a privilege").value)
        privilege = " ".join(words)
        if privilege == "ALL":
            privilege = "ALL PRIVILEGES"
        if privilege not in PRIVILEGES:
            raise SyntaxRefused(f"{privilege} is no privilege")
        if privilege in _PRIVILEGES_SINCE:
            self.since(_PRIVILEGES_SINCE[privilege], f"the privilege {privilege}")
        return privilege

    def several(self, read: Callable[[], _Read]) -> Iterator[_Read]:
        """What ``read`` reads, once or more, between commas."""
        yield read()
        while self.sign(","):
            yield read()

    def _unexpected(self, wanted: str) -> SyntaxRefused:
        token = self._next
        found = token.kind.value if token.kind is Kind.END else repr(token.text)
        return SyntaxRefused(f"{wanted} expected, found {found} at position {token.start}")
