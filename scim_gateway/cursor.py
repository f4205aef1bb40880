"""Cursors: sealed places in the answer of one query (RFC 9865)."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import orjson
from cryptography.fernet import Fernet, InvalidToken

from scim_gateway.errors import ExpiredCursor, InvalidCount, InvalidCursor
from scim_gateway.ordering import Position


@dataclass(frozen=True, slots=True)
class Bookmark:
    """What a cursor holds.

    :param count: page size of the walk, which may not change on the way.
    :param place: the page starts behind this position; in an answer over several types, at this 1-based index.
    """

    count: int
    place: Position | int


def fingerprint(parts: Sequence[object]) -> str:
    """What tells one query from another: a cursor continues only the query it came from."""
    return base64.urlsafe_b64encode(hashlib.sha256(orjson.dumps(list(parts))).digest()[:15]).decode()


class Cursors:
    """Seals and opens cursors: encrypted, so that they reveal nothing, and authenticated, so that none can be made up.

    :param key: 32 secret bytes, the same in all processes that serve one directory.
    :param timeout: seconds until a cursor has expired.
    """

    def __init__(self, key: bytes, timeout: int, clock: Callable[[], float] = time.time) -> None:
        self._fernet = Fernet(base64.urlsafe_b64encode(key))
        self._timeout = timeout
        self._clock = clock

    def seal(self, query: str, bookmark: Bookmark) -> str:
        """A cursor of unreserved characters only (RFC 9865 §2), good for the query with that fingerprint."""
        place = bookmark.place
        where = place if isinstance(place, int) else [place.value, place.created, place.id]
        content = orjson.dumps([query, bookmark.count, where])
        return self._fernet.encrypt_at_time(content, int(self._clock())).rstrip(b"=").decode()

    def open(self, text: str, query: str, count: int | None) -> Bookmark:
        """The bookmark in a cursor.

        :param count: the page size that the request asks for; ``None`` goes on with the cursor's own.
        :raises InvalidCursor: not one of ours, or of another query.
        :raises ExpiredCursor: it is too old.
        :raises InvalidCount: the page size changed on the way.
        """
        try:
            token = text.encode("ascii") + b"=" * (-len(text) % 4)
            if base64.urlsafe_b64encode(base64.urlsafe_b64decode(token)) != token:
                raise InvalidToken  # the decoder overlooks characters that are none of ours
            sealed_for, sealed_count, where = orjson.loads(self._fernet.decrypt(token))
            age = self._clock() - self._fernet.extract_timestamp(token)
        except (InvalidToken, ValueError):
            raise InvalidCursor("The cursor is not one of this service provider; start again without it.") from None
        if sealed_for != query:
            raise InvalidCursor("The cursor belongs to another query; repeat all other parameters unchanged.")
        if age > self._timeout:
            raise ExpiredCursor(f"The cursor is older than {self._timeout} seconds; start again without it.")
        if count is not None and count != sealed_count:
            raise InvalidCount("count may not change while a cursor is followed.")
        return Bookmark(sealed_count, where if isinstance(where, int) else Position(*where))
