"""Judges from outside: scim2-tester and scim-sanity against the running gateway, none of their checks relaxed."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import requests
from gateway_process import TOKEN, GatewayProcess
from scim2_client import BaseSyncSCIMClient
from scim2_tester import CheckResult, Status, check_server
from scim_http import ScimClient
from scim_sanity.probe.runner import run_probe_api

pytest_plugins = ["live_fixtures"]


class RequestsClient(BaseSyncSCIMClient):
    """The engine that scim2-client lacks: requests, over a real socket."""

    def __init__(self, base_url: str, token: str) -> None:
        super().__init__()
        self._base_url = base_url
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {token}"

    def request(self, method: str, url: str, **options: Any) -> requests.Response:
        """Send a request below the base URL."""
        headers = {"Accept": "application/scim+json", **dict(options.get("headers") or {})}
        body = options.get("content")
        if options.get("json") is not None:
            body = json.dumps(options["json"])
            headers.setdefault("Content-Type", "application/scim+json")
        target = url if url.startswith("http") else f"{self._base_url}/{url.lstrip('/')}"
        return self._session.request(
            method, target, params=options.get("params"), data=body, headers=headers, timeout=30
        )

    def close(self) -> None:
        """Give the socket back."""
        self._session.close()


def only_names_were_filled_in(result: CheckResult) -> bool:
    """Whether a check of scim2-tester objects to nothing but the names of referenced resources in the answer.

    It adds a manager or a member and wants back exactly what it sent. The name is not for the client to send: RFC 7643
    §4.3 has ``manager.displayName`` readOnly, and §2.4 and §8.3 show ``display`` of a member, which comes from the
    member here. So the answer holds more than was sent, by right; what was sent has to be there unchanged.
    """
    found = result.data.get("modify_actual", result.data.get("actual")) if isinstance(result.data, dict) else None
    if result.title not in ("check_add_attribute", "check_replace_attribute") or found is None:
        return False
    return without_names(plain(found)) == plain(result.data["expected"])


def plain(value: Any) -> Any:
    """A model of scim2-models as JSON."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.model_dump() if hasattr(value, "model_dump") else value


def without_names(value: Any) -> Any:
    """The value without ``members[].display`` and ``manager.displayName``, which stand next to ``$ref``."""
    if isinstance(value, list):
        return [without_names(item) for item in value]
    if isinstance(value, dict):
        names = {"display", "displayName"} if "$ref" in value else set()
        return {key: without_names(item) for key, item in value.items() if key not in names}
    return value


def test_scim2_tester_finds_nothing_to_object_to(gateway: GatewayProcess) -> None:
    client = RequestsClient(gateway.base_url, TOKEN)
    results = check_server(client)
    client.close()
    bad = [result for result in results if result.status in (Status.ERROR, Status.CRITICAL, Status.DEVIATION)]
    wrong = [result for result in bad if not only_names_were_filled_in(result)]
    assert [f"{result.title} {result.resource_type}: {result.reason}" for result in wrong] == []
    # Add and replace of the extension, of its manager, and of members: no other check is concerned.
    assert len(bad) <= 6
    counts = Counter(result.status for result in results)
    assert counts[Status.SUCCESS] > 120, counts


# A check of scim-sanity that contradicts the RFC: it adds the member "fake-member-id", an id that nobody has, and wants
# 200. RFC 7643 §4.2: the value of a member is the id of a SCIM resource; RFC 7644 §3.12: else 400 invalidValue.
FAKE_MEMBER = {
    "name": "PATCH /Groups/{id} add member",
    "status": "fail",
    "message": "Expected 200, got 400",
    "phase": "Phase 3 — Group CRUD Lifecycle",
}


def test_scim_sanity_finds_nothing_to_object_to(gateway: GatewayProcess) -> None:
    report = run_probe_api(gateway.base_url, token=TOKEN, strict=True)
    bad = [result for result in report["results"] if result["status"] in ("fail", "error", "warn")]
    assert bad == [FAKE_MEMBER]
    assert report["summary"]["passed"] > 20, report["summary"]


def test_the_check_with_the_fake_member_passes_with_a_real_one(live: ScimClient) -> None:
    user, group = live.user()["id"], live.group()["id"]
    live.patch(f"/Groups/{group}", [{"op": "add", "path": "members", "value": [{"value": user}]}]).expect(200)
    answer = live.patch(f"/Groups/{group}", [{"op": "add", "path": "members", "value": [{"value": "fake-member-id"}]}])
    answer.expect(400, "invalidValue")
    live.patch(f"/Groups/{group}", [{"op": "remove", "path": f'members[value eq "{user}"]'}]).expect(200)
