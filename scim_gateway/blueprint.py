"""A service provider as a Flask blueprint: HTTP in and out, nothing about SCIM."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_to_bytes

import flask
import orjson
from flask.sansio.blueprints import BlueprintSetupState
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.routing import BaseConverter

from scim_gateway import access_log
from scim_gateway.auth import Authenticator
from scim_gateway.errors import InternalError, InvalidSyntax, InvalidValue, PayloadTooLarge, ScimError, Unauthorized
from scim_gateway.exchange import SCIM_JSON, SECURITY_HEADERS, Principal, Request, Response
from scim_gateway.messages import error_body

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from scim_gateway.provider import ServiceProvider

logger = logging.getLogger("scim_gateway.blueprint")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS"})
_WITHOUT_CONTENT = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})
_MOST_PARAMETERS = 100
_CHUNK = 64 * 1024


class ScimResponse(flask.Response):
    """An answer whose headers are complete: it has no media type unless it is given one, and is sent as it is.

    Werkzeug would look at each header again, which takes a tenth of the time of a short request.
    """

    default_mimetype = None
    _sent_as_it_is = True

    def call_on_close(self, func: Callable[[], Any]) -> Callable[[], Any]:
        self._sent_as_it_is = False
        return super().call_on_close(func)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body = self.response
        if not (self._sent_as_it_is and isinstance(body, list) and environ["REQUEST_METHOD"] != "HEAD"):
            return super().__call__(environ, start_response)
        if "Content-Length" not in self.headers and self.status_code not in _WITHOUT_CONTENT:
            self.headers["Content-Length"] = str(sum(map(len, body)))
        start_response(self.status, self.headers.to_wsgi_list())
        return body


class _Rest(BaseConverter):
    """All of a path behind the prefix: empty, with slashes at either end or doubled, with any character."""

    regex = r"[\s\S]*"
    part_isolating = False
    weight = 10_000


def create_blueprint(
    provider: ServiceProvider,
    *,
    name: str,
    authenticate: Authenticator,
    public_url: str | None = None,
) -> flask.Blueprint:
    """A blueprint that serves a service provider below the ``url_prefix`` it is registered with.

    Every path and every method below the prefix is authenticated and answered by the service provider, those that
    exist nowhere too. It may be registered next to others in one application; nothing is shared between them.

    :param provider: what answers.
    :param name: name of the blueprint, unique in the application.
    :param authenticate: who is asking; :class:`~scim_gateway.auth.BearerAuthenticator`, or the host application's own.
    :param public_url: the SCIM base URL that clients see; by default taken from each request.
    :raises TypeError: there is no authenticator.
    """
    if not callable(authenticate):
        raise TypeError(
            "create_blueprint needs an authenticator: pass authenticate=BearerAuthenticator(backend.tokens), "
            "or a function that takes a scim_gateway.exchange.Request and returns a Principal"
        )
    view = _View(provider, authenticate, public_url)
    blueprint = flask.Blueprint(name, __name__)

    def serve(rest: str = "", **_: Any) -> flask.Response:
        # A function: of any other callable Flask finds out at each request whether it is a coroutine.
        # The request itself: Flask's name for it is a stand-in (a werkzeug.local.LocalProxy, though it is typed as a
        # request), which finds it anew each time.
        proxy: Any = flask.request
        http: flask.Request = proxy._get_current_object()
        return view.answer(http, rest)

    @blueprint.record
    def add_rules(state: BlueprintSetupState) -> None:
        # Flask's add_url_rule wants a list of methods, but PROPFIND is to be authenticated like GET. A rule of
        # Werkzeug without methods matches them all; so does ours match what Flask would answer by a redirect.
        app = state.app
        app.url_map.converters["scim_gateway_rest"] = _Rest
        endpoint = f"{state.name_prefix}.{state.name}.scim".lstrip(".")
        prefix = (state.url_prefix or "").rstrip("/")
        for path in (prefix, f"{prefix}/<scim_gateway_rest:rest>"):
            if not path:
                continue
            # Any: Flask reads provide_automatic_options from its rules, Werkzeug's class does not know it.
            rule: Any = app.url_rule_class(
                path,
                endpoint=endpoint,
                methods=None,
                strict_slashes=False,
                merge_slashes=False,
                subdomain=state.subdomain,
            )
            rule.provide_automatic_options = False
            app.url_map.add(rule)
        app.view_functions[endpoint] = serve

    return blueprint


class _View:
    """The one view function of a blueprint."""

    def __init__(self, provider: ServiceProvider, authenticate: Authenticator, public_url: str | None) -> None:
        self._provider = provider
        self._authenticate = authenticate
        self._public_url = public_url.rstrip("/") if public_url else None
        self._largest = max(provider.settings.max_body, provider.settings.bulk_max_payload)

    def answer(self, http: flask.Request, rest: str) -> flask.Response:
        """The answer to a request for what is below the prefix."""
        began = time.perf_counter()
        sent = http.environ.get("HTTP_X_REQUEST_ID", "")
        request_id = sent if _REQUEST_ID.fullmatch(sent) else os.urandom(16).hex()
        principal: Principal | None = None
        client = http.remote_addr or ""
        try:
            request = self._read_head(http, rest, request_id, client)
            try:
                # Authentication comes first: whoever may not be here learns nothing about paths, queries or bodies.
                principal = self._authenticate(request)
            except Unauthorized as error:
                response = self._answer_anonymously(http, request, error)
            else:
                body = b"" if request.method in _WITHOUT_BODY else self._read_body(http)
                response = self._provider.handle(
                    Request(
                        request.method,
                        request.path,
                        request.base_url,
                        _query(http),
                        request.headers,
                        body,
                        principal,
                        client,
                    )
                )
        except ScimError as error:
            response = error_response(error)
        except Exception:  # an authenticator is the application's: whatever it raises, the answer is a SCIM error
            # What went wrong is for the log; who asked learns where to look (checklist R-12).
            logger.exception("A request failed unexpectedly", extra={"request_id": request_id})
            detail = f"Internal error; the gateway's log has it as request {request_id}."
            response = error_response(InternalError(detail))
        headers = {**response.headers, **SECURITY_HEADERS, "X-Request-ID": request_id}
        # As a list: Werkzeug measures a plain body, and would overwrite the Content-Length that HEAD has without one.
        answer = ScimResponse([response.body] if response.body else [], response.status, headers)
        access_log.record(
            request_id=request_id,
            token=principal.name if principal else None,
            method=http.method,
            route=response.route.partition(" ")[2] or None,
            status=response.status,
            scim_type=response.scim_type,
            seconds=time.perf_counter() - began,
            size=len(response.body),
            client=client,
        )
        return answer

    def _read_head(self, http: flask.Request, rest: str, request_id: str, client: str) -> Request:
        environ = http.environ
        headers = {_header_name(key): value for key, value in environ.items() if key.startswith("HTTP_")}
        headers["x-request-id"] = request_id
        if environ.get("CONTENT_TYPE"):
            headers["content-type"] = environ["CONTENT_TYPE"]
        return Request(
            method=http.method,
            path=f"/{rest}",
            base_url=self._public_url or _base_url(http, rest),
            query=(),
            headers=headers,
            client=client,
        )

    def _answer_anonymously(self, http: flask.Request, request: Request, error: Unauthorized) -> Response:
        """Discovery, if it is public; the service provider knows, and refuses what is not."""
        if "authorization" in request.headers or request.method not in _WITHOUT_BODY:
            raise error
        response = self._provider.handle(replace(request, query=_query(http)))
        if response.status == HTTPStatus.UNAUTHORIZED:
            raise error
        return response

    def _read_body(self, http: flask.Request) -> bytes:
        """The body, however its length is announced, up to the limit."""
        largest = self._largest
        length = http.content_length
        if length is not None and length > largest:
            raise self._too_large()
        try:
            stream, chunks, size = http.stream, [], 0
            while chunk := stream.read(min(_CHUNK, largest + 1 - size)):
                chunks.append(chunk)
                size += len(chunk)
                if size > largest:
                    raise self._too_large()
        except RequestEntityTooLarge:
            raise self._too_large() from None
        except (HTTPException, OSError):
            raise InvalidSyntax("The body ended before the length that was announced.") from None
        return b"".join(chunks)

    def _too_large(self) -> PayloadTooLarge:
        return PayloadTooLarge(f"The body is larger than {self._largest} bytes; send less at a time.")


def error_response(error: ScimError) -> Response:
    """An error as an answer (RFC 7644 §3.12)."""
    headers = {"Content-Type": SCIM_JSON, **error.headers}
    return Response(error.status, headers, orjson.dumps(error_body(error)), scim_type=error.scim_type)


def _query(http: flask.Request) -> tuple[tuple[str, str], ...]:
    text = http.environ.get("QUERY_STRING", "")
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


def _base_url(http: flask.Request, rest: str) -> str:
    path = http.path
    prefix = path[: len(path) - len(rest)] if rest else path
    # A Host header that is missing or no host at all leaves what the server itself goes by.
    host = http.host or f"{http.environ['SERVER_NAME']}:{http.environ['SERVER_PORT']}"
    return f"{http.scheme}://{host}{_quoted(http.root_path.rstrip('/') + prefix.rstrip('/'))}"


@lru_cache(maxsize=256)
def _header_name(key: str) -> str:
    """The name of a header, from that of its variable in WSGI."""
    return key[5:].replace("_", "-").lower()


@lru_cache(maxsize=256)
def _quoted(path: str) -> str:
    return quote(path, safe="/~!$&'()*+,;=:@")
