"""The Engine's error numbers and texts; a number marked [I] is inferred."""

from __future__ import annotations

TOO_MANY_CONNECTIONS = 1040
DATABASE_DENIED = 1044
LOG_IN_DENIED = 1045
UNKNOWN_COMMAND = 1047
SYNTAX = 1064
NO_SUCH_THREAD = 1094
NOT_OWNER_OF_THREAD = 1095
UNKNOWN_TABLE = 1109
NO_SUCH_GRANT = 1141
TABLE_DENIED = 1142
UNKNOWN_VARIABLE = 1193
DENIED = 1227
WRONG_VALUE = 1231
CHANGED_VARIABLE = 1238
QUERY_INTERRUPTED = 1317
CANNOT_USER = 1396
FEATURE_NOT_SUPPORTED = 1706
NO_SUCH_GROUP = 1918
NO_SUCH_ROLE = 1919


class EngineError(Exception):
    """What the server answers instead of a result.

    Attributes:
        number: the error number that the driver shows as ``args[0]``.
    """

    def __init__(self, number: int, message: str) -> None:
        super().__init__(number, message)
        self.number = number
        self.message = message


class UnknownStatement(EngineError):
    """A statement that this double can't answer faithfully: recorded, so that a test fails on it.

    Attributes:
        known_since: the version that would take it, when it is only too new.
    """

    def __init__(self, message: str, *, number: int = SYNTAX, known_since: object = None) -> None:
        super().__init__(number, f"You have an error in your SQL syntax; {message}")
        self.known_since = known_since


def access_denied(user: str, host: str, *, with_password: bool, number: int = LOG_IN_DENIED) -> EngineError:
    """The refusal of a log-in, the same for unknown users and wrong passwords."""
    using = "YES" if with_password else "NO"
    return EngineError(number, f"Access denied for user '{user}'@'{host}' (using password: {using})")
