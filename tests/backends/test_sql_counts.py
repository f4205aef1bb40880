"""How many statements each SCIM operation takes: they are what a request costs on a server, so each number is pinned.

``BEGIN`` and ``COMMIT`` are not counted; one statement with several rows counts once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import scim_gateway_sql.prepared
import scim_gateway_sql.stream
from core_client import Core
from scim_gateway_sql import SqlBackend
from scim_gateway_sql.holders import MANY
from scim_gateway_sql.tables import members
from sql_directory import heard_from
from sqlalchemy import insert

import scim_gateway.derived
from scim_gateway.bench import people
from scim_gateway.testing import suite_resource_types

Counter = Callable[..., int]


@pytest.fixture(params=["sqlite", "mariadb"])
def core(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Core]:
    settings: dict[str, object] = {"data_dir": str(tmp_path)}
    if request.param == "mariadb":
        settings |= {"database_url": request.getfixturevalue("mariadb"), "database_tls": "off"}
    backend = SqlBackend.from_settings(settings, suite_resource_types())
    yield Core(backend)
    backend.close()


@pytest.fixture
def users(core: Core) -> list[str]:
    return [core.json("POST", "/Users", people.user(number), expect=201)["id"] for number in range(40)]


@pytest.fixture
def count(core: Core, users: list[str]) -> Counter:
    """Sends a request, and tells how many statements that took."""
    assert isinstance(core.backend, SqlBackend)
    heard = heard_from(core.backend)

    def send(method: str, path: str, body: object = None, **query: str | int) -> int:
        heard.clear()
        answer = core.send(method, path, body, **query)
        assert answer.status < 300, answer
        return sum(text not in ("BEGIN", "COMMIT") for text in heard)

    return send


def alone(core: Core) -> bool:
    """Whether a write has the database for itself."""
    assert isinstance(core.backend, SqlBackend)
    return not core.backend.database.driver.concurrent


def group(core: Core, name: str, *ids: str) -> str:
    return str(core.json("POST", "/Groups", people.group(name, ids), expect=201)["id"])


def sent_again(core: Core) -> int:
    """Statements of a look-up that needs more than one: where a read sees one moment, the first is sent again."""
    assert isinstance(core.backend, SqlBackend)
    return 1 if core.backend.database.driver.dialect == "sqlite" else 0


def test_a_look_up_gets_the_user_and_the_groups_at_once(core: Core, users: list[str], count: Counter) -> None:
    for group_name in ("one", "two"):
        group(core, group_name, *users[:10])
    assert count("GET", f"/Users/{users[0]}") == count("GET", f"/Users/{users[30]}") == 1
    assert count("GET", "/Users", filter=f'userName eq "{people.user_name(7)}"') == 1
    assert count("GET", "/Users", filter=f'externalId eq "{people.user(7)["externalId"]}"') <= 2


def test_a_group_in_a_group_takes_one_statement_more_for_each_level(
    core: Core, users: list[str], count: Counter
) -> None:
    again = sent_again(core)
    inner = group(core, "inner", users[0])
    outer = group(core, "outer", inner)
    assert count("GET", f"/Users/{users[0]}") == 2 + again
    group(core, "outermost", outer)
    assert count("GET", f"/Users/{users[0]}") == 3 + again


def test_a_group_in_several_groups_is_told_once(core: Core, users: list[str], count: Counter) -> None:
    inner, other = group(core, "inner", users[0]), group(core, "other", users[0])
    above = {group(core, name, inner) for name in ("a", "b", "c")}
    found = [(each["value"], each["type"]) for each in core.json("GET", f"/Users/{users[0]}")["groups"]]
    assert found[:2] == [(inner, "direct"), (other, "direct")]
    assert sorted(found[2:]) == sorted((id, "indirect") for id in above)
    assert count("GET", f"/Users/{users[0]}") == 2 + sent_again(core)


def test_what_a_group_has_left_behind_is_nobodys_group(core: Core, users: list[str], count: Counter) -> None:
    kept = [group(core, "kept", *users[:2]), group(core, "kept too", *users[:2])]
    assert isinstance(core.backend, SqlBackend)
    with core.backend.database.session(write=True) as session:
        for member in (users[0], users[39]):
            row = {"tenant": core.backend.tenant, "group_id": "gone", "member_id": member}
            session.execute(insert(members), row)
    for user, ids in ((users[0], kept), (users[1], kept), (users[39], [])):
        assert [each["value"] for each in core.json("GET", f"/Users/{user}").get("groups", ())] == ids


def test_who_is_in_many_groups_takes_one_statement_more_in_the_same_order(
    core: Core, users: list[str], count: Counter
) -> None:
    """A document is sent with each group, so the groups are asked for by themselves where they are many."""
    ids = [group(core, f"group {number}", users[0]) for number in range(MANY)]
    for statements in (1, 2 + sent_again(core)):
        assert [each["value"] for each in core.json("GET", f"/Users/{users[0]}")["groups"]] == ids
        assert count("GET", f"/Users/{users[0]}") == statements
        assert count("GET", "/Users", filter=f'userName eq "{people.user_name(0)}"') == statements
        ids.append(group(core, f"group {len(ids)}", users[0]))


def test_a_page_asks_for_resources_total_and_groups(users: list[str], count: Counter) -> None:
    assert count("GET", "/Users", count=10) == 3
    assert count("GET", "/Users", count=10, startIndex=31) <= 3
    assert count("GET", "/Users", filter='meta.lastModified gt "2026-01-01T00:00:00Z"') == 2


def test_a_part_of_a_text_is_asked_for_with_a_look_at_what_has_changed_since(
    core: Core, users: list[str], count: Counter
) -> None:
    assert isinstance(core.backend, SqlBackend)
    in_memory = core.backend.database.driver.dialect == "sqlite"
    part = 'emails[type eq "work" and value co "@"] and active eq true'
    # Cut texts, ids, resources, groups; the texts and their moment, and from then on what has changed,
    # with the documents if something has.
    assert count("GET", "/Users", filter=part) == (6 if in_memory else 4)
    assert count("GET", "/Users", filter=part) == (5 if in_memory else 4)
    for id in users[:3]:
        count("PATCH", f"/Users/{id}", people.activation(False))
    assert count("GET", "/Users", filter=part) == (6 if in_memory else 4)
    assert count("GET", "/Users", filter=part) == (5 if in_memory else 4)


def test_the_size_of_a_page_does_not_matter(users: list[str], count: Counter) -> None:
    of_two, of_forty = (count("GET", "/Users", count=number) for number in (2, 40))
    assert of_forty <= of_two


def test_a_change_of_a_user_takes_as_few_as_it_can(core: Core, users: list[str], count: Counter) -> None:
    # The row, what it is called, what it is found by; nobody can hold it yet.
    assert count("POST", "/Users", people.user(777)) == 3
    # Read, changed, two lists of values, its groups: SQLite, where writes are alone, reads the groups with the user.
    spared = 1 if alone(core) else 0
    assert count("PUT", f"/Users/{users[1]}", {**people.user(1), "title": "Director"}) == 5 - spared
    assert count("PATCH", f"/Users/{users[0]}", people.activation(False)) == 5 - spared
    assert count("DELETE", f"/Users/{users[2]}") == 7 - spared


def test_a_change_that_changes_nothing_writes_nothing(core: Core, users: list[str], count: Counter) -> None:
    count("PATCH", f"/Users/{users[0]}", people.activation(False))
    assert count("PATCH", f"/Users/{users[0]}", people.activation(False)) == (1 if alone(core) else 2)


def test_a_membership_change_costs_the_same_in_a_group_of_any_size(
    core: Core, users: list[str], count: Counter
) -> None:
    small, large = group(core, "small", *users[:2]), group(core, "large", *users[:30])
    for change, most in ((people.joining(users[35]), 11), (people.leaving(users[35]), 9)):
        of_small, of_large = (count("PATCH", f"/Groups/{id}", change) for id in (small, large))
        assert of_small == of_large <= most


def test_another_list_of_members_costs_in_proportion_to_the_difference(
    core: Core, users: list[str], count: Counter
) -> None:
    small, large = group(core, "small", *users[:2]), group(core, "large", *users[:30])
    of_small = count("PUT", f"/Groups/{small}", people.group("small", [users[0], users[36]]))
    of_large = count("PUT", f"/Groups/{large}", people.group("large", [*users[:29], users[36]]))
    assert of_small == of_large <= 11


def test_a_group_is_read_with_one_statement_more_for_its_members(core: Core, users: list[str], count: Counter) -> None:
    staff = group(core, "staff", *users)
    assert count("GET", f"/Groups/{staff}") == 2
    # SQLite tells that nothing of it has changed; whatever somebody else is called does not matter.
    assert isinstance(core.backend, SqlBackend)
    again = 1 if core.backend.database.driver.dialect == "sqlite" else 2
    outsider = core.json("POST", "/Users", people.user(778), expect=201)["id"]
    core.json("PUT", f"/Users/{outsider}", {**people.user(778), "displayName": "Somebody Else"})
    assert count("GET", f"/Groups/{staff}") == again
    core.json("PUT", f"/Users/{users[0]}", {**people.user(0), "displayName": "Another Name"})
    assert count("GET", f"/Groups/{staff}") == 2
    assert count("GET", f"/Groups/{staff}", excludedAttributes="members") == 1


def test_who_leaves_takes_five_statements_for_each_group(core: Core, users: list[str], count: Counter) -> None:
    for number in range(4):
        group(core, f"team {number}", *users[:20])
    alone = count("DELETE", f"/Users/{users[39]}")
    assert count("DELETE", f"/Users/{users[0]}") <= alone + 4 * 5 + 1


def test_what_no_store_holds_takes_one_look_at_what_may_match(
    core: Core, users: list[str], count: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, half = group(core, "whole", *users), group(core, "half", *users[:20])
    monkeypatch.setattr(scim_gateway_sql.prepared, "BATCH", 10)
    monkeypatch.setattr(scim_gateway_sql.stream, "BATCH", 10)
    monkeypatch.setattr(scim_gateway.derived, "RESOURCES", 10)
    # Where a driver would read all documents at once, the ids come first, and then the documents in parts.
    parts = 0 if alone(core) else 4
    page = 2  # a user, and its groups
    inexact = 'emails[type ne "x"]'
    assert count("GET", "/Users", filter=f'meta.location co "Users" and {inexact}', count=1) == 1 + parts + page
    for id, parts in ((whole, 4), (half, 2)):
        of_group = 2  # the group, and its members
        asked = count("GET", "/Users", filter=f'groups.value eq "{id}" and {inexact}', count=1)
        assert asked == of_group + 1 + parts + page
        again = " and ".join([f'groups.value eq "{id}"'] * 9)
        assert count("GET", "/Users", filter=f"{again} and {inexact}", count=1) == asked
    # No group has such a name, so nobody has to be looked at.
    assert count("GET", "/Users", filter=f'groups.display co "zzz" and {inexact}', count=1) == (1 if alone(core) else 2)
