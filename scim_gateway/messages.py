"""The messages of the protocol: requests read by marshmallow, answers built (RFC 7644 §3.4, §3.5.2, §3.7, §3.12)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TypeVar, cast

from marshmallow import EXCLUDE, Schema, ValidationError, fields

from scim_gateway.errors import InvalidPath, InvalidSyntax, InvalidValue, MethodNotAllowed, PayloadTooLarge, ScimError
from scim_gateway.problems import kind_of, problems_in, sentence
from scim_gateway.profile import Profile
from scim_gateway.search import Search
from scim_gateway.text import printable

PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
SEARCH_REQUEST = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
LIST_RESPONSE = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
BULK_REQUEST = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
BULK_RESPONSE = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"

_SCIM = "urn:ietf:params:scim:"
_OPS = ("add", "remove", "replace")
_BULK_METHODS = ("POST", "PUT", "PATCH", "DELETE")
_SAYS_NOTHING_IF_EMPTY = ("attributes", "excluded_attributes", "sort_by", "sort_order")


@dataclass(frozen=True, slots=True)
class PatchOperation:
    """One operation of a PATCH (RFC 7644 §3.5.2).

    :param path: the target as sent; ``None`` when missing or empty.
    :param has_value: whether ``value`` was sent, be it null.
    """

    op: Literal["add", "remove", "replace"]
    path: str | None = None
    value: Any = None
    has_value: bool = False


@dataclass(frozen=True, slots=True)
class BulkOperation:
    """One operation of a bulk request (RFC 7644 §3.7).

    :param error: why it cannot be run; the others can.
    """

    method: str
    path: str
    bulk_id: str | None = None
    version: str | None = None
    data: Any = None
    error: ScimError | None = None


@dataclass(frozen=True, slots=True)
class BulkRequest:
    """A bulk request; without ``fail_on_errors`` everything is tried."""

    operations: tuple[BulkOperation, ...]
    fail_on_errors: int | None = None


class _Text(fields.Field[str]):
    """A member that is a JSON string."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if type(value) is not str:
            raise ValidationError(f"has to be a string, not {kind_of(value)}")
        return value


