"""What the core makes of a resource that is created, changed or replaced (RFC 7643 §3.1, RFC 7644 §3.5.1)."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from gadgets import CORE, EXTENSION, GADGET

from scim_gateway.changes import changed, created, replaced, same, without_write_only
from scim_gateway.definitions import standard_resource_types
from scim_gateway.errors import Mutability
from scim_gateway.schema import Attribute, ResourceType, Schema

THING = ResourceType(
    "Thing",
    "/Things",
    Schema(
        "urn:x:Thing",
        "Thing",
        attributes=(
            Attribute("name"),
            Attribute("counter", mutability="readOnly"),
            Attribute("serial", mutability="immutable", case_exact=True),
            Attribute("brand", mutability="immutable"),
        ),
    ),
)


def thing(**attributes: Any) -> dict[str, Any]:
    return created({"schemas": ["urn:x:Thing"], **attributes}, THING)


def test_a_new_resource_has_an_id_that_no_other_has() -> None:
    ids = [thing()["id"] for _ in range(500)]
    assert len(set(ids)) == 500
    for id in ids:
        assert re.fullmatch(r"[0-9a-f-]{36}", id)
        assert uuid.UUID(id).version == 7
        assert "bulkId" not in id


def test_resources_are_in_the_order_of_their_creation() -> None:
    made = [thing() for _ in range(500)]
    assert made == sorted(made, key=lambda resource: (resource["meta"]["created"], resource["id"]))


def test_a_new_resource_knows_when_it_was_made() -> None:
    meta = thing()["meta"]
    assert meta["created"] == meta["lastModified"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", meta["created"])
    assert abs(datetime.now(UTC) - datetime.fromisoformat(meta["created"])) < timedelta(seconds=5)
    assert (meta["resourceType"], meta["version"]) == ("Thing", "1")


def test_a_change_is_later_even_where_the_clock_went_back() -> None:
    before = thing()
    before["meta"]["lastModified"] = "2999-12-31T23:59:59.999Z"
    after = changed(before, {**before, "name": "n"})
    assert after["meta"]["lastModified"] == "3000-01-01T00:00:00.000Z"
    assert after["meta"]["version"] == "2"
    assert after["meta"]["created"] == before["meta"]["created"]
    assert before["meta"]["version"] == "1"


def test_two_changes_at_once_are_two_versions() -> None:
    before = thing()
    one = changed(before, before)
    two = changed(one, one)
    assert before["meta"]["lastModified"] < one["meta"]["lastModified"] < two["meta"]["lastModified"]


def test_meta_and_the_order_of_schemas_are_no_difference() -> None:
    before = {"schemas": ["a", "b"], "id": "1", "meta": {"version": "1"}, "x": [1, 2]}
    assert same(before, {**before, "schemas": ["b", "a"], "meta": {"version": "2"}})
    assert not same(before, {**before, "x": [2, 1]})
    assert not same(before, {**before, "schemas": ["a"]})


def test_what_only_the_server_sets_survives_a_replacement() -> None:
    before = thing(counter="5", name="n")
    after = replaced(before, {"schemas": ["urn:x:Thing"]}, THING)
    assert after == {"schemas": ["urn:x:Thing"], "counter": "5", "id": before["id"], "meta": before["meta"]}


def test_an_immutable_value_survives_a_replacement_and_cannot_be_replaced() -> None:
    before = thing(serial="S", brand="Acme")
    sent = {"schemas": ["urn:x:Thing"]}
    for same_values in ({}, {"serial": "S"}, {"brand": "ACME"}):
        after = replaced(before, {**sent, **same_values}, THING)
        assert (after["serial"], after["brand"]) == ("S", "Acme")
    for other in ({"serial": "s"}, {"brand": "Other"}):
        with pytest.raises(Mutability):
            replaced(before, {**sent, **other}, THING)
    assert replaced(thing(), {**sent, "serial": "T"}, THING)["serial"] == "T"


def test_write_only_values_are_left_out_wherever_they_are() -> None:
    kept = {"schemas": [CORE], "label": "l"}
    assert without_write_only({**kept, "secret": "s", "sealed": "t"}, GADGET) == kept
    assert without_write_only(kept, GADGET) is kept
    extended = {**kept, "schemas": [CORE, EXTENSION], EXTENSION: {"shelf": "s"}}
    assert without_write_only(extended, GADGET) is extended


def test_a_user_has_no_password_to_keep() -> None:
    user = standard_resource_types().by_name["User"]
    sent = {"schemas": [user.schema.id], "userName": "a", "password": "p"}
    assert without_write_only(sent, user) == {"schemas": [user.schema.id], "userName": "a"}
