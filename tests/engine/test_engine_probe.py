"""``check`` and ``check --probe``: what an operator is told of the Engine, and what the gateway learns of it."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from doubles.singlestore.api import Behaviour
from engine_world import PASSWORD, EngineWorld
from scim_gateway_singlestore_engine.facts import FILE, Facts, Probe, read_probe, write_probe
from scim_gateway_singlestore_engine.failures import SetupFault
from scim_gateway_singlestore_engine.statements import Statement, change_user

from scim_gateway.backend import Finding
from scim_gateway.cli import main


def told(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.subject: finding for finding in findings}


def check(world: EngineWorld) -> dict[str, Finding]:
    return told(list(world.another_target().check()))


def test_a_server_that_is_as_it_should_be_gets_no_complaint(world):
    world.put_user("u1", "ada")
    findings = check(world)
    assert [finding for finding in findings.values() if not finding.ok] == []
    assert findings["engine version"].message == f"SingleStore {world.version}"
    assert findings["engine privileges"].message == "'scim_gw' holds what the gateway needs"
    assert findings["engine marks"].message == "1 of 3 accounts are the gateway's"
    assert "--probe" in findings["engine probe"].remedy


@pytest.mark.parametrize("missing", ["CREATE USER", "ALTER USER", "PROCESS", "SHOW METADATA", "GRANT OPTION"])
def test_a_privilege_that_is_missing_comes_with_the_statement_to_paste(world, missing):
    world.double.execute(f"REVOKE {missing} ON *.* FROM 'scim_gw'@'%'")
    finding = check(world)["engine privileges"]
    assert not finding.ok
    assert finding.message == f"'scim_gw' lacks {missing}"
    assert finding.remedy == f"run: GRANT {missing} ON *.* TO 'scim_gw'@'%'"
    world.double.execute(finding.remedy.removeprefix("run: "))
    assert check(world)["engine privileges"].ok


def test_an_old_server_needs_no_privilege_that_it_does_not_know(make_world):
    findings = check(make_world("7.8"))
    assert findings["engine privileges"].ok
    assert "no lock" in findings["engine version"].message


def test_rights_that_are_never_used_are_told(world):
    world.double.execute("GRANT SUPER ON *.* TO 'scim_gw'@'%'")
    assert "SUPER" in check(world)["engine privileges"].message


def test_several_aggregators_with_accounts_of_their_own_are_refused(make_world):
    world = make_world(aggregators=2, sync_permissions=False)
    finding = check(world)["engine accounts"]
    assert not finding.ok
    assert "sync_permissions is OFF" in finding.message
    with pytest.raises(Exception, match="sync_permissions is OFF"):
        world.put_user("u1", "ada")
    assert world.users == {}


@pytest.mark.parametrize(("aggregators", "sync"), [(1, False), (1, True), (3, True)])
def test_one_set_of_accounts_is_fine_however_it_comes_about(make_world, aggregators, sync):
    world = make_world(aggregators=aggregators, sync_permissions=sync)
    assert check(world)["engine accounts"].ok
    world.put_user("u1", "ada")
    assert world.users == {"ada": False}


@pytest.mark.parametrize(
    ("version", "chosen", "remedy"),
    [
        ("7.8", {"authentication": "jwt", "require": "ssl"}, "engine_authentication"),
        ("8.5", {"authentication": "password", "require": "x509"}, "engine_require=ssl"),
        ("7.8", {"authentication": "pam:s2"}, "engine_on_deactivate=drop"),
    ],
)
def test_settings_that_the_version_cannot_do_are_told_with_the_remedy(make_world, version, chosen, remedy):
    finding = check(make_world(version, **chosen))["engine version"]
    assert not finding.ok
    assert remedy in finding.remedy


def test_a_limit_that_the_version_does_not_take_is_told(make_world):
    finding = check(make_world("8.1", authentication="jwt", require="ssl"))["engine names"]
    assert "engine_user_name_limit=32" in finding.remedy
    assert not finding.ok


def test_a_mode_of_handing_on_rights_that_nobody_has_tried_is_told(world):
    world.double.cluster.variables.defaults["privilege_transfer_mode"] = "per_privilege"
    failing = [finding for finding in world.another_target().check() if not finding.ok]
    assert ["per_privilege" in finding.message for finding in failing] == [True]


def test_locks_that_a_restart_lost_are_told(world):
    world.put_user("u1", "ada")
    world.put_user("u1", "ada", active=False)
    assert "engine locks" not in check(world)
    world.double.restart()
    finding = check(world)["engine locks"]
    assert not finding.ok
    assert "reconcile" in finding.remedy


def test_a_clock_that_is_wrong_is_told(world):
    assert check(world)["engine clock"].ok
    world.double.advance(-120)
    finding = check(world)["engine clock"]
    assert not finding.ok
    assert "120 s" in finding.message


def test_a_server_that_cannot_be_reached_is_one_finding(world):
    world.double.stop()
    assert [finding.ok for finding in world.target.check()] == [False]


def test_a_lock_out_that_is_switched_off_is_told(make_world):
    assert "engine_kill_sessions is off" in check(make_world(kill_sessions=False))["engine sessions"].message


OPPOSITE = Behaviour(
    lock_shown="OPEN",
    attribute="merge",
    case_sensitive_names=False,
    group_name_limit=255,
    repeat_grant_group="error",
    repeat_revoke_group="error",
    user_exists_error=9001,
    users_groups_user="bare",
    locked_login_error=1045,
    kill_unknown_error=9005,
    killed_listed_for=3,
    killed_session_error=1317,
    revoke_feels="next login",
)


@pytest.mark.parametrize("behaviour", [Behaviour(), OPPOSITE, Behaviour(attribute_shown=False, long_name="truncated")])
@pytest.mark.parametrize("version", ["7.8", "8.0", "8.5", "9.1"])
def test_a_probe_finds_out_what_the_server_does_and_leaves_nothing_behind(make_world, version, behaviour):
    world = make_world(version, behaviour)
    world.needs_all_of_a_name()
    world.put_user("u1", "ada")
    before = world.double.state()
    findings = list(world.target.probe())
    assert [finding for finding in findings if not finding.ok] == []
    assert world.double.state() == before
    written = read_probe(world.folder)
    assert written is not None
    assert written.version == f"{version}.1"
    assert written.facts.group_name_limit == (255 if behaviour is OPPOSITE else 64)
    assert written.facts.user_name_limit == 32
    assert written.facts.lock_shown is (version == "7.8" or behaviour is not OPPOSITE)
    assert written.facts.revoke_reaches_sessions is (behaviour is not OPPOSITE)
    assert set(written.notes) == {finding.subject.removeprefix("probe: ") for finding in findings[:-1]}
    assert check(world)["engine probe"].message.startswith("done at")


def test_what_an_operator_wrote_down_because_no_probe_can_find_it_out_outlives_the_next_one(world):
    write_probe(world.folder, Probe("8.1.1", Facts(lock_holds_for_plugins=False, lock_shown=False), "2026-01-01", {}))
    list(world.target.probe())
    written = read_probe(world.folder)
    assert written is not None
    assert not written.facts.lock_holds_for_plugins
    assert written.facts.lock_shown


def test_what_an_earlier_probe_found_of_the_same_version_counts_until_it_is_found_out_anew(world):
    careful = Facts(create_takes_all=False, lock_keeps_out=False, revoke_reaches_sessions=False)
    write_probe(world.folder, Probe(world.version, careful, "2026-01-01", {}))
    world.put_user("u1", "ada")
    with world.double.refusing_log_ins(1045):
        list(world.target.probe())
    written = read_probe(world.folder)
    assert written is not None
    found = (written.facts.create_takes_all, written.facts.lock_keeps_out, written.facts.revoke_reaches_sessions)
    assert found == (True, False, False)
    list(world.target.probe())
    written = read_probe(world.folder)
    assert written is not None
    assert written.facts.lock_keeps_out
    assert written.facts.revoke_reaches_sessions


def test_what_an_earlier_probe_left_is_removed_and_nothing_else(world):
    world.double.execute(
        "CREATE USER 'zz_scimprobe_old'@'%' IDENTIFIED BY 'x'",
        "CREATE GROUP 'zz_scimprobe_old'",
        "CREATE ROLE 'zz_scimprobe_old'",
        "CREATE USER 'zz_other'@'%' IDENTIFIED BY 'x'",
        "CREATE GROUP 'zz_other'",
        "CREATE ROLE 'zz_other'",
    )
    list(world.target.probe())
    assert world.users == {"zz_other": False}
    assert world.groups == {"zz_other": set()}
    assert set(world.state.roles) == {"zz_other"}


def test_a_probe_that_is_cut_writes_nothing(world):
    world.double.cut_before("REVOKE GROUP")
    findings = list(world.target.probe())
    assert not findings[-1].ok
    assert not (world.folder / FILE).exists()
    assert [finding.ok for finding in world.target.probe()][-1]
    assert world.users == {}


def test_a_server_whose_lock_keeps_nobody_out_is_told(make_world, monkeypatch):
    world = make_world()
    monkeypatch.setattr("scim_gateway_singlestore_engine.probe_sessions.change_user", lambda name, **_: _harmless(name))
    finding = told(list(world.target.probe()))["probe: lock"]
    assert not finding.ok
    assert "engine_on_deactivate=drop" in finding.message
    assert not check(world)["engine version"].ok
    world.target = world.another_target()
    world.put_user("u1", "ada")
    with pytest.raises(SetupFault, match="keeps nobody out"):
        world.put_user("u1", "ada", active=False)


def _harmless(name: str) -> Statement:
    return change_user(name, comment="not locked at all")


@pytest.mark.parametrize(
    ("broken", "question", "text"),
    [
        ("sessions_of", "ending sessions", "does not list an open session"),
        ("kill_connection", "ending sessions", "lives on"),
        ("grant_sight", "rights in open sessions", "not found out"),
    ],
)
def test_what_cannot_be_found_out_or_relied_upon_is_told(world, monkeypatch, broken, question, text):
    nothing = Statement("SELECT of GROUPS", "SELECT GROUP_NAME FROM information_schema.`GROUPS` WHERE GROUP_NAME = 'x'")
    monkeypatch.setattr(f"scim_gateway_singlestore_engine.probe_sessions.{broken}", lambda *_: nothing)
    monkeypatch.setattr("scim_gateway_singlestore_engine.probe_sessions._PAUSE", 0)
    finding = told(list(world.target.probe()))[f"probe: {question}"]
    assert text in finding.message
    assert finding.ok is (broken == "grant_sight")
    written = read_probe(world.folder)
    assert written is not None
    assert written.notes[question] == finding.message
    assert written.facts.revoke_reaches_sessions


def test_rights_that_the_gateway_may_not_hand_on_leave_the_question_open(world):
    world.double.fail("GRANT SHOW METADATA", 1227)
    finding = told(list(world.target.probe()))["probe: rights in open sessions"]
    assert finding.ok
    assert "may not make a role" in finding.message


def test_names_that_do_not_stand_as_they_were_sent_are_told(make_world, monkeypatch):
    monkeypatch.setattr("scim_gateway_singlestore_engine.probe_accounts._SAMPLES", {"a blank behind it": "a "})
    finding = told(list(make_world(behaviour=Behaviour(trailing_space="stripped")).target.probe()))
    assert not finding["probe: characters of names"].ok
    assert "with a blank behind it is not the one that was sent" in finding["probe: characters of names"].message


def test_where_nobody_can_log_in_by_password_that_is_told_and_the_rest_found_out(world):
    world.put_user("u1", "ada")
    with world.double.refusing_log_ins(1045):
        findings = told(list(world.target.probe()))
    assert {name for name, finding in findings.items() if not finding.ok} == {
        "probe: lock", "probe: dropped accounts", "probe: ending sessions", "probe: rights in open sessions"
    }  # fmt: skip
    assert "cannot log in from here" in findings["probe: lock"].message
    written = read_probe(world.folder)
    assert written is not None
    assert written.facts.lock_keeps_out


def test_the_backend_obeys_what_was_found(world, tmp_path):
    write_probe(tmp_path, Probe(world.version, Facts(create_takes_all=False), "2026-01-01", {}))
    world.target = world.another_target(resource_pool="slow")
    world.put_user("u1", "ada")
    row = world.account("ada")
    assert row["DEFAULT_RESOURCE_POOL"] == "slow"
    assert json.loads(row["ATTRIBUTE"])["scim"]["id"] == "u1"
    first, second = world.sent()
    assert "ATTRIBUTE" not in first
    assert second.startswith("ALTER USER 'ada'@'%' SET DEFAULT RESOURCE POOL = slow ATTRIBUTE")


def test_what_was_found_of_another_version_does_not_count(make_world, tmp_path):
    write_probe(tmp_path, Probe("8.1.1", Facts(create_takes_all=False), "2026-01-01", {}))
    world = make_world()
    world.put_user("u1", "ada")
    assert len(world.sent()) == 1
    assert "does not count any more" in check(world)["engine probe"].message


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"version": 1}', '{"version": "8.5.1", "facts": [], "at": "", "notes": 1}']
)
def test_a_file_that_says_nothing_is_none(tmp_path, text):
    (tmp_path / FILE).write_text(text)
    assert read_probe(tmp_path) is None


def test_a_file_with_wrong_or_unknown_facts_keeps_the_careful_answers(tmp_path):
    content = {
        "version": "8.5.1",
        "at": "now",
        "notes": {},
        "facts": {"lock_shown": "no", "user_name_limit": True, "x": 1},
    }
    (tmp_path / FILE).write_text(json.dumps(content))
    written = read_probe(tmp_path)
    assert written is not None
    assert written.facts == Facts()


def run(world: EngineWorld, *arguments: str, **environ: str):
    there = f"singlestore://scim_gw@127.0.0.1:{world.double.address().port}/"
    own = {"SCIM_GATEWAY_BACKEND": "engine", "SCIM_GATEWAY_DATA_DIR": str(world.folder)}
    engine = {"SCIM_GATEWAY_ENGINE_URL": there, "SCIM_GATEWAY_ENGINE_PASSWORD": PASSWORD}
    return CliRunner().invoke(main, arguments, env={**own, **engine, **environ})


def test_an_operator_probes_from_the_shell(world):
    world.needs_all_of_a_name()
    result = run(world, "check", "--probe", "--json", SCIM_GATEWAY_TOKEN="x" * 40)
    assert result.exit_code == 0, result.output
    subjects = {finding["subject"] for finding in json.loads(result.output)}
    assert {"engine privileges", "probe: lock", "probe"} <= subjects
    assert (world.folder / FILE).exists()
    assert "probe: lock" not in run(world, "check").output


def test_a_backend_without_anything_to_probe_says_so(world):
    result = run(world, "check", "--probe", SCIM_GATEWAY_BACKEND="memory")
    assert result.exit_code == 2
    assert "memory has nothing to probe" in result.output
