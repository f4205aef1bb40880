"""What an error of the driver means: one table by number, for the statements on accounts.

The driver's classes and the server's texts decide nothing: both differ between versions, and texts may repeat a
password. Numbers of 2000 to 2061 are the client's own, unless the connection is still open: then the server said it.
"""

from __future__ import annotations

import logging
from typing import Literal

import pymysql
from scim_gateway_provisioning.target import Unreachable

Meaning = Literal["lost", "busy", "denied", "gone", "exists", "either", "syntax", "long", "weak", "unclear"]

_NUMBERS: dict[Meaning, frozenset[int]] = {
    # The connection is gone or going, or was never made: what became of the statement is not known.
    "lost": frozenset({1040, 1043, 1053, 1077, 1152, 1153, 1158, 1159, 1160, 1161, 1184, 1218, 1317, 1927}),
    "busy": frozenset({1205, 1213, 1614}),
    "denied": frozenset({1044, 1045, 1095, 1142, 1143, 1227, 1370, 1698, 3118, 4151}),
    "gone": frozenset({1094, 1133, 1141, 1918, 1919}),
    "exists": frozenset({1007, 1062, 1973}),
    # MySQL says it of what exists and of what does not: whoever gets it reads.
    "either": frozenset({1396}),
    "syntax": frozenset({1054, 1064, 1109, 1146, 1193, 1231, 1235, 1706}),
    "long": frozenset({1059, 1406, 1470}),
    "weak": frozenset({1819}),
}
_MEANING: dict[int, Meaning] = {number: meaning for meaning, numbers in _NUMBERS.items() for number in numbers}
_CLIENT = range(2000, 2062)

_log = logging.getLogger("scim_gateway.engine")
_said: set[str] = set()

DRIVER_ERRORS = (pymysql.err.Error, OSError)


class Refused(Exception):
    """The server answered a statement with an error, and the connection can be used on.

    :param verb: the beginning of the statement, such as ``CREATE USER``: nothing of what it was about.
    """

    def __init__(self, verb: str, number: int, meaning: Meaning) -> None:
        super().__init__(f"SingleStore answered error {number} to {verb}.")
        self.verb = verb
        self.number = number
        self.meaning = meaning


class Lost(Unreachable):
    """The connection broke: nobody knows whether the statement had its effect."""


class Denied(Unreachable):
    """The gateway's account lacks a privilege: a fault of the set-up, and nothing that the client can do about."""


class LogInDenied(Denied):
    """The Engine refuses the name or the password of the gateway's account."""


def denied(line: str, kind: type[Denied] = Denied) -> Denied:
    """A lack of privileges, logged when it is seen first: every request would say it again.

    :param line: what lacks, and the statement that gives it.
    """
    if line not in _said:
        _said.add(line)
        _log.error("%s", line, extra={"told": True})
    return kind(line)


class SetupFault(Unreachable):
    """The Engine is not set up, or not made, for what the settings ask of it."""


#: A refusal that says how the statement was written, not what is there: it will be the same for ever.
FOR_EVER: frozenset[Meaning] = frozenset({"syntax", "long", "weak"})


def number_of(error: Exception) -> int:
    """The error's number; 0 where there is none."""
    first = error.args[0] if error.args else 0
    return first if type(first) is int else 0


def meaning_of(error: Exception, *, connection_open: bool) -> Meaning:
    """What an error of the driver means.

    :param connection_open: whether the connection can still be used.
    """
    number = number_of(error)
    if not connection_open or isinstance(error, OSError):
        return "lost"
    if number in _CLIENT or number == 0:
        # An open connection says that this number came from the server, whose 2xxx are not known.
        return "unclear" if number in _CLIENT else "lost"
    return _MEANING.get(number, "unclear")
