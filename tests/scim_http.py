"""A tiny SCIM client for tests: one API over an application in this process and over a real base URL."""

from __future__ import annotations

import itertools
import json as json_module
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

import requests
from flask import Flask
from werkzeug.datastructures import Headers
from werkzeug.test import run_wsgi_app

SCIM_JSON = "application/scim+json"
TOKEN = "a-fixed-token-for-tests-0123456789-abcdef"
"""The bearer token of the gateways that tests make."""

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
MESSAGES = "urn:ietf:params:scim:api:messages:2.0:"
LIST_RESPONSE = MESSAGES + "ListResponse"
ERROR = MESSAGES + "Error"
PATCH_OP = MESSAGES + "PatchOp"
SEARCH_REQUEST = MESSAGES + "SearchRequest"
BULK_REQUEST = MESSAGES + "BulkRequest"
BULK_RESPONSE = MESSAGES + "BulkResponse"

Query = str | Mapping[str, Any] | Iterable[tuple[str, str]]
_NOTHING: Any = object()
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Answer:
    """What came back.

    :param headers: in any letter case, with repeated ones kept apart (``getlist``).
    :param body: the parsed JSON, or ``None`` where there was no body or it is no JSON.
    :param raw: the body as bytes.
    """

    method: str
    url: str
    status: int
    headers: Headers
    raw: bytes
    body: Any = field(repr=False)

    def expect(self, status: int, scim_type: str | None = None) -> Answer:
        """The same answer, if it has this status (and this ``scimType``); shows it otherwise."""
        assert self.status == status, f"{self}\nexpected {status} {scim_type or ''}"
        if status >= 400:
            assert self.body is not None, f"{self}\nexpected a SCIM error body"
            assert self.body["schemas"] == [ERROR], self
            assert self.body["status"] == str(status), self
            if scim_type is not None:
                assert self.body.get("scimType") == scim_type, f"{self}\nexpected scimType {scim_type}"
        return self

    @property
    def etag(self) -> str:
        """The entity tag; there has to be one."""
        return self.headers["ETag"]

    @property
    def detail(self) -> str:
        """What an error tells the administrator."""
        return str(self.body.get("detail", ""))

    @property
    def resources(self) -> list[dict[str, Any]]:
        """The items of a ListResponse."""
        assert self.status == 200, self
        assert self.body["schemas"] == [LIST_RESPONSE], self
        return list(self.body.get("Resources", []))

    @property
    def ids(self) -> list[str]:
        """The ids of the items of a ListResponse, in order."""
        return [resource["id"] for resource in self.resources]

    def names(self, attribute: str = "userName") -> list[Any]:
        """One attribute of each item of a ListResponse, in order; ``None`` where an item lacks it."""
        return [resource.get(attribute) for resource in self.resources]

    def __str__(self) -> str:
        return f"{self.method} {self.url} -> {self.status} {self.raw[:2000].decode('utf-8', 'replace')}"


