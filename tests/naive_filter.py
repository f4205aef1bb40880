"""The meaning of filters written down a second time, as plainly as possible: what the compiled ones are compared with.

Nothing here is shared with the core but the tree and the two ways to fold a text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from scim_gateway.filter import And, Comparison, Filter, Never, Not, Or, Present, ValuePath
from scim_gateway.schema import Attribute, AttributePath, ResourceType
from scim_gateway.text import collision_key, fold


def matches(tree: Filter, resource: Mapping[str, Any], resource_type: ResourceType) -> bool:
    """Whether a filter, as parsed and not resolved, matches a resource."""
    match tree:
        case And(terms):
            return all(matches(term, resource, resource_type) for term in terms)
        case Or(terms):
            return any(matches(term, resource, resource_type) for term in terms)
        case Not(term):
            return not matches(term, resource, resource_type)
        case Never():
            return False
        case Present(path):
            owner, attribute = _attribute(path, resource, resource_type)
            if attribute is None:
                return _there(owner)
            values = list(_elements(owner.get(attribute.name)))
            if path.sub:
                values = [element.get(_sub(attribute, path.sub).name) for element in values]
            return any(_there(value) for value in values)
        case Comparison(path, operator, operand):
            if operator == "ne":
                return not matches(Comparison(path, "eq", operand), resource, resource_type)
            if operand is None:
                return not matches(Present(path), resource, resource_type)
            owner, attribute = _attribute(path, resource, resource_type)
            assert attribute is not None
            sub = path.sub or ("value" if attribute.type == "complex" else None)
            return any(
                _element_compares(attribute, element, sub, operator, operand)
                for element in _elements(owner.get(attribute.name))
            )
        case ValuePath(path, inner, then):
            owner, attribute = _attribute(path, resource, resource_type)
            assert attribute is not None
            elements = list(_elements(owner.get(attribute.name)))
            selected = [element for element in elements if element_matches(inner, element, attribute)]
            match then:
                case None:
                    return bool(selected)
                case Comparison(part, "ne", operand):
                    return not any(
                        element_matches(Comparison(part, "eq", operand), each, attribute) for each in selected
                    )
                case Comparison(part, "eq", None):
                    return not any(element_matches(Present(part), element, attribute) for element in selected)
                case _:
                    return any(element_matches(then, element, attribute) for element in selected)
    raise AssertionError(tree)


def element_matches(tree: Filter, element: Any, attribute: Attribute) -> bool:
    """Whether the filter in the brackets of a value path matches an element."""
    match tree:
        case And(terms):
            return all(element_matches(term, element, attribute) for term in terms)
        case Or(terms):
            return any(element_matches(term, element, attribute) for term in terms)
        case Not(term):
            return not element_matches(term, element, attribute)
        case Present(path):
            return _there(element if attribute.type != "complex" else element.get(_sub(attribute, path.name).name))
        case Comparison(path, "ne", operand):
            return not element_matches(Comparison(path, "eq", operand), element, attribute)
        case Comparison(path, "eq", None):
            return not element_matches(Present(path), element, attribute)
        case Comparison(path, operator, operand):
            sub = path.name if attribute.type == "complex" else None
            return _element_compares(attribute, element, sub, operator, operand)
    raise AssertionError(tree)


def _element_compares(attribute: Attribute, element: Any, sub: str | None, operator: str, operand: Any) -> bool:
    if sub is None:
        return compares(attribute, element, operator, operand)
    definition = _sub(attribute, sub)
    value = element.get(definition.name)
    if value is None and definition.name == "primary":
        value = False
    return value is not None and compares(definition, value, operator, operand)


def compares(attribute: Attribute, value: Any, operator: str, operand: Any) -> bool:
    """One value against one operand."""
    if attribute.type == "dateTime":
        value, operand = moment(value), moment(operand)
    elif attribute.type == "boolean" and isinstance(operand, str):
        operand = operand.lower() == "true"
    elif attribute.type in ("string", "reference") and not attribute.case_exact:
        form = collision_key if operator == "eq" and attribute.uniqueness != "none" else fold
        value, operand = form(value), form(operand)
    match operator:
        case "eq":
            return bool(value == operand)
        case "co":
            return operand in value
        case "sw":
            return bool(value[: len(operand)] == operand)
        case "ew":
            return bool(operand == "" or value[-len(operand) :] == operand)
        case "gt":
            return bool(value > operand)
        case "ge":
            return bool(value >= operand)
        case "lt":
            return bool(value < operand)
        case "le":
            return bool(value <= operand)
    raise AssertionError(operator)


def moment(text: str) -> tuple[datetime, Fraction]:
    """A dateTime as whole seconds and the rest."""
    found = re.fullmatch(r"(.{19})(?:\.(\d+))?(Z|[+-]\d\d:\d\d)?", text)
    assert found is not None
    base = datetime.strptime(found[1].upper(), "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    if found[3] not in (None, "Z"):
        sign = -1 if found[3][0] == "-" else 1
        base -= sign * timedelta(hours=int(found[3][1:3]), minutes=int(found[3][4:]))
    return base, Fraction(f"0.{found[2] or 0}")


def _attribute(path: AttributePath, resource: Mapping[str, Any], kind: ResourceType) -> tuple[Any, Attribute | None]:
    """The object that holds the attribute, and its definition; ``None`` for a whole extension."""
    owner: Any = resource
    definitions = list(kind.attributes.values())
    for extension in kind.extensions:
        if path.urn is not None and path.urn.lower() == extension.schema.id.lower():
            owner = resource.get(extension.schema.id, {})
            definitions = list(extension.schema.attributes)
        if path.urn is not None and f"{path.urn}:{path.name}".lower() == extension.schema.id.lower():
            return resource.get(extension.schema.id, {}), None
    return owner, next(each for each in definitions if each.name.lower() == path.name.lower())


def _sub(attribute: Attribute, name: str) -> Attribute:
    return next(sub for sub in attribute.sub_attributes if sub.name.lower() == name.lower())


def _elements(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        yield from value
    elif value is not None:
        yield value


def _there(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_there(part) for name, part in value.items() if name not in ("pin", "key"))
    if isinstance(value, list):
        return any(_there(element) for element in value)
    return value is not None and value != ""


def written(tree: Filter) -> str:
    """A filter as text."""
    match tree:
        case And(terms):
            return " and ".join(f"({written(term)})" if isinstance(term, Or) else written(term) for term in terms)
        case Or(terms):
            return " or ".join(written(term) for term in terms)
        case Not(term):
            return f"not ({written(term)})"
        case Present(path):
            return f"{path} pr"
        case Comparison(path, operator, operand):
            return f"{path} {operator} {json.dumps(operand)}"
        case ValuePath(path, inner, then):
            return f"{path}[{written(inner)}]" + (f".{written(then)}" if then else "")
    raise AssertionError(tree)
