"""HTTPS to the Management API: pool, time-outs inside a deadline, retries, errors that say what is known of the effect.

What may be repeated is repeated here a few times; what may have had an effect is told to the caller, who looks first.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson
import urllib3
from scim_gateway_provisioning.pauses import between
from scim_gateway_provisioning.target import Deadline, Unreachable

from scim_gateway import __version__
from scim_gateway.config import ConfigurationError
from scim_gateway.text import printable

CONNECT_SECONDS = 3.0
READ_SECONDS = 10.0
TRIES, RETRY_SECONDS = 5, 6.0
"""How often and for how long one call is tried; provisioning tries the whole step again after that."""
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
LONGEST_QUIET = 300.0
"""Most seconds for which nothing is asked because the API said so: a revocation does not wait for the next century."""
LONGEST_ERROR = 300
LONGEST_ANSWER, _PIECE = 256 * 1024 * 1024, 1024 * 1024

_FEWER = "The SingleStore Portal asks for fewer requests (429)."
_LOOPBACK = re.compile(r"localhost|127(\.\d{1,3}){3}|::1")
_KEY = re.compile(r"[\x21-\x7e]{1,4096}")
_REPEATABLE = frozenset({"GET", "DELETE"})
_UNSENT = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)


class Unsure(Unreachable):
    """No answer, or one that tells nothing, to a call that changes something: it may have had its effect.

    :param text: what the API said, if anything; cleaned.
    """

    def __init__(self, message: str, text: str = "") -> None:
        super().__init__(message)
        self.text = text


class NotPermitted(Unreachable):
    """The API key may not do this: what the operator has to see to, not what the identity provider asked wrongly."""


class Refused(Exception):
    """The API will not do this, however often it is asked.

    :param text: what the API said; cleaned and bounded.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status
        self.text = text


