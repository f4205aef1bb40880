"""Threads of a worker of the server share one arena of the C library's memory."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

ARENAS = """
import ctypes, sys, threading
from scim_gateway.config import load
from scim_gateway.serve import options

if sys.argv[2] == "one":
    options(load({}))["post_fork"](None, None)  # as gunicorn does in each worker
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
all_there = threading.Barrier(4)

def take() -> None:
    libc.malloc(100_000)
    all_there.wait()

threads = [threading.Thread(target=take) for _ in range(4)]
for each in threads:
    each.start()
for each in threads:
    each.join()
file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""


def arenas(folder: Path, which: str) -> int:
    """How many arenas a process has whose threads have all taken memory."""
    told = folder / "malloc.xml"
    environ = {name: value for name, value in os.environ.items() if name != "MALLOC_ARENA_MAX"}
    subprocess.run([sys.executable, "-c", ARENAS, str(told), which], check=True, env=environ)
    return told.read_text().count("<heap nr=")


pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no arenas")


def test_threads_of_a_worker_share_one_arena(tmp_path: Path) -> None:
    assert arenas(tmp_path, "many") > 1
    assert arenas(tmp_path, "one") == 1
