"""The order of answers and positions in it (RFC 7644 §3.4.2.3, RFC 9865)."""

from __future__ import annotations

from functools import cmp_to_key
from typing import Any

import pytest
from gadgets import CORE, EXTENSION, GADGET
from hypothesis import given
from hypothesis import strategies as st

from scim_gateway.errors import InvalidValue
from scim_gateway.ordering import (
    Position,
    Sort,
    behind,
    ordered,
    position_key,
    position_of,
    resolve_sort,
    sort_value,
)
from scim_gateway.schema import AttributePath


def gadget(id: str, created: str = "2024-01-01T00:00:00.000Z", **values: Any) -> dict[str, Any]:
    return {"id": id, "meta": {"created": created}, **values}


def ids(resources: list[dict[str, Any]], sort: Sort | None) -> str:
    return "".join(resource["id"] for resource in ordered(resources, sort))


def by(path: str, order: str | None = None) -> Sort:
    return resolve_sort(path, order, GADGET)


class TestResolving:
    @pytest.mark.parametrize(
        ("text", "path"),
        [
            ("label", AttributePath(None, "label")),
            ("LABEL", AttributePath(None, "label")),
            (" label ", AttributePath(None, "label")),
            (f"{CORE.upper()}:label", AttributePath(None, "label")),
            ("box.WIDTH", AttributePath(None, "box", "width")),
            ("parts", AttributePath(None, "parts", "value")),
            ("tags", AttributePath(None, "tags")),
            ("meta.created", AttributePath(None, "meta", "created")),
            (f"{EXTENSION}:shelf", AttributePath(EXTENSION, "shelf")),
            (f"{EXTENSION}:keeper", AttributePath(EXTENSION, "keeper", "value")),
            (f"{EXTENSION}.shelf", AttributePath(EXTENSION, "shelf")),
        ],
    )
    def test_sort_by_is_a_path_in_any_letter_case(self, text: str, path: AttributePath) -> None:
        assert by(text).target.path == path

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("nope", "no attribute"),
            ("", "no attribute"),
            ("box.nope", "no attribute"),
            ("urn:x:y:label", "no attribute"),
            ("label.", "no attribute"),
            ("label eq 1", "no attribute"),
            (EXTENSION, "no attribute"),
            (CORE, "no attribute"),
            ("box", "has parts"),
            ("places", "has parts"),
            ("secret", "never shown"),
            ("sealed", "never shown"),
            ("box.pin", "never shown"),
            (f"{CORE}:Secret", "never shown"),
        ],
    )
    def test_what_cannot_be_sorted_by_is_an_invalid_value(self, text: str, told: str) -> None:
        with pytest.raises(InvalidValue, match=told) as caught:
            by(text)
        assert caught.value.scim_type == "invalidValue"

    def test_ascending_is_the_default_and_the_order_is_read_in_any_letter_case(self) -> None:
        assert [by("label", order).descending for order in (None, "", "Ascending")] == [False, False, False]
        assert by("label", "DESCENDING").descending
        with pytest.raises(InvalidValue, match="ascending or descending"):
            by("label", "foo")


