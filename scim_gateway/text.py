"""How text is compared: one folding for caseExact=false, one key for uniqueness (RFC 7643 §2.2, §4.1.1)."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from functools import lru_cache

_DATE_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,30}))?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)
_LONGEST_KEPT = 256
_LENGTH_STORED = len("2011-05-13T04:42:34.000Z")
_LONGEST_DATE_TIME = len("2011-05-13T04:42:34.+00:00") + 30


def fold(text: str) -> str:
    """The form in which two texts are equal when ``caseExact`` is false.

    Case and width are mapped and the result is composed, as PRECIS asks of a user name (RFC 8265 §3.3.2).
    Accents stay significant: no store's collation decides who is who.
    """
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def collision_key(text: str) -> str:
    """The key under which a unique value is held: what shares a key is the same name.

    On top of :func:`fold`, blanks at the ends and invisible format characters (Unicode category Cf, such as
    the zero-width space) do not tell two names apart.
    """
    return _kept_key(text) if len(text) <= _LONGEST_KEPT else _key(text)


def _key(text: str) -> str:
    if not text.isascii():
        text = "".join(char for char in text if unicodedata.category(char) != "Cf")
    return fold(text).strip()


# Of the longest that are kept, so many are 10 MB with their keys; longer texts are no names, and as many as one likes.
_kept_key = lru_cache(maxsize=4096)(_key)


def instant(text: str) -> str | None:
    """The comparable form of an ``xsd:dateTime``, or ``None`` if the text is none (RFC 7643 §2.3.5).

    It is the form in which ``meta`` is stored, ``2011-05-13T04:42:34.000Z``, and its order as text is the order in
    time: digits finer than a millisecond follow the ``Z``. Without an offset the time is UTC.
    """
    return _instant(text) if len(text) <= _LONGEST_DATE_TIME else None


# A time is stored, indexed and compared: each of them asks for the same text.
@lru_cache(maxsize=1024)
def _instant(text: str) -> str | None:
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        return None
    date, time, fraction, offset = match.groups()
    try:
        if len(text) == _LENGTH_STORED and text[10] == "T" and text[19] == "." and offset == "Z":
            datetime.fromisoformat(text)  # whether there is such a day
            return text
        moment = datetime.fromisoformat(f"{date}T{time}{(offset or 'Z').upper()}").astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None
    digits = (fraction or "").ljust(3, "0")
    return f"{moment.isoformat()}.{digits[:3]}Z{digits[3:].rstrip('0')}"


def shown(text: str, limit: int = 40) -> str:
    """A piece of a client's text that may stand in an error or a log line: quoted, short, one line, printable."""
    piece = text[:limit] + ("…" if len(text) > limit else "")
    return '"' + "".join(char if char.isprintable() and char != '"' else "?" for char in piece) + '"'


def printable(text: str, limit: int = 80) -> str:
    """A name out of a request as it may stand in a path, an error or a log line: short, one line, printable."""
    piece = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text[:limit])
    return piece if len(text) <= limit else f"{piece}…"
