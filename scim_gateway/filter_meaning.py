"""What a filter means for a resource type (RFC 7644 §3.4.2.2): paths are found, operands fitted, nonsense refused."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import assert_never

from scim_gateway.errors import InvalidFilter
from scim_gateway.filter import And, Comparison, Filter, Never, Not, Operand, Operator, Or, Present, ValuePath, Word
from scim_gateway.profile import Profile
from scim_gateway.schema import Attribute, AttributePath, ResourceType, Target
from scim_gateway.text import instant, shown

_ORDERED = frozenset({"gt", "ge", "lt", "le"})
_SUBSTRING = frozenset({"co", "sw", "ew"})
_EQUALITY = frozenset({"eq", "ne"})
# RFC 7644 §3.4.2.2 refuses to order booleans and binaries; substrings of what is no text have no meaning.
OPERATORS: Mapping[str, frozenset[str]] = {
    "string": _EQUALITY | _SUBSTRING | _ORDERED,
    "reference": _EQUALITY | _SUBSTRING | _ORDERED,
    "binary": _EQUALITY | _SUBSTRING,
    "boolean": _EQUALITY,
    "integer": _EQUALITY | _ORDERED,
    "decimal": _EQUALITY | _ORDERED,
    "dateTime": _EQUALITY | _ORDERED,
}


def resolve(tree: Filter, resource_type: ResourceType, profile: Profile, *, unknown_is_absent: bool = False) -> Filter:
    """The same filter with canonical paths and operands that fit their attributes.

    Afterwards a path to a complex attribute that is compared has become ``….value``, ``eq null`` a negated
    ``Present``, a date-time operand its instant in the stored form, every operand has its attribute's type, what stands
    behind a value path has become part of it, and ``primary eq false`` asks for what is not primary (RFC 7643 §2.4).

    :param unknown_is_absent: an unknown attribute has no value instead of being refused (root queries).
    :raises InvalidFilter: unknown attribute, operand that does not fit, operator the type does not have, or an
        attribute whose value must not be probed (``returned: never``, ``writeOnly``).
    """
    if type(tree) is Comparison and type(tree.value) is str:
        path = text_path(tree.path, tree.operator, resource_type, profile, unknown_is_absent)
        if path is not None:
            return Comparison(path, tree.operator, tree.value)
    return _ResourceResolver(profile, resource_type, unknown_is_absent).filter(tree)


@lru_cache(maxsize=512)
def text_path(
    path: AttributePath,
    operator: Operator,
    resource_type: ResourceType,
    profile: Profile,
    unknown_is_absent: bool = False,
) -> AttributePath | None:
    """The canonical path of an attribute that any text may be compared with as it is; else ``None``."""
    try:
        resolved = _ResourceResolver(profile, resource_type, unknown_is_absent).filter(Comparison(path, operator, _ANY))
    except InvalidFilter:
        return None
    match resolved:
        case Comparison(canonical, _, value) if value is _ANY:
            target = resource_type.resolve(canonical)
            return canonical if target is not None and target.leaf.type in _TEXTS else None
    return None


_ANY = "any text"
_TEXTS = frozenset({"string", "reference", "binary"})


def resolve_element(tree: Filter, attribute: Attribute, profile: Profile) -> Filter:
    """The same for the filter between the brackets of a value path, whose paths are relative to an element.

    In a simple multi-valued attribute the element itself is named ``value``.

    :raises InvalidFilter: as :func:`resolve`.
    """
    return _ElementResolver(profile, attribute, False).filter(tree)


def is_secret(attribute: Attribute) -> bool:
    """Whether a filter must not tell anything of its value."""
    return attribute.returned == "never" or attribute.mutability == "writeOnly"


@dataclass(frozen=True, slots=True)
class _Place:
    """What a path means: the definitions of the attribute and of the value it leads to.

    :param value: path to the sub-attribute that stands for a complex attribute where it is compared, if it has one.
    """

    path: AttributePath
    leaf: Attribute | None
    secret: bool = False
    value: _Place | None = None


class _Resolver(ABC):
    """What resources and elements have in common; the two differ in where a path leads."""

    def __init__(self, profile: Profile, unknown_is_absent: bool) -> None:
        self._profile = profile
        self._unknown_is_absent = unknown_is_absent

    def filter(self, tree: Filter) -> Filter:
        match tree:
            case Comparison():
                return self._comparison(tree)
            case Present(path):
                place = self._place(path)
                return Never() if place is None else Present(place.path)
            case And(terms):
                return And(tuple(self.filter(term) for term in terms))
            case Or(terms):
                return Or(tuple(self.filter(term) for term in terms))
            case Not(term):
                return Not(self.filter(term))
            case ValuePath():
                return self._value_path(tree)
            case Never():
                return tree
            case _:
                assert_never(tree)

    @abstractmethod
    def _find(self, path: AttributePath) -> _Place | None:
        """Where a path leads; ``None`` if nowhere."""

    @abstractmethod
    def _value_path(self, tree: ValuePath) -> Filter:
        """The same for a value path."""

    @abstractmethod
    def _unknown(self, path: AttributePath) -> str:
        """What is said of a path that leads nowhere."""

    def _place(self, path: AttributePath) -> _Place | None:
        place = self._find(path)
        if place is None:
            if self._unknown_is_absent:
                return None
            raise InvalidFilter(self._unknown(path))
        if place.secret:
            # Even a count of matches would tell something about the value (RFC 7643 §9.3).
            raise InvalidFilter(f"A filter cannot use {place.path}: its value is never shown.")
        return place

    def _comparison(self, tree: Comparison) -> Filter:
        place = self._place(tree.path)
        operand = self._null(tree.value)
        if operand is None:
            if tree.operator not in _EQUALITY:
                raise InvalidFilter(f"{shown(str(tree.path))} can be compared with null by eq and ne only.")
            present: Filter = Never() if place is None else Present(place.path)
            return present if tree.operator == "ne" else Not(present)
        if place is None:
            return Not(Never()) if tree.operator == "ne" else Never()
        if place.value is not None:
            place = place.value
            if place.secret:
                raise InvalidFilter(f"A filter cannot use {place.path}: its value is never shown.")
        if place.leaf is None or place.leaf.type == "complex":
            raise InvalidFilter(f"{place.path} has parts; name the one to compare{_example(place)}.")
        if tree.operator not in OPERATORS[place.leaf.type]:
            raise InvalidFilter(
                f"{place.path} is of type {place.leaf.type}, which the operator {tree.operator} cannot compare."
            )
        return Comparison(place.path, tree.operator, self._operand(operand, place))

    def _null(self, value: Operand) -> Operand:
        if isinstance(value, Word) and value.lower() == "null" and self._profile.boolean_words:
            return None
        return value

    def _operand(self, value: Operand, place: _Place) -> Operand:
        leaf = place.leaf
        assert leaf is not None
        if leaf.type == "boolean":
            if isinstance(value, str) and self._profile.boolean_words and value.lower() in ("true", "false"):
                return value.lower() == "true"
            fits = isinstance(value, bool)
        elif isinstance(value, Word):
            fits = False
        elif leaf.type in ("integer", "decimal"):
            fits = isinstance(value, int | float) and not isinstance(value, bool)
        elif leaf.type == "dateTime":
            moment = instant(value) if isinstance(value, str) else None
            if moment is not None:
                # The stored form is a dateTime again, also where the client is more exact than a millisecond.
                return moment if moment.endswith("Z") else f"{moment[:23]}{moment[24:]}Z"
            fits = False
        else:
            fits = isinstance(value, str)
        if not fits:
            raise InvalidFilter(f"{place.path} is compared with {_WANTED[leaf.type]}.")
        return value


_WANTED: Mapping[str, str] = {
    "string": "a text in double quotes",
    "reference": "a text in double quotes",
    "binary": "a base64 text in double quotes",
    "boolean": "true or false, without quotes",
    "integer": "a number, without quotes",
    "decimal": "a number, without quotes",
    "dateTime": 'a date and time such as "2011-05-13T04:42:34Z"',
}


def _example(place: _Place) -> str:
    subs = () if place.leaf is None else place.leaf.sub_attributes
    usable = next((sub.name for sub in subs if not is_secret(sub)), None)
    return f", such as {place.path}.{usable}" if usable else ""


class _ResourceResolver(_Resolver):
    def __init__(self, profile: Profile, resource_type: ResourceType, unknown_is_absent: bool) -> None:
        super().__init__(profile, unknown_is_absent)
        self._type = resource_type

    def _target(self, path: AttributePath) -> Target | None:
        # The second reading is for a URN alone, and for a dot in place of the colon behind it.
        return self._type.resolve(path) or (self._type.locate(str(path)) if path.urn is not None else None)

    def _find(self, path: AttributePath) -> _Place | None:
        target = self._target(path)
        if target is None:
            return None
        if target.attribute is None:
            return _Place(target.path, None)
        secret = is_secret(target.attribute)
        if target.sub_attribute is not None:
            return _Place(target.path, target.sub_attribute, secret or is_secret(target.sub_attribute))
        value = None
        if target.attribute.type == "complex" and (sub := target.attribute.sub("value")) is not None:
            value_path = AttributePath(target.path.urn, target.path.name, sub.name)
            value = _Place(value_path, sub, secret or is_secret(sub))
        return _Place(target.path, target.attribute, secret, value)

    def _unknown(self, path: AttributePath) -> str:
        return f"There is no attribute {shown(str(path), 100)} in a {self._type.name}."

    def _comparison(self, tree: Comparison) -> Filter:
        resolved = super()._comparison(tree)
        match resolved:
            case Comparison(AttributePath(urn, name, sub), operator, bool(value)) if sub is not None:
                attribute = self._type.resolve(AttributePath(urn, name))
                if attribute is not None and _assumed_false(attribute.leaf, sub) and not value:
                    other = Not(Comparison(AttributePath(None, sub), "eq", True))
                    found = ValuePath(AttributePath(urn, name), other)
                    return Not(found) if operator == "ne" else found
        return resolved

    def _value_path(self, tree: ValuePath) -> Filter:
        place = self._place(tree.path)
        then = tree.then
        if then is not None and not self._profile.value_path_subs:
            raise InvalidFilter(
                f'Write the condition on {shown(str(then.path))} inside the brackets, joined to the others by "and".'
            )
        if place is None:
            negative = isinstance(then, Comparison) and (
                then.operator == "ne" if self._null(then.value) is not None else then.operator == "eq"
            )
            return Not(Never()) if negative else Never()
        leaf = place.leaf
        if leaf is None or place.path.sub is not None or not (leaf.type == "complex" or leaf.multi_valued):
            raise InvalidFilter(f"{place.path} has no elements that brackets could select.")
        inside = _ElementResolver(self._profile, leaf, self._unknown_is_absent)
        selection = inside.filter(tree.filter)
        if then is None:
            return ValuePath(place.path, selection)
        # As everywhere, "ne" and "eq null" say that nothing is equal, or there.
        if isinstance(then, Comparison) and then.operator == "ne":
            return Not(ValuePath(place.path, _both(selection, inside.filter(Comparison(then.path, "eq", then.value)))))
        match inside.filter(then):
            case Not(Present() as present):
                return Not(ValuePath(place.path, _both(selection, present)))
            case condition:
                return ValuePath(place.path, _both(selection, condition))


def _both(first: Filter, second: Filter) -> Filter:
    return And((*(first.terms if isinstance(first, And) else (first,)), second))


class _ElementResolver(_Resolver):
    def __init__(self, profile: Profile, attribute: Attribute, unknown_is_absent: bool) -> None:
        super().__init__(profile, unknown_is_absent)
        self._attribute = attribute

    def _find(self, path: AttributePath) -> _Place | None:
        part = None if path.urn is not None or path.sub is not None else part_of(self._attribute, path.name)
        if part is None:
            return None
        name = "value" if part is self._attribute else part.name
        return _Place(AttributePath(None, name), part, is_secret(self._attribute) or is_secret(part))

    def _unknown(self, path: AttributePath) -> str:
        return f"There is no sub-attribute {shown(str(path), 100)} in {self._attribute.name}."

    def _comparison(self, tree: Comparison) -> Filter:
        resolved = super()._comparison(tree)
        match resolved:
            case Comparison(path, operator, bool(value)) if _assumed_false(self._attribute, path.name) and not value:
                primary = Comparison(path, "eq", True)
                return primary if operator == "ne" else Not(primary)
        return resolved

    def _value_path(self, tree: ValuePath) -> Filter:
        raise InvalidFilter("Brackets cannot stand in brackets.")


def _assumed_false(attribute: Attribute, sub: str) -> bool:
    """Whether an element without that boolean counts as one where it is false (RFC 7643 §2.4)."""
    return attribute.multi_valued and sub == "primary"


def part_of(attribute: Attribute, name: str) -> Attribute | None:
    """The definition behind a path relative to an element; an element of a simple attribute is its own ``value``."""
    if attribute.type == "complex":
        return attribute.sub(name)
    return attribute if name.lower() == "value" else None
