"""Create, read, replace, patch and delete on every kind of backend (RFC 7644 §3.3 to §3.6, §3.14)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from core_client import BACKENDS, BASE, ENTERPRISE, GROUP, PATCH_OP, USER, Core, open_backend, path_of

from scim_gateway.abilities import MembershipHandler
from scim_gateway.definitions import load_resource_types
from scim_gateway.provider_settings import ProviderSettings

GADGET = "urn:example:schemas:2.0:Gadget"


@pytest.fixture(params=BACKENDS)
def gadgets(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Core]:
    """A gateway with a type of its own, whose attributes have the rarer characteristics."""
    schema = {
        "id": GADGET,
        "name": "Gadget",
        "attributes": [
            {"name": "label", "required": True},
            {"name": "serial", "mutability": "immutable", "caseExact": True},
            {"name": "make", "mutability": "immutable"},
            {"name": "hint", "returned": "request"},
            {"name": "pin", "mutability": "writeOnly", "returned": "never"},
            {
                "name": "box",
                "type": "complex",
                "subAttributes": [{"name": "lot", "mutability": "immutable", "caseExact": True}, {"name": "note"}],
            },
            {
                "name": "owners",
                "type": "complex",
                "multiValued": True,
                "subAttributes": [
                    {"name": "value", "caseExact": True},
                    {"name": "$ref", "type": "reference", "referenceTypes": ["User"], "caseExact": True},
                    {"name": "display"},
                ],
            },
        ],
    }
    kind = {"name": "Gadget", "endpoint": "/Gadgets", "schema": GADGET, "display": ["label"]}
    backend = open_backend(request.param, tmp_path, load_resource_types([schema], [kind]))
    yield Core(backend)
    backend.close()


def gadget(core: Core, **attributes: Any) -> dict[str, Any]:
    body = {"schemas": [GADGET], "label": "one", **attributes}
    made: dict[str, Any] = core.json("POST", "/Gadgets", body, expect=201)
    return made


# Create


def test_a_new_resource_is_answered_as_it_can_be_read(core: Core) -> None:
    response = core.send("POST", "/Users", {"schemas": [USER], "userName": "a", "name": {"givenName": "A"}})
    created = json.loads(response.body)
    assert response.status == 201
    assert response.headers["Location"] == created["meta"]["location"] == f"{BASE}/Users/{created['id']}"
    assert response.headers["ETag"] == created["meta"]["version"]
    assert created["meta"]["created"] == created["meta"]["lastModified"]
    assert created["meta"]["resourceType"] == "User"
    assert core.get(created) == created


def test_what_only_the_server_sets_is_not_taken_from_the_client(core: Core) -> None:
    meta = {"created": "1999-01-01T00:00:00Z", "version": "x", "location": "x", "resourceType": "Group"}
    user = core.user("a", id="mine", meta=meta, groups=[{"value": "g"}])
    assert user["id"] != "mine"
    assert user["meta"]["created"] > "2020"
    assert user["meta"]["resourceType"] == "User"
    assert "groups" not in user


def test_a_taken_name_is_refused_in_any_case_and_nothing_is_made(core: Core) -> None:
    core.user("bjensen")
    assert core.refused("POST", "/Users", {"schemas": [USER], "userName": "BJensen "}) == (409, "uniqueness")
    assert core.json("GET", "/Users")["totalResults"] == 1


def test_the_refusal_of_a_taken_group_name_says_how_to_link(core: Core) -> None:
    core.group("Staff")
    body = {"schemas": [GROUP], "displayName": "staff"}
    assert core.refused("POST", "/Groups", body) == (409, "uniqueness")
    assert "link" in json.loads(core.send("POST", "/Groups", body).body)["detail"]


def test_a_projection_shapes_the_answer_and_not_what_is_stored(core: Core) -> None:
    body = {"schemas": [USER], "userName": "a", "title": "t"}
    answer = core.json("POST", "/Users", body, expect=201, attributes="userName")
    assert set(answer) == {"schemas", "id", "userName"}
    assert core.json("GET", f"/Users/{answer['id']}")["title"] == "t"
    excluded = core.json("PUT", f"/Users/{answer['id']}", body, excludedAttributes="title,id")
    assert set(excluded) == {"schemas", "id", "userName", "active", "meta"}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_both_kinds_of_projection_together_are_refused_before_anything_is_done(core: Core, method: str) -> None:
    user = core.user("a")
    path = "/Users" if method == "POST" else path_of(user)
    body: dict[str, Any] = {"schemas": [USER], "userName": "b"}
    if method == "PATCH":
        body = {"schemas": [PATCH_OP], "Operations": [{"op": "replace", "path": "userName", "value": "b"}]}
    assert core.refused(method, path, body, attributes="id", excludedAttributes="title") == (400, "invalidValue")
    assert [found["userName"] for found in core.json("GET", "/Users")["Resources"]] == ["a"]


def test_a_password_is_checked_and_kept_nowhere(core: Core) -> None:
    user = core.user("a", password="correct horse")
    assert "password" not in user
    assert "password" not in core.backend.handlers["User"].get(user["id"])
    refused = core.send("POST", "/Users", {"schemas": [USER], "userName": "b", "password": "short"})
    assert refused.status == 400
    assert b'short"' not in refused.body


# Read


def test_the_id_of_another_type_is_no_id_here(core: Core) -> None:
    group = core.group("g")
    assert core.refused("GET", f"/Users/{group['id']}") == (404, None)
    assert core.refused("DELETE", f"/Users/{group['id']}") == (404, None)
    assert core.refused("GET", f"/Groups/{group['id'].upper()}") == (404, None)


def test_a_reader_who_has_the_version_gets_no_body(core: Core) -> None:
    user = core.user("a")
    tag = user["meta"]["version"]
    response = core.send("GET", path_of(user), headers={"if-none-match": tag.removeprefix("W/")})
    assert (response.status, response.body) == (304, b"")
    assert response.headers == {"ETag": tag}
    assert core.send("GET", path_of(user), headers={"if-none-match": '"0"'}).status == 200
    assert core.send("GET", path_of(user), headers={"if-none-match": tag}, attributes="userName").status == 304


# Replace


def test_put_of_what_was_read_changes_nothing(core: Core) -> None:
    boss = core.user("boss")
    user = core.user("a", emails=[{"value": "a@x"}], **{ENTERPRISE: {"manager": {"value": boss["id"]}}})
    group = core.group("g", user, boss)
    for resource in (user, group):
        body = core.get(resource)
        response = core.send("PUT", path_of(resource), body)
        assert response.status == 200
        assert json.loads(response.body) == body
        assert core.get(resource) == body


def test_put_replaces_everything_a_client_can_set(core: Core) -> None:
    user = core.user("a", title="t", emails=[{"value": "a@x"}], active=False, **{ENTERPRISE: {"department": "d"}})
    body = {"schemas": [USER], "userName": "b", "nickName": "n", "id": "other"}
    changed = core.json("PUT", path_of(user), body)
    assert set(changed) == {"schemas", "id", "meta", "userName", "nickName", "active"}
    assert changed["schemas"] == [USER]
    assert changed["active"] is True
    assert changed["id"] == user["id"]
    assert changed["meta"]["version"] == 'W/"2"'
    assert changed["meta"]["created"] == user["meta"]["created"]
    assert changed["meta"]["lastModified"] > user["meta"]["lastModified"]
    assert core.get(user) == changed


def test_put_never_creates(core: Core) -> None:
    assert core.refused("PUT", "/Users/nope", {"schemas": [USER], "userName": "a"}) == (404, None)
    assert core.json("GET", "/Users")["totalResults"] == 0


def test_put_of_a_taken_name_is_refused_and_its_own_is_not(core: Core) -> None:
    core.user("a")
    user = core.user("b")
    assert core.refused("PUT", path_of(user), {"schemas": [USER], "userName": "A"}) == (409, "uniqueness")
    assert core.json("PUT", path_of(user), {"schemas": [USER], "userName": "B"})["userName"] == "B"


def test_a_change_of_password_is_a_change_although_nothing_is_seen(core: Core) -> None:
    user = core.user("a")
    body = {"schemas": [USER], "userName": "a", "password": "correct horse"}
    assert core.json("PUT", path_of(user), body)["meta"]["version"] == 'W/"2"'
    patched = core.patch(user, {"op": "replace", "path": "password", "value": "battery staple"})
    assert patched["meta"]["version"] == 'W/"3"'
    assert "password" not in patched


def test_an_immutable_attribute_keeps_its_value(gadgets: Core) -> None:
    made = gadget(gadgets, serial="S1", make="Acme")
    path, body = path_of(made), {"schemas": [GADGET], "label": "two"}
    assert gadgets.json("PUT", path, body)["serial"] == "S1"
    assert gadgets.json("PUT", path, {**body, "serial": "S1", "make": "ACME"})["make"] == "Acme"
    assert gadgets.refused("PUT", path, {**body, "serial": "s1"}) == (400, "mutability")
    assert gadgets.refused("PUT", path, {**body, "make": "other"}) == (400, "mutability")


def test_an_immutable_attribute_without_a_value_takes_one(gadgets: Core) -> None:
    made = gadget(gadgets)
    body = {"schemas": [GADGET], "label": "one", "serial": "S1", "box": {"lot": "L", "note": "n"}}
    assert gadgets.json("PUT", path_of(made), body)["serial"] == "S1"
    kept = gadgets.json("PUT", path_of(made), {"schemas": [GADGET], "label": "one", "box": {"note": "m"}})
    assert kept["box"] == {"lot": "L", "note": "m"}
    other = {"schemas": [GADGET], "label": "one", "box": {"lot": "K"}}
    assert gadgets.refused("PUT", path_of(made), other) == (400, "mutability")


def test_what_is_returned_on_request_is_shown_to_whoever_sets_it(gadgets: Core) -> None:
    made = gadget(gadgets, hint="h")
    assert made["hint"] == "h"
    assert "hint" not in gadgets.get(made)
    assert gadgets.get(made, attributes="hint")["hint"] == "h"
    assert "hint" not in gadgets.patch(made, {"op": "replace", "path": "label", "value": "x"})
    assert gadgets.patch(made, {"op": "replace", "path": "hint", "value": "i"})["hint"] == "i"
    assert gadgets.patch(made, {"op": "replace", "value": {"HINT": "j"}})["hint"] == "j"


def test_a_write_only_attribute_of_any_type_is_kept_nowhere(gadgets: Core) -> None:
    made = gadget(gadgets, pin="1234")
    assert "pin" not in made
    assert "pin" not in gadgets.backend.handlers["Gadget"].get(made["id"])
    patched = gadgets.patch(made, {"op": "add", "path": "pin", "value": "9"})
    assert patched["meta"]["version"] == 'W/"2"'


# Patch


def test_a_patch_that_changes_nothing_leaves_the_version(core: Core) -> None:
    other = core.user("b")
    user, group = core.user("a", title="t"), core.group("g", other)
    assert core.patch(user, {"op": "replace", "path": "title", "value": "t"}) == user
    assert core.patch(user, {"op": "remove", "path": "nickName"}) == user
    same = {"op": "add", "path": "members", "value": [{"value": other["id"]}]}
    assert core.patch(group, same)["meta"]["version"] == 'W/"1"'
    assert (
        core.patch(group, {"op": "remove", "path": f'members[value eq "{user["id"]}"]'})["meta"]["version"] == 'W/"1"'
    )


def test_a_patch_is_all_or_nothing(core: Core) -> None:
    user, group = core.user("a"), core.group("g")
    before = core.get(group)
    operations = [
        {"op": "add", "path": "members", "value": [{"value": user["id"]}]},
        {"op": "replace", "path": "displayName", "value": "h"},
        {"op": "add", "path": "members", "value": [{"value": "nobody"}]},
    ]
    assert core.refused("PATCH", path_of(group), {"schemas": [PATCH_OP], "Operations": operations}) == (
        400,
        "invalidValue",
    )
    assert core.get(group) == before


def test_members_and_other_attributes_change_together(core: Core) -> None:
    a, b, c = core.user("a"), core.user("b"), core.user("c")
    group = core.group("g", a, b)
    changed = core.patch(
        group,
        {"op": "replace", "value": {"displayName": "h"}},
        {"op": "add", "path": "members", "value": [{"value": c["id"]}]},
        {"op": "remove", "path": f'members[value eq "{a["id"]}"]'},
    )
    assert changed["displayName"] == "h"
    assert {element["value"] for element in changed["members"]} == {b["id"], c["id"]}
    assert changed["meta"]["version"] == 'W/"2"'
    assert core.get(group) == changed


def test_members_can_be_selected_by_what_is_shown_of_them(core: Core) -> None:
    a, b = core.user("a", displayName="Alice"), core.user("b", displayName="Bob")
    group = core.group("g", a, b)
    core.patch(group, {"op": "remove", "path": 'members[display eq "Bob"]'})
    assert core.members(group) == {a["id"]}
    core.patch(group, {"op": "remove", "path": 'members[type eq "User"]'})
    assert core.members(group) == set()


def test_all_members_are_replaced_or_removed_at_once(core: Core) -> None:
    a, b = core.user("a"), core.user("b")
    group = core.group("g", a)
    core.patch(group, {"op": "replace", "path": "members", "value": [{"value": b["id"]}]})
    assert core.members(group) == {b["id"]}
    core.patch(group, {"op": "replace", "path": "members", "value": []})
    assert core.members(group) == set()
    core.patch(group, {"op": "add", "path": "members", "value": [{"value": a["id"]}]})
    core.patch(group, {"op": "remove", "path": "members"})
    assert core.members(group) == set()


def test_a_put_without_members_empties_the_group_and_a_patch_does_not(core: Core) -> None:
    group = core.group("g", core.user("a"))
    core.patch(group, {"op": "replace", "value": {"displayName": "h", "id": group["id"]}})
    assert len(core.members(group)) == 1
    emptied = core.json("PUT", path_of(group), {"schemas": [GROUP], "displayName": "h"})
    assert "members" not in emptied
    assert core.members(group) == set()


def test_the_answer_to_a_patch_of_a_large_group_has_no_body(core: Core) -> None:
    core = Core(core.backend, replace(core.settings, patch_answer_members=2))
    users = [core.user(name) for name in "abc"]
    group = core.group("g", *users[:2])
    assert len(core.patch(group, {"op": "replace", "path": "displayName", "value": "h"})["members"]) == 2
    operation = {"op": "add", "path": "members", "value": [{"value": users[2]["id"]}]}
    response = core.send("PATCH", path_of(group), {"schemas": [PATCH_OP], "Operations": [operation]})
    assert (response.status, response.body) == (204, b"")
    assert response.headers["ETag"] == core.get(group)["meta"]["version"] == 'W/"3"'
    shown = core.patch(group, {"op": "replace", "path": "displayName", "value": "i"}, attributes="displayName")
    assert set(shown) == {"schemas", "id", "displayName"}
    assert len(core.patch(group, operation, attributes="members")["members"]) == 3


def test_a_patch_of_a_group_reads_its_members_only_to_show_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = Core(open_backend("sql", tmp_path), ProviderSettings())
    user, group = core.user("a"), core.group("g", core.user("b"))
    handler = core.backend.handlers["Group"]
    assert isinstance(handler, MembershipHandler)
    reads: list[Any] = []
    get, member_ids = handler.get, handler.member_ids

    def watched_get(id: str, *, without: Any = ()) -> Any:
        reads.append("members" in without)
        return get(id, without=without)

    def watched_ids(id: str, *, among: Any = None) -> Any:
        reads.append(among is not None)
        return member_ids(id, among=among)

    monkeypatch.setattr(handler, "get", watched_get)
    monkeypatch.setattr(handler, "member_ids", watched_ids)
    operation = {"op": "add", "path": "members", "value": [{"value": user["id"]}]}
    core.patch(group, operation, excludedAttributes="members")
    core.patch(group, {"op": "replace", "path": "displayName", "value": "h"}, excludedAttributes="members")
    core.json("GET", path_of(group), excludedAttributes="members")
    assert reads
    assert all(reads)
    assert len(core.get(group)["members"]) == 2
    core.backend.close()


# References


def test_a_reference_to_nobody_is_refused_and_names_only_who_is_missing(core: Core) -> None:
    user = core.user("a")
    body = {"schemas": [GROUP], "displayName": "g", "members": [{"value": user["id"]}, {"value": "nobody"}]}
    response = core.send("POST", "/Groups", body)
    detail = json.loads(response.body)["detail"]
    assert response.status == 400
    assert "nobody" in detail
    assert user["id"] not in detail
    many = {**body, "members": [{"value": f"nobody-{index}"} for index in range(50)]}
    detail = json.loads(core.send("POST", "/Groups", many).body)["detail"]
    assert "45 more" in detail
    assert len(detail) < 400
    manager = {"schemas": [USER], "userName": "b", ENTERPRISE: {"manager": {"value": "nobody"}}}
    assert core.refused("POST", "/Users", manager) == (400, "invalidValue")
    operation = {"op": "add", "path": f"{ENTERPRISE}:manager", "value": {"value": "nobody"}}
    body = {"schemas": [PATCH_OP], "Operations": [operation]}
    assert core.refused("PATCH", path_of(user), body) == (400, "invalidValue")


def test_a_reference_to_the_wrong_type_is_refused(core: Core) -> None:
    group = core.group("g")
    body = {"schemas": [USER], "userName": "a", ENTERPRISE: {"manager": {"value": group["id"]}}}
    assert core.refused("POST", "/Users", body) == (400, "invalidValue")


@pytest.mark.parametrize("lie", [{"type": "Group"}, {"$ref": f"{BASE}/Users/other"}, {"$ref": "Groups/{id}"}])
def test_a_reference_that_contradicts_itself_is_refused(core: Core, lie: dict[str, str]) -> None:
    user, group = core.user("a"), core.group("g")
    element = {"value": user["id"], **{name: text.format(id=user["id"]) for name, text in lie.items()}}
    body = {"schemas": [GROUP], "displayName": "h", "members": [element]}
    assert core.refused("POST", "/Groups", body) == (400, "invalidValue")
    assert core.refused("PUT", path_of(group), {**body, "displayName": "g"}) == (400, "invalidValue")
    operation = {"op": "add", "path": "members", "value": [element]}
    patch = {"schemas": [PATCH_OP], "Operations": [operation]}
    assert core.refused("PATCH", path_of(group), patch) == (400, "invalidValue")


@pytest.mark.parametrize("lie", [{"type": "Group"}, {"$ref": f"{BASE}/Users/other"}])
def test_what_is_said_of_somebody_who_is_there_has_to_be_true_too(core: Core, lie: dict[str, str]) -> None:
    user = core.user("a")
    group = core.group("g", user)
    body = {"schemas": [GROUP], "displayName": "g", "members": [{"value": user["id"], **lie}]}
    assert core.refused("PUT", path_of(group), body) == (400, "invalidValue")
    assert core.json("PUT", path_of(group), {**body, "members": [{"value": user["id"], "type": "User"}]}) == group


@pytest.mark.parametrize("ref", ["Users/{id}", "/Users/{id}", "../Users/{id}", "https://other/v1/Users/{id}/", "{id}"])
def test_a_reference_may_be_written_in_any_way(core: Core, ref: str) -> None:
    user = core.user("a")
    element = {"value": user["id"], "$ref": ref.format(id=user["id"]), "type": "user", "display": "ignored"}
    group = core.json("POST", "/Groups", {"schemas": [GROUP], "displayName": "g", "members": [element]}, expect=201)
    shown = {"value": user["id"], "type": "User", "display": "a", "$ref": user["meta"]["location"]}
    assert group["members"] == [shown]
    assert core.get(group)["members"] == [shown]


def test_what_is_shown_of_a_reference_follows_its_target(core: Core) -> None:
    user, boss = core.user("a"), core.user("b")
    group = core.group("g", user)
    core.patch(user, {"op": "add", "path": "displayName", "value": "Alice"})
    core.patch(boss, {"op": "add", "path": "displayName", "value": "Bob"})
    assert core.get(group)["members"][0]["display"] == "Alice"
    managed = core.patch(user, {"op": "add", "path": f"{ENTERPRISE}:manager", "value": {"value": boss["id"]}})
    assert managed[ENTERPRISE]["manager"] == {
        "value": boss["id"],
        "displayName": "Bob",
        "$ref": boss["meta"]["location"],
    }


def test_the_same_member_is_held_once(core: Core) -> None:
    user = core.user("a")
    group = core.group("g", user, user)
    assert len(group["members"]) == 1
    changed = core.patch(group, {"op": "add", "path": "members", "value": [{"value": user["id"]}] * 2})
    assert len(changed["members"]) == 1


def test_a_manager_who_is_gone_is_no_obstacle(core: Core) -> None:
    boss = core.user("b")
    user = core.user("a", **{ENTERPRISE: {"manager": {"value": boss["id"]}}})
    assert core.send("DELETE", path_of(boss)).status == 204
    left = core.get(user)
    assert left[ENTERPRISE]["manager"] == {"value": boss["id"]}
    assert core.json("PUT", path_of(user), {**left, "title": "t"})["title"] == "t"
    assert core.patch(user, {"op": "add", "path": "nickName", "value": "n"})["nickName"] == "n"


def test_references_work_by_their_definition_not_by_their_name(gadgets: Core) -> None:
    user, group = gadgets.user("a"), gadgets.group("g")
    made = gadget(gadgets, owners=[{"value": user["id"]}])
    assert made["owners"] == [{"value": user["id"], "display": "a", "$ref": user["meta"]["location"]}]
    assert gadgets.get(made) == made
    body = {"schemas": [GADGET], "label": "two", "owners": [{"value": group["id"]}]}
    assert gadgets.refused("POST", "/Gadgets", body) == (400, "invalidValue")


# Delete


def test_what_is_deleted_is_gone(core: Core) -> None:
    user = core.user("a")
    response = core.send("DELETE", path_of(user))
    assert (response.status, response.body, dict(response.headers)) == (204, b"", {})
    body = {"schemas": [USER], "userName": "a"}
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        assert core.refused(method, path_of(user), body) == (404, None)
    assert core.json("GET", "/Users")["totalResults"] == 0
    assert core.user("a")["id"] != user["id"]


def test_a_deleted_resource_leaves_every_group_and_moves_its_version(core: Core) -> None:
    a, b = core.user("a"), core.user("b")
    one, two, outer = core.group("one", a, b), core.group("two", a), core.group("none", b)
    core.send("DELETE", path_of(a))
    assert core.members(one) == {b["id"]}
    assert core.members(two) == set()
    versions = [core.get(group)["meta"]["version"] for group in (one, two, outer)]
    assert versions == ['W/"2"', 'W/"2"', 'W/"1"']
    core.send("DELETE", path_of(one))
    assert "groups" in core.get(b)
    assert [group["value"] for group in core.get(b)["groups"]] == [outer["id"]]


def test_a_group_in_itself_can_be_deleted(core: Core) -> None:
    group, outer = core.group("g"), core.group("o")
    core.patch(group, {"op": "add", "path": "members", "value": [{"value": group["id"]}, {"value": outer["id"]}]})
    core.patch(outer, {"op": "add", "path": "members", "value": [{"value": group["id"]}]})
    assert core.send("DELETE", path_of(group)).status == 204
    assert core.members(outer) == set()


def test_a_refused_delete_takes_nobody_out_of_a_group(core: Core) -> None:
    user = core.user("a")
    group = core.group("g", user)
    assert core.refused("DELETE", path_of(user), headers={"if-match": '"0"'}) == (412, None)
    assert core.members(group) == {user["id"]}
    assert core.get(group)["meta"]["version"] == 'W/"1"'


# Preconditions


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_stale_version_is_refused_before_the_body_is_looked_at(core: Core, method: str) -> None:
    user = core.user("a")
    stale = {"if-match": 'W/"0"'}
    assert core.refused(method, path_of(user), raw=b"{", headers=stale) == (412, None)
    assert core.refused(method, "/Users/nope", raw=b"{", headers=stale) == (404, None)
    assert core.refused(method, path_of(user), raw=b"{", headers={"if-none-match": "*"}) == (412, None)
    if method != "DELETE":
        fresh = {"if-match": user["meta"]["version"]}
        assert core.refused(method, path_of(user), raw=b"{", headers=fresh) == (400, "invalidSyntax")
    assert core.get(user) == user


def test_the_tag_of_a_user_moves_with_its_groups(core: Core) -> None:
    user = core.user("a")
    group = core.group("g", user)
    response = core.send("GET", path_of(user))
    tag = response.headers["ETag"]
    assert tag != user["meta"]["version"]
    assert json.loads(response.body)["meta"]["version"] == tag
    assert core.send("GET", path_of(user), attributes="userName").headers["ETag"] == tag
    assert core.json("GET", "/Users")["Resources"][0]["meta"]["version"] == tag
    body = {"schemas": [USER], "userName": "a", "title": "t"}
    assert core.refused("PUT", path_of(user), body, headers={"if-match": user["meta"]["version"]}) == (412, None)
    changed = core.send("PUT", path_of(user), body, headers={"if-match": tag})
    assert changed.status == 200
    assert changed.headers["ETag"] == core.get(user)["meta"]["version"] != tag
    core.send("DELETE", path_of(group))
    assert core.get(user)["meta"]["version"] == 'W/"2"'