class ScimClient:
    """Requests to one SCIM base URL.

    :param target: a Flask application, or the base URL of a running server (``http://127.0.0.1:8080/scim/v2``).
    :param token: bearer token; ``None`` sends no ``Authorization``.
    :param base: path of the SCIM base URL within a Flask application.
    :param watch: called with every answer; for what has to hold always.
    """

    def __init__(
        self,
        target: Flask | str,
        *,
        token: str | None = None,
        base: str = "/scim/v2",
        watch: Callable[[Answer], None] | None = None,
        timeout: float = 30,
    ) -> None:
        self.target = target
        self.token = token
        self.watch = watch
        self.timeout = timeout
        if isinstance(target, str):
            parts = urlsplit(target.rstrip("/"))
            self.origin, self.base = f"{parts.scheme}://{parts.netloc}", parts.path
            self._session = requests.Session()
        else:
            self.origin, self.base = "http://localhost", base.rstrip("/")

    @property
    def base_url(self) -> str:
        """The absolute SCIM base URL, without a slash at the end."""
        return self.origin + self.base

    def with_token(self, token: str | None) -> ScimClient:
        """The same server with other credentials; also a client of its own for another thread."""
        return ScimClient(
            self.base_url if isinstance(self.target, str) else self.target,
            token=token,
            base=self.base,
            watch=self.watch,
            timeout=self.timeout,
        )

    def close(self) -> None:
        """Give the socket back, where there is one."""
        if isinstance(self.target, str):
            self._session.close()

    def request(
        self,
        method: str,
        path: str,
        json: Any = _NOTHING,
        *,
        data: bytes | str | None = None,
        query: Query | None = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> Answer:
        """Send a request.

        :param path: below the base URL, as it stands in the request line; or an absolute URL on the same server.
        :param json: body to be sent as JSON; ``data`` sends a body as it is instead.
        :param query: added to the path; a text goes as it is, anything else is encoded.
        :param headers: extra headers; ``None`` takes a default header away.
        """
        url = path if path.startswith(("http://", "https://")) else self.base_url + path
        if query is not None:
            text = query if isinstance(query, str) else urlencode(_pairs(query), quote_via=quote)
            url += ("&" if "?" in url else "?") + text
        body = data.encode() if isinstance(data, str) else data
        if json is not _NOTHING:
            body = json_module.dumps(json).encode()
        sent: dict[str, str | None] = {"Accept": SCIM_JSON}
        if self.token is not None:
            sent["Authorization"] = f"Bearer {self.token}"
        if body is not None:
            sent["Content-Type"] = SCIM_JSON
        for name, value in (headers or {}).items():
            sent = {known: old for known, old in sent.items() if known.lower() != name.lower()} | {name: value}
        final = {name: value for name, value in sent.items() if value is not None}
        if isinstance(self.target, str):
            answer = self._send_over_socket(method, url, body, final)
        else:
            answer = self._send_in_process(method, url, body, final)
        if self.watch is not None:
            self.watch(answer)
        return answer

    def get(self, path: str, **options: Any) -> Answer:
        """GET; options as in :meth:`request`."""
        return self.request("GET", path, **options)

    def post(self, path: str, json: Any = _NOTHING, **options: Any) -> Answer:
        """POST; options as in :meth:`request`."""
        return self.request("POST", path, json, **options)

    def put(self, path: str, json: Any = _NOTHING, **options: Any) -> Answer:
        """PUT; options as in :meth:`request`."""
        return self.request("PUT", path, json, **options)

    def patch(self, path: str, json: Any = _NOTHING, **options: Any) -> Answer:
        """PATCH; a list as body is wrapped into a PatchOp message."""
        return self.request("PATCH", path, patch_op(*json) if isinstance(json, list) else json, **options)

    def delete(self, path: str, **options: Any) -> Answer:
        """DELETE; options as in :meth:`request`."""
        return self.request("DELETE", path, **options)

    def user(self, user_name: str | None = None, **attributes: Any) -> dict[str, Any]:
        """Create a user and return the answer's body."""
        body: dict[str, Any] = self.post("/Users", new_user(user_name, **attributes)).expect(201).body
        return body

    def group(self, display_name: str | None = None, members: Iterable[str] = (), **attributes: Any) -> dict[str, Any]:
        """Create a group, with members by id, and return the answer's body."""
        body: dict[str, Any] = self.post("/Groups", new_group(display_name, members, **attributes)).expect(201).body
        return body

    def search(self, path: str = "", **members: Any) -> Answer:
        """POST ``{path}/.search`` with a SearchRequest of these members."""
        return self.post(f"{path}/.search", {"schemas": [SEARCH_REQUEST], **members})

    def bulk(self, *operations: Mapping[str, Any], **members: Any) -> Answer:
        """POST /Bulk with these operations."""
        return self.post("/Bulk", {"schemas": [BULK_REQUEST], "Operations": list(operations), **members})

    def find(self, filter: str, path: str = "/Users") -> Answer:
        """The resources that match a filter."""
        return self.get(path, query={"filter": filter}).expect(200)

    def _send_over_socket(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        defaults = {name: headers.get(name) for name in ("Accept", "User-Agent")}
        answer = self._session.request(
            method, url, data=body, headers={**defaults, **headers}, timeout=self.timeout, allow_redirects=False
        )
        return _answer(method, url, answer.status_code, Headers(answer.raw.headers.items()), answer.content)

    def _send_in_process(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        assert isinstance(self.target, Flask)
        # What Werkzeug's test client sends, without what it is able to beside it, which takes as long as an answer.
        chunks, status, received = run_wsgi_app(self.target, environ_of(method, url, body, headers), buffered=True)
        return _answer(method, url, int(status.split()[0]), received, b"".join(chunks))


def environ_of(method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> dict[str, Any]:
    """A request as a server hands it to an application (PEP 3333)."""
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query or url.endswith("?") else "")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(parts.path).encode().decode("latin-1"),
        "QUERY_STRING": parts.query.encode().decode("latin-1"),
        "REQUEST_URI": target.encode().decode("latin-1"),
        "RAW_URI": target.encode().decode("latin-1"),
        "REMOTE_ADDR": "127.0.0.1",
        "SERVER_NAME": parts.hostname,
        "SERVER_PORT": str(parts.port or (443 if parts.scheme == "https" else 80)),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": parts.netloc,
        "HTTP_USER_AGENT": "scim-http",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": parts.scheme,
        "wsgi.input": BytesIO(body or b""),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in headers.items():
        key = name.upper().replace("-", "_")
        environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
    if body is not None:
        environ["CONTENT_LENGTH"] = str(len(body))
    return environ


def _answer(method: str, url: str, status: int, headers: Headers, raw: bytes) -> Answer:
    try:
        body = json_module.loads(raw) if raw else None
    except ValueError:
        body = None
    return Answer(method, url, status, headers, raw, body)


def _pairs(query: Query) -> list[tuple[str, str]]:
    assert not isinstance(query, str)
    pairs = query.items() if isinstance(query, Mapping) else query
    return [(name, str(value)) for name, value in pairs]


def patch_op(*operations: Mapping[str, Any]) -> dict[str, Any]:
    """A PatchOp message of these operations."""
    return {"schemas": [PATCH_OP], "Operations": list(operations)}


def add(path: str | None, value: Any) -> dict[str, Any]:
    """The PATCH operation ``add``."""
    return {"op": "add", **({} if path is None else {"path": path}), "value": value}


def replace(path: str | None, value: Any) -> dict[str, Any]:
    """The PATCH operation ``replace``."""
    return {"op": "replace", **({} if path is None else {"path": path}), "value": value}


def remove(path: str) -> dict[str, Any]:
    """The PATCH operation ``remove``."""
    return {"op": "remove", "path": path}


def new_user(user_name: str | None = None, **attributes: Any) -> dict[str, Any]:
    """The body of a user; without a name it gets one that no other test uses.

    ``enterprise={…}`` adds the enterprise extension and its URN.
    """
    body: dict[str, Any] = {"schemas": [USER], "userName": user_name or f"user{next(_numbers):05}@example.com"}
    enterprise = attributes.pop("enterprise", None)
    body |= attributes
    if enterprise is not None:
        body["schemas"] = [*body["schemas"], ENTERPRISE]
        body[ENTERPRISE] = enterprise
    return body


def new_group(display_name: str | None = None, members: Iterable[str] = (), **attributes: Any) -> dict[str, Any]:
    """The body of a group with members by id; without a name it gets one that no other test uses."""
    body: dict[str, Any] = {"schemas": [GROUP], "displayName": display_name or f"Group {next(_numbers):05}"}
    if ids := list(members):
        body["members"] = [{"value": id} for id in ids]
    return body | attributes


MakeScim = Callable[..., ScimClient]
"""Makes a gateway with settings of the test's choice; see the fixture ``make_scim``."""
