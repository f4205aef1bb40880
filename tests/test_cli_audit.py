"""``scim-gateway audit``, ``pause``, ``resume``, ``approve``: what an operator reads, over a real trail in SQLite."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from guarded_gadget import GuardedBackend
from provisioned_gadget import Script, ScriptedBackend
from scim_gateway_provisioning.audit_event import Event
from scim_gateway_provisioning.journal import Change
from scim_gateway_provisioning.journal import Result as TargetResult
from scim_gateway_provisioning.pause import Paused

from scim_gateway import cli_audit, config
from scim_gateway.actor import Acting, Actor
from scim_gateway.cli import main
from scim_gateway.errors import Uniqueness
from scim_gateway.provisioned import AuditEvent

Run = Callable[..., Result]
OKTA = Actor("okta", "req-1", "Okta SCIM Client 1.0.0")


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture(autouse=True)
def unlogged(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command logs nothing to standard output; an application that another test made in this process may."""
    monkeypatch.setattr(logging.getLogger("scim_gateway"), "handlers", [])


@pytest.fixture(autouse=True)
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    script = Script()
    monkeypatch.setattr(ScriptedBackend, "script", script)
    return script


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"SCIM_GATEWAY_BACKEND": "guarded_gadget:GuardedBackend", "SCIM_GATEWAY_DATA_DIR": str(tmp_path)}


@pytest.fixture
def run(environ: dict[str, str]) -> Run:
    def run(*arguments: str, code: int = 0, **settings: str) -> Result:
        variables = environ | {f"SCIM_GATEWAY_{name.upper()}": value for name, value in settings.items()}
        result = CliRunner().invoke(main, arguments, obj=variables)
        assert result.exit_code == code, f"{result.output}\n{result.stderr}\n{result.exception!r}"
        assert "Traceback" not in result.output
        return result

    return run


@pytest.fixture
def serving(environ: dict[str, str]) -> Iterator[GuardedBackend]:
    """The process that serves."""
    settings = config.load(environ)
    backend = GuardedBackend.from_settings(settings, settings.resource_types)
    yield backend
    backend.close()


def record(backend: GuardedBackend, *changes: Change, actor: Actor = OKTA) -> None:
    with Acting(actor), backend.directory.database.operation(write=True) as session:
        backend.safeguards.recorded(session, changes)


def user(id: str, name: str, **attributes: Any) -> dict[str, Any]:
    return {"id": id, "userName": name, "active": True, **attributes}


@pytest.fixture
def trail(serving: GuardedBackend) -> GuardedBackend:
    """Somebody comes, joins, is locked out, and a request is refused."""
    record(serving, Change("User", "u1", None, user("u1", "alice", title="Boss")))
    group = {"id": "g1", "displayName": "analysts"}
    record(serving, Change("Group", "g1", group, group, {"u1": "User", "u9": "User"}))
    record(serving, Change("User", "u1", user("u1", "alice"), user("u1", "alice", active=False)))
    with Acting(OKTA), serving.directory.database.operation(write=True) as session:
        serving.safeguards.marked(session, [TargetResult("engine", "User", "u1", "done")])
    with Acting(Actor("okta", "req-2", None, "create", "User")):
        serving.safeguards.refused([], Uniqueness("A User with this userName exists."))
    return serving


def lines(result: Result) -> list[str]:
    """The lines without the time, which is the database's."""
    listed = result.stdout.splitlines()
    return [" ".join(line.split("  ", 2)[::2]) for line in listed]


def test_each_event_is_a_line_that_a_person_can_read(run, trail):
    origin = "  [request req-1, Okta SCIM Client 1.0.0]"
    assert lines(run("audit")) == [
        f"1 okta: create User alice (u1) accepted: active true; userName alice; changed title{origin}",
        f"2 okta: change Group analysts (g1) accepted: added alice, u9{origin}",
        f"3 okta: change User alice (u1) accepted: active true -> false{origin}",
        f"4 okta: apply User alice (u1) done: engine done{origin}",
        "5 okta: create User refused: 409; uniqueness; A User with this userName exists.  [request req-2]",
    ]


def test_the_time_is_in_utc(run, trail):
    first = run("audit").stdout.splitlines()[0].split("  ")
    assert abs(datetime.strptime(f"{first[1]}+0000", "%Y-%m-%d %H:%M:%SZ%z") - datetime.now(UTC)).total_seconds() < 60


@pytest.mark.parametrize("who", ["alice", "ALICE", "u1"])
def test_the_events_of_one_person_are_found_by_name_and_id(run, trail, who):
    assert [line.split()[0] for line in lines(run("audit", "--user", who))] == ["1", "2", "3", "4"]


def test_the_newest_events_and_those_of_a_while_are_listed(run, trail):
    assert [line.split()[0] for line in lines(run("audit", "--limit", "2"))] == ["4", "5"]
    assert len(lines(run("audit", "--since", "2h"))) == 5
    assert len(lines(run("audit", "--since", "2020-01-01"))) == 5
    assert lines(run("audit", "--since", "2999-01-01T00:00")) == []


