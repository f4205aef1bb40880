"""What PATCH makes of one value: set, merged, united, taken away, as its definition says (RFC 7644 §3.5.2)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from scim_gateway.errors import InvalidSyntax, InvalidValue, Mutability, NoTarget
from scim_gateway.filter import Filter
from scim_gateway.filter_predicates import compile_element
from scim_gateway.patch_elements import (
    equalities,
    handed_over,
    includes,
    is_primary,
    is_reference,
    key_of,
    owner_of,
    put,
    referring,
    sub_of,
    with_past,
    without_primary,
)
from scim_gateway.profile import Profile
from scim_gateway.reader import ResourceReader
from scim_gateway.schema import Attribute, AttributePath, Target
from scim_gateway.text import printable


class Values:
    """Works out new values. None of its methods changes what it is given; ``None`` stands for unassigned.

    Besides, it takes note of what the caller cannot see in the result.
    """

    def __init__(self, reader: ResourceReader, profile: Profile) -> None:
        self._reader = reader
        self._profile = profile
        self.write_only = False
        """Whether a writeOnly value was sent; it was validated, and is in no result."""
        self.ignored: list[str] = []
        """Sub-attributes that were dropped because no schema knows them."""

    def changed(self, op: str, target: Target, old: Any, sent: Any) -> Any:
        """The value at a path without a filter after one operation.

        :param sent: the ``value`` of the operation; for ``remove`` without one, ``None``.
        """
        new = self._removed(target, old, sent) if op == "remove" else self._written(op, target, old, sent)
        return self.kept(target.leaf, target.path, old, new)

    def selected(self, op: str, target: Target, selection: Filter, old: Sequence[Any], sent: Any) -> list[Any] | None:
        """All elements of a multi-valued attribute after one operation on those that a filter selects."""
        attribute = owner_of(target).leaf
        matches = compile_element(selection, attribute)
        chosen = [index for index, element in enumerate(old) if matches(element)]
        if op == "remove":
            if sent is not None:
                raise InvalidValue(f"{target.path}: remove takes either a filter in the path or a value, not both.")
        elif not chosen:
            if op == "replace":
                raise NoTarget(f"No element of {attribute.name} is selected by the filter in the path.")
            return self._united(owner_of(target), old, self._created(target, selection, sent))
        if sent is None and op == "add":
            return list(old)
        new = list(old)
        for index in chosen:
            new[index] = self._changed_element(op, target, old[index], sent)
            if op == "add" and not matches(new[index]) and not isinstance(new[index], dict):
                raise InvalidValue(f"{target.path}: the value is not one that the filter in the path selects.")
        new = self._with_primary(target, old, new, chosen)
        rest = [element for element in new if element is not None]
        if not rest and old and attribute.required:
            error = Mutability if op == "remove" else InvalidValue
            raise error(f"{owner_of(target).path} is required; its last value cannot be removed.")
        return rest or None

    def elements(self, target: Target, sent: Any) -> list[Any]:
        """The typed elements of a value sent for a multi-valued attribute.

        :raises InvalidValue: one of them says nothing: dropping it would change more than the client asked for.
        """
        leaf = target.leaf
        typed: list[Any] = self._read(target, sent) or []
        if len(typed) < (len(sent) if isinstance(sent, list) else 1):
            for entry in sent if isinstance(sent, list) else (sent,):
                self._element(target, entry)
        if leaf.type != "complex":
            return typed
        return [self._stored(leaf, referring(leaf, element)) for element in typed]

    def named(self, target: Target, sent: Any) -> list[Any]:
        """The typed elements that ``remove`` names by a list of values.

        :raises InvalidValue: this is not accepted, or an entry does not say which element it means.
        """
        leaf = target.leaf
        if not self._profile.remove_by_value:
            example = f'{target.path}[value eq "…"]'
            raise InvalidValue(f"{target.path}: remove takes no value (RFC 7644 §3.5.2.2); select by path: {example}.")
        entries = sent if isinstance(sent, list) else [sent]
        if not entries:
            return []
        # Which of the elements to remove is primary does not matter.
        entries = [without_primary(entry) if isinstance(entry, Mapping) else entry for entry in entries]
        elements = self.elements(target, entries)
        if leaf.sub("value") is not None and not all(element.get("value") is not None for element in elements):
            raise InvalidValue(f"{target.path}: an element to remove is named by its value.")
        return elements

    def kept(self, attribute: Attribute, path: AttributePath, old: Any, new: Any) -> Any:
        """``new``, or what the mutability of the attribute makes of it (RFC 7643 §7)."""
        if attribute.mutability == "writeOnly":
            self.write_only = self.write_only or new is not None
            return None
        if attribute.mutability == "immutable" and old is not None:
            if new is None or key_of(attribute, old) != key_of(attribute, new):
                raise Mutability(f"{path} is immutable: it has a value, which can be neither changed nor removed.")
            return old
        return new

    # add and replace

    def _written(self, op: str, target: Target, old: Any, sent: Any) -> Any:
        leaf = target.leaf
        if sent is None:
            # What has a default has no state of its own when it is unassigned: is a user with active null active?
            if leaf.required or leaf.default is not None:
                raise InvalidValue(f"{target.path} cannot be null; send a value for it.")
            return old if op == "add" else None
        if leaf.multi_valued:
            return self._list(op, target, old or [], sent)
        if leaf.type == "complex":
            return self._object(op, target, old or {}, sent) or None
        value = self._read(target, sent)
        if value is None and leaf.required:
            raise InvalidValue(f"{target.path} is required; it cannot be empty.")
        return value

    def _list(self, op: str, target: Target, old: Sequence[Any], sent: Any) -> list[Any] | None:
        if sent == []:
            if op == "replace" and target.leaf.required:
                raise InvalidValue(f"{target.path} is required; it cannot be emptied.")
            return list(old) or None if op == "add" else None
        if op == "add":
            # RFC 7644 §3.5.2.1: one element is added like a list of one.
            return self._united(target, old, self.elements(target, sent if isinstance(sent, list) else [sent]))
        if not isinstance(sent, list) and not self._profile.lift_values:
            raise InvalidValue(f"{target.path}: all values are replaced by an array of values.")
        leaf = target.leaf
        past = {self._identity(target, element): element for element in old}
        new = [
            with_past(leaf, past.get(self._identity(target, element)), element)
            for element in self.elements(target, sent)
        ]
        return self._united(target, (), new)

    def _united(self, target: Target, old: Sequence[Any], new: Sequence[Any]) -> list[Any]:
        """The elements there were, and those that are new among the others, each once."""
        united = list(old)
        places: dict[Hashable, int] = {}
        for index, element in enumerate(old):
            places.setdefault(self._identity(target, element), index)
        primary: int | None = None
        for element in new:
            place = places.setdefault(self._identity(target, element), len(united))
            if place == len(united):
                united.append(element)
            elif isinstance(element, dict) and not self._by_value(target):
                details = {name: value for name, value in element.items() if name not in self._telling(target)}
                united[place] = self._merged(target, united[place], details)
            if isinstance(element, dict) and element.get("primary") is True:
                primary = place
        return handed_over(united, primary)

    def _merged(self, target: Target, old: Mapping[str, Any], typed: Mapping[str, Any]) -> dict[str, Any]:
        merged = dict(old)
        for name, value in typed.items():
            sub = sub_of(target, name)
            merged[name] = self.kept(sub.leaf, sub.path, old.get(name), value)
        return merged

    def _object(self, op: str, target: Target, old: Mapping[str, Any], sent: Any) -> dict[str, Any]:
        """A complex value with the named sub-attributes changed; the others stay (RFC 7644 §3.5.2.3)."""
        leaf = target.leaf
        if not isinstance(sent, Mapping):
            sent = self._read(target, sent)
            if sent is None:
                return dict(old) if op == "add" else {}
        named: dict[str, Any] = {}
        for key, value in sent.items():
            definition = leaf.sub(key)
            if definition is None:
                self._unknown(f"{target.path}.{key}")
            elif definition.name in named:
                raise InvalidSyntax(f"{target.path}.{definition.name} is given twice; letter case makes no difference.")
            elif definition.mutability != "readOnly":
                named[definition.name] = value
        if named.get("$ref") is not None and "value" not in named and is_reference(leaf):
            named = referring(leaf, named)
        changed = dict(old)
        for name, value in named.items():
            sub = sub_of(target, name)
            put(changed, name, self.changed(op, sub, old.get(name), value))
        if is_reference(leaf) and changed.get("value") != old.get("value"):
            # What the server tells about the resource referred to before is not true of the new one.
            stale = {"$ref", *(sub.name for sub in leaf.sub_attributes if sub.mutability == "readOnly")} - named.keys()
            changed = {name: value for name, value in changed.items() if name not in stale}
        return changed

    def _unknown(self, name: str) -> None:
        if not self._profile.ignore_unknown:
            raise InvalidSyntax(f"{printable(name)} is no attribute of this resource type; correct or remove it.")
        self.ignored.append(printable(name))

    # Elements that a filter selects

    def _changed_element(self, op: str, target: Target, old: Any, sent: Any) -> Any:
        owner = owner_of(target)
        if target.sub_attribute is not None:
            element = dict(old)
            put(element, target.leaf.name, self.changed(op, target, old.get(target.leaf.name), sent))
            return element or None
        if op == "remove" or sent is None:
            return None
        if op == "add" and owner.leaf.type == "complex":
            if not isinstance(sent, Mapping):
                raise InvalidValue(f"{owner.path}: the value for an element that a filter selects has to be an object.")
            return self._object(op, owner, old, sent)
        new = self._element(owner, sent)
        return self._replaced(owner, old, new) if isinstance(new, dict) else new

    def _replaced(self, owner: Target, old: Mapping[str, Any], new: dict[str, Any]) -> dict[str, Any]:
        """An element put in the place of another, which keeps what a client cannot change."""
        element = dict(new)
        for definition in owner.leaf.sub_attributes:
            name = definition.name
            if name in old and definition.mutability == "readOnly":
                element[name] = old[name]
            elif name in old and definition.mutability == "immutable":
                sub = sub_of(owner, name)
                element[name] = self.kept(definition, sub.path, old[name], new.get(name, old[name]))
        return element

    def _element(self, owner: Target, sent: Any) -> Any:
        """One typed element.

        :raises InvalidValue: it says nothing; dropping it would change more than the client asked for.
        """
        if isinstance(sent, list):
            raise InvalidValue(f"{owner.path}: one element is wanted, not a list.")
        element = self._reader.read_element(owner, sent, self._profile, on_unknown=self.ignored.extend)
        if element is None:
            raise InvalidValue(f"{owner.path}: an element holds nothing that could be set.")
        return self._stored(owner.leaf, referring(owner.leaf, element)) if isinstance(element, dict) else element

    def _created(self, target: Target, selection: Filter, sent: Any) -> list[Any]:
        """The element that ``add`` makes where the filter selects none: it has what the filter asks for, and the value.

        :raises NoTarget: the filter does not say what the element would have to be.
        """
        owner = owner_of(target)
        if sent is None:
            return []
        terms = equalities(selection)
        element: Any
        if terms is None:
            raise NoTarget(
                f"No element of {owner.path} is selected, and the filter does not tell what a new one would be."
            )
        if owner.leaf.type != "complex":
            element = self._element(owner, sent)
        else:
            element = {}
            for name, value in terms.items():
                sub = sub_of(owner, name)
                if sub.leaf.mutability == "readOnly":
                    raise Mutability(f"{sub.path} is readOnly; an element cannot be made by it.")
                put(element, name, self._read(sub, value))
            element = self._stored(owner.leaf, element)
            element = self._changed_element("add", target, element, sent)
        if not compile_element(selection, owner.leaf)(element):
            raise NoTarget(f"No element of {owner.path} is selected, and the value does not make one that would be.")
        return [element]

    @staticmethod
    def _with_primary(target: Target, old: Sequence[Any], new: list[Any], chosen: Sequence[int]) -> list[Any]:
        """Let an element that has become primary be the only one."""
        marked = [index for index in chosen if is_primary(new[index])]
        fresh = [index for index in marked if not is_primary(old[index])]
        if not fresh:
            return new
        if len(marked) > 1:
            raise InvalidValue(
                f"{target.path}: the filter selects {len(marked)} elements, and only one can be primary."
            )
        return handed_over(new, fresh[0])

    def _stored(self, leaf: Attribute, element: dict[str, Any]) -> dict[str, Any]:
        """An element without writeOnly sub-attributes."""
        secret = {sub.name for sub in leaf.sub_attributes if sub.mutability == "writeOnly"}
        if secret.isdisjoint(element):
            return element
        self.write_only = True
        return {name: value for name, value in element.items() if name not in secret}

    # remove

    def _removed(self, target: Target, old: Any, sent: Any) -> Any:
        rest = None if sent is None else self._without(target, old, sent)
        if rest is None and old is not None and target.leaf.required:
            raise Mutability(f"{target.path} is required; it cannot be removed.")
        return rest

    def _without(self, target: Target, old: Any, sent: Any) -> Any:
        """What is left when exactly the values that were sent are taken away."""
        leaf = target.leaf
        if leaf.multi_valued:
            names = self._naming(target, self.named(target, sent))
            return [element for element in old or () if not names(element)] or None
        if isinstance(sent, list):
            raise InvalidValue(f"{target.path} has one value; a list cannot be removed from it.")
        if not self._profile.remove_by_value:
            raise InvalidValue(f"{target.path}: remove takes no value (RFC 7644 §3.5.2.2).")
        value = self._read(target, sent)
        if old is None or value is None:
            return None
        equal = includes(leaf, old, value) if leaf.type == "complex" else key_of(leaf, old) == key_of(leaf, value)
        if not equal:
            raise InvalidValue(f"{target.path} has another value than the one to be removed; nothing was removed.")
        return None

    def _naming(self, target: Target, named: Sequence[Any]) -> Callable[[Any], bool]:
        """A test whether an element is named: by id, by value and type as far as given, or by all that is given."""
        leaf = target.leaf
        value = leaf.sub("value")
        if leaf.type != "complex":
            keys = {key_of(leaf, element) for element in named}
            return lambda element: key_of(leaf, element) in keys
        if value is None:
            return lambda element: any(includes(leaf, element, part) for part in named)
        parts: dict[Hashable, list[dict[str, Any]]] = {}
        telling = self._telling(target)
        for part in named:
            named_by = {name: part[name] for name in telling if name in part}
            parts.setdefault(key_of(value, part["value"]), []).append(named_by)

        def names(element: dict[str, Any]) -> bool:
            candidates = parts.get(key_of(value, element["value"]), ()) if "value" in element else ()
            return any(includes(leaf, element, part) for part in candidates)

        return names

    # What elements are

    def _read(self, target: Target, sent: Any) -> Any:
        return self._reader.read_value(target, sent, self._profile, on_unknown=self.ignored.extend)

    def _by_value(self, target: Target) -> bool:
        """Whether elements stand for other resources, so that the id alone tells them apart (``members``)."""
        return target.path.urn is None and target.path.name == self._reader.resource_type.members

    def _telling(self, target: Target) -> Sequence[str]:
        """What tells elements apart; the same value may come again with another type (RFC 7643 §2.4)."""
        return ("value",) if self._by_value(target) else ("value", "type")

    def _identity(self, target: Target, element: Any) -> Hashable:
        """What an element has in common with itself sent again: id, value and type, or all it has."""
        leaf = target.leaf
        if not isinstance(element, dict):
            return key_of(leaf, element)
        if element.get("value") is None:
            return key_of(leaf, without_primary(element))
        return key_of(leaf, {name: element[name] for name in self._telling(target) if name in element})
