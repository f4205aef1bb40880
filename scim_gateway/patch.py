"""PATCH: operations applied to a resource, all or none, one after the other (RFC 7644 §3.5.2).

Nothing here reads or writes a store, and nothing given is changed. What an operation means follows from the definition
of its target; where the RFC leaves a choice:

- ``add`` by a value path that selects nothing makes the element, if the filter is nothing but equalities; ``replace``
  does not (``noTarget``), ``remove`` of what is not there succeeds.
- ``add`` of null or of an empty array changes nothing. Null for what is required, or has a default, is refused.
- A sub-attribute of a multi-valued attribute is named with a filter; ``emails.display`` is refused (``invalidPath``).
- ``schemas`` follows from the content: a list that contradicts it is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from scim_gateway.errors import InvalidPath, InvalidValue, Mutability, NoTarget
from scim_gateway.filter import Comparison, Filter, Or
from scim_gateway.filter_meaning import resolve_element
from scim_gateway.filter_parser import parse_path
from scim_gateway.messages import PatchOperation
from scim_gateway.patch_forms import normalise
from scim_gateway.patch_values import Values
from scim_gateway.profile import Profile
from scim_gateway.reader import ResourceReader
from scim_gateway.schema import AttributePath, Resource, ResourceType, Target
from scim_gateway.text import shown


@dataclass(frozen=True, slots=True)
class PatchResult:
    """What a PATCH comes to.

    :param resource: equal to the one that was given if nothing changed.
    :param write_only: whether a writeOnly value was set; it was validated and is not in the resource.
    :param ignored: names of attributes that were dropped because no schema knows them.
    """

    resource: Resource
    write_only: bool = False
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MemberOperations:
    """A PATCH with its changes of membership as set arithmetic: ``(nothing or the members) - remove + add``.

    :param operations: the operations on other attributes, in order.
    :param replaces: whether to start from nothing instead of those who are members.
    :param add: elements as sent, by id.
    :param remove: ids; none of them is in ``add``.
    """

    operations: tuple[PatchOperation, ...] = ()
    replaces: bool = False
    add: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    remove: frozenset[str] = frozenset()


def apply(
    resource: Resource,
    operations: Sequence[PatchOperation],
    resource_type: ResourceType,
    reader: ResourceReader,
    profile: Profile,
) -> PatchResult:
    """The resource after all operations; no change of ``meta``, which is up to the caller.

    :raises ScimError: one of the operations is refused, or what they come to is no valid resource.
    """
    forms = normalise(operations, resource_type, profile)
    change = _Change(resource, resource_type, reader, profile)
    for operation in forms.operations:
        for step in _steps(operation, resource_type, profile):
            change.apply(step)
    after = change.state
    if after != resource:
        after = reader.with_schemas(after)
        reader.check(after, kept=True)
    ignored = dict.fromkeys((*forms.ignored, *change.values.ignored))
    return PatchResult(after, change.values.write_only, tuple(ignored))


def membership_change(
    operations: Sequence[PatchOperation], resource_type: ResourceType, reader: ResourceReader, profile: Profile
) -> MemberOperations | None:
    """The same operations with those on members as set arithmetic, so that nobody has to read who the members are.

    ``None`` if that cannot be told without reading them.

    :raises ScimError: an operation on members is refused, by the rules of :func:`apply`.
    """
    target = resource_type.resolve(AttributePath(None, resource_type.members or ""))
    if target is None or target.attribute is None or target.attribute.required:
        return None
    value = target.attribute.sub("value")
    if target.attribute.mutability != "readWrite" or value is None or not value.case_exact:
        return None
    members = _Members(target, Values(reader, profile))
    others: list[PatchOperation] = []
    for operation in operations:
        forms = normalise([operation], resource_type, profile)
        steps = [step for form in forms.operations for step in _steps(form, resource_type, profile)]
        about = [step for step in steps if step.target.path.name == target.path.name and step.target.path.urn is None]
        if not all(members.apply(step) for step in about):
            return None
        if len(about) < len(steps) or forms.ignored or not steps:
            others.append(_without_members(operation, resource_type) if about else operation)
    return MemberOperations(tuple(others), members.replaces, members.add, frozenset(members.remove))


@dataclass(frozen=True, slots=True)
class _Step:
    """One operation on one attribute.

    :param target: with a filter, what the path leads to inside an element.
    :param selection: the filter of a value path, resolved.
    :param value: ``None`` where ``remove`` has none.
    :param named: whether the attribute stands in the value of an operation without a path.
    """

    op: str
    target: Target
    selection: Filter | None
    value: Any
    named: bool = False


def _steps(operation: PatchOperation, resource_type: ResourceType, profile: Profile) -> Iterator[_Step]:
    """One operation, taken apart into the attributes that it is about."""
    op, path, value = operation.op, operation.path, operation.value
    if op == "remove" and not path:
        raise NoTarget("remove needs a path that says what to remove.")
    if op != "remove" and not operation.has_value:
        raise InvalidValue(f"{op} needs a value.")
    if path is None:
        if not isinstance(value, Mapping):
            raise InvalidValue(f"Without a path, the value of {op} has to be an object of attributes.")
        for key, inner in value.items():
            yield from _named(op, _attribute(key, resource_type), inner, resource_type)
        return
    target, selection = _located(path, resource_type, profile)
    if target.attribute is None:
        yield from _named(op, target, value if operation.has_value else None, resource_type)
    else:
        yield _Step(op, target, selection, value if operation.has_value else None)


def _named(op: str, target: Target, value: Any, resource_type: ResourceType) -> Iterator[_Step]:
    """An attribute in a value without a path, or those of a whole extension."""
    if target.attribute is not None or op == "remove" or (op == "replace" and value is None):
        yield _Step("remove" if target.attribute is None else op, target, None, value, named=True)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            attribute = resource_type.resolve(AttributePath(target.path.urn, key))
            if attribute is None or attribute.attribute is None:
                raise InvalidPath(f"There is no attribute {shown(key, 100)} in {target.path}.")
            yield _Step(op, attribute, None, inner, named=True)
    elif value is not None:
        raise InvalidValue(f"{target.path} is an extension; its value has to be an object of attributes.")


def _attribute(key: str, resource_type: ResourceType) -> Target:
    """The attribute or extension that a key names; a key is a name, not a path."""
    target = resource_type.locate(key)
    if target is None:
        raise InvalidPath(f"There is no attribute {shown(key, 100)} in a {resource_type.name}.")
    if (target.attribute.name if target.attribute else target.path.urn or "").lower() != key.lower():
        raise InvalidPath(f"{shown(key, 100)} is a path; send it as the path of an operation of its own.")
    return target


def _located(path: str, resource_type: ResourceType, profile: Profile) -> tuple[Target, Filter | None]:
    """What a path leads to, and the filter in it."""
    parsed = parse_path(path, resource_type)
    target = resource_type.resolve(parsed.path)
    if target is None:
        raise InvalidPath(f"There is no attribute {shown(str(parsed.path), 100)} in a {resource_type.name}.")
    attribute = target.attribute
    if parsed.filter is None:
        if attribute is not None and attribute.multi_valued and target.sub_attribute is not None:
            raise InvalidPath(
                f"{target.path} is in every element of {attribute.name}; select the elements by a filter, as in "
                f'{attribute.name}[{attribute.sub_attributes[0].name} eq "…"].{target.sub_attribute.name}.'
            )
        return target, None
    if attribute is None or not attribute.multi_valued or target.sub_attribute is not None:
        raise InvalidPath(f"{target.path} has one value; a filter selects elements of a multi-valued attribute.")
    if parsed.sub is not None:
        inner = resource_type.resolve(replace(target.path, sub=parsed.sub))
        if inner is None:
            raise InvalidPath(f"There is no sub-attribute {shown(parsed.sub, 100)} in {attribute.name}.")
        target = inner
    return target, resolve_element(parsed.filter, attribute, profile)


class _Change:
    """A resource in the course of its operations; each step replaces what it changes, and changes nothing in place."""

    def __init__(
        self, resource: Resource, resource_type: ResourceType, reader: ResourceReader, profile: Profile
    ) -> None:
        self.state = dict(resource)
        self.values = Values(reader, profile)
        self._type = resource_type
        self._reader = reader
        self._profile = profile

    def apply(self, step: _Step) -> None:
        """Do one step."""
        target, path = step.target, step.target.path
        attribute = target.attribute
        if attribute is None:
            self._drop_extension(path.urn or "", step.value)
            return
        if attribute.mutability == "readOnly" or (
            target.sub_attribute and target.sub_attribute.mutability == "readOnly"
        ):
            if step.named and path.name == "id" and step.value == self.state.get("id"):
                # Clients copy the id into the value; the same id is no change.
                return
            raise Mutability(f"{path} is readOnly; only the service provider changes it.")
        if path.urn is None and path.name == "schemas":
            # What earlier operations added to an extension, or took from it, is not listed yet.
            self.state = self._reader.with_schemas(self.state)
        old = self._owner(path.urn).get(path.name)
        if step.selection is not None:
            new: Any = self.values.selected(step.op, target, step.selection, old or [], step.value)
        elif target.sub_attribute is not None:
            new = dict(old or {})
            inner = self.values.changed(step.op, target, new.pop(path.sub, None), step.value)
            if inner is not None:
                new[target.sub_attribute.name] = inner
        else:
            new = self.values.changed(step.op, target, old, step.value)
        if step.selection is not None or target.sub_attribute is not None:
            new = self.values.kept(attribute, replace(path, sub=None), old, new or None)
        if path.urn is None and path.name == "schemas":
            new = self._schemas(new)
        self._put(path, new)

    def _owner(self, urn: str | None) -> Mapping[str, Any]:
        owner: Mapping[str, Any] = self.state if urn is None else self.state.get(urn, {})
        return owner

    def _put(self, path: AttributePath, value: Any) -> None:
        owner = dict(self._owner(path.urn))
        if value is None:
            owner.pop(path.name, None)
        else:
            owner[path.name] = value
        if path.urn is None:
            self.state = owner
        elif owner:
            self.state[path.urn] = owner
        else:
            self.state.pop(path.urn, None)

    def _drop_extension(self, urn: str, value: Any) -> None:
        """Remove all that a client can remove of an extension."""
        extension = self._type.extensions_by_urn[urn.lower()]
        if value is not None:
            raise InvalidValue(f"{urn}: remove takes no value here; name the attributes to remove by path.")
        if extension.required:
            raise Mutability(f"{urn} is required; it cannot be removed.")
        for attribute in extension.schema.attributes:
            path = AttributePath(urn, attribute.name)
            old = self._owner(urn).get(attribute.name)
            if old is not None and attribute.mutability != "readOnly":
                self._put(path, self.values.kept(attribute, path, old, None))

    def _schemas(self, urns: Sequence[str] | None) -> list[str]:
        """What a client may say ``schemas`` is: what it has to be, or with extensions that have no data yet."""
        known = {urn.lower(): urn for urn in self._type.schema_urns}
        named = {urn.lower() for urn in urns or ()}
        needed = [self._type.schema.id, *(urn for urn in self._type.schema_urns if self.state.get(urn))]
        for urn in needed:
            if urn.lower() not in named:
                raise InvalidValue(
                    f"schemas has to hold {urn}, whose attributes the resource has; remove those by path."
                )
        unknown = sorted(named - known.keys())
        if unknown and not self._profile.infer_schemas:
            raise InvalidValue(f"schemas: {shown(unknown[0], 100)} is no schema of a {self._type.name}.")
        return list(self.state["schemas"])


class _Members:
    """The members of a group that nobody has read, in the course of the operations on them."""

    def __init__(self, target: Target, values: Values) -> None:
        self._target = target
        self._values = values
        self.replaces = False
        self.add: dict[str, Mapping[str, Any]] = {}
        self.remove: set[str] = set()

    def apply(self, step: _Step) -> bool:
        """Do one step; whether that is possible."""
        if step.target.sub_attribute is not None:
            return False
        if step.selection is not None:
            ids = _ids(step.selection)
            if step.op != "remove" or ids is None or step.value is not None:
                return False
            self._take(ids)
            return True
        if step.op == "remove":
            if step.value is None:
                self._start_from_nothing()
                return True
            named = self._values.named(self._target, step.value)
            self._take({element["value"] for element in named})
            return True
        if step.op == "replace":
            elements = self._values.changed("replace", self._target, None, step.value)
            self._start_from_nothing()
        else:
            elements = self._values.changed("add", self._target, None, step.value)
        for element in elements or ():
            id = element.get("value")
            if id is None:
                return False
            self.add.setdefault(id, element)
            self.remove.discard(id)
        return True

    def _start_from_nothing(self) -> None:
        self.replaces = True
        self.add = {}
        self.remove = set()

    def _take(self, ids: set[str]) -> None:
        for id in ids:
            self.add.pop(id, None)
        if not self.replaces:
            self.remove |= ids


def _ids(selection: Filter) -> set[str] | None:
    """The ids in a filter that asks for one of several ``value``, or ``None`` if it asks for anything else."""
    match selection:
        case Comparison(AttributePath(None, "value", None), "eq", str(id)):
            return {str(id)}
        case Or(terms):
            ids = [_ids(term) for term in terms]
            return None if None in ids else {id for some in ids for id in some or ()}
    return None


def _without_members(operation: PatchOperation, resource_type: ResourceType) -> PatchOperation:
    """An operation without a path, less the keys of its value that are about members."""

    def kept(value: Mapping[str, Any]) -> dict[str, Any]:
        others = {}
        for key, inner in value.items():
            target = resource_type.locate(key.partition("[")[0])
            if target is not None and target.path.urn is None and target.path.name == resource_type.members:
                continue
            whole = key.lower() == resource_type.schema.id.lower() and isinstance(inner, Mapping)
            others[key] = kept(inner) if whole else inner
        return others

    return replace(operation, value=kept(operation.value))
