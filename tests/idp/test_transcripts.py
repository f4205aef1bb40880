"""What identity providers send, replayed request by request against an empty gateway on each backend."""

from __future__ import annotations

from pathlib import Path

import pytest
from rows import EVERY_ROW
from scim_http import MakeScim
from transcript import FILES, Replay, load

ALSO_ON = ("mariadb",)

# Okta's entitlement discovery needs a resource type of that kind; the gateway gets one from its configuration.
ROLE_SCHEMA = {
    "id": "urn:example:params:scim:schemas:Role",
    "name": "Role",
    "description": "An entitlement that Okta may hand out.",
    "attributes": [{"name": "displayName", "type": "string", "required": True, "uniqueness": "server"}],
}
ROLE_TYPE = {"name": "Role", "endpoint": "/Roles", "description": "Role", "schema": ROLE_SCHEMA["id"]}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_request_of_the_transcript_gets_the_answer_the_identity_provider_needs(
    path: Path, make_scim: MakeScim
) -> None:
    transcript = load(path)
    settings = {"profile": transcript["profile"]} if "profile" in transcript else {}
    if path.stem == "okta-entitlements-test":
        scim = make_scim(schemas=[ROLE_SCHEMA], resource_types=[ROLE_TYPE], **settings)
        scim.post("/Roles", {"schemas": [ROLE_SCHEMA["id"]], "displayName": "Auditor"}).expect(201)
    else:
        scim = make_scim(**settings)

    replay = Replay(scim, transcript).play()

    assert not replay.failures, "\n".join(replay.failures)
    assert replay.played == len(transcript.get("setup", ())) + len(transcript["steps"])


# A profile is the core's alone: no backend knows of it, and what is stored is replayed on each of them above.
OWN_PROFILE_ON = ("memory", "sql", *(("engine", "portal") if EVERY_ROW else ()), "engine+portal")
# The entitlements need a resource type of their own; they are replayed above.
OKTA = [path for path in FILES if path.stem.startswith("okta") and path.stem != "okta-entitlements-test"]


@pytest.mark.parametrize("backend", OWN_PROFILE_ON, indirect=True)
@pytest.mark.parametrize("path", OKTA, ids=lambda path: path.stem)
def test_okta_needs_no_more_than_the_allowances_of_its_own_profile(path: Path, make_scim: MakeScim) -> None:
    replay = Replay(make_scim(profile="okta"), load(path)).play()
    assert not replay.failures, "\n".join(replay.failures)


@pytest.mark.parametrize("backend", OWN_PROFILE_ON, indirect=True)
@pytest.mark.parametrize("path", [path for path in FILES if path.stem.startswith("entra")], ids=lambda path: path.stem)
def test_entra_needs_no_more_than_the_allowances_of_its_own_profile(path: Path, make_scim: MakeScim) -> None:
    replay = Replay(make_scim(profile="entra"), load(path)).play()
    assert not replay.failures, "\n".join(replay.failures)


def test_no_transcript_is_missing_or_there_twice() -> None:
    scenarios = {(transcript["idp"], transcript["scenario"]) for transcript in map(load, FILES)}
    assert len(scenarios) == len(FILES) == 18
