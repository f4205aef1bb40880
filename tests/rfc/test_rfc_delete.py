"""DELETE: RFC 7644 §3.6 (chapter X of docs/conformance.rst)."""

from __future__ import annotations

import pytest
from scim_http import ScimClient, new_user, patch_op, replace


@pytest.mark.rfc("X-01")
def test_delete_is_answered_204_without_a_body(scim: ScimClient) -> None:
    user = scim.user()
    answer = scim.delete(f"/Users/{user['id']}").expect(204)
    assert answer.raw == b""


@pytest.mark.rfc("X-02", "G-02")
def test_a_deleted_resource_is_404_to_every_method(scim: ScimClient) -> None:
    user = scim.user()
    path = f"/Users/{user['id']}"
    scim.delete(path).expect(204)
    scim.get(path).expect(404)
    scim.put(path, new_user(user["userName"])).expect(404)
    scim.patch(path, [replace("title", "x")]).expect(404)
    scim.delete(path).expect(404)
    operations = [
        {"method": "PUT", "path": path, "data": new_user(user["userName"])},
        {"method": "PATCH", "path": path, "data": patch_op(replace("title", "x"))},
        {"method": "DELETE", "path": path},
    ]
    results = scim.bulk(*operations).expect(200).body["Operations"]
    assert [result["status"] for result in results] == ["404", "404", "404"]
    assert scim.get("/Users").body["totalResults"] == 0


@pytest.mark.rfc("X-03", "S-71", "O-23")
def test_a_deleted_resource_is_in_no_list_filter_search_or_group(scim: ScimClient) -> None:
    stays, goes = scim.user("stays"), scim.user("goes", title="chief")
    group = scim.group(members=[stays["id"], goes["id"]])
    scim.delete(f"/Users/{goes['id']}").expect(204)
    assert scim.get("/Users").body["totalResults"] == 1
    assert scim.get("/Users").ids == [stays["id"]]
    assert scim.find('title eq "chief"').body["totalResults"] == 0
    assert scim.find(f'id eq "{goes["id"]}"').ids == []
    assert scim.search("/Users").ids == [stays["id"]]
    assert goes["id"] not in scim.search().ids
    after = scim.get(f"/Groups/{group['id']}").expect(200)
    assert [member["value"] for member in after.body["members"]] == [stays["id"]]
    assert after.etag != group["meta"]["version"]
    assert scim.find(f'members.value eq "{goes["id"]}"', "/Groups").ids == []


@pytest.mark.rfc("X-03", "S-71")
def test_a_deleted_group_is_gone_from_its_members_and_from_the_groups_that_held_it(scim: ScimClient) -> None:
    user = scim.user()
    inner = scim.group(members=[user["id"]])
    outer = scim.group(members=[inner["id"]])
    assert len(scim.get(f"/Users/{user['id']}").body["groups"]) == 2
    scim.delete(f"/Groups/{inner['id']}").expect(204)
    assert "groups" not in scim.get(f"/Users/{user['id']}").body
    assert "members" not in scim.get(f"/Groups/{outer['id']}").body


@pytest.mark.rfc("X-04", "C-10", "S-07")
def test_a_name_is_free_again_after_delete_and_gets_a_new_id(scim: ScimClient) -> None:
    first = scim.user("again@example.com")
    scim.delete(f"/Users/{first['id']}").expect(204)
    second = scim.user("again@example.com")
    assert second["id"] != first["id"]
    scim.get(f"/Users/{first['id']}").expect(404)


@pytest.mark.rfc("X-05", "E-06")
def test_delete_with_a_stale_if_match_is_412_and_deletes_nothing(scim: ScimClient) -> None:
    user = scim.user()
    path = f"/Users/{user['id']}"
    current = scim.patch(path, [replace("title", "x")]).etag
    scim.delete(path, headers={"If-Match": user["meta"]["version"]}).expect(412)
    scim.get(path).expect(200)
    scim.delete(path, headers={"If-Match": current}).expect(204)


@pytest.mark.rfc("X-06", "R-09")
def test_delete_of_a_whole_endpoint_is_405_and_deletes_nothing(scim: ScimClient) -> None:
    scim.user()
    answer = scim.delete("/Users").expect(405)
    assert "DELETE" not in answer.headers["Allow"]
    assert scim.get("/Users").body["totalResults"] == 1
