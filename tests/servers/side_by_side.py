"""Processes that come to the same point at the same moment; what goes wrong in one is raised where it was asked for."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.synchronize import Barrier

_SECONDS = 60.0


class _Meeting:
    barrier: Barrier


def processes(number: int) -> ProcessPoolExecutor:
    """So many new interpreters; each takes one call, in which it waits for the others (:func:`together`)."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(number)
    return ProcessPoolExecutor(number, mp_context=context, initializer=_meet_at, initargs=(barrier,))


def together() -> None:
    """Wait until all of them have come so far.

    :raises threading.BrokenBarrierError: one of them never does.
    """
    _Meeting.barrier.wait(_SECONDS)


def _meet_at(barrier: Barrier) -> None:
    _Meeting.barrier = barrier
