"""Minutes of mixed load as Okta makes it against ``scim-gateway serve``: no error, memory flat, latencies in a table.

``python -m benchmarks.soak [--minutes N] [--store sqlite|mariadb]``; ends with 1 if anything was answered as it should
not be, if the directory has another size at the end, or if memory was not flat.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.load import Record, start, wait_for
from benchmarks.processes import memory_of_children
from benchmarks.servers import Server, served, store
from scim_gateway.bench.directory import TEAMS, Directory, Traits, fill
from scim_gateway.bench.measuring import Client
from scim_gateway.bench.wire import BenchmarkError

COMMITTEE = 20
"""Members of each group besides those who come and go."""
ALLOWED_MIB = 2.0
"""So much more may each worker hold in the last third than in the middle one, or …"""
ALLOWED_SHARE = 0.02
"""… so much more of what all of them hold: what caches and allocators of Python and SQLite still take."""


@dataclass(frozen=True, slots=True)
class Sample:
    """All workers at one time.

    :param requests: answered so far.
    :param workers: resident memory by process id, MiB.
    """

    requests: int
    workers: dict[int, float]

    @property
    def total(self) -> float:
        """What all of them hold, MiB."""
        return sum(self.workers.values())


class Memory:
    """Samples of the memory of the workers, and whether it stayed flat."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        third = len(samples) // 3
        self._thirds = [samples[:third], samples[third : 2 * third], samples[2 * third :]]
        self._samples = samples

    def troubles(self) -> Iterator[str]:
        """What is against it: growth from the middle third to the last one, or a worker that was replaced.

        The first third does not count: caches fill.
        """
        if not self._thirds[0]:
            yield "too short a time to say anything about memory"
            return
        pids = {frozenset(sample.workers) for sample in self._samples}
        if len(pids) > 1:
            yield f"workers were replaced: {len(pids)} sets of processes were seen"
        _, middle, last = self.medians()
        allowed = max(ALLOWED_MIB * len(self._samples[-1].workers), ALLOWED_SHARE * middle)
        if last - middle > allowed:
            yield f"memory is not flat: {last - middle:.1f} MiB more in the last third, allowed are {allowed:.1f}"

    def medians(self) -> list[float]:
        """The median of each third, MiB."""
        return [median(sample.total for sample in third) for third in self._thirds]

    def growth(self) -> float:
        """KiB for 1,000 requests, from the middle of the second third to the middle of the last one."""
        _, middle, last = self.medians()
        _, before, after = (median(sample.requests for sample in third) for third in self._thirds)
        return 1024 * (last - middle) / max(1.0, (after - before) / 1000)

    def __str__(self) -> str:
        if not self._thirds[0]:
            return "memory of the workers: too few samples"
        shown = " / ".join(f"{each:.1f}" for each in self.medians())
        return (
            f"memory of the workers, first / middle / last third: {shown} MiB; "
            f"{self.growth():+.2f} KiB for 1,000 requests; {len(self._samples)} samples"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """From the shell."""
    options = _options(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="scim-soak-") as folder, _serving(options, Path(folder)) as server:
            return _run(server, options)
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--store", choices=("sqlite", "mariadb"), default="sqlite")
    parser.add_argument("--users", type=int, default=2000)
    parser.add_argument("--clients", type=int, default=4, help="each has one connection")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=4, help="of each worker")
    parser.add_argument("--every", type=float, default=3.0, help="seconds between samples of memory")
    return parser.parse_args(arguments)


@contextmanager
def _serving(options: argparse.Namespace, folder: Path) -> Iterator[Server]:
    """``serve`` on all cores; the client shares them."""
    everywhere = os.sched_getaffinity(0)
    how = {"workers": options.workers, "threads": options.threads}
    with (
        store(options.store, everywhere) as settings,
        served(options.store, folder, everywhere, settings, **how) as server,
    ):
        yield server


def _run(server: Server, options: argparse.Namespace) -> int:
    record = Record()
    with closing(Client(server.target)) as client:
        directory = Directory(client, Traits(), "person")
        fill(directory, options.users, (), COMMITTEE)
        before = _sizes(client)
        samples = _soak(server, directory, record, options)
        after = _sizes(client)
    memory = Memory(samples)
    troubles = list(memory.troubles())
    if record.errors:
        troubles.append(f"{len(record.errors)} answers were wrong")
    if before != after:
        troubles.append(f"the directory had {before} users and groups, and has {after}")
    print(
        f"{options.store}, {options.workers} workers of {options.threads} threads, {options.clients} clients, "
        f"{options.users} users, {TEAMS} groups: {record.count:,} requests in {options.minutes:g} minutes, "
        f"{record.count / options.minutes / 60:.0f} a second\n\n{record.table()}\n\n{memory}"
    )
    print("\n".join(f"WRONG: {trouble}" for trouble in troubles) or "all well")
    return 1 if troubles else 0


def _soak(server: Server, directory: Directory, record: Record, options: argparse.Namespace) -> list[Sample]:
    until = time.monotonic() + options.minutes * 60
    clients = start(server.target, directory, record, options.clients, until)
    samples = []
    while time.monotonic() < until:
        samples.append(Sample(record.count, memory_of_children(server.pid)))
        time.sleep(min(options.every, max(0.0, until - time.monotonic())))
    wait_for(clients, record)
    return samples


def _sizes(client: Client) -> tuple[int, int]:
    """How many users and groups there are."""
    users, groups = (client.call("GET", f"/{kind}?count=0").json()["totalResults"] for kind in ("Users", "Groups"))
    return users, groups


if __name__ == "__main__":
    sys.exit(main())
