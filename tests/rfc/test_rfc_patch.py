"""PATCH, message and path: RFC 7644 §3.5.2 (chapter P of docs/conformance.rst, P-01 to P-18)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from declared import BADGE
from patching import EMAILS, NAME, change, keep, refuse, someone, values
from scim_http import ENTERPRISE, GROUP, PATCH_OP, USER, ScimClient, add, new_user, patch_op, remove, replace

# P.a Message and transaction


@pytest.mark.rfc("P-01", "R-03")
def test_a_body_that_is_no_patch_op_is_refused(strict_scim: ScimClient) -> None:
    path, operations = someone(strict_scim), [replace("title", "x")]
    for body in (
        {"Operations": operations},
        {"schemas": [], "Operations": operations},
        {"schemas": PATCH_OP, "Operations": operations},
        {"schemas": [USER], "Operations": operations},
        {"schemas": [PATCH_OP]},
        {"schemas": [PATCH_OP], "Operations": []},
        {"schemas": [PATCH_OP], "Operations": operations[0]},
        {"schemas": [PATCH_OP], "Operations": ["replace"]},
        {"schemas": [PATCH_OP], "Operations": None},
    ):
        strict_scim.patch(path, body).expect(400, "invalidSyntax")
    assert "title" not in strict_scim.get(path).body


@pytest.mark.rfc("P-01")
def test_the_lenient_profile_does_without_schemas_but_not_without_operations(scim: ScimClient) -> None:
    path = someone(scim)
    assert scim.patch(path, {"Operations": [replace("title", "x")]}).expect(200).body["title"] == "x"
    for body in (
        {"schemas": [PATCH_OP]},
        {"Operations": []},
        {"schemas": [USER], "Operations": [replace("title", "y")]},
    ):
        scim.patch(path, body).expect(400, "invalidSyntax")


@pytest.mark.rfc("P-02")
def test_other_ops_or_none_are_refused(any_scim: ScimClient) -> None:
    path = someone(any_scim)
    for op in ("move", "", None, 5, ["add"], "add ", "delete"):
        refuse(any_scim, path, "invalidSyntax", {"op": op, "path": "title", "value": "x"})
    refuse(any_scim, path, "invalidSyntax", {"path": "title", "value": "x"})


@pytest.mark.rfc("P-03")
def test_op_and_member_names_in_any_letter_case(scim: ScimClient, make_scim: Callable[..., ScimClient]) -> None:
    path = someone(scim)
    body = {"SCHEMAS": [PATCH_OP], "operations": [{"OP": "Add", "Path": "title", "VALUE": "x"}]}
    assert scim.patch(path, body).expect(200).body["title"] == "x"
    change(scim, path, {"op": "REPLACE", "path": "title", "value": "y"}, {"op": "Remove", "path": "active"})
    strict = make_scim(profile="strict")
    refuse(strict, someone(strict), "invalidSyntax", {"op": "Add", "path": "title", "value": "x"})


@pytest.mark.rfc("P-04")
def test_operations_follow_one_another(any_scim: ScimClient) -> None:
    path = someone(any_scim)
    keep(any_scim, path, add("title", "A"), replace("title", "B"), remove("title"))
    after = change(any_scim, path, add("title", "A"), replace("nickName", "N"), replace("title", "B"))
    assert (after["title"], after["nickName"]) == ("B", "N")


@pytest.mark.rfc("P-05")
def test_one_refused_operation_restores_all(any_scim: ScimClient) -> None:
    path = someone(any_scim, userName="before@example.com")
    refuse(any_scim, path, "invalidPath", replace("userName", "after@example.com"), replace("nonsense", "x"))
    assert any_scim.find('userName eq "after@example.com"').ids == []
    assert len(any_scim.find('userName eq "before@example.com"').ids) == 1


@pytest.mark.rfc("P-05")
def test_one_refused_operation_restores_the_membership(any_scim: ScimClient) -> None:
    stays, goes = any_scim.user(), any_scim.user()
    path = "/Groups/" + any_scim.group(members=[stays["id"]])["id"]
    joining = add("members", [{"value": goes["id"]}])
    refuse(any_scim, path, "invalidValue", joining, add("members", [{"value": "no-such-id"}]))
    refuse(any_scim, path, "mutability", joining, remove("members"), remove("displayName"))
    refuse(any_scim, path, "mutability", joining, replace(f'members[value eq "{goes["id"]}"].value', stays["id"]))
    assert "groups" not in any_scim.get(f"/Users/{goes['id']}").body
    assert values(any_scim.get(f"/Users/{stays['id']}").body, "groups") == [path.rpartition("/")[2]]


@pytest.mark.rfc("P-06", "O-04")
def test_success_is_200_with_the_resource_and_its_tag(any_scim: ScimClient) -> None:
    path = someone(any_scim)
    answer = any_scim.patch(path, [replace("title", "x")]).expect(200)
    assert answer.body["meta"]["version"] == answer.etag
    assert answer.body["emails"] == EMAILS
    group = any_scim.group()
    answer = any_scim.patch(f"/Groups/{group['id']}", [replace("displayName", "New")]).expect(200)
    assert answer.body["displayName"] == "New"


@pytest.mark.rfc("P-07")
def test_the_answer_is_projected(any_scim: ScimClient) -> None:
    path = someone(any_scim)
    answer = any_scim.patch(path, [replace("title", "x")], query={"attributes": "title"}).expect(200)
    assert answer.body == {"schemas": [USER], "id": path.rpartition("/")[2], "title": "x"}
    answer = any_scim.patch(path, [replace("title", "y")], query={"excludedAttributes": "emails,name"}).expect(200)
    assert answer.body["title"] == "y"
    assert {"emails", "name"}.isdisjoint(answer.body)


@pytest.mark.rfc("P-08", "EID-5295")
def test_what_changes_nothing_moves_neither_version_nor_date(any_scim: ScimClient) -> None:
    path = someone(any_scim)
    for operation in (
        add("active", True),
        replace("name.givenName", "Barbara"),
        replace("name", NAME),
        replace("emails", EMAILS),
        add("emails", [EMAILS[1]]),
        remove("title"),
        remove('emails[type eq "fax"]'),
        replace('emails[type eq "work"].primary', True),
        add(None, {"active": True, "name": {"givenName": "Barbara"}}),
        replace("title", None),
    ):
        keep(any_scim, path, operation)


@pytest.mark.rfc("P-08", "P-37", "EID-5295")
def test_membership_that_is_so_already_moves_neither_version_nor_date(any_scim: ScimClient) -> None:
    first, second = any_scim.user()["id"], any_scim.user()["id"]
    path = "/Groups/" + any_scim.group(members=[first, second])["id"]
    keep(any_scim, path, add("members", [{"value": first}]))
    keep(any_scim, path, replace("members", [{"value": second}, {"value": first}]))
    keep(any_scim, path, remove('members[value eq "nope"]'))
    keep(any_scim, path, remove(f'members[value eq "{first}"]'), add("members", [{"value": first}]))


@pytest.mark.rfc("P-09")
def test_unknown_ids_and_stale_tags(any_scim: ScimClient) -> None:
    path = someone(any_scim)
    any_scim.patch("/Users/nobody", [replace("title", "x")]).expect(404)
    stale = any_scim.get(path).etag
    change(any_scim, path, replace("title", "x"))
    any_scim.patch(path, [replace("title", "y")], headers={"If-Match": stale}).expect(412)
    assert any_scim.get(path).body["title"] == "x"


@pytest.mark.rfc("P-10")
def test_the_state_at_the_end_is_what_counts(badge_scim: ScimClient) -> None:
    path = someone(badge_scim, title="a", nickName="b")
    after = change(badge_scim, path, replace("title", "b"), replace("nickName", "a"))
    assert (after["title"], after["nickName"]) == ("b", "a")
    refuse(badge_scim, path, "invalidValue", add(f"{BADGE}:access.door", "1"))
    after = change(badge_scim, path, add(f"{BADGE}:access.door", "1"), add(f"{BADGE}:access.floor", "2"))
    assert after[BADGE]["access"] == {"door": "1", "floor": "2"}
    refuse(badge_scim, path, "invalidValue", replace("userName", " "))


# P.b Path


@pytest.mark.rfc("P-11", "P-15")
def test_every_form_of_path(any_scim: ScimClient) -> None:
    for path, value, name, expected in (
        ("title", "x", "title", "x"),
        ("TITLE", "x", "title", "x"),
        (f"{USER}:title", "x", "title", "x"),
        (f"{USER.upper()}:Title", "x", "title", "x"),
        ("name.givenName", "x", "name", {**NAME, "givenName": "x"}),
        (f"{USER}:name.GIVENNAME", "x", "name", {**NAME, "givenName": "x"}),
        ('emails[type eq "home"]', {"value": "x"}, "emails", [EMAILS[0], {"value": "x"}]),
        ('emails[type eq "home"].value', "x", "emails", [EMAILS[0], {**EMAILS[1], "value": "x"}]),
        ('EMAILS[TYPE eq "HOME"].VALUE', "x", "emails", [EMAILS[0], {**EMAILS[1], "value": "x"}]),
        (f'{USER}:emails[type eq "home"].value', "x", "emails", [EMAILS[0], {**EMAILS[1], "value": "x"}]),
        (f"{ENTERPRISE}:department", "x", ENTERPRISE, {"department": "x"}),
        (f"{ENTERPRISE.lower()}:DEPARTMENT", "x", ENTERPRISE, {"department": "x"}),
        (ENTERPRISE, {"department": "x"}, ENTERPRISE, {"department": "x"}),
    ):
        assert change(any_scim, someone(any_scim), replace(path, value))[name] == expected, path


@pytest.mark.rfc("P-11", "P-40", "S-04")
def test_the_sub_attribute_of_an_attribute_of_an_extension(any_scim: ScimClient) -> None:
    manager = any_scim.user()["id"]
    path = someone(any_scim)
    after = change(any_scim, path, add(f"{ENTERPRISE}:manager.value", manager))
    assert after[ENTERPRISE]["manager"]["value"] == manager
    assert after["schemas"] == [USER, ENTERPRISE]
    after = change(any_scim, path, remove(f"{ENTERPRISE}:manager.value"))
    assert ENTERPRISE not in after
    assert after["schemas"] == [USER]


@pytest.mark.rfc("P-11", "P-50")
def test_what_is_said_about_a_member_can_be_named_but_not_changed(any_scim: ScimClient) -> None:
    member, other = any_scim.user()["id"], any_scim.user()["id"]
    path = "/Groups/" + any_scim.group(members=[member])["id"]
    selected = f'members[value eq "{member}"]'
    keep(any_scim, path, replace(f"{selected}.value", member), replace(f"{selected}.type", "User"))
    refuse(any_scim, path, "mutability", replace(f"{selected}.display", "x"))
    refuse(any_scim, path, "mutability", replace(f"{selected}.value", other))
    refuse(any_scim, path, "mutability", remove(f"{selected}.value"))


@pytest.mark.rfc("P-12")
def test_a_malformed_path_is_refused(any_scim: ScimClient) -> None:
    resource = someone(any_scim)
    for path in ("emails[", "..", "name.", "a.b.c", 'emails[type eq "work"].value.x', 'emails.type[type eq "x"]'):
        for operation in (add(path, "x"), replace(path, "x"), remove(path)):
            refuse(any_scim, resource, "invalidPath", operation)
    for path in (5, True, ["title"], {"title": "x"}):
        refuse(any_scim, resource, "invalidPath", {"op": "replace", "path": path, "value": "x"})


@pytest.mark.rfc("P-16")
def test_brackets_select_from_several_values_only(any_scim: ScimClient) -> None:
    resource = someone(any_scim)
    for path in ('userName[value eq "x"]', 'name[givenName eq "x"]', f'{ENTERPRISE}:manager[value eq "x"]'):
        for operation in (add(path, "x"), replace(path, "x"), remove(path)):
            refuse(any_scim, resource, "invalidPath", operation)


@pytest.mark.rfc("P-13", "O-09")
def test_an_unknown_attribute_in_a_path_is_refused(any_scim: ScimClient) -> None:
    resource = someone(any_scim)
    unknown = ("foo", "name.foo", "urn:x:y:z", f"{ENTERPRISE}:foo", 'emails[type eq "work"].foo', f"{GROUP}:members")
    for path in unknown:
        for operation in (add(path, "x"), replace(path, "x"), remove(path)):
            refuse(any_scim, resource, "invalidPath", operation)


@pytest.mark.rfc("P-14", "O-09")
def test_a_bad_filter_in_a_path_is_an_invalid_filter(any_scim: ScimClient) -> None:
    path = someone(any_scim)
    for bad in ('emails[type gg "x"]', 'emails[foo eq "x"]', "emails[type eq 5]", "emails[type]"):
        refuse(any_scim, path, "invalidFilter", remove(bad))


@pytest.mark.rfc("P-17", "S-17")
def test_of_the_common_attributes_only_external_id_can_be_changed(any_scim: ScimClient) -> None:
    path = someone(any_scim)
    assert change(any_scim, path, replace("externalId", "x"))["externalId"] == "x"
    assert change(any_scim, path, add(None, {"externalId": "y"}))["externalId"] == "y"
    assert "externalId" not in change(any_scim, path, remove("externalId"))
    for name in ("id", "meta", "meta.version", "meta.created", "meta.resourceType"):
        refuse(any_scim, path, "mutability", replace(name, "x"))


@pytest.mark.rfc("P-18")
def test_schemas_can_name_what_the_resource_has_and_nothing_else(any_scim: ScimClient) -> None:
    path = someone(any_scim)
    keep(any_scim, path, add("schemas", [ENTERPRISE]))
    keep(any_scim, path, remove(f'schemas[value eq "{ENTERPRISE}"]'))
    after = change(any_scim, path, add("schemas", [ENTERPRISE]), add(f"{ENTERPRISE}:department", "x"))
    assert after["schemas"] == [USER, ENTERPRISE]
    refuse(any_scim, path, "invalidValue", remove(f'schemas[value eq "{USER}"]'))
    refuse(any_scim, path, "invalidValue", remove(f'schemas[value eq "{ENTERPRISE}"]'))
    refuse(any_scim, path, "mutability", remove("schemas"))
    after = change(any_scim, path, remove(ENTERPRISE), remove(f'schemas[value eq "{ENTERPRISE}"]'))
    assert after["schemas"] == [USER]


@pytest.mark.rfc("P-18", "EID-7122")
def test_values_of_a_simple_attribute_are_selected_by_value(badge_scim: ScimClient) -> None:
    path = someone(badge_scim)
    change(badge_scim, path, add(f"{BADGE}:tags", ["a", "b", "a"]))
    after = change(badge_scim, path, remove(f'{BADGE}:tags[value eq "A"]'))
    assert after[BADGE] == {"tags": ["b"]}
    after = change(badge_scim, path, replace(f'{BADGE}:tags[value sw "b"]', "c"))
    assert after[BADGE] == {"tags": ["c"]}
    refuse(badge_scim, path, "invalidPath", remove(f'{BADGE}:tags eq "c"'))


@pytest.mark.rfc("P-04", "P-05", "EID-5050")
def test_patch_in_bulk_follows_the_same_rules(any_scim: ScimClient) -> None:
    path = someone(any_scim)
    data = [patch_op(replace("title", "x"), replace("foo", "y")), patch_op(replace("title", "z"))]
    done = any_scim.bulk(*({"method": "PATCH", "path": path, "data": body} for body in data)).expect(200).body
    assert [result["status"] for result in done["Operations"]] == ["400", "200"]
    assert done["Operations"][0]["response"]["scimType"] == "invalidPath"
    assert any_scim.get(path).body["title"] == "z"
    bare = any_scim.bulk({"method": "PATCH", "path": path, "data": [replace("title", "bare")]}).expect(200).body
    assert bare["Operations"][0]["status"] == "400"
    assert any_scim.get(path).body["title"] == "z"


@pytest.mark.rfc("P-09")
def test_nothing_is_applied_to_a_resource_that_is_gone(any_scim: ScimClient) -> None:
    path = someone(any_scim)
    any_scim.delete(path).expect(204)
    any_scim.patch(path, [replace("title", "x")]).expect(404)
    any_scim.post("/Users", new_user()).expect(201)
    assert any_scim.find("title pr").ids == []
