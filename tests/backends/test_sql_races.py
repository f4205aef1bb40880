"""Many at once on a server that runs writes side by side, has no detector of deadlocks and reads committed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from core_client import GROUP, PATCH_OP, USER, Core
from scim_gateway_sql import SqlBackend
from servers.mariadb import MariaDb
from servers.statements import statements_sent

from scim_gateway.definitions import standard_resource_types
from scim_gateway.testing import in_parallel

ORPHANS = """
    SELECT count(*) FROM scim_member LEFT JOIN scim_resource
    ON scim_resource.tenant = scim_member.tenant AND scim_resource.id = {column}
    WHERE scim_resource.id IS NULL
"""


@pytest.fixture
def core(mariadb: str) -> Iterator[Core]:
    backend = SqlBackend.from_settings({"database_url": mariadb, "threads": 32}, standard_resource_types())
    yield Core(backend)
    backend.close()


WAITS = "SELECT count FROM information_schema.innodb_metrics WHERE name IN ('lock_timeouts', 'lock_deadlocks')"


@pytest.fixture(autouse=True)
def no_lock_is_waited_for_in_vain(mariadb_server: MariaDb) -> Iterator[None]:
    """The server's own counters: it has ended no wait for a lock by a timeout, nor a deadlock."""
    before = mariadb_server.query(WAITS)
    assert len(before) == 2
    yield
    assert mariadb_server.query(WAITS) == before


def new_user(core: Core, name: str) -> str:
    return str(core.json("POST", "/Users", {"schemas": [USER], "userName": name}, expect=201)["id"])


def new_group(core: Core, name: str, *members: str) -> str:
    body = {"schemas": [GROUP], "displayName": name, "members": [{"value": id} for id in members]}
    return str(core.json("POST", "/Groups", body, expect=201)["id"])


def patch(core: Core, path: str, *operations: dict[str, Any]) -> int:
    return core.send("PATCH", path, {"schemas": [PATCH_OP], "Operations": list(operations)}).status


def add(core: Core, group: str, *ids: str) -> int:
    members = [{"value": id} for id in ids]
    return patch(core, f"/Groups/{group}", {"op": "add", "path": "members", "value": members})


def delete(core: Core, user: str) -> int:
    return core.send("DELETE", f"/Users/{user}").status


def members_of(core: Core, group: str) -> set[str]:
    return {element["value"] for element in core.json("GET", f"/Groups/{group}").get("members", ())}


def orphans(mariadb_server: MariaDb, url: str) -> list[int]:
    database = url.rpartition("/")[2]
    columns = ("scim_member.member_id", "scim_member.group_id")
    return [mariadb_server.query(ORPHANS.format(column=column), database)[0][0] for column in columns]


def total(results: list[Any]) -> Counter[Any]:
    """The counts of several threads; what one of them raised is raised here."""
    counts: Counter[Any] = Counter()
    for each in results:
        if isinstance(each, BaseException):
            raise each
        counts.update(each)
    return counts


def test_of_sixteen_who_create_one_name_one_succeeds(core: Core) -> None:
    def create(name: str) -> list[int]:
        return [core.send("POST", "/Users", {"schemas": [USER], "userName": name}).status]

    for number in range(10):
        results = in_parallel([partial(create, f"ada{number}")] * 16)
        assert total(results) == {201: 1, 409: 15}


def test_of_sixteen_who_rename_to_one_name_one_succeeds(core: Core) -> None:
    ids = [new_user(core, f"user{number}") for number in range(16)]

    def rename(id: str) -> list[int]:
        return [patch(core, f"/Users/{id}", {"op": "replace", "path": "userName", "value": "the-one"})]

    results = in_parallel([partial(rename, one) for one in ids])
    assert total(results) == {200: 1, 409: 15}


def test_members_added_and_removed_by_many_are_exactly_those(core: Core) -> None:
    leaving, joining = ([new_user(core, f"{kind}{n}") for n in range(40)] for kind in ("leaving", "joining"))
    staff = new_group(core, "staff", *leaving)

    def work(number: int) -> list[int]:
        mine = slice(number * 5, number * 5 + 5)
        answers = []
        for come, go in zip(joining[mine], leaving[mine], strict=True):
            answers.append(add(core, staff, come))
            answers.append(patch(core, f"/Groups/{staff}", {"op": "remove", "path": f'members[value eq "{go}"]'}))
        return answers

    results = in_parallel([partial(work, number) for number in range(8)])
    assert total(results) == {200: 80}
    assert members_of(core, staff) == set(joining)
    assert core.json("GET", f"/Groups/{staff}")["meta"]["version"] == 'W/"81"'


def test_replacements_and_additions_of_members_leave_one_of_the_states_between(core: Core) -> None:
    people = [new_user(core, f"user{n}") for n in range(12)]
    staff = new_group(core, "staff", *people[:4])

    def replace(some: list[str]) -> list[int]:
        body = {"schemas": [GROUP], "displayName": "staff", "members": [{"value": id} for id in some]}
        return [core.send("PUT", f"/Groups/{staff}", body).status for _ in range(4)]

    def join(one: str) -> list[int]:
        return [add(core, staff, one)]

    replacements = [partial(replace, people[:3]), partial(replace, people[3:6])]
    results = in_parallel([*replacements, *(partial(join, one) for one in people[6:])])
    assert total(results) == {200: 14}
    found = members_of(core, staff)
    assert found & set(people[:6]) in (set(people[:3]), set(people[3:6]))


