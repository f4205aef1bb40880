"""PATCH by add, remove and replace: RFC 7644 §3.5.2.1 to §3.5.2.3 (chapter P, P-19 to P-54)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from declared import BADGE
from patching import EMAILS, NAME, change, content, keep, refuse, someone, values
from scim_http import ENTERPRISE, USER, ScimClient, add, remove, replace

# P.c add


@pytest.mark.rfc("P-19")
def test_add_and_replace_need_a_value(any_scim: ScimClient) -> None:
    resource = someone(any_scim)
    for path in ("title", "emails", "name", None, 'emails[type eq "work"].value'):
        for op in ("add", "replace"):
            refuse(any_scim, resource, "invalidValue", {"op": op} | ({"path": path} if path else {}))


@pytest.mark.rfc("P-20")
def test_add_without_a_path_merges_attribute_by_attribute(any_scim: ScimClient) -> None:
    new = {"value": "other@example.com", "type": "other"}
    path = someone(any_scim)
    after = change(any_scim, path, add(None, {"title": "x", "emails": [new], "name": {"middleName": "J"}}))
    assert (after["title"], after["emails"], after["name"]) == ("x", [*EMAILS, new], {**NAME, "middleName": "J"})
    for value in ("x", 5, ["x"], None):
        refuse(any_scim, path, "invalidValue", add(None, value))


@pytest.mark.rfc("P-21")
def test_add_overwrites_a_single_value(any_scim: ScimClient) -> None:
    assert change(any_scim, someone(any_scim), add("title", "A"), add("title", "B"))["title"] == "B"


@pytest.mark.rfc("P-22")
def test_add_merges_a_complex_value(any_scim: ScimClient) -> None:
    path = someone(any_scim)
    assert change(any_scim, path, add("name", {"givenName": "B"}))["name"] == {**NAME, "givenName": "B"}
    refuse(any_scim, path, "invalidValue", add("name", "B"))


@pytest.mark.rfc("P-23")
def test_a_sub_attribute_makes_its_parent(any_scim: ScimClient) -> None:
    path = f"/Users/{any_scim.user()['id']}"
    assert change(any_scim, path, add("name.givenName", "B"))["name"] == {"givenName": "B"}


@pytest.mark.rfc("P-24")
def test_add_appends_an_array_or_one_object(any_scim: ScimClient) -> None:
    path = someone(any_scim)
    new = [{"value": f"{letter}@example.com"} for letter in "cba"]
    change(any_scim, path, add("emails", new[0]))
    assert change(any_scim, path, add("emails", new[1:]))["emails"] == [*EMAILS, *new]


@pytest.mark.rfc("P-25", "S-40")
def test_what_is_there_is_not_added_again(any_scim: ScimClient) -> None:
    path = someone(any_scim)
    keep(any_scim, path, add("emails", [EMAILS[0], EMAILS[1]]))
    keep(any_scim, path, add("emails", [{"value": "HOME@example.com", "type": "Home"}]))
    after = change(any_scim, path, add("emails", [{"value": "home@example.com", "type": "other"}] * 2))
    assert len(after["emails"]) == 3


@pytest.mark.rfc("P-25")
def test_members_are_equal_by_value_alone(any_scim: ScimClient) -> None:
    first, second = any_scim.user()["id"], any_scim.user()["id"]
    path = "/Groups/" + any_scim.group(members=[first])["id"]
    elements = [{"value": first, "type": "User", "display": "x"}, {"value": second}, {"value": second, "type": "User"}]
    assert set(values(change(any_scim, path, add("members", elements)), "members")) == {first, second}


@pytest.mark.rfc("P-26", "O-06")
def test_add_by_a_value_path_makes_the_element(any_scim: ScimClient) -> None:
    after = change(
        any_scim,
        someone(any_scim),
        add('phoneNumbers[type eq "mobile"].value', "+1 555 0100"),
        add('addresses[type eq "work"].streetAddress', "1 Main St"),
        add('addresses[type eq "work"].locality', "Bern"),
        add("roles[primary eq true].value", "admin"),
    )
    assert after["phoneNumbers"] == [{"type": "mobile", "value": "+1 555 0100"}]
    assert after["addresses"] == [{"type": "work", "streetAddress": "1 Main St", "locality": "Bern"}]
    assert after["roles"] == [{"primary": True, "value": "admin"}]


@pytest.mark.rfc("P-26")
def test_a_filter_that_does_not_tell_the_element_makes_none(any_scim: ScimClient) -> None:
    resource = someone(any_scim)
    for path in ('emails[value co "zzz"].display', 'emails[type eq "a" or type eq "b"].value'):
        refuse(any_scim, resource, "noTarget", add(path, "x"))


@pytest.mark.rfc("P-27", "S-04")
def test_attributes_of_an_extension_join_those_that_are_there(any_scim: ScimClient) -> None:
    path = someone(any_scim, enterprise={"department": "IT"})
    change(any_scim, path, add(f"{ENTERPRISE}:costCenter", "7"))
    after = change(any_scim, path, add(None, {ENTERPRISE: {"division": "D"}}))
    assert after[ENTERPRISE] == {"department": "IT", "costCenter": "7", "division": "D"}
    path = someone(any_scim)
    after = change(any_scim, path, add(None, {ENTERPRISE: {"division": "D"}}))
    assert after["schemas"] == [USER, ENTERPRISE]


@pytest.mark.rfc("P-28")
def test_keys_that_are_paths_are_read_as_paths_or_refused(
    scim: ScimClient, make_scim: Callable[..., ScimClient]
) -> None:
    value = {
        "name.givenName": "K",
        f"{ENTERPRISE}:department": "IT",
        f"{USER}:title": "T",
        'emails[type eq "work"].value': "new@example.com",
    }
    for op in (add, replace):
        after = change(scim, someone(scim), op(None, value))
        assert after["name"] == {**NAME, "givenName": "K"}
        assert (after["title"], after[ENTERPRISE]) == ("T", {"department": "IT"})
        assert after["emails"][0] == {**EMAILS[0], "value": "new@example.com"}
        assert after.keys().isdisjoint(value)
    strict = make_scim(profile="strict")
    for key, inner in value.items():
        refuse(strict, someone(strict), "invalidPath", add(None, {key: inner}))


@pytest.mark.rfc("P-29", "S-39")
def test_a_new_primary_element_takes_over(any_scim: ScimClient) -> None:
    new = {"value": "new@example.com", "primary": True}
    after = change(any_scim, someone(any_scim), add("emails", [new]))
    assert after["emails"] == [{**EMAILS[0], "primary": False}, EMAILS[1], new]


@pytest.mark.rfc("P-30")
def test_adding_nothing_changes_nothing(any_scim: ScimClient) -> None:
    path = someone(any_scim)
    keep(any_scim, path, add("title", None), add("emails", None), add("emails", []), add(None, {"emails": None}))
    group = "/Groups/" + any_scim.group(members=[path.rpartition("/")[2]])["id"]
    keep(any_scim, group, add("members", []), add("members", None))


# P.d remove


@pytest.mark.rfc("P-31")
def test_remove_needs_a_path(any_scim: ScimClient) -> None:
    path = someone(any_scim, title="x")
    for more in ({}, {"path": None}, {"path": ""}, {"value": {"title": "x"}}, {"value": ["title"]}):
        refuse(any_scim, path, "noTarget", {"op": "remove", **more})


@pytest.mark.rfc("P-32", "S-21")
def test_remove_unassigns(any_scim: ScimClient) -> None:
    path = someone(any_scim, title="x")
    after = change(any_scim, path, remove("title"), remove("name"))
    assert {"title", "name"}.isdisjoint(after)
    for filter in ("title pr", "name pr", "name.givenName pr"):
        assert any_scim.find(filter).ids == []


@pytest.mark.rfc("P-33")
def test_remove_takes_all_elements(any_scim: ScimClient) -> None:
    member = any_scim.user()["id"]
    path = "/Groups/" + any_scim.group(members=[member, any_scim.user()["id"]])["id"]
    assert "members" not in change(any_scim, path, remove("members"))
    assert "groups" not in any_scim.get(f"/Users/{member}").body
    assert "emails" not in change(any_scim, someone(any_scim), remove("emails"))


@pytest.mark.rfc("P-34")
def test_remove_takes_the_elements_that_a_filter_selects(any_scim: ScimClient) -> None:
    path = someone(any_scim)
    assert change(any_scim, path, remove('emails[type eq "work"]'))["emails"] == [EMAILS[1]]
    assert "emails" not in change(any_scim, path, remove('emails[type eq "home"]'))
    assert any_scim.find("emails pr").ids == []


@pytest.mark.rfc("P-34")
def test_remove_takes_the_member_that_a_filter_selects(any_scim: ScimClient) -> None:
    users = [any_scim.user()["id"] for _ in range(4)]
    path = "/Groups/" + any_scim.group(members=users)["id"]
    after = change(any_scim, path, remove(f'members[value eq "{users[1]}"]'))
    assert set(values(after, "members")) == {users[0], users[2], users[3]}
    after = change(any_scim, path, remove(f'members[value eq "{users[0]}" or value eq "{users[2]}"]'))
    assert values(after, "members") == [users[3]]
    assert "members" not in change(any_scim, path, remove('members[type eq "User"]'))


@pytest.mark.rfc("P-35")
def test_remove_takes_one_part_of_the_selected_elements(any_scim: ScimClient) -> None:
    after = change(any_scim, someone(any_scim), remove('emails[type eq "home"].display'))
    assert after["emails"] == [EMAILS[0], {"value": "home@example.com", "type": "home"}]


@pytest.mark.rfc("P-36")
def test_what_is_required_or_read_only_cannot_be_removed(any_scim: ScimClient) -> None:
    resource = someone(any_scim)
    for path in ("userName", "id", "meta.created", "meta", "groups"):
        refuse(any_scim, resource, "mutability", remove(path))


@pytest.mark.rfc("P-36")
def test_the_name_of_a_group_cannot_be_removed(any_scim: ScimClient) -> None:
    refuse(any_scim, f"/Groups/{any_scim.group()['id']}", "mutability", remove("displayName"))


@pytest.mark.rfc("P-37", "O-05")
def test_removing_what_is_not_there_succeeds(any_scim: ScimClient) -> None:
    resource = someone(any_scim)
    for path in ("title", "phoneNumbers", 'emails[type eq "nope"]', 'ims[type eq "x"].value', ENTERPRISE):
        keep(any_scim, resource, remove(path))
    keep(any_scim, resource, remove(f"{ENTERPRISE}:manager"), remove(f"{ENTERPRISE}:manager.value"))


@pytest.mark.rfc("P-38", "O-07")
def test_removing_by_value_takes_exactly_those(scim: ScimClient, make_scim: Callable[..., ScimClient]) -> None:
    users = [scim.user()["id"] for _ in range(4)]
    path = "/Groups/" + scim.group(members=users)["id"]
    after = change(scim, path, {"op": "Remove", "path": "members", "value": [{"$ref": None, "value": users[0]}]})
    assert set(values(after, "members")) == set(users[1:])
    keep(scim, path, remove("members") | {"value": [{"value": users[0]}]})
    keep(scim, path, remove("members") | {"value": []})
    after = change(scim, path, remove("members") | {"value": {"value": users[1]}})
    assert set(values(after, "members")) == set(users[2:])
    for uncertain in ([{}], "", [{"display": "x"}], {}, [None], 5):
        refuse(scim, path, "invalidValue", remove("members") | {"value": uncertain})
    assert "members" not in change(scim, path, remove("members") | {"value": None})
    strict = make_scim(profile="strict")
    member = strict.user()["id"]
    path = "/Groups/" + strict.group(members=[member])["id"]
    refuse(strict, path, "invalidValue", remove("members") | {"value": [{"value": member}]})


@pytest.mark.rfc("P-39")
def test_a_part_of_all_elements_cannot_be_removed_without_a_filter(any_scim: ScimClient) -> None:
    refuse(any_scim, someone(any_scim), "invalidPath", remove("emails.display"))
    assert change(any_scim, someone(any_scim), remove("emails[value pr].display"))["emails"] == [
        EMAILS[0],
        {"value": "home@example.com", "type": "home"},
    ]


@pytest.mark.rfc("P-40", "S-04")
def test_an_extension_goes_with_its_last_attribute_or_as_a_whole(any_scim: ScimClient) -> None:
    path = someone(any_scim, enterprise={"department": "IT", "costCenter": "7"})
    after = change(any_scim, path, remove(f"{ENTERPRISE}:department"))
    assert (after["schemas"], after[ENTERPRISE]) == ([USER, ENTERPRISE], {"costCenter": "7"})
    after = change(any_scim, path, remove(f"{ENTERPRISE}:costCenter"))
    assert (after["schemas"], after.get(ENTERPRISE)) == ([USER], None)
    path = someone(any_scim, enterprise={"department": "IT", "costCenter": "7"})
    after = change(any_scim, path, remove(ENTERPRISE))
    assert (after["schemas"], after.get(ENTERPRISE)) == ([USER], None)


@pytest.mark.rfc("P-41")
def test_no_other_element_becomes_primary(any_scim: ScimClient) -> None:
    after = change(any_scim, someone(any_scim), remove("emails[primary eq true]"))
    assert after["emails"] == [EMAILS[1]]


# P.e replace


@pytest.mark.rfc("P-42")
def test_replace_without_a_path_sets_the_named_attributes(any_scim: ScimClient) -> None:
    path = someone(any_scim, title="x")
    before = content(any_scim.get(path).body)
    assert content(change(any_scim, path, replace(None, {"active": False}))) == {**before, "active": False}
    after = change(any_scim, path, replace(None, {"emails": [{"value": "one@example.com"}]}))
    assert content(after) == {**before, "active": False, "emails": [{"value": "one@example.com"}]}


@pytest.mark.rfc("P-42")
def test_replace_without_a_path_leaves_the_members_that_it_does_not_name(any_scim: ScimClient) -> None:
    group = any_scim.group(members=[any_scim.user()["id"]])
    after = change(any_scim, f"/Groups/{group['id']}", replace(None, {"id": group["id"], "displayName": "New"}))
    assert content(after) == {**content(group), "displayName": "New"}
    assert "members" not in change(any_scim, f"/Groups/{group['id']}", replace(None, {"members": []}))


@pytest.mark.rfc("P-43")
def test_replace_of_what_is_not_there_adds_it(any_scim: ScimClient) -> None:
    assert change(any_scim, someone(any_scim), replace("nickName", "Babs"))["nickName"] == "Babs"


@pytest.mark.rfc("P-44")
def test_replace_of_a_complex_value_leaves_what_it_does_not_name(any_scim: ScimClient) -> None:
    after = change(any_scim, someone(any_scim), replace("name", {"familyName": "X"}))
    assert after["name"] == {"givenName": "Barbara", "familyName": "X"}


@pytest.mark.rfc("P-45")
def test_replace_sets_all_members(any_scim: ScimClient) -> None:
    first, second = any_scim.user()["id"], any_scim.user()["id"]
    path = "/Groups/" + any_scim.group(members=[first])["id"]
    assert values(change(any_scim, path, replace("members", [{"value": second}])), "members") == [second]
    assert "groups" not in any_scim.get(f"/Users/{first}").body
    assert "members" not in change(any_scim, path, replace("members", []))
    change(any_scim, path, replace("members", [{"value": first}]))
    assert "members" not in change(any_scim, path, replace("members", None))


@pytest.mark.rfc("P-46")
def test_replace_puts_a_value_in_the_place_of_each_selected_element(any_scim: ScimClient) -> None:
    new = {"value": "new@example.com", "type": "home"}
    assert change(any_scim, someone(any_scim), replace('emails[type eq "home"]', new))["emails"] == [EMAILS[0], new]


@pytest.mark.rfc("P-47")
def test_replace_sets_a_part_in_all_selected_elements(any_scim: ScimClient) -> None:
    addresses = [{"type": "work", "locality": "A"}, {"type": "home"}, {"type": "work", "locality": "B"}]
    path = someone(any_scim, addresses=addresses)
    after = change(any_scim, path, replace('addresses[type eq "work"].streetAddress', "S"))
    assert [address.get("streetAddress") for address in after["addresses"]] == ["S", None, "S"]


@pytest.mark.rfc("P-48", "O-05", "O-06")
def test_replace_of_what_a_filter_does_not_find_has_no_target(make_scim: Callable[..., ScimClient]) -> None:
    operations = [replace('emails[type eq "nope"].value', "x"), replace('emails[type eq "nope"]', {"value": "x"})]
    for profile in ("strict", "okta"):
        scim = make_scim(profile=profile)
        for operation in operations:
            refuse(scim, someone(scim), "noTarget", operation)
    for profile in ("entra", "lenient"):
        scim = make_scim(profile=profile)
        after = change(scim, someone(scim), operations[0], replace("title", "T"))
        assert (after["emails"], after["title"]) == ([*EMAILS, {"type": "nope", "value": "x"}], "T")


@pytest.mark.rfc("P-49", "S-46")
def test_read_only_attributes_are_refused_with_a_path(any_scim: ScimClient) -> None:
    path = someone(any_scim)
    for name in ("groups", 'groups[value eq "x"]', "id", "meta", "meta.lastModified"):
        for operation in (add(name, "x"), replace(name, "x"), remove(name)):
            refuse(any_scim, path, "mutability", operation)


@pytest.mark.rfc("P-49", "O-08")
def test_read_only_attributes_without_a_path(strict_scim: ScimClient, make_scim: Callable[..., ScimClient]) -> None:
    path = someone(strict_scim)
    own = path.rpartition("/")[2]
    for value in ({"id": "x"}, {"groups": []}, {"meta": {"version": "x"}}, {"title": "x", "groups": [{"value": "g"}]}):
        refuse(strict_scim, path, "mutability", replace(None, value))
    assert change(strict_scim, path, replace(None, {"id": own, "schemas": [USER], "title": "x"}))["title"] == "x"
    lenient = make_scim()
    path = someone(lenient)
    copied = {"schemas": [USER], "id": "x", "meta": {"version": "x"}, "groups": [{"value": "g"}]}
    keep(lenient, path, replace(None, copied))
    assert change(lenient, path, replace(None, {**copied, "title": "x"}))["title"] == "x"


@pytest.mark.rfc("P-50", "S-47")
def test_an_immutable_attribute_can_be_set_once(badge_scim: ScimClient) -> None:
    path, serial = someone(badge_scim), f"{BADGE}:serial"
    assert change(badge_scim, path, add(serial, "S1"))[BADGE] == {"serial": "S1"}
    keep(badge_scim, path, replace(serial, "S1"), add(None, {BADGE: {"serial": "s1"}}))
    for operation in (replace(serial, "S2"), add(None, {BADGE: {"serial": "S2"}}), remove(serial), remove(BADGE)):
        refuse(badge_scim, path, "mutability", operation)
    maker = f"{BADGE}:access.maker"
    change(badge_scim, path, add(f"{BADGE}:access", {"floor": "1", "maker": "M"}))
    keep(badge_scim, path, replace(maker, "M"))
    refuse(badge_scim, path, "mutability", replace(maker, "N"))


@pytest.mark.rfc("P-51", "S-24", "S-29")
def test_a_value_that_does_not_fit_is_refused(strict_scim: ScimClient) -> None:
    resource = someone(strict_scim)
    for path, value in (
        *(("active", "maybe"), ("emails", "x"), ("userName", None), ("userName", ""), ("userName", 5)),
        *(("active", None), ("title", ["a"]), ("name", "x"), ("emails", [5]), ("emails", [{}])),
    ):
        for operation in (add(path, value), replace(path, value), replace(None, {path: value})):
            refuse(strict_scim, resource, "invalidValue", operation)
    refuse(strict_scim, resource, "invalidValue", replace('emails[type eq "work"].primary', "+1 555"))


@pytest.mark.rfc("P-52", "S-54")
def test_a_name_that_is_taken_is_a_conflict(any_scim: ScimClient) -> None:
    any_scim.user("taken@example.com")
    path = someone(any_scim, userName="own@example.com")
    refuse(any_scim, path, "uniqueness", replace("title", "x"), replace("userName", "TAKEN@example.com"), status=409)
    assert change(any_scim, path, replace("userName", "OWN@example.com"))["userName"] == "OWN@example.com"
    keep(any_scim, path, replace("userName", "OWN@example.com"))


@pytest.mark.rfc("P-53", "P-29", "S-39")
def test_primary_is_handed_over(any_scim: ScimClient) -> None:
    path = someone(any_scim)
    after = change(any_scim, path, replace('emails[type eq "home"].primary', True))
    assert [email["primary"] for email in after["emails"]] == [False, True]
    two = [{"value": "a@example.com", "primary": True}, {"value": "b@example.com", "primary": True}]
    for operation in (add("emails", two), replace("emails", two), replace("emails[value pr].primary", True)):
        refuse(any_scim, path, "invalidValue", operation)


@pytest.mark.rfc("P-54", "S-48")
def test_a_password_is_taken_and_not_shown(any_scim: ScimClient) -> None:
    path = someone(any_scim)
    for operation in (replace("password", "correct horse"), add(None, {"password": "correct horse"})):
        before = content(any_scim.get(path).body)
        after = change(any_scim, path, operation)
        assert content(after) == before
    answer = refuse(any_scim, path, "invalidValue", replace("password", "hunter2"))
    assert "hunter2" not in answer.raw.decode()
