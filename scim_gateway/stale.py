"""The pause before what became stale is done again: longer each time, and of random length, so that rivals part."""

from __future__ import annotations

import random
import time

_SHORTEST_SECONDS = 0.002
_LONGEST_SECONDS = 0.1


def pause(attempt: int) -> None:
    """Wait after an attempt that ended with :class:`~scim_gateway.errors.StaleResource`.

    :param attempt: its number, from 0; after the first one waits up to 2 ms, and never more than 100 ms.
    """
    time.sleep(random.SystemRandom().uniform(0, min(_SHORTEST_SECONDS * 2**attempt, _LONGEST_SECONDS)))
