"""Resources as JSON (the abilities TextHandler and MemberTextHandler); a backend without them has nothing to show."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from scim_gateway.abilities import ContainingHandler, MembershipHandler, MemberTextHandler, Text, TextHandler
from scim_gateway.backend import Backend, Page, Query, Reference
from scim_gateway.errors import NotFound
from scim_gateway.schema import Resource
from scim_gateway.testing.filters import resolved
from scim_gateway.testing.samples import changed, devices, group, people, user
from scim_gateway.testing.steps import change_members, create, delete, get, modify
from scim_gateway.testing.suite import BackendSuite


def direct_holders(backend: Backend, id: str) -> list[Reference]:
    """What holds a resource directly, as the handlers that can tell do so."""
    with backend.operation(write=False):
        handlers = [each for each in backend.handlers.values() if isinstance(each, ContainingHandler)]
        return [holder for handler in handlers for holder in handler.containing([id]).get(id, ())]


class TextTests(BackendSuite):
    """What was stored, as text."""

    @pytest.fixture
    def text_of(self, backend: Backend) -> Any:
        """A function that gives the text of a resource."""
        if not all(isinstance(handler, TextHandler) for handler in backend.handlers.values()):
            pytest.skip("this backend gives no texts")

        def text(like: Resource) -> Text:
            handler = backend.handlers[like["meta"]["resourceType"]]
            assert isinstance(handler, TextHandler)
            with backend.operation(write=False):
                return handler.text(like["id"])

        return text

    def test_a_text_is_what_was_stored(self, backend: Backend, text_of: Any) -> None:
        for each in (*people(), *devices()):
            create(backend, each)
            assert text_of(each).json == orjson.dumps(each)
            after = changed(each, note="another") if "serial" in each else changed(each, nickName="another")
            modify(backend, each, after)
            assert text_of(each).json == orjson.dumps(after)

    def test_what_is_not_there_has_no_text(self, backend: Backend, text_of: Any) -> None:
        ada = user("ada")
        create(backend, ada)
        delete(backend, ada)
        nothing: list[Resource] = [ada, {"id": ada["id"], "meta": {"resourceType": "Group"}}]
        for each in nothing:
            with pytest.raises(NotFound):
                text_of(each)

    def test_what_was_stored_is_the_text_in_a_look_up_as_well(self, backend: Backend, text_of: Any) -> None:
        for each in (user("ada"), group("staff"), devices()[0]):
            kind = self.resource_types.by_name[each["meta"]["resourceType"]]
            handler = backend.handlers[kind.name]
            assert isinstance(handler, TextHandler)
            create(backend, each)
            query = Query(kind, resolved(kind, f'id eq "{each["id"]}"'), without=frozenset({"members"}))
            with backend.look_up():
                text = handler.text(each["id"])
            with backend.look_up():
                found = handler.texts(query)
            assert text.json == text_of(each).json == orjson.dumps(each)
            assert isinstance(found, Page) or (list(found.json), found.total_results) == ([orjson.dumps(each)], 1)

    def test_what_is_said_to_hold_a_resource_with_its_text_is_what_holds_it(
        self, backend: Backend, text_of: Any
    ) -> None:
        ada, bob, nobodys = user("ada"), user("bob"), user("nobody's")
        inner, empty = group("inner", ada), group("empty")
        staff = group("staff", ada, bob, inner, empty)
        create(backend, ada, bob, nobodys, inner, empty, staff)
        change_members(backend, staff["id"], remove=[bob["id"]])
        for each, name in ((ada, "ada"), (bob, "bob"), (nobodys, "nobody's"), (inner, "inner"), (empty, "empty")):
            kind = self.resource_types.by_name[each["meta"]["resourceType"]]
            handler = backend.handlers[kind.name]
            assert isinstance(handler, TextHandler)
            path = "displayName" if kind.members else "userName"
            query = Query(kind, resolved(kind, f'{path} eq "{name}"'), without=frozenset({"members"}))
            with backend.look_up():
                by_id = handler.text(each["id"]).holders
            with backend.look_up():
                found = handler.texts(query)
            by_name = None if isinstance(found, Page) else found.holders.get(each["id"])
            for holders in (by_id, by_name):
                if holders is not None:
                    assert list(holders) == direct_holders(backend, each["id"])
                    # What is said to be a member of nothing is looked at no further.
                    assert not [one.id for one in holders if not one.contained and direct_holders(backend, one.id)]

    def test_members_that_are_kept_apart_are_told_as_get_tells_them(self, backend: Backend, text_of: Any) -> None:
        handler = backend.handlers["Group"]
        if not isinstance(handler, MemberTextHandler):
            pytest.skip("this backend does not give members apart from texts")
        ada, bob, inner = user("ada", displayName="Ada"), user("bob"), group("inner")
        staff = group("staff", ada, bob, inner)
        create(backend, ada, bob, inner, staff)
        with backend.operation(write=False):
            told = list(handler.members(staff["id"]))
            assert not list(handler.members(inner["id"]))
        elements = [{"value": id, "type": kind, "display": display} for id, kind, display in told]
        assert elements == get(backend, staff)["members"]
        assert "members" not in orjson.loads(text_of(staff).json)

    def test_a_state_is_another_one_after_whatever_is_shown_of_a_group(self, backend: Backend, text_of: Any) -> None:
        ada, bob = user("ada", displayName="Ada"), user("bob")
        inner = group("inner", bob)
        staff = group("staff", ada, inner)
        create(backend, ada, bob, inner, staff)
        if text_of(staff).state is None:
            pytest.skip("this backend cannot tell whether a group is shown as before")
        states = [text_of(staff).state]
        assert text_of(staff).state == states[0]

        def another() -> bool:
            states.append(text_of(staff).state)
            return states[-1] not in states[:-1]

        renamed = changed(ada, displayName="Countess")
        modify(backend, ada, renamed)
        assert another()
        modify(backend, renamed, changed(renamed, displayName="Ada"))
        assert another()
        before = get(backend, inner)
        if isinstance(backend.handlers["Group"], MembershipHandler):
            before.pop("members")
        modify(backend, before, changed(before, displayName="within"))
        assert another()
        change_members(backend, staff["id"], add=[bob])
        assert another()
        change_members(backend, staff["id"], remove=[bob["id"]])
        assert another()
