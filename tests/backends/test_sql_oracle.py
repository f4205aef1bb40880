"""What SQL answers is what the core answers, and what a naive evaluation of the filter gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pytest
from gadgets import CORE, GADGET
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_filter import matches
from rows import examples
from scim_gateway_sql import SqlBackend
from servers.mariadb import MariaDb
from test_filter_properties import LEAVES, filters, resources

from scim_gateway.backend import Query
from scim_gateway.filter import Comparison, Filter, Operator
from scim_gateway.filter_meaning import resolve
from scim_gateway.filter_parser import parse
from scim_gateway.ordering import Sort, ordered, position_of
from scim_gateway.profile import LENIENT
from scim_gateway.schema import AttributePath, Resource, ResourceTypes
from scim_gateway.text import collision_key

SORTS = [target for path, _ in LEAVES if (target := GADGET.resolve(path)) and target.leaf.type != "complex"]
# Long texts are cut in the index; few lengths, so that texts are often equal up to the cut.
LONG = st.builds(
    lambda char, size, tail: char * size + tail,
    st.sampled_from("aAé"),
    st.sampled_from([499, 500, 999, 1000, 1001]),
    st.sampled_from(["", "a", "B"]),
)


class _Undo(Exception):
    """Ends an operation and takes back what it wrote."""


@pytest.fixture(scope="module")
def backends(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sequence[SqlBackend]]:
    """One on SQLite and one on MariaDB: to draw an example and to evaluate it costs as much as to ask one of them."""
    places = [{"data_dir": str(tmp_path_factory.mktemp("oracle"))}]
    with suppress(pytest.skip.Exception):  # where it is not installed, which is a failure in CI
        server: MariaDb = request.getfixturevalue("mariadb_server")
        places.append({"database_url": server.url(server.new_database())})
    backends = [SqlBackend.from_settings(place, ResourceTypes((GADGET,))) for place in places]
    yield backends
    for backend in backends:
        backend.close()


@contextmanager
def holding(backends: Sequence[SqlBackend], stored: Sequence[Resource]) -> Iterator[None]:
    """Each of them holds these resources, to the end of the block."""
    with suppress(_Undo), ExitStack() as operations:
        for backend in backends:
            operations.enter_context(backend.operation(write=True))
            for each in stored:
                backend.handlers["Gadget"].create(each)
        yield
        raise _Undo


@st.composite
def directories(draw: st.DrawFn) -> list[Resource]:
    """Resources with different names and, often, the same time of creation."""
    found: dict[str, Resource] = {}
    for number, content in enumerate(draw(st.lists(resources, max_size=7))):
        content = dict(content)
        key = collision_key(content.get("label", f"label {number}"))
        if draw(st.integers(0, 3)) == 0:
            content["note"] = draw(LONG)
        created = f"2026-01-01T00:00:0{draw(st.integers(0, 2))}.000Z"
        meta = {"resourceType": "Gadget", "created": created, "lastModified": created, "version": "1"}
        found.setdefault(key, {**content, "schemas": [CORE], "id": f"{draw(st.integers(0, 9))}-{number}", "meta": meta})
    return list(found.values())


def _gadget(number: int, **content: Any) -> Resource:
    meta = {"created": "2026-01-01T00:00:00.000Z", "lastModified": "2026-01-01T00:00:00.000Z", "version": "1"}
    return {"schemas": [CORE], "id": str(number), "label": str(number), **content, "meta": meta}


def check(backends: Sequence[SqlBackend], stored: list[Resource], query: Query, tree: Filter | None) -> None:
    expected = query.run(stored)
    naive = [each for each in stored if tree is None or matches(tree, each, GADGET)]
    assert expected.total_results == len(naive)
    if query.after is None:
        cut = ordered(naive, query.sort)[query.start_index - 1 :][: query.count]
        assert [each["id"] for each in expected.resources] == [each["id"] for each in cut]
    for backend in backends:
        page = backend.handlers["Gadget"].query(query)
        assert [each["id"] for each in page.resources] == [each["id"] for each in expected.resources]
        assert list(page.resources) == list(expected.resources)
        assert page.total_results == expected.total_results


@settings(max_examples=examples(150))
@given(data=st.data())
def test_any_page_of_any_filter_in_any_order_is_that_of_the_core(
    backends: Sequence[SqlBackend], data: st.DataObject
) -> None:
    stored = data.draw(directories())
    target = data.draw(st.sampled_from(SORTS))
    start, count = data.draw(st.integers(1, 5)), data.draw(st.integers(0, 5))
    trees = data.draw(st.lists(filters, min_size=1, max_size=3))
    with holding(backends, stored):
        for tree in (None, *trees):
            found = None if tree is None else resolve(tree, GADGET, LENIENT)
            for order in (None, Sort(target), Sort(target, descending=True)):
                query: dict[str, Any] = {"resource_type": GADGET, "filter": found, "sort": order, "count": count}
                check(backends, stored, Query(**query, start_index=start), tree)
                for each in stored[:2]:
                    check(backends, stored, Query(**query, after=position_of(each, order)), tree)


CONDITIONS = st.sampled_from(
    [f"{sub} {test}" for sub in ("value", "type") for test in ('eq "a"', 'ne "a"', "pr", 'co "a"', 'gt "a"', "eq null")]
    + ["rank eq 1", "rank gt 0", "primary eq true", "primary eq false", "rank pr"]
)
INSIDE = st.recursive(
    CONDITIONS,
    lambda inner: (
        st.builds("({} and {})".format, inner, inner)
        | st.builds("({} or {})".format, inner, inner)
        | st.builds("not ({})".format, inner)
    ),
    max_leaves=4,
)
PART = st.fixed_dictionaries(
    {},
    optional={
        "value": st.sampled_from(["a", "A", "b", ""]),
        "type": st.sampled_from(["a", "b"]),
        "rank": st.integers(0, 1),
        "primary": st.booleans(),
    },
)


@settings(max_examples=examples(200))
@given(inside=st.lists(INSIDE, min_size=1, max_size=4), parts=st.lists(st.lists(PART, max_size=3), max_size=5))
def test_what_stands_in_one_element_is_found_in_one_element(
    backends: Sequence[SqlBackend], inside: list[str], parts: list[list[dict[str, Any]]]
) -> None:
    stored = [_gadget(number, parts=elements) for number, elements in enumerate(parts)]
    with holding(backends, stored):
        for text in inside:
            tree = parse(f"parts[{text}]")
            check(backends, stored, Query(GADGET, resolve(tree, GADGET, LENIENT)), tree)


NOTES = st.sampled_from(["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"])


@settings(max_examples=examples(150))
@given(notes=st.lists(LONG, max_size=4), operator=NOTES, operand=LONG | st.sampled_from(["a", "A", ""]))
def test_texts_that_are_cut_in_the_index_are_compared_whole(
    backends: Sequence[SqlBackend], notes: list[str], operator: Operator, operand: str
) -> None:
    stored = [_gadget(number, note=note) for number, note in enumerate(notes)]
    path = AttributePath(None, "note")
    tree = Comparison(path, operator, operand)
    target = GADGET.resolve(path)
    assert target is not None
    with holding(backends, stored):
        for order in (None, Sort(target), Sort(target, descending=True)):
            check(backends, stored, Query(GADGET, resolve(tree, GADGET, LENIENT), order), tree)
