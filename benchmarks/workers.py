"""One worker process and several against one MariaDB: what more of them bring on the cores that there are.

``python -m benchmarks.workers [--workers 1,4] [--seconds N]``. Client, database and gateway share the cores, as they do
on a small server; both deployments run all the time, each on a database of its own, and are asked in turns. What each
of the three computes for a request is told beside the rates: together they cannot have more than the cores that there
are, whatever the number of workers.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.processes import cpu_seconds
from benchmarks.servers import Server, database, on_database, served
from scim_gateway.bench.directory import Directory, Traits, fill
from scim_gateway.bench.measuring import Client, Timing
from scim_gateway.bench.wire import BenchmarkError
from scim_gateway.bench.workloads import Workload, all_workloads

WORKLOADS = ("get by id", "userName eq", "PATCH active", "create")


@dataclass
class Deployment:
    """A gateway of so many workers, and what was measured of it, by workload.

    :param database: process id of its database.
    :ivar computed: seconds for a request, of the gateway, its database and the client; for each round.
    """

    workers: int
    server: Server
    database: int
    directory: Directory
    rounds: dict[str, list[Timing]] = field(default_factory=dict)
    computed: dict[str, list[tuple[float, ...]]] = field(default_factory=dict)

    def measure(self, workload: Workload, seconds: float) -> None:
        """One round.

        :raises BenchmarkError: something was not answered as it should be.
        """
        plan = workload.plan(self.directory)
        client = self.directory.client
        before = self._cpu()
        timing = client.measure(plan.requests, plan.statuses, seconds=seconds, keep=plan.again is not None)
        computed = [(after - then) / timing.count for after, then in zip(self._cpu(), before, strict=True)]
        self.computed.setdefault(workload.name, []).append(tuple(computed))
        if plan.again:
            plan.again(timing.replies)
        self.rounds.setdefault(workload.name, []).append(timing)

    def _cpu(self) -> tuple[float, float, float]:
        return cpu_seconds([self.server.pid]), cpu_seconds([self.database]), time.process_time()

    def rate(self, workload: str) -> float:
        """Requests a second: the median of the rounds."""
        return median(timing.rate for timing in self.rounds[workload])

    def milliseconds(self, workload: str, percent: float) -> float:
        """Latency: the median of the rounds."""
        return 1000 * median(timing.percentile(percent) for timing in self.rounds[workload])

    def shares(self, workload: str) -> tuple[float, ...]:
        """Milliseconds of CPU for a request: the gateway, the database, the client; medians of the rounds."""
        return tuple(1000 * median(part) for part in zip(*self.computed[workload], strict=True))


def main(arguments: Sequence[str] | None = None) -> int:
    """From the shell."""
    options = _options(arguments)
    workloads = [each for each in all_workloads() if each.name in WORKLOADS]
    try:
        with tempfile.TemporaryDirectory(prefix="scim-workers-") as folder, ExitStack() as stack:
            deployments = _deployments(options, Path(folder), stack)
            for number in range(options.rounds):
                for workload in workloads:
                    for deployment in deployments[number % 2 :] + deployments[: number % 2]:
                        deployment.measure(workload, options.seconds)
            print(_table(deployments, options))
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers", description=__doc__)
    parser.add_argument(
        "--workers", type=_numbers, default=[1, 4], help="comma-separated; all are compared to the first"
    )
    parser.add_argument("--threads", type=int, default=8, help="of each worker")
    parser.add_argument("--connections", type=int, default=16, help="requests that are under way at a time")
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    return parser.parse_args(arguments)


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _deployments(options: argparse.Namespace, folder: Path, stack: ExitStack) -> list[Deployment]:
    everywhere = os.sched_getaffinity(0)
    mariadb = stack.enter_context(database(everywhere))
    found = []
    for workers in options.workers:
        name = f"{workers} workers" if workers > 1 else "1 worker"
        own = folder / str(workers)
        own.mkdir()
        how = {"workers": workers, "threads": options.threads}
        server = stack.enter_context(served(name, own, everywhere, on_database(mariadb), **how))
        client = Client(server.target, options.connections)
        stack.callback(client.close)
        directory = Directory(client, Traits(), "person")
        fill(directory, options.users, (), 0)
        found.append(Deployment(workers, server, mariadb.pid, directory))
    return found


def _table(deployments: Sequence[Deployment], options: argparse.Namespace) -> str:
    first = deployments[0]
    cores = len(os.sched_getaffinity(0))
    title = (
        f"MariaDB, {cores} cores for all, {options.connections} connections, {options.users} "
        f"users; medians of {options.rounds} rounds of {options.seconds:g} s"
    )
    beside = f"beside {first.workers}"
    head = (
        f"{'':<16}{'workers':>8}{'req/s':>10}{beside:>12}{'p50 ms':>10}{'p99 ms':>10}"
        f"{'gateway':>12}{'database':>10}{'client':>8}{'cores busy':>12}"
    )
    rows = (
        f"{workload:<16}{each.workers:>8}{each.rate(workload):>10.0f}"
        f"{each.rate(workload) / first.rate(workload):>11.2f}×"
        f"{each.milliseconds(workload, 50):>10.1f}{each.milliseconds(workload, 99):>10.1f}"
        f"{each.shares(workload)[0]:>9.2f} ms{each.shares(workload)[1]:>10.2f}{each.shares(workload)[2]:>8.2f}"
        f"{each.rate(workload) * sum(each.shares(workload)) / 1000:>9.2f}/{cores}"
        for workload in WORKLOADS
        for each in deployments
    )
    return "\n".join([title, "", head, *rows])


if __name__ == "__main__":
    sys.exit(main())
