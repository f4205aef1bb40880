"""A gateway that feeds both doubles: what is in the directory, in the organization and in the Engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from doubles.singlestore.api import SingleStoreDouble
from portal_world import PortalWorld


@dataclass
class Both:
    """A gateway that feeds two doubles."""

    portal: PortalWorld
    engine: SingleStoreDouble

    @property
    def core(self) -> Any:
        return self.portal.core

    @property
    def accounts(self) -> dict[str, bool]:
        """Accounts of people, and whether they are locked."""
        users = self.engine.state().users
        return {one.name: locked for one, locked in users.items() if one.host == "%" and one.name != "scim_gw"}

    @property
    def groups(self) -> dict[str, set[str]]:
        return {name: {one.name for one in inside} for name, inside in self.engine.state().groups.items()}

    def fail(self, target: str) -> None:
        if target == "engine":
            self.engine.stop()
        else:
            self.portal.double.down()

    def mend(self, target: str) -> None:
        if target == "engine":
            self.engine.start()
        else:
            self.portal.double.up()
            self.portal.target.transport._breaker.answered()
        self.portal.look()

    def mend_both(self) -> None:
        """Both answer again, and what is pending gets its turn."""
        self.portal.target.transport._breaker.answered()
        self.portal.look()

    def rights(self, target: str) -> set[tuple[str, str]]:
        """What people have in one target: that they may log in, are members or invited, and their groups."""
        if target == "engine":
            free = {name for name, locked in self.accounts.items() if not locked}
            groups, there = self.groups, {(name, "log in") for name in free}
            return there | {(name, group) for group, inside in groups.items() for name in inside & free}
        there = {(email, "member") for email in self.portal.members} | {
            (email, "invited") for email in self.portal.invited
        }
        return there | {(name, team) for team, inside in self.portal.teams.items() for name in inside}

    def check_equal(self) -> None:
        """Directory, organization and Engine say the same, nothing is pending, and a plan finds nothing."""
        self.portal.check_equal()
        people, groups = self.portal.wanted()
        assert {name for name, locked in self.accounts.items() if not locked} == people
        assert self.groups == groups
        assert self.portal.backend.pending() == []
        assert self.portal.backend.plan().to_do == []
        assert not self.portal.backend.verify_audit().problems
