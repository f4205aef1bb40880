"""An organization with many members and teams on the double: first import, drift found and mended, nothing to do.

``python -m benchmarks.portal_at_scale [--people N] [--teams N] [--drifts N]``; prints seconds and calls of each step.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

sys.path.extend(str(Path(__file__).parents[1] / part) for part in ("backends", "tests", "tests/portal"))

from core_client import GROUP
from doubles.portal.server import PortalDouble
from portal_world import PortalWorld, new_user


def main() -> int:
    """Run the steps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=5000)
    parser.add_argument("--teams", type=int, default=300)
    parser.add_argument("--drifts", type=int, default=500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, PortalDouble() as double:
        world = PortalWorld(double, Path(folder))
        Run(world, options.people, options.teams, options.drifts).run()
        world.close()
        if double.violations:
            print(*double.violations[:5], sep="\n")
            return 1
    return 0


class Run:
    """The steps, in order."""

    def __init__(self, world: PortalWorld, people: int, teams: int, drifts: int) -> None:
        self.world = world
        self.emails = [f"person.{number}@example.com" for number in range(people)]
        self.teams = [f"team {number}" for number in range(teams)]
        self.drifts = drifts
        self.choose = random.Random(1)
        self.ids: list[str] = []

    def run(self) -> None:
        people, teams = len(self.emails), len(self.teams)
        self.timed(f"{people} people created through SCIM", self.create_people)
        self.timed("a round in which nobody has accepted", self.world.backend.settle_pending)
        self.timed("all accept", self.accept)
        self.timed("seen as members, and looked at once more", self.look)
        self.timed(f"{teams} groups created through SCIM, {people // 2} memberships", self.create_groups)
        plan = self.timed("a comparison with nothing to do", self.world.backend.plan)
        assert plan.to_do == [], plan.to_do[:5]
        self.drift()
        plan = self.timed(f"{self.drifts} drifts by hand found", self.world.backend.plan)
        assert len(plan.to_do) == self.drifts, len(plan.to_do)
        self.timed("and mended", lambda: self.world.backend.apply(plan.hash))
        self.timed("who was removed accepts again", self.accept)
        self.timed("seen, and teams given", self.look)
        plan = self.timed("a comparison with nothing to do", self.world.backend.plan)
        assert plan.to_do == [], plan.to_do[:5]
        self.wait(people // 5, teams // 3)

    def timed(self, what: str, act: Callable[[], object]) -> object:
        self.world.double.forget_calls()
        begun = time.monotonic()
        result = act()
        print(f"{what:60} {time.monotonic() - begun:8.1f} s {len(self.world.double.calls):7} calls", flush=True)
        return result

    def create_people(self) -> None:
        for email in self.emails:
            self.ids.append(self.world.core.json("POST", "/Users", new_user(email), expect=201)["id"])

    def accept(self) -> None:
        for email in self.world.invited:
            self.world.double.organization.accept(email)

    def look(self) -> None:
        self.world.backend.settle_pending()
        self.world.double.organization.clock_ahead += timedelta(minutes=2)
        self.world.backend.settle_pending()

    def create_groups(self) -> None:
        size = len(self.ids) // 2 // len(self.teams)
        for name in self.teams:
            members = [{"value": id} for id in self.choose.sample(self.ids, size)]
            body = {"schemas": [GROUP], "displayName": name, "members": members}
            self.world.core.json("POST", "/Groups", body, expect=201)

    def drift(self) -> None:
        """People removed by hand who are in no team, members added and removed by hand; a difference each."""
        organization = self.world.double.organization
        inside = {id for team in organization.teams.values() for id in team.users}
        outside = [email for email in self.emails if organization.member(email).id not in inside]
        removed = outside[: self.drifts // 5]
        for email in removed:
            organization.remove_member(email)
        people = [organization.member(email).id for email in self.emails if email not in set(removed)]
        for number in range(self.drifts - len(removed)):
            team = organization.team(self.teams[number % len(self.teams)])
            if number % 2 and team.users:
                organization.update_team(team.id, {"removeMemberUserIDs": [team.users[0]]})
            else:
                absent = self.choose.choice([id for id in people if id not in team.users])
                organization.update_team(team.id, {"addMemberUserIDs": [absent]})

    def wait(self, people: int, teams: int) -> None:
        """Newcomers are in teams already and have not accepted; then one does."""
        emails = [f"newcomer.{number}@example.com" for number in range(people)]
        self.timed(f"{people} more people invited", lambda: self.invite(emails, self.teams[:teams]))
        for _ in range(2):
            self.timed(f"a round in which nobody has accepted, {teams} groups", self.world.backend.settle_pending)
        self.world.double.organization.accept(emails[0])
        self.timed("a round in which one has", self.world.backend.settle_pending)
        assert self.world.invited == set(emails[1:])

    def invite(self, emails: list[str], teams: list[str]) -> None:
        core = self.world.core
        new = [core.json("POST", "/Users", new_user(email), expect=201) for email in emails]
        for number, name in enumerate(teams):
            [group] = core.json("GET", "/Groups", filter=f'displayName eq "{name}"')["Resources"]
            members = [{"value": user["id"]} for user in new[number :: len(teams)]]
            core.patch(group, {"op": "add", "path": "members", "value": members})


if __name__ == "__main__":
    sys.exit(main())
