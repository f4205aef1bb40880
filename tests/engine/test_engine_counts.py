"""What each SCIM operation costs on the Engine: every statement that is sent for it, counted over the wire."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from core_client import GROUP, PATCH_OP, USER, Core
from engine_world import EngineWorld
from scim_gateway_provisioning.breaker import Limits
from scim_gateway_provisioning.ddl import PROVISIONING
from scim_gateway_provisioning.safeguards import Safeguards
from scim_gateway_singlestore_engine import EngineBackend, capabilities
from scim_gateway_sql import SqlBackend

from scim_gateway.definitions import standard_resource_types
from scim_gateway.provisioned import Provisioned

Ids = dict[str, str]
Request = tuple[str, str, Any]
Make = Callable[[Ids], Request]


def post(path: str, schema: str, **attributes: Any) -> Make:
    def request(ids: Ids) -> Request:
        members = [{"value": ids[name]} for name in attributes.get("members", ())]
        return "POST", path, {"schemas": [schema], **attributes, **({"members": members} if members else {})}

    return request


def put(name: str, **attributes: Any) -> Make:
    return lambda ids: ("PUT", f"/Users/{ids[name]}", {"schemas": [USER], **attributes})


def patch(path: str, name: str, *operations: dict[str, Any]) -> Make:
    return lambda ids: ("PATCH", f"{path}/{ids[name]}", {"schemas": [PATCH_OP], "Operations": list(operations)})


def members(group: str, *, add: str | None = None, remove: str | None = None) -> Make:
    def request(ids: Ids) -> Request:
        operations: list[dict[str, Any]] = []
        if add is not None:
            operations.append({"op": "add", "path": "members", "value": [{"value": ids[add]}]})
        if remove is not None:
            operations.append({"op": "remove", "path": f'members[value eq "{ids[remove]}"]'})
        return patch("/Groups", group, *operations)(ids)

    return request


def get(path: str, name: str | None = None) -> Make:
    return lambda ids: ("GET", path if name is None else f"{path}/{ids[name]}", None)


def delete(path: str, name: str) -> Make:
    return lambda ids: ("DELETE", f"{path}/{ids[name]}", None)


def replacing(**values: Any) -> dict[str, Any]:
    return {"op": "replace", "value": values}


@dataclass(frozen=True)
class Row:
    """An operation and its price.

    :param reads: statements that change nothing.
    :param statements: on accounts, groups and memberships, in their order.
    """

    request: Make
    reads: int
    statements: tuple[str, ...] = ()


# A membership is one statement after one read. What is read, and why none of it can go:
#
# * a group that is touched makes no administrators (its roles, and what each of them gives);
# * an account that is touched is no administrator's (itself, its grants, its groups, their roles, what those give);
# * a name that is not seen was looked for with the privileges that show everybody (the name, the gateway's own
#   privileges, that somebody else is seen);
# * sessions are gone twice in a row, seen with the privilege that shows them (three, before and after a DROP USER);
# * what was made under a new name, dropped or locked is looked at once more.
TABLE = {
    "GET a user": Row(get("/Users", "ada"), 0),
    "GET a group": Row(get("/Groups", "eng"), 0),
    "list users": Row(get("/Users"), 0),
    "list groups": Row(get("/Groups"), 0),
    "create a user": Row(post("/Users", USER, userName="kim"), 3, ("CREATE USER",)),
    "create an inactive user": Row(post("/Users", USER, userName="kim", active=False), 3),
    "PUT a user without a change": Row(put("ada", userName="ada"), 0),
    "PUT a user with a new title": Row(put("ada", userName="ada", title="Countess"), 0),
    "PATCH a title": Row(patch("/Users", "ada", replacing(title="Countess")), 0),
    "PUT a user in no group with a new name": Row(
        put("eve", userName="evelyn"), 21, ("CREATE USER", "ALTER USER", "DROP USER")
    ),
    "PUT a user in three groups with a new name": Row(
        put("ada", userName="lovelace"),
        25,
        ("CREATE USER", "GRANT GROUP", "GRANT GROUP", "GRANT GROUP", "ALTER USER", "DROP USER"),
    ),
    "PATCH active false, in no group": Row(patch("/Users", "eve", replacing(active=False)), 8, ("ALTER USER",)),
    "PATCH active false, in three groups": Row(
        patch("/Users", "ada", replacing(active=False)),
        10,
        ("ALTER USER", "REVOKE GROUP", "REVOKE GROUP", "REVOKE GROUP"),
    ),
    "PATCH active true, in one group": Row(
        patch("/Users", "zoe", replacing(active=True)), 4, ("ALTER USER", "GRANT GROUP")
    ),
    "create a group": Row(post("/Groups", GROUP, displayName="new"), 2, ("CREATE GROUP",)),
    "create a group of two": Row(
        post("/Groups", GROUP, displayName="new", members=("ada", "eve")),
        3,
        ("CREATE GROUP", "GRANT GROUP", "GRANT GROUP"),
    ),
    "a member in": Row(members("eng", add="eve"), 1, ("GRANT GROUP",)),
    "a member out": Row(members("eng", remove="ada"), 1, ("REVOKE GROUP",)),
    "a member in and one out": Row(members("eng", add="eve", remove="ada"), 1, ("REVOKE GROUP", "GRANT GROUP")),
    "a member in who is in": Row(members("eng", add="ada"), 0),
    "a member in who is inactive": Row(members("sales", add="zoe"), 1, ("REVOKE GROUP",)),
    "a member into a group with a role": Row(members("ops", add="eve"), 2, ("GRANT GROUP",)),
    "PUT a group of 100 with one other member": Row(
        lambda ids: (
            "PUT",
            f"/Groups/{ids['crowd']}",
            {"schemas": [GROUP], "displayName": "crowd", "members": [{"value": ids[f"p{n}"]} for n in range(1, 101)]},
        ),
        1,
        ("REVOKE GROUP", "GRANT GROUP"),
    ),
    "a group gets a new name, two members": Row(
        patch("/Groups", "sales", replacing(displayName="trade")),
        13,
        ("CREATE GROUP", "GRANT GROUP", "GRANT GROUP", "DROP GROUP"),
    ),
    "a member into a nested group": Row(members("inner", add="eve"), 2, ("GRANT GROUP", "GRANT GROUP")),
    "a group of two out of another": Row(members("outer", remove="inner"), 1, ("REVOKE GROUP", "REVOKE GROUP")),
    "DELETE a user in no group": Row(delete("/Users", "eve"), 10, ("ALTER USER", "DROP USER")),
    "DELETE a user in three groups": Row(delete("/Users", "ada"), 12, ("ALTER USER", "DROP USER")),
    "DELETE a group": Row(delete("/Groups", "eng"), 2, ("DROP GROUP",)),
}


@dataclass
class Scene:
    core: Core
    world: EngineWorld
    ids: Ids

    def cost(self, make: Make) -> tuple[int, tuple[str, ...]]:
        """Reads and account statements of a request that succeeds; nothing is left to do after it."""
        self.world.double.log.clear()
        method, path, body = make(self.ids)
        answer = self.core.send(method, path, body)
        sent = [entry for entry in self.world.double.log if entry.account.name == "scim_gw"]
        assert answer.status in (200, 201, 204), answer
        assert isinstance(self.core.backend, Provisioned)
        assert not self.core.backend.pending()
        statements = tuple(" ".join(entry.sql.split()[:2]) for entry in sent if entry.is_account_statement)
        return len(sent) - len(statements), statements


@pytest.fixture
def scene(world: EngineWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """Ada and Bob in eng, ops (which has a role) and sales, Zoe inactive in eng, Eve in none; inner is in outer."""
    # What the server can is asked once a minute, whatever is requested.
    monkeypatch.setattr(capabilities, "_SECONDS", float("inf"))
    directory = SqlBackend.from_settings(
        {"data_dir": str(tmp_path)}, standard_resource_types(), migrations=(PROVISIONING,)
    )
    safeguards = Safeguards(directory.database, directory.tenant, (), Limits(0))
    backend = EngineBackend(directory, [world.target], safeguards=safeguards)
    core = Core(backend)
    people = {name: core.user(name) for name in ("ada", "bob", "eve", "zoe")}
    groups = {
        "eng": core.group("eng", people["ada"], people["bob"], people["zoe"]),
        "ops": core.group("ops", people["ada"], people["bob"]),
        "sales": core.group("sales", people["ada"], people["bob"]),
    }
    core.patch(people["zoe"], replacing(active=False))
    world.double.execute("CREATE ROLE 'reader'", "GRANT SELECT ON shop.* TO ROLE 'reader'")
    world.double.execute("GRANT ROLE 'reader' TO 'ops'")
    yield Scene(core, world, {name: one["id"] for name, one in {**people, **groups}.items()})
    backend.close()


def nested(scene: Scene) -> None:
    people = [{"id": scene.core.user(name)["id"]} for name in ("kay", "lee")]
    inner = scene.core.group("inner", *people)
    scene.ids |= {"inner": inner["id"], "outer": scene.core.group("outer", inner)["id"]}


def crowded(scene: Scene) -> None:
    people = [scene.core.user(f"p{number}") for number in range(101)]
    scene.ids |= {f"p{number}": one["id"] for number, one in enumerate(people)}
    scene.ids["crowd"] = scene.core.group("crowd", *people[:100])["id"]


@pytest.mark.parametrize("operation", TABLE)
def test_an_operation_costs_these_statements_and_no_others(scene: Scene, operation: str) -> None:
    if "100" in operation:
        crowded(scene)
    if "nested" in operation or "out of another" in operation:
        nested(scene)
    row = TABLE[operation]
    assert scene.cost(row.request) == (row.reads, row.statements)


def test_a_large_group_is_read_once_and_each_member_is_one_statement(scene: Scene) -> None:
    people = [scene.core.user(f"p{number}") for number in range(30)]
    scene.ids |= {f"p{number}": one["id"] for number, one in enumerate(people)}
    names = tuple(f"p{number}" for number in range(30))
    cost = scene.cost(post("/Groups", GROUP, displayName="crowd", members=names))
    assert cost == (4, ("CREATE GROUP", *["GRANT GROUP"] * 30))
