"""Processes that come to the same point at the same moment; what goes wrong in one is raised where it was asked for."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.context import ForkServerContext
from multiprocessing.synchronize import Barrier

_SECONDS = 60.0


_LIBRARIES = ["marshmallow", "orjson", "pymysql", "pytest", "sqlalchemy.dialects.mysql", "sqlalchemy.dialects.sqlite"]
# Not the gateway: the server of forks looks for modules where it was started, which may not be where tests find them.


class _Meeting:
    barrier: Barrier


def new_processes() -> ForkServerContext:
    """What starts processes that know nothing of this one, with the libraries that all of them need already there."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_LIBRARIES)
    return context


def processes(number: int) -> ProcessPoolExecutor:
    """So many new processes; each takes one call, in which it waits for the others (:func:`together`)."""
    context = new_processes()
    barrier = context.Barrier(number)
    return ProcessPoolExecutor(number, mp_context=context, initializer=_meet_at, initargs=(barrier,))


def together() -> None:
    """Wait until all of them have come so far.

    :raises threading.BrokenBarrierError: one of them never does.
    """
    _Meeting.barrier.wait(_SECONDS)


def _meet_at(barrier: Barrier) -> None:
    _Meeting.barrier = barrier
