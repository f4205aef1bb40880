"""From a value of the directory to the name of an account or group: what is made of it, and what is refused.

A name is refused rather than repaired: what somebody sees in the identity provider is what stands in the Engine, and no
two people can meet on one name because something was cut off or left out.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scim_gateway_provisioning.target import Kind

from scim_gateway.errors import InvalidValue
from scim_gateway.text import collision_key, shown

Step = Callable[[str], str]

_HASH = 8
# Of quotes only the apostrophe of an address, and in an account's name only: how groups write theirs is not documented.
_FORBIDDEN = {"User": frozenset('"`\\'), "Group": frozenset("'\"`\\,")}
# Characters that show nothing although their category is that of letters or marks.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0") | {chr(code) for code in range(0xFE00, 0xFE10)}
_CATEGORIES = {
    "Cc": "a control character",
    "Cf": "an invisible or directional character",
    "Cs": "half of a character",
    "Co": "a private character",
    "Cn": "a character that does not exist",
    "Zl": "a line break",
    "Zp": "a line break",
    "Zs": "an unusual blank",
}


def step_of(text: str) -> Step:
    """What one entry of ``engine_user_name_steps`` does to a name.

    :raises ValueError: there is no such step; the text says which there are.
    """
    match text.partition(":"):
        case "local-part", "", _:
            return lambda name: name.partition("@")[0]
        case "lower", "", _:
            return str.lower
        case "upper", "", _:
            return str.upper
        case "prefix", ":", added if added:
            return lambda name: added + name
        case "suffix", ":", added if added:
            return lambda name: name + added
        case "replace", ":", change:
            old, equals, new = change.partition("=")
            if old and equals:
                return lambda name: name.replace(old, new)
    raise ValueError("local-part, lower, upper, prefix:TEXT, suffix:TEXT or replace:OLD=NEW")


def account_spellings(name: str) -> tuple[str, ...]:
    """Every form in which a view may name ``'name'@'%'``: in quotes, with any escape of an apostrophe, or without."""
    escaped = (name, name.replace("'", "''"), name.replace("'", "\\'"))
    return (*dict.fromkeys(f"'{text}'@'%'" for text in escaped), f"{name}@%", name)


def parse_account(text: str) -> tuple[str, str]:
    """Name and host of an account as a view writes it: ``'u'@'h'``, ``u@h``, or ``u`` where ``%`` is meant.

    A name may hold an ``@`` itself. Without quotes ``ada@x`` may be the name ``ada@x``, or ``ada`` at the host ``x``:
    it is taken for a name unless the host is ``%``, so nobody else's account is ever taken for one of any host.
    """
    if text.startswith("'") and text.endswith("'") and "'@'" in text:
        name, _, host = text[1:-1].rpartition("'@'")
        return name.replace("\\'", "'").replace("''", "'"), host
    return text.removesuffix("@%"), "%"


@dataclass(frozen=True, slots=True)
class NameRule:
    """How names of one kind come about.

    :param kind: whose names they are.
    :param source: attribute that a name is made of, as an administrator writes it.
    :param setting: first half of the names of the settings that shape it: ``engine_user_name``.
    :param steps: what is done to the value, in this order.
    :param limit: the most characters.
    :param shorten: whether a longer name is cut and given a hash, instead of refused.
    """

    kind: Kind
    source: str
    setting: str
    steps: Sequence[Step] = ()
    limit: int = 32
    shorten: bool = False

    def name_of(self, value: object) -> str:
        """The name that is made of a value.

        :raises InvalidValue: none can be made of it; the detail says which setting helps.
        """
        if not isinstance(value, str) or not value:
            raise InvalidValue(
                f"Without {self.source} there is no name for this {self.kind} in the Engine; send it"
                + ("." if self.kind == "Group" else ", or choose another attribute in engine_user_attribute.")
            )
        name = unicodedata.normalize("NFC", value)
        for step in self.steps:
            name = step(name)
        name = unicodedata.normalize("NFC", name)
        fault = fault_of(self.kind, name)
        if fault is not None:
            raise InvalidValue(
                f"{self.source} {shown(value)} gives the Engine's {self.kind} the name {shown(name)}, which {fault}. "
                f"Change it in the identity provider, or let {self.setting}_steps make another name of it."
            )
        return name if len(name) <= self.limit else self._fitting(name)

    def _fitting(self, name: str) -> str:
        if self.shorten:
            # The same text gives the same name in every process and for ever.
            digest = hashlib.sha256(name.encode()).hexdigest()[:_HASH]
            return f"{name[: self.limit - _HASH - 1]}~{digest}"
        helps = "local-part shortens an address; " if self.kind == "User" and "@" in name else ""
        raise InvalidValue(
            f"The name {shown(name)} has {len(name)} characters, the Engine takes {self.limit} for a {self.kind}. Use "
            f"a shorter {self.source}, or set {self.setting}_steps ({helps}see docs/engine.rst) or "
            "engine_long_names=shorten."
        )


def fault_of(kind: Kind, name: str) -> str | None:
    """Why a name cannot stand in the Engine, as the end of a sentence; ``None``: it can."""
    if not name:
        return "is empty"
    if name != name.strip() or not collision_key(name):
        return "begins or ends with a blank"
    for char in name:
        if char in _FORBIDDEN[kind]:
            return f"holds {char}"
        if char in _INVISIBLE:
            return "holds an invisible character"
        category = unicodedata.category(char)
        if category in _CATEGORIES and char != " ":
            return f"holds {_CATEGORIES[category]} (U+{ord(char):04X})"
        if ord(char) > 0xFFFF:
            return f"holds {char}, which not every server keeps apart from others"
    if "''" in name or name.startswith("'") or name.endswith("'"):
        return "holds an apostrophe at an end, or two together"
    return None
