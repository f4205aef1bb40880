"""Whole against whole on the Engine: drift made with account statements, adoption, versions with marks and without."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from core_client import Core
from engine_world import PASSWORD, EngineWorld
from scim_gateway_provisioning.watch import Periodic, Watch
from scim_gateway_singlestore_engine import EngineBackend

from scim_gateway.config import load
from scim_gateway.provisioned import Plan

Gateway = Callable[..., "Running"]


class Running:
    """A gateway over the double."""

    def __init__(self, world: EngineWorld, folder: Path, **chosen: Any) -> None:
        self.world = world
        environ = {
            "SCIM_GATEWAY_DATA_DIR": str(folder),
            "SCIM_GATEWAY_ENGINE_URL": f"singlestore://scim_gw@127.0.0.1:{world.double.address().port}/",
            "SCIM_GATEWAY_ENGINE_PASSWORD": PASSWORD,
            "SCIM_GATEWAY_ENGINE_AUTHENTICATION": "password",
            **{f"SCIM_GATEWAY_{name.upper()}": value for name, value in chosen.items()},
        }
        settings = load(environ)
        self.backend = EngineBackend.from_settings(settings, settings.resource_types)
        self.core = Core(self.backend)

    def plan(self) -> Plan:
        return self.backend.plan()

    def steps(self) -> list[str]:
        return [
            " ".join(filter(None, (step.action, step.kind, step.name, step.member)))
            for step in self.plan().steps
            if step.name not in ("root", "scim_gw", "distributed")
        ]

    def apply(self) -> list[str]:
        """Carry out what there is to do; what is left of it."""
        repair = self.backend.apply(self.plan().hash)
        return [*(f"{step.action} {step.kind} {step.name}" for step in repair.left.to_do), *repair.problems]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    opened: list[Running] = []

    def run(world: EngineWorld, **chosen: Any) -> Running:
        opened.append(Running(world, tmp_path, **chosen))
        return opened[-1]

    yield run
    for each in opened:
        each.backend.close()


VERSIONS = ["7.8", "8.0", "8.5", "9.1"]


@pytest.mark.parametrize("version", VERSIONS)
def test_drift_made_with_account_statements_is_listed_mended_and_gone(make_world, running, version):
    gateway = running(make_world(version))
    people = [gateway.core.user(f"u{number}") for number in range(5)]
    gateway.core.group("staff", *people[:3])
    gateway.core.patch(people[4], {"op": "replace", "path": "active", "value": False})
    assert gateway.steps() == []
    gateway.world.double.execute(
        "CREATE USER 'dba'@'%' IDENTIFIED BY 'Dba-password-of-the-tests-1'",
        "CREATE GROUP 'dba_made'",
        "GRANT GROUP 'staff' TO 'dba'@'%'",
        "GRANT GROUP 'dba_made' TO 'u1'@'%'",
        "GRANT GROUP 'staff' TO 'u3'@'%'",
        "GRANT GROUP 'staff' TO 'u4'@'%'",
        "REVOKE GROUP 'staff' FROM 'u1'@'%'",
        "DROP USER 'u0'@'%'",
    )
    assert gateway.steps() == [
        "remove Membership staff u3",
        "remove Membership staff u4",
        "add User u0",
        "add Membership staff u0",
        "add Membership staff u1",
        "unmanaged User dba",
        "unmanaged Group dba_made",
        "unmanaged Membership staff dba",
    ]
    assert gateway.apply() == []
    assert gateway.steps() == ["unmanaged User dba", "unmanaged Group dba_made", "unmanaged Membership staff dba"]
    assert gateway.world.groups == {"staff": {"u0", "u1", "u2", "dba"}, "dba_made": {"u1"}}


def test_locks_that_a_restart_of_the_cluster_forgot_are_put_on_again(make_world, running):
    gateway = running(make_world())
    ann = gateway.core.user("ann")
    gateway.core.user("bob")
    gateway.core.patch(ann, {"op": "replace", "path": "active", "value": False})
    gateway.world.double.restart()
    assert gateway.world.users == {"ann": False, "bob": False}
    (step,) = gateway.plan().to_do
    assert (step.name, step.reason) == ("ann", "active in the target, inactive in the directory, changed by hand")
    assert gateway.apply() == []
    assert gateway.world.users == {"ann": True, "bob": False}
    assert gateway.plan().to_do == []


LOST = 3


def shut_out(gateway: Running, count: int) -> None:
    for number in range(count):
        user = gateway.core.user(f"u{number}")
        gateway.core.patch(user, {"op": "replace", "path": "active", "value": False})


def test_locks_that_were_lost_are_no_mass_removal_however_many_they_are(make_world, running):
    gateway = running(make_world(), breaker_removals="2", breaker_share="0", breaker_minutes="1")
    gateway.backend.approve(minutes=60)
    shut_out(gateway, LOST)
    gateway.world.double.restart()
    assert set(gateway.world.users.values()) == {False}
    assert gateway.plan().staged is None
    assert gateway.backend.reconcile().done == LOST
    assert set(gateway.world.users.values()) == {True}


def test_locks_that_were_lost_are_put_back_even_where_all_else_waits_for_a_person(make_world, running):
    gateway = running(make_world())
    shut_out(gateway, LOST)
    ann = gateway.core.user("ann")
    gateway.world.put_user("a-lost-id", "stranger")
    gateway.world.double.restart()
    gateway.world.double.execute("DROP USER 'ann'@'%'")
    repair = gateway.backend.reconcile()
    assert repair.done == LOST
    assert repair.problems[0].startswith("Only what is safe was changed in engine: engine has 1 users or groups")
    assert gateway.world.users == {"stranger": False, **{f"u{number}": True for number in range(LOST)}}
    (told,) = gateway.backend.reconciled()
    assert "that the directory does not know" in (told.problem or "")
    assert ann["active"] is not False
    assert gateway.apply() == []
    assert gateway.world.users == {"ann": False, **{f"u{number}": True for number in range(LOST)}}


def test_in_a_pause_locks_that_were_lost_are_put_back_and_nothing_else_is_done(make_world, running):
    gateway = running(make_world())
    shut_out(gateway, LOST)
    gateway.core.user("ann")
    gateway.backend.pause("the cluster moves")
    gateway.world.double.restart()
    gateway.world.double.execute("DROP USER 'ann'@'%'")
    Watch(gateway.backend.reconciler, Periodic(15), paused=gateway.backend.paused).look()
    assert gateway.world.users == {f"u{number}": True for number in range(LOST)}
    (told,) = gateway.backend.reconciled()
    assert told.counts["left"] == 1
    gateway.backend.resume()
    Watch(gateway.backend.reconciler, Periodic(0), paused=gateway.backend.paused).look()
    assert gateway.world.users == {"ann": False, **{f"u{number}": True for number in range(LOST)}}


def test_a_restored_directory_does_not_let_anybody_in_again_whom_the_gateway_has_locked_since(
    make_world, running, tmp_path
):
    gateway = running(make_world())
    ann, bob = gateway.core.user("ann"), gateway.core.user("bob")
    gateway.core.group("staff", ann, bob)
    backup = tmp_path / "backup.db"
    with closing(sqlite3.connect(tmp_path / "scim-gateway.db")) as source, closing(sqlite3.connect(backup)) as copy:
        source.backup(copy)
    gateway.core.patch(ann, {"op": "replace", "path": "active", "value": False})
    gateway.backend.close()
    with closing(sqlite3.connect(backup)) as source, closing(sqlite3.connect(tmp_path / "scim-gateway.db")) as copy:
        source.backup(copy)
    restored = running(gateway.world)
    restored.world.double.execute("REVOKE GROUP 'staff' FROM 'bob'@'%'", "CREATE GROUP 'mine'")
    repair = restored.backend.reconcile()
    assert (repair.done, restored.world.users) == (0, {"ann": True, "bob": False})
    assert restored.world.groups["staff"] == set(), "nothing that gives rights is mended"
    assert "If the directory was restored from a backup" in repair.problems[0]
    (told,) = restored.backend.reconciled()
    assert "active in a directory that knows nothing of it: ann" in (told.problem or "")
    assert restored.apply() == [], "a person may decide otherwise"
    assert (restored.world.users, restored.world.groups["staff"]) == ({"ann": False, "bob": False}, {"ann", "bob"})


@pytest.mark.parametrize("version", VERSIONS)
def test_who_is_dropped_when_inactive_is_not_missed(make_world, running, version):
    gateway = running(make_world(version), engine_on_deactivate="drop")
    ann = gateway.core.user("ann")
    gateway.core.group("staff", ann)
    gateway.core.patch(ann, {"op": "replace", "path": "active", "value": False})
    assert "ann" not in gateway.world.users
    assert gateway.steps() == []
    gateway.core.patch(ann, {"op": "replace", "path": "active", "value": True})
    assert gateway.steps() == []
    assert gateway.world.groups == {"staff": {"ann"}}


@pytest.mark.parametrize("kept", ["carry", "keep"])
def test_renamed_people_and_groups_are_no_difference(make_world, running, kept):
    gateway = running(make_world(), engine_on_rename=kept)
    ann = gateway.core.user("ann")
    staff = gateway.core.group("staff", ann)
    gateway.core.patch(ann, {"op": "replace", "path": "userName", "value": "anna"})
    gateway.core.patch(staff, {"op": "replace", "path": "displayName", "value": "Team"})
    assert gateway.steps() == []


@pytest.mark.parametrize("version", VERSIONS)
def test_existing_accounts_and_groups_are_adopted_with_what_was_granted_to_them(make_world, running, version):
    world = make_world(version)
    world.double.execute(
        *(f"CREATE USER '{name}'@'%' IDENTIFIED BY 'A-password-of-the-tests-1'" for name in ("ann", "bob", "boss")),
        "CREATE USER 'two'@'%' IDENTIFIED BY 'A-password-of-the-tests-1'",
        "CREATE USER 'two'@'10.0.0.1' IDENTIFIED BY 'A-password-of-the-tests-1'",
        "CREATE GROUP 'staff'",
        "GRANT GROUP 'staff' TO 'ann'@'%'",
        "GRANT GROUP 'staff' TO 'bob'@'%'",
        "GRANT SUPER ON *.* TO 'boss'@'%'",
    )
    gateway = running(world)
    states = {one.name: one.state for one in gateway.backend.adopt("engine", "User", ["nobody"], ["*"])}
    assert states == {
        "nobody": "absent", "ann": "listed", "bob": "listed", "two": "protected", "boss": "protected",
        "root": "protected", "scim_gw": "protected",
    } | ({"distributed": "protected"} if "distributed" in states else {})  # fmt: skip
    assert [one.state for one in gateway.backend.adopt("engine", "Group", ["staff"])] == ["listed"]
    assert gateway.plan().to_do == []
    ann = gateway.core.user("ann")
    gateway.core.group("staff", ann)
    assert gateway.plan().to_do == []
    assert world.groups == {"staff": {"ann", "bob"}}
    bob = gateway.core.user("bob")
    assert gateway.steps() == [
        "remove Membership staff bob", "protected User boss", "protected User two",
    ]  # fmt: skip
    assert gateway.apply() == []
    assert world.groups == {"staff": {"ann"}}
    gateway.core.patch(bob, {"op": "replace", "path": "active", "value": False})
    assert gateway.plan().to_do == []


def test_what_carries_the_mark_of_a_lost_row_is_removed_by_a_person_and_that_of_another_directory_is_left_alone(
    make_world, running
):
    gateway = running(make_world())
    gateway.core.user("ann")
    for name, tenant in (("lost", "default"), ("theirs", "another")):
        gateway.world.double.execute(
            f"CREATE USER '{name}'@'%' IDENTIFIED BY 'A-password-of-the-tests-1' "
            f'ATTRIBUTE \'{{"scim": {{"id": "x-{name}", "tenant": "{tenant}", "locked": false}}}}\''
        )
    assert gateway.steps() == ["remove User lost", "protected User theirs"]
    assert "restored from a backup" in gateway.backend.reconcile().problems[0]
    assert "lost" in gateway.world.users
    assert gateway.apply() == []
    assert gateway.world.users.keys() == {"ann", "theirs"}


def test_a_gateway_that_lost_its_sight_concludes_nothing(make_world, running):
    gateway = running(make_world())
    gateway.core.group("staff", gateway.core.user("ann"))
    gateway.world.double.execute("REVOKE SHOW METADATA ON *.* FROM 'scim_gw'@'%'")
    with pytest.raises(Exception, match="engine cannot be compared"):
        gateway.plan()


def test_a_second_account_that_carries_the_mark_goes_and_the_one_that_is_noted_keeps_everything(make_world, running):
    gateway = running(make_world())
    gateway.core.group("staff", gateway.core.user("ann"))
    mark = gateway.world.account("ann")["ATTRIBUTE"]
    gateway.world.double.execute(
        "GRANT SELECT ON sales.* TO 'ann'@'%'",
        f"CREATE USER 'ann_2'@'%' IDENTIFIED BY 'Second-password-1' ATTRIBUTE '{mark}'",
        "GRANT INSERT ON sales.* TO 'ann_2'@'%'",
    )
    before = gateway.world.double.execute("SHOW GRANTS FOR 'ann'@'%'")
    sent = len(gateway.world.sent())
    assert gateway.steps() == ["change User ann_2"]
    assert gateway.backend.reconcile().problems == []
    assert gateway.world.users == {"ann": False}
    assert gateway.world.groups == {"staff": {"ann"}}
    assert gateway.world.double.execute("SHOW GRANTS FOR 'ann'@'%'") == before
    assert not any("'ann'@" in statement for statement in gateway.world.sent()[sent:]), "nothing was done to the first"
    assert gateway.steps() == []
