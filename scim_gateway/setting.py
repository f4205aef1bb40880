"""One setting, and the converters that make its value of what was written; a ValueError says what it has to be."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any
from urllib.parse import SplitResult, urlsplit

from scim_gateway.tokens import MINIMUM_LENGTH

PREFIX = "SCIM_GATEWAY_"
MASK = "********"

_FIXED_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # token68 of RFC 9110 §11.2: what an Authorization header can carry
_BASE_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+")
_BIND = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:/]+):(?P<port>\d{1,5})")
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of the table.

    :param name: key in the configuration file; in upper case behind ``SCIM_GATEWAY_`` the environment variable.
    :param convert: makes the value of what was written; a :class:`ValueError` says what it has to be.
    :param secret: never shown; may be given as the name of a file, in ``…_FILE``.
    """

    name: str
    convert: Callable[[Any], Any]
    default: Any
    help: str
    secret: bool = False

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return PREFIX + self.name.upper()


def a_text(value: Any) -> str:
    """A text that is not empty, without blanks around it."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a text")
    return value.strip()


def a_flag(value: Any) -> bool:
    """Yes or no, in any of the usual words."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in _TRUE + _FALSE:
        return value.strip().lower() in _TRUE
    raise ValueError("true or false")


def a_number(least: int, most: int = 2**31 - 1) -> Callable[[Any], int]:
    """A whole number within bounds, as a number or in digits."""
    expected = f"a whole number of at least {least}" if most == 2**31 - 1 else f"a whole number from {least} to {most}"

    def convert(value: Any) -> int:
        if isinstance(value, str) and re.fullmatch(r"\s*\d{1,10}\s*", value, re.ASCII):
            value = int(value)
        if type(value) is not int or not least <= value <= most:
            raise ValueError(expected)
        return value

    return convert


def one_of(names: Iterable[str]) -> Callable[[Any], str]:
    """One of these words, in any letter case."""
    known = tuple(names)

    def convert(value: Any) -> str:
        if not isinstance(value, str) or value.strip().lower() not in known:
            near = get_close_matches(str(value).lower(), known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(f"one of {', '.join(known)}{hint}")
        return value.strip().lower()

    return convert


def a_fixed_token(value: Any) -> str:
    """A token that is long enough and fits into a header."""
    if not isinstance(value, str) or len(value) < MINIMUM_LENGTH or not _FIXED_TOKEN.fullmatch(value):
        raise ValueError(
            f"at least {MINIMUM_LENGTH} letters, digits or -._~+/ (make one: "
            "python3 -c 'import secrets; print(secrets.token_urlsafe(32))')"
        )
    return value


def a_url(value: Any) -> str:
    """An http or https address without query or user name."""
    expected = "an address such as https://scim.example.com/scim/v2"
    text = a_text(value)
    try:
        parts: SplitResult | None = urlsplit(text)
        sound = bool(parts and parts.hostname and parts.port != 0) and not re.search(r"[\s\x00-\x1f]", text)
    except ValueError:
        parts, sound = None, False
    if not sound or parts is None or parts.scheme not in ("http", "https"):
        raise ValueError(expected)
    if parts.query or parts.fragment or parts.username is not None:
        raise ValueError(f"{expected}, without a query or user name")
    return text.rstrip("/")


def without_account(text: str) -> str:
    """A text to show, without the user name and password that may stand before the @ of an address."""
    return re.sub(r"\A(\w[\w+.-]*://)?.*@", rf"\1{MASK}@", text, flags=re.DOTALL)


def a_base_path(value: Any) -> str:
    """The path of a base URL."""
    text = "/" + a_text(value).strip("/")
    if not _BASE_PATH.fullmatch(text) or any(part in (".", "..") for part in text.split("/")):
        raise ValueError("a path such as /scim/v2")
    return text


def an_address(value: Any) -> str:
    """``HOST:PORT`` to listen on."""
    match = _BIND.fullmatch(a_text(value))
    if not match or int(match["port"]) > 65535:
        raise ValueError("HOST:PORT, such as 127.0.0.1:8000")
    return match[0]


def a_list_of_tables(value: Any) -> tuple[Mapping[str, Any], ...]:
    """Several TOML tables, or a JSON array of objects."""
    value = _parsed(value, "a list of tables (in the environment: a JSON array of objects)")
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise ValueError("a list of tables (in the environment: a JSON array of objects)")
    return tuple(value)


def a_table(value: Any) -> Mapping[str, Any]:
    """A TOML table, or a JSON object."""
    value = _parsed(value, "a table (in the environment: a JSON object)")
    if not isinstance(value, dict):
        raise ValueError("a table (in the environment: a JSON object)")
    return value


def a_list_of_texts(value: Any) -> tuple[str, ...]:
    """Several texts: a TOML or JSON array, or in the environment separated by commas."""
    expected = "a list of texts (in the environment: separated by commas, or a JSON array)"
    if isinstance(value, str):
        written = value.strip()
        value = _parsed(written, expected) if written.startswith("[") else [part for part in written.split(",") if part]
    if not isinstance(value, list) or not all(isinstance(entry, str) and entry.strip() for entry in value):
        raise ValueError(expected)
    return tuple(entry.strip() for entry in value)


def _parsed(value: Any, expected: str) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError(expected) from None
