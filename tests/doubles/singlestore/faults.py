"""What a test lets go wrong: a statement that fails, hangs, or loses its connection before or after its effect."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from .errors import EngineError
from .statement_log import Entry

Kind = Literal["fail", "hang", "cut before", "cut after", "call before", "call after"]


class Cut(Exception):
    """The connection ends here, without an answer."""


@dataclass(eq=False)
class Fault:
    """Something that happens to statements that fit.

    Attributes:
        skip: so many that fit pass unharmed first.
        times: so many are hit then; None is all.
        hits: how many were hit.
        reached: set at the first hit.
    """

    kind: Kind
    fits: Callable[[Entry], bool]
    skip: int = 0
    times: int | None = 1
    error: EngineError | None = None
    call: Callable[[Entry], object] | None = None
    hits: int = 0
    reached: threading.Event = field(default_factory=threading.Event)
    _waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = field(default_factory=list)
    _released: bool = False

    def applies(self, entry: Entry) -> bool:
        """Whether ``entry`` is hit; counts."""
        if self.times is not None and self.hits >= self.times:
            return False
        if not self.fits(entry):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.hits += 1
        self.reached.set()
        return True

    async def before(self, entry: Entry) -> None:
        """What happens ahead of the effect."""
        if self.kind == "fail":
            assert self.error is not None
            raise self.error
        if self.kind == "cut before":
            entry.outcome = "cut before"
            raise Cut
        if self.kind == "hang" and not self._released:
            event = asyncio.Event()
            self._waiting.append((asyncio.get_running_loop(), event))
            await event.wait()
        if self.kind == "call before":
            await self._call(entry)

    async def after(self, entry: Entry) -> None:
        """What happens between the effect and the answer."""
        if self.kind == "cut after":
            entry.outcome = "cut after"
            raise Cut
        if self.kind == "call after":
            await self._call(entry)

    async def _call(self, entry: Entry) -> None:
        # In a thread of its own, so that it can send statements to the double itself.
        assert self.call is not None
        await asyncio.get_running_loop().run_in_executor(None, self.call, entry)

    def wait(self, timeout: float = 10.0) -> None:
        """Wait until the first statement is hit.

        Raises:
            TimeoutError: none was within ``timeout`` seconds.
        """
        if not self.reached.wait(timeout):
            raise TimeoutError("no statement fitted the fault")

    def release(self) -> None:
        """Let hanging statements go on to their effect, and hang no more."""
        self._released = True
        for loop, event in self._waiting:
            loop.call_soon_threadsafe(event.set)
        self._waiting.clear()


class Faults:
    """The faults that are armed; the first that applies to a statement is the one that happens."""

    def __init__(self) -> None:
        self._armed: list[Fault] = []

    def arm(self, fault: Fault) -> Fault:
        self._armed.append(fault)
        return fault

    def clear(self) -> None:
        """Disarm all, and let go what hangs."""
        for fault in self._armed:
            fault.release()
        self._armed.clear()

    def of(self, entry: Entry) -> Fault | None:
        return next((fault for fault in self._armed if fault.applies(entry)), None)
