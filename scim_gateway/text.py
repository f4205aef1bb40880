"""How text is compared: one folding for caseExact=false, one key for uniqueness (RFC 7643 §2.2, §4.1.1)."""

from __future__ import annotations

import unicodedata
from functools import lru_cache


def fold(text: str) -> str:
    """The form in which two texts are equal when ``caseExact`` is false.

    Case and width are mapped and the result is composed, as PRECIS asks of a user name (RFC 8265 §3.3.2).
    Accents stay significant: no store's collation decides who is who.
    """
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


@lru_cache(maxsize=4096)
def collision_key(text: str) -> str:
    """The key under which a unique value is held: what shares a key is the same name.

    On top of :func:`fold`, blanks at the ends and invisible format characters (Unicode category Cf, such as
    the zero-width space) do not tell two names apart.
    """
    if not text.isascii():
        text = "".join(char for char in text if unicodedata.category(char) != "Cf")
    return fold(text).strip()
