"""Where the gateway listens, and what it says of that and of the token, as an administrator sees it."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from servers.ports import free_port

from scim_gateway.app import load_backend
from scim_gateway.cli import main
from scim_gateway.config import ConfigurationError, load
from scim_gateway.serve import prepare
from scim_gateway.tokens import new_token

SERVE = ("-c", "from scim_gateway.cli import main; main()", "serve")
GUNICORN = ("-m", "gunicorn", "-c", "python:scim_gateway.gunicorn_conf", "scim_gateway.app:create_app()")
TOKEN = "0123456789abcdef0123456789abcdef"


def environment(folder: Path, **more: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
        "HOME": str(folder),
        "SCIM_GATEWAY_DATA_DIR": str(folder / "data"),
        "SCIM_GATEWAY_WORKERS": "1",
        **more,
    }


@contextlib.contextmanager
def started(
    folder: Path,
    arguments: Sequence[str],
    environ: Mapping[str, str],
    connect: Callable[[], socket.socket],
    **more: object,
) -> Iterator[Path]:
    """A gateway that answers; gives the file of what it says."""
    output = folder / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, *arguments], cwd=folder, env=environ, stdout=file, stderr=subprocess.STDOUT, **more
        )
    try:
        deadline = time.monotonic() + 90
        while not answers(connect):
            assert process.poll() is None, output.read_text()
            assert time.monotonic() < deadline, output.read_text()
            time.sleep(0.05)
        yield output
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
    assert code == 0, output.read_text()


def answers(connect: Callable[[], socket.socket]) -> bool:
    with contextlib.suppress(OSError, http.client.HTTPException):
        connection = http.client.HTTPConnection("localhost", timeout=30)
        with contextlib.closing(connection):
            connection.sock = connect()
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
    return False


def to_port(port: int, host: str = "127.0.0.1") -> Callable[[], socket.socket]:
    return lambda: socket.create_connection((host, port), timeout=30)


@pytest.mark.parametrize("program", ["serve", "gunicorn"])
def test_a_port_in_use_is_said_in_one_line_before_anything_is_made(tmp_path, program):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        command = [sys.executable, *(SERVE if program == "serve" else GUNICORN), "--bind", bind]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, timeout=90, check=False
        )
    said = [line for line in done.stderr.splitlines() if " [INFO] " not in line]
    assert said == [f"Error: {bind} is in use; stop what listens there, or give another address: --bind HOST:PORT"]
    assert (done.returncode, done.stdout) == (1, "")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("bind", "line"),
    [
        ("192.0.2.1:8000", "192.0.2.1:8000 is no address of this machine; give one that is: --bind HOST:PORT"),
        ("[2001:db8::1]:8000", "[2001:db8::1]:8000 is no address of this machine; give one that is: --bind HOST:PORT"),
        (f"{'x' * 64}:8000", f"{'x' * 64}:8000 cannot be listened on: "),
        (f"{'ü' * 64}:8000", f"'{'ü' * 64}' is no name of a machine; give another address: --bind HOST:PORT"),
    ],
)
def test_an_address_that_cannot_be_listened_on_is_said_in_one_line(tmp_path, bind, line):
    if bind.startswith("[") and not ipv6():
        pytest.skip("this machine has no IPv6")
    result = CliRunner().invoke(main, ["serve", "--bind", bind], obj={"SCIM_GATEWAY_DATA_DIR": str(tmp_path / "data")})
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: {line}")
    assert result.output.count("\n") == 1
    assert not (tmp_path / "data").exists()


def ipv6() -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


def test_a_unix_socket_serves_though_one_was_left_there(tmp_path):
    path = tmp_path / "scim.sock"
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(path))

    def connect() -> socket.socket:
        one = socket.socket(socket.AF_UNIX)
        one.settimeout(30)
        try:
            one.connect(str(path))
        except OSError:
            one.close()
            raise
        return one

    with started(tmp_path, [*GUNICORN, "--bind", f"unix:{path}"], environment(tmp_path), connect) as output:
        assert f"listening on unix:{path}\n" in output.read_text()


@pytest.mark.skipif(not ipv6(), reason="this machine has no IPv6")
def test_an_address_of_ipv6_serves(tmp_path):
    port = free_port()
    with started(tmp_path, [*SERVE, "--bind", f"[::1]:{port}"], environment(tmp_path), to_port(port, "::1")) as output:
        assert f"listening on [::1]:{port}\n" in output.read_text()


def test_a_socket_that_was_opened_by_somebody_else_serves(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as opened:
        number, port = opened.fileno(), opened.getsockname()[1]
        arguments = [*GUNICORN, "--bind", f"fd://{number}"]
        with started(tmp_path, arguments, environment(tmp_path), to_port(port), pass_fds=[number]) as output:
            assert f"listening on fd://{number}\n" in output.read_text()


def test_a_port_that_is_shared_on_purpose_serves(tmp_path):
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        arguments = [*GUNICORN, "--reuse-port", "--bind", f"127.0.0.1:{port}"]
        with started(tmp_path, arguments, environment(tmp_path), to_port(port)) as output:
            assert f"SCIM connector base URL: http://127.0.0.1:{port}/scim/v2\n" in output.read_text()


@pytest.mark.parametrize("program", ["serve", "gunicorn"])
def test_where_the_output_is_kept_no_token_is_made_and_the_command_that_is_told_makes_one(tmp_path, program):
    port, environ = free_port(), environment(tmp_path)
    arguments = [*(SERVE if program == "serve" else GUNICORN), "--bind", f"127.0.0.1:{port}"]
    with started(tmp_path, arguments, environ, to_port(port)) as output:
        said = output.read_text()
        assert "scimgw_" not in said
        assert "Authorization: the token that you make, see below" in said
        told = re.search(r"^    (cd .* token create okta)$", said, re.MULTILINE)[1]
        assert told.startswith(f"cd {shlex.quote(str(tmp_path))} && ")
        command = told.split(" && ")[1]
        arguments = [sys.executable, *SERVE[:2], *shlex.split(command)[1:]]
        made = subprocess.run(arguments, cwd=tmp_path, env=environ, capture_output=True, text=True, check=True)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        with contextlib.closing(connection):
            connection.request("GET", "/scim/v2/Users", headers={"Authorization": made.stdout.strip()})
            assert connection.getresponse().status == 200, "the gateway that is running takes it"


def test_gunicorns_look_at_the_configuration_makes_no_token(tmp_path):
    command = [sys.executable, *GUNICORN, "--check-config"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    settings = load({"SCIM_GATEWAY_DATA_DIR": str(tmp_path / "data")})
    assert "There is no token" in "".join(prepare(settings, terminal=False).lines)


def test_expired_tokens_are_no_tokens(tmp_path):
    settings = load({"SCIM_GATEWAY_DATA_DIR": str(tmp_path / "data")})
    backend = load_backend("sql").from_settings(settings, settings.resource_types)
    yesterday = datetime.now(UTC) - timedelta(days=1)
    backend.tokens.add(new_token("okta", expires=yesterday)[1])
    said = "\n".join(prepare(settings).lines)
    assert "The only token has expired, so nobody is let in." in said
    assert "shown when it was made" not in said
    assert "token create okta" in said
    assert "scimgw_" not in said, "that a token ends was meant so: none follows by itself"
    backend.tokens.add(new_token("next")[1])
    assert "shown when it was made" in "\n".join(prepare(settings).lines)
    backend.close()


def test_a_token_that_only_the_process_would_know_is_not_made_where_nobody_could_see_it():
    settings = load({"SCIM_GATEWAY_BACKEND": "memory"})
    with pytest.raises(ConfigurationError, match="set SCIM_GATEWAY_TOKEN or SCIM_GATEWAY_TOKEN_FILE"):
        prepare(settings, terminal=False)
    assert "scimgw_" in "".join(prepare(settings, terminal=True).lines)
    fixed = load({"SCIM_GATEWAY_BACKEND": "memory", "SCIM_GATEWAY_TOKEN": TOKEN})
    assert TOKEN not in "".join(prepare(fixed, terminal=False).lines)


def test_the_command_that_makes_a_token_names_the_configuration_file_and_what_else_leads_to_the_directory(tmp_path):
    file = tmp_path / "the gateway.toml"
    file.write_text(f'data_dir = "{tmp_path / "data"}"\n')
    settings = load({"SCIM_GATEWAY_CONFIG": str(file), "SCIM_GATEWAY_TENANT": "acme"})
    said = "\n".join(prepare(settings, terminal=False).lines)
    assert f"scim-gateway --config '{file}' token create okta" in said
    assert "as the gateway's account, with SCIM_GATEWAY_TENANT in its environment as here;" in said
