"""Groups are teams: made, renamed, described, deleted; ours by what was noted, whatever the API answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scim_gateway_provisioning.target import Unreachable

from scim_gateway.errors import Conflict, Forbidden, InvalidValue, Uniqueness

ADA = "ada@example.com"


def team_names(portal) -> set[str]:
    return {team.name for team in portal.organization.teams.values() if not team.predefined}


def test_a_group_is_a_team_with_a_description(make_desk, portal):
    make_desk(team_description="From Okta.").group("g1", "readers")
    assert team_names(portal) == {"readers"}
    assert portal.organization.team("readers").description == "From Okta. [scim g1]"


def test_putting_it_again_changes_nothing(desk, portal):
    desk.group("g1", "readers")
    desk.group("g1", "readers")
    assert len(portal.writes()) == 1


def test_a_new_name_is_one_call_and_keeps_the_members(desk, portal):
    desk.member("u1", ADA)
    desk.group("g1", "readers")
    desk.members("g1", add=["u1"])
    portal.forget_calls()
    desk.group("g1", "Readers of everything")
    assert len(portal.writes()) == 1
    assert portal.organization.emails("Readers of everything") == {ADA}


def test_a_name_that_differs_in_letter_case_only_is_a_new_name(desk, portal):
    desk.group("g1", "readers")
    desk.group("g1", "Readers")
    assert team_names(portal) == {"Readers"}


def test_a_description_that_was_changed_by_hand_is_mended(desk, portal):
    desk.group("g1", "readers")
    portal.organization.team("readers").description = "do as you like"
    desk.group("g1", "readers")
    assert "[scim g1]" in portal.organization.team("readers").description


def test_a_team_that_was_deleted_by_hand_is_made_again(desk, portal):
    desk.group("g1", "readers")
    portal.organization.delete_team(portal.organization.team("readers").id)
    desk.group("g1", "readers")
    assert team_names(portal) == {"readers"}


def test_a_deleted_group_is_a_deleted_team_and_seen_to_be_gone(desk, portal):
    desk.group("g1", "readers")
    portal.behaviour.lag, portal.behaviour.items_lag = 2, True
    desk.remove_group("g1")
    assert team_names(portal) == set()


def test_deleting_a_team_that_is_gone_is_fine(desk, portal):
    desk.group("g1", "readers")
    portal.organization.delete_team(portal.organization.team("readers").id)
    desk.remove_group("g1")
    desk.notes["g1"] = {}
    desk.remove_group("g1")


@pytest.mark.parametrize("existing", ["readers", "READERS"])
def test_a_team_that_somebody_made_is_not_taken_over_nor_changed(desk, portal, existing):
    portal.organization.make_team(existing)
    with pytest.raises(Conflict, match="scim-gateway adopt"):
        desk.group("g1", "readers")
    assert portal.writes() == []
    assert desk.notes.get("g1", {}) == {}


def test_a_description_with_our_mark_does_not_make_a_team_ours(desk, portal):
    portal.organization.make_team("readers").description = "Kept equal [scim g1]"
    with pytest.raises(Conflict):
        desk.group("g1", "readers")


def test_a_team_that_is_listed_for_adoption_keeps_its_description_and_members(desk, portal):
    portal.organization.make_team("readers", emails=("keeper@example.com",)).description = "by hand"
    desk.group("g1", "readers", adoptable=True)
    assert portal.organization.team("readers").description == "by hand"
    assert portal.organization.emails("readers") == {"keeper@example.com"}
    desk.group("g1", "Readers")
    assert portal.organization.team("Readers").description == "by hand"


@pytest.mark.parametrize("status", [409, 400, 500, 422])
def test_a_name_that_is_taken_between_look_and_creation_is_a_conflict_whatever_the_status(desk, portal, status):
    portal.behaviour.collision = status
    create = portal.organization.create_team

    def raced(name, description):
        portal.organization.create_team = create
        portal.organization.make_team(name)
        return create(name, description)

    portal.organization.create_team = raced
    with pytest.raises(Conflict):
        desk.group("g1", "readers")
    assert desk.notes["g1"] == {}
    assert portal.organization.team("readers").description == ""


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize(
    "fault",
    [{"how": "lost"}, {"how": "status", "status": 500, "effect": True}, {"how": "half-body"}, {"how": "no-json"}],
)
def test_a_creation_whose_answer_was_lost_is_found(desk, portal, fault, sparse):
    portal.behaviour.sparse = sparse
    portal.fail(method="POST", **fault)
    desk.group("g1", "readers")
    assert team_names(portal) == {"readers"}
    assert len(portal.writes()) == 1
    desk.group("g1", "Readers")
    assert team_names(portal) == {"Readers"}


def test_a_creation_that_did_not_happen_is_tried_again_by_the_next_call(desk, portal):
    portal.fail("cut", "POST")
    with pytest.raises(Unreachable):
        desk.group("g1", "readers")
    desk.group("g1", "readers")
    assert team_names(portal) == {"readers"}


@pytest.mark.parametrize("collision", [409, 400, 500])
def test_a_creation_that_was_lost_and_is_not_shown_yet_ends_with_one_team(desk, portal, collision):
    portal.behaviour.collision = collision
    portal.behaviour.lag = 3
    portal.fail("lost", "POST")
    with pytest.raises(Unreachable):
        desk.group("g1", "readers")
    for _ in range(3):
        try:
            desk.group("g1", "readers")
        except Unreachable:
            continue
    assert team_names(portal) == {"readers"}
    assert desk.notes["g1"]["team"] == portal.organization.team("readers").id


def test_a_creation_that_was_lost_is_taken_back_by_a_deletion(desk, portal):
    portal.fail("lost", "POST")
    portal.fail("cut", "GET", times=99)
    with pytest.raises(Unreachable):
        desk.group("g1", "readers")
    portal.faults.clear()
    desk.target.transport._breaker.answered()
    desk.remove_group("g1")
    assert team_names(portal) == set()


def test_a_deletion_of_what_was_never_made_touches_no_team_of_that_name(desk, portal):
    portal.fail("cut", "POST")
    with pytest.raises(Unreachable):
        desk.group("g1", "readers")
    portal.organization.make_team("readers")
    desk.remove_group("g1")
    assert team_names(portal) == {"readers"}


@pytest.mark.parametrize("status", [409, 500])
def test_a_new_name_that_is_taken_is_refused_and_nothing_changes(desk, portal, status):
    portal.behaviour.collision = status
    desk.group("g1", "readers")
    portal.organization.make_team("writers")
    with pytest.raises(Uniqueness, match="another team named"):
        desk.group("g1", "writers")
    assert team_names(portal) == {"readers", "writers"}


@pytest.mark.parametrize("fault", [{"how": "lost"}, {"how": "status", "status": 500, "effect": True}])
def test_a_new_name_whose_answer_was_lost_is_seen(desk, portal, fault):
    desk.group("g1", "readers")
    portal.fail(method="PATCH", **fault)
    desk.group("g1", "writers")
    assert team_names(portal) == {"writers"}


def test_a_new_name_that_did_not_arrive_is_sent_by_the_next_call(desk, portal):
    desk.group("g1", "readers")
    portal.fail("status", "PATCH", status=503)
    with pytest.raises(Unreachable):
        desk.group("g1", "writers")
    desk.group("g1", "writers")
    assert team_names(portal) == {"writers"}


@pytest.mark.parametrize("mode", ["refuse", "cut"])
def test_a_name_that_is_too_long_is_refused_and_leaves_nothing_behind(desk, portal, mode):
    portal.behaviour.longest_name, portal.behaviour.long_names = 10, mode
    with pytest.raises(InvalidValue):
        desk.group("g1", "readers of everything")
    assert team_names(portal) == set()
    assert desk.notes["g1"] == {}
    desk.group("g1", "readers")
    with pytest.raises(InvalidValue):
        desk.group("g1", "readers of everything")
    assert team_names(portal) == {"readers"}


@pytest.mark.parametrize("name", ["", " readers", "readers ", "a\nb", "a\x00", "a\u202eb", "\u200b", "a\u200b"])
def test_what_is_no_plain_name_never_reaches_the_api(desk, name):
    with pytest.raises(InvalidValue, match="cannot be the name of a team"):
        desk.target.name_of("Group", {"displayName": name})


@given(name=st.text(st.characters(codec="utf-8"), min_size=1, max_size=60).filter(str.isprintable).filter(str.strip))
def test_a_team_is_found_by_exactly_its_name(name):
    import re

    from scim_gateway_singlestore_portal.patterns import pattern_of

    pattern = pattern_of(name)
    for variant in (name, name.upper() if name.isascii() else name, name.lower() if name.isascii() else name):
        assert re.fullmatch(pattern, variant), (pattern, variant)
        assert re.search(pattern.encode(), variant.encode()), "a dialect that counts bytes"
    assert not set(pattern) & set("\\(){}+?|"), "no sign has a meaning that a dialect may not know"
    assert pattern.isascii()


@pytest.mark.parametrize("filters", ["whole", "anywhere", "value", "ignored"])
def test_names_full_of_signs_are_told_apart_whatever_filters_mean(make_desk, portal, filters):
    portal.behaviour.filters = filters
    desk = make_desk()
    names = [
        "a.b",
        "a+b",
        "axb",
        ".*",
        "^a$",
        "[a]",
        "(a|b)",
        "a\\b",
        "a{2}",
        "a b",
        "aa",
        "ä.b",
        "100%_",
        "?",
        "a" * 200,
    ]
    for number, name in enumerate(names):
        desk.group(f"g{number}", name)
    assert team_names(portal) == set(names)
    for number in range(len(names)):
        desk.group(f"g{number}", f"renamed {number}")
        desk.remove_group(f"g{number}")
    assert team_names(portal) == set()


PROTECTED = [
    *("Organization Owners", "organization owners", "Organization Billing Administrators", "Organization Readers"),
    *("Organization Cluster Group Writers", "Example Ltd", "EXAMPLE LTD"),
]


@pytest.mark.parametrize("name", PROTECTED)
def test_a_predefined_team_is_never_made_adopted_nor_renamed_into(desk, portal, name):
    before = portal.writes()
    with pytest.raises(Forbidden, match="is not managed"):
        desk.group("g1", name, adoptable=True)
    assert portal.writes() == before
    desk.group("g2", "readers")
    with pytest.raises(Forbidden):
        desk.group("g2", name)
    assert team_names(portal) == {"readers"}


def test_the_name_alone_is_refused_before_anything_is_recorded(desk):
    for name in PROTECTED[:5]:
        with pytest.raises(Forbidden):
            desk.target.admit("Group", name)
    desk.target.admit("Group", "Organization chart")
    desk.target.admit("Group", "readers")


def test_a_predefined_team_that_is_allowed_by_its_exact_name_can_be_adopted(make_desk, portal):
    desk = make_desk(allowed_teams=("Organization Readers", "Organization Owners"))
    desk.group("g1", "Organization Readers", adoptable=True)
    with pytest.raises(Forbidden, match="makes owners"):
        desk.group("g2", "Organization Owners", adoptable=True)
    with pytest.raises(Forbidden):
        desk.group("g3", "organization readers", adoptable=True)


def test_a_predefined_team_that_is_allowed_is_compared_like_any_other(make_desk, portal):
    portal.organization.make_team("Organization Site Administrators")
    seen = make_desk(allowed_teams=("Organization Site Administrators",)).observe().groups
    assert seen[b"organization site administrators"].protected is None
    assert seen[b"organization owners"].protected == "it makes owners"


@pytest.mark.parametrize("role", ["Owner", "User Administrator", "Billing Administrator", "org-admin"])
def test_a_team_that_holds_a_role_over_the_organization_is_protected_whatever_its_name(desk, portal, role):
    portal.organization.make_team("Friends", roles=(role,))
    with pytest.raises(Forbidden, match="holds the role"):
        desk.group("g1", "Friends", adoptable=True)
    desk.group("g2", "readers")
    portal.organization.team("readers").roles.append(portal.organization.role(role))
    for act in (lambda: desk.group("g2", "writers"), lambda: desk.remove_group("g2"), lambda: desk.members("g2")):
        with pytest.raises(Forbidden, match="holds the role"):
            act()
    assert "readers" in team_names(portal)


@pytest.mark.parametrize(
    "role", [("Reader", "Organization"), ("Owner", "Cluster"), ("Writer", "Team"), ("Owner", "Team")]
)
def test_a_team_with_other_roles_is_managed(desk, portal, role):
    desk.group("g1", "readers")
    portal.organization.team("readers").roles.append(portal.organization.role(*role))
    desk.group("g1", "writers")
    assert team_names(portal) == {"writers"}


def test_configured_patterns_protect_teams_and_people(make_desk):
    desk = make_desk(protected_teams=("prod-*",), protected_users=("*@board.example.com",))
    for kind, name in (("Group", "PROD-admins"), ("User", "Boss@board.example.com")):
        with pytest.raises(Forbidden):
            desk.target.admit(kind, name)
    with pytest.raises(Forbidden):
        desk.group("g1", "Prod-Admins")
    with pytest.raises(Forbidden):
        desk.user("u1", "boss@board.example.com")


def test_only_groups_that_match_become_teams(make_desk):
    target = make_desk(groups=("team-*", "Readers")).target
    wanted = [name for name in ("Team-A", "readers", "others") if target.wants("Group", {"displayName": name})]
    assert wanted == ["Team-A", "readers"]
    assert target.wants("User", {"userName": "x"})


def test_only_address_name_and_activity_concern_the_organization(desk):
    ada = {"userName": "ada", "emails": [{"value": ADA, "primary": True}], "active": True}
    concerns = desk.target.concerns
    assert not concerns("User", ada, {**ada, "title": "Countess", "name": {"givenName": "Ada"}})
    assert concerns("User", ada, {**ada, "active": False})
    assert concerns("User", ada, {**ada, "emails": [{"value": "x@example.com"}]})
    assert concerns("Group", {"displayName": "a"}, {"displayName": "A"})
    assert not concerns("Group", {"displayName": "a"}, {"displayName": "a", "externalId": "1"})
