"""What follows from a filter before any resource is looked at: what the type decides, and terms that all must hold."""

from __future__ import annotations

from collections.abc import Sequence

from scim_gateway.filter import And, Comparison, Filter, Never, Not, Or, Present, ValuePath
from scim_gateway.filter_predicates import compile_filter
from scim_gateway.schema import AttributePath, ResourceType

_RESOURCE_TYPE = AttributePath(None, "meta", "resourceType")


def narrow(tree: Filter | None, resource_type: ResourceType) -> Filter | None:
    """A resolved filter with what follows from the resource type alone already decided (RFC 7644 §3.4.2.1).

    ``None`` matches every resource of the type; ``Never`` none, so that nothing has to be read.
    """
    match tree:
        case Comparison(path) | Present(path) if path == _RESOURCE_TYPE:
            matches = compile_filter(tree, resource_type)
            return None if matches({"meta": {"resourceType": resource_type.name}}) else Never()
        case And(terms):
            left = [term for term in (narrow(term, resource_type) for term in terms) if term is not None]
            if any(isinstance(term, Never) for term in left):
                return Never()
            return None if not left else left[0] if len(left) == 1 else And(tuple(left))
        case Or(terms):
            narrowed = [narrow(term, resource_type) for term in terms]
            if any(term is None for term in narrowed):
                return None
            possible = tuple(term for term in narrowed if term is not None and not isinstance(term, Never))
            return Never() if not possible else possible[0] if len(possible) == 1 else Or(possible)
        case Not(term):
            inner = narrow(term, resource_type)
            return Never() if inner is None else None if isinstance(inner, Never) else Not(inner)
    return tree


def conjuncts(tree: Filter | None) -> tuple[Filter, ...]:
    """Terms that all hold for every match."""
    match tree:
        case None:
            return ()
        case And(terms):
            return tuple(inner for term in terms for inner in conjuncts(term))
        case _:
            return (tree,)


def group_asked_for(term: Filter, containers: str | None) -> str | None:
    """The id of the group, if the term asks for the resources in one group."""
    if containers is None:
        return None
    match term:
        case Comparison(AttributePath(None, name, "value"), "eq", str(id)) if name == containers:
            return id
        case ValuePath(AttributePath(None, name), inner) if name == containers:
            for part in conjuncts(inner):
                match part:
                    case Comparison(AttributePath(None, "value"), "eq", str(id)):
                        return id
    return None


def all_of(terms: Sequence[Filter]) -> Filter | None:
    """A filter that asks for all terms; ``None`` if there are none."""
    return None if not terms else terms[0] if len(terms) == 1 else And(tuple(terms))


def any_of(terms: Sequence[Filter]) -> Filter:
    """A filter that asks for one of the terms."""
    return terms[0] if len(terms) == 1 else Or(tuple(terms))
