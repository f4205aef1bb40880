"""Filters of the API are patterns, in a dialect that nobody names: patterns that every dialect reads alike.

Letters match in both cases, signs match anything, so that no sign has a meaning of its own. What comes back is compared
exactly by the caller; a pattern that lets through too much costs time, nothing else.
"""

from __future__ import annotations

import re

_PIECES = re.compile(r"[A-Za-z]|[0-9@_ ]+|[^\x00-\x7f]+|.", re.DOTALL)


LONGEST = 128
"""More of a text is not compared by the API: the pattern has to fit into an address."""


def pattern_of(text: str) -> str:
    """A regular expression that matches the text in any letter case, and perhaps others."""
    beginning, rest = text[:LONGEST], ".*" if len(text) > LONGEST else ""
    return f"^{''.join(_piece(piece) for piece in _PIECES.findall(beginning))}{rest}$"


def _piece(piece: str) -> str:
    if piece.isascii() and piece.isalpha():
        return f"[{piece.lower()}{piece.upper()}]"
    if not piece.isascii():
        # Some dialects count bytes, some characters; folding may change how many there are.
        return ".*"
    return piece if piece[0].isalnum() or piece[0] in "@_ " else "."
