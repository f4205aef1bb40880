"""Ids that the gateway cannot have given: each door refuses them as it does an unknown id, and asks no backend.

The backends here would answer wrongly: they find in ``<ID>``, in ``id`` with blanks, and in a path to it, the id.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from scim_http import BULK_REQUEST, ENTERPRISE, GROUP, PATCH_OP, SEARCH_REQUEST, TOKEN, USER, ScimClient

from scim_gateway.app import EXTENSION, create_app
from scim_gateway.changes import changed, new_id
from scim_gateway.ids import is_id
from scim_gateway.text import printable

# Texts made of an id, "{}".
NEARLY: Mapping[str, str] = {
    "a blank behind": "{} ",
    "a blank before": " {}",
    "a line end": "{}\n",
    "NUL": "{}\0",
    "a path": "../User/{}",
    "a slash": "{}/",
    "too long": "{}-and-more-of-it-than-there-may-be",
    "nothing visible": "{}\N{ZERO WIDTH SPACE}",
    "upper case": "{0:upper}",
}


class _Id(str):
    """An id that can be written in upper case."""

    __slots__ = ()

    def __format__(self, form: str) -> str:
        return self.upper() if form == "upper" else str(self)


def nearly(id: str, form: str) -> str:
    return form.format(_Id(id))


def message(*operations: Mapping[str, Any]) -> dict[str, Any]:
    return {"schemas": [PATCH_OP], "Operations": list(operations)}


def _bulk(method: str, path: str, data: object = None) -> tuple[str, str, object]:
    operation = {"method": method, "path": path} | ({} if data is None else {"data": data})
    return "POST", "/Bulk", {"schemas": [BULK_REQUEST], "Operations": [operation]}


USERS_PUT = {"schemas": [USER], "userName": "new"}
GROUPS_PUT = {"schemas": [GROUP], "displayName": "new"}
TITLE = message({"op": "replace", "path": "title", "value": "x"})
NAME = message({"op": "replace", "path": "displayName", "value": "x"})
MANAGED = {**USERS_PUT, "schemas": [USER, ENTERPRISE], ENTERPRISE: {"manager": {"value": "<ada>"}}}
NAMED = {**USERS_PUT, "schemas": [USER, ENTERPRISE], ENTERPRISE: {"manager": "<ada>"}}

BY_ID: list[tuple[str, str, object]] = [
    ("GET", "/Users/<ada>", None),
    ("HEAD", "/Users/<ada>", None),
    ("GET", "/Users/<ada>?attributes=userName", None),
    ("PUT", "/Users/<ada>", USERS_PUT),
    ("PATCH", "/Users/<ada>", TITLE),
    ("DELETE", "/Users/<ada>", None),
    ("GET", "/Groups/<staff>", None),
    ("GET", "/Groups/<staff>?excludedAttributes=members", None),
    ("PUT", "/Groups/<staff>", GROUPS_PUT),
    ("PATCH", "/Groups/<staff>", NAME),
    ("PATCH", "/Groups/<staff>", message({"op": "add", "path": "members", "value": [{"value": "<ada>"}]})),
    ("DELETE", "/Groups/<staff>", None),
]

FILTERS: list[tuple[str, str]] = [
    ("/Users", 'id eq "<ada>"'),
    ("/Users", 'id ne "<ada>"'),
    ("/Users", 'not (id eq "<ada>")'),
    ("/Users", 'id eq "<ada>" and userName pr'),
    ("/Users", 'id eq "<ada>" or userName eq "bob"'),
    ("/Users", 'groups eq "<staff>"'),
    ("/Users", 'groups.value eq "<staff>"'),
    ("/Users", 'groups[value eq "<staff>"]'),
    ("/Users", 'groups[value eq "<staff>" and type eq "direct"]'),
    ("/Users", 'not (groups[value eq "<staff>"])'),
    ("/Users", f'{ENTERPRISE}:manager eq "<ada>"'),
    ("/Users", f'{ENTERPRISE}:manager.value ne "<ada>"'),
    ("/Users", f'{ENTERPRISE}:manager[value eq "<ada>"]'),
    ("/Groups", 'id eq "<staff>"'),
    ("/Groups", 'members eq "<ada>"'),
    ("/Groups", 'members.value eq "<ada>"'),
    ("/Groups", 'members.value ne "<ada>"'),
    ("/Groups", 'members[value eq "<ada>"]'),
    ("/Groups", 'members[value eq "<ada>" and type eq "User"]'),
    ("/Groups", 'members[value eq "<ada>" or type eq "Group"]'),
    ("/Groups", 'members[value ne "<ada>"]'),
    ("/Groups", 'members[not (value eq "<ada>")]'),
    ("/Groups", 'displayName pr and not (members eq "<ada>")'),
    ("", 'id eq "<ada>"'),
    ("", 'id eq "<ada>" or members eq "<ada>"'),
]

REFERENCES: list[tuple[str, str, object]] = [
    ("POST", "/Groups", {**GROUPS_PUT, "members": [{"value": "<ada>"}]}),
    ("POST", "/Groups", {**GROUPS_PUT, "members": [{"value": "[ada]"}, {"value": "<ada>", "type": "User"}]}),
    ("PUT", "/Groups/[staff]", {**GROUPS_PUT, "members": [{"value": "<ada>"}]}),
    ("PATCH", "/Groups/[staff]", message({"op": "add", "path": "members", "value": [{"value": "<ada>"}]})),
    ("PATCH", "/Groups/[staff]", message({"op": "add", "value": {"members": [{"value": "<ada>"}]}})),
    ("PATCH", "/Groups/[staff]", message({"op": "replace", "path": "members", "value": [{"value": "<ada>"}]})),
    ("POST", "/Users", MANAGED),
    ("POST", "/Users", NAMED),
    ("PUT", "/Users/[ada]", MANAGED),
    ("PATCH", "/Users/[ada]", message({"op": "add", "value": {ENTERPRISE: {"manager": {"value": "<ada>"}}}})),
]

LEAVING: list[tuple[str, str, object]] = [
    ("PATCH", "/Groups/[staff]", message({"op": "remove", "path": 'members[value eq "<ada>"]'})),
    ("PATCH", "/Groups/[staff]", message({"op": "remove", "path": "members", "value": [{"value": "<ada>"}]})),
    ("PATCH", "/Groups/[staff]", message({"op": "remove", "path": 'members[value eq "<ada>" and type eq "User"]'})),
]

IN_BULK = [
    _bulk(method, path, body) for method, path, body in [*BY_ID, *REFERENCES, *LEAVING] if method not in ("GET", "HEAD")
]


class Directory:
    """Two people and a group over a backend that answers wrongly, and what it has been asked."""

    def __init__(self, app: Flask) -> None:
        self.scim = ScimClient(app, token=TOKEN)
        self.backend = app.extensions[EXTENSION].backend
        self.ada, self.bob = self.scim.user("ada"), self.scim.user("bob")
        self.staff = self.scim.group("staff", [self.ada["id"]])
        self.scim.get(f"/Users/{self.ada['id']}").expect(200)  # from now on the form is known
        self.backend.asked.clear()

    def seen(self) -> list[bytes]:
        """All that is stored, as it is shown."""
        return [self.scim.get(path).expect(200).raw for path in ("/Users", "/Groups")]

    def answer(self, request: tuple[str, str, object], ada: str, staff: str) -> tuple[int, str]:
        """Status and body, with marks for the ids that were sent.

        :param ada: stands for <ada>, and staff for <staff>; [ada] and [staff] are the true ones.
        """
        method, path, body = request
        true = {"[ada]": self.ada["id"], "[staff]": self.staff["id"]}
        path = replaced(path, {"<ada>": quote(ada, safe=""), "<staff>": quote(staff, safe=""), **true})
        sent = {} if body is None else {"json": filled(body, {"<ada>": ada, "<staff>": staff, **true})}
        found = self.scim.request(method, path, **sent)
        marks = {form(id): mark for id, mark in ((ada, "A"), (staff, "S")) for form in (_in_json, printable)}
        return found.status, replaced(json.dumps(found.body, ensure_ascii=False), marks)

    def check(self, request: tuple[str, str, object], form: str) -> tuple[int, str]:
        """That a request is answered as with unknown ids, and changes nothing; the answer."""
        unknown, strange = (new_id(), new_id()), (nearly(self.ada["id"], form), nearly(self.staff["id"], form))
        before = self.seen()
        expected = self.answer(request, *unknown)
        found = self.answer(request, *strange)
        assert expected[0] < 500
        assert "The gateway failed" not in expected[1]
        # No JSON with NUL is read, whatever it is about.
        assert found == expected or ("NUL" in found[1] and found[0] == 400 and "\0" in form)
        assert self.seen() == before
        assert [id for id in self.backend.asked if not is_id(id)] == []
        return expected


def _in_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def replaced(text: str, by: Mapping[str, str]) -> str:
    for mark, other in by.items():
        text = text.replace(mark, other)
    return text


def filled(value: Any, by: Mapping[str, str], *, key: str = "") -> Any:
    """A body with ids for the marks; inside a path they stand in a JSON string."""
    if isinstance(value, str):
        in_filter = key == "path" and not value.startswith("/")
        return replaced(value, {mark: _in_json(id) if in_filter else id for mark, id in by.items()})
    if isinstance(value, Mapping):
        return {name: filled(inner, by, key=name) for name, inner in value.items()}
    return [filled(inner, by) for inner in value] if isinstance(value, list) else value


@pytest.fixture(params=["SloppyMemory", "SloppySql"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    settings = {"BACKEND": f"sloppy:{request.param}", "DATA_DIR": str(tmp_path), "TOKEN": TOKEN}
    app = create_app({f"SCIM_GATEWAY_{name}": value for name, value in settings.items()})
    yield app
    app.extensions[EXTENSION].backend.close()


@pytest.fixture
def directory(app: Flask) -> Directory:
    return Directory(app)


def test_these_backends_answer_wrongly(app: Flask) -> None:
    directory = Directory(app)
    backend, ada, staff = directory.backend, directory.ada["id"], directory.staff["id"]
    strange = [
        nearly(ada, NEARLY[name]) for name in ("upper case", "a blank behind", "a line end", "a path", "a slash")
    ]
    with backend.operation(write=False):
        for id in strange:
            assert backend.handlers["User"].get(id)["id"] == ada
            assert backend.references([id])[id].id == id
            assert backend.handlers["Group"].containing([id])[id][0].id == staff
    assert backend.asked[0] == ada.upper()


@pytest.mark.parametrize("form", NEARLY.values(), ids=NEARLY)
@pytest.mark.parametrize("way", ["short", "through Flask"])
def test_nearly_an_id_is_as_unknown_as_any_other(app: Flask, form: str, way: str) -> None:
    if way == "through Flask":
        direct: Any = app.wsgi_app
        app.__dict__["wsgi_app"] = direct._through_flask
    directory = Directory(app)
    for request in BY_ID:
        if "/" in form:
            continue  # as part of a URL that is another path
        assert directory.check(request, form)[0] == 404


@pytest.mark.parametrize("form", NEARLY.values(), ids=NEARLY)
def test_a_filter_with_nearly_an_id_finds_what_one_with_an_unknown_id_finds(directory: Directory, form: str) -> None:
    for path, text in FILTERS:
        unknown, strange = (
            (new_id(), new_id()),
            (nearly(directory.ada["id"], form), nearly(directory.staff["id"], form)),
        )
        texts = [
            replaced(text, {"<ada>": _in_json(ada), "<staff>": _in_json(staff)}) for ada, staff in (unknown, strange)
        ]
        for more in ({}, {"cursor": ""}, {"count": "1", "startIndex": "2", "sortBy": "id"}):
            first, second = (directory.scim.get(path or "/", query={"filter": each, **more}) for each in texts)
            assert (first.status, first.raw) == (second.status, second.raw) == (200, first.raw), (text, more)
            body = {"schemas": [SEARCH_REQUEST], "filter": texts[1], **more}
            body |= {name: int(body[name]) for name in ("count", "startIndex") if name in body}
            assert directory.scim.post(f"{path}/.search", body).raw == first.raw
    assert [id for id in directory.backend.asked if not is_id(id)] == []


@pytest.mark.parametrize("form", NEARLY.values(), ids=NEARLY)
def test_nobody_refers_to_nearly_an_id(directory: Directory, form: str) -> None:
    for request in REFERENCES:
        status, body = directory.check(request, form)
        assert (status, "there is no" in body) == (400, True)


@pytest.mark.parametrize("form", NEARLY.values(), ids=NEARLY)
def test_nearly_a_member_is_not_removed(directory: Directory, form: str) -> None:
    for request in LEAVING:
        assert directory.check(request, form)[0] in (200, 204)


@pytest.mark.parametrize("form", NEARLY.values(), ids=NEARLY)
def test_it_is_the_same_in_a_bulk_request(directory: Directory, form: str) -> None:
    for request in IN_BULK:
        if "/" in form and "/[" not in json.dumps(request):
            continue
        status, _ = directory.check(request, form)
        assert status == 200


def test_a_member_by_a_path_does_not_outlive_the_person(directory: Directory) -> None:
    scim, ada = directory.scim, directory.ada["id"]
    members = [{"value": f"../User/{ada}"}]
    scim.post("/Groups", {**GROUPS_PUT, "members": members}).expect(400, "invalidValue")
    scim.delete(f"/Users/{ada}").expect(204)
    assert "members" not in scim.get(f"/Groups/{directory.staff['id']}").expect(200).body


def test_a_change_of_what_cannot_be_there_is_told_to_the_backend_as_refused(directory: Directory) -> None:
    told: list[str] = []
    directory.backend.refused = lambda error: told.append(error.detail)
    unknown, strange = new_id(), directory.ada["id"].upper()
    for id in (unknown, strange):
        directory.scim.delete(f"/Users/{id}").expect(404)
    assert told == [f"There is no User with id '{id}'." for id in (unknown, strange)]


def test_what_was_stored_as_a_reference_before_is_shown_and_not_looked_up(directory: Directory) -> None:
    scim, backend = directory.scim, directory.backend
    with backend.operation(write=True):
        before = backend.handlers["User"].get(directory.bob["id"])
        extension = {"manager": {"value": directory.ada["id"].upper()}}
        after = {**before, "schemas": [USER, ENTERPRISE], ENTERPRISE: extension}
        backend.handlers["User"].modify(before, changed(before, after))
    backend.asked.clear()
    shown = scim.get(f"/Users/{directory.bob['id']}").expect(200).body
    assert shown[ENTERPRISE] == extension
    assert scim.get("/Users").expect(200).resources[-1] == shown
    assert [id for id in backend.asked if not is_id(id)] == []
