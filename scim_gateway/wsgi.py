"""A service provider behind WSGI: HTTP in and out, nothing about SCIM, and no need for an application of Flask.

The blueprint and our own application both answer through :class:`Service`, so that there is one way to be let in.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from http import HTTPStatus
from random import getrandbits
from typing import IO, TYPE_CHECKING, Any, TypeVar, overload
from urllib.parse import quote, unquote_to_bytes

import orjson
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.sansio.utils import get_host
from werkzeug.wrappers import Request as HttpRequest

from scim_gateway import access_log
from scim_gateway.auth import Authenticator, ExpiredToken
from scim_gateway.errors import InternalError, InvalidSyntax, InvalidValue, PayloadTooLarge, ScimError, Unauthorized
from scim_gateway.exchange import SCIM_JSON, SECURITY_HEADERS, Request, Response
from scim_gateway.messages import error_body

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from scim_gateway.provider import ServiceProvider

logger = logging.getLogger("scim_gateway.wsgi")

WITHOUT_CONTENT = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS"})
_MOST_PARAMETERS = 100
_CHUNK = 64 * 1024
T = TypeVar("T")

_UNRESERVED = "/~!$&'()*+,;=:@"


class Headers(Mapping[str, str]):
    """The headers of a request of WSGI by their lower-case names; looked up when they are asked for.

    :param request_id: the ``X-Request-ID``, whatever was sent.
    """

    __slots__ = ("_environ", "_request_id")

    def __init__(self, environ: WSGIEnvironment, request_id: str) -> None:
        self._environ = environ
        self._request_id = request_id

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    @overload
    def get(self, name: str) -> str | None: ...

    @overload
    def get(self, name: str, default: str | T) -> str | T: ...

    def get(self, name: str, default: object = None) -> object:
        """The value of a header, or the default."""
        if name == "x-request-id":
            return self._request_id
        value = self._environ.get(_variable(name))
        if value:
            return value
        # PEP 3333: an empty Content-Type is as good as none.
        return default if value is None or name == "content-type" else value

    def __iter__(self) -> Iterator[str]:
        names = {"x-request-id": None}
        for key in self._environ:
            if key.startswith("HTTP_") and key != "HTTP_CONTENT_TYPE":
                names[key[5:].replace("_", "-").lower()] = None
        if self._environ.get("CONTENT_TYPE"):
            names["content-type"] = None
        return iter(names)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Service:
    """Requests of WSGI for a service provider.

    The first request that a process answers begins the backend's background work there, if nobody has begun it: what
    waits for a target is retried in every application around us, too. It does not begin any sooner, because an
    application that is only imported may still be forked, and threads do not pass a fork.

    :param public_url: the SCIM base URL that clients see; by default taken from each request.
    """

    def __init__(self, provider: ServiceProvider, authenticate: Authenticator, public_url: str | None) -> None:
        self._provider = provider
        self._authenticate = authenticate
        self._public_url = public_url.rstrip("/") if public_url else None
        self._largest = max(provider.settings.max_body, provider.settings.bulk_max_payload)
        self._begun_in: int | None = None

    def answer(
        self, environ: WSGIEnvironment, rest: str, prefix: str, sent: Callable[[], HttpRequest]
    ) -> tuple[Response, dict[str, str]]:
        """The answer to a request for what is below the prefix, and all its headers but the length.

        :param rest: what follows upon the prefix and a slash, decoded.
        :param prefix: path of the SCIM base URL, decoded.
        :param sent: gives the request, of which the body is read.
        """
        began = time.perf_counter()
        if self._begun_in != os.getpid():
            self._begin()
        request_id = environ.get("HTTP_X_REQUEST_ID")
        if request_id is None or not _REQUEST_ID.fullmatch(request_id):
            request_id = f"{getrandbits(128):032x}"
        token: str | None = None
        client = environ.get("REMOTE_ADDR") or ""
        method = environ.get("REQUEST_METHOD", "GET").upper()
        try:
            try:
                request = self._read_head(environ, method, rest, prefix, request_id, client)
                try:
                    # Authentication comes first: whoever may not be here learns nothing about paths, queries or bodies.
                    # Any: the application's own gives whatever it gives; None is refused below.
                    principal: Any = self._authenticate(request)
                except Unauthorized as error:
                    token = error.name if isinstance(error, ExpiredToken) else None
                    response = self._answer_anonymously(environ, request, error)
                else:
                    request.principal = principal
                    token = principal.name if principal is not None else None
                    request.query = _query(environ)
                    if method not in _WITHOUT_BODY:
                        request.body = self._read_body(sent())
                    response = self._provider.handle(request)
            except ScimError as error:
                response = _error_response(error)
            lines = "".join(response.headers.values())
            if "\n" in lines or "\r" in lines:
                logger.error("A header of an answer has more than one line", extra={"request_id": request_id})
                response = _defect(request_id)
        except Exception:  # an authenticator is the application's: whatever it raises, the answer is a SCIM error
            # What went wrong is for the log; who asked learns where to look (checklist R-12).
            logger.exception("A request failed unexpectedly", extra={"request_id": request_id})
            response = _defect(request_id)
        access_log.record(
            request_id=request_id,
            token=token,
            method=method,
            route=response.route.partition(" ")[2] or None,
            status=response.status,
            scim_type=response.scim_type,
            seconds=time.perf_counter() - began,
            size=len(response.body),
            client=client,
        )
        return response, {**response.headers, **SECURITY_HEADERS, "X-Request-ID": request_id}

    def _begin(self) -> None:
        try:
            self._provider.backend.start()
            self._begun_in = os.getpid()
        except ScimError as error:
            logger.error("The background work cannot begin, so nothing is retried that waits: %s", error.detail)
        except Exception:  # a backend may be anybody's; the next request tries again, and this one can be answered
            logger.exception("The background work cannot begin, so nothing is retried that waits")

    def _read_head(
        self, environ: WSGIEnvironment, method: str, rest: str, prefix: str, request_id: str, client: str
    ) -> Request:
        base_url = self._public_url or _base_url(
            environ["wsgi.url_scheme"],
            environ.get("HTTP_HOST"),
            environ.get("SERVER_NAME"),
            environ.get("SERVER_PORT"),
            prefix,
        )
        return Request(method, f"/{rest}", base_url, (), Headers(environ, request_id), client=client)

    def _answer_anonymously(self, environ: WSGIEnvironment, request: Request, error: Unauthorized) -> Response:
        """Discovery, if it is public; the service provider knows, and refuses what is not."""
        if "authorization" in request.headers or request.method not in _WITHOUT_BODY:
            raise error
        request = replace(request, principal=None)
        try:
            request.query = _query(environ)
        except InvalidValue:
            # Of what is not public nobody learns anything, not even what is wrong with the query.
            if self._provider.handle(request).status != HTTPStatus.UNAUTHORIZED:
                raise
            raise error from None
        response = self._provider.handle(request)
        if response.status == HTTPStatus.UNAUTHORIZED:
            raise error
        return response

    def _read_body(self, http: HttpRequest) -> bytes:
        """The body, however its length is announced, up to the limit."""
        largest = self._largest
        length = http.content_length
        if length is not None and length > largest:
            raise self._too_large()
        try:
            stream, chunks, size = http.stream, [], 0
            while chunk := _next_of(stream, min(_CHUNK, largest + 1 - size)):
                chunks.append(chunk)
                size += len(chunk)
                if size > largest:
                    raise self._too_large()
        except RequestEntityTooLarge:
            raise self._too_large() from None
        except (HTTPException, OSError):
            raise InvalidSyntax("The body ended, or came no further, before the length that was announced.") from None
        return b"".join(chunks)

    def _too_large(self) -> PayloadTooLarge:
        return PayloadTooLarge(f"The body is larger than {self._largest} bytes; send less at a time.")


def _next_of(stream: IO[bytes], most: int) -> bytes:
    """What comes next of a body; what else a server raises is about a body that is not HTTP/1.1 (RFC 9112 §7.1)."""
    try:
        return stream.read(most)
    except (HTTPException, OSError, MemoryError):
        raise
    except Exception:  # each server has classes of its own, and no layer under it is ours
        raise InvalidSyntax("The body is not chunked as HTTP/1.1 has it.") from None


def _error_response(error: ScimError) -> Response:
    """An error as an answer (RFC 7644 §3.12)."""
    # The error may be an authenticator's, whose headers nobody has checked.
    headers = {"Content-Type": SCIM_JSON, **{name: str(value) for name, value in error.headers.items()}}
    return Response(error.status, headers, orjson.dumps(error_body(error)), scim_type=error.scim_type)


def _defect(request_id: str) -> Response:
    return _error_response(InternalError(f"Internal error; the gateway's log has it as request {request_id}."))


def _query(environ: WSGIEnvironment) -> tuple[tuple[str, str], ...]:
    text = environ.get("QUERY_STRING", "")
    if not text:
        return ()
    try:
        # WSGI hands over bytes as Latin-1; what a client did not percent-encode is UTF-8 like the rest.
        if not text.isascii():
            text = text.encode("latin-1").decode("utf-8")
        if text.count("&") >= _MOST_PARAMETERS:
            raise InvalidValue(f"The query has more than {_MOST_PARAMETERS} parameters.")
        pairs = (part.partition("=") for part in text.split("&") if part)
        return tuple((_decoded(name), _decoded(value)) for name, _, value in pairs)
    except UnicodeError:
        raise InvalidValue("The query is not UTF-8.") from None


def _decoded(text: str) -> str:
    """A part of a query as it was meant (``application/x-www-form-urlencoded``)."""
    if "%" not in text and "+" not in text:
        return text
    return unquote_to_bytes(text.replace("+", " ")).decode()


@lru_cache(maxsize=256)
def _base_url(scheme: str, host: str | None, name: str | None, port: str | None, prefix: str) -> str:
    number = int(port) if port is not None and port.isdecimal() else None
    server = None if name is None else (name, number)
    # A Host header that is missing or no host at all leaves what the server itself goes by.
    known = get_host(scheme, host, server) or get_host(scheme, None, server) or "localhost"
    return f"{scheme}://{known}{quote(prefix.rstrip('/'), safe=_UNRESERVED)}"


@lru_cache(maxsize=256)
def _variable(name: str) -> str:
    """The variable in WSGI of a header, from its lower-case name; none has any other name."""
    if name != name.lower() or "_" in name:
        return ""
    return "CONTENT_TYPE" if name == "content-type" else f"HTTP_{name.upper().replace('-', '_')}"
