"""Patterns of names in settings: ``*`` any text, ``?`` any character; letter case and look-alikes are one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate

from scim_gateway.text import collision_key


class Patterns:
    """Several patterns; a name matches one of them, or none."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self.written = tuple(patterns)
        # A bracket stands for itself: to fnmatch it would begin a set, and the name in the setting would not match.
        keys = [collision_key(pattern).replace("[", "[[]") for pattern in self.written]
        self._compiled = [re.compile(translate(key)) for key in keys]

    def match(self, name: str) -> bool:
        """Whether a name matches one of the patterns, compared by its collision key."""
        key = collision_key(name)
        return any(pattern.match(key) for pattern in self._compiled)

    def __repr__(self) -> str:
        return f"Patterns({', '.join(self.written)})"
