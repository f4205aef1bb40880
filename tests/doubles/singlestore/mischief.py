"""What a test can let go wrong with statements, as methods of the double."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from .errors import EngineError
from .faults import Fault
from .statement_log import Entry, Matcher, matcher


class Mischief(ABC):
    """Faults by kind; each hits statements that fit, ``times`` of them, after ``skip`` that pass."""

    @abstractmethod
    def _arm(self, fault: Fault) -> Fault:
        """Let the fault wait for its statements."""

    def fail(
        self, match: Matcher, number: int, message: str = "by a test", *, skip: int = 0, times: int | None = 1
    ) -> Fault:
        """Answer statements that fit with an error instead of executing them."""
        return self._arm(Fault("fail", matcher(match), skip, times, error=EngineError(number, message)))

    def hang(self, match: Matcher, *, skip: int = 0, times: int | None = 1) -> Fault:
        """Leave statements that fit without effect and answer, until ``release``; then they take effect."""
        return self._arm(Fault("hang", matcher(match), skip, times))

    def cut_before(self, match: Matcher, *, skip: int = 0, times: int | None = 1) -> Fault:
        """Cut the connection instead of executing."""
        return self._arm(Fault("cut before", matcher(match), skip, times))

    def cut_after(self, match: Matcher, *, skip: int = 0, times: int | None = 1) -> Fault:
        """Execute, and cut the connection instead of answering."""
        return self._arm(Fault("cut after", matcher(match), skip, times))

    def call_before(
        self, match: Matcher, call: Callable[[Entry], object], *, skip: int = 0, times: int | None = 1
    ) -> Fault:
        """Call ``call`` in a thread of its own ahead of the effect of statements that fit."""
        return self._arm(Fault("call before", matcher(match), skip, times, call=call))

    def call_after(
        self, match: Matcher, call: Callable[[Entry], object], *, skip: int = 0, times: int | None = 1
    ) -> Fault:
        """Call ``call`` in a thread of its own between the effect of statements that fit and the answer."""
        return self._arm(Fault("call after", matcher(match), skip, times, call=call))
