"""Verifying the audit trail: every number, every hash, the key of every event, the head, and a head from elsewhere."""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson
from scim_gateway_sql.database import Session

from scim_gateway.provisioned import AuditHead, AuditVerdict, Progress

from .audit import Key
from .audit_reading import Row, rows
from .guard import peek

_MOST_PROBLEMS = 50
_STRIDE = 1000


def verify(
    session: Session,
    tenant: str,
    keys: Sequence[Key],
    expected: AuditHead | None = None,
    progress: Progress | None = None,
) -> AuditVerdict:
    """Walk the chain from the first event to the last.

    :param keys: every key that is there, the one that signs first.
    :param expected: a head from earlier that has to be part of the trail.
    """
    walk = _Walk(tenant, keys, expected)
    total = peek(session, tenant).last
    for row in rows(session, tenant):
        walk.step(row)
        if progress is not None and row.number % _STRIDE == 0:
            progress(row.number, max(total, row.number))
    # Asked behind the rows: what is added meanwhile is told by the head first, and seen by the second look at the rows.
    last = peek(session, tenant).last
    for row in rows(session, tenant, walk.number):
        if row.number > last:
            break
        walk.step(row)
    walk.end(last)
    return AuditVerdict(AuditHead(walk.number, walk.previous.hex()), walk.told(), tuple(walk.notes()))


class _Walk:
    """The way along the chain: what was seen so far, and what is wrong with it."""

    def __init__(self, tenant: str, keys: Sequence[Key], expected: AuditHead | None) -> None:
        self.number = 0
        self.previous = b""
        self._tenant = tenant
        self._keys = {key.name: key for key in keys}
        self._newest = max((key.rank for key in keys), default=0)
        self._expected = expected
        self._met = expected is None
        self._problems: list[str] = []
        self._rank = 0
        self._stretches: list[tuple[int, Key]] = []

    def step(self, row: Row) -> None:
        """Look at the next event."""
        if row.number <= self.number:
            self._problems.append("a row has no number")
            return
        missing = row.number - self.number - 1
        if missing:
            # What the next one followed is not known, so it cannot be verified; those after it can.
            gap = _numbers(self.number + 1, row.number - 1)
            self._problems.append(f"{gap} missing, so event {row.number} cannot be verified")
        else:
            self._look(row)
        if self._expected is not None and row.number == self._expected.number:
            self._met = True
            if not hmac.compare_digest(row.hash.hex(), self._expected.hash):
                self._problems.append(f"event {row.number} is not the one of the head {self._expected}")
        self.number, self.previous = row.number, row.hash

    def end(self, last: int) -> None:
        """Compare with the head that the database tells, and with the one from elsewhere."""
        if last > self.number:
            self._problems.append(f"{_numbers(self.number + 1, last)} missing at the end")
        elif last < self.number:
            self._problems.append(f"the trail goes on to event {self.number}, but its head is event {last}")
        if not self._met and self._expected is not None:
            self._problems.append(
                f"the trail ends with event {self.number}, but there was an event {self._expected.number}: "
                f"{_numbers(self.number + 1, self._expected.number)} cut off"
                if self._expected.number > self.number
                else f"event {self._expected.number} of the head {self._expected} is missing"
            )
        if self._stretches and self._stretches[-1][1].rank < self._newest:
            self._problems.append(
                f"event {self.number} is signed with an older key than the one that is configured: fine if the new key "
                "was set after it, otherwise some process runs without it, or somebody forged the end of the trail"
            )

    def told(self) -> tuple[str, ...]:
        """The problems, not more than somebody will read."""
        more = len(self._problems) - _MOST_PROBLEMS
        return (*self._problems[:_MOST_PROBLEMS], *([f"and {more} more"] if more > 0 else []))

    def notes(self) -> Iterator[str]:
        """Which events are under which key."""
        for index, (first, key) in enumerate(self._stretches):
            end = self._stretches[index + 1][0] - 1 if index + 1 < len(self._stretches) else self.number
            kept = ", which the database keeps: whoever can read it can forge them" if key.rank == 0 else ""
            yield f"{_numbers(first, end)} signed with the key {key.name}{kept}"

    def _look(self, row: Row) -> None:
        content = _content(row)
        name = content.get("key")
        key = self._keys.get(name) if isinstance(name, str) else None
        if key is None:
            what = f"signed with the key {name}, which is not known here" if _is_name(name) else "not readable"
            self._problems.append(f"event {row.number} is {what}")
            return
        if not hmac.compare_digest(key.hash(self.previous or None, row.document), row.hash):
            self._problems.append(f"event {row.number} was changed, or does not follow event {row.number - 1}")
            return
        if (content.get("n"), content.get("tenant")) != (row.number, self._tenant):
            self._problems.append(f"event {row.number} was event {content.get('n')} of {content.get('tenant')}")
        if key.rank < self._rank:
            self._problems.append(f"event {row.number} is signed with an older key than events before it")
        self._rank = max(self._rank, key.rank)
        if not self._stretches or self._stretches[-1][1] is not key:
            self._stretches.append((row.number, key))


def _content(row: Row) -> Mapping[str, Any]:
    try:
        content = orjson.loads(row.document)
    except orjson.JSONDecodeError:
        return {}
    return content if isinstance(content, dict) else {}


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and len(name) == 8 and all(char in "0123456789abcdef" for char in name)


def _numbers(first: int, last: int) -> str:
    return f"event {first} is" if first == last else f"events {first} to {last} are"
