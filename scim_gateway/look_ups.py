"""Look-ups: GET requests that differ from an earlier one in nothing but the id, or the text, that they ask for.

What identity providers ask all day is ``/Users/2819c223…`` and ``/Users?filter=userName eq "…"``. What such a request
means is the same for every id and every text, so it is found out once: the endpoint, the media type, what is shown, and
what the path in the filter stands for. Whatever is asked in another way is left to the service provider, as is whatever
is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from scim_gateway.call import Answer
from scim_gateway.errors import ScimError
from scim_gateway.exchange import Request
from scim_gateway.filter_parser import halves
from scim_gateway.ids import is_id

Pairs: TypeAlias = tuple[tuple[str, str], ...]
Answering: TypeAlias = Callable[[Request, str], Answer | None]
"""Answers a request that asks for an id, or for a text; ``None`` if this one needs another way."""

_KEPT = 512
# Characters of a form of which it is kept what it means; longer ones are read each time, so that all of it stays small.
_LONGEST_FORM = 1024

LONGEST = 256
"""Characters of a text in a look-up."""
SOME_TEXT = "some text"
"""Stands in a filter for whatever text is asked for."""


class Form(NamedTuple):
    """What look-ups have in common that differ only in what they ask for.

    :param path: where they ask, without an id.
    :param filter: the filter up to the text; empty where an id is asked for.
    :param others: the other query parameters.
    :param accept: the ``Accept`` header.
    :param profile: name of the IdP profile of whoever asks, if there is one.
    """

    path: str
    filter: str
    others: Pairs
    accept: str
    profile: str | None


class Meaning(NamedTuple):
    """What look-ups of a form mean.

    :param route: what is asked for, for logs.
    """

    route: str
    media_type: str
    answer: Answering


class _NotKept(Exception):
    """A form is too long to be kept."""


class LookUps:
    """Tells look-ups, and what they mean.

    :param meaning: finds out what those of a form mean; ``None`` if they have to be read one by one.
    """

    def __init__(self, meaning: Callable[[Form], Meaning | None]) -> None:
        def found_out(form: Form) -> Meaning | None:
            if _length(form) > _LONGEST_FORM:
                raise _NotKept  # as nothing is that was raised: a form that is known is not measured again
            try:
                return meaning(form)
            except ScimError:
                return None  # whoever reads the request says what is wrong with it

        self._meaning = lru_cache(maxsize=_KEPT)(found_out)

    def of(self, request: Request) -> tuple[Meaning, str] | None:
        """What a request means, and what it asks for; ``None`` if it is no look-up, or one that is not allowed."""
        principal = request.principal
        if request.method != "GET" or principal is None or "read" not in principal.scopes:
            return None
        path, head, query = request.path, "", request.query
        if query:
            found = _filter_of(query)
            if found is None:
                return None
            head, wanted, query = found
            if len(wanted) > LONGEST:
                return None
        else:
            path, _, wanted = path.rpartition("/")
            if not is_id(wanted):
                return None
        try:
            known = self._meaning(Form(path, head, query, request.headers.get("accept", ""), principal.profile))
        except _NotKept:
            return None
        return None if known is None else (known, wanted)


def _length(form: Form) -> int:
    others = sum(len(name) + len(value) for name, value in form.others)
    return len(form.path) + len(form.filter) + len(form.accept) + others


def _filter_of(query: Pairs) -> tuple[str, str, Pairs] | None:
    """The filter up to its text, the text, and the other parameters."""
    for position, (name, value) in enumerate(query):
        if name == "filter":
            found = halves(value)
            return found and (*found, query[:position] + query[position + 1 :])
    return None
