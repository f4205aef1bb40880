"""A terminal for a program under test, which behaves differently when nobody is watching."""

from __future__ import annotations

import os
import pty
import select
import threading
import time
from contextlib import suppress
from pathlib import Path


class Terminal:
    """A pseudo-terminal whose text is written to a file.

    Attributes:
        end: what the program gets as its standard output; closed here when it has been handed over.
    """

    def __init__(self, file: Path) -> None:
        self._screen, self.end = pty.openpty()
        self._file = file
        self._lock = threading.Lock()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def handed_over(self) -> None:
        """The program has it now, and the text ends when the last process that has it does."""
        os.close(self.end)

    def catch_up(self) -> None:
        """Wait until all that was written before is in the file."""
        while self._reader.is_alive():
            with self._lock:
                if not self._has_text(0):
                    return
            time.sleep(0.001)

    def close(self) -> None:
        """Wait for the end of the text."""
        self._reader.join(30)
        os.close(self._screen)

    def _has_text(self, seconds: float | None) -> bool:
        return bool(select.select([self._screen], [], [], seconds)[0])

    def _read(self) -> None:
        # Linux says by an error that nobody has the other end any more.
        with self._file.open("ab", buffering=0) as file, suppress(OSError):
            while self._has_text(None):
                with self._lock:
                    file.write(os.read(self._screen, 65536).replace(b"\r\n", b"\n"))
