"""The double is a fair stand-in: it speaks the document, keeps the rules that are known, and misbehaves on demand."""

from __future__ import annotations

import http.client
import json
import re
from typing import Any

import pytest
import requests
from doubles.portal.__main__ import obey
from doubles.portal.server import PortalDouble
from singlestoredb.exceptions import ManagementError
from singlestoredb.management.manager import Manager


class Session:
    """A plain client of the double."""

    def __init__(self, double: PortalDouble) -> None:
        self.double = double
        self.http = requests.Session()
        self.http.headers["Authorization"] = f"Bearer {double.key}"

    def __call__(self, method: str, path: str, **query: str) -> requests.Response:
        return self.http.request(method, self.double.url + path, params=query, timeout=5)

    def send(self, method: str, path: str, **body: Any) -> requests.Response:
        return self.http.request(method, self.double.url + path, json=body, timeout=5)


@pytest.fixture
def api(portal: PortalDouble) -> Session:
    return Session(portal)


def names(answer: requests.Response, field: str) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one[field] for one in answer.json()]


def test_an_invited_person_is_no_member_before_accepting(api, portal):
    made = api.send("POST", "/v1/invitations", email="ada@example.com")
    assert made.json()["state"] == "Pending"
    assert "ada@example.com" not in names(api("GET", "/v1/users"), "email")
    portal.organization.accept("ada@example.com")
    assert "ada@example.com" in names(api("GET", "/v1/users"), "email")
    assert names(api("GET", "/v1/invitations", state="Accepted"), "email") == ["ada@example.com"]


def test_teams_of_an_invitation_are_joined_at_acceptance_or_not_as_the_switch_says(api, portal):
    for applied in (True, False):
        portal.behaviour.teams_at_acceptance = applied
        team = portal.organization.make_team(f"team {applied}")
        api.send("POST", "/v1/invitations", email=f"{applied}@example.com", teamIDs=[team.id])
        portal.organization.accept(f"{applied}@example.com")
        assert bool(portal.organization.emails(team.name)) is applied


@pytest.mark.parametrize(("answer", "status"), [(409, 409), (400, 400), (500, 500), ("old", 200), ("another", 200)])
def test_a_second_invitation_is_answered_as_the_switch_says(api, portal, answer, status):
    portal.behaviour.invite_pending = answer
    first = api.send("POST", "/v1/invitations", email="ada@example.com").json()
    second = api.send("POST", "/v1/invitations", email="ADA@example.com")
    assert second.status_code == status
    if status == 200:
        assert (second.json()["invitationID"] == first["invitationID"]) is (answer == "old")


@pytest.mark.parametrize(("switch", "status", "applied"), [("refuse", 400, 0), ("ignore", 200, 0), ("apply", 200, 1)])
def test_adding_a_pending_person_by_email_is_answered_as_the_switch_says(api, portal, switch, status, applied):
    portal.behaviour.pending_by_email = switch
    team = portal.organization.make_team("readers")
    api.send("POST", "/v1/invitations", email="ada@example.com")
    answer = api.send("PATCH", f"/v1/teams/{team.id}", addMemberUserEmails=["ada@example.com"])
    assert answer.status_code == status
    portal.organization.accept("ada@example.com")
    assert len(portal.organization.emails("readers")) == applied


def test_a_team_update_is_all_or_nothing(api, portal):
    team = portal.organization.make_team("readers", emails=("keeper@example.com",))
    keeper = portal.organization.member("keeper@example.com")
    answer = api.send("PATCH", f"/v1/teams/{team.id}", removeMemberUserIDs=[keeper.id], addMemberUserIDs=["nobody"])
    assert answer.status_code == 400
    assert portal.organization.emails("readers") == {"keeper@example.com"}


def test_a_team_is_never_inside_itself(api, portal):
    outer, inner = portal.organization.make_team("outer"), portal.organization.make_team("inner")
    assert api.send("PATCH", f"/v1/teams/{outer.id}", addMemberTeamIDs=[inner.id]).status_code == 200
    assert api.send("PATCH", f"/v1/teams/{inner.id}", addMemberTeamIDs=[outer.id]).status_code == 400


@pytest.mark.parametrize("status", [409, 500])
def test_a_team_name_that_is_taken_is_answered_as_the_switch_says(api, portal, status):
    portal.behaviour.collision = status
    portal.behaviour.names_fold_case = True
    api.send("POST", "/v1/teams", name="Readers")
    assert api.send("POST", "/v1/teams", name="readers").status_code == status


@pytest.mark.parametrize(
    ("mode", "pattern", "found"),
    [
        ("whole", "a.b@example.com", {"a.b@example.com", "axb@example.com"}),
        ("whole", "a[.]b@example[.]com", {"a.b@example.com"}),
        ("anywhere", "b@", {"a.b@example.com", "axb@example.com"}),
        ("value", "a.b@example.com", {"a.b@example.com"}),
        ("value", "a[.]b@example[.]com", set()),
    ],
)
def test_a_filter_is_what_the_switch_says(api, portal, mode, pattern, found):
    portal.behaviour.filters = mode
    for email in ("a.b@example.com", "axb@example.com"):
        portal.organization.add_member(email)
    assert set(names(api("GET", "/v1/users", email=pattern), "email")) == found


