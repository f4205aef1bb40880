"""One line of JSON for each request and each message; without tokens, ids, filters or bodies."""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TextIO

import orjson

logger = logging.getLogger("scim_gateway.access")


def record(
    *,
    request_id: str,
    token: str | None,
    method: str,
    route: str | None,
    status: int,
    scim_type: str | None,
    seconds: float,
    size: int,
    client: str,
) -> None:
    """Log one request; who listens besides us finds the parts of the line as ``entry`` of the record.

    :param token: name of the token, or ``None`` for an anonymous request.
    :param route: the URL with its variable parts as placeholders; never an id or a query, which may be personal data.
    """
    if not logger.isEnabledFor(logging.INFO):
        return
    entry: dict[str, Any] = {
        "request_id": request_id,
        "token": token,
        "method": method[:20],
        "route": route,
        "status": status,
        "scim_type": scim_type,
        "ms": round(seconds * 1000, 2),
        "bytes": size,
        "client": client,
    }
    line = f'{{"ts":"{_time(time.time())}","level":"info","event":"request",{_dumps(entry)[1:]}'
    direct = _only_listener()
    if direct is not None:
        direct.write_line(line)
        return
    logger.info("%s %s %s", entry["method"], route, status, extra={"entry": entry, "line": line})


def _only_listener() -> _StandardOutput | None:
    """Our own handler, if nobody else listens: a line is then written without the work that logging has with it."""
    ours = logger.parent
    if ours is None or logger.handlers or logger.filters or len(ours.handlers) != 1:
        return None
    (handler,) = ours.handlers
    above = ours.parent.handlers if ours.propagate and ours.parent is not None else ()
    return handler if isinstance(handler, _StandardOutput) and not handler.filters and not above else None


def _time(created: float) -> str:
    milliseconds = int(created * 1000)
    return f"{_second(milliseconds // 1000)}.{milliseconds % 1000:03}Z"


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


class JsonFormatter(logging.Formatter):
    """Each record as one JSON object on one line.

    Text from outside is data inside a JSON string: a line break in it is escaped and begins no line of its own.
    """

    def format(self, record: logging.LogRecord) -> str:
        complete = getattr(record, "line", None)
        if record.name == logger.name and isinstance(complete, str):
            return complete
        level = record.levelname.lower()
        line: dict[str, Any] = {"ts": _time(record.created), "level": level, "event": record.name}
        line["message"] = record.getMessage()
        request_id = getattr(record, "request_id", None)
        if request_id is not None:
            line["request_id"] = request_id
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _dumps(line)


def _dumps(line: object) -> str:
    try:
        return orjson.dumps(line, default=str).decode()
    except (TypeError, ValueError):
        # orjson takes no lone surrogate; a log line is never the reason that a request fails.
        return json.dumps(line, default=str)


class _StandardOutput(logging.StreamHandler[TextIO]):
    """Writes to what ``sys.stdout`` is at the time."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    def write_line(self, line: str) -> None:
        """Write a line that is complete."""
        self.acquire()
        try:
            stream = sys.stdout
            stream.write(f"{line}\n")
            stream.flush()
        except (OSError, ValueError):
            # As in logging: that a line cannot be written, to a disk that is full, a pipe without a reader or a closed
            # file, is no reason for a request to fail.
            if logging.raiseExceptions:
                traceback.print_exc(file=sys.stderr)
        finally:
            self.release()

    @property
    def stream(self) -> TextIO:
        return sys.stdout

    @stream.setter
    def stream(self, value: TextIO) -> None:
        raise AttributeError("the stream is always sys.stdout")


def configure(level: str) -> None:
    """Send what this project logs to standard output as JSON; for our own application, not for a host's."""
    ours = logging.getLogger("scim_gateway")
    ours.setLevel(level.upper())
    handler = _StandardOutput()
    handler.setFormatter(JsonFormatter())
    ours.handlers[:] = [handler]
