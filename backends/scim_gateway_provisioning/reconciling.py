"""What a backend with targets answers to an operator: plans, adoption, pending work."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from scim_gateway.errors import InvalidValue, NotFound
from scim_gateway.provisioned import Adoption, Pending, Plan, Progress, Provisioned, Reconciled, Repair, Waiting

from . import adoption, standing
from .audit_event import DONE, MOST, Event
from .comparison import read
from .context import Context
from .reconcile import Reconciler
from .safeguards import Safeguards
from .target import Kind, Target
from .work import batches


class Reconciling(Provisioned):
    """The part of :class:`Provisioned` that whole targets and their state are asked for."""

    context: Context
    safeguards: Safeguards
    reconciler: Reconciler

    def plan(self, progress: Progress | None = None, *, target: str | None = None) -> Plan:
        return self.reconciler.plan(progress, target=target)

    def apply(self, hash: str, progress: Progress | None = None) -> Repair:
        repair = self.reconciler.apply(hash, progress)
        self._told("apply plan", {"plan": hash, "done": repair.done, "left": len(repair.left.to_do)})
        return repair

    def reconcile(self, progress: Progress | None = None, *, target: str | None = None) -> Repair:
        return self.reconciler.reconcile(progress, target=target)

    def reconciled(self) -> Sequence[Reconciled]:
        return self.reconciler.latest()

    def approve(self, hash: str | None = None, *, minutes: int = 60) -> str:
        if hash is None:
            return self.safeguards.approve(minutes)
        said = self.reconciler.approve(hash, minutes)
        self._told("approve plan", {"plan": hash, "minutes": minutes})
        return said

    def pending(self) -> Sequence[Pending]:
        return standing.pending(self.context)

    def waiting(self) -> Sequence[Waiting]:
        return standing.waiting(self.context)

    def state_of(self, id: str) -> Mapping[str, Mapping[str, Any]]:
        return standing.state_of(self.context, id)

    def adopt(
        self, target: str, kind: str, names: Collection[str], patterns: Collection[str] = (), *, dry_run: bool = False
    ) -> Sequence[Adoption]:
        one, of_kind = self._target(target), _kind(kind)
        seen = read(self.context, one)
        answers = adoption.adopt(self.context, one, seen, of_kind, names, patterns, dry_run=dry_run)
        listed = [answer.name for answer in answers if answer.state in adoption.ON_THE_LIST]
        if listed and not dry_run:
            self._told("allow adoption", {"target": target, "kind": kind}, listed)
        return answers

    def adoptions(self, target: str | None = None) -> Sequence[Adoption]:
        targets = [self._target(target)] if target is not None else list(self.context.targets.values())
        return list(adoption.listed(self.context, targets))

    def withdraw(self, target: str, kind: str, names: Collection[str]) -> int:
        count = adoption.withdraw(self.context, self._target(target), _kind(kind), names)
        if count:
            self._told("withdraw adoption", {"target": target, "kind": kind}, names)
        return count

    def _target(self, name: str) -> Target:
        if name not in self.context.targets:
            raise NotFound(f"There is no target {name!r}; there are: {', '.join(self.context.targets)}.")
        return self.context.targets[name]

    def _told(self, action: str, detail: Mapping[str, Any], names: Collection[str] = ()) -> None:
        details = [{**detail, "names": batch} for batch in batches(names, MOST)] or [dict(detail)]
        events = [Event(action, DONE, detail=each) for each in details]
        self.context.database.run(lambda session: self.safeguards.note(session, events))


def _kind(kind: str) -> Kind:
    match kind:
        case "User":
            return "User"
        case "Group":
            return "Group"
    raise InvalidValue(f"{kind!r} is neither User nor Group.")
