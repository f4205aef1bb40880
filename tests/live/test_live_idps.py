"""Okta and Entra ID against gunicorn over a socket: the simulation an administrator runs, and recorded traffic."""

from __future__ import annotations

from pathlib import Path

import pytest
from gateway_process import TOKEN, GatewayProcess
from scim_http import ScimClient
from transcript import FILES, Replay, load

from scim_gateway import simulate
from scim_gateway.simulate import Step

pytest_plugins = ["live_fixtures"]
ALSO_ON = ("mariadb", "engine")

SUBSET = {
    *("okta-aiw-user-lifecycle", "okta-aiw-group-push", "okta-oin-group-push", "okta-import", "okta-spec-test"),
    *("entra-user-lifecycle", "entra-user-lifecycle-legacy", "entra-group", "transport-forms"),
}


def empty(live: ScimClient) -> None:
    """Delete all users and groups: a transcript expects to be alone."""
    for path in ("/Groups", "/Users"):
        while ids := live.get(path).ids:
            for id in ids:
                live.delete(f"{path}/{id}").expect(204)


@pytest.mark.parametrize("idp", sorted(simulate.SCENARIOS))
def test_the_whole_life_cycle_goes_well_and_leaves_nothing_behind(
    gateway: GatewayProcess, live: ScimClient, idp: str
) -> None:
    steps: list[Step] = []
    assert simulate.run(idp, gateway.base_url, TOKEN, steps.append), "\n".join(str(s) for s in steps if not s.ok)
    assert len(steps) > 50
    assert all(step.ok for step in steps)
    assert TOKEN not in "".join(map(str, steps))
    for path in ("/Users", "/Groups"):
        assert live.get(path).body["totalResults"] == 0


def test_the_life_cycle_goes_well_again_and_beside_other_resources(gateway: GatewayProcess, live: ScimClient) -> None:
    user = live.user()
    group = live.group(members=[user["id"]])
    steps: list[Step] = []
    assert simulate.run("okta", gateway.base_url + "/", TOKEN, steps.append), [str(s) for s in steps if not s.ok]
    assert live.get(f"/Groups/{group['id']}").body == group
    live.delete(f"/Groups/{group['id']}").expect(204)
    live.delete(f"/Users/{user['id']}").expect(204)


@pytest.mark.parametrize("path", [path for path in FILES if path.stem in SUBSET], ids=lambda path: path.stem)
def test_recorded_traffic_gets_the_same_answers_over_a_socket(live: ScimClient, path: Path) -> None:
    empty(live)
    replay = Replay(live, load(path)).play()
    assert not replay.failures, "\n".join(replay.failures)
    empty(live)
