"""Named places between the steps at which a test can kill, stop or slow down the process; off, they cost nothing."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from scim_gateway.config import ConfigurationError

NAMES = (
    "record.before",
    "record.committed",
    "claim.committed",
    "put_user.before",
    "put_user.after",
    "remove_user.before",
    "remove_user.after",
    "put_group.before",
    "put_group.after",
    "remove_group.before",
    "remove_group.after",
    "change_members.before",
    "change_members.after",
    "save.before",
    "save.committed",
    "mark.before",
    "mark.committed",
    "compensate.before",
    "compensate.committed",
    "retry.before",
    "retry.after",
)
"""Every failpoint, in the order in which a change comes by."""

SLEEP_SECONDS = 1.0


class FailpointError(Exception):
    """What the action ``raise`` raises: an error that nobody expects."""


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _raise() -> None:
    raise FailpointError("raised by a failpoint")


def _sleep() -> None:
    time.sleep(SLEEP_SECONDS)


_ACTIONS: dict[str, Callable[[], None]] = {"kill": _kill, "raise": _raise, "sleep": _sleep}


class Failpoints:
    """The failpoints that are on.

    :param spec: ``name:action``, several with commas between; actions are ``kill``, ``raise`` and ``sleep``.
    :raises scim_gateway.config.ConfigurationError: there is no such failpoint or action.
    """

    def __init__(self, spec: str | None = None) -> None:
        self._on: dict[str, Callable[[], None]] = {}
        for part in (spec or "").split(","):
            if not part.strip():
                continue
            name, _, action = part.strip().partition(":")
            if name not in NAMES or action not in _ACTIONS:
                raise ConfigurationError(
                    f"failpoint: {part.strip()} is not name:action; actions are {', '.join(_ACTIONS)}, "
                    f"names are {', '.join(NAMES)}"
                )
            self._on[name] = _ACTIONS[action]

    def hit(self, name: str) -> None:
        """Do what the failpoint is set to, if it is on."""
        if self._on and name in self._on:
            self._on[name]()

    def set(self, name: str, action: Callable[[], None] | None) -> None:
        """Put an action of a test on a failpoint, or take it off."""
        if name not in NAMES:
            raise ValueError(f"there is no failpoint {name!r}")
        if action is None:
            self._on.pop(name, None)
        else:
            self._on[name] = action
