"""The example that feeds an Engine from within another application: what had to wait is retried there, too."""

from __future__ import annotations

import importlib.util
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from engine_world import PASSWORD, EngineWorld
from flask import Flask
from scim_http import USER
from servers.fault_proxy import FaultProxy

ROOT = Path(__file__).parents[2]
TOKEN = "a-fixed-token-of-the-intranet-0123456789"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
LOCK = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]}
LOCK |= {"Operations": [{"op": "replace", "path": "active", "value": False}]}
AT_MOST = 90.0
"""Seconds to wait for; it takes a few."""

Make = Callable[[Mapping[str, str]], Flask]


@pytest.fixture
def create_app() -> Make:
    """``create_app`` of the example."""
    spec = importlib.util.spec_from_file_location("embedding_engine", ROOT / "examples" / "embedding_engine.py")
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    made: Make = example.create_app
    return made


@pytest.fixture
def proxy(world: EngineWorld) -> Iterator[FaultProxy]:
    """The way to the Engine, which can be cut."""
    between = FaultProxy(world.double.address().port)
    yield between
    between.close()


@contextmanager
def running(create_app: Make, folder: Path, proxy: FaultProxy) -> Iterator[Flask]:
    """The application as one process runs it."""
    app = create_app(
        {
            "SCIM_GATEWAY_BACKEND": "engine",
            "SCIM_GATEWAY_DATA_DIR": str(folder / "data"),
            "SCIM_GATEWAY_TOKEN": TOKEN,
            "SCIM_GATEWAY_ENGINE_URL": f"singlestore://scim_gw@127.0.0.1:{proxy.port}/",
            "SCIM_GATEWAY_ENGINE_PASSWORD": PASSWORD,
            "SCIM_GATEWAY_RECONCILE_MINUTES": "0",
        }
    )
    try:
        yield app
    finally:
        app.extensions["scim"].close()


def miss_a_revocation(app: Flask, proxy: FaultProxy, world: EngineWorld) -> None:
    """Deactivate ada while the Engine cannot be reached, and let the pause after the request's tries be over."""
    client = app.test_client()
    user = client.post("/scim/Users", json={"schemas": [USER], "userName": "ada"}, headers=HEADERS)
    assert user.status_code == 201, user.text
    with proxy.refusing():
        answer = client.patch(f"/scim/Users/{user.json['id']}", json=LOCK, headers=HEADERS)
    assert answer.status_code == 503
    assert status(world) != "LOCKED"


def end_pause(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "data" / "scim-gateway.db", timeout=60)) as directory, directory:
        assert directory.execute("UPDATE scim_work SET next_ms = 1 WHERE applied_no < gen_no").rowcount == 1


def status(world: EngineWorld) -> str:
    rows: Any = world.double.execute("SELECT ACCOUNT_STATUS FROM information_schema.USERS WHERE `USER` = 'ada'")
    return str(rows.rows[0][0]).upper()


def wait_until_locked(world: EngineWorld) -> None:
    deadline = time.monotonic() + AT_MOST
    while status(world) != "LOCKED":
        assert time.monotonic() < deadline, "nobody retries it"
        time.sleep(0.05)


def test_a_missed_revocation_is_retried_though_the_application_never_said_start(create_app, tmp_path, proxy, world):
    with running(create_app, tmp_path, proxy) as app:
        assert app.test_client().get("/").status_code == 200
        miss_a_revocation(app, proxy, world)
        end_pause(tmp_path)
        wait_until_locked(world)
    assert not [thread for thread in threading.enumerate() if thread.name == "scim-background"]


def test_what_waited_when_the_application_stopped_is_retried_after_start_without_any_request(
    create_app, tmp_path, proxy, world
):
    with running(create_app, tmp_path, proxy) as app:
        miss_a_revocation(app, proxy, world)
    with running(create_app, tmp_path, proxy) as app:
        app.extensions["scim"].start()
        end_pause(tmp_path)
        wait_until_locked(world)