class _Number(fields.Field[int]):
    """A member that is a JSON integer."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        if type(value) is not int:
            raise ValidationError(
                "has to be an integer" if type(value) is float else f"has to be an integer, not {kind_of(value)}"
            )
        return value


class _Names(fields.Field[tuple[str, ...]]):
    """A member that is an array of attribute names; one text where the profile lifts it."""

    lift = False

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> tuple[str, ...]:
        if self.lift and type(value) is str:
            return tuple(name.strip() for name in value.split(",") if name.strip())
        if type(value) is not list or not all(type(name) is str for name in value):
            raise ValidationError("has to be an array of strings")
        return tuple(value)


class _Anything(fields.Field[Any]):
    """A member whose content something else looks at."""

    def deserialize(
        self, value: Any, attr: str | None = None, data: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> Any:
        """The value as it is: there is nothing around it that a field would look at, either."""
        return value


class _MessageSchema(Schema):
    """A message, or an object in one; its members are the fields."""

    class Meta:
        unknown = EXCLUDE

    def __init__(self, *, any_case: bool, ignore_unknown: bool, lift: bool) -> None:
        super().__init__(partial=True)
        self._any_case, self._ignore_unknown = any_case, ignore_unknown
        self._members = {field.data_key or name: name for name, field in self.load_fields.items()}
        self._in_any_case = {member.lower(): member for member in self._members}
        for field in self.load_fields.values():
            field.allow_none = True
            if isinstance(field, _Names):
                field.lift = lift

    def canonical(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """The message with its members as they are spelled.

        :raises InvalidSyntax: it has a member that is none, or one twice.
        """
        members: dict[str, Any] = {}
        for key, value in data.items():
            member = key if key in self._members else self._in_any_case.get(key.lower()) if self._any_case else None
            if member is None:
                if not self._ignore_unknown:
                    raise InvalidSyntax(f"{printable(key)} is no member of this message; correct or remove it.")
            elif member in members:
                raise InvalidSyntax(f"{member} is given twice; letter case makes no difference.")
            else:
                members[member] = value
        return members


M = TypeVar("M", bound=_MessageSchema)


class _PatchSchema(_MessageSchema):
    schemas = _Anything()
    operations = _Anything(data_key="Operations")


class _PatchOperationSchema(_MessageSchema):
    op = _Anything()
    path = _Anything()
    value = _Anything()


class _SearchSchema(_MessageSchema):
    schemas = _Anything()
    attributes = _Names()
    excluded_attributes = _Names(data_key="excludedAttributes")
    filter = _Text()
    sort_by = _Text(data_key="sortBy")
    sort_order = _Text(data_key="sortOrder")
    start_index = _Number(data_key="startIndex")
    count = _Number()
    cursor = _Text()


class _BulkSchema(_MessageSchema):
    schemas = _Anything()
    fail_on_errors = _Number(data_key="failOnErrors")
    operations = _Anything(data_key="Operations")


class _BulkOperationSchema(_MessageSchema):
    method = _Text()
    path = _Text()
    bulk_id = _Text(data_key="bulkId")
    version = _Text()
    data = _Anything()


@dataclass(frozen=True, slots=True)
class _Messages:
    """The Schemas of all messages under certain allowances."""

    patch: _PatchSchema
    patch_operation: _PatchOperationSchema
    search: _SearchSchema
    bulk: _BulkSchema
    bulk_operation: _BulkOperationSchema


def _messages(profile: Profile) -> _Messages:
    return _made(profile.any_case, profile.ignore_unknown, profile.lift_values)


@lru_cache(maxsize=8)
def _made(any_case: bool, ignore_unknown: bool, lift: bool) -> _Messages:
    def made(kind: type[M]) -> M:
        return kind(any_case=any_case, ignore_unknown=ignore_unknown, lift=lift)

    return _Messages(
        made(_PatchSchema),
        made(_PatchOperationSchema),
        made(_SearchSchema),
        made(_BulkSchema),
        made(_BulkOperationSchema),
    )


def read_patch(body: Mapping[str, Any], profile: Profile) -> tuple[PatchOperation, ...]:
    """The operations of a PatchOp message (RFC 7644 §3.5.2).

    :raises InvalidSyntax: it does not have the shape of the message.
    :raises InvalidPath: a path is no text.
    """
    schemas = _messages(profile)
    message = _load(schemas.patch, body, "The body")
    _check_message(message, PATCH_OP, optional=profile.infer_schemas)
    operations = []
    for position, sent in enumerate(_operations(message), 1):
        place = f"Operation {position}"
        operation = _load(schemas.patch_operation, sent, place)
        op = operation.get("op")
        if profile.any_case and type(op) is str:
            op = op.lower()
        if op not in _OPS:
            raise InvalidSyntax(f"{place}: op has to be add, remove or replace.")
        path = operation.get("path")
        if path is not None and type(path) is not str:
            raise InvalidPath(f"{place}: path has to be a string, not {kind_of(path)}.")
        operations.append(PatchOperation(op, path or None, operation.get("value"), "value" in operation))
    return tuple(operations)


def read_search(body: Mapping[str, Any], profile: Profile) -> Search:
    """A SearchRequest (RFC 7644 §3.4.3); what is empty is as good as not sent, except where a value means something.

    :raises InvalidSyntax: it is no SearchRequest.
    :raises InvalidValue: a member has the wrong type.
    """
    message = _load(_messages(profile).search, body, "The body")
    _check_message(message, SEARCH_REQUEST)
    message.pop("schemas", None)
    return Search(**message | {name: message.get(name) or None for name in _SAYS_NOTHING_IF_EMPTY})


def read_bulk(body: Mapping[str, Any], profile: Profile, max_operations: int) -> BulkRequest:
    """A BulkRequest (RFC 7644 §3.7). What is wrong with one operation is told in the operation and stops no other.

    :raises InvalidSyntax: it does not have the shape of the message.
    :raises InvalidValue: ``failOnErrors`` is no positive integer, or a bulkId occurs twice.
    :raises PayloadTooLarge: there are too many operations.
    """
    schemas = _messages(profile)
    message = _load(schemas.bulk, body, "The body")
    _check_message(message, BULK_REQUEST)
    fail_on_errors = message.get("fail_on_errors")
    if fail_on_errors is not None and fail_on_errors < 1:
        raise InvalidValue("failOnErrors has to be a positive integer; leave it out to try everything.")
    sent = _operations(message)
    if len(sent) > max_operations:
        raise PayloadTooLarge(
            f"The request has {len(sent)} operations; at most {max_operations} are allowed (maxOperations)."
        )
    operations = tuple(
        _bulk_operation(schemas.bulk_operation, operation, position, profile)
        for position, operation in enumerate(sent, 1)
    )
    ids = [operation.bulk_id for operation in operations if operation.bulk_id is not None]
    if len(set(ids)) < len(ids):
        repeated = next(id for position, id in enumerate(ids) if id in ids[:position])
        raise InvalidValue(f"The bulkId {printable(repeated)} occurs twice; each operation needs its own.")
    return BulkRequest(operations, fail_on_errors)


def _bulk_operation(schema: _BulkOperationSchema, sent: Any, position: int, profile: Profile) -> BulkOperation:
    place = f"Operation {position}"
    if not isinstance(sent, Mapping):
        raise InvalidSyntax(f"{place} has to be an object, not {kind_of(sent)}.")
    try:
        operation = _load(schema, sent, place)
    except ScimError as error:
        # What can be told of the operation stays in its result.
        members = {name: sent[name] for name in ("method", "path", "bulkId") if isinstance(sent.get(name), str)}
        return BulkOperation(members.get("method", ""), members.get("path", ""), members.get("bulkId"), error=error)
    method, path, data = operation.get("method") or "", operation.get("path") or "", operation.get("data")
    if profile.any_case:
        method = method.upper()
    fault: ScimError | None = None
    if not method or not path:
        fault = InvalidSyntax(f"{place} needs method and path.")
    elif method not in _BULK_METHODS:
        fault = MethodNotAllowed(f"{place}: method has to be {_listed(_BULK_METHODS)}.", allow=_BULK_METHODS)
    elif method == "POST" and not operation.get("bulk_id"):
        fault = InvalidSyntax(f"{place}: a POST needs a bulkId, by which its result is known.")
    elif method != "DELETE" and not isinstance(data, Mapping):
        fault = InvalidSyntax(f"{place}: a {method} needs data, an object.")
    return BulkOperation(method, path, operation.get("bulk_id"), operation.get("version"), data, fault)


def _load(schema: _MessageSchema, sent: Any, place: str) -> dict[str, Any]:
    if not isinstance(sent, Mapping):
        raise InvalidSyntax(f"{place} has to be a JSON object, not {kind_of(sent)}.")
    try:
        return cast(dict[str, Any], schema.load(schema.canonical(sent)))
    except ValidationError as error:
        raise InvalidValue(sentence(problems_in(error.messages))) from None


def _check_message(message: Mapping[str, Any], urn: str, *, optional: bool = False) -> None:
    """Whether a message says that it is the one that is wanted (RFC 7644 §3.1).

    :param optional: ``schemas`` may be missing or wrong, as long as it does not name something else of this protocol.
    """
    sent = message.get("schemas")
    urns = [text for text in sent if isinstance(text, str)] if isinstance(sent, list) else []
    if urn.lower() in (text.lower() for text in urns):
        return
    if not optional or any(text.lower().startswith(_SCIM) for text in urns):
        raise InvalidSyntax(f'schemas has to be ["{urn}"].')


def _operations(message: Mapping[str, Any]) -> list[Any]:
    operations = message.get("operations")
    if not isinstance(operations, list) or not operations:
        raise InvalidSyntax("Operations has to be an array of operations, and not empty.")
    return operations


def _listed(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def list_response(
    resources: Sequence[Any],
    total: int,
    *,
    start_index: int | None = None,
    next_cursor: str | None = None,
) -> dict[str, Any]:
    """A ListResponse (RFC 7644 §3.4.2); ``startIndex`` for paging by index, the cursor for the other (RFC 9865 §2).

    :param resources: as documents, or as pieces of JSON.
    """
    response: dict[str, Any] = {"schemas": [LIST_RESPONSE], "totalResults": total, "itemsPerPage": len(resources)}
    if start_index is not None:
        response["startIndex"] = start_index
    if next_cursor is not None:
        response["nextCursor"] = next_cursor
    response["Resources"] = resources
    return response


def error_body(error: ScimError) -> dict[str, Any]:
    """The Error message for an error (RFC 7644 §3.12); ``status`` is a string there."""
    body: dict[str, Any] = {"schemas": [ERROR], "status": str(error.status)}
    if error.scim_type is not None:
        body["scimType"] = error.scim_type
    body["detail"] = error.detail
    return body
