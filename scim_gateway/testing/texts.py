"""Resources as JSON (the abilities TextHandler and MemberTextHandler); a backend without them has nothing to show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import orjson
import pytest

from scim_gateway.abilities import ContainingHandler, MembershipHandler, MemberTextHandler, Text, TextHandler
from scim_gateway.backend import Backend, Page, Query, Reference
from scim_gateway.errors import NotFound
from scim_gateway.schema import Resource
from scim_gateway.testing.filters import resolved
from scim_gateway.testing.samples import changed, devices, group, nearly_its_id, people, user
from scim_gateway.testing.steps import change_members, create, delete, get, modify
from scim_gateway.testing.suite import BackendSuite


def direct_holders(backend: Backend, id: str) -> list[Reference]:
    """What holds a resource directly, as the handlers that can tell do so."""
    with backend.operation(write=False):
        handlers = [each for each in backend.handlers.values() if isinstance(each, ContainingHandler)]
        return [holder for handler in handlers for holder in handler.containing([id]).get(id, ())]


def texts_of(backend: Backend, kind: str) -> TextHandler:
    """The handler of a type, if it has the ability: another type may have it alone, and is tested alone."""
    handler = backend.handlers[kind]
    if not isinstance(handler, TextHandler):
        pytest.skip(f"this backend gives no texts of a {kind}")
    return handler


def text_of(backend: Backend, like: Resource) -> Text:
    """The text of a resource."""
    handler = texts_of(backend, like["meta"]["resourceType"])
    with backend.operation(write=False):
        return handler.text(like["id"])


SAMPLES: Mapping[str, Callable[[], Sequence[Resource]]] = {
    "User": people,
    "Group": lambda: [group("staff"), group("crew")],
    "Device": devices,
}
EACH_KIND = pytest.mark.parametrize("kind", SAMPLES)


class TextTests(BackendSuite):
    """What was stored, as text; for each resource type by itself."""

    @EACH_KIND
    def test_a_text_is_what_was_stored(self, backend: Backend, kind: str) -> None:
        texts_of(backend, kind)
        stored: list[Resource] = []
        for each in SAMPLES[kind]():
            create(backend, each)
            assert text_of(backend, each).json == orjson.dumps(each)
            stored.append(changed(each, **{"note" if kind == "Device" else "displayName": f"another {len(stored)}"}))
            modify(backend, each, stored[-1])
            assert text_of(backend, each).json == orjson.dumps(stored[-1])
        assert [text_of(backend, each).json for each in stored] == [orjson.dumps(each) for each in stored]

    @EACH_KIND
    def test_what_is_not_there_has_no_text(self, backend: Backend, kind: str) -> None:
        texts_of(backend, kind)
        here, gone = SAMPLES[kind]()[:2]
        other = user("ada") if kind != "User" else group("others")
        create(backend, here, gone, other)
        delete(backend, gone)
        for id in (gone["id"], other["id"], *nearly_its_id(here)):
            with pytest.raises(NotFound):
                text_of(backend, {**here, "id": id})

    @EACH_KIND
    def test_what_was_stored_is_the_text_in_a_look_up_as_well(self, backend: Backend, kind: str) -> None:
        handler, of_kind = texts_of(backend, kind), self.resource_types.by_name[kind]
        each, another = SAMPLES[kind]()[:2]
        create(backend, another, each)
        query = Query(of_kind, resolved(of_kind, f'id eq "{each["id"]}"'), without=frozenset({"members"}))
        with backend.look_up():
            text = handler.text(each["id"])
        with backend.look_up():
            found = handler.texts(query)
        assert text.json == text_of(backend, each).json == orjson.dumps(each)
        assert isinstance(found, Page) or (list(found.json), found.total_results) == ([orjson.dumps(each)], 1)

    @pytest.mark.parametrize("kind", ["User", "Group"])
    def test_what_is_said_to_hold_a_resource_with_its_text_is_what_holds_it(self, backend: Backend, kind: str) -> None:
        handler, of_kind = texts_of(backend, kind), self.resource_types.by_name[kind]
        ada, bob, nobodys = user("ada"), user("bob"), user("nobody's")
        inner, empty = group("inner", ada), group("empty")
        staff = group("staff", ada, bob, inner, empty)
        create(backend, ada, bob, nobodys, inner, empty, staff)
        change_members(backend, staff["id"], remove=[bob["id"]])
        path = "displayName" if kind == "Group" else "userName"
        for each in (inner, empty) if kind == "Group" else (ada, bob, nobodys):
            by = resolved(of_kind, f'{path} eq "{each[path]}"')
            query = Query(of_kind, by, without=frozenset({"members"}))
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

    def test_members_that_are_kept_apart_are_told_as_get_tells_them(self, backend: Backend) -> None:
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
        assert "members" not in orjson.loads(text_of(backend, staff).json)

    def test_a_state_is_another_one_after_whatever_is_shown_of_a_group(self, backend: Backend) -> None:
        ada, bob = user("ada", displayName="Ada"), user("bob")
        inner = group("inner", bob)
        staff = group("staff", ada, inner)
        create(backend, ada, bob, inner, staff)
        if text_of(backend, staff).state is None:
            pytest.skip("this backend cannot tell whether a group is shown as before")
        states = [text_of(backend, staff).state]
        assert text_of(backend, staff).state == states[0]

        def another() -> bool:
            states.append(text_of(backend, staff).state)
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
