"""Rules 7 and 8: a query gives exactly the page that the core would give."""

from __future__ import annotations

import pytest

from scim_gateway.abilities import StreamHandler
from scim_gateway.backend import Backend, Query
from scim_gateway.ordering import position_of
from scim_gateway.schema import Resource
from scim_gateway.testing.filters import DEVICE_FILTERS, SORTS, USER_FILTERS, assert_page, resolved, sort
from scim_gateway.testing.samples import changed, devices, group, people, user
from scim_gateway.testing.steps import create, delete, get, modify
from scim_gateway.testing.suite import BackendSuite


class QueryTests(BackendSuite):
    """Filters, orders, pages and positions."""

    # Rules 7 and 8: queries

    @pytest.fixture
    def crowd(self, backend: Backend) -> dict[str, list[Resource]]:
        """The users and devices that the queries look for, all stored."""
        found = {"User": people(), "Device": devices()}
        create(backend, *found["User"], *found["Device"])
        return found

    def test_filters_match_what_the_core_matches(self, backend: Backend, crowd: dict[str, list[Resource]]) -> None:
        for name, texts in (("User", USER_FILTERS), ("Device", DEVICE_FILTERS)):
            kind = self.resource_types.by_name[name]
            for text in texts:
                tree = resolved(kind, text)
                assert_page(backend, Query(kind, tree), crowd[name])
                assert_page(backend, Query(kind, tree, start_index=2, count=2), crowd[name])

    def test_what_may_match_is_given_once_in_one_go(self, backend: Backend, crowd: dict[str, list[Resource]]) -> None:
        for name, texts in (("User", USER_FILTERS), ("Device", DEVICE_FILTERS)):
            handler, kind = backend.handlers[name], self.resource_types.by_name[name]
            if not isinstance(handler, StreamHandler):
                pytest.skip("this backend gives pages alone")
            by_id = {each["id"]: each for each in crowd[name]}
            some = [*list(by_id)[::2], *(f"unknown-{number}" for number in range(600))]
            for tree in (None, *(resolved(kind, text) for text in texts)):
                matches = {each["id"] for each in Query(kind, tree).run(crowd[name]).resources}
                for among in (None, some, some[:3], []):
                    with backend.operation(write=False):
                        found = list(handler.stream(Query(kind, tree), among=among))
                    ids = [each["id"] for each in found]
                    assert len(set(ids)) == len(ids)
                    assert matches & set(ids if among is None else among) <= set(ids)
                    assert among is None or set(ids) <= set(among)
                    assert found == [by_id[id] for id in ids]

    def test_orders_are_those_of_the_core(self, backend: Backend, crowd: dict[str, list[Resource]]) -> None:
        for name, path in SORTS:
            kind = self.resource_types.by_name[name]
            for descending in (False, True):
                assert_page(backend, Query(kind, None, sort(kind, path, descending)), crowd[name])
                assert_page(backend, Query(kind, None, sort(kind, path, descending), 3, 4), crowd[name])

    def test_filters_and_orders_go_together(self, backend: Backend, crowd: dict[str, list[Resource]]) -> None:
        kind = self.resource_types.by_name["User"]
        for text in ("active eq true", 'displayName co "a"', 'emails[type eq "work"]', 'userName eq "ada"'):
            for name, path in SORTS:
                if name == "User":
                    assert_page(backend, Query(kind, resolved(kind, text), sort(kind, path, True), 2, 3), crowd[name])

    @pytest.mark.parametrize(("start", "count"), [(1, 0), (1, 1), (2, 3), (13, 5), (14, 5), (1000, 100), (1, 13)])
    def test_pages_are_cut_as_the_core_cuts_them(
        self, backend: Backend, crowd: dict[str, list[Resource]], start: int, count: int
    ) -> None:
        kind = self.resource_types.by_name["User"]
        for text in (None, "active pr", 'emails[type eq "work" and primary eq true]', "emails[primary eq false]"):
            tree = None if text is None else resolved(kind, text)
            assert_page(backend, Query(kind, tree, start_index=start, count=count), crowd["User"])

    def test_following_positions_gives_every_match_once(
        self, backend: Backend, crowd: dict[str, list[Resource]]
    ) -> None:
        orders = [
            (name, sort(self.resource_types.by_name[name], path, down))
            for name, path in SORTS
            for down in (False, True)
        ]
        for name, order in (("User", None), ("Device", None), *orders):
            kind = self.resource_types.by_name[name]
            for tree in (None, resolved(kind, "meta.created pr"), resolved(kind, 'meta.resourceType co "e"')):
                query = Query(kind, tree, order, count=5)
                seen: list[str] = []
                while page := assert_page(backend, query, crowd[name]).resources:
                    seen += [found["id"] for found in page]
                    query = Query(kind, tree, order, count=5, after=position_of(page[-1], order))
                assert len(set(seen)) == len(seen) == len(crowd[name])

    def test_without_an_order_the_oldest_comes_first(self, backend: Backend) -> None:
        first, second = user("z"), user("a")
        create(backend, second, first)
        page = assert_page(backend, Query(self.resource_types.by_name["User"]), [first, second])
        assert [found["id"] for found in page.resources] == [first["id"], second["id"]]

    def test_resources_created_in_one_moment_are_in_the_order_of_their_ids(self, backend: Backend) -> None:
        many = [user(f"u{number}") for number in range(9)]
        for each in many:
            each["meta"] = dict(many[0]["meta"])
        create(backend, *many)
        page = assert_page(backend, Query(self.resource_types.by_name["User"]), many)
        assert [found["id"] for found in page.resources] == sorted(each["id"] for each in many)

    def test_queries_see_changes(self, backend: Backend) -> None:
        kind = self.resource_types.by_name["User"]
        before = people()[1]
        create(backend, before)
        after = changed(before, "active", displayName="Robert", emails=[{"value": "r@example.com", "type": "work"}])
        modify(backend, before, after)
        for text in ('displayName eq "robert"', "active pr", 'emails.type eq "home"', 'emails.value sw "R@"'):
            assert_page(backend, Query(kind, resolved(kind, text)), [after])
        delete(backend, after)
        for text in ('displayName eq "robert"', 'userName eq "bob@example.com"', "id pr"):
            assert_page(backend, Query(kind, resolved(kind, text)), [])

    def test_an_empty_store_answers_with_an_empty_page(self, backend: Backend) -> None:
        for kind in self.resource_types:
            assert_page(backend, Query(kind), [])
            assert_page(backend, Query(kind, resolved(kind, "meta.created pr")), [])

    def test_a_query_finds_only_its_own_type(self, backend: Backend) -> None:
        ada, staff = user("ada", displayName="same"), group("same")
        create(backend, ada, staff)
        for kind, one in (("User", ada), ("Group", staff)):
            of_kind = self.resource_types.by_name[kind]
            assert_page(backend, Query(of_kind, resolved(of_kind, 'displayName eq "same"')), [get(backend, one)])
