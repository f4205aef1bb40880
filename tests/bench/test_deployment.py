"""``scim-gateway bench`` before an Engine: the circuit breaker goes on working, no account stays open."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from deployed import TOKEN

from benchmarks.target_process import ROOT
from scim_gateway.bench import deployment, throwaway
from scim_gateway.cli import main

MADE = "^bench-[0-9a-f]{8}-"


def test_a_measurement_costs_the_removals_that_it_told_and_revocations_go_on(deploy: Any) -> None:
    gateway = deploy()
    ada = gateway.add("ada@example.com")
    asked = CliRunner().invoke(
        main, ["bench", "--url", gateway.target.url], obj={"SCIM_GATEWAY_TOKEN": TOKEN}, input="n\n"
    )
    assert asked.exit_code == 1
    assert gateway.users() == {"ada@example.com": True}
    told = re.search(r"(\d+) removals of users and groups and (\d+) of memberships", asked.stderr)
    assert told is not None, asked.stderr
    users_and_groups, memberships = map(int, told.groups())
    assert users_and_groups == 12
    assert memberships == 6
    result = gateway.bench()
    assert result.exit_code == 0, result.output + result.stderr
    assert gateway.users() == {"ada@example.com": True}
    assert gateway.groups() == []
    assert gateway.counted()["users and groups"] == users_and_groups
    assert 0 < gateway.counted()["memberships"] <= memberships
    assert gateway.set_active(ada, False) == 200


def test_more_removals_than_are_allowed_are_wrong_use_and_nothing_is_sent() -> None:
    result = CliRunner().invoke(
        main,
        ["bench", "--url", "http://127.0.0.1:9/scim/v2", "--yes", "--users", "200"],
        obj={"SCIM_GATEWAY_TOKEN": TOKEN},
    )
    assert result.exit_code == 2
    assert "336 removals" in result.stderr
    assert "scim-gateway approve" in result.stderr
    assert "--removals 336" in result.stderr


def test_where_the_breaker_holds_already_nobody_is_made_who_could_log_in(deploy: Any) -> None:
    gateway = deploy(breaker_removals="1", breaker_share="0")
    bob = gateway.add("bob@example.com")
    assert gateway.set_active(bob, False) == 200
    result = gateway.bench()
    assert result.exit_code == 1
    left = {name: active for name, active in gateway.users().items() if re.match(MADE, name)}
    assert list(left.values()) == [False]
    assert next(iter(left)) in result.stderr
    assert gateway.groups() == []


def test_where_the_breaker_refuses_on_the_way_one_account_at_most_stays_and_is_named(deploy: Any) -> None:
    gateway = deploy(breaker_removals="4", breaker_share="0")
    result = gateway.bench()
    assert result.exit_code == 1
    (left,) = gateway.users().items()
    name, active = left
    assert active
    assert gateway.groups() == []
    assert "circuit breaker" in result.stderr
    assert '{"schemas"' not in result.output
    assert "1 user (1 active)" in result.stderr
    assert name in result.stderr
    prefix = re.match(MADE, name)
    assert prefix is not None
    commands = f"scim-gateway approve, then scim-gateway bench --url {gateway.target.url} --clean-up {prefix[0]}"
    assert commands in result.stderr


def test_what_was_left_is_removed_after_an_approval(deploy: Any) -> None:
    gateway = deploy(breaker_removals="4", breaker_share="0")
    gateway.add("bench-press@example.com")
    assert gateway.bench().exit_code == 1
    (name,) = (name for name in gateway.users() if re.match(MADE, name))
    prefix = name[: len("bench-12345678-")]
    again = gateway.bench("--clean-up", prefix)
    assert again.exit_code == 1
    assert "1 user (1 active)" in again.stderr
    gateway.backend.approve(minutes=5)
    cleaned = gateway.bench("--clean-up", prefix)
    assert cleaned.exit_code == 0, cleaned.stderr
    assert cleaned.stdout == f"nothing is left of {prefix}\n"
    assert gateway.users() == {"bench-press@example.com": True}


@pytest.mark.parametrize("prefix", ["", "bench-", "a", "bench-1234567-", 'bench-12345678-" or userName pr'])
def test_nothing_is_cleaned_up_but_what_a_measurement_made(prefix: str) -> None:
    result = CliRunner().invoke(
        main,
        ["bench", "--url", "http://127.0.0.1:9/scim/v2", "--yes", "--clean-up", prefix],
        obj={"SCIM_GATEWAY_TOKEN": TOKEN},
    )
    assert result.exit_code == 2
    assert "bench-" in result.stderr


def test_what_is_approved_beforehand_is_measured_whatever_the_limit_and_not_counted(deploy: Any) -> None:
    gateway = deploy(breaker_removals="4", breaker_share="0")
    gateway.backend.approve(minutes=30)
    result = gateway.bench()
    assert result.exit_code == 0, result.output + result.stderr
    assert gateway.users() == {}
    assert gateway.groups() == []
    assert gateway.counted() == {"users and groups": 0, "memberships": 0}


def test_a_measurement_that_is_told_to_end_removes_what_it_made(deploy: Any, tmp_path: Path) -> None:
    gateway = deploy()
    command = [sys.executable, "-c", "from scim_gateway.cli import main; main()", "bench", "--yes", "--seconds", "60"]
    with (tmp_path / "output").open("w") as output:
        process = subprocess.Popen(
            [*command, "--url", gateway.target.url],
            env={**os.environ, "PYTHONPATH": str(ROOT), "SCIM_GATEWAY_TOKEN": TOKEN},
            stdout=output,
            stderr=output,
        )
        try:
            while not gateway.groups():  # everything is made by then, and the first workload under way
                assert process.poll() is None, (tmp_path / "output").read_text()
                time.sleep(0.05)
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 128 + signal.SIGTERM, (tmp_path / "output").read_text()
        finally:
            process.kill()
            process.wait()
    assert "Traceback" not in (tmp_path / "output").read_text()
    assert gateway.users() == {}
    assert gateway.groups() == []


def test_who_is_told_to_end_while_removing_goes_on_to_the_end(deploy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = deploy()
    delete = throwaway._delete_all

    def told_meanwhile(*arguments: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return delete(*arguments)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(deployment, "all_workloads", lambda groups: ())
    monkeypatch.setattr(throwaway, "_delete_all", told_meanwhile)
    assert gateway.bench().exit_code == 128 + signal.SIGTERM
    assert gateway.users() == {}
    assert gateway.groups() == []
    assert signal.getsignal(signal.SIGTERM) == before