def test_a_member_that_is_deleted_while_it_is_added_is_in_no_group(
    core: Core, mariadb_server: MariaDb, mariadb: str
) -> None:
    for number in range(25):
        ada = new_user(core, f"ada{number}")
        groups = [new_group(core, f"group{number}.{n}", *([ada] if n == 2 else [])) for n in range(3)]
        joins = [partial(add, core, group, ada) for group in groups]
        *joined, deleted = in_parallel([*joins, partial(delete, core, ada)])
        assert deleted == 204
        assert set(joined) <= {200, 400}, joined
        assert all(members_of(core, group) == set() for group in groups)
        for group, answer in zip(groups[:2], joined[:2], strict=True):
            # A group that she has joined has lost her as well, by a version of its own.
            assert core.json("GET", f"/Groups/{group}")["meta"]["version"] == ('W/"3"' if answer == 200 else 'W/"1"')
    assert orphans(mariadb_server, mariadb) == [0, 0]


def test_a_manager_that_is_deleted_while_it_is_named_is_there_or_refused(core: Core) -> None:
    enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
    for number in range(15):
        boss, ada = new_user(core, f"boss{number}"), new_user(core, f"ada{number}")
        name = {"op": "add", "path": f"{enterprise}:manager", "value": {"value": boss}}
        named, deleted = in_parallel([partial(patch, core, f"/Users/{ada}", name), partial(delete, core, boss)])
        assert (named, deleted) in ((200, 204), (400, 204))


def test_groups_that_hold_each_other_in_any_order_never_wait_for_each_other(
    core: Core, mariadb_server: MariaDb, mariadb: str
) -> None:
    """No lock waits for one that comes before it: with 1205 as the only end of a deadlock, there is none."""
    groups = [new_group(core, f"group{n}") for n in range(8)]
    people = [new_user(core, f"user{n}") for n in range(24)]

    def mix(seed: int) -> list[int]:
        choose = random.Random(seed)
        answers = []
        for number in range(20):
            one, other = choose.sample(groups, 2)
            what = choose.random()
            if what < 0.5:
                values = [{"value": other}, {"value": choose.choice(people)}]
                change = {"op": choose.choice(["add", "remove"]), "path": "members", "value": values}
                answers.append(patch(core, f"/Groups/{one}", change))
            elif what < 0.85:
                held = [*choose.sample(groups, 3), *choose.sample(people, 5)]
                name = f"group{groups.index(one)}"
                body = {"schemas": [GROUP], "displayName": name, "members": [{"value": id} for id in held]}
                answers.append(core.send("PUT", f"/Groups/{one}", body).status)
            elif what < 0.95:
                title = {"op": "replace", "path": "title", "value": f"{seed}.{number}"}
                answers.append(patch(core, f"/Users/{choose.choice(people)}", title))
            else:
                passing = new_group(core, f"passing{seed}.{number}", one, *choose.sample(people, 3))
                answers.append(add(core, one, passing))
                answers.append(core.send("DELETE", f"/Groups/{passing}").status)
        return answers

    results = in_parallel([partial(mix, seed) for seed in range(16)])
    assert total(results).keys() == {200, 204}
    assert orphans(mariadb_server, mariadb) == [0, 0]


def test_two_who_exchange_their_names_at_once_never_wait_for_each_other(core: Core) -> None:
    ada, bob = new_user(core, "ada"), new_user(core, "bob")

    def rename(id: str, name: str) -> list[int]:
        return [patch(core, f"/Users/{id}", {"op": "replace", "path": "userName", "value": name})]

    for _ in range(15):
        assert total(in_parallel([lambda: rename(ada, "bob"), lambda: rename(bob, "ada")])) == {409: 2}


def test_names_that_are_given_up_and_taken_in_any_order_never_wait_for_each_other(core: Core) -> None:
    def churn(seed: int) -> list[tuple[str, int]]:
        choose = random.Random(seed)
        answers = []
        for _ in range(16):
            created = core.send("POST", "/Users", {"schemas": [USER], "userName": f"name{choose.randrange(4)}"})
            answers.append(("POST", created.status))
            if created.status == 201:
                path = f"/Users/{created.headers['Location'].rpartition('/')[2]}"
                rename = {"op": "replace", "path": "userName", "value": f"name{choose.randrange(4)}"}
                answers.append(("PATCH", patch(core, path, rename)))
                answers.append(("DELETE", core.send("DELETE", path).status))
        return answers

    results = in_parallel([partial(churn, seed) for seed in range(12)])
    assert total(results).keys() <= {("POST", 201), ("POST", 409), ("PATCH", 200), ("PATCH", 409), ("DELETE", 204)}
    assert core.json("GET", "/Users", count=0)["totalResults"] == 0


@pytest.mark.parametrize("size", [1, 3, 40])
def test_rows_are_locked_by_their_key_and_in_its_order(
    core: Core, mariadb_server: MariaDb, mariadb: str, size: int
) -> None:
    """However small the table: an order by another index, or of a scan, would not be that of the ids."""
    ids = [new_user(core, f"user{n}") for n in range(size)]
    with statements_sent() as sent:
        staff = new_group(core, "staff", *ids)
    assert members_of(core, staff) == set(ids)
    (locking,) = [each.sent for each in sent if each.sent.endswith("FOR UPDATE")]
    database = mariadb.rpartition("/")[2]
    (plan,) = mariadb_server.query(f"EXPLAIN {locking}", database)
    assert "PRIMARY" in plan
    assert "filesort" not in str(plan)
