"""Judges from outside: scim2-tester and scim-sanity against the running gateway, none of their checks relaxed."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import requests
from gateway_process import TOKEN, GatewayProcess
from scim2_client import BaseSyncSCIMClient
from scim2_tester import Status, check_server
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


def test_scim2_tester_finds_nothing_to_object_to(gateway: GatewayProcess) -> None:
    client = RequestsClient(gateway.base_url, TOKEN)
    results = check_server(client)
    client.close()
    bad = {Status.ERROR, Status.CRITICAL, Status.DEVIATION}
    assert [
        f"{result.title} {result.resource_type}: {result.reason}" for result in results if result.status in bad
    ] == []
    counts = Counter(result.status for result in results)
    assert counts[Status.SUCCESS] > 100, counts


def test_scim_sanity_finds_nothing_to_object_to(gateway: GatewayProcess) -> None:
    report = run_probe_api(gateway.base_url, token=TOKEN, strict=True)
    bad = [result for result in report["results"] if result["status"] in ("fail", "error", "warn")]
    assert bad == []
    assert report["exit_code"] == 0
    assert report["summary"]["passed"] > 20, report["summary"]
