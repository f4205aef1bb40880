"""Whether a request or an answer is what the OpenAPI document allows, as an established validator sees it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from openapi_core import OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.exceptions import OpenAPIError
from werkzeug.datastructures import Headers, ImmutableMultiDict

DOCUMENT = Path(__file__).with_name("openapi.yaml")
_FORMS = (
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "00000000-0000-0000-0000-000000000000"),
    (re.compile(r"\d{4}-(0[1-9]|1[0-2])-([01]\d|2[0-8])T([01]\d|2[0-3])(:[0-5]\d){2}Z"), "2000-01-01T00:00:00Z"),
    # A text with one of these signs is no UUID, no instant, no word of an enumeration, and not empty.
    (re.compile(r'"[^"\\]*[@^][^"\\]*"'), '"@"'),
    (re.compile(r"(\{[^{}]*\})(?:, \1)+"), r"\1"),
)
"""One UUID is as good as another, one address, one pattern, and one element of a list: the document knows no more."""
_UNKNOWN = re.compile(
    r"\b(pattern|maxLength|minItems|maxItems|uniqueItems|format: (?!uuid|date-time)|minLength: (?!1\b))"
)
_OF_A_CONNECTION = frozenset({"host", "content-length"})
HOST = "https://api.singlestore.com"  # the server that the document names; the double stands in for it


@dataclass
class Request:
    """A request as the validator reads it.

    :param headers: by their names in small letters.
    """

    command: str
    path: str
    query: Sequence[tuple[str, str]]
    headers: Mapping[str, str]
    raw: bytes
    host_url: str = HOST

    @cached_property
    def method(self) -> str:
        return self.command.lower()

    @cached_property
    def parameters(self) -> RequestParameters:
        return RequestParameters(query=ImmutableMultiDict(self.query), header=Headers(dict(self.headers)))

    @property
    def body(self) -> bytes | None:
        return self.raw or None

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "").lower()


@dataclass
class Response:
    """An answer as the validator reads it."""

    status_code: int
    content_type: str
    data: bytes
    headers: Headers


class Judge:
    """The document, loaded once; what was found right once is not looked at again."""

    def __init__(self) -> None:
        assert not _UNKNOWN.search(DOCUMENT.read_text("utf-8")), "what _FORMS takes for alike may differ by now"
        self._api = OpenAPI.from_file_path(str(DOCUMENT))
        paths: Mapping[str, Any] = self._api.spec.read_value()["paths"]
        # A fixed path comes before one with a parameter: /v1/users/current is no user's.
        self._paths = {path: paths[path] for path in sorted(paths, key=lambda path: path.count("{"))}
        self._sound: set[bytes] = set()

    def request(self, request: Request) -> str | None:
        """What the document says against the request; a query parameter that it does not name counts."""
        query = [(name, f'"{value}"') for name, value in request.query]
        headers = [(name, value) for name, value in request.headers.items() if name not in _OF_A_CONNECTION]
        seen = _digest(request.method, request.path, query, headers, body=request.raw)
        if seen in self._sound:
            return None
        against = self._against(request)
        if against is None:
            self._sound.add(seen)
        return against

    def _against(self, request: Request) -> str | None:
        try:
            self._api.validate_request(request)
        except OpenAPIError as error:
            return f"{request.method.upper()} {request.path}: {_reason(error)}"
        known = self._query_names(request)
        unknown = [name for name in request.parameters.query if name not in known]
        if unknown:
            return f"{request.method.upper()} {request.path}: no query parameter {', '.join(unknown)}"
        if request.body is not None and "requestBody" not in self._operation(request):
            return f"{request.method.upper()} {request.path}: no body is foreseen"
        return None

    def response(self, request: Request, status: int, media_type: str, body: bytes) -> str | None:
        """What the document says against the answer to a request that was allowed."""
        template = self._template(request.path)
        seen = _digest(request.method, template, status, media_type, body=body)
        if seen in self._sound:
            return None
        try:
            self._api.validate_response(request, Response(status, media_type, body, Headers()))
        except OpenAPIError as error:
            return f"answer {status} to {request.method.upper()} {request.path}: {_reason(error)}"
        self._sound.add(seen)
        return None

    def _template(self, path: str) -> str:
        parts = path.split("/")
        for template in self._paths:
            pattern = template.split("/")
            if len(pattern) == len(parts) and all(
                a == b or a.startswith("{") for a, b in zip(pattern, parts, strict=True)
            ):
                return template
        raise AssertionError(f"{path} is not in the document")

    def _operation(self, request: Request) -> Mapping[str, Any]:
        operation: Mapping[str, Any] = self._paths[self._template(request.path)][request.method]
        return operation

    def _query_names(self, request: Request) -> set[str]:
        parameters = self._operation(request).get("parameters", [])
        return {parameter["name"] for parameter in parameters if parameter.get("in") == "query"}


def _digest(*parts: object, body: bytes) -> bytes:
    """Of a request or an answer, whichever ids, addresses and instants it has."""
    return _digest_of_its_like(f"{parts}\n{body.decode('latin-1')}")


@lru_cache(2000)
def _digest_of_its_like(whole: str) -> bytes:
    for form, one in _FORMS:
        whole = form.sub(one, whole)
    return hashlib.sha256(whole.encode("latin-1", "backslashreplace")).digest()


def _reason(error: Exception) -> str:
    """The innermost cause, in a line."""
    causes = [str(error)]
    inner: BaseException | None = error
    while inner is not None and (inner := inner.__cause__) is not None:
        causes.append(str(inner))
        schema_errors = getattr(inner, "schema_errors", ())
        causes += [str(one.message) for one in schema_errors]
    return "; ".join(dict.fromkeys(cause.splitlines()[0] for cause in causes if cause))
