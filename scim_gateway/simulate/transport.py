"""HTTP as an identity provider speaks it: no redirects, no retries, a time-out, and a token that is never shown."""

from __future__ import annotations

import ipaddress
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import urllib3
from urllib3.util import SKIP_HEADER

MAXIMUM_ANSWER = 16 * 1024 * 1024
CONNECT_TIMEOUT = 10.0


class SimulationError(ValueError):
    """The simulation cannot start as it was asked to; the text says what to change."""


class NoAnswerError(Exception):
    """No HTTP answer came; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    :param headers: values by lower-case name.
    :param body: the decoded JSON, or ``None`` where the body is empty or no JSON.
    """

    status: int
    headers: Mapping[str, str]
    text: str
    body: Any
    seconds: float


class Connection:
    """Requests to one SCIM base URL.

    :raises SimulationError: the URL or the token cannot be used.
    """

    def __init__(self, base_url: str, token: str, *, insecure: bool = False, timeout: float = 60.0) -> None:
        parts = urlsplit(base_url.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SimulationError(
                f"{base_url!r} is no URL; what is needed looks like https://scim.example.com/scim/v2."
            )
        if parts.username or parts.password or parts.fragment:
            raise SimulationError("The URL holds credentials or a fragment; enter the SCIM base URL alone.")
        if parts.scheme == "http" and not insecure and not _is_loopback(parts.hostname):
            raise SimulationError(
                f"http://{parts.hostname} would show the token to the network; use https, "
                "or allow it explicitly if that network is yours."
            )
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise SimulationError("The token is empty, or holds characters that no HTTP header can carry.")
        self.token = token
        self.url = base_url.strip()
        self._root = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._query = parts.query
        self._pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=min(CONNECT_TIMEOUT, timeout), read=timeout), retries=False
        )

    def close(self) -> None:
        """Give the sockets back."""
        self._pool.clear()

    def target(self, path: str, query: Mapping[str, str]) -> str:
        """Path and query of a request as they go over the wire, below the base URL; blanks as ``%20``."""
        pairs = (f"{quote(name)}={quote(value)}" if value else quote(name) for name, value in query.items())
        encoded = "&".join([*pairs, *([self._query] if self._query else ())])
        return f"{path}?{encoded}" if encoded else path

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: Mapping[str, Any] | None,
    ) -> Answer:
        """Send one request and read the whole answer.

        :raises NoAnswerError: there was none.
        """
        # SKIP_HEADER keeps urllib3 from adding its own: a tenant of Entra ID was seen to send no User-Agent at all.
        sent: dict[str, str] = {"User-Agent": SKIP_HEADER, "Accept-Encoding": SKIP_HEADER, **headers}
        payload = None if body is None else json.dumps(body).encode()
        start = time.monotonic()
        try:
            response = self._pool.request(
                method,
                self._root + self.target(path, query),
                body=payload,
                headers=sent,
                redirect=False,
                preload_content=False,
            )
            try:
                raw = response.read(MAXIMUM_ANSWER + 1, decode_content=True)
            finally:
                response.release_conn()
        except urllib3.exceptions.HTTPError as error:
            raise NoAnswerError(_explain(error)) from error
        if len(raw) > MAXIMUM_ANSWER:
            response.close()
            raise NoAnswerError("The answer is larger than 16 MiB, which no identity provider would read.")
        text = raw.decode("utf-8", "replace")
        try:
            decoded = json.loads(text) if text.strip() else None
        except ValueError:
            decoded = None
        return Answer(
            status=response.status,
            headers={name.lower(): value for name, value in response.headers.items()},
            text=text,
            body=decoded,
            seconds=time.monotonic() - start,
        )

    def hide(self, text: str) -> str:
        """The text fit for a terminal and a log: without the token, on one line, without control characters."""
        plain = "".join(character if character.isprintable() else " " for character in text)
        return plain.replace(self.token, "***")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _explain(error: urllib3.exceptions.HTTPError) -> str:
    match error:  # a NewConnectionError is a ConnectTimeoutError, and a NameResolutionError is one of those
        case urllib3.exceptions.SSLError():
            return (
                f"TLS failed ({error}). Identity providers accept only a certificate of a public authority, complete "
                "with its intermediate certificates, for this very host name."
            )
        case urllib3.exceptions.NameResolutionError():
            return "The host name does not resolve. Check the URL; the name has to be known to the public DNS."
        case urllib3.exceptions.NewConnectionError():
            return "Nothing listens there. Check host and port, and that the gateway runs (scim-gateway serve)."
        case urllib3.exceptions.ConnectTimeoutError():
            return "No connection in time. Check that a firewall lets the identity provider's addresses through."
        case urllib3.exceptions.ReadTimeoutError():
            return "No answer in time; the identity provider gives up as well. See the gateway's log for this request."
        case _:
            return f"The connection broke ({type(error).__name__}). See the logs of the gateway and of its proxy."
