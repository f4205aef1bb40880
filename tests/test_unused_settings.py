"""Settings of a part that the chosen backend does not read: a forgotten backend is found by check, told by serve."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from scim_gateway import config
from scim_gateway.cli import main
from scim_gateway.serve import prepare

Check = Callable[..., list[str]]

ENGINE = {"engine_url": "singlestore://gw@127.0.0.1:1", "engine_password": "secret-of-the-engine"}
PORTAL = {"portal_api_key": "secret-of-the-portal", "portal_organization": "acme"}


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def environ(folder: Path, settings: dict[str, str]) -> dict[str, str]:
    chosen = {"data_dir": str(folder / "data"), **settings}
    return {f"SCIM_GATEWAY_{name.upper()}": value for name, value in chosen.items()}


@pytest.fixture
def check(tmp_path: Path) -> Check:
    def check(**settings: str) -> list[str]:
        result = CliRunner().invoke(main, ["check"], obj=environ(tmp_path, settings))
        assert result.exit_code in (0, 1), result.output
        lines = result.stdout.splitlines()
        found = [line for line in lines if line.startswith("FAIL settings")]
        assert result.exit_code == 1 or not found
        return found

    return check


IN_VAIN = [
    (ENGINE, "ENGINE_PASSWORD and SCIM_GATEWAY_ENGINE_URL are set, and the backend sql does not read them", "=engine"),
    (PORTAL, "PORTAL_ORGANIZATION are set, and the backend sql does not read them", "=portal"),
    ({**ENGINE, **PORTAL}, "the backend sql does not read them", "=engine+portal"),
    ({**ENGINE, **PORTAL, "backend": "engine"}, "the backend engine does not read them", "=engine+portal"),
    ({"engine_groups": "a", "backend": "memory"}, "is set, and the backend memory does not read it", "=engine"),
    ({"breaker_removals": "5"}, "BREAKER_REMOVALS is set, and the backend sql does not read it", "such as"),
    ({"database_url": "mysql://gw@127.0.0.1:1/x", "backend": "memory"}, "the backend memory does not read it", "=sql"),
    ({"database_tls": "required"}, "is set, and the directory is a file of SQLite", "SCIM_GATEWAY_DATABASE_URL"),
    ({"database_tls_ca": "/x.pem"}, "is set, and the directory is a file of SQLite", "SCIM_GATEWAY_DATABASE_URL"),
]


@pytest.mark.parametrize(("settings", "said", "remedy"), IN_VAIN)
def test_settings_that_nothing_reads_are_a_failure_of_the_check(check: Check, settings, said, remedy) -> None:
    [line] = check(**settings)
    assert line.startswith("FAIL settings: SCIM_GATEWAY_")
    assert f"{said}; remedy: " in line
    assert re.search(rf"{re.escape(remedy)}\b.*, or take (it|them) out$", line)
    assert "secret" not in line


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"backend": "memory", "data_dir": "x"},
        {"backend": "engine", **ENGINE, "breaker_removals": "5", "audit_key": "k" * 40},
        {"backend": "engine+portal", **ENGINE, **PORTAL, "reconcile_minutes": "0"},
        {"backend": "provisioned_gadget:ScriptedBackend", "tenant": "x"},
    ],
    ids=lambda settings: settings.get("backend", "sql"),
)
def test_settings_that_the_backend_reads_are_none(check: Check, settings) -> None:
    assert check(**settings) == []


def test_a_backend_of_ones_own_may_read_whatever_it_likes(check: Check) -> None:
    assert check(backend="store_of_ones_own:Store", **ENGINE) == []


def test_serve_tells_of_them_when_it_starts(tmp_path: Path) -> None:
    lines = prepare(config.load(environ(tmp_path, ENGINE))).lines
    [line] = [line for line in lines if "does not read them" in line]
    assert line.startswith("Note: SCIM_GATEWAY_ENGINE_PASSWORD and SCIM_GATEWAY_ENGINE_URL are set")
    assert line.endswith("set SCIM_GATEWAY_BACKEND=engine, or take them out.")
