"""What the tests of PATCH share: a user to change, and requests that change, keep or are refused."""

from __future__ import annotations

from typing import Any

from scim_http import Answer, ScimClient

EMAILS = [
    {"value": "work@example.com", "type": "work", "primary": True},
    {"value": "home@example.com", "type": "home", "display": "at home"},
]
NAME = {"givenName": "Barbara", "familyName": "Jensen"}
Operation = dict[str, Any]


def someone(scim: ScimClient, **attributes: Any) -> str:
    """The path of a user with a name and two e-mail addresses."""
    return "/Users/" + str(scim.user(**({"name": NAME, "emails": EMAILS, "active": True} | attributes))["id"])


def content(body: dict[str, Any]) -> dict[str, Any]:
    """A resource without what a change moves."""
    return {name: value for name, value in body.items() if name != "meta"}


def change(scim: ScimClient, path: str, *operations: Operation) -> dict[str, Any]:
    """The resource after a PATCH that has to change it; the answer, and what is read afterwards, are the same."""
    before = scim.get(path).expect(200)
    answer = scim.patch(path, list(operations)).expect(200)
    assert answer.body == scim.get(path).body
    assert answer.etag != before.etag
    assert answer.body["meta"]["lastModified"] > before.body["meta"]["lastModified"]
    assert answer.body["meta"]["created"] == before.body["meta"]["created"]
    return dict(answer.body)


def keep(scim: ScimClient, path: str, *operations: Operation) -> None:
    """A PATCH that succeeds and changes nothing."""
    before = scim.get(path).expect(200)
    answer = scim.patch(path, list(operations)).expect(200)
    assert answer.body == before.body
    assert answer.etag == before.etag


def refuse(scim: ScimClient, path: str, scim_type: str, *operations: Operation, status: int = 400) -> Answer:
    """A PATCH that is refused and changes nothing."""
    before = scim.get(path).expect(200)
    answer = scim.patch(path, list(operations)).expect(status, scim_type)
    after = scim.get(path)
    assert (after.body, after.etag) == (before.body, before.etag)
    return answer


def values(body: dict[str, Any], name: str) -> list[Any]:
    return [element["value"] for element in body.get(name, ())]
