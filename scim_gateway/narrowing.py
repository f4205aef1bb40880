"""What follows from a filter before any resource is looked at: what the type or the form of an id decides.

And what can be said of terms that all must hold.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import TypeAlias

from scim_gateway.filter import And, Comparison, Filter, Never, Not, Or, Present, ValuePath
from scim_gateway.filter_predicates import compile_filter, equality_form
from scim_gateway.ids import is_id
from scim_gateway.schema import AttributePath, ResourceType

ID = AttributePath(None, "id")
_RESOURCE_TYPE = AttributePath(None, "meta", "resourceType")

_Decide: TypeAlias = Callable[[Comparison | Present], bool | None]


def narrow(tree: Filter | None, resource_type: ResourceType, ids: Collection[AttributePath] = (ID,)) -> Filter | None:
    """A resolved filter with what follows from the resource type, or for ids, already decided (RFC 7644 §3.4.2.1).

    ``None`` matches every resource of the type; ``Never`` none, so that nothing has to be read.

    :param ids: the attributes whose values are ids: nothing is equal to what cannot be one.
    """
    return _narrowed(tree, partial(_decided, resource_type, ids))


def is_nobodys(resource_type: ResourceType, path: AttributePath, text: str) -> bool:
    """Whether no id can be equal to a text.

    :param path: of an attribute of the type, which holds ids.
    """
    if is_id(text):
        return False
    target = resource_type.resolve(path)
    # Of a declared type an attribute that refers to others may be compared regardless of case.
    return target is None or not is_id(str(equality_form(target.leaf, text)))


def _decided(resource_type: ResourceType, ids: Collection[AttributePath], term: Comparison | Present) -> bool | None:
    """Whether a term holds for every resource of the type, or for none; ``None`` if resources differ."""
    if term.path == _RESOURCE_TYPE:
        return compile_filter(term, resource_type)({"meta": {"resourceType": resource_type.name}})
    match term:
        case Comparison(path, "eq" | "ne" as operator, str(text)) if path in ids:
            return operator == "ne" if is_nobodys(resource_type, path, text) else None
    return None


def _narrowed(tree: Filter | None, decide: _Decide) -> Filter | None:
    match tree:
        case Comparison() | Present():
            holds = decide(tree)
            return tree if holds is None else None if holds else Never()
        case And(terms):
            left = [term for term in (_narrowed(term, decide) for term in terms) if term is not None]
            if any(isinstance(term, Never) for term in left):
                return Never()
            return None if not left else left[0] if len(left) == 1 else And(tuple(left))
        case Or(terms):
            narrowed = [_narrowed(term, decide) for term in terms]
            if any(term is None for term in narrowed):
                return None
            possible = tuple(term for term in narrowed if term is not None and not isinstance(term, Never))
            return Never() if not possible else possible[0] if len(possible) == 1 else Or(possible)
        case Not(term):
            inner = _narrowed(term, decide)
            return Never() if inner is None else None if isinstance(inner, Never) else Not(inner)
        case ValuePath(path, inside):
            inner = _narrowed(inside, partial(_decided_inside, path, decide))
            # What holds for every element still asks for one.
            return inner if isinstance(inner, Never) else Present(path) if inner is None else ValuePath(path, inner)
    return tree


def _decided_inside(owner: AttributePath, decide: _Decide, term: Comparison | Present) -> bool | None:
    """The same for a term whose path is relative to an element of an attribute."""
    path = AttributePath(owner.urn, owner.name, term.path.name)
    return decide(Present(path) if isinstance(term, Present) else Comparison(path, term.operator, term.value))


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
