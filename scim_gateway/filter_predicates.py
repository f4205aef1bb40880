"""Evaluation of a filter (RFC 7644 §3.4.2.2): predicates on resources and elements, and the forms they compare.

For backends: :func:`equality_form` and :func:`comparable` give the forms in which the core compares values. A store
that keeps these forms beside the values, and asks with the form of the operand, answers as :func:`compile_filter`
does: ``eq`` and ``ne`` compare the former, the other operators the latter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from operator import ge, gt, le, lt
from typing import Any, TypeAlias

from scim_gateway.filter import And, Comparison, Filter, Never, Not, Operand, Operator, Or, Present, ValuePath
from scim_gateway.filter_meaning import OPERATORS, is_secret, part_of
from scim_gateway.schema import Attribute, AttributePath, Resource, ResourceType, Target, values_at
from scim_gateway.text import collision_key, fold, instant

_Value: TypeAlias = str | int | float | bool
_Form: TypeAlias = Callable[[Any], _Value | None]
_Predicate: TypeAlias = Callable[[Any], bool]

_ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {"gt": gt, "ge": ge, "lt": lt, "le": le}


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
    return comparable_form(attribute)(value)


def comparable_form(attribute: Attribute) -> _Form:
    """What makes :func:`comparable` of the values of an attribute, for whoever has many of them."""
    if attribute.type in ("string", "reference"):
        return _exact if attribute.case_exact else _folded
    return _FORMS[attribute.type]


def equality_form(attribute: Attribute, value: Any) -> _Value | None:
    """The form of a value that eq and ne compare.

    It is :func:`comparable`, except that what has to be unique regardless of case is compared by its collision key: a
    client that looks a name up finds what it would collide with.
    """
    return _equality(attribute)(value)


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
    part = part_of(attribute, path.name)
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
    if not any(is_secret(part) or part.sub_attributes for part in parts):
        return _is_present
    tests = {part.name: _shows(part.sub_attributes) for part in parts if not is_secret(part)}

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
    form: Callable[[Any], Any] = _equality(leaf) if operator in ("eq", "ne") else comparable_form(leaf)
    wanted = form(operand)
    if wanted is None or operator not in OPERATORS.get(leaf.type, ()):
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


def _equality(attribute: Attribute) -> _Form:
    if attribute.type == "string" and attribute.uniqueness != "none" and not attribute.case_exact:
        return _key
    return comparable_form(attribute)
