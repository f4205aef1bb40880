"""Cursor paging: RFC 9865 (chapter N of docs/conformance.rst)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest
from scim_http import Answer, ScimClient

from scim_gateway.cursor import Cursors


def fill(scim: ScimClient, count: int) -> list[str]:
    """Ids of new users, every third of them without a title."""
    return [
        scim.user(f"u{number:03}", **({"title": f"t{number % 2}"} if number % 3 else {}))["id"]
        for number in range(count)
    ]


def walk(ask: Callable[[str], Answer]) -> list[Answer]:
    """All pages; ``ask`` is called with the cursor, which is empty at first."""
    pages = [ask("").expect(200)]
    while "nextCursor" in pages[-1].body:
        assert len(pages) < 50
        pages.append(ask(pages[-1].body["nextCursor"]).expect(200))
    return pages


@pytest.mark.rfc("N-01", "N-09")
def test_cursors_are_announced(make_scim: Callable[..., ScimClient]) -> None:
    scim = make_scim(default_count=7, max_results=9, cursor_timeout=11)
    assert scim.get("/ServiceProviderConfig").body["pagination"] == {
        "cursor": True,
        "index": True,
        "defaultPaginationMethod": "index",
        "defaultPageSize": 7,
        "maxPageSize": 9,
        "cursorTimeout": 11,
    }


@pytest.mark.rfc("N-02", "N-05")
@pytest.mark.parametrize("query", ["cursor&count=2", "cursor=&count=2", "count=2&CURSOR="])
def test_a_cursor_without_a_value_asks_for_the_first_page(scim: ScimClient, query: str) -> None:
    fill(scim, 3)
    answer = scim.get(f"/Users?{query}").expect(200)
    assert len(answer.ids) == 2
    assert "startIndex" not in answer.body
    assert re.fullmatch(r"[A-Za-z0-9._~-]+", answer.body["nextCursor"])


@pytest.mark.rfc("N-03", "N-05", "N-10")
@pytest.mark.parametrize(("total", "count"), [(10, 3), (6, 3), (3, 3), (1, 3), (0, 3), (4, 1)])
def test_a_walk_finds_each_resource_once_and_ends_by_itself(scim: ScimClient, total: int, count: int) -> None:
    ids = fill(scim, total)
    pages = walk(lambda cursor: scim.get("/Users", query={"cursor": cursor, "count": count}))
    assert sorted(id for page in pages for id in page.ids) == sorted(ids)
    assert len(pages) == max(1, -(-total // count))
    for page in pages:
        assert page.body["totalResults"] == total
        assert page.body["itemsPerPage"] == len(page.ids)
        assert re.fullmatch(r"[A-Za-z0-9._~-]*", page.body.get("nextCursor", ""))


@pytest.mark.rfc("N-03", "Q-12", "Q-18")
@pytest.mark.parametrize("by", ["userName", "title", "meta.created", "emails.value", "active"])
@pytest.mark.parametrize("order", ["ascending", "descending"])
def test_a_walk_has_the_order_of_the_whole(scim: ScimClient, by: str, order: str) -> None:
    fill(scim, 8)
    asked = {"sortBy": by, "sortOrder": order}
    pages = walk(lambda cursor: scim.get("/Users", query={**asked, "cursor": cursor, "count": 3}))
    assert [id for page in pages for id in page.ids] == scim.get("/Users", query=asked).ids


@pytest.mark.rfc("N-03")
def test_a_walk_neither_repeats_nor_skips_when_something_changes_on_the_way(scim: ScimClient) -> None:
    ids = fill(scim, 6)
    first = scim.get("/Users?cursor&count=3&sortBy=userName")
    scim.delete(f"/Users/{ids[2]}").expect(204)
    scim.delete(f"/Users/{ids[0]}").expect(204)
    scim.user("a-newcomer")
    query = {"cursor": first.body["nextCursor"], "count": 3, "sortBy": "userName"}
    assert first.ids + scim.get("/Users", query=query).ids == ids


@pytest.mark.rfc("N-04")
def test_there_is_no_way_back(scim: ScimClient) -> None:
    fill(scim, 5)
    for page in walk(lambda cursor: scim.get("/Users", query={"cursor": cursor, "count": 2})):
        assert "previousCursor" not in page.body


@pytest.mark.rfc("N-06")
@pytest.mark.parametrize(
    "changed",
    [
        {"filter": 'userName sw "u00"'},
        {"sortBy": "title"},
        {"sortOrder": "descending"},
        {"attributes": "title"},
        {"excludedAttributes": "name"},
        {"filter": ""},
    ],
    ids=str,
)
def test_a_cursor_continues_only_its_own_query(scim: ScimClient, changed: dict[str, str]) -> None:
    fill(scim, 5)
    asked = {"filter": 'userName sw "u"', "sortBy": "userName", "count": "2"}
    cursor = scim.get("/Users", query={**asked, "cursor": ""}).expect(200).body["nextCursor"]
    answer = scim.get("/Users", query={**asked, **changed, "cursor": cursor}).expect(400)
    assert answer.body["scimType"] in ("invalidCursor", "invalidFilter")
    scim.get("/Users", query={**asked, "cursor": cursor}).expect(200)


@pytest.mark.rfc("N-06")
def test_a_cursor_of_one_endpoint_is_none_at_another(scim: ScimClient) -> None:
    fill(scim, 3)
    cursor = scim.get("/Users?cursor&count=1").body["nextCursor"]
    for path in ("/Groups", "/"):
        scim.get(path, query={"cursor": cursor, "count": 1}).expect(400, "invalidCursor")
    at_the_root = scim.get("/?cursor&count=1").body["nextCursor"]
    scim.get("/Users", query={"cursor": at_the_root, "count": 1}).expect(400, "invalidCursor")


@pytest.mark.rfc("N-07", "N-13")
def test_a_cursor_that_is_not_ours_is_invalid(scim: ScimClient) -> None:
    fill(scim, 3)
    cursor = scim.get("/Users?cursor&count=1").body["nextCursor"]
    middle = len(cursor) // 2
    damaged = cursor[:middle] + ("A" if cursor[middle] != "A" else "B") + cursor[middle + 1 :]
    for wrong in ("garbage", damaged, cursor[:-2], cursor + "AAAA", "é", "../x", "gAAAAA" + "A" * 80, " "):
        scim.get("/Users", query={"cursor": wrong, "count": 1}).expect(400, "invalidCursor")


@pytest.mark.rfc("N-07")
def test_an_old_cursor_has_expired(make_scim: Callable[..., ScimClient], monkeypatch: pytest.MonkeyPatch) -> None:
    scim = make_scim(cursor_timeout=60)
    fill(scim, 3)
    cursor = scim.get("/Users?cursor&count=1").body["nextCursor"]
    scim.get("/Users", query={"cursor": cursor, "count": 1}).expect(200)
    monkeypatch.setattr("scim_gateway.query.Cursors", _late(3600))
    scim.get("/Users", query={"cursor": cursor, "count": 1}).expect(400, "expiredCursor")


def _late(seconds: float) -> Callable[..., Cursors]:
    """Cursors by a clock that is ahead."""
    return lambda key, timeout: Cursors(key, timeout, lambda: time.time() + seconds)


@pytest.mark.rfc("N-07", "N-12")
def test_a_count_that_changes_on_the_way_or_is_none_is_an_invalid_count(scim: ScimClient) -> None:
    fill(scim, 5)
    cursor = scim.get("/Users?cursor&count=2").body["nextCursor"]
    scim.get("/Users", query={"cursor": cursor, "count": 3}).expect(400, "invalidCount")
    scim.get("/Users", query={"cursor": "", "count": "x"}).expect(400, "invalidCount")
    assert len(scim.get("/Users", query={"cursor": cursor}).expect(200).ids) == 2


@pytest.mark.rfc("N-08")
def test_cursor_and_start_index_exclude_each_other(scim: ScimClient) -> None:
    scim.get("/Users?cursor=&startIndex=1").expect(400, "invalidValue")
    scim.search("/Users", cursor="", startIndex=1).expect(400, "invalidValue")


@pytest.mark.rfc("N-09")
def test_without_paging_parameters_the_answer_is_paged_by_index(make_scim: Callable[..., ScimClient]) -> None:
    scim = make_scim(default_count=2)
    fill(scim, 3)
    body = scim.get("/Users").expect(200).body
    assert body["startIndex"] == 1
    assert "nextCursor" not in body


@pytest.mark.rfc("N-11")
@pytest.mark.parametrize("path", ["/Users", ""])
def test_search_takes_cursors_and_gives_the_pages_of_get(scim: ScimClient, path: str) -> None:
    fill(scim, 7)
    scim.group()
    posted = walk(lambda cursor: scim.search(path, cursor=cursor, count=3, sortBy="userName"))
    got = walk(lambda cursor: scim.get(path or "/", query={"cursor": cursor, "count": 3, "sortBy": "userName"}))
    assert [page.ids for page in posted] == [page.ids for page in got]
    assert sum(len(page.ids) for page in posted) == (7 if path else 8)


@pytest.mark.rfc("N-12")
def test_count_is_cut_to_the_maximum_and_zero_gives_the_total_alone(make_scim: Callable[..., ScimClient]) -> None:
    scim = make_scim(max_results=4, default_count=3)
    ids = fill(scim, 6)
    first = scim.get("/Users?cursor&count=1000").expect(200)
    assert len(first.ids) == 4
    second = scim.get("/Users", query={"cursor": first.body["nextCursor"], "count": 1000}).expect(200)
    assert sorted(first.ids + second.ids) == sorted(ids)
    for path in ("/Users", "/"):
        none = scim.get(f"{path}?cursor&count=0").expect(200)
        assert none.body["totalResults"] == 6
        assert none.ids == []
        assert "nextCursor" not in none.body


@pytest.mark.rfc("N-13")
def test_a_cursor_gives_no_rights_and_tells_nothing(scim: ScimClient) -> None:
    fill(scim, 3)
    cursor = scim.get("/Users?cursor&count=1&sortBy=userName").body["nextCursor"]
    query = {"cursor": cursor, "count": 1, "sortBy": "userName"}
    scim.with_token(None).get("/Users", query=query).expect(401)
    scim.with_token("wrong").get("/Users", query=query).expect(401)
    assert "u000" not in cursor
    assert cursor != scim.get("/Users?cursor&count=1&sortBy=userName").body["nextCursor"]


@pytest.mark.rfc("N-14")
def test_discovery_ignores_a_cursor_because_it_has_no_pages(scim: ScimClient) -> None:
    assert "nextCursor" not in scim.get("/Schemas?cursor=&count=1").expect(200).body
