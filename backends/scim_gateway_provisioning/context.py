"""What all steps of provisioning share: the directory, the targets, the choices of the operator, the neighbours."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from scim_gateway_sql import SqlBackend
from scim_gateway_sql.database import Database

from .failpoints import Failpoints
from .health import Health
from .journal import Adoption, Journal
from .target import Target


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds; the defaults leave an identity provider that waits for a minute enough time.

    :param request: after so long no new step begins, and the request is answered.
    :param retry: for so long an unreachable target is tried again inside a request.
    :param pause: longest pause between two tries; each is a random part of it that grows from ``first_pause``.
    :param grace: so much longer the other targets get, when a change has to be taken back in them.
    :param claim: how long a claim holds without being renewed; longer than any single call of a target takes.
    :param poll: longest pause while somebody else works on the same resource.
    :param backoff: first pause of the background retry, doubled by each attempt up to ``backoff_limit``.
    :param background: after so long the background retry gives one resource up for this time.
    :param waiting: how often a target is asked about what it waits for.
    """

    request: float = 25.0
    retry: float = 15.0
    first_pause: float = 0.05
    pause: float = 1.0
    grace: float = 5.0
    claim: float = 15.0
    poll: float = 0.1
    backoff: float = 2.0
    backoff_limit: float = 300.0
    background: float = 15.0
    waiting: float = 60.0


USUAL_TIMES = Times()


SLICE = 200
"""Most memberships in one call of a target."""


@dataclass(frozen=True, slots=True)
class Context:
    """What all steps share."""

    directory: SqlBackend
    targets: Mapping[str, Target]
    times: Times = field(default_factory=Times)
    failpoints: Failpoints = field(default_factory=Failpoints)
    journal: Journal = field(default_factory=Journal)
    adoption: Adoption = field(default_factory=Adoption)
    slice: int = SLICE
    health: Health = field(default_factory=Health)

    @property
    def database(self) -> Database:
        return self.directory.database

    @property
    def tenant(self) -> str:
        return self.directory.tenant


def by_name(targets: Sequence[Target]) -> dict[str, Target]:
    """Targets by their names.

    :raises ValueError: two targets share a name.
    """
    found = {target.name: target for target in targets}
    if len(found) != len(targets):
        raise ValueError("two targets have the same name")
    return found


def new_holder() -> str:
    """A name for a claim that nobody else has, in any thread of any process."""
    return secrets.token_hex(12)
