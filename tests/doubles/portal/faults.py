"""What goes wrong on the way to the API and back, on demand: which call, before or after its effect, how often."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import Literal

How = Literal[
    "down",
    "cut",
    "hang",
    "status",
    "lost",
    "hang-after",
    "half-body",
    "no-json",
    "wrong-json",
    "wrong-shape",
    "redirect",
]
AFTER_EFFECT = frozenset({"lost", "hang-after", "half-body", "no-json", "wrong-json", "wrong-shape"})
"""The faults that strike when the API has done what was asked."""


@dataclass
class Fault:
    """One fault to come.

    :param how: ``down``: the API stops listening; ``cut``, ``hang``: the connection is cut, or nothing is answered,
        before anything was done; ``drip``: answered a byte at a time, without an end; ``lost``, ``hang-after``: cut or
        silent after it was done; ``half-body``, ``no-json``, ``wrong-json`` (HTML), ``wrong-shape``: done, and answered
        like that; ``status``: answered with ``status``; ``redirect``: sent elsewhere.
    :param method: method of the calls that it concerns, or ``None``.
    :param path: pattern that their path has to match.
    :param skip: how many such calls pass before.
    :param times: how many it strikes then.
    :param status: for ``status``.
    :param effect: for ``status``: whether what was asked was done.
    :param retry_after: value of the header ``Retry-After``.
    :param text: for ``status``: the body.
    """

    how: How
    method: str | None = None
    path: str = ""
    skip: int = 0
    times: int = 1
    status: int = 500
    effect: bool = False
    retry_after: str | None = None
    text: str = "something went wrong"

    @property
    def acts(self) -> bool:
        """Whether what was asked is done."""
        return self.how in AFTER_EFFECT or (self.how == "status" and self.effect)


class Faults:
    """The faults to come, in the order in which they were asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._coming: list[Fault] = []
        self.struck = 0
        """How many calls were struck."""

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._coming.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._coming.clear()

    @property
    def silent_next(self) -> bool:
        """Whether the next call, whichever it is, gets no answer."""
        with self._lock:
            return any(fault.how in ("hang", "hang-after") and fault.times and not fault.skip for fault in self._coming)

    def strike(self, method: str, path: str) -> Fault | None:
        """The fault for this call."""
        with self._lock:
            for fault in self._coming:
                if fault.method not in (None, method) or not re.search(fault.path, path):
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                if fault.times:
                    fault.times -= 1
                    self.struck += 1
                    return fault
            return None
