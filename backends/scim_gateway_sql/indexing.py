"""What is stored beside the document of a resource: its unique keys and the values that filters may ask for.

The forms are those in which the core compares (:mod:`scim_gateway.filter_predicates`), as bytes whose order is the
core's order: text as UTF-8, whole numbers as 8 bytes with the sign bit turned, others as a sortable IEEE 754 double.
"""

from __future__ import annotations

import hashlib
import math
import struct
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from scim_gateway.filter_predicates import comparable_form
from scim_gateway.schema import Attribute, AttributePath, Resource, ResourceType, values_at
from scim_gateway.text import collision_key, fold, instant

FORMAT = 1
"""Raised when what this module stores for the same resource changes; every index is then built anew."""

LIMIT = 1000
"""Bytes of a text that are kept in the value index; MariaDB cannot index much more."""

Rows = dict[tuple[int, int], bytes]
"""Rows of the value index by number of the path and number of the element."""

Encoder = Callable[[Any], bytes | None]

_Simple = tuple[str | None, Sequence[tuple[str | None, int, Encoder]]]
"""An attribute of an extension (``None``: an attribute by itself), with its sub-attributes: name, number, form."""

_LONGEST_KEY = 255
_NOT_STORED = frozenset({"meta.location", "meta.version", "meta.resourceType"})


def unique_key(attribute: Attribute, value: str) -> bytes:
    """The bytes under which a unique value is held; a long one by its digest, to fit any store's keys."""
    key = (value if attribute.case_exact else collision_key(value)).encode("utf-8", "surrogatepass")
    # No name begins with a control character (the core refuses them), so the two forms cannot meet.
    return key if len(key) <= _LONGEST_KEY else b"\x01" + hashlib.sha256(key).digest()


def sortable(attribute: Attribute, value: Any) -> bytes | None:
    """The comparable form of a value as bytes, uncut; ``None`` for what the index cannot hold."""
    return encoder_of(attribute)(value)


def encoder_of(attribute: Attribute) -> Encoder:
    """What makes :func:`sortable` of the values of an attribute."""
    if attribute.type in ("string", "reference"):
        return _exact if attribute.case_exact else _folded
    if attribute.type == "dateTime":
        return _moment
    encode, form = _ENCODERS.get(attribute.type, _nothing), comparable_form(attribute)
    return lambda value: encode(form(value))


# Most values are texts: these are what the general way comes to, in one step.


def _exact(value: Any) -> bytes | None:
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else None


def _folded(value: Any) -> bytes | None:
    if not isinstance(value, str):
        return None
    return value.lower().encode() if value.isascii() else fold(value).encode("utf-8", "surrogatepass")


def _moment(value: Any) -> bytes | None:
    form = instant(value) if isinstance(value, str) else None
    return None if form is None else form.encode()


def _flag(form: Any) -> bytes | None:
    return None if form is None else b"1" if form else b"0"


def _whole(form: Any) -> bytes | None:
    if form is None or not math.isfinite(form) or form != int(form):
        return None
    whole = int(form)
    return struct.pack(">Q", whole + 2**63) if -(2**63) <= whole < 2**63 else None


def _double(form: Any) -> bytes | None:
    if form is None:
        return None
    try:
        bits: int = struct.unpack(">Q", struct.pack(">d", float(form) + 0.0))[0]
    except OverflowError:
        return None
    return struct.pack(">Q", bits ^ (2**64 - 1) if bits >> 63 else bits | 2**63)


def _nothing(_form: Any) -> None:
    return None


_ENCODERS: Mapping[str, Encoder] = {
    "boolean": _flag,
    "integer": _whole,
    "decimal": _double,
}


def number_of(kind: str, path: str) -> int:
    """What stands for a path in the value index: 48 bits of a digest, as texts of this length would double its size."""
    return int.from_bytes(hashlib.blake2b(f"{kind} {path}".encode(), digest_size=6).digest())


@dataclass(frozen=True, slots=True)
class Leaf:
    """A simple value that resources of a type may hold: where, and its definition."""

    path: AttributePath
    attribute: Attribute
    number: int


