"""Media types: which bodies are read, and which type an answer has (RFC 7644 §3.8, §8.1)."""

from __future__ import annotations

from functools import lru_cache

from scim_gateway.errors import NotAcceptable, UnsupportedMediaType
from scim_gateway.exchange import SCIM_JSON

JSON = "application/json"
_READABLE = (SCIM_JSON, JSON)
_UTF8 = ("utf-8", "utf8", "us-ascii", "ascii")


@lru_cache(maxsize=256)
def check_content_type(content_type: str) -> None:
    """Refuse a body that is not JSON; a missing ``Content-Type`` is taken for SCIM's own.

    :raises UnsupportedMediaType: it is another type, or another character set than UTF-8 (RFC 8259 §8.1).
    """
    essence, _, parameters = content_type.partition(";")
    if essence.strip() and essence.strip().lower() not in _READABLE:
        raise UnsupportedMediaType(f"Send the body as {SCIM_JSON} or {JSON}, not as {essence.strip()[:80]}.")
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip().strip('"').lower() not in _UTF8:
            raise UnsupportedMediaType("Send the body in UTF-8.")


@lru_cache(maxsize=256)
def negotiate(accept: str) -> str:
    """The media type of the answer: SCIM's own, or plain JSON where the client accepts only that.

    :raises NotAcceptable: the client accepts neither.
    """
    ranges = _ranges(accept)
    if not ranges:
        return SCIM_JSON
    for media_type in _READABLE:
        if _quality(media_type, ranges) > 0:
            return media_type
    raise NotAcceptable(f"Answers are {SCIM_JSON} or {JSON}; the Accept header excludes both.")


def _ranges(accept: str) -> dict[str, float]:
    ranges: dict[str, float] = {}
    for entry in accept.split(","):
        name, *parameters = (part.strip().lower() for part in entry.split(";"))
        if "/" not in name:
            continue  # no media range: what cannot be read excludes nothing
        quality = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    quality = float(parameter[2:])
                except ValueError:
                    quality = 1.0
        ranges[name] = max(quality, ranges.get(name, 0.0))
    return ranges


def _quality(media_type: str, ranges: dict[str, float]) -> float:
    # The most specific range decides (RFC 9110 §12.5.1).
    for name in (media_type, f"{media_type.partition('/')[0]}/*", "*/*"):
        if name in ranges:
            return ranges[name]
    return 0.0
