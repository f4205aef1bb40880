"""What the server can: its version and what is said of that, its columns, and what a probe has found."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass, field

from .connection import Line
from .facts import Facts, Probe
from .failures import Refused, SetupFault
from .statements import AGGREGATORS, SYNC_PERMISSIONS, VERSION, VERSIONS

LOCK = (8, 0)
ALTER_USER_PRIVILEGE = (8, 0)
JWT = (8, 0)
MARK = (8, 1)
NO_USERS_BY_GRANT = (8, 5)
LONG_JWT_NAMES = (8, 5)
X509 = (8, 9)

_NUMBER = re.compile(r"(\d+)\.(\d+)")
_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What one server can.

    :param version: as it says itself, ``8.5.17``.
    :param aggregators: how many there are, where that could be read.
    :param synchronised: whether an account statement reaches all of them.
    """

    version: str
    aggregators: int = 1
    synchronised: bool = True
    facts: Facts = field(default_factory=Facts)

    @property
    def number(self) -> tuple[int, int]:
        """Major and minor number."""
        found = _NUMBER.match(self.version)
        return (int(found[1]), int(found[2])) if found else (0, 0)

    @property
    def locks(self) -> bool:
        """ALTER USER … ACCOUNT LOCK."""
        return self.number >= LOCK

    @property
    def marks(self) -> bool:
        """ATTRIBUTE of accounts."""
        return self.number >= MARK

    @property
    def grant_makes_users(self) -> bool:
        """GRANT to somebody who is not there may make an account with an empty password."""
        return self.number < NO_USERS_BY_GRANT

    @property
    def divided(self) -> bool:
        """Each aggregator has accounts of its own, and there are several."""
        return not self.synchronised and self.aggregators != 1


def read_capabilities(line: Line, probe: Probe | None) -> Capabilities:
    """Ask the server.

    :param probe: counts if it is of this very version.
    :raises SetupFault: it does not say which version it is.
    """
    version = read_version(line)
    synchronised = _flag(line)
    try:
        aggregators = len(line.rows(AGGREGATORS))
    except Refused:
        aggregators = 0
    facts = probe.facts if probe is not None and probe.version == version else Facts()
    return Capabilities(version, aggregators, synchronised, facts)


def read_version(line: Line) -> str:
    """The version of SingleStore; the one in the protocol's greeting is MySQL's.

    :raises SetupFault: it is no SingleStore, or does not say so.
    """
    try:
        rows = line.rows(VERSION)
    except Refused:
        rows = [(value,) for name, value in line.rows(VERSIONS) if str(name).lower() == "memsql_version"]
    if not rows or not _NUMBER.match(str(rows[0][0])):
        raise SetupFault("What answers at engine_url does not say that it is SingleStore (no @@memsql_version).")
    return str(rows[0][0])


def _flag(line: Line) -> bool:
    try:
        value = line.rows(SYNC_PERMISSIONS)[0][0]
    except Refused:
        return False
    return str(value).upper() in ("1", "ON", "TRUE")


class CapabilityCache:
    """The capabilities as they were read at most a minute ago."""

    def __init__(self, probe: Probe | None) -> None:
        self._probe = probe
        self._lock = threading.Lock()
        self._known: tuple[float, Capabilities] | None = None

    def of(self, line: Line) -> Capabilities:
        """The capabilities of the server behind a connection.

        :raises SetupFault: they say that the gateway cannot work with it.
        """
        with self._lock:
            known = self._known
        if known is None or time.monotonic() - known[0] > _SECONDS:
            known = (time.monotonic(), read_capabilities(line, self._probe))
            with self._lock:
                self._known = known
        if known[1].divided:
            raise SetupFault(DIVIDED)
        return known[1]


DIVIDED = (
    "Each aggregator keeps accounts of its own (sync_permissions is OFF), so who is locked on one could log in on "
    "another: the gateway does not work with that."
)
