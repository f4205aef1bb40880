"""``check --probe`` tells how the API answers what no document says, and leaves nothing behind."""

from __future__ import annotations

import pytest

ADDRESS = "probe@example.com"
BY_ADDRESS = "adding an invited person to a team by address"


def answers(desk) -> dict[str, str]:
    return {finding.subject.removeprefix("portal probe: "): finding.message for finding in desk.target.probe()}


def left_behind(portal) -> tuple[set[str], list[str]]:
    organization = portal.organization
    teams = {team.name for team in organization.teams.values() if not team.predefined}
    return teams, [one.state for one in organization.invitations.values() if one.state == "Pending"]


def test_without_an_address_nobody_is_invited(desk, portal):
    found = answers(desk)
    assert "names nobody" in found["invitations"]
    assert portal.organization.invitations == {}
    assert left_behind(portal) == (set(), [])


def test_every_question_has_an_answer_and_nothing_is_left(make_desk, portal):
    found = answers(make_desk(probe_address=ADDRESS))
    assert found == {
        "filters": "are regular expressions",
        "length of a team name": "64 kept, 128 kept, 256 kept, 512 refused",
        "a team name that is taken": "The SingleStore Portal answered POST /v1/teams with 500: could not save the team",
        "team names in other letter case": "are two names",
        "a new team in the list": "is there at once",
        "teams of an invitation": "are shown",
        "a second invitation": "409: probe@example.com is invited already",
        "adding an invited person to a team by address": "400: user probe@example.com does not exist",
    }
    assert left_behind(portal) == (set(), [])


@pytest.mark.parametrize(
    ("switch", "value", "question", "answer"),
    [
        ("filters", "value", "filters", "are compared as values: the gateway reads whole lists instead"),
        ("filters", "ignored", "filters", "are ignored: the gateway compares by itself"),
        ("long_names", "cut", "length of a team name", "64 kept, 128 kept, 256 kept, 512 cut to 256 characters"),
        ("names_fold_case", True, "team names in other letter case", "are one name"),
        ("collision", 409, "a team name that is taken", "409: could not save the team"),
        ("invite_pending", "old", "a second invitation", "is the first one"),
        ("invite_pending", "another", "a second invitation", "is another one"),
        (
            "pending_by_email",
            "ignore",
            "adding an invited person to a team by address",
            "is accepted and shows nowhere",
        ),
        (
            "pending_by_email",
            "apply",
            BY_ADDRESS,
            "is noted in the invitation: portal_pending_teams can be email",
        ),
    ],
)
def test_the_answers_are_those_of_the_api(make_desk, portal, switch, value, question, answer):
    setattr(portal.behaviour, switch, value)
    assert answers(make_desk(probe_address=ADDRESS))[question] == answer
    assert left_behind(portal) == (set(), [])


def test_what_a_probe_that_was_cut_left_is_cleared_away_by_the_next(make_desk, portal):
    portal.fail("cut", "DELETE", times=99)
    list(make_desk(probe_address=ADDRESS).target.probe())
    assert left_behind(portal)[0]
    portal.faults.clear()
    answers(make_desk())
    assert left_behind(portal)[0] == set()


def test_somebody_who_is_there_already_is_not_invited(make_desk, portal):
    portal.organization.add_member(ADDRESS)
    found = list(make_desk(probe_address=ADDRESS).target.probe())
    assert [finding.message for finding in found if not finding.ok] == [
        "portal_probe_address is a member or invited already"
    ]
    assert portal.organization.invitations == {}


def test_a_key_that_is_not_accepted_is_one_finding(desk, portal):
    portal.organization.keys.clear()
    assert [finding.ok for finding in desk.target.probe()] == [False]