class TestOrder:
    def test_without_sort_the_oldest_comes_first_then_the_smaller_id(self) -> None:
        some = [
            gadget("c", "2024-01-02T00:00:00.000Z"),
            gadget("b"),
            gadget("a"),
            gadget("d", "2023-01-01T00:00:00.000Z"),
        ]
        assert ids(some, None) == "dabc"

    def test_text_is_folded_unless_it_is_case_exact(self) -> None:
        some = [
            gadget("1", label="carl", code="a"),
            gadget("2", label="alice", code="B"),
            gadget("3", label="Bob", code="C"),
        ]
        assert ids(some, by("label")) == "231"
        assert ids(some, by("code")) == "231"
        assert ids(some, by("label", "descending")) == "132"

    def test_numbers_are_in_numeric_order_and_times_in_the_order_of_time(self) -> None:
        some = [gadget("1", size=10, weight=-1), gadget("2", size=9, weight=0.5), gadget("3", size=-2, weight=-1.5)]
        assert ids(some, by("size")) == "321"
        assert ids(some, by("weight")) == "312"
        times = [gadget("1", seen="2024-01-01T03:00:00+03:00"), gadget("2", seen="2023-12-31T23:59:59.9999Z")]
        assert ids(times, by("seen")) == "21"
        assert ids([gadget("1", flag=True), gadget("2", flag=False)], by("flag")) == "21"

    def test_no_value_is_last_in_ascending_and_first_in_descending_order(self) -> None:
        some = [gadget("1"), gadget("2", note="b"), gadget("3", note="a"), gadget("4")]
        assert ids(some, by("note")) == "3214"
        assert ids(some, by("note", "descending")) == "1423"

    def test_ties_are_by_creation_and_id_in_both_directions(self) -> None:
        some = [gadget("3", note="A"), gadget("1", note="a"), gadget("2", "2023-01-01T00:00:00.000Z", note="a")]
        assert ids(some, by("note")) == ids(some, by("note", "descending")) == "213"

    @pytest.mark.parametrize(
        ("parts", "value"),
        [
            ([{"value": "b"}, {"value": "a"}], "b"),
            ([{"value": "b"}, {"value": "A", "primary": True}], "a"),
            ([{"value": "b", "primary": False}, {"value": "a"}], "b"),
            ([{"type": "x"}, {"value": "a"}], "a"),
            ([{"type": "x", "primary": True}, {"value": "a"}], "a"),
            ([{"type": "x"}], None),
            ([], None),
        ],
    )
    def test_of_several_values_the_primary_one_counts_else_the_first(self, parts: Any, value: str | None) -> None:
        assert sort_value(gadget("1", parts=parts), by("parts")) == value

    def test_values_are_found_wherever_they_are(self) -> None:
        one = gadget("1", tags=["Red", "blue"], box={"width": 0}) | {EXTENSION: {"keeper": {"value": "U"}}}
        assert sort_value(one, by("tags")) == "red"
        assert sort_value(one, by("box.width")) == 0
        assert sort_value(one, by("box.maker")) is None
        assert sort_value(one, by(f"{EXTENSION}:keeper")) == "U"
        assert sort_value(gadget("1"), by(f"{EXTENSION}:keeper")) is None
        assert sort_value(gadget("1", size="odd", tags=[]), by("size")) is None
        assert sort_value(gadget("1", tags=[]), by("tags")) is None


class TestPositions:
    def test_a_position_is_what_a_resource_is_sorted_by(self) -> None:
        one = gadget("x", note="ABC")
        assert position_of(one, None) == Position(None, "2024-01-01T00:00:00.000Z", "x")
        assert position_of(one, by("note")) == Position("abc", "2024-01-01T00:00:00.000Z", "x")

    def test_behind_a_resource_that_was_deleted_the_next_ones_follow(self) -> None:
        some = [gadget(str(number), note="x") for number in range(6)]
        sort = by("note", "descending")
        position = position_of(some[2], sort)
        left = ordered([resource for resource in some if resource["id"] != "2"], sort)
        assert [resource["id"] for resource in behind(position, left, sort)] == ["3", "4", "5"]


notes = st.none() | st.sampled_from(["", "a", "A", "b", "ab", "é"])
sizes = st.none() | st.integers(-2, 2)
dates = st.sampled_from(["2024-01-01T00:00:00.000Z", "2024-01-01T00:00:00.001Z", "2023-01-01T00:00:00.000Z"])
gadgets = st.lists(st.tuples(notes, sizes, dates), max_size=8).map(
    lambda rows: [
        gadget(
            str(number), created, **({} if note is None else {"note": note}), **({} if size is None else {"size": size})
        )
        for number, (note, size, created) in enumerate(rows)
    ]
)
sorts = st.sampled_from([None, by("note"), by("note", "descending"), by("size"), by("size", "descending")])


def _compared(one: dict[str, Any], other: dict[str, Any], sort: Sort | None) -> int:
    """The order as a rule for two resources, written out."""
    if sort is not None:
        values: list[Any] = [sort_value(resource, sort) for resource in (one, other)]
        a, b = values
        if a != b:
            ascending = b is None if a is None or b is None else a < b
            earlier = ascending is not sort.descending
            return -1 if earlier else 1
    keys = [(resource["meta"]["created"], resource["id"]) for resource in (one, other)]
    return -1 if keys[0] < keys[1] else 1


@given(some=gadgets, sort=sorts)
def test_the_order_is_that_of_the_rule_whatever_came_first(some: list[dict[str, Any]], sort: Sort | None) -> None:
    def rule(one: dict[str, Any], other: dict[str, Any]) -> int:
        return _compared(one, other, sort)

    expected = sorted(some, key=cmp_to_key(rule))
    assert ordered(some, sort) == expected == ordered(reversed(some), sort)


@given(some=gadgets, sort=sorts)
def test_behind_every_position_is_the_rest_of_the_order(some: list[dict[str, Any]], sort: Sort | None) -> None:
    all_of_them = ordered(some, sort)
    for place, resource in enumerate(all_of_them):
        position = position_of(resource, sort)
        assert behind(position, all_of_them, sort) == all_of_them[place + 1 :]
        for other in all_of_them[place + 1 :]:
            assert position_key(position, sort) < position_key(position_of(other, sort), sort)
