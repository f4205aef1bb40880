"""The filter tree, its meaning against a resource type, and its evaluation (RFC 7644 §3.4.2.2).

For backends: :func:`equality_form` and :func:`comparable` give the forms in which the core compares values. A store
that keeps these forms beside the values, and asks with the form of the operand, answers as :func:`compile_filter`
does: ``eq`` and ``ne`` compare the former, the other operators the latter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import ge, gt, le, lt
from typing import Any, Literal, TypeAlias, assert_never

from scim_gateway.errors import InvalidFilter
from scim_gateway.profile import Profile
from scim_gateway.schema import Attribute, AttributePath, Resource, ResourceType, Target, values_at
from scim_gateway.text import collision_key, fold, instant, shown

Operator = Literal["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"]
Operand: TypeAlias = str | int | float | bool | None


class Word(str):
    """``True``, ``FALSE``, ``Null`` without quotes: not JSON, but some clients write their literals so."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """``attrPath compareOp compValue``; true if any value at the path compares so (``ne``: if none is equal)."""

    path: AttributePath
    operator: Operator
    value: Operand


@dataclass(frozen=True, slots=True)
class Present:
    """``attrPath pr``."""

    path: AttributePath


@dataclass(frozen=True, slots=True)
class And:
    """All terms hold."""

    terms: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """One of the terms holds."""

    terms: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The term does not hold."""

    term: Filter


@dataclass(frozen=True, slots=True)
class ValuePath:
    """``attrPath[filter]``: one element of the attribute fulfils the whole filter, whose paths are relative to it.

    :param then: what else the same element fulfils: a condition written behind the bracket, as in
        ``emails[type eq "work"].value eq "x"``, which some clients send. Part of the filter when resolved.
    """

    path: AttributePath
    filter: Filter
    then: Comparison | Present | None = None


@dataclass(frozen=True, slots=True)
class Never:
    """Matches nothing: what an attribute unknown to this resource type comes to in a root query (§3.4.2.1)."""


Filter: TypeAlias = Comparison | Present | And | Or | Not | ValuePath | Never


_Value: TypeAlias = str | int | float | bool
_Form: TypeAlias = Callable[[Any], _Value | None]
_Predicate: TypeAlias = Callable[[Any], bool]

_ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {"gt": gt, "ge": ge, "lt": lt, "le": le}
_ORDERED = frozenset(_ORDERS)
_SUBSTRING = frozenset({"co", "sw", "ew"})
_EQUALITY = frozenset({"eq", "ne"})
# RFC 7644 §3.4.2.2 refuses to order booleans and binaries; substrings of what is no text have no meaning.
_OPERATORS: Mapping[str, frozenset[str]] = {
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
        path = _text_path(tree.path, tree.operator, resource_type, profile, unknown_is_absent)
        if path is not None:
            return Comparison(path, tree.operator, tree.value)
    return _ResourceResolver(profile, resource_type, unknown_is_absent).filter(tree)


@lru_cache(maxsize=512)
def _text_path(
    path: AttributePath, operator: Operator, resource_type: ResourceType, profile: Profile, unknown_is_absent: bool
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


def compile_filter(tree: Filter, resource_type: ResourceType) -> Callable[[Resource], bool]:
    """A predicate for a resolved filter; compiled once for each tree and type.

    :raises ValueError: the filter is not resolved.
    """
    return _compiled(tree, resource_type)


def compile_element(tree: Filter, attribute: Attribute) -> Callable[[Any], bool]:
    """A predicate on one element of a multi-valued attribute, for a filter from :func:`resolve_element`.

    :raises ValueError: the filter is not resolved.
    """
    return _element_predicate(tree, attribute)


def comparable(attribute: Attribute, value: Any) -> _Value | None:
    """The form of a value that sorting and all operators but eq and ne compare; ``None`` if it does not fit.

    Texts are folded unless ``caseExact``, a dateTime is its instant as text whose order is the order in time, numbers,
    booleans and binaries are themselves.
    """
    return _form(attribute)(value)


def equality_form(attribute: Attribute, value: Any) -> _Value | None:
    """The form of a value that eq and ne compare.

    It is :func:`comparable`, except that what has to be unique regardless of case is compared by its collision key: a
    client that looks a name up finds what it would collide with.
    """
    return _equality(attribute)(value)


def _secret(attribute: Attribute) -> bool:
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


class _Resolver:
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

    def _find(self, path: AttributePath) -> _Place | None:
        raise NotImplementedError

    def _value_path(self, tree: ValuePath) -> Filter:
        raise NotImplementedError

    def _unknown(self, path: AttributePath) -> str:
        raise NotImplementedError

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
        if tree.operator not in _OPERATORS[place.leaf.type]:
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
    usable = next((sub.name for sub in subs if not _secret(sub)), None)
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
        secret = _secret(target.attribute)
        if target.sub_attribute is not None:
            return _Place(target.path, target.sub_attribute, secret or _secret(target.sub_attribute))
        value = None
        if target.attribute.type == "complex" and (sub := target.attribute.sub("value")) is not None:
            value_path = AttributePath(target.path.urn, target.path.name, sub.name)
            value = _Place(value_path, sub, secret or _secret(sub))
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
        part = None if path.urn is not None or path.sub is not None else _part(self._attribute, path.name)
        if part is None:
            return None
        name = "value" if part is self._attribute else part.name
        return _Place(AttributePath(None, name), part, _secret(self._attribute) or _secret(part))

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


def _part(attribute: Attribute, name: str) -> Attribute | None:
    """The definition behind a path relative to an element; an element of a simple attribute is its own ``value``."""
    if attribute.type == "complex":
        return attribute.sub(name)
    return attribute if name.lower() == "value" else None


# Operands of one path have one type after resolving, so that 1 and true cannot be taken for each other here.
@lru_cache(maxsize=1024)
def _compiled(tree: Filter, resource_type: ResourceType) -> _Predicate:
    match tree:
        case Comparison(path, operator, operand):
            target = _known(resource_type, path)
            return _reaching(target, _test(operator, target.leaf, operand), negated=operator == "ne")
        case Present(path):
            return _presence(resource_type, _known(resource_type, path))
        case ValuePath(path, inner, None):
            target = _known(resource_type, path)
            return _reaching(target, _element_predicate(inner, target.leaf))
        case _:
            return _combined(tree, lambda term: _compiled(term, resource_type))


def _element_predicate(tree: Filter, attribute: Attribute) -> _Predicate:
    match tree:
        case Comparison(path, operator, operand):
            part = _known_part(attribute, path)
            return _within(attribute, part, _test(operator, part, operand), negated=operator == "ne")
        case Present(path):
            return _within(attribute, _known_part(attribute, path), _is_present)
        case _:
            return _combined(tree, lambda term: _element_predicate(term, attribute))


def _combined(tree: Filter, compile_term: Callable[[Filter], _Predicate]) -> _Predicate:
    match tree:
        case And(terms):
            tests = tuple(compile_term(term) for term in terms)
            return lambda value: all(test(value) for test in tests)
        case Or(terms):
            tests = tuple(compile_term(term) for term in terms)
            return lambda value: any(test(value) for test in tests)
        case Not(term):
            test = compile_term(term)
            return lambda value: not test(value)
        case Never():
            return lambda value: False
    raise ValueError("the filter is not resolved")


def _known(resource_type: ResourceType, path: AttributePath) -> Target:
    target = resource_type.resolve(path)
    if target is None or target.path != path:
        raise ValueError(f"{path} is not resolved against {resource_type.name}")
    return target


def _known_part(attribute: Attribute, path: AttributePath) -> Attribute:
    part = _part(attribute, path.name)
    if part is None or path.urn is not None or path.sub is not None:
        raise ValueError(f"{path} is not resolved against {attribute.name}")
    return part


def _reaching(target: Target, test: _Predicate, *, negated: bool = False) -> _Predicate:
    """Whether any value at the path passes the test; negated, whether none does."""
    path, name = target.path, target.path.name
    if path.urn is None and path.sub is None and target.attribute is not None and not target.attribute.multi_valued:

        def simple(resource: Mapping[str, Any]) -> bool:
            value = resource.get(name)
            return (value is not None and test(value)) is not negated

        return simple

    def reached(resource: Mapping[str, Any]) -> bool:
        return any(test(value) for value in values_at(resource, path)) is not negated

    return reached


def _within(attribute: Attribute, part: Attribute, test: _Predicate, *, negated: bool = False) -> _Predicate:
    if part is attribute:
        return lambda element: test(element) is not negated
    name = part.name

    def within(element: Any) -> bool:
        value = element.get(name) if isinstance(element, Mapping) else None
        if part.multi_valued:
            values: Sequence[Any] = value if isinstance(value, list) else ()
            return any(test(value) for value in values) is not negated
        return (value is not None and test(value)) is not negated

    return within


def _presence(resource_type: ResourceType, target: Target) -> _Predicate:
    """Whether anything is assigned at the path; what is never shown does not count."""
    if target.attribute is None:
        parts = resource_type.extensions_by_urn[str(target.path.urn).lower()].schema.attributes
    else:
        parts = target.leaf.sub_attributes
    return _reaching(target, _shows(parts))


def _shows(parts: Sequence[Attribute]) -> _Predicate:
    """:func:`_is_present` for a value with these parts, of which some may be never shown."""
    if not any(_secret(part) or part.sub_attributes for part in parts):
        return _is_present
    tests = {part.name: _shows(part.sub_attributes) for part in parts if not _secret(part)}

    def shows(value: Any) -> bool:
        if not isinstance(value, Mapping):
            return False
        return any(test(part) for name, test in tests.items() for part in _elements(value.get(name)))

    return shows


def _elements(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else () if value is None else (value,)


def _is_present(value: Any) -> bool:
    """``pr``: a non-empty value, or a complex one with such a part; ``false`` and 0 are values."""
    if isinstance(value, str):
        return value != ""
    if isinstance(value, Mapping):
        return any(_is_present(part) for part in value.values())
    if isinstance(value, list):
        return any(_is_present(element) for element in value)
    return value is not None


def _test(operator: Operator, leaf: Attribute, operand: Operand) -> _Predicate:
    """The comparison of one value; that of ``ne`` is equality, which the caller negates."""
    form: Callable[[Any], Any] = _equality(leaf) if operator in _EQUALITY else _form(leaf)
    wanted = form(operand)
    if wanted is None or operator not in _OPERATORS.get(leaf.type, ()):
        raise ValueError(f"the operand for {leaf.name} is not resolved")
    match operator:
        case "eq" | "ne":
            return lambda value: form(value) == wanted
        case "co":
            return lambda value: (text := form(value)) is not None and wanted in text
        case "sw":
            return lambda value: (text := form(value)) is not None and text.startswith(wanted)
        case "ew":
            return lambda value: (text := form(value)) is not None and text.endswith(wanted)
    holds = _ORDERS[operator]
    return lambda value: (other := form(value)) is not None and holds(other, wanted)


def _exact(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _folded(value: Any) -> str | None:
    return fold(value) if isinstance(value, str) else None


def _key(value: Any) -> str | None:
    return collision_key(value) if isinstance(value, str) else None


def _boolean(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _number(value: Any) -> int | float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _moment(value: Any) -> str | None:
    return instant(value) if isinstance(value, str) else None


def _nothing(value: Any) -> None:
    return None


_FORMS: Mapping[str, _Form] = {
    "binary": _exact,
    "boolean": _boolean,
    "integer": _number,
    "decimal": _number,
    "dateTime": _moment,
    "complex": _nothing,
}


def _form(attribute: Attribute) -> _Form:
    if attribute.type in ("string", "reference"):
        return _exact if attribute.case_exact else _folded
    return _FORMS[attribute.type]


def _equality(attribute: Attribute) -> _Form:
    if attribute.type == "string" and attribute.uniqueness != "none" and not attribute.case_exact:
        return _key
    return _form(attribute)
