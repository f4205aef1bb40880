"""Replacing resources: RFC 7644 §3.5.1 (chapter U of docs/conformance.rst)."""

from __future__ import annotations

from typing import Any

import pytest
from declared import BADGE
from scim_http import ENTERPRISE, GROUP, USER, ScimClient, new_group, new_user


@pytest.mark.rfc("U-01", "E-02")
def test_put_answers_the_whole_resource_that_get_answers_afterwards(scim: ScimClient) -> None:
    user = scim.user()
    path = f"/Users/{user['id']}"
    body = new_user("renamed@x", title="t", emails=[{"value": "a@b"}], enterprise={"department": "d"})
    answer = scim.put(path, body).expect(200)
    read = scim.get(path)
    assert answer.body == read.body
    assert answer.etag == read.etag != user["meta"]["version"]
    assert answer.body["userName"] == "renamed@x"
    assert answer.body["id"] == user["id"]


@pytest.mark.rfc("U-02")
def test_put_never_creates(scim: ScimClient) -> None:
    user = scim.user()
    scim.delete(f"/Users/{user['id']}").expect(204)
    for id in ("nope", user["id"], "00000000-0000-0000-0000-000000000000"):
        scim.put(f"/Users/{id}", new_user()).expect(404)
    scim.put("/Users", new_user()).expect(405)
    assert scim.get("/Users").body["totalResults"] == 0


@pytest.mark.rfc("U-03")
def test_given_values_replace_the_old_ones_as_wholes(scim: ScimClient) -> None:
    user = scim.user("u", title="old", emails=[{"value": "a@b"}, {"value": "c@d"}], name={"givenName": "G"})
    body = new_user("u", title="new", emails=[{"value": "e@f"}], name={"familyName": "F"})
    replaced = scim.put(f"/Users/{user['id']}", body).expect(200).body
    assert replaced["title"] == "new"
    assert replaced["emails"] == [{"value": "e@f"}]
    assert replaced["name"] == {"familyName": "F"}


@pytest.mark.rfc("U-03", "E-13")
def test_members_are_replaced_as_a_whole(scim: ScimClient) -> None:
    a, b, c = (scim.user()["id"] for _ in range(3))
    group = scim.group("g", [a, c])
    path = f"/Groups/{group['id']}"
    replaced = scim.put(path, new_group("g", [b, c])).expect(200)
    assert {member["value"] for member in replaced.body["members"]} == {b, c}
    assert replaced.etag != group["meta"]["version"]
    assert scim.get(path).body == replaced.body
    assert "groups" not in scim.get(f"/Users/{a}").body
    assert [shown["value"] for shown in scim.get(f"/Users/{b}").body["groups"]] == [group["id"]]
    emptied = scim.put(path, new_group("g") | {"members": []}).expect(200).body
    assert "members" not in emptied


@pytest.mark.rfc("U-04", "U-10", "O-03")
def test_what_is_left_out_null_or_empty_is_cleared(scim: ScimClient) -> None:
    full: dict[str, Any] = {"title": "t", "nickName": "n", "emails": [{"value": "a@b"}], "externalId": "x"}
    for sent in ({}, dict.fromkeys(full), {name: [] if name == "emails" else "" for name in full}):
        user = scim.user(**full)
        replaced = scim.put(f"/Users/{user['id']}", new_user(user["userName"], **sent)).expect(200).body
        assert set(replaced) == {"schemas", "id", "userName", "active", "meta"}
        assert scim.get(f"/Users/{user['id']}").body == replaced


@pytest.mark.rfc("U-04", "S-23", "O-03")
def test_active_left_out_is_the_default_and_never_false(scim: ScimClient) -> None:
    user = scim.user(active=False)
    path = f"/Users/{user['id']}"
    assert scim.put(path, new_user(user["userName"])).expect(200).body["active"] is True
    assert scim.put(path, new_user(user["userName"], active=False)).expect(200).body["active"] is False


@pytest.mark.rfc("U-05", "S-60", "O-03")
def test_a_password_is_not_kept_so_leaving_it_out_changes_nothing(scim: ScimClient) -> None:
    created = scim.user(password="correct horse")
    path = f"/Users/{created['id']}"
    assert scim.put(path, new_user(created["userName"])).expect(200).body == created
    # A new one counts as a change, though the gateway keeps none.
    again = scim.put(path, new_user(created["userName"], password="battery staple")).expect(200)
    assert again.etag != created["meta"]["version"]


@pytest.mark.rfc("U-06")
def test_read_only_values_in_the_body_are_ignored(scim: ScimClient) -> None:
    user = scim.user()
    group = scim.group(members=[user["id"]])
    path = f"/Users/{user['id']}"
    before = scim.get(path).body
    sent = {**before, "id": "other", "meta": {"version": "x", "created": "1999-01-01T00:00:00Z"}, "groups": []}
    assert scim.put(path, sent).expect(200).body == before
    assert [member["value"] for member in scim.get(f"/Groups/{group['id']}").body["members"]] == [user["id"]]