def test_json_is_one_object_per_line(run, trail):
    events = [json.loads(line) for line in run("audit", "--json").stdout.splitlines()]
    assert [event["sequence"] for event in events] == [1, 2, 3, 4, 5]
    assert events[2]["detail"] == {"changed": ["active"], "values": {"active": [True, False]}}
    assert events[2]["request_id"] == "req-1"
    assert "agent" not in events[4]


def test_what_happens_is_followed_until_it_is_interrupted(run, trail, monkeypatch):
    turns = iter((lambda: None, lambda: record(trail, Change("User", "u7", None, user("u7", "bob")))))

    def wait(_seconds: float) -> None:
        turn = next(turns, None)
        if turn is None:
            raise KeyboardInterrupt
        turn()

    monkeypatch.setattr(cli_audit, "wait", wait)
    assert [line.split()[0] for line in lines(run("audit", "--follow", "--limit", "1"))] == ["5", "6"]


def test_text_of_others_cannot_steer_a_terminal_or_begin_a_line(run, serving):
    record(serving, Change("User", "u1", None, user("u1", "\x1b[2Ja\nb")), actor=Actor("x", "r", "agent\r\n7  forged"))
    listed = run("audit").stdout.splitlines()
    assert len(listed) == 1
    assert "\x1b" not in listed[0]


def test_json_of_others_cannot_steer_a_terminal_either(run, serving):
    record(
        serving, Change("User", "u1\x9b31m\u202e", None, user("u1", "\x9b2Ja")), actor=Actor("x", "r", "agent\u2028")
    )
    printed = run("audit", "--json").stdout
    assert len(printed.splitlines()) == 1
    assert all(char.isprintable() for char in printed.strip())
    assert "u1\\u009b31m\\u202e" in printed


@pytest.mark.parametrize(
    ("detail", "told"),
    [
        ({"added": [f"u{number}" for number in range(9)]}, "added u0, u1, u2, u3, u4, 4 more"),
        ({"values": {"userName": ["a", None]}, "changed": ["userName"]}, "userName a -> null"),
        ({"targets": {"engine": "done", "portal": "pending: no answer"}}, "engine done; portal pending: no answer"),
        ({"minutes": 30}, "minutes 30"),
        (
            {"values": 5, "changed": "x", "added": {"a": 1}, "targets": []},
            'values 5; changed x; added {"a":1}; targets []',
        ),
        ({"values": {"active": True}}, ""),
    ],
)
def test_what_an_event_tells_is_shown_whatever_it_is(detail, told):
    event = AuditEvent(1, datetime(2026, 1, 1, tzinfo=UTC), None, "x", None, "y", None, None, None, "done", detail)
    assert cli_audit.described(event, {}).removeprefix("1  2026-01-01 00:00:00Z  x: y done").removeprefix(": ") == told


@pytest.mark.parametrize(
    "arguments", [["--since", "yesterday"], ["--since", "5x"], ["--expect-head", "12"], ["--limit", "0"]]
)
def test_wrong_options_are_exit_code_2(run, arguments):
    assert "Error:" in run("audit", *arguments, code=2).stderr


@pytest.mark.parametrize("more", [["--user", "a"], ["--since", "1h"], ["--limit", "3"], ["--follow"]])
def test_the_trail_is_verified_as_a_whole(run, more):
    assert "verified as a whole" in run("audit", "--verify", *more, code=2).stderr


def test_a_backend_without_targets_has_no_audit_trail(run):
    for command in (["audit"], ["pause", "--reason", "x"], ["resume"], ["approve"]):
        line = run(*command, code=2, backend="memory").stderr
        assert "The backend memory feeds no target" in line


# Verifying


def test_a_trail_that_is_whole_says_so_and_shows_its_head(run, trail):
    result = run("audit", "--verify")
    note, ok, head = result.stdout.splitlines()
    assert note.startswith("note: events 1 to 5 are signed with the key ")
    assert ok == "ok   the audit trail of 5 events is whole"
    assert head == f"head {trail.verify_audit().head}"


def test_a_head_from_earlier_is_found_again(run, trail):
    head = run("audit", "--verify").stdout.splitlines()[-1].removeprefix("head ")
    trail.safeguards.pause("x")
    assert f"and the head {head} is part of it" in run("audit", "--verify", "--expect-head", head).stdout
    assert f"and the head {head} is part of it" in run("audit", "--expect-head", head.upper()).stdout


