"""``python -m benchmarks``: the hot path of the gateway against a bare Flask route, as a table of text."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import platform
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.client import Client, new_user, operations, prepare
from benchmarks.servers import APPLICATIONS, running

USERS = 1000
Results = dict[tuple[str, str], list[tuple[float, float]]]


def main() -> int:
    """Start the servers, measure in turns, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.6, help="of each measurement")
    parser.add_argument("--output", type=Path, help="write the table to a file as well")
    options = parser.parse_args()

    own, theirs = _cores()
    os.sched_setaffinity(0, own)
    results: Results = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        clients, requests = {}, {}
        for name in APPLICATIONS:
            server = stack.enter_context(running(name, Path(folder) / name, theirs))
            clients[name] = client = Client(server)
            stack.callback(client.close)
            numbers = itertools.count()
            requests[name] = operations(_fill(client, numbers), numbers)
        names = list(requests["floor"])
        for number in range(options.rounds):
            for operation in names:
                # In turns and in changing order: what disturbs the machine disturbs all alike.
                order = list(APPLICATIONS)[number % 3 :] + list(APPLICATIONS)[: number % 3]
                for name in order:
                    prepared, status = requests[name][operation]
                    results[operation, name].append(clients[name].measure(prepared, status, options.seconds))
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
    text = table(names, results, options.rounds)
    print(text)
    if options.output:
        options.output.write_text(text + "\n", encoding="utf-8")
    return 0


def table(names: Sequence[str], results: Results, rounds: int) -> str:
    """Medians of the rounds; the share of the floor that is left, and what each request costs on top of it."""
    machine = f"Python {platform.python_version()}, {platform.machine()}"
    lines = [
        f"Median of {rounds} rounds; 1 worker of 4 threads, 4 connections, {USERS} users; {machine}.",
        "req/s: requests a second; cpu: CPU time of the server for one request; of floor: rate against the bare route.",
        "",
        f"{'':14}{'floor':>18}{'memory':>28}{'sql':>28}",
        f"{'':14}{'req/s':>9}{'cpu µs':>9}" + f"{'req/s':>10}{'cpu µs':>9}{'of floor':>9}" * 2,
    ]
    for operation in names:
        cells = [f"{operation:14}"]
        floor = statistics.median(rate for rate, _ in results[operation, "floor"])
        for name in APPLICATIONS:
            rate = statistics.median(rate for rate, _ in results[operation, name])
            cpu = statistics.median(cpu for _, cpu in results[operation, name])
            width = 9 if name == "floor" else 10
            cells.append(f"{rate:{width}.0f}{cpu * 1e6:9.0f}")
            if name != "floor":
                cells.append(f"{rate / floor:9.0%}")
        lines.append("".join(cells))
    return "\n".join(lines)


def _fill(client: Client, numbers: Iterator[int]) -> list[str]:
    """Make the users; their ids."""
    bodies = (client.call(prepare("POST", "/Users", new_user(next(numbers))), 201) for _ in range(USERS))
    return [json.loads(body)["id"] for body in bodies]


def _cores() -> tuple[list[int], list[int]]:
    """Cores for the client and for the server; on a machine with one core they share it."""
    cores = sorted(os.sched_getaffinity(0))
    return (cores[1:2], cores[:1]) if len(cores) > 1 else (cores, cores)


if __name__ == "__main__":
    sys.exit(main())
