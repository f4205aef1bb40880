"""One line of JSON for each request and each message; without tokens, ids, filters or bodies."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
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
    """Log one request.

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
    logger.info("%s %s %s", entry["method"], route, status, extra={"entry": entry})


class JsonFormatter(logging.Formatter):
    """Each record as one JSON object on one line.

    Text from outside is data inside a JSON string: a line break in it is escaped and begins no line of its own.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
        }
        entry = getattr(record, "entry", None)
        if isinstance(entry, dict):
            line["event"] = "request"
            line |= entry
        else:
            line["event"] = record.name
            line["message"] = record.getMessage()
            request_id = getattr(record, "request_id", None)
            if request_id is not None:
                line["request_id"] = request_id
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _dumps(line)


def _dumps(line: dict[str, Any]) -> str:
    try:
        return orjson.dumps(line, default=str).decode()
    except (TypeError, ValueError):
        # orjson takes no lone surrogate; a log line is never the reason that a request fails.
        return json.dumps(line, default=str)


class _StandardOutput(logging.StreamHandler[TextIO]):
    """Writes to what ``sys.stdout`` is at the time."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

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