@pytest.mark.rfc("U-07", "R-05", "O-03")
def test_an_immutable_value_may_be_repeated_set_or_left_out_but_not_changed(badge_scim: ScimClient) -> None:
    def body(name: str, **attributes: Any) -> dict[str, Any]:
        return {"schemas": [USER, BADGE], "userName": name, BADGE: {"bare": "x", **attributes}}

    user = badge_scim.post("/Users", body("u")).expect(201).body
    path = f"/Users/{user['id']}"
    assert badge_scim.put(path, body("u", serial="s1")).expect(200).body[BADGE]["serial"] == "s1"
    assert badge_scim.put(path, body("u", serial="s1")).expect(200).body[BADGE]["serial"] == "s1"
    answer = badge_scim.put(path, body("u", serial="s2")).expect(400, "mutability")
    assert "serial" in answer.detail
    assert badge_scim.put(path, body("u")).expect(200).body[BADGE]["serial"] == "s1"
    bare = badge_scim.put(path, {"schemas": [USER], "userName": "u"}).expect(200).body
    assert bare[BADGE] == {"serial": "s1"}
    assert set(bare["schemas"]) == {USER, BADGE}


@pytest.mark.rfc("U-08")
@pytest.mark.parametrize("extra", [{}, {"userName": None}, {"userName": ""}], ids=["missing", "null", "empty"])
def test_required_values_have_to_be_there(scim: ScimClient, extra: dict[str, Any]) -> None:
    user, group = scim.user(), scim.group()
    answer = scim.put(f"/Users/{user['id']}", {"schemas": [USER], "title": "x", **extra}).expect(400, "invalidValue")
    assert "userName" in answer.detail
    scim.put(f"/Groups/{group['id']}", {"schemas": [GROUP]}).expect(400, "invalidValue")
    assert scim.get(f"/Users/{user['id']}").body == user


@pytest.mark.rfc("U-09")
def test_another_resources_unique_value_is_409_and_the_own_one_is_fine(scim: ScimClient) -> None:
    user, other = scim.user("mine@x"), scim.user("other@x")
    path = f"/Users/{user['id']}"
    scim.put(path, new_user("OTHER@x", title="t")).expect(409, "uniqueness")
    assert scim.get(path).body == user
    assert scim.put(path, new_user("mine@x", title="t")).expect(200).body["title"] == "t"
    assert scim.put(path, new_user("MINE@x")).expect(200).body["userName"] == "MINE@x"
    assert scim.get(f"/Users/{other['id']}").body == other


@pytest.mark.rfc("U-11", "S-04")
def test_an_extension_comes_and_goes_with_the_body(scim: ScimClient) -> None:
    user = scim.user("u")
    path = f"/Users/{user['id']}"
    with_it = scim.put(path, new_user("u", enterprise={"department": "d"})).expect(200).body
    assert with_it[ENTERPRISE] == {"department": "d"}
    assert set(with_it["schemas"]) == {USER, ENTERPRISE}
    without = scim.put(path, new_user("u")).expect(200).body
    assert ENTERPRISE not in without
    assert without["schemas"] == [USER]


@pytest.mark.rfc("U-12", "E-03")
def test_putting_back_what_get_answered_changes_nothing(scim: ScimClient) -> None:
    boss = scim.user()
    user = scim.user(
        title="t", emails=[{"value": "a@b", "primary": True}], enterprise={"manager": {"value": boss["id"]}}
    )
    group = scim.group(members=[user["id"], boss["id"]])
    for path in (f"/Users/{user['id']}", f"/Groups/{group['id']}"):
        before = scim.get(path)
        after = scim.put(path, before.body).expect(200)
        assert after.body == before.body
        assert after.etag == before.etag


@pytest.mark.rfc("U-13")
@pytest.mark.parametrize(
    "body",
    [
        {"schemas": [GROUP], "displayName": "g"},
        {"schemas": [USER], "userName": 5},
        {"schemas": [USER], "userName": "u", "emails": [{"value": []}]},
        {"schemas": [USER], "userName": "u", "active": "perhaps"},
        ["a"],
    ],
    ids=["group", "number", "list", "word", "array"],
)
def test_a_bad_body_changes_nothing(scim: ScimClient, body: Any) -> None:
    user = scim.user("u")
    answer = scim.put(f"/Users/{user['id']}", body).expect(400)
    assert answer.body["scimType"] in ("invalidSyntax", "invalidValue")
    assert scim.get(f"/Users/{user['id']}").body == user