def test_what_was_tampered_with_is_named_with_exit_code_1(run, trail, tmp_path):
    database = sqlite3.connect(tmp_path / "scim-gateway.db")
    database.execute("DELETE FROM scim_audit WHERE event_no = 2")
    database.commit()
    database.close()
    result = run("audit", "--verify", code=1)
    assert "FAIL event 2 is missing, so event 3 cannot be verified" in result.stdout.splitlines()
    assert "whole" not in result.stdout
    verdict = json.loads(run("audit", "--verify", "--json", code=1).stdout)
    assert verdict["whole"] is False
    assert verdict["head"]["number"] == 5
    assert len(run("audit").stdout.splitlines()) == 4, "what is left is still shown"


def test_a_cut_at_the_end_is_found_by_a_head_from_elsewhere(run, trail, tmp_path):
    head = run("audit", "--verify").stdout.splitlines()[-1].removeprefix("head ")
    database = sqlite3.connect(tmp_path / "scim-gateway.db")
    database.execute("DELETE FROM scim_audit WHERE event_no > 3")
    database.execute("UPDATE scim_guard SET event_no = 3")
    database.commit()
    database.close()
    run("audit", "--verify")
    assert "events 4 to 5 are cut off" in run("audit", "--verify", "--expect-head", head, code=1).stdout


def test_an_empty_trail_is_whole(run):
    assert run("audit").stdout == ""
    assert run("audit", "--verify").stdout == "ok   the audit trail of 0 events is whole\n"


def test_with_a_key_of_its_own_the_trail_does_not_rest_on_the_database(run, environ):
    environ["SCIM_GATEWAY_AUDIT_KEY"] = "k" * 32
    run("pause", "--reason", "x")
    result = run("audit", "--verify")
    assert "database" not in result.stdout
    assert "k" * 32 not in result.output


# Pause, resume, approve


def test_a_pause_is_obeyed_by_who_serves_until_it_ends(run, serving):
    change = Change("User", "u1", None, user("u1", "alice"))
    assert run("pause", "--reason", "The cluster moves").stdout == (
        "Paused: The cluster moves. Changes are refused until: scim-gateway resume\n"
    )
    with pytest.raises(Paused, match="The cluster moves"):
        record(serving, change)
    assert "PAUSED: The cluster moves." in run("status", code=1).stdout
    assert run("resume").stdout == "Changes are accepted again; the pause was: The cluster moves.\n"
    record(serving, change)
    assert run("resume").stdout == "There is no pause.\n"


def test_a_pause_without_a_reason_is_wrong_use(run):
    run("pause", code=2)
    assert "Say why" in run("pause", "--reason", " ", code=2).stderr


def test_an_approval_lets_removals_through_for_a_while(run, serving, environ):
    assert "30 minutes" in run("approve", "--minutes", "30").stdout
    for number in range(60):
        record(serving, Change("User", f"u{number}", user(f"u{number}", "x"), None))
    assert "approve done: minutes 30" in run("audit").stdout.splitlines()[0]
    run("approve", "--minutes", "0", code=2)


def test_a_plan_is_approved_by_its_hash(run, script):
    assert run("approve", "00112233aabbccdd").stdout == "approved\n"
    assert script.asked == [("approve", "00112233aabbccdd", 60, "command line")]


def test_what_operators_do_is_in_the_trail_as_theirs(run):
    run("pause", "--reason", "x")
    run("resume")
    run("approve")
    assert [line.split()[1:5] for line in lines(run("audit"))] == [
        ["command", "line:", "pause", "done:"],
        ["command", "line:", "resume", "done:"],
        ["command", "line:", "approve", "done:"],
    ]


def test_events_of_other_parts_of_the_gateway_are_shown_too(run, serving):
    with serving.directory.database.operation(write=True) as session:
        serving.safeguards.note(session, [Event("adopt", "done", "User", None, "dba", {"target": "engine"})])
    assert lines(run("audit")) == ["1 gateway: adopt User dba done: target engine"]


def test_who_made_and_revoked_a_token_is_in_the_trail_without_its_text(run):
    made = json.loads(run("token", "create", "okta", "--scope", "read", "--json").stdout)
    run("token", "revoke", "okta")
    run("token", "revoke", "okta", code=1)
    assert lines(run("audit")) == [
        f'1 command line: token create okta ({made["id"]}) done: expires never; scopes ["read"]',
        f"2 command line: token revoke okta ({made['id']}) done",
    ]
    assert made["token"].split("_", 2)[2] not in run("audit", "--json").stdout


def test_the_status_tells_that_removals_are_refused(run, serving, environ):
    assert "BREAKER" not in run("status").stdout
    for number in range(50):
        record(serving, Change("User", f"u{number}", user(f"u{number}", "x"), None))
    first = run("status", code=1).stdout.splitlines()[0]
    assert first.startswith("BREAKER: 50 users and groups")
    assert first.endswith("scim-gateway approve")
    assert json.loads(run("status", "--json", code=1).stdout)["removals_refused"].startswith("50 users and groups")
    run("approve")
    assert "BREAKER" not in run("status").stdout
    assert json.loads(run("status", "--json").stdout)["removals_refused"] is None
