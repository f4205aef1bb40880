"""Words, names, literals and signs of a statement, told apart as the Engine's lexer would."""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

from .versions import Version


class SyntaxRefused(ValueError):
    """The statement is not one that the vendor documents for this version.

    Attributes:
        since: the version from which it would be taken, or None when no version takes it.
    """

    def __init__(self, reason: str, *, since: Version | None = None) -> None:
        super().__init__(f"{reason} (documented from {since})" if since else reason)
        self.since = since


class Kind(Enum):
    """What a token is."""

    WORD = "word"
    QUOTED = "name in backquotes"
    STRING = "string"
    NUMBER = "number"
    SIGN = "sign"
    END = "end of the statement"


class Token(NamedTuple):
    """One token; ``value`` is what a literal or quoted name means, or the word in upper case."""

    kind: Kind
    value: str
    text: str
    start: int
    end: int


_ESCAPED = {"0": "\0", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a", "%": "\\%", "_": "\\_"}
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def _lexer(backslash_escapes: bool) -> re.Pattern[str]:
    escape = r"|\\." if backslash_escapes else ""
    plain = r"\\" if backslash_escapes else ""
    return re.compile(
        rf"""[ \t\r\n\f\v]*(?:
            (?P<WORD>[A-Za-z_$][A-Za-z0-9_$]*)
          | (?P<STRING>'[^'{plain}]*(?:(?:''{escape})[^'{plain}]*)*' | "[^"{plain}]*(?:(?:""{escape})[^"{plain}]*)*")
          | (?P<QUOTED>`[^`]*(?:``[^`]*)*`)
          | (?P<NUMBER>[0-9]+(?![A-Za-z0-9_$]))
          | (?P<SIGN>[@=,.*();#])
          | (?P<END>\Z)
        )""",
        re.VERBOSE | re.DOTALL | re.ASCII,
    )


_WITH_BACKSLASH, _WITHOUT_BACKSLASH = _lexer(True), _lexer(False)


def tokenize(sql: str, *, backslash_escapes: bool = True, ansi_quotes: bool = False) -> list[Token]:
    """The tokens of ``sql``, closed by one of the kind END.

    Args:
        sql: one statement.
        backslash_escapes: False under the sql_mode NO_BACKSLASH_ESCAPES.
        ansi_quotes: True under ANSI_QUOTES: double quotes hold a name.

    Raises:
        SyntaxRefused: something in it is no token; comments are none.
    """
    lexer = _WITH_BACKSLASH if backslash_escapes else _WITHOUT_BACKSLASH
    tokens: list[Token] = []
    at = 0
    while True:
        found = lexer.match(sql, at)
        if found is None:
            raise SyntaxRefused(f"no token begins at position {at}: {sql[at : at + 20]!r}")
        group = found.lastgroup
        assert group is not None
        start, at = found.span(group)
        text = sql[start:at]
        kind = Kind[group]
        value = text
        if kind is Kind.WORD:
            value = text.upper()
        elif kind is Kind.STRING:
            quote = text[0]
            value = _unquote(text, quote, backslash_escapes)
            if ansi_quotes and quote == '"':
                kind = Kind.QUOTED
        elif kind is Kind.QUOTED:
            value = text[1:-1].replace("``", "`")
        tokens.append(Token(kind, value, text, start, at))
        if kind is Kind.END:
            return tokens


def _unquote(text: str, quote: str, backslash_escapes: bool) -> str:
    inner = text[1:-1]
    if backslash_escapes and "\\" in inner:
        # Both escapes in one pass: what one of them yields must not be read again by the other.
        return re.sub(
            rf"\\(.)|{quote}{quote}",
            lambda found: quote if found[1] is None else _ESCAPED.get(found[1], found[1]),
            inner,
            flags=re.DOTALL,
        )
    return inner.replace(quote * 2, quote)


def literal(value: str, *, backslash_escapes: bool = True) -> str:
    """``value`` as a string literal that ``tokenize`` reads back as the same text."""
    escaped = value.replace("'", "''")
    if backslash_escapes:
        escaped = escaped.replace("\\", "\\\\")
    return f"'{escaped}'"
