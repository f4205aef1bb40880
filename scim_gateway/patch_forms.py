"""PATCH operations as identity providers send them, rewritten as far as a profile allows (RFC 7644 §3.5.2).

Rewriting looks at the operations and at the schemas, never at a resource, and never makes more of an operation than it
says. What an allowance does not cover stays as it is, and is refused when it is applied.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from scim_gateway.errors import InvalidValue, ScimError
from scim_gateway.filter_parser import parse_path
from scim_gateway.messages import PatchOperation
from scim_gateway.profile import Profile
from scim_gateway.schema import AttributePath, ResourceType, Target
from scim_gateway.text import printable


class Normalised(NamedTuple):
    """Operations in the forms of the RFC.

    :param ignored: names of attributes that were dropped because no schema knows them.
    """

    operations: tuple[PatchOperation, ...]
    ignored: tuple[str, ...] = ()


def normalise(operations: Iterable[PatchOperation], resource_type: ResourceType, profile: Profile) -> Normalised:
    """The same operations without the forms that the profile allows beyond the RFC.

    - A null ``value`` of ``remove`` is none.
    - Keys of a path-less value that are paths become operations of their own, behind the one with the other keys
      (``path_keys``); what is unknown (``ignore_unknown``), readOnly (``ignore_read_only``) or the copied ``schemas``
      (``infer_schemas``) is left out.
    - ``replace`` by a value path follows an ``add`` that makes the element if there is none (``create_elements``).

    :raises InvalidValue: two keys of a path-less value mean the same attribute.
    """
    ignored: list[str] = []
    rewritten: list[PatchOperation] = []
    for operation in operations:
        if operation.op == "remove":
            rewritten.append(replace(operation, has_value=operation.value is not None))
            continue
        for part in _Keys(resource_type, profile, ignored).split(operation):
            rewritten += _creating(part, resource_type) if profile.create_elements else (part,)
    return Normalised(tuple(rewritten), tuple(ignored))


class _Keys:
    """Takes the value of one ``add`` or ``replace`` that names several attributes apart."""

    def __init__(self, resource_type: ResourceType, profile: Profile, ignored: list[str]) -> None:
        self._type = resource_type
        self._profile = profile
        self._ignored = ignored
        self._seen: set[AttributePath] = set()

    def split(self, operation: PatchOperation) -> Iterator[PatchOperation]:
        """The operation without what is left out, and behind it those that its keys become."""
        value = operation.value
        if not isinstance(value, Mapping) or not (operation.path is None or self._is_extension(operation.path)):
            yield operation
            return
        plain: dict[str, Any] = {}
        parts: list[tuple[str, Any]] = []
        for key, inner in value.items():
            urn = self._extension(key) if operation.path is None else None
            if urn is not None and isinstance(inner, Mapping):
                self._once(AttributePath(urn, ""))
                nested: dict[str, Any] = {}
                plain[key] = nested
                for name, innermost in inner.items():
                    self._sort(f"{urn}:{name}", name, innermost, nested, parts)
            elif operation.path is None and self._profile.path_keys and self._is_core(key, inner):
                for name, innermost in inner.items():
                    self._sort(name, name, innermost, plain, parts)
            else:
                self._sort(key if operation.path is None else f"{operation.path}:{key}", key, inner, plain, parts)
        yield replace(operation, value=plain)
        for path, inner in parts:
            yield replace(operation, path=path, value=inner)

    def _sort(self, path: str, key: str, value: Any, plain: dict[str, Any], parts: list[tuple[str, Any]]) -> None:
        """Put one key where it belongs: among the plain ones, among the paths, or nowhere."""
        base, bracket, _ = path.partition("[")
        target = self._type.locate(base)
        if target is None:
            # A key that looks like a path is no unknown attribute where paths are not read: nobody knows what is meant.
            if self._profile.ignore_unknown and (self._profile.path_keys or not any(mark in key for mark in ".:[")):
                self._ignored.append(printable(path))
            else:
                plain[key] = value
            return
        if self._profile.infer_schemas and target.path == AttributePath(None, "schemas"):
            return
        if self._profile.ignore_read_only and _is_read_only(target):
            return
        if not bracket:
            # Two value paths may select different elements; a name stands for one attribute.
            self._once(target.path)
        is_name = not bracket and (target.attribute is None or target.attribute.name.lower() == key.lower())
        if is_name or not self._profile.path_keys:
            plain[key] = value
        else:
            parts.append((path, value))

    def _once(self, path: AttributePath) -> None:
        if path in self._seen:
            raise InvalidValue(f"The value names {path} twice; it is not certain which one is meant.")
        self._seen.add(path)

    def _extension(self, key: str) -> str | None:
        extension = self._type.extensions_by_urn.get(key.lower())
        return extension.schema.id if extension else None

    def _is_extension(self, path: str) -> bool:
        return self._extension(path) is not None

    def _is_core(self, key: str, value: Any) -> bool:
        return key.lower() == self._type.schema.id.lower() and isinstance(value, Mapping)


def _is_read_only(target: Target) -> bool:
    definitions = (target.attribute, target.sub_attribute)
    return any(definition is not None and definition.mutability == "readOnly" for definition in definitions)


def _creating(operation: PatchOperation, resource_type: ResourceType) -> tuple[PatchOperation, ...]:
    """``replace`` by a value path with the ``add`` before it that makes sure there is an element."""
    path = operation.path
    if operation.op != "replace" or path is None or not path.partition("[")[1]:
        return (operation,)
    try:
        parsed = parse_path(path, resource_type)
    except ScimError:
        return (operation,)
    target = resource_type.resolve(parsed.path)
    if (
        parsed.filter is None
        or target is None
        or target.attribute is None
        or target.attribute.type != "complex"
        # Who is not a member does not become one by a change of what is said about members.
        or (target.path.urn is None and target.attribute.name == resource_type.members)
    ):
        return (operation,)
    if operation.has_value and operation.value in (None, ""):
        # Nothing to set: an element that is not there is not made for it.
        return (replace(operation, op="remove", value=None, has_value=False),)
    element = path[: path.rindex("]") + 1]
    return (replace(operation, op="add", path=element, value={}), operation)
