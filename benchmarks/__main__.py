"""``python -m benchmarks``: the gateway against a bare Flask route and against other SCIM servers."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import report
from benchmarks.processes import cores
from benchmarks.results import Results
from benchmarks.rounds import Contest, Options
from benchmarks.servers import KINDS
from scim_gateway.bench.wire import BenchmarkError
from scim_gateway.bench.workloads import all_workloads

KEPT = Path(__file__).parent / "results.json"
SCRATCH = Path(tempfile.gettempdir()) / "scim-gateway-benchmark-peers"
_PRIORITY = -15
OWN = tuple(name for name, kind in KINDS.items() if not kind.peer)


def main() -> int:
    """Measure, print, and with ``--write`` keep."""
    options = _options()
    kept = Results.load(KEPT) if KEPT.exists() else Results()
    if options.render:
        report.write(kept)
        return 0
    workloads = [each for each in all_workloads() if not options.only or each.name in options.only]
    if not workloads:
        names = ", ".join(each.name for each in all_workloads())
        print(f"There is no such workload; there are: {names}.", file=sys.stderr)
        return 2
    theirs = _take_own_core()
    with suppress(PermissionError):
        # Where that is allowed, whatever else is running on the machine has to wait.
        os.setpriority(os.PRIO_PROCESS, 0, _PRIORITY)
    results = Results(_machine(options.rounds, options.seconds))
    amount = Options(options.rounds, options.seconds, options.committee, options.fill_seconds)
    with tempfile.TemporaryDirectory(prefix="scim-benchmark-") as folder:
        for users in options.users:
            try:
                Contest(users, results, amount, theirs, options.scratch).run(options.servers, workloads, Path(folder))
            except BenchmarkError as error:
                print(error, file=sys.stderr)
                return 1
    results.machine["load when done"] = " ".join(f"{load:.2f}" for load in os.getloadavg())
    print(report.text(results))
    if options.write:
        kept.merge(results)
        kept.save(KEPT)
        report.write(kept)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--full", action="store_true", help="three sizes and all peers; an hour and more")
    parser.add_argument("--users", type=_numbers, help="numbers of users, comma-separated (1000; 1000,10000,100000)")
    parser.add_argument("--servers", type=_names, help=f"of {', '.join(KINDS)}, comma-separated")
    parser.add_argument("--only", action="append", help="a workload by its name; may be repeated")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, help="of each measurement (0.5; with --full 1)")
    parser.add_argument("--committee", type=int, default=200, help="people who are in 50 groups")
    parser.add_argument(
        "--fill-seconds", type=float, default=900.0, help="the longest that a peer may take to be filled"
    )
    parser.add_argument("--scratch", type=Path, default=SCRATCH, help="where environments of peers are made")
    parser.add_argument("--write", action="store_true", help=f"keep the results, in {KEPT.name} and {report.PAGE.name}")
    parser.add_argument("--render", action="store_true", help="make the page from the kept results, measure nothing")
    options = parser.parse_args()
    options.users = options.users or ([1_000, 10_000, 100_000] if options.full else [1_000])
    options.servers = options.servers or (list(KINDS) if options.full else list(OWN))
    options.seconds = options.seconds or (1.0 if options.full else 0.5)
    unknown = set(options.servers) - KINDS.keys()
    if unknown:
        parser.error(f"there is no server {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
    return options


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _names(text: str) -> list[str]:
    return text.split(",")


def _take_own_core() -> list[int]:
    """Keep this process, the client, to one core; the others are for the servers."""
    own, theirs = cores()
    os.sched_setaffinity(0, own)
    return list(theirs)


def _machine(rounds: int, seconds: float) -> dict[str, str]:
    return {
        "measured": datetime.now(UTC).date().isoformat(),
        "Python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "medians of": f"{rounds} interleaved rounds of {seconds:g} s, 4 connections",
        "import scim_gateway.app": f"{_import_seconds():.2f} s",
        "load when begun": " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }


def _import_seconds() -> float:
    """How long a new interpreter takes to import everything that serves."""
    code = "import time; began = time.perf_counter(); import scim_gateway.app; print(time.perf_counter() - began)"
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


if __name__ == "__main__":
    sys.exit(main())
