"""A page of a filter that looks for a part of a text is the page that the core makes, however it is found (SQLite)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from core_client import Core
from scim_gateway_sql import SqlBackend, pages, prepared, pushdown, reading
from scim_gateway_sql.condition import Translation
from scim_gateway_sql.ddl import OUT_OF_ORDER
from sql_directory import TYPES, heard_from, opened

from scim_gateway.backend import Query
from scim_gateway.changes import new_id
from scim_gateway.schema import Resource
from scim_gateway.testing import create, delete, resolved, user

USER = TYPES.by_name["User"]
FILTERS = (
    'title co "even"',
    'title co "number"',
    'title ew "7"',
    'title co "number" and active eq true',
    'active eq false and title co "odd" and userName sw "user"',
    'title co "even" and not (active eq true) and externalId pr',
    'emails[type eq "work" and value co "@rare"] and active eq true',
    'title co "odd" and emails[type eq "work" and value ew ".example"]',
    'title co "odd" and (active eq true or title ew "3")',
    'title co "nobody"',
)


def person(number: int) -> Resource:
    return user(
        f"user{number}",
        title=f"{'odd' if number % 2 else 'even'} number {number}",
        active=number % 3 != 0,
        emails=[
            {"value": f"{number}@{'rare' if number % 4 == 1 else 'common'}.example", "type": "work"},
            {"value": f"{number}@rare.example", "type": "home"},
        ],
    )


def in_order(people: Sequence[Resource]) -> Sequence[Resource]:
    return sorted(people, key=lambda each: (each["meta"]["created"], each["id"]))


def created_at(each: Resource, milliseconds: int, id: str | None = None) -> Resource:
    moment = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)).isoformat(
        timespec="milliseconds"
    )
    nanoseconds = (1767225600000 + milliseconds) * 1_000_000
    return {
        **each,
        "id": id or new_id(nanoseconds),
        "meta": {**each["meta"], "created": moment.replace("+00:00", "Z")},
    }


@pytest.fixture(scope="module", params=["ids tell when", "ids do not tell when"])
def everybody(request: pytest.FixtureRequest) -> Sequence[Resource]:
    people = [person(number) for number in range(40)]
    # Some were created at the same time.
    ids = [each["id"] if "not" in request.param else None for each in people]
    return in_order([created_at(each, 700 * (n // 3), ids[n]) for n, each in enumerate(people)])


@pytest.fixture(scope="module")
def backend(everybody: Sequence[Resource], tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlBackend]:
    backend = opened(tmp_path_factory.mktemp("pages"))
    create(backend, *everybody)
    yield backend
    backend.close()


def check(backend: SqlBackend, everybody: Sequence[Resource], query: Query) -> None:
    expected = query.run(everybody)
    with backend.operation(write=False):
        page = backend.handlers["User"].query(query)
    assert [each["userName"] for each in page.resources] == [each["userName"] for each in expected.resources]
    assert page.total_results == expected.total_results


@pytest.mark.parametrize("text", FILTERS)
@pytest.mark.parametrize("few_matches", [3, 100], ids=["too many", "few enough"])
def test_every_page_is_that_of_the_core(
    backend: SqlBackend, everybody: Sequence[Resource], monkeypatch: pytest.MonkeyPatch, text: str, few_matches: int
) -> None:
    monkeypatch.setattr(pages, "FEW", 2)
    monkeypatch.setattr(prepared, "BATCH", 3)
    monkeypatch.setattr(reading, "FEW_MATCHES", few_matches)
    tree = resolved(USER, text)
    for start in (1, 5, 12, 21):
        for count in (0, 4, 100):
            check(backend, everybody, Query(USER, tree, start_index=start, count=count))


def test_a_page_of_few_is_read_at_once(backend: SqlBackend, everybody: Sequence[Resource], heard: list[str]) -> None:
    check(backend, everybody, Query(USER, resolved(USER, 'title co "even"'), count=4))
    assert sum("FROM scim_resource" in text for text in heard) == 1


def test_a_page_is_read_in_batches_in_the_order_of_the_page(
    backend: SqlBackend, everybody: Sequence[Resource], heard: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "FEW", 2)
    monkeypatch.setattr(prepared, "BATCH", 3)
    check(backend, everybody, Query(USER, resolved(USER, 'title co "even"'), start_index=3, count=10))
    assert sum("scim_resource.doc" in text for text in heard) == 4


def test_a_filter_that_is_asked_again_and_again_is_translated_once(
    backend: SqlBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    translated: list[Translation] = []

    def translation(*asked: Any) -> Translation:
        translated.append(Translation(*asked))
        return translated[-1]

    monkeypatch.setattr(pushdown, "Translation", translation)
    core = Core(backend)
    often = 'emails[type eq "work" and value co "@rare.ex"] and active eq true'
    for _ in range(3):
        assert core.json("GET", "/Users", filter=often)["totalResults"] == 7
    assert len(translated) == 1
    # Those that are asked once do not push it out, and are not all kept.
    for number in range(2 * pushdown.KEPT):
        core.json("GET", "/Users", filter=f'title co "once {number}"')
        core.json("GET", "/Users", filter=often)
    assert len(translated) == 1 + 2 * pushdown.KEPT
    core.json("GET", "/Users", filter='title co "once 0"')
    assert len(translated) == 2 + 2 * pushdown.KEPT


def test_the_place_of_each_is_asked_for_only_where_an_id_does_not_tell_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "FEW", 2)
    backend = opened(tmp_path)
    everybody = [created_at(person(number), 10 * number) for number in range(10)]
    create(backend, *everybody)
    heard = heard_from(backend)

    def places_are_asked_for() -> bool:
        heard.clear()
        check(backend, in_order(everybody), Query(USER, resolved(USER, 'title co "number"'), count=4))
        return any("scim_resource.created" in text for text in heard)

    assert not places_are_asked_for()
    stranger = created_at(person(10), 15, "00000000-0000-7000-8000-000000000000")
    create(backend, stranger)
    everybody.append(stranger)
    assert places_are_asked_for()
    delete(backend, everybody.pop())
    assert not places_are_asked_for()
    backend.close()


@pytest.mark.parametrize(
    ("created", "tells"),
    [
        ("2026-01-01T00:00:00.000Z", True),
        ("2026-01-01T00:00:00.001Z", False),
        ("2026-01-01T00:00:00Z", False),
        ("2026-01-01 00:00:00.000Z", False),
        ("2026-01-01T01:00:00.000+01:00", False),
        ("2026-01-01T00:00:00.0000Z", False),
        ("then", False),
    ],
)
def test_an_id_tells_when_by_the_millisecond_and_in_one_form(backend: SqlBackend, created: str, tells: bool) -> None:
    stranger = created_at(person(99), 0)
    stranger["meta"]["created"] = created
    with suppress(ZeroDivisionError), backend.operation(write=True) as session:
        before = session.run("SELECT count(*) FROM scim_resource WHERE " + OUT_OF_ORDER, ()).fetchone()
        backend.handlers["User"].create(stranger)
        after = session.run("SELECT count(*) FROM scim_resource WHERE " + OUT_OF_ORDER, ()).fetchone()
        assert (before == after) is tells
        raise ZeroDivisionError
