"""The first start, as an administrator sees it: the values for Okta's page are on the screen, the token this once."""

from __future__ import annotations

import re
from pathlib import Path

from gateway_process import GatewayProcess
from scim_http import new_user

from scim_gateway import simulate


def shown(output: str, label: str) -> str:
    """What stands behind a label of Okta's page."""
    match = re.search(rf"^{re.escape(label)}: (.*)$", output, re.MULTILINE)
    assert match, output
    return match[1]


def test_what_the_first_start_prints_is_all_that_okta_needs_and_it_survives_restarts(tmp_path: Path) -> None:
    gateway = GatewayProcess(tmp_path, "sql", token=None, terminal=True)
    try:
        gateway.start()
        first = gateway.output
        url, token = shown(first, "SCIM connector base URL"), shown(first, "Authorization")
        assert url == gateway.base_url
        assert shown(first, "Unique identifier field for users") == "userName"
        assert shown(first, "Authentication Mode") == "HTTP Header"
        assert len(token) >= 32
        assert simulate.run("okta", url, token, lambda step: None)
        scim = gateway.client(token)
        user = scim.post("/Users", new_user("ann@example.com", title="Boss")).expect(201).body
        group = scim.group("Analysts", members=[user["id"]])
        scim.close()
        assert gateway.output.count(token) == 1, "the log of requests does not repeat it"

        assert gateway.stop() == 0
        gateway.start()
        second = gateway.output[len(first) :]
        assert token not in second
        assert "shown when it was made" in shown(second, "Authorization")
        scim = gateway.client(token)
        assert scim.get(f"/Users/{user['id']}").expect(200).body["title"] == "Boss"
        assert scim.get(f"/Groups/{group['id']}").expect(200).body == group
        scim.close()
        for path in (tmp_path / "data").rglob("*"):
            if path.is_file():
                assert token.encode() not in path.read_bytes(), f"{path} holds the token itself"
                assert path.stat().st_mode & 0o077 == 0, f"{path} is for others to read"
    finally:
        gateway.kill()


def test_the_data_folder_is_found_again_after_the_whole_gateway_was_killed(tmp_path: Path) -> None:
    gateway = GatewayProcess(tmp_path, "sql", workers=2)
    try:
        gateway.start()
        scim = gateway.client()
        id = scim.user()["id"]
        scim.close()
        gateway.kill()
        gateway.start()
        scim = gateway.client()
        scim.get(f"/Users/{id}").expect(200)
        scim.close()
    finally:
        gateway.kill()