def test_lists_lag_behind_a_change_for_as_many_calls_as_asked_for(api, portal):
    portal.behaviour.lag = 2
    made = api.send("POST", "/v1/teams", name="readers").json()
    seen = ["readers" in names(api("GET", "/v1/teams"), "name") for _ in range(3)]
    assert seen == [False, False, True]
    assert api("GET", f"/v1/teams/{made['teamID']}").status_code == 200


def test_single_resources_lag_where_that_is_asked_for(api, portal):
    portal.behaviour.lag, portal.behaviour.items_lag = 1, True
    made = api.send("POST", "/v1/teams", name="readers").json()
    assert [api("GET", f"/v1/teams/{made['teamID']}").status_code for _ in range(2)] == [404, 200]


def test_an_expired_invitation_is_gone_or_revoked_as_the_switch_says(api, portal):
    for switch, states in (("gone", []), ("revoked", ["Revoked"])):
        portal.behaviour.expired = switch
        api.send("POST", "/v1/invitations", email=f"{switch}@example.com")
        portal.organization.expire(f"{switch}@example.com")
        assert names(api("GET", "/v1/invitations", email=f"{switch}@example.com"), "state") == states


def test_a_refused_invitation_stays_visible(api, portal):
    api.send("POST", "/v1/invitations", email="ada@example.com")
    portal.organization.refuse("ada@example.com")
    assert names(api("GET", "/v1/invitations"), "state") == ["Refused"]


def test_in_the_shared_edition_an_invited_person_becomes_an_owner(api, portal):
    portal.behaviour.owners_by_default = True
    api.send("POST", "/v1/invitations", email="ada@example.com")
    ada = portal.organization.accept("ada@example.com")
    assert "ada@example.com" in portal.organization.emails("Organization Owners")
    roles = api("GET", f"/v1/users/{ada.id}/identityRoles", resourceType="Organization").json()
    assert [role["role"] for role in roles] == ["Owner"]


def test_a_person_without_an_account_cannot_be_added_at_once(api, portal):
    portal.organization.accounts.add("known@example.com")
    assert api.send("POST", "/v1/users", email="unknown@example.com").status_code == 404
    assert api.send("POST", "/v1/users", email="known@example.com").status_code == 200
    assert portal.organization.member("known@example.com")


def test_keys_expire_and_have_a_level(api, portal):
    portal.organization.keys[portal.key].level = "teams"
    assert api.send("POST", "/v1/teams", name="readers").status_code == 200
    assert api.send("POST", "/v1/invitations", email="ada@example.com").status_code == 403
    portal.organization.keys[portal.key].expires = portal.organization.now()
    assert api("GET", "/v1/users").status_code == 401


def test_what_the_document_does_not_allow_is_refused_and_remembered():
    with PortalDouble() as double:
        api = Session(double)
        assert api.send("POST", "/v1/teams", name="x", colour="red").status_code == 400
        assert api("GET", "/v1/users", page="2").status_code == 400
        assert api("PUT", "/v1/teams").status_code == 400
        assert api("GET", "/v1/teams/not-a-uuid").status_code == 400
        assert len(double.violations) == 4
        assert all(re.match(r"(POST|GET|PUT) /v1/", violation) for violation in double.violations)


@pytest.mark.parametrize(
    ("sound", "unsound"),
    [
        ({"email": "ada@example.com"}, {"email": 7}),
        ({"email": "ada@example.com"}, {"mail": "ada@example.com"}),
        ({"email": "ada@example.com", "teamIDs": []}, {"email": "ada@example.com", "teamIDs": ["ada@example.com"]}),
        (
            {"email": "ada@example.com", "teamIDs": []},
            {"email": "ada@example.com", "teamIDs": ["2026-01-01T00:00:00Z"]},
        ),
    ],
)
def test_what_is_much_like_something_that_is_allowed_is_judged_by_itself(sound, unsound):
    with PortalDouble() as double:
        api = Session(double)
        for email in ("ada@example.com", "bob@example.com"):
            assert api.send("POST", "/v1/invitations", **{**sound, "email": email}).status_code == 200
            assert api("GET", "/v1/invitations", state="Pending", email="^ada@").status_code == 200
            assert double.violations == []
        assert api.send("POST", "/v1/invitations", **unsound).status_code == 400
        assert api("GET", "/v1/invitations", state="^ada@", email="^ada@").status_code == 400
        assert len(double.violations) == 2


