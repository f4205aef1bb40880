"""What the background thread does: the retry, the comparison of whole against whole, the anchor of the audit trail."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from scim_gateway.errors import Conflict

from . import latest
from .context import Context
from .reconcile import Reconciler
from .retry import retry_due
from .safeguards import Safeguards
from .worker import Alive, Chore

_log = logging.getLogger("scim_gateway.provisioning")

_LOOK_SECONDS = 30.0
_ANCHOR_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Periodic:
    """When whole is compared against whole.

    :param minutes: between two comparisons; 0: never by itself.
    :param repair: whether differences that need nobody's approval are mended.
    """

    minutes: int = 0
    repair: bool = True


def chores(context: Context, reconciler: Reconciler, safeguards: Safeguards, periodic: Periodic) -> list[Chore]:
    """What is to be done, how often."""

    def retry(alive: Alive) -> None:
        retry_due(context, alive)

    def compare(alive: Alive) -> None:
        for target in context.targets:
            with context.database.session() as session:
                age = latest.age(session, context.tenant, target)
            if not alive() or (age is not None and age < 60 * periodic.minutes):
                continue
            try:
                if periodic.repair:
                    reconciler.reconcile(target=target, patience=0)
                else:
                    reconciler.plan(target=target)
            except Conflict as error:
                _log.info("%s is not compared now: %s", target, error.detail)

    def anchor(_alive: Alive) -> None:
        safeguards.anchor()

    found = [Chore("retry", 0.0, retry), Chore("anchor", _ANCHOR_SECONDS, anchor)]
    if periodic.minutes:
        found.append(Chore("reconcile", _LOOK_SECONDS, compare))
    return found
