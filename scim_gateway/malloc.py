"""How the C library gives out memory in the processes of the server (glibc; others are as they are)."""

from __future__ import annotations

import ctypes
from contextlib import suppress

_M_ARENA_MAX = -8
"""Of malloc.h."""


def share_one_arena() -> None:
    """Let all threads that are started from now on take their memory from one arena.

    By default each gets an arena of its own, so that threads which allocate at once do not wait for each other. Those
    of Python take turns, and what one has freed is of no use to another: some 20 MiB of a process that serves large
    groups.
    """
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
