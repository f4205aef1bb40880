"""Attribute definitions as marshmallow fields: one Field class for each data type (RFC 7643 §2.3, §2.4, §2.5).

A complex value is read by walking a table, not by a Schema of its own, so that a group with thousands of members is
checked in milliseconds. ``None`` stands for unassigned: null, an empty array, a complex value without assigned
sub-attributes, and an empty text, which identity providers send to clear a value.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from marshmallow import ValidationError, fields

from scim_gateway.errors import InvalidSyntax
from scim_gateway.problems import REPORTED, kind_of
from scim_gateway.profile import Profile
from scim_gateway.schema import Attribute, SchemaExtension
from scim_gateway.text import instant, printable

_BASE64 = re.compile(r"([A-Za-z0-9+/]*)(={0,2})", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # Unicode category Cc
_BOOLEAN_WORDS = {"true": True, "false": False}
_LARGEST = 2**63


class Leniency(NamedTuple):
    """The allowances of a profile that matter to values; what fields are made for."""

    ignore_unknown: bool
    boolean_words: bool
    lift_values: bool

    @classmethod
    def of(cls, profile: Profile) -> Leniency:
        """Those of a profile."""
        return cls(profile.ignore_unknown, profile.boolean_words, profile.lift_values)


class Input(dict[str, Any]):
    """A body on its way through the fields, with what has to be said about it besides its values.

    :param defaults: whether attributes that were not sent get their default (POST and PUT, not PATCH).
    """

    __slots__ = ("defaults", "dropped")

    def __init__(self, *, defaults: bool) -> None:
        super().__init__()
        self.defaults = defaults
        self.dropped: list[str] = []
        """Names of unknown attributes that were ignored."""


class ValueField(fields.Field[Any], ABC):
    """A field for the values of one attribute.

    :param name: how error texts call it where marshmallow does not know: with URN, with its parent.
    """

    expected = ""

    def __init__(self, attribute: Attribute, name: str, leniency: Leniency) -> None:
        super().__init__(allow_none=True)
        self.definition = attribute
        self.title = name
        self.leniency = leniency

    @abstractmethod
    def convert(self, value: Any, body: Input) -> Any:
        """The typed value, or ``None`` if it counts as unassigned.

        :raises ValidationError: the value does not fit.
        """

    def refuse(self, value: Any) -> ValidationError:
        """The error for a value of another JSON type."""
        return ValidationError(f"has to be {self.expected}, not {kind_of(value)}")

    def deserialize(
        self, value: Any, attr: str | None = None, data: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> Any:
        """What marshmallow does for a field without validators and functions around it, in as few steps."""
        return None if value is None else self.convert(value, data if type(data) is Input else Input(defaults=False))


class StringField(ValueField):
    """``string`` (RFC 7643 §2.3.1): any Unicode but NUL, kept as sent."""

    expected = "a string"

    def __init__(self, attribute: Attribute, name: str, leniency: Leniency) -> None:
        super().__init__(attribute, name, leniency)
        self._plain = attribute.uniqueness == "none" and not attribute.min_length

    def convert(self, value: Any, body: Input) -> str | None:
        if type(value) is not str:
            raise self.refuse(value)
        if not value:
            return None
        if "\x00" in value:
            raise ValidationError("must not hold the NUL character")
        if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
            raise ValidationError("holds half of a surrogate pair, which is no character")
        if not self._plain:
            self._check(value)
        return value

    def _check(self, value: str) -> None:
        if len(value) < self.definition.min_length:
            raise ValidationError(f"needs at least {self.definition.min_length} characters")
        # What is told apart by what nobody sees can be passed off as another.
        if self.definition.uniqueness != "none" and _CONTROL.search(value):
            raise ValidationError("must not hold control characters")


class ReferenceField(StringField):
    """``reference`` (RFC 7643 §2.3.7): a URI, absolute or relative; kept as sent and never followed."""

    expected = "a string with a URI"


class DateTimeField(StringField):
    """``dateTime`` (RFC 7643 §2.3.5): xsd:dateTime with date and time, kept as sent."""

    expected = "a string with date and time, such as 2008-01-23T04:56:22Z"

    def convert(self, value: Any, body: Input) -> str | None:
        text = super().convert(value, body)
        if text is not None and instant(text) is None:
            raise ValidationError(f"has to be {self.expected}")
        return text


class BinaryField(StringField):
    """``binary`` (RFC 7643 §2.3.6): base64, with or without padding, kept as sent."""

    expected = "a string in base64"

    def convert(self, value: Any, body: Input) -> str | None:
        text = super().convert(value, body)
        if text is None:
            return None
        found = _BASE64.fullmatch(text)
        if found is None or len(found[1]) % 4 == 1 or (found[2] and len(text) % 4):
            raise ValidationError("has to be base64 without line breaks (RFC 4648 §4)")
        return text


class BooleanField(ValueField):
    """``boolean`` (RFC 7643 §2.3.2), and the words true and false in any letter case where the profile allows them."""

    expected = "true or false"

    def convert(self, value: Any, body: Input) -> bool:
        if type(value) is bool:
            return value
        if self.leniency.boolean_words and type(value) is str:
            word = _BOOLEAN_WORDS.get(value.strip().lower())
            if word is not None:
                return word
            raise ValidationError("has to be true or false, not another word")
        raise self.refuse(value)


class IntegerField(ValueField):
    """``integer`` (RFC 7643 §2.3.4): no fraction, no exponent."""

    expected = "an integer without fraction or exponent"

    def convert(self, value: Any, body: Input) -> int:
        if type(value) is not int:
            raise ValidationError(f"has to be {self.expected}") if type(value) is float else self.refuse(value)
        if not -_LARGEST <= value < _LARGEST:
            raise ValidationError("has to fit into 64 bits")
        return value


class DecimalField(ValueField):
    """``decimal`` (RFC 7643 §2.3.3)."""

    expected = "a number"

    def convert(self, value: Any, body: Input) -> int | float:
        if type(value) is not int and type(value) is not float:
            raise self.refuse(value)
        if not math.isfinite(value) or abs(value) >= _LARGEST:
            raise ValidationError("is a number too large")
        return value


class ComplexField(ValueField):
    """``complex`` (RFC 7643 §2.3.8): an object of sub-attributes; readOnly ones are ignored."""

    expected = "an object"

    def __init__(self, attribute: Attribute, name: str, leniency: Leniency, *, separator: str = ".") -> None:
        super().__init__(attribute, name, leniency)
        self._by_name: dict[str, tuple[str, Callable[[Any, Input], Any] | None]] = {}
        self._separator = separator
        for sub in attribute.sub_attributes:
            convert = None
            if sub.mutability != "readOnly":
                convert = field_for(sub, f"{name}{separator}{sub.name}", leniency).convert
            self._by_name[sub.name] = self._by_name[sub.name.lower()] = (sub.name, convert)
        lifted = attribute.sub("value")
        self._lifts = leniency.lift_values and lifted is not None and lifted.type in ("string", "reference", "binary")

    def convert(self, value: Any, body: Input) -> dict[str, Any] | None:
        if type(value) is not dict:
            return self._lift(value, body)
        by_name = self._by_name
        result: dict[str, Any] = {}
        for key, sent in value.items():
            known = by_name.get(key) or by_name.get(key.lower())
            if known is None:
                self._unknown(key, body)
                continue
            name, convert = known
            if sent is None or convert is None:
                continue
            if name in result:
                raise InvalidSyntax(
                    f"{self.title}{self._separator}{name} is given twice; letter case makes no difference."
                )
            try:
                typed = convert(sent, body)
            except ValidationError as error:
                raise ValidationError({name: error.messages}) from None
            if typed is not None:
                result[name] = typed
        return result or None

    def _lift(self, value: Any, body: Input) -> dict[str, Any] | None:
        if self._lifts and type(value) is str:
            return self.convert({"value": value}, body)
        if self.leniency.lift_values and value == "":
            return None
        if self.leniency.lift_values and type(value) is list and not self.definition.multi_valued:
            if not value:
                return None
            if len(value) == 1 and type(value[0]) is not list:
                return None if value[0] is None else self.convert(value[0], body)
        raise self.refuse(value)

    def _unknown(self, key: str, body: Input) -> None:
        title = f"{self.title}{self._separator}{printable(key)}"
        if not self.leniency.ignore_unknown:
            raise InvalidSyntax(f"{title} is no attribute of this resource type; correct or remove it.")
        body.dropped.append(title)


class ExtensionField(ComplexField):
    """The object of an extension under its URN (RFC 7643 §3.3)."""

    def __init__(self, extension: SchemaExtension, leniency: Leniency) -> None:
        schema = extension.schema
        whole = Attribute(schema.id, type="complex", sub_attributes=schema.attributes)
        super().__init__(whole, schema.id, leniency, separator=":")
        self._lifts = False
        self._defaults = {
            attribute.name: attribute.default for attribute in schema.attributes if attribute.default is not None
        }

    def convert(self, value: Any, body: Input) -> dict[str, Any] | None:
        result = super().convert(value, body)
        if result and body.defaults and self._defaults:
            sent = {key.lower() for key in value}
            for name, default in self._defaults.items():
                if name.lower() not in sent:
                    result[name] = default
        return result


class MultiValuedField(ValueField):
    """An array of values in the order sent (RFC 7643 §2.4); the same value twice is one.

    :param by_value: whether elements are the same if their ``value`` is (members), else ``type`` counts as well.
    """

    expected = "an array"

    def __init__(self, attribute: Attribute, name: str, leniency: Leniency, *, by_value: bool = False) -> None:
        super().__init__(attribute, name, leniency)
        self._element = _single(attribute, name, leniency)
        self._by_value = by_value
        self._has_primary = attribute.sub("primary") is not None
        self._lifts = leniency.lift_values
        value = attribute.sub("value")
        self._has_value = value is not None and not value.multi_valued

    def element(self, value: Any, body: Input) -> Any:
        """One element, typed."""
        return self._element.convert(value, body)

    def convert(self, value: Any, body: Input) -> list[Any] | None:
        if type(value) is not list:
            # One object where an array belongs; a bare text only where the element is told to be lifted as well.
            if not self._lifts or (type(value) is not dict and type(value) is not str):
                raise self.refuse(value)
            value = [value]
        result = self.convert_all(value, body)
        if self._has_primary and len(result) > 1 and several_primary(result):
            raise ValidationError("has more than one element with primary true; leave one")
        return result or None

    def convert_all(self, values: Sequence[Any], body: Input) -> list[Any]:
        """All elements typed, each once; unassigned ones are left out."""
        convert = self._element.convert
        result: list[Any] = []
        errors: dict[int | str, Any] = {}
        for index, sent in enumerate(values):
            if sent is None:
                continue
            try:
                element = convert(sent, body)
            except ValidationError as error:
                errors[index] = error.messages
                if len(errors) == REPORTED:
                    break
                continue
            if element is not None:
                result.append(element)
            elif self._by_value and (type(sent) is not dict or any(part is not None for part in sent.values())):
                # Somebody is meant, but not named: leaving the element out would lose a member silently.
                errors[index] = ["needs a value, the id of what it refers to"]
        if errors:
            raise ValidationError(errors)
        return self._distinct(result)

    def _distinct(self, elements: list[Any]) -> list[Any]:
        """Each (type, value) pair once (RFC 7643 §2.4), at its first place; what a repeated element adds is kept."""
        if len(elements) < 2:
            return elements
        if self.definition.type != "complex":
            return list(dict.fromkeys(elements)) if self.definition.type != "boolean" else elements
        if not self._has_value:
            return elements
        keys: list[Any]
        if self._by_value:
            keys = [element.get("value") for element in elements]
        else:
            keys = [(element.get("type"), element["value"]) if "value" in element else None for element in elements]
        if len(set(keys)) == len(keys):
            return elements
        first: dict[Any, dict[str, Any]] = {}
        result = []
        for key, element in zip(keys, elements, strict=True):
            if key is None or key not in first:
                result.append(element)
                if key is not None:
                    first[key] = element
            else:
                first[key].update(element)
        return result


def several_primary(elements: Sequence[Any]) -> bool:
    """Whether more than one element is the primary one (RFC 7643 §2.4)."""
    return sum([element.get("primary") is True for element in elements]) > 1


def field_for(attribute: Attribute, name: str, leniency: Leniency, *, by_value: bool = False) -> ValueField:
    """The field for an attribute."""
    if attribute.multi_valued:
        return MultiValuedField(attribute, name, leniency, by_value=by_value)
    return _single(attribute, name, leniency)


def _single(attribute: Attribute, name: str, leniency: Leniency) -> ValueField:
    return _CLASSES[attribute.type](attribute, name, leniency)


_CLASSES: Mapping[str, type[ValueField]] = {
    "string": StringField,
    "reference": ReferenceField,
    "dateTime": DateTimeField,
    "binary": BinaryField,
    "boolean": BooleanField,
    "integer": IntegerField,
    "decimal": DecimalField,
    "complex": ComplexField,
}
