"""A gateway as an administrator runs it: ``scim-gateway serve`` in processes of its own, on a port of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from scim_http import ScimClient
from servers.ports import free_port
from servers.terminal import Terminal

TOKEN = "a-fixed-token-for-live-tests-0123456789-abcdef"
START_SECONDS = 90.0


class GatewayProcess:
    """One gateway over a folder of its own; it can be killed and started again.

    :param terminal: whether its standard output is a terminal.
    """

    def __init__(
        self,
        folder: Path,
        backend: str,
        *,
        workers: int = 2,
        threads: int = 4,
        token: str | None = TOKEN,
        terminal: bool = False,
        **settings: str,
    ) -> None:
        self.folder = folder
        self.backend = backend
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}/scim/v2"
        self.log = folder / "gateway.log"
        self._command = [
            *(sys.executable, "-c", "from scim_gateway.cli import main; main()", "serve"),
            *("--bind", f"127.0.0.1:{self.port}", "--workers", str(workers), "--threads", str(threads)),
        ]
        self._settings = {
            "SCIM_GATEWAY_BACKEND": backend,
            "SCIM_GATEWAY_DATA_DIR": str(folder / "data"),
            **({} if token is None else {"SCIM_GATEWAY_TOKEN": token}),
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._on_terminal = terminal
        self._terminal: Terminal | None = None

    def start(self) -> None:
        """Start, and wait until it answers."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SCIM_GATEWAY_")}
        environ: Mapping[str, str] = {
            **inherited,
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            **self._settings,
        }
        with self.log.open("ab") as log:
            self._terminal = Terminal(self.log) if self._on_terminal else None
            self._process = subprocess.Popen(
                self._command,
                env=environ,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=self._terminal.end if self._terminal else log,
                stderr=log,
                start_new_session=True,
            )
            if self._terminal:
                self._terminal.handed_over()
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"the gateway did not start:\n{self.output[-4000:]}")
            time.sleep(0.05)

    @property
    def pid(self) -> int:
        """The process that the administrator started."""
        assert self._process is not None
        return self._process.pid

    @property
    def workers(self) -> list[int]:
        """The processes that serve requests."""
        return list(_descendants(self.pid))

    @property
    def output(self) -> str:
        """All that it has written to its terminal."""
        if self._terminal is not None:
            self._terminal.catch_up()
        return self.log.read_text("utf-8", "replace")

    def client(self, token: str = TOKEN) -> ScimClient:
        """A client of its own, for one thread."""
        return ScimClient(self.base_url, token=token)

    def kill(self) -> None:
        """SIGKILL to all its processes at once, as a power cut would be to them."""
        if self._process is not None:
            # Its own session and group: nothing but what was started here is in it.
            with suppress(ProcessLookupError):  # all have ended
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        if self._terminal is not None:
            self._terminal.close()
            self._terminal = None

    def stop(self, timeout: float = 40.0) -> int:
        """SIGTERM, as a service manager sends it; returns the exit code."""
        assert self._process is not None
        self._process.terminate()
        try:
            return self._process.wait(timeout)
        finally:
            self.kill()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


@contextmanager
def serving(folder: Path, backend: str, **options: Any) -> Iterator[GatewayProcess]:
    """A running gateway; its processes end with the block."""
    folder.mkdir(parents=True, exist_ok=True)
    gateway = GatewayProcess(folder, backend, **options)
    try:
        gateway.start()
        yield gateway
    finally:
        gateway.kill()


def _descendants(pid: int) -> Iterator[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    except OSError:
        return
    for child in map(int, children):
        yield child
        yield from _descendants(child)
