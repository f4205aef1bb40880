"""A double of the Engine or of the Portal in a process of its own, which counts what it is asked.

Started as ``python -m benchmarks.target_process``; ``tests/doubles`` has the doubles.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from servers.ports import free_port

from benchmarks.processes import started
from scim_gateway.bench.wire import BenchmarkError

ROOT = Path(__file__).parent.parent
ACCOUNT = "scim_gw"
KEY = "a-key-of-the-benchmarks-0123456789"
PRIVILEGES = "CREATE USER, ALTER USER, PROCESS, SHOW METADATA, GRANT OPTION"
_COUNTS = "counts.json"
_EVERY = 0.1
_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class TargetProcess:
    """A running double.

    :param folder: where it keeps its counts.
    """

    port: int
    folder: Path

    def counts(self) -> Counter[str]:
        """How often it was asked what so far: ``changes`` and ``reads``.

        :raises BenchmarkError: it has ended.
        """
        now, deadline = time.time(), time.monotonic() + _SECONDS
        while time.monotonic() < deadline:
            try:
                found = json.loads((self.folder / _COUNTS).read_text("ascii"))
            except FileNotFoundError:
                found = {"at": 0.0}
            if found.pop("at") > now:  # counted after everything that was answered before this call
                return Counter(found)
            time.sleep(_EVERY / 2)
        raise BenchmarkError(f"the double has ended:\n{(self.folder / 'server.log').read_text(errors='replace')}")


@contextmanager
def running_target(
    kind: str, folder: Path, on: Collection[int], *, latency: float = 0.0, members: int = 0
) -> Iterator[TargetProcess]:
    """A double on certain cores; it ends with the block.

    :param kind: ``engine`` or ``portal``.
    :param latency: milliseconds besides: of each change of the Engine, one after the other, as it does with account
        statements; of each call of the Portal, side by side.
    :param members: how many people are in the organization of the Portal already.
    """
    folder.mkdir(parents=True)
    port = free_port()
    command = [
        *(sys.executable, "-m", "benchmarks.target_process", kind, "--port", str(port)),
        *("--latency", str(latency), "--members", str(members)),
    ]
    paths = [str(ROOT), str(ROOT / "tests"), str(ROOT / "backends")]
    with started(command, {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}, folder, on):
        target = TargetProcess(port, folder)
        target.counts()  # there is something to count when it listens
        yield target


def member_address(number: int) -> str:
    """The address of somebody who is in the organization already."""
    return f"member.{number}@example.com"


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("engine", "portal"))
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--members", type=int, default=0)
    options = parser.parse_args()
    if options.kind == "engine":
        _engine(options.port, options.latency / 1000)
    else:
        _portal(options.port, options.latency / 1000, options.members)


def _engine(port: int, pause: float) -> None:
    from doubles.singlestore.api import Entry, SingleStoreDouble

    double = SingleStoreDouble("8.5")
    double.cluster.nodes[0].port = port
    double.execute(
        f"CREATE USER '{ACCOUNT}'@'%' IDENTIFIED BY '{KEY}'", f"GRANT {PRIVILEGES} ON *.* TO '{ACCOUNT}'@'%'"
    )

    counts = Counter(changes=0, reads=0)
    turn = threading.Lock()

    def count(entry: Entry) -> None:
        counts["changes" if entry.is_account_statement else "reads"] += 1
        if len(double.log) > 1000:
            double.log.clear()

    def take_time(_: Entry) -> None:
        with turn:
            time.sleep(pause)

    double.log.listeners.append(count)
    if pause:
        double.call_before(lambda entry: entry.is_account_statement, take_time, times=None)
    with double.running():
        _tell(counts)


def _portal(port: int, pause: float, members: int) -> None:
    from doubles.portal.server import PortalDouble

    counts = Counter(changes=0, reads=0)
    lock = threading.Lock()
    with PortalDouble(key=KEY, port=port) as double:
        for number in range(members):
            double.organization.add_member(member_address(number))

        def count(moment: str, method: str, path: str) -> None:
            if moment == "before":
                with lock:
                    counts["reads" if method == "GET" else "changes"] += 1
                time.sleep(pause)
                double.forget_calls()

        double.watch = count
        _tell(counts)


def _tell(counts: Counter[str]) -> None:
    """Write what was counted, again and again, whole each time."""
    while True:
        Path(f"{_COUNTS}.new").write_text(json.dumps({"at": time.time(), **counts}), "ascii")
        os.replace(f"{_COUNTS}.new", _COUNTS)
        time.sleep(_EVERY)


if __name__ == "__main__":
    main()
