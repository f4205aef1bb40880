"""Nothing of SCIM reaches administrators: protected by name, by what they hold, and by what their groups give."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from doubles.singlestore.api import Account, Behaviour
from engine_world import EngineWorld

from scim_gateway.actor import Acting, Actor
from scim_gateway.errors import Conflict, Forbidden

BUILT_IN = ("root", "ROOT", "Root", "\uff52\uff4f\uff4f\uff54", "admin", "Admin", "distributed", "scim_gw", "SCIM_GW")
Harm = Callable[[EngineWorld], object]

# What a request could do to an account that is the gateway's, in every spelling that reaches a target.
TO_ACCOUNT: dict[str, Harm] = {
    "deactivate": lambda w: w.put_user("u1", "ada", active=False),
    "rename": lambda w: w.put_user("u1", "lovelace"),
    "rename and deactivate": lambda w: w.put_user("u1", "lovelace", active=False),
    "delete": lambda w: w.remove_user("u1"),
}
TO_GROUP: dict[str, Harm] = {
    "fill": lambda w: w.members("g1", add=["u2"]),
    "empty": lambda w: w.members("g1", remove=["u1"]),
    "rename": lambda w: w.put_group("g1", "engineering"),
    "delete": lambda w: w.remove_group("g1"),
}
ADMINISTRATIVE = (
    "SUPER",
    "ALL PRIVILEGES",
    "CLUSTER",
    "CREATE USER",
    "ALTER USER",
    "PROCESS",
    "GRANT OPTION",
    "RELOAD",
)


def populated(world: EngineWorld) -> EngineWorld:
    world.put_user("u1", "ada")
    world.put_user("u2", "bob")
    world.put_group("g1", "eng")
    world.members("g1", add=["u1"])
    return world


def unchanged(world: EngineWorld, harm: Harm, caplog: pytest.LogCaptureFixture, reason: str) -> None:
    """The harm is refused, nothing is different, and the security log says so."""
    before, sent = world.double.state(), len(world.sent())
    caplog.clear()
    security = caplog.at_level(logging.WARNING, "scim_gateway.security")
    with security, Acting(Actor("okta", "r-1")), pytest.raises(Forbidden, match=reason) as caught:
        harm(world)
    assert "database administrators" in caught.value.detail
    assert world.double.state() == before
    assert len(world.sent()) == sent
    lines = [record.getMessage() for record in caplog.records if record.name == "scim_gateway.security"]
    assert len(lines) == 1
    assert '"okta"' in lines[0]
    assert '"r-1"' in lines[0]


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_name_that_is_the_servers_own_or_the_gateways_is_never_managed(world, name, caplog):
    unchanged(world, lambda w: w.put_user("u1", name), caplog, "server's own|gateway's own")
    with pytest.raises(Forbidden):
        world.target.admit("User", name)
    populated(world)
    unchanged(world, lambda w: w.put_user("u1", name), caplog, "server's own|gateway's own")


@pytest.mark.parametrize("name", ["root", "Admin", "distributed"])
def test_a_group_of_such_a_name_is_never_managed(world, name, caplog):
    unchanged(world, lambda w: w.put_group("g1", name), caplog, "server's own")
    populated(world)
    unchanged(world, lambda w: w.put_group("g1", name), caplog, "server's own")


def test_patterns_of_the_operator_protect_accounts_and_groups_in_any_spelling(make_world, caplog):
    world = populated(make_world(protected_users=("svc-*",), protected_groups=("dba*",)))
    for name in ("svc-backup", "SVC-Backup"):
        unchanged(world, lambda w, name=name: w.put_user("u9", name), caplog, "engine_protected_users")
        unchanged(world, lambda w, name=name: w.put_user("u1", name), caplog, "engine_protected_users")
    unchanged(world, lambda w: w.put_group("g9", "DBAs"), caplog, "engine_protected_groups")
    unchanged(world, lambda w: w.put_group("g1", "dba"), caplog, "engine_protected_groups")


def test_a_bracket_in_a_pattern_is_a_bracket(make_world, caplog):
    world = populated(make_world(protected_users=("svc[prod]-*",), protected_groups=("dba[1]",)))
    unchanged(world, lambda w: w.put_user("u9", "SVC[prod]-backup"), caplog, "engine_protected_users")
    unchanged(world, lambda w: w.put_group("g9", "DBA[1]"), caplog, "engine_protected_groups")
    world.put_group("g9", "dba1")


def test_what_became_protected_by_a_pattern_is_left_alone_from_then_on(world, caplog):
    populated(world)
    world.target = world.another_target(protected_users=("ada",), protected_groups=("eng",))
    for harm in (*TO_ACCOUNT.values(), lambda w: w.put_user("u1", "ada")):
        unchanged(world, harm, caplog, "engine_protected_users")
    for harm in (*TO_GROUP.values(), lambda w: w.put_group("g1", "eng")):
        unchanged(world, harm, caplog, "engine_protected_groups")


@pytest.mark.parametrize("harm", TO_ACCOUNT)
@pytest.mark.parametrize("privilege", ADMINISTRATIVE)
def test_an_account_that_was_given_a_privilege_of_administrators_is_left_alone(world, harm, privilege, caplog):
    populated(world)
    world.double.execute(f"GRANT {privilege} ON *.* TO 'ada'@'%'")
    unchanged(world, TO_ACCOUNT[harm], caplog, privilege)


@pytest.mark.parametrize("shown", [True, False])
def test_an_administrator_whom_the_gateway_has_locked_out_is_not_let_in_again(make_world, shown, caplog):
    world = populated(make_world(behaviour=Behaviour(attribute_shown=shown)))
    world.put_user("u1", "ada", active=False)
    world.double.execute("GRANT SUPER ON *.* TO 'ada'@'%'")
    unchanged(world, lambda w: w.put_user("u1", "ada"), caplog, "SUPER")
    unchanged(world, lambda w: w.put_user("u1", "lovelace"), caplog, "SUPER")


@pytest.mark.parametrize("active", [True, False])
@pytest.mark.parametrize("shown", [True, False])
def test_of_an_administrator_nothing_is_asked_that_is_so_already(make_world, shown, active, caplog):
    world = populated(make_world(behaviour=Behaviour(attribute_shown=shown)))
    world.put_user("u1", "ada", active=active)
    world.double.execute("GRANT SUPER ON *.* TO 'ada'@'%'")
    before, sent, known = world.double.state(), len(world.sent()), world.known["u1"]
    world.put_user("u1", "ada", active=active)
    assert world.double.state() == before
    assert len(world.sent()) == sent
    assert world.known["u1"] == known
    unchanged(world, lambda w: w.put_user("u1", "ada", active=not active), caplog, "SUPER")


def test_an_administrator_who_was_locked_out_and_is_in_again_is_left_alone(world, caplog):
    populated(world)
    world.put_user("u1", "ada", active=False)
    world.double.execute("GRANT SUPER ON *.* TO 'ada'@'%'", "GRANT GROUP 'eng' TO 'ada'@'%'")
    unchanged(world, TO_ACCOUNT["deactivate"], caplog, "SUPER")
    world.double.execute("REVOKE GROUP 'eng' FROM 'ada'@'%'")
    world.put_user("u1", "ada", active=False)
    world.double.restart()
    unchanged(world, TO_ACCOUNT["deactivate"], caplog, "SUPER")


def test_the_right_to_hand_on_a_right_of_one_database_is_one_of_administrators(world, caplog):
    populated(world)
    world.double.execute("GRANT SELECT ON shop.* TO 'ada'@'%' WITH GRANT OPTION")
    unchanged(world, TO_ACCOUNT["deactivate"], caplog, "GRANT OPTION")


@pytest.mark.parametrize("harm", TO_ACCOUNT)
def test_an_account_that_is_an_administrator_through_a_group_and_its_role_is_left_alone(world, harm, caplog):
    populated(world)
    world.double.execute(
        "CREATE ROLE 'chief'",
        "GRANT SUPER ON *.* TO ROLE 'chief'",
        "CREATE GROUP 'chiefs'",
        "GRANT ROLE 'chief' TO 'chiefs'",
        "GRANT GROUP 'chiefs' TO 'ada'@'%'",
    )
    unchanged(world, TO_ACCOUNT[harm], caplog, "SUPER .by the role .chief")


@pytest.mark.parametrize("harm", TO_GROUP)
@pytest.mark.parametrize("privilege", ADMINISTRATIVE)
def test_a_group_that_gets_a_role_of_administrators_is_neither_filled_nor_changed_any_more(
    world, harm, privilege, caplog
):
    populated(world)
    world.double.execute(
        "CREATE ROLE 'chief'", f"GRANT {privilege} ON *.* TO ROLE 'chief'", "GRANT ROLE 'chief' TO 'eng'"
    )
    unchanged(world, TO_GROUP[harm], caplog, f"{privilege} .by the role .chief")


@pytest.mark.parametrize("harm", TO_GROUP)
def test_a_group_that_has_a_role_that_the_operator_protects_is_left_alone(world, harm, caplog):
    populated(world)
    world.double.execute("CREATE ROLE 'Payroll-EU'", "GRANT ROLE 'Payroll-EU' TO 'eng'")
    world.target = world.another_target(protected_roles=("payroll*",))
    unchanged(world, TO_GROUP[harm], caplog, "engine_protected_roles names its role .Payroll-EU")
    with world.session() as session:
        seen = session.observe()
    assert "engine_protected_roles" in str(next(iter(seen.groups.values())).protected)
    world.put_user("u1", "ada", active=False)
    assert world.users["ada"] is True


def test_a_group_with_a_role_that_the_operator_protects_is_neither_adopted_nor_renamed_into(make_world, caplog):
    world = populated(make_world(protected_roles=("payroll",)))
    world.double.execute("CREATE GROUP 'money'", "CREATE ROLE 'payroll'", "GRANT ROLE 'payroll' TO 'money'")
    unchanged(world, lambda w: w.put_group("g9", "money", adoptable=True), caplog, "engine_protected_roles")
    unchanged(world, lambda w: w.put_group("g1", "money", adoptable=True), caplog, "engine_protected_roles")


def test_of_a_group_that_may_not_be_touched_nothing_is_asked_that_is_so_already(make_world, caplog):
    world = make_world(roles={"eng": "reader"})
    world.double.execute("CREATE ROLE 'reader'")
    populated(world)
    world.put_user("u3", "eve")
    world.double.execute("CREATE ROLE 'chief'", "GRANT SUPER ON *.* TO ROLE 'chief'", "GRANT ROLE 'chief' TO 'eng'")
    world.double.execute("REVOKE ROLE 'reader' FROM 'eng'")
    before, sent, known = world.double.state(), len(world.sent()), world.known["g1"]
    world.put_group("g1", "eng")
    assert world.known["g1"] == known
    world.members("g1", add=["u1"], remove=["u2", "u3"])
    assert world.double.state() == before
    assert len(world.sent()) == sent
    for harm in (
        lambda w: w.members("g1", add=["u1", "u2"]),
        lambda w: w.members("g1", add=["u1", "nobody"]),
        lambda w: w.members("g1", remove=["u1", "u2"]),
        lambda w: w.members("g1", add=["u2"], remove=["u3"]),
    ):
        unchanged(world, harm, caplog, "SUPER")


def test_an_ordinary_role_protects_nothing(world):
    populated(world)
    world.double.execute(
        "CREATE ROLE 'reader'",
        "GRANT SELECT, INSERT, SHOW METADATA ON *.* TO ROLE 'reader'",
        "GRANT ALL PRIVILEGES ON shop.* TO ROLE 'reader'",
        "GRANT ROLE 'reader' TO 'eng'",
    )
    world.members("g1", add=["u2"])
    assert world.groups == {"eng": {"ada", "bob"}}
    world.put_user("u1", "ada", active=False)
    assert world.users["ada"] is True


def test_when_the_role_is_taken_away_again_the_group_is_the_gateways_again(world, caplog):
    populated(world)
    world.double.execute("CREATE ROLE 'chief'", "GRANT SUPER ON *.* TO ROLE 'chief'", "GRANT ROLE 'chief' TO 'eng'")
    unchanged(world, TO_GROUP["fill"], caplog, "SUPER")
    world.double.execute("REVOKE ROLE 'chief' FROM 'eng'")
    world.members("g1", add=["u2"])
    assert world.groups == {"eng": {"ada", "bob"}}


@pytest.mark.parametrize("adoptable", [False, True])
def test_an_administrator_made_by_hand_is_neither_taken_over_nor_adopted(world, adoptable, caplog):
    world.double.seed(["ada"])
    world.double.execute("GRANT SUPER ON *.* TO 'ada'@'%'")
    unchanged(world, lambda w: w.put_user("u1", "ada", adoptable=adoptable), caplog, "SUPER")
    assert world.account("ada")["ATTRIBUTE"] is None


@pytest.mark.parametrize("adoptable", [False, True])
def test_a_group_of_administrators_is_neither_taken_over_nor_adopted(world, adoptable, caplog):
    world.double.execute(
        "CREATE GROUP 'eng'", "CREATE ROLE 'chief'", "GRANT SUPER ON *.* TO ROLE 'chief'", "GRANT ROLE 'chief' TO 'eng'"
    )
    unchanged(world, lambda w: w.put_group("g1", "eng", adoptable=adoptable), caplog, "SUPER .by the role .chief")


def test_a_renaming_into_an_administrator_made_by_hand_is_refused(world, caplog):
    populated(world)
    world.double.seed(["chief"])
    world.double.execute("GRANT SUPER ON *.* TO 'chief'@'%'")
    unchanged(world, lambda w: w.put_user("u1", "chief", adoptable=True), caplog, "SUPER")


def test_a_renaming_into_a_group_of_administrators_made_by_hand_is_refused(world, caplog):
    populated(world)
    world.double.execute("CREATE GROUP 'dba'", "CREATE ROLE 'chief'", "GRANT SUPER ON *.* TO ROLE 'chief'")
    world.double.execute("GRANT ROLE 'chief' TO 'dba'")
    unchanged(world, lambda w: w.put_group("g1", "dba", adoptable=True), caplog, "SUPER .by the role .chief")


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda w: w.put_user("u9", "carl"), "was not made by the gateway"),
        (lambda w: w.put_user("u1", "carl"), "was not made by the gateway"),
        (lambda w: w.put_user("u9", "Carl"), 'is too much like "carl"'),
        (lambda w: w.put_user("u9", "many"), "has accounts for particular hosts"),
        (lambda w: w.put_group("g9", "ops"), "was not made by the gateway"),
        (lambda w: w.put_group("g1", "ops"), "was not made by the gateway"),
        (lambda w: w.put_group("g9", "Ops"), 'is too much like "ops"'),
    ],
)
def test_who_asks_for_what_the_gateway_did_not_make_is_told_to_those_who_watch_over_security(
    world, harm, reason, caplog
):
    populated(world)
    world.double.seed(["carl"], {"ops": ["carl"]})
    world.double.execute("CREATE USER 'many'@'10.0.0.1' IDENTIFIED BY 'x'")
    before = world.double.state()
    security = caplog.at_level(logging.WARNING, "scim_gateway.security")
    with security, Acting(Actor("okta", "r-1")), pytest.raises(Conflict):
        harm(world)
    assert world.double.state() == before
    lines = [record.getMessage() for record in caplog.records if record.name == "scim_gateway.security"]
    assert len(lines) == 1
    assert reason in lines[0]
    assert lines[0].endswith('asked for by "okta", request "r-1"')


def test_rules_never_give_a_role_of_administrators(make_world, caplog):
    world = make_world(roles={"eng*": ["reader", "chief"]})
    world.double.execute(
        "CREATE ROLE 'reader'",
        "GRANT SELECT ON shop.* TO ROLE 'reader'",
        "CREATE ROLE 'chief'",
        "GRANT SUPER ON *.* TO ROLE 'chief'",
    )
    with caplog.at_level(logging.WARNING, "scim_gateway.security"), pytest.raises(Forbidden, match="engine_roles"):
        world.put_group("g1", "eng")
    assert world.roles_of("eng") <= {"reader"}
    assert "chief" in caplog.text


def test_rules_never_give_a_role_that_the_operator_protects(make_world, caplog):
    world = make_world(roles={"eng*": "payroll"}, protected_roles=("PAY*",))
    world.double.execute("CREATE ROLE 'payroll'")
    with pytest.raises(Forbidden, match=r"engine_roles gives it the role .payroll., and engine_protected_roles"):
        world.put_group("g1", "eng")
    assert world.roles_of("eng") == set()


@pytest.mark.parametrize("number", [1044, 1142, 1227])
def test_whose_grants_cannot_be_read_is_not_touched(make_world, number):
    world = populated(make_world(behaviour=Behaviour(show_grants_denied_error=number)))
    world.double.fail("SHOW GRANTS FOR", number)
    before = world.double.state()
    with pytest.raises(Exception, match="GRANT OPTION"):
        world.put_user("u1", "ada", active=False)
    assert world.double.state() == before


def test_a_protected_account_is_shown_as_such(make_world):
    world = populated(make_world(protected_users=("svc-*",)))
    world.double.seed(["svc-1", "chief", "member"], {"plain": ["member"]})
    world.double.execute(
        "GRANT SUPER ON *.* TO 'chief'@'%'",
        "CREATE ROLE 'r'",
        "GRANT PROCESS ON *.* TO ROLE 'r'",
        "GRANT ROLE 'r' TO 'plain'",
    )
    with world.session() as session:
        seen = session.observe()
    reasons = {one.name: one.protected for one in seen.users.values() if one.protected is not None}
    assert reasons.keys() == {"root", "scim_gw", "svc-1", "chief", "member"}
    assert "PROCESS" in reasons["member"]
    assert {one.name: one.protected is not None for one in seen.groups.values()} == {"eng": False, "plain": True}
    assert Account("root") not in world.state.users
