"""The last statements of a change: is there a pause, are there too many removals, and its events are recorded."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from scim_gateway_sql.database import Database, Session

from scim_gateway.errors import Unavailable

from . import guard as guards
from . import pause
from .audit import Keyring, Trail, split
from .audit_event import Event
from .breaker import Breaker, Limits, Removal
from .guard import Guard

_log = logging.getLogger("scim_gateway.audit")


class Journal:
    """What becomes of the events of one tenant.

    :param audit_keys: the setting ``audit_key``, newest first.
    """

    def __init__(self, tenant: str, audit_keys: Sequence[str] = (), limits: Limits = Limits()) -> None:  # noqa: B008
        self.trail = Trail(tenant, Keyring(tenant, audit_keys))
        self.breaker = Breaker(tenant, limits)
        self._tenant = tenant

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], tenant: str) -> Self:
        """By the names of :mod:`scim_gateway.config`."""
        limits = Limits(settings["breaker_removals"], settings["breaker_share"], settings["breaker_minutes"])
        return cls(tenant, settings["audit_key"], limits)

    def prepare(self, session: Session) -> None:
        """Make what has to be there before the first event; in the write in which a process starts."""
        guards.prepare(session, self._tenant)
        self.trail.keyring.prepare(session)

    def change(self, session: Session, events: Sequence[Event], removals: Sequence[Removal] = ()) -> None:
        """Record a change that somebody asked for; the last call of its transaction, which ends soon after.

        :param events: at least one.
        :param removals: what the change takes away.
        :raises Paused: no changes are accepted now.
        :raises BreakerOpen: there were too many removals lately.
        """
        described = split(events)
        guard = guards.lock(session, self._tenant, len(described))
        pause.refuse(guard)
        self.breaker.admit(session, guard, removals)
        self.trail.append(session, guard, described)

    def note(self, session: Session, events: Sequence[Event]) -> None:
        """Record what came of a change, or what the gateway or an operator did; also in a pause.

        :param events: at least one.
        """
        described = split(events)
        self.trail.append(session, guards.lock(session, self._tenant, len(described)), described)

    def refused(self, database: Database, event: Event) -> None:
        """Record a refusal in a transaction of its own, after the one that came to nothing.

        The answer that is on its way is more important: what cannot be recorded is logged.
        """
        try:
            with database.operation(write=True) as session:
                self.note(session, [event])
        except Unavailable as error:
            _log.warning("a refusal could not be recorded in the audit trail: %s", error.detail)

    def pause(self, session: Session, reason: str) -> None:
        """Accept no changes from now on."""
        self._by_operator(session, lambda guard: pause.begin(session, guard, reason))

    def resume(self, session: Session) -> None:
        """Accept changes again."""
        self._by_operator(session, lambda guard: pause.end(session, guard))

    def approve(self, session: Session, minutes: int) -> None:
        """Let removals beyond the limit through for a while."""
        self._by_operator(session, lambda guard: self.breaker.approve(session, guard, minutes))

    def _by_operator(self, session: Session, action: Callable[[Guard], Event]) -> None:
        guard = guards.lock(session, self._tenant, 1)
        self.trail.append(session, guard, split([action(guard)]))
