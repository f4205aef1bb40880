"""What a server and its children use: CPU time and memory, as Linux counts them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """A process and all that it has started."""
    found = [pid]
    for parent in found:
        with suppress(OSError):  # it has ended meanwhile
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text("ascii").split()]
    return found


def cpu_seconds(pids: Iterable[int]) -> float:
    """What processes and their children have computed so far."""
    ticks = 0
    for pid in pids:
        for each in family(pid):
            with suppress(OSError):  # it has ended meanwhile
                fields = Path(f"/proc/{each}/stat").read_text("ascii").rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS


def memory(pid: int) -> tuple[float, float]:
    """Resident memory of the largest process of a family: now, and the most since :func:`forget_peak`; in MiB."""
    return max(_memories(family(pid)).values(), default=(0.0, 0.0))


def memory_of_children(pid: int) -> dict[int, float]:
    """Resident memory now of each process that one has started, such as gunicorn's workers; in MiB."""
    return {each: now for each, (now, _) in _memories(family(pid)[1:]).items()}


def _memories(pids: Iterable[int]) -> dict[int, tuple[float, float]]:
    found = {}
    for pid in pids:
        # A process that ends meanwhile has no file, or one without these lines.
        with suppress(OSError, KeyError):
            lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
            now, peak = (int(lines[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
            found[pid] = now, peak
    return found


def forget_peak(pid: int) -> None:
    """Begin to look for the peak of memory anew."""
    for each in family(pid):
        with suppress(OSError):  # it has ended meanwhile
            Path(f"/proc/{each}/clear_refs").write_text("5")


def cores() -> tuple[Collection[int], Collection[int]]:
    """Cores for the client and for the servers; on a machine with one core they share it."""
    every = sorted(os.sched_getaffinity(0))
    return (every[1:2], every[:1]) if len(every) > 1 else (every, every)


@contextmanager
def pinned(on: Collection[int]) -> Iterator[None]:
    """Keep to certain cores for the time of the block; what is started meanwhile stays there."""
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, on)
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)


@contextmanager
def started(
    command: Sequence[str], environ: Mapping[str, str], folder: Path, on: Collection[int]
) -> Iterator[subprocess.Popen[bytes]]:
    """A process on certain cores, with its output in ``server.log``; it ends with the block."""
    with pinned(on), (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            list(command),
            env=dict(environ),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):  # it has ended meanwhile
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):  # it has ended meanwhile
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
