"""Filters: RFC 7644 §3.4.2.2 (chapter F of docs/conformance.rst)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from declared import BADGE, BADGE_EXTENSION, BADGE_SCHEMA
from scim_http import ENTERPRISE, USER, ScimClient, add, new_user, patch_op, replace

PEOPLE: dict[str, dict[str, Any]] = {
    "anna": {
        "title": "Chief",
        "active": True,
        "name": {"familyName": "Alpha"},
        "emails": [{"value": "anna@a.ch", "type": "work"}, {"value": "anna@home.ch", "type": "home"}],
        "enterprise": {"department": "Sales"},
    },
    "Bob": {
        "title": "chef",
        "active": False,
        "emails": [{"value": "bob@b.ch", "type": "work", "primary": True}, {"value": "bob@a.ch", "type": "home"}],
        "externalId": "Ext-1",
    },
    "carla": {"active": True, "phoneNumbers": [{"value": "+1 201"}], "nickName": "a) and (b"},
    "dieter": {"title": "100%", "nickName": 'say "hi"', "emails": [{"value": "dieter@c.ch"}], "externalId": "ext-1"},
    "eve": {"title": "1000", "nickName": "_x'*", "displayName": "Éve", "roles": [{"value": "r", "primary": True}]},
}


def seed(scim: ScimClient) -> ScimClient:
    for name, attributes in PEOPLE.items():
        scim.user(name, **attributes)
    return scim


@pytest.fixture
def people(scim: ScimClient) -> ScimClient:
    """A gateway that knows five people."""
    return seed(scim)


@pytest.fixture
def found(people: ScimClient) -> Callable[[str], str]:
    """A function that gives the initials of the people who match a filter."""

    def find(text: str) -> str:
        answer = people.find(text)
        assert answer.body["totalResults"] == len(answer.ids)
        return "".join(sorted(name[0].lower() for name in answer.names()))

    return find


def refused(scim: ScimClient, *texts: str, path: str = "/Users") -> None:
    """Each filter is 400 invalidFilter, by GET and by POST."""
    for text in texts:
        answer = scim.get(path, query={"filter": text})
        assert (answer.status, answer.body.get("scimType")) == (400, "invalidFilter"), f"{text}: {answer}"
        assert scim.search(path, filter=text).body.get("scimType") == "invalidFilter", text


# Grammar


@pytest.mark.rfc("F-01", "F-12", "F-13")
def test_every_operator_selects_whom_it_names(found: Callable[[str], str]) -> None:
    for text, initials in (
        ('userName eq "anna"', "a"),
        ('userName ne "anna"', "bcde"),
        ('userName co "E"', "de"),
        ('userName sw "b"', "b"),
        ('userName ew "a"', "ac"),
        ("title pr", "abde"),
        ('userName gt "bob"', "cde"),
        ('userName ge "bob"', "bcde"),
        ('userName lt "bob"', "a"),
        ('userName le "bob"', "ab"),
        ('userName EQ "anna" OR userName Eq "eve"', "ae"),
        ('userName eq "anna" AND NOT (active Eq TRUE)', ""),
        ('userName Sw "a" aNd title PR', "a"),
        ('not (userName eq "anna")', "bcde"),
        ('(userName eq "anna")', "a"),
        ('((userName eq "anna") or (userName eq "bob"))', "ab"),
        ('  userName   eq   "anna"  ', "a"),
    ):
        assert found(text) == initials, text


@pytest.mark.rfc("F-02", "EID-4670")
def test_comparisons_bind_first_then_not_and_or(found: Callable[[str], str]) -> None:
    a, b, on = 'userName eq "anna"', 'userName eq "bob"', "active eq true"
    assert found(f"{b} or {a} and {on}") == "ab"
    assert found(f"({b} or {a}) and {on}") == "a"
    assert found(f"{a} and {on} or {b}") == "ab"
    assert found(f"not ({a}) and {on}") == "cde"
    assert found(f"not (({a}) and {on})") == "bcde"
    assert found(f"not ({a} or {b}) and not (title pr)") == "c"


@pytest.mark.rfc("F-03", "EID-7319")
def test_not_needs_parentheses_and_no_blank(people: ScimClient, found: Callable[[str], str]) -> None:
    assert found("not(title pr)") == found("not (title pr)") == found("NOT  (title pr)") == "c"
    refused(people, "not title pr", 'not userName eq "a"', "not", "not ()")


@pytest.mark.rfc("F-04")
def test_an_operand_is_a_json_literal(people: ScimClient) -> None:
    refused(
        people,
        "userName eq bjensen",
        "userName eq 'anna'",
        'userName eq "anna',
        'userName eq anna"',
        "userName eq [1]",
        "userName eq {}",
        "title eq 01",
        "title eq +1",
        "title eq .5",
        "title eq 1.",
        "active eq yes",
    )


@pytest.mark.rfc("F-04", "F-16")
def test_words_in_odd_case_are_literals_by_default_only(
    people: ScimClient, make_scim: Callable[..., ScimClient]
) -> None:
    assert people.find("active eq True").body["totalResults"] == 4
    refused(make_scim(profile="strict"), "active eq True", "active eq FALSE", "title eq NULL")


@pytest.mark.rfc("F-05")
def test_escapes_are_those_of_json_and_what_is_quoted_is_data(people: ScimClient, found: Callable[[str], str]) -> None:
    assert found(r'nickName eq "say \"hi\""') == "d"
    assert found('nickName eq "a) and (b"') == "c"
    assert found(r'displayName eq "\u00c9ve"') == "e"
    assert found('displayName eq "éve"') == "e"
    assert found(r'nickName eq "a\u0029 and (b"') == "c"
    assert found('nickName eq "x\\\\y"') == ""
    refused(people, r'userName eq "\x"', r'userName eq "\u12"', 'userName eq "a\nb"', r'userName eq "\ud800"')


@pytest.mark.rfc("F-06")
def test_a_urn_ends_at_the_last_colon(found: Callable[[str], str]) -> None:
    assert found(f'{USER}:userName eq "anna"') == "a"
    assert found(f'{USER.upper()}:name.familyName eq "alpha"') == "a"
    assert found(f'{ENTERPRISE}:department eq "sales"') == "a"
    assert found(f"{ENTERPRISE}:manager.value pr") == ""
    assert found(f'{USER}:emails[type eq "work" and value co "@a"]') == "a"


@pytest.mark.rfc("F-07", "F-38")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "userName",
        "userName eq",
        'eq "a"',
        'userName xx "a"',
        'userName regex "a"',
        'userName "a"',
        '(userName eq "a"',
        'userName eq "a")',
        'userName eq "a" trailing',
        'userName eq "a" and',
        'or userName eq "a"',
        'userName eq "a" userName eq "b"',
        'userName eq "a" and or userName eq "b"',
        'userName eq "a" && title pr',
        "userName == 'a'",
        "()",
        'emails[type eq "work"',
        "emails[]",
        'emails type eq "work"]',
        'userName. eq "a"',
        '.userName eq "a"',
        'name..familyName eq "a"',
        'userName eq "a" "b"',
        "userName pr pr",
        'userName pr "a"',
        "1 eq 1",
        '"userName" eq "a"',
        "userName eq userName",
        "\x01",
        'userName eq "a"; drop table users',
    ],
)
def test_a_syntax_fault_is_invalid_filter_and_never_everybody(scim: ScimClient, text: str) -> None:
    scim.user()
    refused(scim, text)
    refused(scim, text, path="")


@pytest.mark.rfc("F-38")
def test_an_operator_that_does_not_exist_is_named(scim: ScimClient) -> None:
    answer = scim.get("/Users", query={"filter": 'userName regex "x"'}).expect(400, "invalidFilter")
    assert "regex" in answer.detail


@pytest.mark.rfc("F-08", "S-43")
def test_attributes_named_like_keywords_are_attributes(make_scim: Callable[..., ScimClient]) -> None:
    names = ["never", "notes", "order", "android", "prize", "trueness", "nullable", "false-ish", "eq", "and", "not"]
    schema = {**BADGE_SCHEMA, "attributes": [{"name": name} for name in names]}
    scim = make_scim(schemas=[schema], extensions=[BADGE_EXTENSION])
    for name in names[:8]:
        body = {**new_user(), "schemas": [USER, BADGE], BADGE: {name: "x"}}
        user = scim.post("/Users", body).expect(201).body
        assert scim.find(f'{BADGE}:{name} eq "x"').ids == [user["id"]], name
        assert scim.find(f"{BADGE}:{name} pr").ids == [user["id"]], name
    refused(scim, 'never eq "x"', "notes pr", "order pr")


@pytest.mark.rfc("F-09", "R-12")
def test_size_and_depth_of_a_filter_are_bounded(scim: ScimClient) -> None:
    refused(
        scim,
        "(" * 5000,
        "(" * 100 + "title pr" + ")" * 100,
        "not (" * 100 + "title pr" + ")" * 100,
        " or ".join(["title pr"] * 200),
        f'userName eq "{"x" * 5000}"',
    )


@pytest.mark.rfc("F-09")
def test_nothing_in_a_text_is_a_wildcard_or_a_quote(found: Callable[[str], str]) -> None:
    assert found('title co "%"') == "d"
    assert found('title co "0%"') == "d"
    assert found('title eq "100%"') == "d"
    assert found('nickName sw "_"') == "e"
    assert found('nickName co "\'"') == "e"
    assert found('nickName ew "*"') == "e"
    assert found('userName co "_"') == ""
    assert found("userName eq \"' or '1'='1\"") == ""
    assert found('userName co "\\\\"') == ""


@pytest.mark.rfc("F-10")
def test_a_filter_is_percent_decoded_once(people: ScimClient) -> None:
    assert people.get('/Users?filter=phoneNumbers.value%20eq%20"%2B1%20201"').names() == ["carla"]
    assert people.get('/Users?filter=phoneNumbers.value+eq+"%2B1+201"').names() == ["carla"]
    assert people.get('/Users?filter=phoneNumbers.value+eq+"+1+201"').names() == []
    assert people.get("/Users?filter=displayName%20eq%20%22%C3%89ve%22").names() == ["eve"]
    assert people.get("/Users?filter=title%20eq%20%22100%25%22").names() == ["dieter"]
    assert people.get("/Users?filter=title%20eq%20%22100%2525%22").names() == []
    people.get("/Users?filter=displayName%20eq%20%22%FF%22").expect(400)


# Types


@pytest.mark.rfc("F-11")
def test_texts_follow_case_exact_for_all_operators(people: ScimClient, found: Callable[[str], str]) -> None:
    for text in ('userName eq "BOB"', 'userName sw "BO"', 'userName co "oB"', 'title ew "HEF"', 'userName le "ANNA"'):
        assert found(text) in ("b", "a"), text
    assert found('externalId eq "Ext-1"') == "b"
    assert found('externalId eq "ext-1"') == "d"
    assert found('externalId sw "ext"') == "d"
    assert found('externalId lt "a"') == "b"
    assert found('externalId co "EXT"') == ""
    id = people.find('userName eq "bob"').ids[0]
    assert found(f'id eq "{id}"') == "b"
    assert found(f'id eq "{id.upper()}"') == ""


@pytest.mark.rfc("F-12")
def test_substrings_match_the_whole_operand(found: Callable[[str], str]) -> None:
    assert found('title sw "che"') == "b"
    assert found('title ew "ef"') == "ab"
    assert found('title co "chief"') == found('title sw "chief"') == found('title ew "chief"') == "a"
    assert found('title co "xchief"') == ""
    assert found('title co ""') == "abde"


@pytest.mark.rfc("F-13", "S-43")
def test_order_is_by_type(badge_scim: ScimClient) -> None:
    for name, number, weight in (("nine", 9, 9.5), ("ten", 10, 10), ("minus", -1, 0.25)):
        body = {"schemas": [USER, BADGE], "userName": name, BADGE: {"number": number, "weight": weight}}
        badge_scim.post("/Users", body).expect(201)
    for text, names in (
        ("number lt 10", ["nine", "minus"]),
        ("number le 9", ["nine", "minus"]),
        ("number gt 9", ["ten"]),
        ("number eq 10", ["ten"]),
        ("number eq 1e1", ["ten"]),
        ("number lt 9.5", ["nine", "minus"]),
        ("weight ge 9.5", ["nine", "ten"]),
        ("weight eq 10", ["ten"]),
        ("number ne 10", ["nine", "minus"]),
    ):
        assert set(badge_scim.find(f"{BADGE}:{text}").names()) == set(names), text
    refused(badge_scim, f'{BADGE}:number eq "10"', f"{BADGE}:number eq true", f"{BADGE}:number co 1")


@pytest.mark.rfc("F-14")
def test_booleans_and_binaries_have_no_order(scim: ScimClient) -> None:
    refused(
        scim,
        "active gt false",
        "active le true",
        'x509Certificates.value ge "AA=="',
        "emails[primary gt true]",
        "emails.primary lt true",
    )


@pytest.mark.rfc("F-15")
def test_substrings_of_what_is_no_text_are_refused(badge_scim: ScimClient) -> None:
    refused(
        badge_scim,
        "active co true",
        'active sw "t"',
        'meta.created co "2024"',
        'meta.lastModified sw "2024"',
        f"{BADGE}:number co 1",
        f'{BADGE}:validFrom ew "Z"',
    )


@pytest.mark.rfc("F-16", "O-16")
def test_boolean_words_in_quotes_are_read_by_default_only(people: ScimClient, strict_scim: ScimClient) -> None:
    assert people.find('active eq "false"').names() == ["Bob"]
    assert people.find('active eq "False"').names() == ["Bob"]
    assert people.find('emails[primary eq "True"]').names() == ["Bob"]
    assert people.find('roles[primary eq "True"]').names() == ["eve"]
    refused(people, 'active eq "maybe"', 'active eq ""', 'active eq "1"', "active eq 1")
    refused(strict_scim, 'active eq "true"')


@pytest.mark.rfc("F-17")
def test_date_times_compare_by_instant(badge_scim: ScimClient) -> None:
    body = {"schemas": [USER, BADGE], "userName": "a", BADGE: {"validFrom": "2024-01-01T02:00:00+02:00"}}
    badge_scim.post("/Users", body).expect(201)
    for operand in (
        "2024-01-01T00:00:00Z",
        "2024-01-01T00:00:00.000Z",
        "2024-01-01T02:00:00+02:00",
        "2023-12-31T19:00:00-05:00",
    ):
        assert badge_scim.find(f'{BADGE}:validFrom eq "{operand}"').names() == ["a"], operand
        assert badge_scim.find(f'{BADGE}:validFrom ge "{operand}"').names() == ["a"]
        assert badge_scim.find(f'{BADGE}:validFrom gt "{operand}"').names() == []
        assert badge_scim.find(f'{BADGE}:validFrom ne "{operand}"').names() == []
    assert badge_scim.find(f'{BADGE}:validFrom lt "2024-01-01T00:00:00.001Z"').names() == ["a"]
    refused(badge_scim, f'{BADGE}:validFrom gt "foo"', f'{BADGE}:validFrom gt "2024-01-01"', 'meta.created gt "now"')


@pytest.mark.rfc("F-18")
def test_last_modified_gives_delta_reads(scim: ScimClient) -> None:
    first, second = scim.user("first"), scim.user("second")
    time.sleep(0.002)  # dates have milliseconds
    moment = scim.patch(f"/Users/{first['id']}", [replace("title", "x")]).body["meta"]["lastModified"]
    assert scim.find(f'meta.lastModified eq "{moment}"').ids == [first["id"]]
    assert scim.find(f'meta.lastModified ge "{moment}"').ids == [first["id"]]
    assert scim.find(f'meta.lastModified gt "{moment}"').ids == []
    assert scim.find(f'meta.lastModified lt "{moment}"').ids == [second["id"]]


@pytest.mark.rfc("F-19")
def test_an_operand_of_the_wrong_type_is_refused(scim: ScimClient) -> None:
    refused(
        scim,
        "userName eq 5",
        "userName eq true",
        "userName eq 0",
        'active eq "x"',
        "active eq 1",
        "title gt null",
        "userName co null",
        "userName eq 99999999999999999999999999",
        "userName eq 1e999",
        "meta.created gt 5",
        "emails.primary eq 1",
    )


# Presence, null, absent


@pytest.mark.rfc("F-20")
def test_present_is_what_has_a_value(people: ScimClient, found: Callable[[str], str]) -> None:
    assert found("active pr") == "abcde"
    assert found("name pr") == "a"
    assert found("name.familyName pr") == "a"
    assert found("emails pr") == "abd"
    assert found("emails.type pr") == "ab"
    assert found(f"{ENTERPRISE}:department pr") == "a"
    assert found(f"{ENTERPRISE} pr") == "a"
    assert found("not (emails pr)") == "ce"
    assert people.find("members pr", "/Groups").ids == []


@pytest.mark.rfc("F-21", "O-10")
def test_ne_is_the_negation_of_eq_also_where_nothing_is(found: Callable[[str], str]) -> None:
    assert found('title ne "chief"') == found('not (title eq "chief")') == "bcde"
    assert found('name.familyName ne "alpha"') == "bcde"
    assert found(f'{ENTERPRISE}:department ne "Sales"') == "bcde"


@pytest.mark.rfc("F-22", "O-11")
def test_null_is_absence(people: ScimClient, found: Callable[[str], str]) -> None:
    assert found("title eq null") == found("not (title pr)") == "c"
    assert found("title ne null") == found("title pr") == "abde"
    assert found("emails eq null") == "ce"
    refused(people, "title co null", "title lt null")


@pytest.mark.rfc("F-23")
def test_what_is_absent_compares_false(found: Callable[[str], str]) -> None:
    assert found('nickName eq ""') == ""
    assert found('nickName lt "zzz"') == "cde"
    assert found('nickName co ""') == "cde"
    assert found('title ge ""') == "abde"


@pytest.mark.rfc("F-24", "O-12")
def test_an_unknown_attribute_is_refused_and_named(scim: ScimClient) -> None:
    refused(
        scim,
        'nobody eq "x"',
        "nobody pr",
        'name.nobody eq "x"',
        'emails[nobody eq "x"]',
        f'{ENTERPRISE}:nobody eq "x"',
        'urn:example:none:x eq "x"',
        'members.value eq "x"',
        'userName eq "a" or nobody pr',
    )
    assert "nobody" in scim.get("/Users", query={"filter": "nobody pr"}).detail


@pytest.mark.rfc("F-25")
def test_a_default_is_a_value_like_any_other(scim: ScimClient) -> None:
    user = scim.user()
    scim.user(active=False)
    assert scim.find("active eq true").ids == [user["id"]]
    assert scim.find("active ne false").ids == [user["id"]]


# Multi-valued and complex


@pytest.mark.rfc("F-26", "F-27")
def test_any_value_may_match_and_value_stands_for_the_element(found: Callable[[str], str]) -> None:
    assert found('emails.value eq "anna@home.ch"') == "a"
    assert found('emails co "@a"') == found('emails.value co "@a"') == "ab"
    assert found('emails eq "BOB@a.ch"') == "b"
    assert found('emails.type eq "home"') == "ab"


@pytest.mark.rfc("F-28", "F-29", "EID-4690", "EID-7322")
def test_a_value_path_asks_of_one_element_and_a_dotted_path_of_any(
    people: ScimClient, found: Callable[[str], str]
) -> None:
    assert found('emails[type eq "work" and value co "@a"]') == "a"
    assert found('emails.type eq "work" and emails.value co "@a"') == "ab"
    assert found('emails[type eq "work" or (type eq "home" and value ew "@a.ch")]') == "ab"
    assert found('emails[not (type eq "home")]') == "abd"
    assert found("emails[type pr]") == "ab"
    assert found("emails[not (type pr)]") == "d"
    assert found('emails[value eq "bob@b.ch" and primary eq true]') == "b"
    refused(
        people,
        'emails[type eq "work" and emails[value pr]]',
        'emails[emails.type eq "work"]',
        'userName[value eq "x"]',
        "emails[]",
    )


@pytest.mark.rfc("F-30")
def test_value_paths_combine_with_the_rest(found: Callable[[str], str]) -> None:
    assert found('active eq true and not (emails[type eq "home"])') == "cde"
    assert found('emails[type eq "home"] and userName eq "anna" or nickName pr') == "acde"
    assert found('not (emails[type eq "home" and value ew "@a.ch"])') == "acde"


@pytest.mark.rfc("F-31")
def test_a_complex_attribute_is_compared_by_a_part(scim: ScimClient) -> None:
    boss = scim.user(name={"givenName": "x"})
    user = scim.user(enterprise={"manager": {"value": boss["id"]}})
    refused(scim, 'name eq "x"', 'name co "x"', 'meta eq "x"', f'{ENTERPRISE} eq "x"')
    assert scim.find("name pr").ids == [boss["id"]]
    # A manager has a value, which stands for it as in a multi-valued attribute.
    assert scim.find(f'{ENTERPRISE}:manager eq "{boss["id"]}"').ids == [user["id"]]


@pytest.mark.rfc("F-32", "O-10")
def test_ne_on_several_values_means_that_none_is_equal(found: Callable[[str], str]) -> None:
    assert found('emails.value ne "anna@a.ch"') == found('not (emails.value eq "anna@a.ch")') == "bcde"
    assert found('emails.type ne "work"') == "cde"
    assert found('emails[type ne "work"]') == "abd"


@pytest.mark.rfc("F-33")
def test_a_part_behind_a_value_path_is_read_by_default_only(people: ScimClient, strict_scim: ScimClient) -> None:
    text = 'emails[type eq "work"].value eq "anna@a.ch"'
    assert people.find(text).names() == ["anna"]
    assert people.find('emails[type eq "home"].value eq "anna@a.ch"').names() == []
    refused(strict_scim, text)


@pytest.mark.rfc("F-34")
def test_schemas_can_be_filtered(found: Callable[[str], str]) -> None:
    assert found(f'schemas eq "{ENTERPRISE}"') == "a"
    assert found(f'schemas eq "{ENTERPRISE.upper()}"') == "a"
    assert found(f'schemas eq "{USER}"') == "abcde"
    assert found(f'schemas ne "{ENTERPRISE}"') == "bcde"


@pytest.mark.rfc("F-35")
def test_read_only_attributes_and_memberships_can_be_filtered_both_ways(scim: ScimClient) -> None:
    user, other = scim.user("u"), scim.user("o")
    inner = scim.group("Inner", [user["id"]])
    outer = scim.group("Outer", [inner["id"], other["id"]])
    for text, ids in (
        (f'id eq "{user["id"]}"', [user["id"]]),
        ('meta.resourceType eq "User"', [user["id"], other["id"]]),
        ('meta.resourceType eq "Group"', []),
        (f'groups.value eq "{inner["id"]}"', [user["id"]]),
        (f'groups.value eq "{outer["id"]}"', [user["id"], other["id"]]),
        (f'groups[value eq "{outer["id"]}" and type eq "direct"]', [other["id"]]),
        ('groups.display eq "inner"', [user["id"]]),
        ("groups pr", [user["id"], other["id"]]),
        ("not (groups pr)", []),
        (f'meta.location eq "{user["meta"]["location"]}"', [user["id"]]),
    ):
        assert set(scim.find(text).ids) == set(ids), text
    for text, ids in (
        (f'members.value eq "{user["id"]}"', [inner["id"]]),
        (f'members[value eq "{user["id"]}"]', [inner["id"]]),
        (f'members eq "{other["id"]}"', [outer["id"]]),
        ('members.type eq "Group"', [outer["id"]]),
        ('members[type eq "User" and display eq "u"]', [inner["id"]]),
        ('displayName eq "INNER"', [inner["id"]]),
    ):
        assert scim.find(text, "/Groups").ids == ids, text


@pytest.mark.rfc("F-35", "S-52")
def test_attributes_returned_on_request_can_be_filtered(badge_scim: ScimClient) -> None:
    body = {"schemas": [USER, BADGE], "userName": "a", BADGE: {"hint": "h"}}
    user = badge_scim.post("/Users", body).expect(201).body
    answer = badge_scim.find(f'{BADGE}:hint eq "H"')
    assert answer.ids == [user["id"]]
    assert "hint" not in answer.resources[0].get(BADGE, {})


# Security


@pytest.mark.rfc("F-36", "O-18", "B-21")
def test_what_is_never_shown_cannot_be_probed(badge_scim: ScimClient) -> None:
    scim = badge_scim
    body = {"schemas": [USER, BADGE], "userName": "a", "password": "correct horse"}
    body[BADGE] = {"pin": "1", "access": {"floor": "1", "secret": "s"}, "bare": "x"}
    user = scim.post("/Users", body).expect(201).body
    for text in (
        'password eq "correct horse"',
        'password sw "c"',
        "password pr",
        'password gt "a"',
        "password eq null",
        'userName eq "a" and password co "c"',
        'not (PASSWORD ne "x")',
        f'{USER}:password eq "x"',
        f'{BADGE}:pin eq "1"',
        f'{BADGE}:access.secret sw "s"',
        f"{BADGE}:access.secret pr",
    ):
        refused(scim, text)
        refused(scim, text, path="")
    path = f"/Users/{user['id']}"
    for text in (f'{BADGE}:access[secret eq "s"].door', 'password[value eq "x"]'):
        assert scim.patch(path, [add(text, "x")]).status == 400
        bulk = scim.bulk({"method": "PATCH", "path": path, "data": patch_op(add(text, "x"))}).expect(200).body
        assert bulk["Operations"][0]["status"] == "400"


@pytest.mark.rfc("F-37")
def test_personal_data_in_a_url_is_accepted_and_search_takes_it_out_of_it(scim: ScimClient) -> None:
    user = scim.user("person@example.com")
    text = 'userName eq "person@example.com"'
    assert scim.get("/Users", query={"filter": text}).expect(200).ids == [user["id"]]
    assert scim.search("/Users", filter=text).ids == [user["id"]]
