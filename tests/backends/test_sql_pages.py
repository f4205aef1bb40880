"""A page of a filter that looks for a part of a text is the page that the core makes, however it is found (SQLite)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from scim_gateway_sql import SqlBackend, handlers, pages
from sqlalchemy import event

from scim_gateway.backend import Query
from scim_gateway.schema import Resource
from scim_gateway.testing import create, resolved, suite_resource_types, user

TYPES = suite_resource_types()
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


@pytest.fixture(scope="module")
def everybody() -> Sequence[Resource]:
    people = [person(number) for number in range(40)]
    for number, each in enumerate(people):
        # Some were created at the same time, and nobody in the order of the ids.
        each["meta"]["created"] = f"2026-01-01T00:00:{number // 3:02}.000Z"
    return sorted(people, key=lambda each: (each["meta"]["created"], each["id"]))


@pytest.fixture(scope="module")
def backend(everybody: Sequence[Resource], tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlBackend]:
    backend = SqlBackend.from_settings({"data_dir": str(tmp_path_factory.mktemp("pages"))}, TYPES)
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
@pytest.mark.parametrize("steps", [0, 1, 20], ids=["never followed", "followed not far", "followed"])
@pytest.mark.parametrize("few_matches", [3, 100], ids=["too many", "few enough"])
def test_every_page_is_that_of_the_core(
    backend: SqlBackend,
    everybody: Sequence[Resource],
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    steps: int,
    few_matches: int,
) -> None:
    for name, value in (("FEW", 2), ("BATCH", 3), ("_STEP", 1), ("_STEPS", steps), ("_FRONT", 1.5)):
        monkeypatch.setattr(pages, name, value)
    monkeypatch.setattr(handlers, "FEW_MATCHES", few_matches)
    tree = resolved(USER, text)
    for start in (1, 5, 12, 21):
        for count in (0, 4, 100):
            check(backend, everybody, Query(USER, tree, start_index=start, count=count))


def test_near_the_beginning_the_order_is_followed_and_else_the_place_of_each_is_asked_for(
    backend: SqlBackend, everybody: Sequence[Resource], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "FEW", 2)
    heard: list[str] = []
    event.listen(backend.database._engine, "before_cursor_execute", lambda _c, _cursor, text, *_: heard.append(text))
    followed = []
    for start in (1, 12):
        heard.clear()
        check(backend, everybody, Query(USER, resolved(USER, 'title co "even"'), start_index=start, count=4))
        followed.append(pages._IN_ORDER in heard)
    assert followed == [True, False]


def test_a_page_of_few_is_read_at_once(backend: SqlBackend, everybody: Sequence[Resource]) -> None:
    heard: list[str] = []
    event.listen(backend.database._engine, "before_cursor_execute", lambda _c, _cursor, text, *_: heard.append(text))
    check(backend, everybody, Query(USER, resolved(USER, 'title co "even"'), count=4))
    assert sum("FROM scim_resource" in text for text in heard) == 1
