"""Judges from outside: scim2-tester and scim-sanity against the running gateway, none of their checks relaxed."""

from __future__ import annotations

from collections import Counter

from gateway_process import TOKEN, GatewayProcess
from scim_http import ScimClient

pytest_plugins = ["live_fixtures"]


def test_scim2_tester_finds_nothing_to_object_to(gateway: GatewayProcess) -> None:
    from scim2_judge import judged, only_names_were_filled_in

    results, bad = judged(gateway.base_url, TOKEN)
    wrong = [result for result in bad if not only_names_were_filled_in(result)]
    assert [f"{result.title} {result.resource_type}: {result.reason}" for result in wrong] == []
    # Add and replace of the extension, of its manager, and of members: no other check is concerned.
    assert len(bad) <= 6
    counts = Counter(result.status.name for result in results)
    assert counts["SUCCESS"] > 120, counts


# A check of scim-sanity that contradicts the RFC: it adds the member "fake-member-id", an id that nobody has, and wants
# 200. RFC 7643 §4.2: the value of a member is the id of a SCIM resource; RFC 7644 §3.12: else 400 invalidValue.
FAKE_MEMBER = {
    "name": "PATCH /Groups/{id} add member",
    "status": "fail",
    "message": "Expected 200, got 400",
    "phase": "Phase 3 — Group CRUD Lifecycle",
}


def test_scim_sanity_finds_nothing_to_object_to(gateway: GatewayProcess) -> None:
    from scim_sanity.probe.runner import run_probe_api

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
