"""The servers that are compared: the same gunicorn, the same worker, pinned to the same core."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

TOKEN = "a-fixed-token-for-benchmarks-0123456789-abcdef"
ROOT = Path(__file__).parent.parent

APPLICATIONS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "floor": ("benchmarks.floor:create_app()", {"SCIM_GATEWAY_BACKEND": "memory"}),
    "memory": ("scim_gateway.app:create_app()", {"SCIM_GATEWAY_BACKEND": "memory"}),
    "sql": ("scim_gateway.app:create_app()", {"SCIM_GATEWAY_BACKEND": "sql"}),
}


@dataclass(frozen=True)
class Server:
    """A running server."""

    name: str
    port: int
    pid: int

    def cpu_seconds(self) -> float:
        """What it and its workers have computed so far."""
        ticks = 0
        for pid in [self.pid, *_children(self.pid)]:
            with suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def running(name: str, folder: Path, cores: Sequence[int]) -> Iterator[Server]:
    """Start one of :data:`APPLICATIONS`; it ends with the block."""
    application, settings = APPLICATIONS[name]
    port = _free_port()
    folder.mkdir(parents=True)
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("SCIM_GATEWAY_")}
    environ = {
        **inherited,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "backends")]),
        "SCIM_GATEWAY_TOKEN": TOKEN,
        "SCIM_GATEWAY_DATA_DIR": str(folder / "data"),
        **settings,
    }
    command = [
        *(sys.executable, "-m", "gunicorn", "-c", "python:scim_gateway.gunicorn_conf", "--bind", f"127.0.0.1:{port}"),
        *("--workers", "1", "--threads", "4", application),
    ]
    own_cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)  # a child begins where its parent is
    try:
        with (folder / "server.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                env=environ,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
    finally:
        os.sched_setaffinity(0, own_cores)
    try:
        _wait(process, port, folder)
        yield Server(name, port, process.pid)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/scim/v2/Users?count=1", headers={"Authorization": f"Bearer {TOKEN}"}
    )
    for _ in range(600):
        with suppress(urllib.error.URLError, OSError), urllib.request.urlopen(request, timeout=5):
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError((folder / "server.log").read_text("utf-8", "replace")[-4000:])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]
    except OSError:
        return []
