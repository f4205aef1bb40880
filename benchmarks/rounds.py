"""One size: all servers filled, then measured in turns, so that what disturbs the machine disturbs all alike."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

from benchmarks.results import FLOOR, Filling, Measurement, Results
from benchmarks.servers import KINDS, Server, running, running_floor
from scim_gateway.bench.directory import Directory, Traits, fill
from scim_gateway.bench.measuring import Client
from scim_gateway.bench.wire import BenchmarkError, Reply, UsedUp
from scim_gateway.bench.workloads import NotApplicable, Plan, Workload

MODEL = "sqlite"
"""Whose answers the floor repeats."""
_SLOW = 0.25
"""Seconds for a request above which a second round would tell nothing new to anybody who waits for it."""


@dataclass(frozen=True, slots=True)
class Options:
    """How much is measured.

    :param rounds: of each cell.
    :param seconds: of each measurement; a single request may take longer.
    :param committee: people who are in many groups; deletions use them up.
    :param fill_seconds: a peer that would take longer to fill is left out.
    """

    rounds: int
    seconds: float
    committee: int
    fill_seconds: float
    groups: Sequence[int] = (1_000, 10_000)


class Contest:
    """Servers with so many users each."""

    def __init__(self, users: int, results: Results, options: Options, on: Collection[int], scratch: Path) -> None:
        self._users = users
        self._results = results
        self._options = options
        self._on = on
        self._scratch = scratch
        self._directories: dict[str, Directory] = {}
        self._servers: dict[str, Server] = {}
        self._sent: dict[str, bytes] = {}

    def run(self, names: Sequence[str], workloads: Sequence[Workload], folder: Path) -> None:
        """Start, fill, measure."""
        with ExitStack() as stack:
            for name in names:
                try:
                    self._start(name, folder / f"{name}-{self._users}", stack)
                except Exception as error:  # a peer may fail in any way; the others are measured all the same
                    if not KINDS[name].peer:
                        raise
                    _tell(f"{name} is left out: {error}")
                    reason = "takes too long to fill" if isinstance(error, _TooSlow) else "does not start"
                    for workload in workloads:
                        self._results.cell(self._users, workload.name, name).reason = reason
            server = stack.enter_context(
                running_floor(folder / f"floor-{self._users}", self._answers(workloads), self._on)
            )
            client = Client(server.target)
            stack.callback(client.close)
            self._servers[FLOOR] = server
            order = [FLOOR, *self._directories]
            for number in range(self._options.rounds):
                for workload in workloads:
                    for name in order[number % len(order) :] + order[: number % len(order)]:
                        self._measure(name, workload, client if name == FLOOR else self._directories[name].client)
                _tell(f"{self._users} users: round {number + 1} of {self._options.rounds}")

    def _start(self, name: str, folder: Path, stack: ExitStack) -> None:
        with ExitStack() as own:
            began = time.monotonic()
            server = own.enter_context(running(name, folder, self._on, self._scratch))
            start = time.monotonic() - began
            client = Client(server.target)
            own.callback(client.close)
            directory = Directory(client, KINDS[name].traits, "person")
            began = time.monotonic()
            if KINDS[name].peer:
                self._forecast(client)
            committee = self._options.committee
            fill(
                directory, self._users, self._options.groups, committee, progress=lambda what: _tell(f"{name}: {what}")
            )
            self._results.fillings[self._users, name] = Filling(time.monotonic() - began, server.memory()[0], start)
            self._directories[name], self._servers[name] = directory, server
            stack.enter_context(own.pop_all())

    def _forecast(self, client: Client) -> None:
        """Try how long a peer takes to be filled."""
        trial = Directory(client, Traits(), "trial")
        began = time.monotonic()
        ids = trial.create_users(range(200))
        # Nobody gets faster as the directory grows.
        if (time.monotonic() - began) / 200 * self._users > self._options.fill_seconds:
            raise _TooSlow(f"more than {self._options.fill_seconds:.0f} s to fill")
        trial.remove("/Users", ids)

    def _answers(self, workloads: Sequence[Workload]) -> Mapping[str, tuple[str, Reply]]:
        """A right answer to each workload, for the floor to repeat."""
        model = self._directories.get(MODEL) or next(iter(self._directories.values()))
        answers: dict[str, tuple[str, Reply]] = {}
        for workload in workloads:
            try:
                plan = workload.plan(model)
            except NotApplicable:
                continue
            request = next(plan.requests)
            timing = model.client.measure(iter((request,)), plan.statuses, seconds=0.0, connections=1, keep=True)
            if plan.again:
                plan.again(timing.replies)
            method, _, rest = request.partition(b" ")
            route = _route(workload.name)
            answers[route] = (method.decode(), timing.replies[0])
            self._sent[workload.name] = b" ".join((method, b"/" + route.encode(), rest.partition(b" ")[2]))
        return answers

    def _measure(self, name: str, workload: Workload, client: Client) -> None:
        cell = self._results.cell(self._users, workload.name, name)
        # What takes so long that noise does not matter is measured once.
        if cell.reason is not None or (cell.rounds and 1 / cell.rounds[-1].rate > _SLOW):
            return
        server = self._servers[name]
        try:
            plan = self._plan(name, workload)
            server.forget_peak()
            cpu = server.cpu()
            keep = plan.again is not None
            timing = client.measure(plan.requests, plan.statuses, seconds=self._options.seconds, keep=keep)
            cpu = server.cpu() - cpu
            if plan.again:
                plan.again(timing.replies)
        except NotApplicable as reason:
            cell.reason = str(reason)
            return
        except UsedUp:
            cell.reason = None if cell.rounds else "nothing to ask for"
            return
        except (BenchmarkError, OSError, ValueError) as error:
            _tell(f"{name}, {workload.name}: {error}")
            cell.reason = "fails"
            client.close()
            return
        p50, p99 = timing.percentile(50), timing.percentile(99)
        peak = server.memory()[1]
        cell.rounds.append(Measurement(timing.rate, p50, p99, cpu / timing.count, timing.count, peak))

    def _plan(self, name: str, workload: Workload) -> Plan:
        if name != FLOOR:
            return workload.plan(self._directories[name])
        if workload.name not in self._sent:
            raise NotApplicable("nothing to repeat")
        return Plan(repeat(self._sent[workload.name]), (200, 201, 204))


def _route(workload: str) -> str:
    return "".join(character if character.isalnum() and character.isascii() else "-" for character in workload)


class _TooSlow(Exception):
    """It would take too long."""


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