class Absent(Exception):
    """There is no such user, invitation or team."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes
    retry_after: float | None


class Transport:
    """One organization's API for all threads of a process.

    :param url: base URL without ``/v1``; HTTPS, unless it is this machine.
    :param key: the API key.
    :param ca_file: certificate authorities in place of the system's.
    :param connections: how many are kept open.
    :raises scim_gateway.config.ConfigurationError: URL, key or file cannot be used.
    """

    def __init__(self, url: str, key: str, *, ca_file: str | None = None, connections: int = 8) -> None:
        parts = urlsplit(url)
        self.host = parts.hostname or ""
        if parts.scheme != "https" and not _LOOPBACK.fullmatch(self.host):
            raise ConfigurationError("portal_url has to begin with https://: the API key would travel in the clear.")
        if not _KEY.fullmatch(key):
            raise ConfigurationError("portal_api_key does not fit; it is one line of letters, digits and signs.")
        self._url = url.rstrip("/")
        self._key = key
        self._pool = urllib3.PoolManager(
            num_pools=1,
            maxsize=connections,
            retries=False,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
            headers={
                "Accept": "application/json",
                "Authorization": f"Bearer {key}",
                "User-Agent": f"scim-gateway/{__version__}",
            },
            **({} if ca_file is None else {"ca_certs": _readable(ca_file)}),
        )
        self._breaker = _Breaker()
        self._quiet = _Quiet()
        self._ahead = 0.0

    def now(self) -> datetime:
        """The time by the clock of the API, as far as its answers told it."""
        return datetime.fromtimestamp(time.time() + self._ahead, UTC).replace(microsecond=0)

    @property
    def ahead(self) -> float:
        """Seconds by which the clock of the API is ahead of ours."""
        return self._ahead

    def call(
        self,
        deadline: Deadline,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        """Ask the API; the JSON value of its answer.

        :param path: below the base URL, its parts quoted.
        :raises Absent: answered 404.
        :raises Refused: answered that it will not be done.
        :raises Unsure: it may have been done (only where the call is neither GET nor DELETE).
        :raises Unreachable: no usable answer in time, or a key that is not accepted.
        """
        url = f"{self._url}{path}{'?' + urlencode(query) if query else ''}"
        content = None if body is None else orjson.dumps(body)
        give_up = time.monotonic() + RETRY_SECONDS
        pause, tries = FIRST_PAUSE, 1
        while True:
            try:
                return self._value(self._once(deadline, method, url, content), method, path)
            except _Again as again:
                if not again.repeatable:
                    raise Unsure(again.message, again.text) from None
                wait = again.after if again.after is not None else between(0, pause)
                if tries == TRIES or time.monotonic() + wait > give_up or wait >= deadline.left():
                    raise Unreachable(again.message) from None
                time.sleep(wait)
                pause, tries = min(pause * 2, LONGEST_PAUSE), tries + 1

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def _once(self, deadline: Deadline, method: str, url: str, content: bytes | None) -> _Answer:
        """One try.

        :raises _Again: the connection failed, or the API said that it is not to be asked yet.
        """
        deadline.check()
        self._quiet.check()
        self._breaker.check(self.host)
        left = max(0.01, deadline.left())
        timeout = urllib3.Timeout(connect=min(CONNECT_SECONDS, left), read=min(READ_SECONDS, left))
        headers = {} if content is None else {"Content-Type": "application/json"}
        try:
            with self._pool.request(
                method,
                url,
                body=content,
                headers={**self._pool.headers, **headers},
                timeout=timeout,
                redirect=False,
                preload_content=False,
            ) as answer:
                data = self._body(answer, url, deadline)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            if left >= READ_SECONDS or not isinstance(error, urllib3.exceptions.ReadTimeoutError):
                self._breaker.failed()  # otherwise it was us who had no time left
            message = f"The SingleStore Portal at {self.host} cannot be reached: {_cause(error)}."
            unsent = isinstance(error, _UNSENT)
            raise _Again(message, repeatable=unsent or method in _REPEATABLE) from None
        self._breaker.answered()
        self._note_time(answer.headers.get("Date"))
        return _Answer(answer.status, data, _seconds(answer.headers.get("Retry-After")))

    def _body(self, answer: urllib3.BaseHTTPResponse, url: str, deadline: Deadline) -> bytes:
        """The whole body; time-outs are for one piece each, the deadline is for all of it."""
        pieces: list[bytes] = []
        size = 0
        while piece := answer.read1(_PIECE):
            pieces.append(piece)
            size += len(piece)
            if size > LONGEST_ANSWER or deadline.left() <= 0:
                # urllib3 raises it with a pool of one host, and types it so; what we have is the pool of pools.
                pool: Any = self._pool
                raise urllib3.exceptions.ReadTimeoutError(pool, url, "the answer does not end")
        return b"".join(pieces)

    def _value(self, answer: _Answer, method: str, path: str) -> Any:
        """What a try brought.

        :raises _Again: nothing is known from it, or the API is busy.
        """
        where = f"{method} {path.partition('?')[0]}"
        if answer.status == 200:
            try:
                return orjson.loads(answer.body)
            except ValueError:
                message = f"The SingleStore Portal's answer to {where} is not JSON."
                raise _Again(message, repeatable=method in _REPEATABLE) from None
        text = self._clean(answer.body)
        match answer.status:
            case 401:
                raise Unreachable(
                    "The SingleStore Portal does not accept the API key: it is wrong, revoked or expired. Make a new "
                    "one in the Portal and give it to the gateway as portal_api_key."
                )
            case 403:
                raise NotPermitted(
                    f"The SingleStore Portal does not permit {where} with this API key ({text}); give the key of an "
                    "organization owner with full access, and look whether the organization has credits."
                )
            case 404:
                raise Absent(text)
            case 429:
                # It was not carried out: even a POST may be sent again.
                self._quiet.keep(answer.retry_after)
                raise _Again(_FEWER, after=answer.retry_after)
            case status if status >= 500:
                message = f"The SingleStore Portal answered {where} with {status}: {text}"
                raise _Again(message, text, after=answer.retry_after, repeatable=method in _REPEATABLE)
            case status if status < 400:
                raise Unreachable(
                    f"The SingleStore Portal answered {where} with {status}; portal_url has to be the address of the "
                    "API itself, redirects are not followed."
                )
            case status:
                raise Refused(status, text)

    def _clean(self, body: bytes) -> str:
        text = " ".join(body[:4096].decode("utf-8", "replace").replace(self._key, "(key)").split())
        return printable(text, LONGEST_ERROR - 1) or "no text"

    def _note_time(self, date: str | None) -> None:
        try:
            told = parsedate_to_datetime(date or "")
        except ValueError:
            return
        ahead = told.timestamp() + 0.5 - time.time()  # the header has whole seconds
        self._ahead = 0.0 if abs(ahead) < 2 else ahead


class _Again(Exception):
    """A try that may be worth another."""

    def __init__(self, message: str, text: str = "", *, after: float | None = None, repeatable: bool = True) -> None:
        super().__init__(message)
        self.message = message
        self.text = text
        self.after = after
        self.repeatable = repeatable


class _Quiet:
    """After a 429 with ``Retry-After`` nobody asks before that time, whichever thread or request it is."""

    def __init__(self) -> None:
        self._until = 0.0

    def check(self) -> None:
        left = self._until - time.monotonic()
        if left > 0:
            raise _Again(_FEWER, after=left)

    def keep(self, seconds: float | None) -> None:
        if seconds is not None:
            self._until = time.monotonic() + min(seconds, LONGEST_QUIET)


class _Breaker:
    """After several connections that failed in a row nothing is tried for a moment: nobody waits for what is down."""

    FAILURES, SECONDS = 5, 5.0

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures = 0
        self._until = 0.0

    def check(self, host: str) -> None:
        with self._lock:
            if time.monotonic() < self._until:
                raise Unreachable(f"The SingleStore Portal at {host} could not be reached several times just now.")

    def failed(self) -> None:
        with self._lock:
            self._failures += 1
            if self._failures >= self.FAILURES:
                self._until = time.monotonic() + self.SECONDS

    def answered(self) -> None:
        with self._lock:
            self._failures = 0
            self._until = 0.0


def _cause(error: BaseException) -> str:
    match error:
        case urllib3.exceptions.NameResolutionError():
            return "its name is not known"
        case urllib3.exceptions.NewConnectionError():
            return "connection refused"
        case urllib3.exceptions.TimeoutError():
            return "no answer in time"
        case urllib3.exceptions.SSLError():
            return f"TLS: {printable(str(error), 120)}"
        case _:
            return "the connection was cut"


def _seconds(value: str | None) -> float | None:
    """Seconds of a ``Retry-After`` (RFC 9110 §10.2.3): a number, or a date."""
    if value is None:
        return None
    if re.fullmatch(r"\s*\d{1,6}\s*", value, re.ASCII):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def _readable(path: str) -> str:
    try:
        with open(path, "rb"):
            return path
    except OSError as error:
        raise ConfigurationError(f"portal_ca_file: {path} cannot be read: {error.strerror}.") from None
