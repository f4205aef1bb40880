"""What stands behind every change: is there a pause, are there too many removals, and the audit trail records it."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Self

from scim_gateway_sql.database import Database, Session

from scim_gateway.actor import Acting, Actor, current
from scim_gateway.backend import Finding
from scim_gateway.errors import InsufficientScope, ScimError, Unavailable
from scim_gateway.provisioned import AuditEvent, AuditHead, AuditVerdict, Progress

from . import guard as guards
from . import pause
from .audit import Keyring, Trail, split
from .audit_event import ACCEPTED, DONE, MORE_BEFORE, PENDING, REFUSED, UNDONE, Event, applied, changed, refused
from .audit_reading import read
from .audit_verify import verify
from .breaker import USUAL_LIMITS, Breaker, Limits, Removal, is_approved, removals_of
from .defects import DefectsLogged
from .guard import Guard
from .journal import Change, Journal, Result
from .unscoped import Unscoped

_log = logging.getLogger("scim_gateway.audit")

_REMEMBERED = 10_000


class Safeguards(Journal):
    """Audit trail, pause and circuit breaker of one tenant.

    :param audit_keys: the setting ``audit_key``, newest first.
    """

    def __init__(
        self,
        database: Database,
        tenant: str,
        audit_keys: Sequence[str] = (),
        limits: Limits = USUAL_LIMITS,
    ) -> None:
        self.breaker = Breaker(tenant, limits)
        self._database = database
        self._tenant = tenant
        self._keyring = Keyring(tenant, audit_keys)
        self._trail = Trail(tenant, self._keyring)
        self._pending = _Remembered()
        self._unscoped = Unscoped()

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], database: Database, tenant: str) -> Self:
        """By the names of :mod:`scim_gateway.config`."""
        limits = Limits(settings["breaker_removals"], settings["breaker_share"], settings["breaker_minutes"])
        return cls(database, tenant, settings["audit_key"], limits)

    # The journal of provisioning

    def recorded(self, session: Session, changes: Sequence[Change], *, undone: bool = False) -> None:
        """Refuse changes in a pause, or those that take away too much; otherwise record them.

        :raises Paused: no changes are accepted now.
        :raises BreakerOpen: there were too many removals lately.
        """
        described = split(_event(change, UNDONE if undone else ACCEPTED) for change in changes)
        if not described:
            return
        guard = guards.lock(session, self._tenant, len(described))
        if not undone:
            pause.refuse(guard)
            self.breaker.admit(session, guard, list(_removals(changes)))
        self._trail.append(session, guard, described)

    def named(self, session: Session, *, revoking: bool) -> None:
        """In a pause nothing is given that was asked for before.

        :raises Paused: no changes are accepted now.
        """
        reason = None if revoking else pause.reason(session, self._tenant)
        if reason is not None:
            raise pause.Paused(reason)

    def marked(self, session: Session, results: Sequence[Result]) -> None:
        """Record what came of changes in the targets; the same trouble with the same resource once."""
        news = [result for result in results if self._pending.is_news(result)]
        by_resource: dict[tuple[str, str], list[Result]] = {}
        for result in news:
            by_resource.setdefault((result.kind, result.id), []).append(result)
        self.note(session, [_outcome(kind, id, found) for (kind, id), found in by_resource.items()])
        # Not before: what is undone, and done again, is news still.
        session.afterwards.append(lambda: self._pending.tell(news))

    def goes_on(self, *, revoking: bool) -> bool:
        """Whether pending work goes on: in a pause only what takes rights away."""
        return revoking or pause.goes_on(self.paused(), revoking=revoking)

    def refused(self, changes: Sequence[Change], error: ScimError) -> None:
        """Record a refusal in a transaction of its own; each error once, whoever else tells of it.

        The answer that is on its way is more important: what cannot be recorded is logged.
        """
        if vars(error).setdefault("_audited", False):
            return
        vars(error)["_audited"] = True
        actor = current()
        counted = self._unscoped.recorded(actor.name) if isinstance(error, InsufficientScope) else 0
        if counted is None:
            return
        event = refused(actor.action or "change", error, kind=actor.kind, id=actor.id)
        if changes:
            tried = _event(changes[0], ACCEPTED)
            event = refused(actor.action or tried.action, error, kind=tried.kind, id=tried.id, name=tried.name)
        self._record(replace(event, detail={**event.detail, MORE_BEFORE: counted}) if counted else event)

    def close(self) -> None:
        """Record how many attempts were only counted until now."""
        for name, counted in self._unscoped.left_out().items():
            with Acting(Actor(name)):
                self._record(Event("change", REFUSED, detail={"status": 403, MORE_BEFORE: counted}))

    def _record(self, event: Event) -> None:
        with DefectsLogged(_log, "a refusal could not be recorded in the audit trail"):
            try:
                self._database.run(lambda session: self.note(session, [event]))
            except Unavailable as trouble:
                _log.warning("a refusal could not be recorded in the audit trail: %s", trouble.detail)

    # For operators, and for other work of the gateway

    def note(self, session: Session, events: Iterable[Event]) -> None:
        """Record what the gateway or an operator did; the last statements of a transaction, also in a pause."""
        described = split(events)
        if described:
            self._trail.append(session, guards.lock(session, self._tenant, len(described)), described)

    def pause(self, reason: str) -> None:
        """Accept no changes from now on."""
        self._by_operator(lambda session, guard: pause.begin(session, guard, reason))

    def resume(self) -> None:
        """Accept changes again."""
        self._by_operator(pause.end)

    def approve(self, minutes: int) -> str:
        """Let removals beyond the limit through for a while; says what was done."""
        self._by_operator(lambda session, guard: self.breaker.approve(session, guard, minutes))
        return f"Removals are let through for {minutes} minutes, however many they are; then counting begins again."

    def paused(self) -> str | None:
        """The reason of the pause, if there is one."""
        with self._database.session() as session:
            return pause.reason(session, self._tenant)

    def removals_refused(self) -> str | None:
        """Why the circuit breaker refuses each further removal at present, if it does."""
        with self._database.session() as session:
            return self.breaker.refusing(session)

    def findings(self) -> Iterator[Finding]:
        """How they stand, for ``scim-gateway check``."""
        with self._database.session() as session:
            state = guards.peek(session, self._tenant)
            counted = self.breaker.counts(session)
            refusing = self.breaker.refusing(session)
        advice = "with SCIM_GATEWAY_AUDIT_KEY a thief of the database cannot forge it"
        yield Finding("audit trail", True, f"{state.last} events", "" if self._keyring.is_configured else advice)
        if state.paused is not None:
            yield Finding("pause", False, f"no changes are accepted: {state.paused}", "scim-gateway resume")
        limits = self.breaker.limits
        if not limits.removals:
            yield Finding("circuit breaker", True, "switched off: any number of removals is let through")
            return
        if refusing is not None:
            remedy = "look at scim-gateway audit --since 1h; if that is intended: scim-gateway approve"
            yield Finding("circuit breaker", False, refusing, remedy)
            return
        window = f"within {limits.minutes} minutes"
        shown = f"{' and '.join(f'{count} {side}' for side, count in counted.items())} removed {window}"
        if is_approved(state):
            shown = "all removals are let through: somebody approved them"
        yield Finding("circuit breaker", True, f"{shown}; the limit is {limits.removals}, or {limits.share} % of all")

    def events(
        self, *, user: str | None = None, since: datetime | None = None, after: int = 0, limit: int | None = None
    ) -> Iterator[AuditEvent]:
        """See :meth:`scim_gateway.provisioned.Provisioned.audit`."""
        with self._database.session() as session:
            yield from read(session, self._tenant, user=user, since=since, after=after, limit=limit)

    def verify(self, expected: AuditHead | None = None, progress: Progress | None = None) -> AuditVerdict:
        """See :meth:`scim_gateway.provisioned.Provisioned.verify_audit`."""
        with self._database.session() as session:
            return verify(session, self._tenant, self._keyring.known(session), expected, progress)

    def anchor(self) -> None:
        """Write the head of the trail to the log if it is new; to be called now and then."""
        with self._database.session() as session:
            self._trail.anchor_newest(session)

    def _by_operator(self, action: Callable[[Session, Guard], Event]) -> None:
        def work(session: Session) -> None:
            guard = guards.lock(session, self._tenant, 1)
            self._trail.append(session, guard, split([action(session, guard)]))

        self._database.run(work)


class _Remembered:
    """What was told of pending resources: a target that is down for a day is one event, not one for every attempt."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._errors: OrderedDict[tuple[str, str], str | None] = OrderedDict()

    def is_news(self, result: Result) -> bool:
        """Whether that was not told yet; ``done`` always is."""
        key = (result.target, result.id)
        with self._lock:
            return result.outcome == DONE or key not in self._errors or self._errors[key] != result.error

    def tell(self, news: Iterable[Result]) -> None:
        """Remember what was recorded, which is committed by now."""
        with self._lock:
            for result in news:
                self._errors.pop((result.target, result.id), None)
                if result.outcome != DONE:
                    self._errors[result.target, result.id] = result.error
            while len(self._errors) > _REMEMBERED:
                self._errors.popitem(last=False)


def _event(change: Change, outcome: str) -> Event:
    return changed(
        change.kind, change.id, change.before, change.after, outcome, added=change.added, removed=change.removed
    )


def _removals(changes: Sequence[Change]) -> Iterator[Removal]:
    gone = {change.id for change in changes if change.after is None}
    for change in changes:
        if change.before is not None:
            # Memberships of somebody who is deleted go with him, and are not counted one by one.
            left = change.removed - gone
            yield from removals_of(change.kind, change.before, change.after, left, uprooted=change.uprooted)


def _outcome(kind: str, id: str, results: Sequence[Result]) -> Event:
    pending = any(result.outcome == PENDING for result in results)
    targets = {
        result.target: f"{result.outcome}: {result.error}" if result.error else result.outcome for result in results
    }
    return applied(PENDING if pending else DONE, targets, kind=kind, id=id)