def test_its_own_answers_are_judged_too():
    with PortalDouble() as double:
        organization: Any = double.organization
        organization.name = 7
        assert Session(double)("GET", "/v1/organizations/current").status_code == 200
        assert len(double.violations) == 1
        assert double.violations[0].startswith("answer 200 to GET /v1/organizations/current")


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("json_errors", [False, True])
def test_every_answer_fits_the_document(api, portal, sparse, json_errors):
    portal.behaviour.sparse, portal.behaviour.json_errors, portal.behaviour.duplicates = sparse, json_errors, True
    team = portal.organization.make_team("readers", emails=("keeper@example.com",), roles=("Reader",))
    inner = portal.organization.make_team("inner")
    portal.organization.add_member("robot@example.com", kind="ServiceAccount")
    invitation = portal.organization.invite("ada@example.com", teams=("readers",))
    keeper = portal.organization.member("keeper@example.com")
    assert api.send("PATCH", f"/v1/teams/{team.id}", addMemberTeamIDs=[inner.id]).status_code == 200
    for path in (
        "/v1/organizations/current",
        "/v1/users",
        "/v1/users/current",
        f"/v1/users/{keeper.id}",
        f"/v1/users/{keeper.id}/identityRoles",
        "/v1/invitations",
        f"/v1/invitations/{invitation.id}",
        "/v1/teams",
        f"/v1/teams/{team.id}",
        f"/v1/teams/{team.id}/identityRoles",
    ):
        assert api("GET", path).status_code == 200, path
    assert api("GET", "/v1/users/nobody").status_code == 404
    assert api("DELETE", f"/v1/invitations/{invitation.id}").json() == {"invitationID": invitation.id}
    assert api("DELETE", f"/v1/users/{keeper.id}").status_code == 200
    portal.organization.add_key(portal.key, "owner@example.com")
    assert api("DELETE", f"/v1/teams/{team.id}").json() == {"teamID": team.id}


@pytest.mark.parametrize(
    ("how", "done"),
    [("cut", False), ("hang", False), ("lost", True), ("hang-after", True), ("half-body", True)],
)
def test_a_call_that_is_cut_had_its_effect_or_had_not(portal, how, done):
    portal.fail(how, "POST", "/v1/teams")
    connection = http.client.HTTPConnection(portal.url.removeprefix("http://"), timeout=0.2)
    headers = {"Authorization": f"Bearer {portal.key}", "Content-Type": "application/json"}
    connection.request("POST", "/v1/teams", json.dumps({"name": "readers"}), headers)
    with pytest.raises((OSError, http.client.HTTPException)):
        connection.getresponse().read()
    connection.close()
    assert (len([team for team in portal.organization.teams.values() if team.name == "readers"]) == 1) is done
    assert portal.faults.struck == 1


def test_a_fault_strikes_the_calls_that_it_names_and_no_others(api, portal):
    portal.fail("status", "GET", "/v1/teams", status=429, retry_after="3", skip=1, times=2)
    statuses = [api("GET", "/v1/teams").status_code for _ in range(4)]
    assert statuses == [200, 429, 429, 200]
    portal.fail("status", "POST", status=500, effect=True)
    assert api.send("POST", "/v1/teams", name="readers").status_code == 500
    assert portal.organization.team("readers")


def test_it_stops_listening_and_comes_back_on_the_same_port(api, portal):
    portal.fail("down", "GET", "/v1/users")
    for _ in range(2):
        with pytest.raises(requests.ConnectionError):
            api("GET", "/v1/users")
    portal.up()
    assert api("GET", "/v1/users").status_code == 200


def test_the_session_of_the_vendors_python_client_works_on_it(portal):
    manager = Manager(portal.key, version="v1", base_url=portal.url)
    team = manager._post("teams", json={"name": "readers"}).json()
    manager._patch(f"teams/{team['teamID']}", json={"description": "those who read"})
    shown = manager._get("teams", params={"name": "readers"}).json()
    assert [one["description"] for one in shown] == ["those who read"]
    assert manager._delete(f"teams/{team['teamID']}").json() == {"teamID": team["teamID"]}
    with pytest.raises(ManagementError, match="not found"):
        manager._get(f"teams/{team['teamID']}")


def test_the_session_of_the_vendors_python_client_tries_again_as_it_does_with_the_api(portal, monkeypatch):
    monkeypatch.setenv("SINGLESTOREDB_MANAGEMENT_RETRY_BACKOFF", "0")
    manager = Manager(portal.key, version="v1", base_url=portal.url)
    portal.fail("status", "GET", "/v1/teams", status=429, retry_after="0", times=2)
    assert len(manager._get("teams").json()) == 8
    portal.fail("cut", "GET", "/v1/users")
    assert len(manager._get("users").json()) == 2
    portal.fail("status", "POST", "/v1/teams", status=503)
    with pytest.raises(ManagementError, match="something went wrong"):
        manager._post("teams", json={"name": "readers"})
    assert [call.method for call in portal.calls].count("POST") == 1


def test_by_hand_it_is_told_what_people_do(portal):
    assert obey(portal, "accept ada@example.com") == "ada@example.com has no pending invitation"
    portal.organization.invite("ada@example.com")
    assert "ada@example.com: Pending" in obey(portal, "show")
    assert obey(portal, "accept ada@example.com") == "done"
    assert "  ada@example.com\n" in obey(portal, "show")
    assert obey(portal, "calls") == "no calls"
    assert obey(portal, "nonsense").startswith("accept EMAIL")
