"""The directory that is measured: filled through the service's own API, so that nobody has a head start."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from scim_gateway.bench import people
from scim_gateway.bench.measuring import Client
from scim_gateway.bench.wire import Reply

OUTSIDERS = 64
"""People who join the large groups and leave them."""
TEAMS = 50
"""Groups of one and the same committee."""
_MEMBERS_AT_ONCE = 500
_LARGE = 1_000


@dataclass(frozen=True, slots=True)
class Traits:
    """What a service does differently from the RFCs.

    :param members_in_body: whether a group may be created with its members.
    :param leaves_by_value: whether members are removed by a list of values only.
    """

    members_in_body: bool = True
    leaves_by_value: bool = False


@dataclass
class Directory:
    """What there is to ask for.

    :param users: ids of people, in the order of their numbers.
    :param outsiders: ids of people who are in no group.
    :param committee: ids of people who are in :data:`TEAMS` groups.
    :param groups: id of the group of so many members.
    :param teams: ids of the groups of the committee.
    :param fill_seconds: how long it took to create all of this.
    """

    client: Client
    traits: Traits
    prefix: str
    users: list[str] = field(default_factory=list)
    outsiders: list[str] = field(default_factory=list)
    committee: list[str] = field(default_factory=list)
    groups: dict[int, str] = field(default_factory=dict)
    teams: list[str] = field(default_factory=list)
    fill_seconds: float = 0.0
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(5_000_000))
    """Of people who are still to be created."""
    activations: Iterator[tuple[str, bool]] | None = None
    """Who is deactivated or activated next."""

    def create_users(self, numbers: Sequence[int]) -> list[str]:
        """Create people; their ids in the order of the numbers."""
        target = self.client.target
        requests = (target.request("POST", "/Users", people.user(number, self.prefix)) for number in numbers)
        found = {}
        for reply in self.client.send_all(requests, (201,)):
            document = reply.json()
            found[document["userName"]] = document["id"]
        return [found[people.user_name(number, self.prefix)] for number in numbers]

    def people_of(self, size: int) -> Sequence[str]:
        """The members of a group: the first people, but of a very large one the last.

        So whoever is on the first page is in as many groups in a small directory as in a large one, and answers are
        compared that show the same.
        """
        return self.users[:size] if size <= _LARGE else self.users[-size:]

    def create_group(self, name: str, ids: Sequence[str]) -> str:
        """Create a group with members; its id."""
        document = people.group(f"{self.prefix} {name}", ids if self.traits.members_in_body else ())
        id: str = self.client.call("POST", "/Groups", document, statuses=(201,)).json()["id"]
        if not self.traits.members_in_body:
            for start in range(0, len(ids), _MEMBERS_AT_ONCE):
                self.client.call("PATCH", f"/Groups/{id}", people.joining(*ids[start : start + _MEMBERS_AT_ONCE]))
        return id

    def remove(self, path: str, ids: Sequence[str]) -> Sequence[Reply]:
        """Delete resources; those that are gone already are as good."""
        target = self.client.target
        return self.client.send_all((target.request("DELETE", f"{path}/{id}") for id in ids), (200, 204, 404))


def fill(
    directory: Directory,
    users: int,
    groups: Sequence[int],
    committee: int,
    *,
    outsiders: int = OUTSIDERS,
    progress: Callable[[str], None] = lambda _: None,
) -> None:
    """Create people, groups of so many members, and a committee.

    A group that would have more members than there are people is left out.
    """
    for start in range(0, users, 10_000):
        directory.users += directory.create_users(range(start, min(users, start + 10_000)))
        progress(f"{len(directory.users)} users")
    extra = range(9_000_000, 9_000_000 + outsiders + committee)
    ids = directory.create_users(extra) if extra else []
    directory.outsiders, directory.committee = ids[:outsiders], ids[outsiders:]
    for size in groups:
        if size <= users:
            directory.groups[size] = directory.create_group(f"group of {size}", directory.people_of(size))
            progress(f"a group of {size}")
    if committee:
        directory.teams = [directory.create_group(f"team {n:03}", directory.committee) for n in range(TEAMS)]
        progress(f"{TEAMS} groups of {committee}")
