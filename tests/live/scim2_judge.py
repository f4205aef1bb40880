"""scim2-tester as a judge of a running gateway. To import it takes as long as fifty tests, so only its test does."""

from __future__ import annotations

import json
from typing import Any

import requests
from scim2_client import BaseSyncSCIMClient
from scim2_tester import CheckResult, Status, check_server


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


def judged(base_url: str, token: str) -> tuple[list[CheckResult], list[CheckResult]]:
    """What it has checked, and what it objects to."""
    client = RequestsClient(base_url, token)
    results = list(check_server(client))
    client.close()
    return results, [result for result in results if result.status in (Status.ERROR, Status.CRITICAL, Status.DEVIATION)]
