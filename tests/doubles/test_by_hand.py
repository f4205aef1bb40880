"""The doubles that are started by hand, where their port is another's."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("module", "command"),
    [("doubles.singlestore", "make engine-double"), ("doubles.portal", "make portal-double")],
)
def test_a_port_that_is_taken_is_one_line_that_says_how_to_choose_another(module, command):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", module, "--port", str(port)],
            env={**os.environ, "PYTHONPATH": str(TESTS)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == f'Error: 127.0.0.1:{port} is in use; choose another port: {command} ARGS="--port PORT"\n'
