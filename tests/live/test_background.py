"""What ``scim-gateway serve`` does by itself: what the Engine could not take is brought there without being asked."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from engine_chaos import ACCOUNT, PASSWORD, EngineProcess
from gateway_process import serving
from scim_http import USER
from servers.fault_proxy import FaultProxy

AT_MOST = 90.0
"""Seconds to wait for; it takes a few."""


def test_a_revocation_that_the_engine_missed_reaches_it_without_another_request(tmp_path: Path) -> None:
    engine = EngineProcess(tmp_path)
    proxy = FaultProxy(engine.port)
    settings = {
        "SCIM_GATEWAY_ENGINE_URL": f"singlestore://{ACCOUNT}@127.0.0.1:{proxy.port}/",
        "SCIM_GATEWAY_ENGINE_PASSWORD": PASSWORD,
        "SCIM_GATEWAY_RECONCILE_MINUTES": "0",
    }
    try:
        with serving(tmp_path / "gateway", "engine", workers=1, **settings) as gateway:
            scim = gateway.client()
            user = scim.post("/Users", {"schemas": [USER], "userName": "ada"}).expect(201).body
            with proxy.refusing():
                answer = scim.patch(f"/Users/{user['id']}", [{"op": "replace", "path": "active", "value": False}])
                answer.expect(503)
            end_pause(tmp_path / "gateway" / "data")
            deadline = time.monotonic() + AT_MOST
            while status(engine) != "LOCKED" and time.monotonic() < deadline:
                time.sleep(0.2)
            assert status(engine) == "LOCKED"
            scim.close()
    finally:
        proxy.close()
        engine.stop()


def end_pause(data: Path) -> None:
    """Time passes: the pause after the tries of the request is over, which takes half a minute otherwise."""
    with closing(sqlite3.connect(data / "scim-gateway.db", timeout=60)) as directory, directory:
        directory.execute("UPDATE scim_work SET next_ms = 1 WHERE applied_no < gen_no")


def status(engine: EngineProcess) -> str:
    rows = engine.rows("SELECT ACCOUNT_STATUS FROM information_schema.USERS WHERE `USER` = 'ada'")
    return str(rows[0][0]).upper()