@dataclass(frozen=True, eq=False)
class Index:
    """What is indexed of the resources of one type."""

    resource_type: ResourceType

    @cached_property
    def leaves(self) -> Mapping[str, Leaf]:
        """The indexed values by the text of their path.

        Left out are ``id`` and the memberships, which have tables of their own, what is never stored or never told,
        and binary data, which nobody looks for by a part.
        """
        found: dict[str, Leaf] = {}
        elsewhere = {"id", self.resource_type.members, self.resource_type.containers}
        for urn, attribute in self.resource_type.every_attribute():
            if (urn is None and attribute.name in elsewhere) or not told(attribute):
                continue
            parts: list[tuple[str | None, Attribute]] = [(None, attribute)] if attribute.type != "complex" else []
            parts += [(sub.name, sub) for sub in attribute.sub_attributes if not sub.multi_valued and told(sub)]
            for sub, leaf in parts:
                path = AttributePath(urn, attribute.name, sub)
                if leaf.type not in ("binary", "complex") and str(path) not in _NOT_STORED:
                    found[str(path)] = self._leaf(path, leaf)
        assert len({leaf.number for leaf in found.values()} | {self.cut}) == len(found) + 1
        return found

    def _leaf(self, path: AttributePath, attribute: Attribute) -> Leaf:
        return Leaf(path, attribute, number_of(self.resource_type.name, str(path)))

    @cached_property
    def cut(self) -> int:
        """The number under which it is noted that a text was longer than :data:`LIMIT`."""
        return number_of(self.resource_type.name, "(cut)")

    @cached_property
    def unique(self) -> Mapping[str, Leaf]:
        """The unique attributes by the text of their path."""
        paths = {str(path): self.resource_type.resolve(path) for path in self.resource_type.unique_paths}
        return {text: self._leaf(target.path, target.leaf) for text, target in paths.items() if target is not None}

    @cached_property
    def names(self) -> Mapping[AttributePath, tuple[str, Attribute]]:
        """The unique attributes of which ``eq`` means the same key, with the text of the path."""
        leaves = self.unique.items()
        return {leaf.path: (text, leaf.attribute) for text, leaf in leaves if leaf.attribute.type == "string"}

    @cached_property
    def unique_members(self) -> tuple[str, ...]:
        """The members of a resource that its unique keys are made of."""
        return tuple({leaf.path.urn or leaf.path.name for leaf in self.unique.values()})

    def unique_keys(self, resource: Mapping[str, Any]) -> dict[str, bytes]:
        """The key of each unique attribute that the resource has, by the text of its path."""
        return {
            text: unique_key(leaf.attribute, str(value))
            for text, leaf in self.unique.items()
            for value in values_at(resource, leaf.path)
        }

    def rows(self, resource: Resource) -> Rows:
        """The rows of the value index that a resource has."""
        return self._rows_of(resource, self._by_owner)

    def changes(self, before: Resource, after: Resource) -> tuple[Rows, Rows]:
        """The rows that go and the rows that come, when one becomes the other."""
        touched = [name for name, value in after.items() if before.get(name) != value]
        touched += before.keys() - after.keys()
        owners = [name for name in touched if name in self._by_owner]
        old, new = self._rows_of(before, owners), self._rows_of(after, owners)
        # Long texts are numbered through all attributes; the first of them is number 0.
        if (self.cut, 0) in old or (self.cut, 0) in new:
            old, new = self.rows(before), self.rows(after)
        return (
            {at: form for at, form in old.items() if new.get(at) != form},
            {at: form for at, form in new.items() if old.get(at) != form},
        )

    @cached_property
    def _by_owner(self) -> Mapping[str, Sequence[_Simple]]:
        """The indexed values by the member of a resource that they are in: an attribute, or an extension."""
        found: dict[str, dict[str | None, list[tuple[str | None, int, Encoder]]]] = {}
        for leaf in self.leaves.values():
            path = leaf.path
            owner, name = (path.name, None) if path.urn is None else (path.urn, path.name)
            parts = found.setdefault(owner, {}).setdefault(name, [])
            parts.append((path.sub, leaf.number, encoder_of(leaf.attribute)))
        return {owner: list(attributes.items()) for owner, attributes in found.items()}

    def _rows_of(self, resource: Resource, owners: Iterable[str]) -> Rows:
        rows: Rows = {}
        cut = 0
        for owner in owners:
            if owner not in resource:
                continue
            for name, parts in self._by_owner[owner]:
                value = resource[owner] if name is None else resource[owner].get(name)
                if value is None:
                    continue
                for number, element in enumerate(value if isinstance(value, list) else (value,)):
                    for sub, attr, encode in parts:
                        single = element if sub is None else element.get(sub)
                        form = None if single is None else encode(single)
                        if form is None:
                            continue
                        if len(form) > LIMIT:
                            form = form[:LIMIT]
                            rows[self.cut, cut] = b""
                            cut += 1
                        rows[attr, number] = form
        return rows

    @cached_property
    def fingerprint(self) -> bytes:
        """Changes whenever the index would be built differently: by this code, by Unicode, or by the schemas."""
        parts = [str(FORMAT), str(LIMIT), unicodedata.unidata_version, *self.resource_type.display]
        parts += [f"{text} {leaf.attribute.type} {leaf.attribute.case_exact}" for text, leaf in self.leaves.items()]
        parts += [f"unique {text} {leaf.attribute.case_exact}" for text, leaf in self.unique.items()]
        return hashlib.sha256("\n".join(parts).encode()).digest()


def told(attribute: Attribute) -> bool:
    """Whether an answer or a filter may tell anything about the attribute's value."""
    return attribute.mutability != "writeOnly" and attribute.returned != "never"


def value_rows(tenant: str, id: str, rows: Rows) -> list[tuple[str, int, bytes, str, int]]:
    """Rows of the value index as they are stored: tenant, number of the path, form, resource, number of the element."""
    return [(tenant, at[0], rows[at], id, at[1]) for at in sorted(rows)]
