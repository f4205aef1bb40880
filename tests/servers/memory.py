"""Where tests keep their files: in memory where there is enough of it, so that no test waits for a disk.

What the code under test flushes is flushed as before; a process that is killed loses none of it either way.
"""

from __future__ import annotations

import contextlib
import os
import shutil

MEMORY = "/dev/shm"


def folder_in_memory(room: int) -> str | None:
    """The folder of a file system in memory with more than this many bytes free, or None where there is none."""
    with contextlib.suppress(OSError):  # it is not there
        if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > room:
            return MEMORY
    return None
