"""Folding, keys, instants and what may be shown of a client's text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_gateway import text as module
from scim_gateway.text import collision_key, fold, instant, shown


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("2011-05-13T04:42:34Z", "2011-05-13T04:42:34.000Z"),
        ("2011-05-13t04:42:34.5z", "2011-05-13T04:42:34.500Z"),
        ("2011-05-13T04:42:34", "2011-05-13T04:42:34.000Z"),
        ("2011-05-13T04:42:34.120000+02:00", "2011-05-13T02:42:34.120Z"),
        ("2011-05-13T00:00:00.1234-05:30", "2011-05-13T05:30:00.123Z4"),
        ("0999-12-31T23:59:59.0001Z", "0999-12-31T23:59:59.000Z1"),
        (f"2011-05-13T04:42:34.{'1' * 30}+00:00", f"2011-05-13T04:42:34.111Z{'1' * 27}"),
    ],
)
def test_an_instant_has_one_form_which_is_the_stored_one(text: str, form: str) -> None:
    assert instant(text) == form


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2011-05-13",
        "2011-05-13 04:42:34Z",
        "2011-02-30T00:00:00Z",
        "2011-05-13T24:42:34Z",
        "2011-5-13T04:42:34Z",
        "2011-05-13T04:42Z",
        "2011-05-13T04:42:34+2",
        f"2011-05-13T04:42:34.{'1' * 31}+00:00",
        "2011-05-13T04:42:34+25:00",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "2011-05-13T04:42:34Z\n",
        "２011-05-13T04:42:34Z",
        "2011-05-13T04:42:34." + "1" * 31,
    ],
)
def test_what_is_no_date_time_has_none(text: str) -> None:
    assert instant(text) is None


_moments = st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1))
_offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(first=_moments, other=_moments, near=st.integers(-2, 2), zone=_offsets, other_zone=_offsets)
def test_the_order_of_instants_as_text_is_the_order_in_time(
    first: datetime, other: datetime, near: int, zone: timezone, other_zone: timezone
) -> None:
    one = first.replace(tzinfo=UTC)
    for two in (other.replace(tzinfo=UTC), one + timedelta(microseconds=near)):
        forms = instant(one.astimezone(zone).isoformat()), instant(two.astimezone(other_zone).isoformat())
        assert forms[0] is not None
        assert forms[1] is not None
        assert (forms[0] < forms[1], forms[0] == forms[1]) == (one < two, one == two)


@given(st.text() | st.from_regex(r"\A[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-9:]{8}(\.[0-9]+)?(Z|[+-][0-9:]{5})?\Z"))
def test_no_text_breaks_it_and_to_the_millisecond_an_instant_is_its_own_form(text: str) -> None:
    form = instant(text)
    assert form is None or instant(form[:24]) == form[:24]


@given(st.text())
def test_folding_a_folded_text_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert collision_key(collision_key(text)) == collision_key(text)


@pytest.mark.parametrize(
    ("text", "piece"),
    [
        ("abc", '"abc"'),
        ('a"b\n\x1b[0m\u202e\ud800', '"a?b??[0m??"'),
        ("x" * 41, '"' + "x" * 40 + '…"'),
        ("", '""'),
        ("é😀", '"é😀"'),
    ],
)
def test_a_clients_text_is_shown_short_and_clean(text: str, piece: str) -> None:
    assert shown(text) == piece


def test_the_key_of_a_text_that_is_no_name_is_not_kept() -> None:
    module._kept_key.cache_clear()
    for length in (3, 256, 257, 4000):
        assert collision_key(" " + "Ä\u200b" * ((length - 1) // 2) + "x" * ((length - 1) % 2)) == (
            "ä" * ((length - 1) // 2) + "x" * ((length - 1) % 2)
        )
    assert module._kept_key.cache_info().currsize == 2
