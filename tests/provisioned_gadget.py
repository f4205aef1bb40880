"""A backend that says of its targets whatever a test wants it to: what the command line makes of the ability."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from scim_gateway_memory import MemoryBackend

from scim_gateway.actor import current
from scim_gateway.errors import ScimError
from scim_gateway.provisioned import (
    Adoption,
    AuditEvent,
    AuditHead,
    AuditVerdict,
    Pending,
    Plan,
    Progress,
    Provisioned,
    Reconciled,
    Repair,
    Waiting,
)
from scim_gateway.schema import Resource, ResourceTypes

NOTHING = Plan((), "0" * 16)


@dataclass
class Script:
    """What the backend answers, and what it was asked."""

    plan: Plan = NOTHING
    repairs: list[Repair | ScimError] = field(default_factory=list)
    pending: Sequence[Pending] = ()
    waiting: Sequence[Waiting] = ()
    reconciled: Sequence[Reconciled] = ()
    adoptions: Sequence[Adoption] = ()
    paused: str | None = None
    states: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    resources: Sequence[Resource] = ()
    asked: list[tuple[Any, ...]] = field(default_factory=list)

    def ask(self, *what: Any) -> None:
        self.asked.append((*what, current().name))

    def repair(self) -> Repair:
        answer = self.repairs.pop(0)
        if isinstance(answer, ScimError):
            raise answer
        return answer


class ScriptedBackend(MemoryBackend, Provisioned):
    """Keeps a directory in memory; its targets are a script."""

    script = Script()
    targets = ("engine", "portal")

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], resource_types: ResourceTypes) -> Self:
        backend = super().from_settings(settings, resource_types)
        for resource in cls.script.resources:
            backend.handlers[resource["meta"]["resourceType"]].create(resource)
        return backend

    def plan(self, progress: Progress | None = None, *, target: str | None = None) -> Plan:
        self.script.ask("plan", target)
        if progress is not None:
            progress(1, 2)
            progress(2, 2)
        return self.script.plan

    def apply(self, hash: str, progress: Progress | None = None) -> Repair:
        self.script.ask("apply", hash)
        return self.script.repair()

    def reconcile(self, progress: Progress | None = None, *, target: str | None = None) -> Repair:
        self.script.ask("reconcile", target)
        return self.script.repair()

    def reconciled(self) -> Sequence[Reconciled]:
        return self.script.reconciled

    def approve(self, hash: str | None = None, *, minutes: int = 60) -> str:
        self.script.ask("approve", hash, minutes)
        return "approved"

    def pending(self) -> Sequence[Pending]:
        return self.script.pending

    def waiting(self) -> Sequence[Waiting]:
        return self.script.waiting

    def adopt(
        self, target: str, kind: str, names: Collection[str], patterns: Collection[str] = (), *, dry_run: bool = False
    ) -> Sequence[Adoption]:
        self.script.ask("adopt", target, kind, list(names), list(patterns), dry_run)
        return self.script.adoptions

    def adoptions(self, target: str | None = None) -> Sequence[Adoption]:
        self.script.ask("adoptions", target)
        return self.script.adoptions

    def withdraw(self, target: str, kind: str, names: Collection[str]) -> int:
        self.script.ask("withdraw", target, kind, list(names))
        return len(names)

    def pause(self, reason: str) -> None:
        self.script.paused = reason

    def resume(self) -> None:
        self.script.paused = None

    def paused(self) -> str | None:
        return self.script.paused

    def state_of(self, id: str) -> Mapping[str, Mapping[str, Any]]:
        self.script.ask("state_of", id)
        return self.script.states

    def audit(
        self, *, user: str | None = None, since: datetime | None = None, after: int = 0, limit: int | None = None
    ) -> Iterator[AuditEvent]:
        return iter(())

    def verify_audit(self, expected: AuditHead | None = None, progress: Progress | None = None) -> AuditVerdict:
        return AuditVerdict(AuditHead(0, ""))
