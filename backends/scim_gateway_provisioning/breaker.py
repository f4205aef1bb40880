"""The circuit breaker: too many removals within a while are refused until an administrator approves them.

What counts is what somebody loses: users deactivated, deleted or given another name in a target, groups deleted or not
wanted there any more on one side; memberships taken away on the other. Each side has a limit of its own. What follows
from a counted removal (the memberships of a deleted user) is not counted again, and neither is the same removal when it
is asked for again.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scim_gateway_sql.database import Session
from scim_gateway_sql.portable import instant
from scim_gateway_sql.prepared import Prepared, batches
from scim_gateway_sql.tables import members, resources
from sqlalchemy import Select, and_, bindparam, delete, func, insert, select, update

from scim_gateway.errors import Forbidden
from scim_gateway.schema import Resource

from .audit_event import DONE, Event
from .guard import Guard, Peek, peek, removals, set_approval

_security = logging.getLogger("scim_gateway.security")

INACTIVE, DELETED, UPROOTED, MEMBERSHIP = "inactive", "deleted", "uprooted", "membership"
#: What is counted together, under the name by which people know it.
_SIDES = {"users and groups": (INACTIVE, DELETED, UPROOTED), "memberships": (MEMBERSHIP,)}
_GONE = frozenset({DELETED, MEMBERSHIP})
_MINUTE = 60_000

LONGEST_APPROVAL = 1440
"""Most minutes for which removals can be approved."""
_COUNTED = ("User", "Group")
_LIMIT_SECONDS = 60.0
_STALE_AT_ONCE = 50

_OF_TENANT = removals.c.tenant == bindparam("tenant_")
_COUNT = Prepared(
    select(removals.c.removal_kind, func.count())
    .where(_OF_TENANT, removals.c.recorded_ms > bindparam("since_"), removals.c.recorded_ms <= bindparam("now_"))
    .group_by(removals.c.removal_kind)
)
_KNOWN = Prepared(
    select(removals.c.removal_key, removals.c.recorded_ms).where(
        _OF_TENANT, removals.c.removal_key.in_(bindparam("keys_", expanding=True))
    ),
    "keys_",
)
_ADD = Prepared(insert(removals))
_HERE = and_(_OF_TENANT, removals.c.removal_key == bindparam("key_"))
_AGAIN = Prepared(update(removals).where(_HERE).values(recorded_ms=bindparam("now_")))
_STALE = Prepared(
    select(removals.c.removal_key)
    .where(_OF_TENANT, removals.c.recorded_ms <= bindparam("since_"))
    .limit(bindparam("most_"))
)
_FORGET = Prepared(delete(removals).where(_HERE))
_THERE: Mapping[str, Select[Any]] = {
    "users and groups": select(func.count())
    .select_from(resources)
    .where(
        resources.c.tenant == bindparam("tenant_"),
        resources.c.kind.in_(_COUNTED),
        # What was made within the window raises no limit: whoever makes enough could remove everything else.
        resources.c.created <= bindparam("before_"),
    ),
    "memberships": select(func.count()).select_from(members).where(members.c.tenant == bindparam("tenant_")),
}


@dataclass(frozen=True, slots=True)
class Removal:
    """Something that somebody loses.

    :param kind: ``inactive``, ``deleted``, ``uprooted`` or ``membership``.
    :param key: the same for the same loss, whenever and however it is asked for.
    """

    kind: str
    key: str


@dataclass(frozen=True, slots=True)
class Limits:
    """The settings of the breaker.

    :param removals: so many are always let through (``breaker_removals``); 0 switches the breaker off.
    :param share: as many per cent of what there is are let through (``breaker_share``).
    :param minutes: length of the window in which they are counted (``breaker_minutes``).
    """

    removals: int = 50
    share: int = 10
    minutes: int = 60

    def of(self, total: int) -> int:
        """How many removals are let through, of so many users and groups (or memberships)."""
        return max(self.removals, total * self.share // 100)

    def explained(self, total: int, what: str) -> str:
        """Where the limit comes from."""
        by_share = total * self.share // 100
        return f"{self.share} % of {total} {what}" if by_share > self.removals else "breaker_removals"


USUAL_LIMITS = Limits()


class BreakerOpen(Forbidden):
    """More removals than the breaker lets through."""


class Breaker:
    """Counts the removals of one tenant, and refuses those beyond the limit."""

    def __init__(self, tenant: str, limits: Limits) -> None:
        self.limits = limits
        self._tenant = tenant
        self._at = {"tenant_": tenant}
        self._remembered: dict[str, tuple[float, int]] = {}

    def admit(self, session: Session, guard: Guard, wanted: Sequence[Removal]) -> None:
        """Count removals, if so many may be.

        :param guard: locked, so that nobody else counts before the transaction has ended.
        :raises BreakerOpen: they would be too many; nothing was counted.
        """
        if not self.limits.removals or not wanted or is_approved(guard):
            return
        since = self._since(guard)
        fresh = {removal.key: removal for removal in wanted}
        known = self._known(session, fresh)
        counting = [removal for key, removal in fresh.items() if not since < known.get(key, since) <= guard.now]
        counted = self._counted(session, since, guard.now)
        more = Counter(removal.kind for removal in counting)
        for side in _SIDES:
            self._check(session, side, counted, more, guard.now - self.limits.minutes * _MINUTE)
        self._remember(session, guard.now, counting, known)
        self._forget(session, since, 2 * len(counting))

    def approve(self, session: Session, guard: Guard, minutes: int) -> Event:
        """Let all removals through for a while, and count from the beginning then; the event to record."""
        minutes = min(minutes, LONGEST_APPROVAL)
        set_approval(session, self._tenant, guard.now + minutes * _MINUTE)
        _security.warning("removals beyond the limit are approved for %d minutes", minutes, extra={"told": True})
        return Event("approve", DONE, detail={"minutes": minutes})

    def counts(self, session: Session) -> Mapping[str, int]:
        """How many removals of users and groups, and of memberships, count at present."""
        now = peek(session, self._tenant)
        counted = self._counted(session, self._since(now), now.now)
        return {side: _on(side, counted) for side in _SIDES}

    def refusing(self, session: Session) -> str | None:
        """Why each further removal (of users and groups, of memberships or of both) is refused, or ``None``."""
        now = peek(session, self._tenant)
        if not self.limits.removals or is_approved(now):
            return None
        counted = self._counted(session, self._since(now), now.now)
        full = []
        for side in _SIDES:
            # The limit is never less than this number, and the rest costs a count of everything.
            if (count := _on(side, counted)) >= self.limits.removals:
                total = self._total(session, side, counted, now.now - self.limits.minutes * _MINUTE)
                limit = self.limits.of(total)
                if count >= limit:
                    full.append(f"{count} {side} (limit {limit}: {self.limits.explained(total, side)})")
        if not full:
            return None
        return f"{' and '.join(full)} removed within {self.limits.minutes} minutes: every further removal is refused"

    def staged(
        self, count: int, total: int, what: str = "users, groups and memberships", verb: str = "removes"
    ) -> str | None:
        """Why a plan has to be approved, or ``None``.

        :param count: how much it removes.
        :param total: how much there is of the same.
        :param verb: what it does to them.
        """
        limit = self.limits.of(total)
        if not self.limits.removals or count <= limit:
            return None
        return (
            f"The plan {verb} {count} of {total} {what}; without an approval it may remove {limit} "
            f"({self.limits.explained(total, what)})."
        )

    def _check(self, session: Session, side: str, counted: Counter[str], more: Counter[str], begin: int) -> None:
        before, now = _on(side, counted), _on(side, more)
        if not now or before + now <= self._remembered_limit(side):
            return
        # What is let through is so by a limit of the last minute, what is refused is refused by a fresh one.
        total = self._total(session, side, counted + more, begin)
        limit = self.limits.of(total)
        self._remembered[side] = (time.monotonic(), limit)
        if before + now <= limit:
            return
        _security.warning(
            "circuit breaker: removal of %d %s refused after %d within %d minutes, limit %d",
            *(now, side, before, self.limits.minutes, limit),
        )
        verb = "removed or given another name" if counted[UPROOTED] + more[UPROOTED] else "removed"
        raise BreakerOpen(
            f"The circuit breaker refused this request, and nothing was changed: with it, {before + now} {side} "
            f"would have been {verb} within {self.limits.minutes} minutes, and the limit is {limit} "
            f"({self.limits.explained(total, side)}). If so many removals are intended, an administrator of the "
            "gateway lets them through with: scim-gateway approve"
        )

    def _total(self, session: Session, side: str, counted: Counter[str], begin: int) -> int:
        """What the share is of: what was there when the window began and is still, and what is gone since."""
        before_window = instant(begin).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        there = int(session.execute(_THERE[side], {**self._at, "before_": before_window}).scalar_one())
        return there + sum(counted[kind] for kind in _SIDES[side] if kind in _GONE)

    def _remembered_limit(self, side: str) -> int:
        at, limit = self._remembered.get(side, (0.0, 0))
        return limit if time.monotonic() - at < _LIMIT_SECONDS else self.limits.removals

    def _since(self, guard: Guard | Peek) -> int:
        """Removals behind this time count: those of the window, but none before an approval that is over."""
        begin = guard.now - self.limits.minutes * _MINUTE
        return max(begin, guard.approved_until) if guard.approved_until <= guard.now else begin

    def _counted(self, session: Session, since: int, now: int) -> Counter[str]:
        rows = _COUNT.rows(session, {**self._at, "since_": since, "now_": now})
        return Counter({str(kind): int(count) for kind, count in rows})

    def _known(self, session: Session, keys: Collection[str]) -> dict[str, int]:
        found: dict[str, int] = {}
        for batch in batches(keys):
            rows = _KNOWN.rows(session, {**self._at, "keys_": batch})
            found.update((str(key), int(recorded)) for key, recorded in rows)
        return found

    def _remember(self, session: Session, now: int, counting: Sequence[Removal], known: Mapping[str, int]) -> None:
        new = [removal for removal in counting if removal.key not in known]
        if new:
            row = {"tenant": self._tenant, "recorded_ms": now}
            rows = [{**row, "removal_key": removal.key, "removal_kind": removal.kind} for removal in new]
            _ADD.each(session, rows)
        again = [{**self._at, "key_": removal.key, "now_": now} for removal in counting if removal.key in known]
        if again:
            _AGAIN.each(session, again)

    def _forget(self, session: Session, since: int, most: int) -> None:
        """Delete some of what counts no more, by full keys; a few more than are added each time."""
        stale = _STALE.rows(session, {**self._at, "since_": since, "most_": most + _STALE_AT_ONCE})
        if stale:
            _FORGET.each(session, [{**self._at, "key_": key} for key in sorted(key for (key,) in stale)])


def is_approved(guard: Guard | Peek) -> bool:
    """Whether removals are let through; not by an approval that a clock gave which was wrong at that time."""
    return guard.now < guard.approved_until <= guard.now + LONGEST_APPROVAL * _MINUTE


def _on(side: str, counts: Counter[str]) -> int:
    return sum(counts[kind] for kind in _SIDES[side])


def removals_of(
    kind: str, before: Resource, after: Resource | None, removed: Iterable[str] = (), *, uprooted: bool = False
) -> list[Removal]:
    """What a change takes away; of what no target knows nothing is counted.

    :param kind: resource type.
    :param after: ``None`` if the resource is deleted; its members go with it, and are not counted one by one.
    :param removed: ids of members that go.
    :param uprooted: a target takes away the name by which a user logs in, or a group that the directory keeps.
    """
    id = before["id"]
    if kind not in _COUNTED:
        return []
    if after is None:
        return [Removal(DELETED, f"{kind}:{id}")]
    lost = [Removal(MEMBERSHIP, f"{id}:{member}") for member in sorted(removed)]
    if before.get("active", True) is not False and after.get("active", True) is False:
        lost.append(Removal(INACTIVE, f"{kind}:{id}"))
    elif uprooted:
        lost.append(Removal(UPROOTED, f"{kind}:{id}"))
    return lost
