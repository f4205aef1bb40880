"""The tests of this folder run on the server that SINGLESTORE_URL names, next to others, and leave it as it was."""

from __future__ import annotations

import os
import re
import ssl
import subprocess
import sys
from operator import attrgetter
from pathlib import Path

import pymysql
import pytest
from doubles.singlestore.api import Account, SingleStoreDouble
from doubles.singlestore.errors import EngineError
from doubles.singlestore.fixtures import MakeDouble
from doubles.singlestore.own_names import ForeignName
from doubles.singlestore.real_server import RealServer
from engine_world import PASSWORD, EngineWorld, connect
from servers.certificates import make_certificates

FOLDER = Path(__file__).parent
# Some of each kind: the directory and the Engine, people, groups, sessions, plans, and what happens on the way.
SOME = (
    "test_engine_backend.py::test_okta_pushes_people_and_groups_and_the_engine_has_them",
    "test_engine_backend.py::test_new_names_take_everything_along",
    "test_engine_backend.py::test_a_plan_finds_what_was_done_by_hand_and_mends_it",
    "test_engine_ownership.py::test_an_account_whose_creation_was_not_answered_is_the_gateways",
    "test_engine_protection.py::test_a_protected_account_is_shown_as_such",
    "test_engine_renaming.py::test_everything_comes_along",
    "test_engine_shutting_out.py::test_sessions_of_others_are_left_alone",
    "test_engine_shutting_out.py::test_a_deleted_person_is_put_out_before_and_after_the_account_goes",
    "test_engine_shutting_out.py::test_a_lock_that_a_restart_lost_is_put_back",
)


@pytest.fixture
def shared(make_singlestore: MakeDouble) -> SingleStoreDouble:
    """A server that others use: they have accounts of the names that tests like."""
    double = make_singlestore().double
    assert double is not None
    double.seed(["ada", "bob", "boss"], {"eng": ["ada"], "Engineering": ["bob"], "dba_made": ["boss"]})
    double.execute("CREATE ROLE 'reader'", "GRANT ROLE 'reader' TO 'eng'", "GRANT SUPER ON *.* TO 'boss'@'%'")
    return double


@pytest.fixture
def real(shared: SingleStoreDouble) -> RealServer:
    return RealServer(shared.address(), "t1_")


def of_the_test(double: SingleStoreDouble) -> set[str]:
    state = double.state()
    names = {account.name for account in state.users} | state.groups.keys() | state.roles.keys()
    return {name for name in names if name.startswith("t1_")}


def life(double: SingleStoreDouble | RealServer) -> None:
    """Something of everything that can be told."""
    double.seed(["ada", "o'hara", "Zoë"], {"eng": ["ada", "o'hara"], "empty": []})
    double.execute(
        "CREATE USER 'ada'@'10.0.0.1' IDENTIFIED BY 'x'",
        "GRANT GROUP 'eng' TO 'ada'@'10.0.0.1'",
        "CREATE ROLE 'reader'",
        "CREATE ROLE 'idle'",
        "GRANT ROLE 'reader' TO 'eng'",
        "GRANT SELECT ON shop.* TO 'ada'@'%'",
        "ALTER USER 'Zoë'@'%' ACCOUNT LOCK",
    )


def test_what_sql_tells_of_a_server_is_what_the_double_knows_of_itself(real, make_singlestore):
    alone = make_singlestore().double
    for server in (real, alone):
        life(server)
    assert real.state() == alone.state()
    assert real.grants("ada") == alone.grants("ada")
    assert real.state().users[Account("Zoë")] is True
    assert real.execute("SHOW USERS FOR GROUP 'eng'").rows == tuple(
        map(tuple, alone.execute("SHOW USERS FOR GROUP 'eng'").rows)
    )
    real.clean()


def test_what_a_test_made_is_gone_afterwards_and_nothing_else(shared, real):
    before, others = shared.state(), shared.sessions()
    life(real)
    there = shared.address()
    left = connect(there, "t1_ada", "password-of-ada")
    boss = connect(there, "boss", "password-of-boss")
    assert of_the_test(shared)
    real.clean()
    assert shared.state() == before
    assert shared.sessions("t1_ada") == others == []
    boss.ping(reconnect=False)
    boss.close()
    left.close()


