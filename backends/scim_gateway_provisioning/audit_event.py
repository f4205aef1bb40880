"""What the audit trail tells of a change, a refusal and a result: names of what changed, a few values, no secrets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from scim_gateway.errors import ScimError
from scim_gateway.schema import Resource

CREATE, CHANGE, DELETE, APPLY = "create", "change", "delete", "apply"
ACCEPTED, REFUSED, DONE, PENDING, UNDONE = "accepted", "refused", "done", "pending", "undone"

#: In the detail of a refusal: attempts before it that were only counted.
MORE_BEFORE = "moreBefore"

#: The attributes of which old and new value are told; of all others the name alone.
TOLD = ("active", "displayName", "externalId", "userName")

LONGEST = 200
"""Most characters of a text in an event; what is longer is cut, and ends in ``…``."""

MOST = 500
"""Most members in one event; more make several events."""

_DEEPEST = 5
_UNTOLD = frozenset({"id", "meta", "schemas"})


@dataclass(frozen=True, slots=True)
class Event:
    """One event before it gets its number and time.

    :param action: what was asked for: ``create``, ``change``, ``delete``; ``apply`` for what came of it in the targets;
        or a word of a command, such as ``pause``.
    :param outcome: ``accepted`` (recorded, the targets follow), ``refused``, and of ``apply`` ``done``, ``pending``
        (will be tried again) or ``undone`` (taken back).
    :param kind: resource type, with ``id`` and ``name`` of the resource.
    :param added: ids of members that come.
    :param removed: ids of members that go.
    :param detail: anything else, as JSON without secrets.
    """

    action: str
    outcome: str
    kind: str | None = None
    id: str | None = None
    name: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    added: Sequence[str] = ()
    removed: Sequence[str] = ()

    def parts(self) -> Iterator[Event]:
        """The event, its members moved into ``detail``; several of them if there are more than fit."""
        if not self.added and not self.removed:
            yield self
            return
        moved = [("added", id) for id in self.added] + [("removed", id) for id in self.removed]
        pieces = [moved[start : start + MOST] for start in range(0, len(moved), MOST)]
        for number, piece in enumerate(pieces, 1):
            detail = dict(self.detail)
            for way in ("added", "removed"):
                if ids := [id for where, id in piece if where == way]:
                    detail[way] = ids
            if len(pieces) > 1:
                detail["part"] = f"{number} of {len(pieces)}"
            yield replace(self, detail=detail, added=(), removed=())


def changed(
    kind: str,
    id: str,
    before: Resource | None,
    after: Resource | None,
    outcome: str = ACCEPTED,
    *,
    added: Iterable[str] = (),
    removed: Iterable[str] = (),
) -> Event:
    """A resource that is created (no ``before``), deleted (no ``after``) or changed; it is called as it was before.

    :param added: ids of its members that come; those in ``before`` and ``after`` are not looked at.
    :param removed: ids of its members that go.
    """
    action = CREATE if before is None else DELETE if after is None else CHANGE
    detail: dict[str, Any] = {}
    if after is not None:
        differing = sorted(_differing(before or {}, after))
        values = {path: [(before or {}).get(path), after.get(path)] for path in TOLD if path in differing}
        detail = {name: told for name, told in (("changed", differing), ("values", values)) if told}
    return Event(action, outcome, kind, id, _name(before or after or {}), detail, sorted(added), sorted(removed))


def refused(
    action: str, error: ScimError, *, kind: str | None = None, id: str | None = None, name: str | None = None
) -> Event:
    """A write request that was answered with an error."""
    detail = {"status": error.status, "scimType": error.scim_type, "reason": error.detail}
    return Event(action, REFUSED, kind, id, name, {key: value for key, value in detail.items() if value})


def applied(
    outcome: str, targets: Mapping[str, str], *, kind: str | None = None, id: str | None = None, name: str | None = None
) -> Event:
    """What came of a change in the targets.

    :param targets: by the name of the target a line for the operator, without secrets: ``done``, or what went wrong.
    """
    return Event(APPLY, outcome, kind, id, name, {"targets": dict(targets)})


def text(value: str | None) -> str | None:
    """Text from outside as it may stand in an event: short, and such that it is JSON."""
    if value is None or (len(value) <= LONGEST and value.isascii()):
        return value
    cut = value if len(value) <= LONGEST else f"{value[: LONGEST - 1]}…"
    return cut.encode("utf-8", "replace").decode()


def bounded(value: Any, depth: int = 0) -> Any:
    """A value as JSON that is neither deep nor long."""
    if isinstance(value, str):
        return text(value)
    match value:
        case None | bool() | float():
            return value
        case int() if abs(value) < 2**53:
            return value
        case Mapping() if depth < _DEEPEST:
            return {text(str(key)): bounded(inner, depth + 1) for key, inner in list(value.items())[:MOST]}
        case list() | tuple() if depth < _DEEPEST:
            return [bounded(inner, depth + 1) for inner in value[:MOST]]
    return text(str(value))


def _differing(before: Mapping[str, Any], after: Mapping[str, Any], urn: str = "") -> Iterator[str]:
    """Names of the attributes that differ; those of an extension behind its URN."""
    for name in before.keys() | after.keys():
        if name in _UNTOLD and not urn:
            continue
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if name.lower().startswith("urn:") and not urn:
            yield from _differing(old or {}, new or {}, f"{name}:")
        else:
            yield urn + name


def _name(resource: Resource) -> str | None:
    return next((str(resource[name]) for name in ("userName", "displayName") if resource.get(name)), None)
