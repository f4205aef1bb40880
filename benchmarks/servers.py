"""The servers that are compared: one worker each, pinned to the same core, and how each of them is started."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from servers.ports import free_port

from benchmarks import environments, floor
from benchmarks.processes import cpu_seconds, forget_peak, memory, pinned, started
from scim_gateway.bench.directory import Traits
from scim_gateway.bench.wire import BenchmarkError, Connection, Reply, Target

if TYPE_CHECKING:
    from servers.mariadb import MariaDb

TOKEN = "a-fixed-token-for-benchmarks-0123456789-abcdef"
ROOT = Path(__file__).parent.parent
WORKER = ("--workers", "1", "--threads", "4")
_SECONDS = 60.0


@dataclass(frozen=True)
class Server:
    """A running server.

    :param pid: of its main process.
    :param beside: processes whose work counts as its own, such as that of its database.
    """

    name: str
    target: Target
    pid: int
    beside: tuple[int, ...] = ()

    def cpu(self) -> float:
        """Seconds that it has computed so far, its database included."""
        return cpu_seconds((self.pid, *self.beside))

    def memory(self) -> tuple[float, float]:
        """Its resident memory, and the peak, in MiB."""
        return memory(self.pid)

    def forget_peak(self) -> None:
        """Look for the peak anew."""
        forget_peak(self.pid)


@dataclass(frozen=True)
class Kind:
    """How a server is started, and what it does differently.

    :param start: makes the server in a folder, on certain cores; the last argument is for environments of peers.
    """

    start: Callable[[str, Path, Collection[int], Path], Iterator[Server]]
    traits: Traits = field(default_factory=Traits)
    peer: bool = False


@contextmanager
def running(name: str, folder: Path, on: Collection[int], scratch: Path) -> Iterator[Server]:
    """Start one of :data:`KINDS`; it ends with the block.

    :raises BenchmarkError: it does not start.
    """
    folder.mkdir(parents=True)
    with contextmanager(KINDS[name].start)(name, folder, on, scratch) as server:
        yield server


@contextmanager
def running_floor(folder: Path, answers: Mapping[str, tuple[str, Reply]], on: Collection[int]) -> Iterator[Server]:
    """The floor, with these answers."""
    folder.mkdir(parents=True)
    floor.write_answers(folder / "answers.json", answers)
    settings = {floor.BYTES: str(folder / "answers.json"), "SCIM_GATEWAY_BACKEND": "memory"}
    with _gunicorn("floor", "benchmarks.floor:create_app()", folder, on, settings, base="", ready=None) as server:
        yield server


def _gateway(settings: Mapping[str, str]) -> Callable[[str, Path, Collection[int], Path], Iterator[Server]]:
    def start(name: str, folder: Path, on: Collection[int], _scratch: Path) -> Iterator[Server]:
        with _gunicorn(name, "scim_gateway.app:create_app()", folder, on, settings) as server:
            yield server

    return start


def _on_mariadb(*, beside_client: bool) -> Callable[[str, Path, Collection[int], Path], Iterator[Server]]:
    """The SQL store on a MariaDB of its own; what that computes is counted as part of the cost.

    :param beside_client: it is on the core of the client, as a database is on another machine; or on the gateway's.
    """

    def start(name: str, folder: Path, on: Collection[int], _scratch: Path) -> Iterator[Server]:
        with (
            database(os.sched_getaffinity(0) if beside_client else on) as mariadb,
            _gunicorn(name, "scim_gateway.app:create_app()", folder, on, on_database(mariadb)) as server,
        ):
            yield Server(name, server.target, server.pid, (mariadb.pid,))

    return start


@contextmanager
def database(on: Collection[int]) -> Iterator[MariaDb]:
    """A MariaDB on certain cores; it ends with the block.

    :raises BenchmarkError: it is not installed.
    """
    from servers.mariadb import INSTALL, program, running_mariadb

    if program("mariadbd") is None:
        raise BenchmarkError(INSTALL)
    with ExitStack() as stack:
        with pinned(on):
            mariadb = stack.enter_context(running_mariadb())
        yield mariadb


@contextmanager
def store(kind: str, on: Collection[int]) -> Iterator[Mapping[str, str]]:
    """Settings of a gateway with its directory in a file (``sqlite``), or on a server of its own (``mariadb``).

    :raises BenchmarkError: it is not installed.
    """
    if kind == "sqlite":
        yield {"SCIM_GATEWAY_BACKEND": "sql"}
    else:
        with database(on) as mariadb:
            yield on_database(mariadb)


def on_database(mariadb: MariaDb) -> Mapping[str, str]:
    """Settings of a gateway in a new database of a server."""
    return {
        "SCIM_GATEWAY_BACKEND": "sql",
        "SCIM_GATEWAY_DATABASE_URL": mariadb.url(mariadb.new_database()),
        "SCIM_GATEWAY_DATABASE_TLS": "off",
    }


@contextmanager
def served(
    name: str, folder: Path, on: Collection[int], settings: Mapping[str, str], *, workers: int, threads: int
) -> Iterator[Server]:
    """``scim-gateway serve``, as an operator starts it; it ends with the block.

    :raises BenchmarkError: it does not start.
    """
    port = free_port()
    command = [
        *(sys.executable, "-c", "from scim_gateway.cli import main; main()", "serve"),
        *("--bind", f"127.0.0.1:{port}", "--workers", str(workers), "--threads", str(threads)),
    ]
    with started(command, _gateway_environ(folder, settings), folder, on) as process:
        target = Target("127.0.0.1", port, "/scim/v2", TOKEN)
        _wait(target, "/Users?count=1", folder, process.poll)
        yield Server(name, target, process.pid)


@contextmanager
def _gunicorn(
    name: str,
    application: str,
    folder: Path,
    on: Collection[int],
    settings: Mapping[str, str],
    *,
    base: str = "/scim/v2",
    ready: str | None = "/Users?count=1",
) -> Iterator[Server]:
    """An application behind the gateway's own gunicorn configuration."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "gunicorn", "-c", "python:scim_gateway.gunicorn_conf"),
        *("--bind", f"127.0.0.1:{port}", *WORKER, application),
    ]
    with started(command, _gateway_environ(folder, settings), folder, on) as process:
        target = Target("127.0.0.1", port, base, TOKEN)
        _wait(target, ready, folder, process.poll)
        yield Server(name, target, process.pid)


