"""A process that is killed on its way: a child of fork, so that each costs next to nothing."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Callable


def killed(work: Callable[[], None]) -> None:
    """Run it in a child, which has to be killed on its way; it opens whatever it uses itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads that the child does not use
        child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            # A child must not go on with the tests of its parent.
            sys.excepthook(*sys.exc_info())
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL
