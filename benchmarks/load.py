"""Mixed load as an identity provider makes it: several clients with people of their own, in a directory of one size."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import quote

from scim_gateway.bench import people
from scim_gateway.bench.directory import Directory
from scim_gateway.bench.measuring import percentile
from scim_gateway.bench.wire import BenchmarkError, Connection, Reply, Target

PAGE = 100
_SHOWN = 5
_CHANGED = (200, 204)


@dataclass
class Record:
    """What happened, by operation; filled by all clients.

    :param latencies: seconds of each request that was answered as it should be.
    :param errors: what was answered otherwise.
    """

    latencies: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Requests so far."""
        return sum(map(len, list(self.latencies.values()))) + len(self.errors)

    def table(self) -> str:
        """Requests, and latency in milliseconds, by operation."""
        lines = [f"{'':<22}{'requests':>10}{'p50 ms':>10}{'p95 ms':>10}{'p99 ms':>10}{'max ms':>10}"]
        for operation, latencies in sorted(self.latencies.items()):
            ascending = sorted(latencies)
            shown = "".join(f"{1000 * percentile(ascending, percent):>10.1f}" for percent in (50, 95, 99, 100))
            lines.append(f"{operation:<22}{len(ascending):>10,}{shown}")
        lines.append(f"{'errors':<22}{len(self.errors):>10,}")
        return "\n".join([*lines, *(f"    {error}" for error in self.errors[:_SHOWN])])


class Client:
    """One client with one connection: it changes its own people only, and keeps their number.

    :param numbers: of its people; one more comes and goes.
    :param groups: ids of groups; its first person goes in and out of them.
    """

    def __init__(
        self, target: Target, record: Record, numbers: range, ids: Sequence[str], groups: Sequence[str], seed: int
    ) -> None:
        self._target = target
        self._record = record
        self._chance = random.Random(seed)
        self._numbers, self._ids, self._groups = numbers, ids, groups
        self._inside: set[str] = set()
        self._inactive = {place for place, number in enumerate(numbers) if not people.user(number)["active"]}
        self._guest: str | None = None
        self._connection = Connection(target)
        self.operations: Mapping[Callable[[], None], int] = {
            self._find: 30,
            self._get: 15,
            self._activate: 10,
            self._put: 10,
            self._member: 15,
            self._page: 5,
            self._turnover: 15,
        }

    def run(self, until: float) -> None:
        """Send requests until a time of the monotonic clock; then send the guest away.

        An answer that should not be is noted, and the load goes on.
        """
        operations, weights = list(self.operations), list(self.operations.values())
        try:
            while time.monotonic() < until:
                self._chance.choices(operations, weights)[0]()
            if self._guest is not None:
                self._turnover()
        finally:
            self._connection.close()

    def _send(
        self, operation: str, method: str, path: str, body: object = None, *, statuses: Sequence[int] = (200,)
    ) -> Reply | None:
        """One request; ``None``: it was not answered as it should be, which is noted."""
        began = time.perf_counter()
        try:
            reply = self._connection.exchange(self._target.request(method, path, body)).expect(statuses)
        except (BenchmarkError, OSError, ValueError) as error:
            self._record.errors.append(f"{operation}: {error}")
            self._reconnect()
            return None
        self._record.latencies[operation].append(time.perf_counter() - began)
        return reply

    def _reconnect(self) -> None:
        self._connection.close()
        time.sleep(0.1)  # what is down is not asked all the time
        try:
            self._connection = Connection(self._target)
        except BenchmarkError as error:
            self._record.errors.append(f"connect: {error}")

    def _any(self) -> int:
        return self._chance.randrange(1, len(self._numbers))

    def _find(self) -> None:
        self._look_for(self._numbers[self._any()], found=1)

    def _look_for(self, number: int, found: int) -> None:
        query = quote(f'userName eq "{people.user_name(number)}"')
        reply = self._send("find by userName", "GET", f"/Users?filter={query}")
        if reply is not None and reply.json()["totalResults"] != found:
            self._record.errors.append(f"find by userName: {reply.json()['totalResults']} people, not {found}")

    def _get(self) -> None:
        self._send("get by id", "GET", f"/Users/{self._ids[self._any()]}")

    def _activate(self) -> None:
        place = self._any()
        back = place in self._inactive
        path, body = f"/Users/{self._ids[place]}", people.activation(back)
        if self._send("PATCH active", "PATCH", path, body, statuses=_CHANGED) is not None:
            self._inactive ^= {place}

    def _put(self) -> None:
        place = self._any()
        body = {
            **people.user(self._numbers[place]),
            "active": place not in self._inactive,
            "title": f"Title {self._chance.randrange(1000)}",
        }
        self._send("PUT profile", "PUT", f"/Users/{self._ids[place]}", body)

    def _member(self) -> None:
        group, id = self._chance.choice(self._groups), self._ids[0]
        leaves = group in self._inside
        body = people.leaving(id) if leaves else people.joining(id)
        name = "PATCH member out" if leaves else "PATCH member in"
        if self._send(name, "PATCH", f"/Groups/{group}", body, statuses=_CHANGED) is not None:
            self._inside ^= {group}

    def _page(self) -> None:
        start = 1 + PAGE * self._chance.randrange(1 + len(self._numbers) // PAGE)
        self._send("list page", "GET", f"/Users?startIndex={start}&count={PAGE}")

    def _turnover(self) -> None:
        """Somebody comes, as Okta assigns people: looked for, then created; the next time that one goes."""
        if self._guest is not None:
            if self._send("delete", "DELETE", f"/Users/{self._guest}", statuses=(204,)) is not None:
                self._guest = None
            return
        number = self._numbers.stop + 5_000_000
        self._look_for(number, found=0)
        reply = self._send("create", "POST", "/Users", people.user(number), statuses=(201,))
        self._guest = None if reply is None else reply.json()["id"]


def start(target: Target, directory: Directory, record: Record, clients: int, until: float) -> list[Future[None]]:
    """Begin with so many clients, each with its share of the people of a directory; :func:`wait_for` them."""
    share = len(directory.users) // clients
    pool = ThreadPoolExecutor(clients, "client")
    begun = []
    for number in range(clients):
        numbers = range(number * share, (number + 1) * share)
        ids = directory.users[numbers.start : numbers.stop]
        client = Client(target, record, numbers, ids, directory.teams, number)
        begun.append(pool.submit(client.run, until))
    pool.shutdown(wait=False)
    return begun


def wait_for(clients: Sequence[Future[None]], record: Record) -> None:
    """Wait for their end; one that is gone must not look like one that had no trouble."""
    ended = [client.exception() for client in clients]
    record.errors.extend(f"a client ended: {error!r}" for error in ended if error is not None)