def _scim2_server(name: str, folder: Path, on: Collection[int], scratch: Path) -> Iterator[Server]:
    python = environments.python_of(name, scratch)
    application = "benchmarks.peers.scim2_server_app:create_app()"
    yield from _peer(name, folder, on, _peer_gunicorn(python, application), {"PYTHONPATH": str(ROOT)}, base="")


def _django_scim2(name: str, folder: Path, on: Collection[int], scratch: Path) -> Iterator[Server]:
    python = environments.python_of(name, scratch)
    settings = {"PYTHONPATH": str(environments.PEERS), "BENCHMARK_DATABASE": str(folder / "directory.sqlite3")}
    yield from _peer(name, folder, on, _peer_gunicorn(python, "django_peer.wsgi:create_app()"), settings)


def _scimmy(name: str, folder: Path, on: Collection[int], scratch: Path) -> Iterator[Server]:
    program = environments.node_folder(name, scratch) / "server.mjs"
    yield from _peer(name, folder, on, ["node", "--max-old-space-size=8192", str(program)], {})


def _peer_gunicorn(python: Path, application: str) -> list[str]:
    """The same worker class, without what is the gateway's own."""
    options = ("--worker-class", "gthread", "--keep-alive", "75", "--timeout", "600", "--worker-tmp-dir", "/dev/shm")
    return [str(python), "-m", "gunicorn", *options, *WORKER, application]


def _peer(
    name: str,
    folder: Path,
    on: Collection[int],
    command: list[str],
    settings: Mapping[str, str],
    base: str = "/scim/v2",
) -> Iterator[Server]:
    port = free_port()
    environ = {**_inherited(), "BENCHMARK_TOKEN": TOKEN, "BENCHMARK_PORT": str(port), **settings}
    if "gunicorn" in command:
        command = [*command[:-1], "--bind", f"127.0.0.1:{port}", command[-1]]
    with started(command, environ, folder, on) as process:
        target = Target("127.0.0.1", port, base, TOKEN)
        _wait(target, "/Users?count=1", folder, process.poll)
        yield Server(name, target, process.pid)


KINDS: Mapping[str, Kind] = {
    "memory": Kind(_gateway({"SCIM_GATEWAY_BACKEND": "memory"})),
    "sqlite": Kind(_gateway({"SCIM_GATEWAY_BACKEND": "sql"})),
    "mariadb": Kind(_on_mariadb(beside_client=True)),
    "mariadb-one-core": Kind(_on_mariadb(beside_client=False)),
    "scim2-server": Kind(_scim2_server, peer=True),
    "scimmy": Kind(_scimmy, peer=True),
    "django-scim2": Kind(_django_scim2, Traits(members_in_body=False, leaves_by_value=True), peer=True),
}


def _gateway_environ(folder: Path, settings: Mapping[str, str]) -> Mapping[str, str]:
    return {
        **_inherited(),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "backends")]),
        "SCIM_GATEWAY_TOKEN": TOKEN,
        "SCIM_GATEWAY_DATA_DIR": str(folder / "data"),
        **settings,
    }


def _inherited() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith(("SCIM_GATEWAY_", "DJANGO_"))}


def _wait(target: Target, path: str | None, folder: Path, ended: Callable[[], int | None]) -> None:
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline and ended() is None:
        try:
            connection = Connection(target)
            try:
                if path is None or connection.exchange(target.request("GET", path)).status == 200:
                    return
            finally:
                connection.close()
        except BenchmarkError:
            pass
        time.sleep(0.05)
    with ExitStack() as stack:
        log = stack.enter_context((folder / "server.log").open(errors="replace")).read()
    raise BenchmarkError(f"the server does not start:\n{log[-4000:]}")
