"""Whether a request or an answer is what the OpenAPI document allows, as an established validator sees it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openapi_core import OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.exceptions import OpenAPIError
from werkzeug.datastructures import Headers, ImmutableMultiDict

DOCUMENT = Path(__file__).with_name("openapi.yaml")
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""One UUID is as good as another: the document knows no more of them than their form."""
HOST = "https://api.singlestore.com"  # the server that the document names; the double stands in for it


@dataclass
class Request:
    """A request as the validator reads it."""

    method: str
    path: str
    parameters: RequestParameters
    body: bytes | None
    content_type: str
    host_url: str = HOST

    @classmethod
    def of(
        cls, method: str, path: str, query: Iterable[tuple[str, str]], headers: Mapping[str, str], body: bytes
    ) -> Request:
        parameters = RequestParameters(query=ImmutableMultiDict(list(query)), header=Headers(dict(headers)))
        return cls(method.lower(), path, parameters, body or None, headers.get("content-type", "").lower())


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
        self._api = OpenAPI.from_file_path(str(DOCUMENT))
        paths: Mapping[str, Any] = self._api.spec.read_value()["paths"]
        # A fixed path comes before one with a parameter: /v1/users/current is no user's.
        self._paths = {path: paths[path] for path in sorted(paths, key=lambda path: path.count("{"))}
        self._sound: set[bytes] = set()

    def request(self, request: Request) -> str | None:
        """What the document says against the request; a query parameter that it does not name counts."""
        parts = (request.method, request.path, *request.parameters.query.items(multi=True))
        seen = _digest(*map(str, parts), str(request.parameters.header), body=request.body or b"")
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
        seen = _digest(request.method, template, str(status), media_type, body=body)
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


def _digest(*parts: str, body: bytes) -> bytes:
    """Of a request or an answer, whichever ids it has."""
    ids: dict[str, str] = {}

    def number(found: re.Match[str]) -> str:
        return ids.setdefault(found[0], f"00000000-0000-0000-0000-{len(ids):012x}")

    whole = f"{parts!r}\n{body.decode('latin-1')}"
    return hashlib.sha256(_ID.sub(number, whole).encode("latin-1", "backslashreplace")).digest()


def _reason(error: Exception) -> str:
    """The innermost cause, in a line."""
    causes = [str(error)]
    inner: BaseException | None = error
    while inner is not None and (inner := inner.__cause__) is not None:
        causes.append(str(inner))
        schema_errors = getattr(inner, "schema_errors", ())
        causes += [str(one.message) for one in schema_errors]
    return "; ".join(dict.fromkeys(cause.splitlines()[0] for cause in causes if cause))
