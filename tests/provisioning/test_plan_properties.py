"""Whatever people do to a target by hand: the plan is exactly that, and carrying it out undoes exactly that."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import hypothesis.strategies as st
from doubles.listed_target import Account, Listing, Team
from hypothesis import event, given, settings
from provisioned import MEMORY
from reconciled import Compared, short
from rows import examples
from scim_gateway_provisioning.breaker import Limits

USERS = tuple(f"u{number}" for number in range(6))
GROUPS = tuple(f"g{number}" for number in range(4))
THEIRS = ("dba", "root")
"""An account of somebody else, and a protected one."""

names, teams = st.sampled_from(USERS), st.sampled_from(GROUPS)


@dataclass(frozen=True)
class Directory:
    """What the identity provider sent.

    :param active: by the name of a user.
    :param members: by the name of a group, names of users and groups.
    """

    active: Mapping[str, bool]
    members: Mapping[str, frozenset[str]]

    def reached(self, group: str, seen: frozenset[str] = frozenset()) -> set[str]:
        """The active users of a group, also through groups in it."""
        found: set[str] = set()
        for name in self.members[group]:
            if name in self.members:
                if name not in seen:
                    found |= self.reached(name, seen | {group})
            elif self.active[name]:
                found.add(name)
        return found


@st.composite
def directories(draw: st.DrawFn) -> Directory:
    users = draw(st.lists(names, min_size=3, unique=True))
    groups = draw(st.lists(teams, min_size=1, unique=True))
    active = {name: draw(st.booleans()) for name in sorted(users)}
    members = {}
    for group in sorted(groups):
        possible = [*users, *(other for other in groups if other != group)]
        members[group] = frozenset(draw(st.lists(st.sampled_from(sorted(possible)), max_size=4)))
    return Directory(active, members)


Damage = Callable[[Listing], None]


def drop(name: str) -> Damage:
    def damage(listing: Listing) -> None:
        listing.users.pop(name, None)
        for team in listing.groups.values():
            team.members.discard(name)

    return damage


def flip(name: str) -> Damage:
    def damage(listing: Listing) -> None:
        if name in listing.users:
            listing.users[name].active = not listing.users[name].active

    return damage


def drop_group(name: str) -> Damage:
    return lambda listing: listing.groups.pop(name, None)


def join(group: str, name: str) -> Damage:
    def damage(listing: Listing) -> None:
        if group in listing.groups and name in listing.users:
            listing.groups[group].members.add(name)

    return damage


def leave(group: str, name: str) -> Damage:
    def damage(listing: Listing) -> None:
        if group in listing.groups:
            listing.groups[group].members.discard(name)

    return damage


def make(name: str) -> Damage:
    def damage(listing: Listing) -> None:
        listing.users.setdefault(name, Account(name, None))
        listing.groups["theirs"] = Team("theirs", None, {name})

    return damage


damages = st.one_of(
    st.builds(drop, names),
    st.builds(flip, names),
    st.builds(drop_group, teams),
    st.builds(join, teams, names | st.sampled_from(THEIRS)),
    st.builds(leave, teams, names),
    st.builds(make, st.sampled_from(THEIRS)),
)


def expected(directory: Directory, listing: Listing) -> set[str]:
    """The plan, worked out from names alone."""
    steps: set[str] = set()
    for name, active in directory.active.items():
        if name not in listing.users:
            steps.add(f"add User {name}")
        elif listing.users[name].active != active:
            steps.add(f"change User {name}")
    for name in listing.users.keys() & set(THEIRS):
        steps.add(f"{told(name)} User {name}")
    if "theirs" in listing.groups:
        steps.add("unmanaged Group theirs")
    for group in directory.members:
        if group not in listing.groups:
            steps.add(f"add Group {group}")
        here = listing.groups[group].members if group in listing.groups else set()
        wanted = directory.reached(group)
        steps |= {f"add Membership {group} {name}" for name in wanted - here}
        for name in here - wanted:
            steps.add(f"{told(name) if name in THEIRS else 'remove'} Membership {group} {name}")
    return steps


def told(name: str) -> str:
    return "protected" if name == "root" else "unmanaged"


def load(world: Compared, directory: Directory) -> None:
    """Send the directory as an identity provider does, groups first without members."""
    ids = {}
    for name, active in directory.active.items():
        ids[name] = world.core.user(name, active=active)
    for name in directory.members:
        ids[name] = world.core.group(name)
    for name, members in directory.members.items():
        values = [{"value": ids[member]["id"]} for member in sorted(members)]
        if values:
            world.core.patch(ids[name], {"op": "add", "path": "members", "value": values})


def managed(listing: Listing) -> tuple[dict[str, bool], dict[str, set[str]]]:
    """The part of the target that is the gateway's."""
    users = {name: account.active for name, account in listing.users.items() if account.owner is not None}
    groups = {name: team.members - set(THEIRS) for name, team in listing.groups.items() if team.owner is not None}
    return users, groups


def others(listing: Listing) -> tuple[object, ...]:
    """The part of the target that is not."""
    users = {name: account for name, account in listing.users.items() if account.owner is None}
    groups = {name: team for name, team in listing.groups.items() if team.owner is None}
    return users, groups, {name: team.members & set(THEIRS) for name, team in listing.groups.items() if team.owner}


@settings(max_examples=examples(40))
@given(directories(), st.lists(damages, min_size=1, max_size=8))
def test_the_plan_is_exactly_the_damage_and_carrying_it_out_undoes_exactly_that(directory, done_by_hand):
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        world = Compared(Path(folder), limits=Limits(removals=0))
        load(world, directory)
        assert world.steps() == []
        with world.by_hand() as listing:
            for damage in done_by_hand:
                damage(listing)
        before = world.target.listing
        plan = world.plan()
        assert sorted(map(short, plan.steps)) == sorted(expected(directory, before))
        event(f"{min(len(plan.to_do), 5)} steps")
        if plan.staged:
            world.reconciler.approve(plan.hash, 60)
        repair = world.reconciler.apply(plan.hash)
        assert (list(repair.left.to_do), list(repair.problems), repair.done) == ([], [], len(plan.to_do))
        after = world.target.listing
        wanted = {group: directory.reached(group) for group in directory.members}
        assert managed(after) == (dict(directory.active), wanted)
        users, groups, members = others(before)
        assert others(after)[:2] == (users, groups)
        assert others(after)[2] == {group: members.get(group, set()) for group in wanted}
        assert world.nothing_to_do()
        world.close()
