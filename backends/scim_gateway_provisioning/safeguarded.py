"""What a backend with safeguards answers to an operator: pause, approval of removals, audit trail."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from scim_gateway.errors import ScimError
from scim_gateway.provisioned import AuditEvent, AuditHead, AuditVerdict, Progress, Provisioned

from .safeguards import Safeguards


class Safeguarded(Provisioned):
    """The part of :class:`Provisioned` that the safeguards are asked for, and the ear for refusals."""

    safeguards: Safeguards

    def refused(self, error: ScimError) -> None:
        """A change was answered with an error (:meth:`scim_gateway.backend.Backend.refused`)."""
        self.safeguards.refused((), error)

    def pause(self, reason: str) -> None:
        self.safeguards.pause(reason)

    def resume(self) -> None:
        self.safeguards.resume()

    def paused(self) -> str | None:
        return self.safeguards.paused()

    def removals_refused(self) -> str | None:
        return self.safeguards.removals_refused()

    def audit(
        self, *, user: str | None = None, since: datetime | None = None, after: int = 0, limit: int | None = None
    ) -> Iterator[AuditEvent]:
        return self.safeguards.events(user=user, since=since, after=after, limit=limit)

    def verify_audit(self, expected: AuditHead | None = None, progress: Progress | None = None) -> AuditVerdict:
        return self.safeguards.verify(expected, progress)
