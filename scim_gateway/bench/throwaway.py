"""People and groups that a deployment gets for a measurement, and how all of them go again.

A gateway that feeds targets lets only so many removals through within an hour (its circuit breaker), and then refuses
the identity provider's as well. So what will be removed is counted beforehand (:class:`Size`), each person is
deactivated before the next one is made (from then on the breaker has counted this one, and lets it be deleted even when
it holds), and what cannot be removed is told (:class:`Left`).
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from scim_gateway.bench import people
from scim_gateway.bench.directory import OUTSIDERS, TEAMS, Directory, fill
from scim_gateway.bench.measuring import Client
from scim_gateway.bench.wire import Reply
from scim_gateway.bench.workloads import CYCLE

USERS = 10
"""By default; a dozen removals are a quarter of what a circuit breaker lets through with default settings."""
REMOVALS = 25
"""So many are made without being asked for."""
_MANY = 100
_COMMITTEE = 20
_PREFIX = re.compile("bench-[0-9a-f]{8}-")
_PAGE = 100
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Size:
    """What is made for a measurement, and so how much is removed.

    :param users: people; from 100 of them on there are others who join and leave, and people in 50 groups.
    """

    users: int

    @property
    def group(self) -> int:
        """Members of the largest group."""
        return self.users if self._is_large else self.users // 2

    @property
    def outsiders(self) -> int:
        """People besides, who join the largest group and leave it; of a few people those who are not in it do."""
        return OUTSIDERS if self._is_large else 0

    @property
    def committee(self) -> int:
        """People in many groups."""
        return _COMMITTEE if self._is_large else 0

    @property
    def people(self) -> int:
        """All of them, and the one of the trial."""
        return self.users + self.outsiders + self.committee + 1

    @property
    def groups(self) -> int:
        """How many groups."""
        return 1 + (TEAMS if self.committee else 0)

    @property
    def removals(self) -> int:
        """Users and groups that are deactivated, deleted or both, which counts once."""
        return self.people + self.groups

    @property
    def memberships(self) -> int:
        """Memberships that are taken away: those who join and leave, and one member who is replaced by each of them."""
        return min(CYCLE, self.outsiders or self.users - self.group) + 1

    @property
    def _is_large(self) -> bool:
        return self.users >= _MANY


@dataclass
class Throwaway(Directory):
    """The directory of a measurement, in a deployment that has people of its own.

    :ivar latencies: seconds that each creation of a person took, one after the other.
    """

    latencies: list[float] = field(default_factory=list)

    def make(self, size: Size, progress: Callable[[str], None]) -> None:
        """Make everything, after a trial that leaves nobody who could log in.

        :raises Refused: a removal is refused; one person at most is active who cannot be removed.
        :raises BenchmarkError: something else was not answered as it should be.
        """
        trial = people.user(9_999_999, self.prefix) | {"active": False}
        id = self.client.call("POST", "/Users", trial, statuses=(201,)).json()["id"]
        self.client.call("DELETE", f"/Users/{id}")
        fill(self, size.users, (size.group,), size.committee, outsiders=size.outsiders, progress=progress)
        self.outsiders = self.outsiders or self.users[size.group :]

    def create_users(self, numbers: Sequence[int]) -> list[str]:
        """Create people one by one: nobody before the last one's removal was let through."""
        return [self._create_user(number) for number in numbers]

    def _create_user(self, number: int) -> str:
        document = people.user(number, self.prefix)
        began = time.perf_counter()
        reply = self.client.call("POST", "/Users", document | {"active": True}, statuses=(201,))
        self.latencies.append(time.perf_counter() - began)
        id: str = reply.json()["id"]
        for active in (False, True)[: 1 + document["active"]]:
            self.client.call("PATCH", f"/Users/{id}", people.activation(active))
        return id


@dataclass(frozen=True, slots=True)
class Left:
    """What a measurement made and could not remove.

    :param users: how many people.
    :param active: how many of them are active.
    :param groups: how many groups.
    :param names: some of their names.
    :param reason: what the service said.
    """

    url: str
    prefix: str
    users: int
    active: int
    groups: int
    names: Sequence[str]
    reason: str

    def __str__(self) -> str:
        users = f"{self.users} user{'' if self.users == 1 else 's'} ({self.active} active)"
        groups = f"{self.groups} group{'' if self.groups == 1 else 's'}"
        names = ", ".join(self.names) + (", …" if self.users + self.groups > len(self.names) else "")
        return (
            f"{users} and {groups} are left, whose names begin with {self.prefix}: {names}. "
            f"The gateway refused to remove them: {self.reason} "
            f"To remove them: scim-gateway approve, then {clean_up_command(self.url, self.prefix)}"
        )


def new_prefix() -> str:
    """What the names of a measurement begin with."""
    return f"bench-{secrets.token_hex(4)}-"


def is_prefix(text: str) -> bool:
    """Whether a measurement may have made names that begin so."""
    return _PREFIX.fullmatch(text) is not None


def clean_up_command(url: str, prefix: str) -> str:
    """What removes the people and groups of a measurement that did not do it itself."""
    return f"scim-gateway bench --url {url} --clean-up {prefix}"


def clean_up(client: Client, prefix: str) -> Left | None:
    """Delete everything that bears the prefix, the people first; what could not be removed, if there is anything.

    :raises BenchmarkError: something was neither removed nor refused.
    """
    of_users, of_groups = (f"{name} sw {json.dumps(prefix)}" for name in ("userName", "displayName"))
    refused = _delete_all(client, "/Users", of_users) + _delete_all(client, "/Groups", of_groups)
    if not refused:
        return None
    users = _found(client, "/Users", of_users, _SHOWN, "userName")
    active = _found(client, "/Users", f"{of_users} and active eq true", 1)
    groups = _found(client, "/Groups", of_groups, _SHOWN, "displayName")
    return Left(
        client.target.url,
        prefix,
        users=users["totalResults"],
        active=active["totalResults"],
        groups=groups["totalResults"],
        names=[
            *(user["userName"] for user in users.get("Resources") or ()),
            *(group["displayName"] for group in groups.get("Resources") or ()),
        ],
        reason=refused[0].detail,
    )


def _delete_all(client: Client, path: str, query: str) -> list[Reply]:
    """Delete what is found; refusals.

    One refusal does not end it: a circuit breaker lets go what it has counted already. So many at once do.
    """
    refused: list[Reply] = []
    while found := _found(client, path, query, _PAGE, start=1 + len(refused)).get("Resources"):
        deletions = (client.target.request("DELETE", f"{path}/{resource['id']}") for resource in found)
        replies = client.send_all(deletions, (200, 204, 403, 404))
        refused += [reply for reply in replies if reply.status == 403]
        if len(refused) >= _PAGE:
            break
    return refused


def _found(client: Client, path: str, query: str, count: int, attributes: str = "id", start: int = 1) -> dict[str, Any]:
    parts = f"filter={quote(query)}&startIndex={start}&count={count}&attributes={attributes}"
    document: dict[str, Any] = client.call("GET", f"{path}?{parts}").json()
    return document
