"""``scim-gateway simulate`` before an Engine: its runs are removals, and what the circuit breaker keeps is told."""

from __future__ import annotations

import re
from typing import Any

import pytest
from click.testing import CliRunner
from deployed import TOKEN

from scim_gateway.cli import main


@pytest.mark.parametrize("idp", ["okta", "entra"])
def test_a_run_costs_the_removals_that_its_help_tells(deploy: Any, idp: str) -> None:
    gateway = deploy()
    assert gateway.run("simulate", idp).exit_code == 0
    help = " ".join(CliRunner().invoke(main, ["simulate", "--help"]).output.split())
    told = re.search(rf"(\d+) with {idp}", help)
    assert told is not None, help
    assert gateway.counted()["users and groups"] == int(told[1])


def test_what_the_breaker_keeps_is_named_with_the_commands_that_remove_it(deploy: Any) -> None:
    gateway = deploy(breaker_removals="2", breaker_share="0")
    gateway.add("okta.0123456789@example.com")
    result = gateway.run("simulate", "okta")
    assert result.exit_code == 1
    left = [name for name in gateway.users() if name.endswith(".invalid")]
    assert left
    assert "make one with read and write" not in result.output  # the token is not what was refused
    last = result.output.splitlines()[-2]
    assert last.startswith("FAIL left: ")
    assert all(name in last for name in [*left, *gateway.groups()])
    command = re.search(r"scim-gateway approve, then scim-gateway simulate okta --url (\S+) --clean-up (\w+)", last)
    assert command is not None, last
    assert command[1] == gateway.target.url
    gateway.backend.approve(minutes=5)
    cleaned = gateway.run("simulate", "okta", "--clean-up", command[2])
    assert cleaned.exit_code == 0, cleaned.output
    assert list(gateway.users()) == ["okta.0123456789@example.com"]
    assert gateway.groups() == []


@pytest.mark.parametrize("run", ["", "a", "@", "0123456789ab", '0123456789" or id pr'])
def test_nothing_is_cleaned_up_but_what_a_run_made(run: str) -> None:
    arguments = ["simulate", "okta", "--url", "http://127.0.0.1:9/scim/v2", "--clean-up", run]
    result = CliRunner().invoke(main, arguments, obj={"SCIM_GATEWAY_TOKEN": TOKEN})
    assert result.exit_code == 2
    assert "--clean-up" in result.stderr
