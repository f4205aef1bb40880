"""What the background thread does: the retry, the anchor of the audit trail."""

from __future__ import annotations

from .context import Context
from .retry import retry_due
from .safeguards import Safeguards
from .worker import Alive, Chore

_ANCHOR_SECONDS = 60.0


def chores(context: Context, safeguards: Safeguards) -> list[Chore]:
    """What is to be done, how often."""

    def retry(alive: Alive) -> None:
        retry_due(context, alive)

    def anchor(_alive: Alive) -> None:
        safeguards.anchor()

    return [Chore("retry", 0.0, retry), Chore("anchor", _ANCHOR_SECONDS, anchor)]
