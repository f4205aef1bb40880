"""What a search asks for, as its client sends it (RFC 7644 §3.4.2, §3.4.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scim_gateway.cursor import fingerprint
from scim_gateway.errors import InvalidCount, InvalidValue, ScimError

_NUMBER = re.compile(r"\s*[+-]?[0-9]{1,9}\s*", re.ASCII)


@dataclass(slots=True)
class Search:
    """What a client asks for, by query parameters or by a SearchRequest; texts are as sent."""

    filter: str | None = None
    sort_by: str | None = None
    sort_order: str | None = None
    start_index: int | None = None
    count: int | None = None
    cursor: str | None = None
    attributes: str | Sequence[str] | None = None
    excluded_attributes: str | Sequence[str] | None = None

    def fingerprint(self, template: str) -> str:
        """What a cursor of this search is bound to."""
        asked = (self.filter, self.sort_by, self.sort_order, self.attributes, self.excluded_attributes)
        return fingerprint([template.removesuffix("/.search"), *asked])


def search_of(parameters: Mapping[str, str]) -> Search:
    """The search in query parameters; an empty one is as good as none, except where a value means something."""
    cursor = parameters.get("cursor")
    return Search(
        filter=parameters.get("filter"),
        sort_by=parameters.get("sortBy") or None,
        sort_order=parameters.get("sortOrder") or None,
        start_index=_number(parameters, "startIndex", InvalidValue),
        count=_number(parameters, "count", InvalidValue if cursor is None else InvalidCount),
        cursor=cursor,
        attributes=parameters.get("attributes") or None,
        excluded_attributes=parameters.get("excludedAttributes") or None,
    )


def _number(parameters: Mapping[str, str], name: str, error: type[ScimError]) -> int | None:
    text = parameters.get(name)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise error(f"The query parameter {name} has to be an integer of at most nine digits.")
    return int(text)
