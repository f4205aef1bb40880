"""Cursors: sealed, bound to their query, short-lived (RFC 9865)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_gateway.cursor import Bookmark, Cursors, fingerprint
from scim_gateway.errors import ExpiredCursor, InvalidCount, InvalidCursor
from scim_gateway.ordering import Position

KEY = b"k" * 32
QUERY = fingerprint(["/Users", 'userName sw "a"', None])
PLACE = Position("bjensen", "2026-01-01T00:00:00.000Z", "2819c223")

values = st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False), st.text())


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@given(value=values, count=st.integers(0, 1000))
def test_what_is_sealed_is_opened(value: str | float | bool | None, count: int) -> None:
    cursors = Cursors(KEY, 60)
    value = None if value in (float("inf"), float("-inf")) else value
    bookmark = Bookmark(count, Position(value, "2026-01-01T00:00:00.000Z", "2819c223"))
    text = cursors.seal(QUERY, bookmark)
    assert re.fullmatch(r"[A-Za-z0-9._~-]+", text)
    assert cursors.open(text, QUERY, None) == cursors.open(text, QUERY, count) == bookmark


def test_a_place_may_be_an_index() -> None:
    cursors = Cursors(KEY, 60)
    assert cursors.open(cursors.seal(QUERY, Bookmark(2, 5)), QUERY, 2) == Bookmark(2, 5)


def test_a_cursor_does_not_show_what_it_holds() -> None:
    assert b"bjensen" not in Cursors(KEY, 60).seal(QUERY, Bookmark(2, PLACE)).encode()


def test_another_query_cannot_go_on_with_it() -> None:
    cursors = Cursors(KEY, 60)
    text = cursors.seal(QUERY, Bookmark(2, PLACE))
    with pytest.raises(InvalidCursor, match="another query"):
        cursors.open(text, fingerprint(["/Groups", 'userName sw "a"', None]), 2)


def test_another_directory_cannot_go_on_with_it() -> None:
    text = Cursors(KEY, 60).seal(QUERY, Bookmark(2, PLACE))
    with pytest.raises(InvalidCursor):
        Cursors(b"l" * 32, 60).open(text, QUERY, 2)


@pytest.mark.parametrize("text", ["garbage", "x", "gAAAAA", "é", "=", "A" * 5000, "\x00", "%2e"])
def test_what_is_not_ours_is_refused(text: str) -> None:
    with pytest.raises(InvalidCursor):
        Cursors(KEY, 60).open(text, QUERY, None)


def test_a_cursor_that_was_tampered_with_is_refused() -> None:
    cursors = Cursors(KEY, 60)
    text = cursors.seal(QUERY, Bookmark(2, PLACE))
    for index in range(len(text)):
        other = "A" if text[index] != "A" else "B"
        with pytest.raises(InvalidCursor):
            cursors.open(text[:index] + other + text[index + 1 :], QUERY, 2)
        with pytest.raises(InvalidCursor):
            cursors.open(text[:index] + "~" + text[index:], QUERY, 2)


def test_it_expires() -> None:
    clock = Clock()
    cursors = Cursors(KEY, 60, clock)
    text = cursors.seal(QUERY, Bookmark(2, PLACE))
    clock.now += 60
    assert cursors.open(text, QUERY, 2).place == PLACE
    clock.now += 1
    with pytest.raises(ExpiredCursor):
        cursors.open(text, QUERY, 2)


def test_the_page_size_stays() -> None:
    cursors = Cursors(KEY, 60)
    text = cursors.seal(QUERY, Bookmark(2, PLACE))
    assert cursors.open(text, QUERY, None).count == 2
    with pytest.raises(InvalidCount):
        cursors.open(text, QUERY, 3)
