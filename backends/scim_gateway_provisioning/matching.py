"""Which resource of the directory stands under which name in the target, and what is to be said of the rest.

The target's own mark decides; where there is none, the note that provisioning kept. What carries neither is not the
gateway's: it is told, and not touched, unless it is listed for adoption and the directory wants that very name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from scim_gateway.provisioned import Step

from .difference import (
    ACTIVATE,
    ADOPT,
    DEACTIVATE,
    GONE,
    LEFT_OVER,
    MISSING,
    NAME_TAKEN,
    NOT_OURS,
    SECOND,
    UNNOTED,
    Difference,
    Side,
    Wanted,
)
from .target import Kind, Observed


@dataclass(slots=True)
class Matching:
    """Users, or groups, of the directory and of the target brought together.

    :param standing: key in the target by SCIM id, of what is there and managed.
    :param holder: SCIM id by key in the target; the other way round.
    :param blocked: ids of wanted resources that cannot be there now: the name is taken or protected, or they wait.
    :param told: keys of which it was said that they are in the way of a blocked one.
    :param silent: keys of which nothing more is to be said: being changed, or about to be removed.
    """

    target: str
    kind: Kind
    side: Side
    observed: Mapping[bytes, Observed]
    differences: list[Difference] = field(default_factory=list)
    standing: dict[str, bytes] = field(default_factory=dict)
    holder: dict[bytes, str] = field(default_factory=dict)
    blocked: set[str] = field(default_factory=set)
    told: set[bytes] = field(default_factory=set)
    silent: set[bytes] = field(default_factory=set)

    def step(self, action: str, name: str, reason: str, id: str | None = None) -> Step:
        """A line of the plan about one of these."""
        return Step(self.target, action, self.kind, name, reason=reason, id=id)


def match(target: str, kind: Kind, side: Side, observed: Mapping[bytes, Observed], moving: Collection[str]) -> Matching:
    """Bring one kind of resources together, and collect the differences.

    :param moving: ids of which nothing is concluded.
    """
    found = Matching(target, kind, side, observed)
    marked: dict[str, list[bytes]] = {}
    for key, seen in observed.items():
        if seen.owner is not None:
            marked.setdefault(seen.owner, []).append(key)
    absent: list[Wanted] = []
    for wanted in side.wanted.values():
        if wanted.id in moving:
            found.silent.update({wanted.key, *marked.get(wanted.id, ())})
            if wanted.noted is not None:
                found.silent.add(wanted.noted)
            continue
        stands = _stands_as(wanted, observed, marked.get(wanted.id, ()))
        if stands is None or stands in found.holder:
            absent.append(wanted)
        else:
            _take(found, wanted, stands)
            found.differences += _changes(found, wanted, observed[stands])
    # Only now is it known which names the gateway's own hold.
    for wanted in absent:
        found.differences += _absent(found, wanted)
    noted = {key: id for id, key in side.gone.items() if key is not None}
    noted |= {key: id for id, (key, _) in side.unfit.items() if key is not None}
    for key in observed.keys() - found.holder.keys() - found.told - found.silent:
        found.differences += _unmatched(found, key, noted, moving)
    return found


def _stands_as(wanted: Wanted, observed: Mapping[bytes, Observed], marked: Collection[bytes]) -> bytes | None:
    if marked:
        return next((key for key in (wanted.key, wanted.noted) if key in marked), min(marked))
    noted = observed.get(wanted.noted) if wanted.noted is not None else None
    return wanted.noted if noted is not None and noted.owner is None else None


def _take(found: Matching, wanted: Wanted, key: bytes) -> None:
    found.standing[wanted.id] = key
    found.holder[key] = wanted.id


def _changes(found: Matching, wanted: Wanted, seen: Observed) -> Iterator[Difference]:
    key = found.standing[wanted.id]
    stands = seen.name if seen.owner == wanted.id and key != wanted.noted else None
    effects: list[str] = []
    renamed = f"to be called {wanted.name}"
    if wanted.key != key:
        effects.append(renamed)
    elif stands is not None:
        effects.append(UNNOTED)
    if seen.active and not wanted.active:
        effects.append(DEACTIVATE)
    elif wanted.active and seen.active is False and not wanted.waiting:
        effects.append(ACTIVATE)
    for effect in effects:
        if seen.protected is not None:
            step = found.step("protected", seen.name, f"protected: {seen.protected}; {effect}", wanted.id)
            yield Difference(step, effect)
        else:
            cause = "" if effect is UNNOTED else ", changed by hand" if wanted.confirmed else ", pending"
            step = found.step("change", seen.name, f"{effect}{cause}", wanted.id)
            yield Difference(
                step,
                effect,
                wanted.id,
                stands=stands,
                renames=found.kind == "User" and effect is renamed,
                again=effect is DEACTIVATE and seen.shut_out,
                doubtful=effect is ACTIVATE and seen.shut_out and wanted.confirmed,
            )


def _absent(found: Matching, wanted: Wanted) -> Iterator[Difference]:
    """What is to be said of a wanted resource that does not stand in the target; another may stand under its name."""
    other = found.observed.get(wanted.key)
    if other is not None and other.protected is not None:
        found.blocked.add(wanted.id)
        found.told.add(wanted.key)
        reason = f"protected: {other.protected}; the directory has one of this name"
        yield Difference(found.step("protected", other.name, reason, wanted.id), "")
    elif other is not None and other.owner is None and wanted.key not in found.holder:
        if wanted.adoptable:
            _take(found, wanted, wanted.key)
            yield Difference(found.step("change", other.name, ADOPT, wanted.id), ADOPT, wanted.id)
            yield from _changes(found, wanted, other)
        else:
            found.blocked.add(wanted.id)
            found.told.add(wanted.key)
            yield Difference(found.step("unmanaged", other.name, NAME_TAKEN, wanted.id), "")
    elif wanted.waiting:
        found.blocked.add(wanted.id)
    elif wanted.active or wanted.noted is not None or not wanted.settled:
        # One who is inactive and was never made has no rights to lose; a target may choose to drop who is inactive.
        cause = "dropped by hand" if wanted.confirmed else "not made yet"
        yield Difference(found.step("add", wanted.name, f"{MISSING}, {cause}", wanted.id), MISSING, wanted.id)


def _unmatched(
    found: Matching, key: bytes, noted: Mapping[bytes, str], moving: Collection[str]
) -> Iterator[Difference]:
    """What is to be said of something in the target that no wanted resource stands for."""
    seen = found.observed[key]
    owner = seen.owner if seen.owner is not None else noted.get(key)
    if owner in moving:
        found.silent.add(key)
    elif owner is not None and owner in found.side.unfit:
        yield Difference(found.step("protected", seen.name, found.side.unfit[owner][1], owner), "")
    elif seen.protected is not None:
        rest = "" if owner is None else f"; {GONE}"
        yield Difference(found.step("protected", seen.name, f"protected: {seen.protected}{rest}"), "")
    elif owner is None:
        yield Difference(found.step("unmanaged", seen.name, NOT_OURS), "")
    else:
        found.silent.add(key)
        if owner in found.side.wanted:
            yield Difference(found.step("change", seen.name, SECOND, owner), SECOND, owner, stands=seen.name)
        elif owner in found.side.gone:
            yield Difference(found.step("remove", seen.name, GONE, owner), GONE, owner)
        else:
            yield Difference(found.step("remove", seen.name, LEFT_OVER), LEFT_OVER, left_over=owner)
