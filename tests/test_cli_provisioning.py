"""The commands about targets: what an operator reads of plans, repairs, adoptions, pending work, and the exit codes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import CliRunner, Result
from provisioned_gadget import NOTHING, Script, ScriptedBackend

from scim_gateway import cli_common, cli_provisioning
from scim_gateway.cli import main
from scim_gateway.errors import Conflict, Unavailable
from scim_gateway.provisioned import Adoption, Pending, Plan, PlanMoved, Reconciled, Repair, Step, Waiting

Run = Callable[..., Result]

HASH = "00112233aabbccdd"
GONE = Step("engine", "remove", "User", "ann", reason="not wanted in the target any more", id="1")
LOCKED = Step("engine", "change", "User", "bob", reason="active in the target, inactive in the directory", id="2")
JOINS = Step("engine", "add", "Membership", "analysts", "cid", "missing, taken away by hand", "3")
TAKEN = Step("engine", "unmanaged", "User", "dan", reason="exists already and is not the gateway's", id="4")
THEIRS = Step("engine", "unmanaged", "User", "dba", reason="not the gateway's")
ROOT = Step("engine", "protected", "User", "root", reason="protected: built in")
PLAN = Plan((GONE, LOCKED, JOINS, TAKEN, THEIRS, ROOT), HASH, warnings=("engine: eve has several hosts",))


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    script = Script()
    monkeypatch.setattr(ScriptedBackend, "script", script)
    return script


@pytest.fixture
def run() -> Run:
    def run(*arguments: str, code: int = 0, input: str | None = None, **settings: str) -> Result:
        variables = {"SCIM_GATEWAY_BACKEND": "provisioned_gadget:ScriptedBackend"}
        variables |= {f"SCIM_GATEWAY_{name.upper()}": value for name, value in settings.items()}
        result = CliRunner().invoke(main, arguments, obj=variables, input=input)
        assert result.exit_code == code, f"{result.output}\n{result.stderr}\n{result.exception!r}"
        return result

    return run


def test_a_plan_lists_what_would_be_done_and_counts_the_rest(run, script):
    script.plan = PLAN
    result = run("plan", code=2)
    assert result.stdout.splitlines() == [
        "- engine: remove user ann (not wanted in the target any more)",
        "~ engine: change user bob (active in the target, inactive in the directory)",
        "+ engine: add member cid of analysts (missing, taken away by hand)",
        "? engine: unmanaged user dan (exists already and is not the gateway's)",
        "1 to remove, 1 to change, 1 to add; 2 unmanaged, 1 protected",
        f"To carry it out: scim-gateway apply --plan {HASH}",
    ]
    assert result.stderr == "note: engine: eve has several hosts\n"


def test_a_plan_lists_everything_on_demand(run, script):
    script.plan = PLAN
    output = run("plan", "--all", code=2).stdout
    assert "? engine: unmanaged user dba (not the gateway's)" in output
    assert "! engine: protected user root (protected: built in)" in output


def test_a_plan_without_steps_is_exit_code_0(run, script):
    assert run("plan").stdout == "nothing to do\n"
    script.plan = Plan((THEIRS,), HASH)
    assert run("plan").stdout == "nothing to do; 1 unmanaged\n"


def test_a_plan_that_needs_an_approval_says_so(run, script):
    script.plan = Plan((GONE,), HASH, staged="The plan removes 1 of 1 users.")
    output = run("plan", code=2).stdout
    assert "Needs an approval: The plan removes 1 of 1 users." in output
    assert f"scim-gateway approve {HASH}" in output


def test_a_plan_as_json_holds_every_step(run, script):
    script.plan = PLAN
    document = json.loads(run("plan", "--json", "--target", "engine", code=2).stdout)
    assert (document["plan"], document["to_do"], document["staged"]) == (HASH, 3, None)
    assert document["counts"] == {"add": 1, "change": 1, "remove": 1, "unmanaged": 2, "protected": 1}
    assert document["steps"][2] == {
        "target": "engine", "action": "add", "kind": "Membership", "name": "analysts", "member": "cid",
        "reason": "missing, taken away by hand", "id": "3",
    }  # fmt: skip
    assert document["warnings"] == ["engine: eve has several hosts"]
    assert script.asked == [("plan", "engine", "gateway")]


def test_names_of_others_cannot_write_on_the_terminal(run, script):
    script.plan = Plan((Step("engine", "add", "User", "a\x1b[2Jb\n+ fake", reason="missing", id="1"),), HASH)
    output = run("plan", code=2).stdout
    assert "\x1b" not in output
    assert len(output.splitlines()) == 3


def test_an_applied_plan_says_how_much_was_done(run, script):
    script.repairs = [Repair(PLAN, NOTHING, 3)]
    assert run("apply", "--plan", HASH).stdout == "3 steps done; nothing to do\n"
    assert script.asked == [("apply", HASH, "command line")]


def test_what_is_left_after_applying_is_listed_and_a_problem(run, script):
    script.repairs = [Repair(PLAN, Plan((LOCKED,), HASH), 2, ["engine: User bob: it is unreachable"])]
    result = run("apply", "--plan", HASH, code=1)
    assert result.stdout.splitlines() == [
        "left: ~ engine: change user bob (active in the target, inactive in the directory)",
        "2 steps done; 1 to change",
    ]
    assert result.stderr == "engine: User bob: it is unreachable\n"


def test_a_plan_that_moved_is_refused_with_what_moved(run, script):
    moved = PlanMoved("The plan is another one by now.", Plan((LOCKED,), "ff" * 8), [LOCKED], [GONE])
    script.repairs = [moved, moved]
    result = run("apply", "--plan", HASH, code=1)
    assert result.stdout.splitlines() == [
        "now as well: ~ engine: change user bob (active in the target, inactive in the directory)",
        "not any more: - engine: remove user ann (not wanted in the target any more)",
    ]
    assert result.stderr == "Error: The plan is another one by now.\n"
    document = json.loads(run("apply", "--plan", HASH, "--json", code=1).stdout)
    assert document["plan"] == "ff" * 8
    assert [step["name"] for step in document["appeared"] + document["vanished"]] == ["bob", "ann"]


def test_a_plan_that_needs_an_approval_or_is_being_applied_is_one_line(run, script):
    script.repairs = [Conflict("The plan removes 90 of 100 users.")]
    assert run("apply", "--plan", HASH, code=1).stderr == "Error: The plan removes 90 of 100 users.\n"


def test_applying_needs_the_hash(run, script):
    assert "--plan" in run("apply", code=2).stderr
    assert not script.asked


def test_reconciling_once_mends_and_says_so(run, script):
    script.repairs = [Repair(PLAN, NOTHING, 3), Repair(PLAN, NOTHING, 3)]
    assert run("reconcile").stdout == "3 steps done; nothing to do\n"
    document = json.loads(run("reconcile", "--once", "--json", "--target", "engine").stdout)
    assert (document["done"], document["left"]["to_do"], document["problems"]) == (3, 0, [])
    assert document["found"]["remove"] == 1
    assert script.asked == [("reconcile", None, "command line"), ("reconcile", "engine", "command line")]


def test_reconciling_leaves_what_needs_somebody_and_is_a_problem(run, script):
    staged = Plan((GONE,), HASH, staged="The plan removes 1 of 1 users.")
    script.repairs = [Repair(staged, staged, 0, ["Nothing was changed in engine: …"])]
    result = run("reconcile", code=1)
    assert "left: - engine: remove user ann" in result.stdout
    assert "Nothing was changed in engine" in result.stderr
    assert f"scim-gateway approve {HASH}" in result.stderr


def test_of_a_target_that_could_not_be_compared_nothing_is_concluded(run, script):
    down = "engine cannot be compared: it is unreachable."
    script.repairs = [Repair(NOTHING, NOTHING, 0, [down], ["engine"])] * 2
    result = run("reconcile", code=1)
    assert result.stdout == "not compared: engine\n"
    assert result.stderr == f"{down}\n"
    assert json.loads(run("reconcile", "--json", code=1).stdout)["not_compared"] == ["engine"]
    script.repairs = [Repair(PLAN, NOTHING, 3, [down], ["engine"])]
    assert run("reconcile", code=1).stdout == "3 steps done; nothing to do; not compared: engine\n"


@pytest.mark.parametrize("arguments", [["--once", "--watch"], ["--watch", "--once"], ["--every", "5m"]])
def test_options_of_reconcile_that_contradict_each_other_are_wrong_use(run, script, arguments):
    line = run("reconcile", *arguments, code=2).stderr
    assert "--watch" in line
    assert script.asked == []


def test_watching_goes_on_through_trouble_until_it_is_interrupted(run, script, monkeypatch):
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(cli_provisioning, "wait", wait)
    script.repairs = [Repair(PLAN, NOTHING, 3), Unavailable("engine cannot be compared."), Repair(NOTHING, NOTHING, 0)]
    result = run("reconcile", "--watch", "--every", "5m", code=1)
    assert result.stdout.splitlines()[:2] == ["3 steps done; nothing to do", "0 steps done; nothing to do"]
    assert "engine cannot be compared." in result.stderr
    assert waits == [300, 300, 300]


def test_watching_as_json_is_one_line_a_round(run, script, monkeypatch):
    def wait(seconds: float) -> None:
        if not script.repairs:
            raise KeyboardInterrupt

    monkeypatch.setattr(cli_provisioning, "wait", wait)
    script.repairs = [Repair(PLAN, NOTHING, 3), Repair(NOTHING, NOTHING, 0)]
    lines = run("reconcile", "--watch", "--json", code=1).stdout.splitlines()
    assert [json.loads(line)["done"] for line in lines if line] == [3, 0]


@pytest.mark.parametrize("span", ["soon", "0m", "15", "-5m", "1d"])
def test_a_pause_that_makes_no_sense_is_refused(run, script, span):
    assert "no span" in run("reconcile", "--watch", f"--every={span}", code=2).stderr


def adoption(name: str, state: str, reason: str = "") -> Adoption:
    return Adoption("engine", "User", name, state, reason)


def test_adoption_says_of_each_name_what_becomes_of_it(run, script):
    script.adoptions = [
        adoption("ann", "ready"), adoption("bob", "listed"), adoption("cid", "managed"),
        adoption("root", "protected", "built in"), adoption("nobody", "absent"),
    ]  # fmt: skip
    result = run("adopt", "engine", "user", "ann", "bob", "ann", "--pattern", "c*", code=1)
    assert result.stdout.splitlines() == [
        "ann  is adopted by the next plan that is applied: the directory has one of this name",
        "bob  is adopted when the identity provider sends one of this name",
        "cid  is the gateway's already",
        "root  is protected and not adopted: built in",
        "nobody  does not exist in the target",
        "1 ready, 1 listed, 1 managed, 1 protected, 1 absent",
    ]
    assert script.asked == [("adopt", "engine", "User", ["ann", "bob"], ["c*"], False, "command line")]


def test_names_to_adopt_come_from_a_file_or_standard_input(run, script, tmp_path):
    script.adoptions = [adoption("ann", "listed")]
    file = tmp_path / "names"
    file.write_text("ann\n\n  bob  \n", "utf-8")
    assert (
        "1 listed (nothing was listed: --dry-run)"
        in run("adopt", "engine", "group", "--from-file", str(file), "--dry-run").stdout
    )
    run("adopt", "engine", "group", "--from-file", "-", input="cid\n")
    assert script.asked == [
        ("adopt", "engine", "Group", ["ann", "bob"], [], True, "command line"),
        ("adopt", "engine", "Group", ["cid"], [], False, "command line"),
    ]


def test_a_kind_is_understood_as_the_resource_type_is_written(run, script):
    script.adoptions = [Adoption("engine", "Group", "analysts", "listed")]
    run("adopt", "engine", "Group", "analysts")
    assert script.asked == [("adopt", "engine", "Group", ["analysts"], [], False, "command line")]


def test_adoption_as_json(run, script):
    script.adoptions = [adoption("ann", "listed")]
    assert json.loads(run("adopt", "engine", "user", "ann", "--json").stdout) == [
        {"target": "engine", "kind": "User", "name": "ann", "state": "listed", "reason": ""}
    ]


def test_the_list_is_shown_and_names_are_withdrawn(run, script):
    script.adoptions = [adoption("ann", "listed"), Adoption("engine", "Group", "g", "listed")]
    assert run("adopt", "engine", "user", "--list").stdout.splitlines()[-1] == "1 listed"
    assert run("adopt", "engine", "user", "ann", "--withdraw").stdout == "1 of 1 taken off the list\n"
    assert json.loads(run("adopt", "engine", "user", "ann", "--withdraw", "--json").stdout) == {"withdrawn": 1}
    assert [asked[0] for asked in script.asked] == ["adoptions", "withdraw", "withdraw"]


@pytest.mark.parametrize(
    "arguments", [["adopt", "engine", "user"], ["adopt", "engine", "user", "--pattern", "*", "--withdraw"]]
)
def test_adoption_without_names_is_wrong_use(run, script, arguments):
    assert "Error:" in run(*arguments, code=2).stderr
    assert not script.asked


AT = datetime(2026, 11, 25, 20, 0, tzinfo=UTC)


def pending(**more: Any) -> Pending:
    values = {"name": "ann", "attempts": 2, "next_try": AT, "error": "unreachable", "revoking": True}
    return Pending("engine", "User", "1", since=AT, **values | more)


def test_pending_work_is_listed_with_its_reason_and_is_a_problem(run, script):
    assert run("pending").stdout == "nothing is pending\n"
    script.pending = [pending(), pending(name=None, attempts=1, next_try=None, error=None, revoking=False)]
    then = "next try 2026-11-25 20:00:00Z: unreachable"
    assert run("pending", code=1).stdout.splitlines() == [
        f"engine  User ann  since 2026-11-25 20:00:00Z, takes rights away, 2 attempts, {then}",
        "engine  User 1  since 2026-11-25 20:00:00Z, gives rights, 1 attempt",
        "2 pending",
    ]
    assert json.loads(run("pending", "--json", code=1).stdout)[0]["error"] == "unreachable"


WAITS = Waiting("portal", "User", "2", "bob@example.com", "invited on 2026-11-25")
STUCK = Waiting("portal", "User", "3", "eve@example.com", "REFUSED the invitation:\ntalk to the person", stuck=True)


def test_what_waits_for_somebody_is_listed_on_demand_and_is_a_problem_when_it_is_stuck(run, script):
    script.waiting = [WAITS]
    assert run("pending").stdout == "nothing is pending\n"
    assert run("pending", "--waiting").stdout.splitlines() == [
        "portal  User bob@example.com  waits: invited on 2026-11-25",
        "nothing is pending, 1 waiting",
    ]
    script.waiting = [STUCK, WAITS]
    lines = run("pending", "--waiting", code=1).stdout.splitlines()
    assert lines[0].startswith("portal  User eve@example.com  is stuck: REFUSED the invitation:")
    assert lines[2] == "nothing is pending, 2 waiting (1 stuck)"
    script.pending = [pending()]
    document = json.loads(run("pending", "--waiting", "--json", code=1).stdout)
    assert [one["name"] for one in document["pending"]] == ["ann"]
    assert [(one["name"], one["stuck"]) for one in document["waiting"]] == [
        ("eve@example.com", True),
        ("bob@example.com", False),
    ]


def test_the_status_counts_what_waits_and_is_a_problem_when_it_is_stuck(run, script):
    script.waiting = [WAITS]
    assert run("status").stdout.splitlines()[::2] == ["engine: 0 pending", "portal: 0 pending, 1 waiting"]
    script.waiting = [STUCK, WAITS]
    line = run("status", code=1).stdout.splitlines()[2]
    assert line == "portal: 0 pending, 2 waiting (1 stuck; scim-gateway pending --waiting)"
    rows = json.loads(run("status", "--json", code=1).stdout)["targets"]
    assert [(row["waiting"], row["stuck"]) for row in rows] == [(0, 0), (2, 1)]


def test_the_status_is_one_look(run, script):
    assert run("status").stdout.splitlines() == [
        "engine: 0 pending", "  never compared; scim-gateway plan does it",
        "portal: 0 pending", "  never compared; scim-gateway plan does it",
    ]  # fmt: skip
    script.paused, script.pending = "audit of the database", [pending()]
    script.reconciled = [
        Reconciled("engine", AT, {"add": 2, "unmanaged": 7, "left": 1}, "It was unreachable."),
        Reconciled("portal", AT, {"left": 0}),
    ]
    assert run("status", code=1).stdout.splitlines() == [
        "PAUSED: audit of the database",
        "engine: 1 pending (1 take rights away), the oldest since 2026-11-25 20:00:00Z",
        "  compared 2026-11-25 20:00:00Z: 2 add, 7 unmanaged; 1 left",
        "  It was unreachable.",
        "portal: 0 pending",
        "  compared 2026-11-25 20:00:00Z: no difference",
    ]
    document = json.loads(run("status", "--json", code=1).stdout)
    assert document["paused"] == "audit of the database"
    assert [row["pending"] for row in document["targets"]] == [1, 0]


@pytest.mark.parametrize(
    "arguments",
    [["plan"], ["apply", "--plan", HASH], ["reconcile"], ["adopt", "x", "user", "a"], ["pending"], ["status"]],
)
def test_a_backend_without_targets_is_one_line_and_wrong_use(run, arguments):
    line = run(*arguments, code=2, backend="memory").stderr
    assert "The backend memory feeds no target" in line
    assert len(line.splitlines()) == 1


def test_a_bar_is_shown_on_a_terminal_and_not_in_a_pipe(run, script, monkeypatch, capsys):
    assert "comparing" not in run("plan").stderr
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with cli_common.progress_bar("comparing") as progress:
        assert progress is not None
        progress(0, 10)
        progress(10, 10)
    assert "100%" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "kind", "name"), [("users", "User", "userName"), ("groups", "Group", "displayName")]
)
def test_a_resource_is_shown_with_its_state_in_each_target(run, script, command, kind, name):
    script.states = {"engine": {"name": "ann", "state": "pending", "error": "unreachable"}}
    moment = "2026-11-25T20:00:00.000Z"
    meta = {"resourceType": kind, "created": moment, "lastModified": moment, "version": 'W/"1"'}
    schema = f"urn:ietf:params:scim:schemas:core:2.0:{kind}"
    script.resources = [{"schemas": [schema], "id": "abc", name: "ann", "meta": meta}]
    for key in ("abc", "ann"):
        document = json.loads(run(command, "show", key).stdout)
        assert (document[name], document["targets"]) == ("ann", script.states)
    assert [asked[:2] for asked in script.asked] == [("state_of", "abc")] * 2
