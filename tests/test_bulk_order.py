"""The order of bulk operations that refer to each other (RFC 7644 §3.7.1, §3.7.2)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scim_gateway.bulk_order import Schedule, inside, references, substituted, without_references


def order_of(needs: list[set[int]]) -> list[int]:
    schedule = Schedule(needs)
    order: list[int] = []
    while True:
        for index in schedule:
            order.append(index)
            schedule.done(index)
        circle = schedule.in_circle()
        if circle is None:
            return order
        schedule.release(circle)


def test_without_references_the_order_is_that_of_the_request() -> None:
    assert order_of([set(), set(), set()]) == [0, 1, 2]


def test_what_refers_to_a_later_operation_runs_right_after_it() -> None:
    assert order_of([{2}, set(), set(), set()]) == [1, 2, 0, 3]


def test_a_chain_from_the_end_runs_backwards_however_long() -> None:
    size = 20_000
    needs = [{index + 1} for index in range(size - 1)] + [set[int]()]
    assert order_of(needs) == list(reversed(range(size)))


def test_in_a_circle_one_goes_first_and_the_others_follow() -> None:
    assert order_of([{1}, {2}, {0}]) == [0, 2, 1]


def test_what_only_waits_for_a_circle_is_not_sent_ahead() -> None:
    assert order_of([{1}, {2}, {1}]) == [1, 0, 2]


def test_an_operation_may_refer_to_itself() -> None:
    assert order_of([{0}, set()]) == [1, 0]


graphs = st.integers(1, 12).flatmap(
    lambda size: st.lists(st.sets(st.integers(0, size - 1), max_size=3), min_size=size, max_size=size)
)


@given(graphs)
def test_every_operation_runs_exactly_once(needs: list[set[int]]) -> None:
    assert sorted(order_of(needs)) == list(range(len(needs)))


@given(graphs)
def test_without_circles_everything_runs_after_what_it_needs(needs: list[set[int]]) -> None:
    # Edges to smaller numbers only cannot close a circle; turned round they refer to later operations.
    size = len(needs)
    ahead = [{size - 1 - needed for needed in some if needed < index} for index, some in enumerate(needs)]
    turned = list(reversed(ahead))
    order = order_of(turned)
    for index, some in enumerate(turned):
        assert all(order.index(needed) < order.index(index) for needed in some)


def test_references_are_found_at_any_depth() -> None:
    data = {
        "members": [{"value": "bulkId:a"}, {"$ref": "https://h/Users/bulkId:b"}],
        "x": {"y": [["bulkId:c"]]},
        "Operations": [{"path": 'members[value eq "bulkId:d"]', "value": "bulkId:e"}],
        "displayName": "about bulkId:f",
        "title": "bulkId: nothing",
    }
    assert references(data) == {"a", "b", "c", "d", "e"}


def test_references_become_ids_and_everything_else_stays() -> None:
    data = {
        "members": [{"value": "bulkId:a", "$ref": "../Users/bulkId:a"}, {"value": "bulkId:later"}],
        "path": 'members[value eq "bulkId:a"]',
        "displayName": "about bulkId:a",
        "active": True,
        "n": None,
    }
    assert substituted(data, {"a": "17"}) == {
        "members": [{"value": "17", "$ref": "../Users/17"}, {"value": "bulkId:later"}],
        "path": 'members[value eq "17"]',
        "displayName": "about bulkId:a",
        "active": True,
        "n": None,
    }
    assert inside("/Groups/bulkId:g1") == {"g1"}


def test_what_cannot_be_resolved_yet_is_put_off() -> None:
    data = {
        "displayName": "A",
        "members": [{"value": "1"}, {"value": "bulkId:b"}],
        "owner": {"value": "bulkId:b"},
        "urn:x:2.0:User": {"manager": {"value": "bulkId:b"}, "department": "D"},
    }
    kept, later = without_references(data, lambda value: bool(references(value)))
    assert kept == {"displayName": "A", "members": [{"value": "1"}], "urn:x:2.0:User": {"department": "D"}}
    assert later == [
        {"op": "add", "path": "members", "value": [{"value": "bulkId:b"}]},
        {"op": "add", "path": "owner", "value": {"value": "bulkId:b"}},
        {"op": "add", "path": "urn:x:2.0:User:manager", "value": {"value": "bulkId:b"}},
    ]
