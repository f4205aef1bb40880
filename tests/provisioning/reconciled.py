"""A gateway with targets and everything that compares them: what the tests of plans, repairs and adoption share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from doubles.listed_target import Account, Listing, ListTarget, Team
from provisioned import World
from scim_gateway_provisioning.breaker import Breaker, Limits
from scim_gateway_provisioning.reconcile import Reconciler

from scim_gateway.provisioned import Plan, Repair, Step

TENANT = "default"
FOREIGN = Account("dba", None)
ROOT = Account("root", None)


class Compared(World):
    """A gateway, its targets, and people who change these by hand.

    :param limits: of what a plan may take away without an approval; requests may take away anything.
    """

    def __init__(self, folder: Path, *targets: ListTarget, limits: Limits | None = None, **more: Any) -> None:
        super().__init__(folder, *targets, **more)
        self.reconciler = Reconciler(self.context, Breaker(TENANT, limits or Limits()))

    @contextmanager
    def by_hand(self, target: ListTarget | None = None) -> Iterator[Listing]:
        """Somebody changes the target."""
        with (target or self.target).store.open() as listing:
            yield listing

    def plan(self) -> Plan:
        return self.reconciler.plan()

    def steps(self) -> list[str]:
        """The plan in short."""
        return [short(step) for step in self.plan().steps]

    def apply(self) -> Repair:
        """Carry out whatever there is to do."""
        return self.reconciler.apply(self.plan().hash)

    def nothing_to_do(self) -> bool:
        return not self.plan().to_do


def short(step: Step) -> str:
    """A step on one line, without its reason."""
    return " ".join(filter(None, (step.action, step.kind, step.name, step.member)))


def foreign(listing: Listing, name: str, *, group: bool = False) -> None:
    """Somebody makes an account or a group of their own."""
    if group:
        listing.groups[name] = Team(name, None)
    else:
        listing.users[name] = Account(name, None)
