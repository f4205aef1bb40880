"""Bulk: operations in one request, run in an order in which they can refer to each other (RFC 7644 §3.7)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from scim_gateway.bulk_order import Schedule, inside, references, substituted, without_references
from scim_gateway.call import Answer, Call
from scim_gateway.errors import Conflict, InternalError, InvalidSyntax, InvalidValue, ScimError
from scim_gateway.messages import BULK_RESPONSE, PATCH_OP, BulkOperation, error_body, read_bulk
from scim_gateway.provider_settings import ProviderSettings
from scim_gateway.routing import Router
from scim_gateway.text import printable

logger = logging.getLogger("scim_gateway.provider")

_OPERATIONS = frozenset({"create", "replace", "patch", "delete"})


class Bulk:
    """Runs bulk requests.

    :param perform: runs one operation; checks what the principal may do, and raises what is wrong.
    """

    def __init__(self, router: Router, settings: ProviderSettings, perform: Callable[[Call], Answer]) -> None:
        self._router = router
        self._settings = settings
        self._perform = perform

    def run(self, call: Call) -> Answer:
        """POST /Bulk: 200 whatever the single operations come to."""
        request = read_bulk(call.body(), call.profile, self._settings.bulk_max_operations)
        results = _Job(self._router, self._perform, call, request.operations, request.fail_on_errors).run()
        return Answer(200, {"schemas": [BULK_RESPONSE], "Operations": results})


@dataclass(slots=True)
class _Result:
    """What one operation came to.

    :param location: URL of the resource, known also of most operations that failed.
    """

    status: int = 0
    location: str | None = None
    version: str | None = None
    error: ScimError | None = None


@dataclass(frozen=True, slots=True)
class _PutOff:
    """A resource that was created without what referred to something not yet created, and how to add that."""

    index: int
    id: str
    operations: list[dict[str, Any]]


class _Job:
    """One bulk request on its way."""

    def __init__(
        self,
        router: Router,
        perform: Callable[[Call], Answer],
        call: Call,
        operations: tuple[BulkOperation, ...],
        fail_on_errors: int | None,
    ) -> None:
        self._router = router
        self._perform = perform
        self._call = call
        self._operations = operations
        self._errors_left = fail_on_errors
        self._posts = {
            operation.bulk_id: index
            for index, operation in enumerate(operations)
            if operation.bulk_id is not None and operation.method == "POST"
        }
        self._needs = [references(operation.data) | inside(operation.path) for operation in operations]
        self._ids: dict[str, str] = {}
        self._failed: set[str] = set()
        self._results: dict[int, _Result] = {}
        self._put_off: list[_PutOff] = []

    def run(self) -> list[dict[str, Any]]:
        """Run what can be run; the results of what was run, in the order of the request."""
        schedule = Schedule([{self._posts[id] for id in needs if id in self._posts} for needs in self._needs])
        while not self._stopped():
            for index in schedule:
                self._run(index)
                schedule.done(index)
                if self._stopped():
                    break
            index_in_circle = schedule.in_circle()
            if index_in_circle is None:
                break
            schedule.release(index_in_circle)
        for put_off in self._put_off:
            self._complete(put_off)
        return [self._document(index) for index in sorted(self._results)]

    def _stopped(self) -> bool:
        return self._errors_left is not None and self._errors_left <= 0

    def _run(self, index: int) -> None:
        operation, result = self._operations[index], _Result()
        self._results[index] = result
        try:
            call, put_off = self._prepare(index, result)
            answer = self._try(call, circular=bool(put_off))
        except Exception as error:  # a defect fails its own operation, logged and answered 500, and no other
            # What was done before has to be told, and what comes next does not depend on it (RFC 7644 §3.7.3).
            self._fail(index, error)
            return
        result.status = answer.status
        result.version = answer.headers.get("ETag")
        result.location = answer.headers.get("Location", result.location)
        if operation.method == "POST" and operation.bulk_id is not None:
            id = (result.location or "").rpartition("/")[2]
            self._ids[operation.bulk_id] = id
            if put_off:
                self._put_off.append(_PutOff(index, id, put_off))

    def _prepare(self, index: int, result: _Result) -> tuple[Call, list[dict[str, Any]]]:
        """The operation as if it had come alone, and what has to be added to its resource later.

        :raises ScimError: it cannot be run.
        """
        operation, base_url = self._operations[index], self._call.base_url
        if operation.method != "POST" and operation.path and not inside(operation.path) - self._ids.keys():
            result.location = f"{base_url}/{substituted(operation.path, self._ids, 'path').strip('/')}"
        if operation.error is not None:
            raise operation.error
        for id in sorted(self._needs[index]):
            if id in self._failed:
                raise Conflict(f"The operation with bulkId {printable(id)} failed; this one refers to it.")
            if id not in self._posts:
                raise InvalidValue(f"No POST of this request has the bulkId {printable(id)}.")
        match = self._router.match(substituted(operation.path, self._ids, "path"))
        name = match.route.operation(operation.method)
        if name not in _OPERATIONS or match.route.resource_type is None:
            raise InvalidSyntax(f"{operation.method} {match.route.template} cannot be part of a bulk request.")
        if match.id:
            result.location = f"{base_url}{match.route.resource_type.endpoint}/{match.id}"
        data, put_off = operation.data, list[dict[str, Any]]()
        if self._needs[index] - self._ids.keys():
            # Only what waits for itself by way of others gets here before its turn.
            data, put_off = without_references(data, lambda value: bool(references(value) - self._ids.keys()))
        data = substituted(data, self._ids)
        headers = {"if-match": operation.version} if operation.version and operation.method != "POST" else {}
        call = replace(
            self._call,
            route=match.route,
            method=operation.method,
            id=match.id,
            headers=headers,
            parameters={},
            body=lambda: data,
        )
        return call, put_off

    def _try(self, call: Call, *, circular: bool) -> Answer:
        try:
            return self._perform(call)
        except InvalidValue as error:
            if not circular:
                raise
            raise Conflict(
                "The operation is part of a circle of references, and its resource cannot be created without them: "
                f"{error.detail}"
            ) from None

    def _complete(self, put_off: _PutOff) -> None:
        """Add what was left out; a resource that cannot be as it was asked for goes again."""
        operation, result = self._operations[put_off.index], self._results[put_off.index]
        match = self._router.match(f"{operation.path}/{put_off.id}")
        call = replace(self._call, route=match.route, id=match.id, headers={}, parameters={})
        try:
            needed = references(put_off.operations)
            if missing := (needed - self._ids.keys()) | (needed & self._failed):
                raise Conflict(f"The operation with bulkId {printable(min(missing))} failed; this one refers to it.")
            message = {"schemas": [PATCH_OP], "Operations": substituted(put_off.operations, self._ids)}
            answer = self._perform(replace(call, method="PATCH", body=lambda: message))
            result.version = answer.headers.get("ETag", result.version)
            return
        except Exception as error:  # the resource must not stay as it is, whatever was in the way
            self._fail(put_off.index, error)
        result.location = result.version = None
        try:
            self._perform(replace(call, method="DELETE"))
        except Exception:  # answered with what went wrong first; that something is left over is for the log
            logger.exception("Could not take back a resource that a bulk request could not complete")

    def _fail(self, index: int, trouble: Exception) -> None:
        operation, result = self._operations[index], self._results[index]
        if isinstance(trouble, ScimError):
            error = trouble
        else:
            method = operation.method
            logger.error("An operation of a bulk request failed unexpectedly: %s", method, exc_info=trouble)
            error = InternalError("The gateway failed; its log says why.")
        result.status, result.error = error.status, error
        if operation.bulk_id is not None:
            self._failed.add(operation.bulk_id)
        if self._errors_left is not None:
            self._errors_left -= 1

    def _document(self, index: int) -> dict[str, Any]:
        """The result of one operation (RFC 7644 §3.7.3); only a failed POST has no location."""
        operation, result = self._operations[index], self._results[index]
        document: dict[str, Any] = {"method": operation.method} if operation.method else {}
        if operation.bulk_id is not None:
            document["bulkId"] = operation.bulk_id
        if result.location is not None:
            document["location"] = result.location
        if result.version is not None:
            document["version"] = result.version
        document["status"] = str(result.status)
        if result.error is not None:
            document["response"] = error_body(result.error)
        return document
