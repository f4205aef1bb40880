"""Resources out of request bodies, values out of PATCH operations, checked by marshmallow (RFC 7643 §2, §3).

A Schema is generated from the definitions once for each resource type and set of allowances. It reads; nothing is
dumped through it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from marshmallow import EXCLUDE, Schema, ValidationError, fields

from scim_gateway.errors import InvalidSyntax, InvalidValue
from scim_gateway.fields import (
    ExtensionField,
    Input,
    Leniency,
    MultiValuedField,
    ValueField,
    field_for,
    several_primary,
)
from scim_gateway.problems import kind_of, problems_in, sentence
from scim_gateway.profile import Profile
from scim_gateway.schema import Attribute, Resource, ResourceType, Target
from scim_gateway.text import collision_key, printable

# A URN from these name spaces, correctly spelled, means what it says: a message, or a resource of another type.
_SPEAKING_URNS = ("urn:ietf:params:scim:api:", "urn:ietf:params:scim:schemas:core:2.0:")

_PARTS = 64
"""Sets of attributes that clients send together, for each of which a Schema is kept."""

OnUnknown = Callable[[Sequence[str]], None]
"""Called with the names of attributes that were ignored because no schema knows them."""


class ResourceReader:
    """Reads resources of one type: POST and PUT bodies, and the values of PATCH operations."""

    def __init__(self, resource_type: ResourceType) -> None:
        self.resource_type = resource_type
        self._schemas: dict[Leniency, _ResourceSchema] = {}
        self._requirements = {kept: tuple(_requirements(resource_type, kept)) for kept in (False, True)}
        self._beyond_fields = tuple(each for each in self._requirements[False] if each.beyond_fields)

    def read(self, body: Mapping[str, Any], profile: Profile, *, on_unknown: OnUnknown | None = None) -> Resource:
        """The resource that a POST or PUT body describes.

        Names are canonical, values typed, unassigned and readOnly attributes gone, defaults filled in, ``schemas``
        lists what the resource holds. An empty text counts as unassigned (RFC 7643 §2.5 leaves it open).

        :raises InvalidSyntax: no object, wrong ``schemas``, a name given twice, an unknown one where that matters.
        :raises InvalidValue: a required value is missing or a value does not fit.
        """
        if not isinstance(body, Mapping):
            raise InvalidSyntax(f"The body has to be a JSON object, not {kind_of(body)}.")
        _check_schemas(body, self.resource_type, profile)
        resource, dropped = self._schema(profile).read(body)
        _meet(self._beyond_fields, resource)
        if dropped and on_unknown is not None:
            on_unknown(dropped)
        return resource

    def read_value(self, target: Target, value: Any, profile: Profile, *, on_unknown: OnUnknown | None = None) -> Any:
        """The typed value for an attribute, a sub-attribute or, where the target has no attribute, a whole extension.

        ``None`` means that the value unassigns the target. For a multi-valued attribute it is a list; one element
        alone is taken as a list of one (RFC 7644 §3.5.2.1). Required values are left to :meth:`check`, because a
        PATCH is judged by the state it leads to.

        :raises InvalidValue: the value does not fit.
        :raises InvalidSyntax: an unknown sub-attribute where that matters, or one given twice.
        """
        return self._convert(target, value, profile, on_unknown, element=False)

    def read_element(self, target: Target, value: Any, profile: Profile, *, on_unknown: OnUnknown | None = None) -> Any:
        """The typed value for one element of a multi-valued attribute; ``None`` if nothing in it is assigned.

        :raises InvalidValue: the value does not fit.
        """
        return self._convert(target, value, profile, on_unknown, element=True)

    def check(self, resource: Resource, *, kept: bool = False) -> None:
        """Whether a resource as a whole is a valid state (RFC 7643 §2.2, §2.4).

        :param kept: the resource is as it is kept, without the writeOnly values that once came with it.
        :raises InvalidValue: a required value is missing, or several elements are primary.
        """
        _meet(self._requirements[kept], resource)

    def with_schemas(self, resource: Resource) -> Resource:
        """The resource with ``schemas`` as its content asks for, and no empty extension (RFC 7643 §3.3)."""
        urns = [extension.schema.id for extension in self.resource_type.extensions]
        kept = {name: value for name, value in resource.items() if value or name not in urns}
        kept["schemas"] = [self.resource_type.schema.id, *(urn for urn in urns if urn in kept)]
        return kept

    def _convert(
        self, target: Target, value: Any, profile: Profile, on_unknown: OnUnknown | None, *, element: bool
    ) -> Any:
        if value is None:
            return None
        field = self._schema(profile).field(target)
        body = Input(defaults=False)
        try:
            if not isinstance(field, MultiValuedField):
                typed = field.convert(value, body)
            elif element:
                typed = field.element(value, body)
            else:
                typed = field.convert(value if type(value) is list else [value], body)
        except ValidationError as error:
            raise InvalidValue(
                sentence(problems_in(error.messages, str(target.path) if target.attribute else f"{target.path}:"))
            ) from None
        if body.dropped and on_unknown is not None:
            on_unknown(body.dropped)
        return typed

    def _schema(self, profile: Profile) -> _ResourceSchema:
        leniency = Leniency.of(profile)
        schema = self._schemas.get(leniency)
        if schema is None:
            # Two threads may both make it; both results are the same.
            schema = self._schemas[leniency] = _ResourceSchema.for_type(self.resource_type, leniency)
        return schema


class _ResourceSchema(Schema):
    """The marshmallow Schema of a resource type under certain allowances; :meth:`for_type` makes it."""

    class Meta:
        unknown = EXCLUDE

    resource_type: ResourceType
    leniency: Leniency

    @classmethod
    def for_type(cls, resource_type: ResourceType, leniency: Leniency) -> _ResourceSchema:
        """The Schema with a field for each attribute that a client may set."""
        generated: dict[str, fields.Field[Any]] = {}
        for attribute in resource_type.attributes.values():
            if attribute.mutability != "readOnly":
                by_value = attribute.name == resource_type.members
                generated[attribute.name] = field_for(attribute, attribute.name, leniency, by_value=by_value)
        for position, extension in enumerate(resource_type.extensions):
            field = ExtensionField(extension, leniency)
            # marshmallow takes the dots of a URN for a path, so the field gets a name without any.
            field.data_key = extension.schema.id
            generated[f"extension-{position}"] = field
        schema = cast(_ResourceSchema, cls.from_dict(generated, name=f"{resource_type.name}Resource")(partial=True))
        schema._prepare(resource_type, leniency)
        return schema

    def _prepare(self, resource_type: ResourceType, leniency: Leniency) -> None:
        self.resource_type, self.leniency = resource_type, leniency
        self._fields_by_key = {field.data_key or name: field for name, field in self.load_fields.items()}
        self._names_of_fields = {field.data_key or name: name for name, field in self.load_fields.items()}
        self._part = lru_cache(maxsize=_PARTS)(self._made_part)
        self._urns = {
            name: field.data_key
            for name, field in self.load_fields.items()
            if field.data_key and field.data_key != name
        }
        self._names: dict[str, str] = {}
        names = [attribute.name for attribute in resource_type.attributes.values()]
        for name in (*names, *(extension.schema.id for extension in resource_type.extensions)):
            self._names[name] = self._names[name.lower()] = name
        self._ignored = {
            attribute.name for attribute in resource_type.attributes.values() if attribute.mutability == "readOnly"
        } | {"schemas"}
        self._defaults = {
            attribute.name: attribute.default
            for attribute in resource_type.schema.attributes
            if attribute.default is not None
        }
        # A PATCH may write a sub-attribute alone.
        self._sub_fields: dict[tuple[str | None, str, str], ValueField] = {}
        self._extension_attributes: dict[tuple[str, str], ValueField] = {}
        for urn, attribute in resource_type.every_attribute():
            name = attribute.name if urn is None else f"{urn}:{attribute.name}"
            if urn is not None:
                self._extension_attributes[urn, attribute.name] = field_for(attribute, name, leniency)
            for sub in attribute.sub_attributes:
                self._sub_fields[urn, attribute.name, sub.name] = field_for(sub, f"{name}.{sub.name}", leniency)

    def field(self, target: Target) -> ValueField:
        """The field for a resolved path; also for what is readOnly, which the caller refuses."""
        path = target.path
        if target.sub_attribute is not None:
            return self._sub_fields[path.urn, path.name, target.sub_attribute.name]
        if target.attribute is None:
            return cast(ValueField, self._fields_by_key[path.urn or ""])
        if path.urn is not None:
            return self._extension_attributes[path.urn, path.name]
        field = self._fields_by_key.get(path.name)
        if field is None:
            return field_for(target.attribute, path.name, self.leniency)
        return cast(ValueField, field)

    def read(self, body: Mapping[str, Any]) -> tuple[Resource, Sequence[str]]:
        """The resource in a body, and the names of what was ignored."""
        given = self._canonical(body)
        try:
            loaded = self._part(frozenset(given)).load(given)
        except ValidationError as error:
            raise InvalidValue(sentence(problems_in(error.messages))) from None
        return self._assembled(loaded), given.dropped

    def _made_part(self, keys: frozenset[str]) -> _ResourceSchema:
        """The same Schema with no other fields than for what was sent, which is a small part of what may be.

        marshmallow asks each field, also for what is not there. A client sends the same attributes again and again.
        """
        return type(self)(partial=True, only=[name for key, name in self._names_of_fields.items() if key in keys])

    def _canonical(self, body: Mapping[str, Any]) -> Input:
        """The body with canonical names at its top level, without what is ignored, and with defaults."""
        given = Input(defaults=True)
        seen: set[str] = set()
        names = self._names
        for key, value in body.items():
            name = names.get(key) or names.get(key.lower())
            if name is None:
                if not self.leniency.ignore_unknown:
                    raise InvalidSyntax(
                        f"{printable(key)} is no attribute of a {self.resource_type.name}; correct or remove it."
                    )
                given.dropped.append(printable(key))
                continue
            if name in seen:
                raise InvalidSyntax(f"{name} is given twice; letter case makes no difference.")
            seen.add(name)
            if value is not None and name not in self._ignored:
                given[name] = value
        for name, default in self._defaults.items():
            # An explicit null overrides the default (RFC 7644 §3.3).
            if name not in seen:
                given[name] = default
        return given

    def _assembled(self, loaded: Mapping[str, Any]) -> Resource:
        """The resource without unassigned attributes, extensions under their URN, and ``schemas`` as fits."""
        schemas = [self.resource_type.schema.id]
        resource: Resource = {"schemas": schemas}
        for name, value in loaded.items():
            if value is None:
                continue
            urn = self._urns.get(name)
            if urn is None:
                resource[name] = value
            else:
                resource[urn] = value
                schemas.append(urn)
        return resource


def _check_schemas(body: Mapping[str, Any], resource_type: ResourceType, profile: Profile) -> None:
    """Whether ``schemas`` fits the resource type (RFC 7643 §3, §3.3); what is stored follows from the content."""
    base = resource_type.schema.id
    if body.get("schemas") == [base]:
        return
    sent = next((value for key, value in body.items() if key == "schemas" or key.lower() == "schemas"), None)
    if not isinstance(sent, list) or not sent or not all(isinstance(urn, str) for urn in sent):
        if profile.infer_schemas:
            return
        raise InvalidSyntax(f'schemas has to be an array of URNs; a {resource_type.name} needs ["{base}"].')
    urns = {urn.lower() for urn in sent}
    if profile.infer_schemas:
        # What is merely wrong is overlooked; what names something else is not meant for this endpoint.
        speaking = [urn for urn in sent if urn.lower().startswith(_SPEAKING_URNS)]
        if base.lower() not in urns and speaking:
            raise InvalidValue(
                f"schemas names {printable(speaking[0])}, which is no {resource_type.name}; "
                f"send {base} here, or use the endpoint of that type."
            )
        return
    if base.lower() not in urns:
        raise InvalidValue(f"schemas has to hold {base}, the schema of a {resource_type.name}.")
    for urn in sent:
        if urn.lower() != base.lower() and urn.lower() not in resource_type.extensions_by_urn:
            raise InvalidValue(
                f"schemas holds {printable(urn)}, which is no extension of a {resource_type.name}; remove it."
            )


# The state of a whole resource


@dataclass(frozen=True, slots=True)
class _Requirement:
    """What has to hold for an attribute, or for an extension.

    :param where: the member of a resource that it is about.
    :param always: whether it may be broken by a resource without that member.
    :param beyond_fields: whether it may be broken by what the fields let through, each of which sees its own value.
    """

    where: str
    always: bool
    beyond_fields: bool
    problems: Callable[[Resource], Iterator[str]]


def _meet(requirements: Iterable[_Requirement], resource: Resource) -> None:
    problems: list[str] = []
    for requirement in requirements:
        if requirement.always or requirement.where in resource:
            problems.extend(requirement.problems(resource))
    if problems:
        raise InvalidValue(sentence(problems))


def _requirements(resource_type: ResourceType, kept: bool) -> Iterator[_Requirement]:
    """What has to hold for a resource of a type; only attributes with something to check appear."""
    unseen = {"readOnly", "writeOnly"} if kept else {"readOnly"}
    for attribute in resource_type.attributes.values():
        if attribute.name != "schemas" and _demanding(attribute, unseen):
            problems = _attribute_requirement(attribute, None, unseen)
            yield _Requirement(attribute.name, attribute.required, _requires(attribute, unseen), problems)
    for extension in resource_type.extensions:
        urn = extension.schema.id
        if extension.required:
            yield _Requirement(urn, True, True, _extension_requirement(urn))
        for attribute in extension.schema.attributes:
            if _demanding(attribute, unseen):
                problems = _attribute_requirement(attribute, urn, unseen)
                yield _Requirement(urn, False, _requires(attribute, unseen), problems)


def _demanding(attribute: Attribute, unseen: Collection[str]) -> bool:
    if attribute.mutability in unseen:
        return False
    return _requires(attribute, unseen) or (attribute.multi_valued and attribute.sub("primary") is not None)


def _requires(attribute: Attribute, unseen: Collection[str]) -> bool:
    parts = (sub for sub in attribute.sub_attributes if sub.mutability not in unseen)
    return attribute.required or any(sub.required for sub in parts)


def _extension_requirement(urn: str) -> Callable[[Resource], Iterator[str]]:
    def problems(resource: Resource) -> Iterator[str]:
        if not resource.get(urn):
            yield f"{urn} is required"

    return problems


def _attribute_requirement(
    attribute: Attribute, urn: str | None, unseen: Collection[str]
) -> Callable[[Resource], Iterator[str]]:
    name = attribute.name
    title = name if urn is None else f"{urn}:{name}"
    required_parts = tuple(sub for sub in attribute.sub_attributes if sub.required and sub.mutability not in unseen)
    has_primary = attribute.multi_valued and attribute.sub("primary") is not None

    def problems(resource: Resource) -> Iterator[str]:
        owner = resource if urn is None else resource.get(urn)
        if not owner:
            return
        value: Any = owner.get(name)
        if _missing(attribute, value):
            if attribute.required:
                yield f"{title} is required and must not be empty or blank"
            return
        elements: Sequence[Any] = value if attribute.multi_valued else (value,)
        if required_parts:
            for index, element in enumerate(elements):
                for sub in required_parts:
                    if _missing(sub, element.get(sub.name)):
                        where = f"{title}[{index}]" if attribute.multi_valued else title
                        yield f"{where}.{sub.name} is required and must not be empty or blank"
        if has_primary and len(elements) > 1 and several_primary(elements):
            yield f"{title} has more than one element with primary true; leave one"

    return problems


def _missing(attribute: Attribute, value: Any) -> bool:
    if value is None or value in ([], {}):
        return True
    if not attribute.required or not isinstance(value, str):
        return False
    # A unique name that shows nothing would be nobody's name.
    return not (collision_key(value) if attribute.uniqueness != "none" else value.strip())
