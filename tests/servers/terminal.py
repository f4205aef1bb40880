"""A terminal for a program under test, which behaves differently when nobody is watching."""

from __future__ import annotations

import os
import pty
import threading
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
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def handed_over(self) -> None:
        """The program has it now, and the text ends when the last process that has it does."""
        os.close(self.end)

    def close(self) -> None:
        """Wait for the end of the text."""
        self._reader.join(30)
        os.close(self._screen)

    def _read(self) -> None:
        # Linux says by an error that nobody has the other end any more.
        with self._file.open("ab", buffering=0) as file, suppress(OSError):
            while text := os.read(self._screen, 65536):
                file.write(text.replace(b"\r\n", b"\n"))
