"""What a call that was cut left under another name does not stand in the way of taking access away."""

from __future__ import annotations

import pytest
from engine_world import SECRET, EngineWorld
from scim_gateway_provisioning.target import Unreachable


@pytest.fixture
def renamed(world) -> EngineWorld:
    """Ada was Augusta; the call that gave her the new name was cut before the old account was dropped."""
    world.put_user("u1", "augusta")
    world.double.cut_before("DROP USER")
    with pytest.raises(Unreachable):
        world.put_user("u1", "ada")
    assert world.users.keys() == {"ada", "augusta"}
    assert world.known["u1"]["old"] == "augusta"
    return world


def another_host(world: EngineWorld, name: str) -> None:
    world.double.execute(f"CREATE USER '{name}'@'10.0.0.1' IDENTIFIED BY '{SECRET}'")


def test_who_is_deactivated_is_locked_although_an_old_name_cannot_be_cleared(renamed):
    another_host(renamed, "augusta")
    with pytest.raises(Unreachable, match=r"10\.0\.0\.1"):
        renamed.put_user("u1", "ada", active=False)
    assert renamed.users == {"ada": True}
    renamed.double.execute("DROP USER 'augusta'@'10.0.0.1'")
    renamed.put_user("u1", "ada", active=False)
    assert renamed.users == {"ada": True}


@pytest.mark.parametrize("name", ["ada", "augusta"])
def test_who_is_deleted_is_removed_under_every_name_although_one_of_them_makes_trouble(renamed, name):
    renamed.double.execute("ALTER USER 'augusta'@'%' ACCOUNT UNLOCK")
    another_host(renamed, name)
    with pytest.raises(Unreachable, match=r"10\.0\.0\.1"):
        renamed.remove_user("u1")
    assert renamed.users == {}


def test_who_is_active_keeps_the_account_while_an_old_name_cannot_be_cleared(renamed):
    another_host(renamed, "augusta")
    with pytest.raises(Unreachable, match=r"10\.0\.0\.1"):
        renamed.put_user("u1", "ada")
    assert renamed.users == {"ada": False}