def test_a_session_of_somebody_else_is_not_ended(shared, real):
    there = shared.address()
    boss = connect(there, "boss", "password-of-boss")
    ((node_id, id),) = shared.sessions("boss")
    real.execute("CREATE USER 'gw'@'%' IDENTIFIED BY 'x'", "GRANT PROCESS ON *.* TO 'gw'@'%'")
    for kill in (f"KILL CONNECTION {id} {node_id}", f"KILL {id}"):
        gateway = real.connect(user="gw", password="x", autocommit=True)
        with pytest.raises(ForeignName, match="boss"), gateway.cursor() as cursor:
            cursor.execute(kill)
        gateway.close()
    boss.ping(reconnect=False)
    boss.close()
    real.clean()


def test_a_gateway_sees_its_own_names_and_what_it_did_is_written_down(shared, real, monkeypatch, tmp_path):
    monkeypatch.setattr(pymysql, "connect", lambda **options: real.connect(**options))
    before = shared.state()
    world = EngineWorld(real, tmp_path)
    world.put_user("u1", "ada")
    world.put_group("g1", "eng")
    world.members("g1", add=["u1"])
    assert (world.users, world.groups) == ({"ada": False}, {"eng": {"ada"}})
    assert [statement.split(" IDENTIFIED")[0] for statement in world.sent()] == [
        "CREATE USER 'ada'@'%'",
        "CREATE GROUP 'eng'",
        "GRANT GROUP 'eng' TO 'ada'@'%'",
    ]
    assert of_the_test(shared) == {"t1_scim_gw", "t1_ada", "t1_eng"}
    world.target.close()
    real.clean()
    assert shared.state() == before


def test_where_authorities_are_given_the_server_proves_who_it_is(make_singlestore, tmp_path):
    own, other = (make_certificates(tmp_path / name) for name in ("own", "other"))
    offered = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    offered.load_cert_chain(own.certificate, own.key)
    there = make_singlestore(tls=offered).address
    real = RealServer(there, "t1_", ssl.create_default_context(cafile=own.authority))
    real.execute("CREATE USER 'ada'@'%' IDENTIFIED BY 'x' REQUIRE SSL")
    real.connect(user="ada", password="x").close()
    real.clean()
    stranger = RealServer(there, "t1_", ssl.create_default_context(cafile=other.authority))
    with pytest.raises(EngineError, match="certificate"):
        stranger.execute("SHOW USERS")


def test_what_only_a_double_can_do_skips_and_says_so(real):
    for control in ("restart", "stop", "cluster"):
        with pytest.raises(pytest.skip.Exception, match=rf"needs a control of the double \({control}\)"):
            getattr(real, control)
    with pytest.raises(pytest.skip.Exception, match="hang"):
        real.hang("CREATE USER")
    with pytest.raises(AttributeError):
        attrgetter("no_such_thing")(real)


def test_a_refusal_speaks_of_the_names_of_the_test(real):
    with pytest.raises(EngineError) as caught:
        real.execute("SHOW GRANTS FOR 'nobody'@'%'")
    assert caught.value.number == 1141
    assert "t1_" not in caught.value.message
    real.clean()


def test_the_tests_run_against_the_server_of_the_url_and_leave_it_as_it_was(shared, request):
    before, there = shared.state(), shared.address()
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    environ["SINGLESTORE_URL"] = f"mysql://{there.user}:{there.password}@{there.host}:{there.port}"
    # The code under test is the same here and there, be it the checkout's or an installed package.
    code = f"pythonpath={' '.join(map(str, request.config.getini('pythonpath')))}"
    options = ["-q", "-p", "no:cacheprovider", "-o", code]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *(str(FOLDER / test) for test in SOME)],
        cwd=FOLDER.parents[1],
        env=environ,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"\b8 passed, 4 skipped\b", run.stdout), run.stdout
    assert "needs a control of the double (restart)" in run.stdout
    assert PASSWORD not in run.stdout
    assert shared.state() == before
    sent = {entry.account.name for entry in shared.log if entry.is_account_statement}
    assert sent
    assert all(re.fullmatch(r"root|t[0-9a-f]{6}_scim_gw", name) for name in sent)
