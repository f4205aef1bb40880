"""What a backend offers beside its resources: references, tokens, the key of cursors, the check."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from scim_gateway.backend import Backend, Reference
from scim_gateway.testing.samples import changed, group, user
from scim_gateway.testing.steps import create, modify, references
from scim_gateway.testing.suite import BackendSuite
from scim_gateway.tokens import new_token


class SurroundingsTests(BackendSuite):
    """References, tokens, cursors, check, handlers."""

    # References

    def test_references_show_type_and_name(self, backend: Backend) -> None:
        ada, bob, staff = user("ada", displayName="Ada"), user("bob"), group("Staff")
        create(backend, ada, bob, staff)
        ids = [ada["id"], bob["id"], staff["id"], "unknown", "' or 1=1"]
        assert dict(references(backend, ids)) == {
            ada["id"]: Reference(ada["id"], "User", "Ada"),
            bob["id"]: Reference(bob["id"], "User", "bob"),
            staff["id"]: Reference(staff["id"], "Group", "Staff"),
        }
        assert dict(references(backend, [])) == {}

    def test_a_reference_shows_the_name_of_today(self, backend: Backend) -> None:
        ada = user("ada", displayName="Ada")
        create(backend, ada)
        modify(backend, ada, changed(ada, displayName="Lady Ada"))
        assert references(backend, [ada["id"]])[ada["id"]].display == "Lady Ada"

    def test_references_are_found_among_more_than_a_thousand_ids(self, backend: Backend) -> None:
        # More ids than a store takes at once; in each part of them are some that are there.
        known = [user(f"user{number}") for number in range(61)]
        with backend.operation(write=True):
            for each in known:
                backend.handlers["User"].create(each)
        ids = [id for each in known for id in (each["id"], *(str(uuid.uuid4()) for _ in range(19)))]
        assert references(backend, ids).keys() == {each["id"] for each in known}

    # Tokens, cursors, check

    def test_tokens_are_kept_found_and_revoked(self, backend: Backend) -> None:
        expires = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
        _, first = new_token("first", expires=expires, profile="okta", scopes=frozenset({"read"}))
        _, second = new_token("second")
        backend.tokens.add(first)
        backend.tokens.add(second)
        assert backend.tokens.find(first.id) == first
        assert backend.tokens.find("unknown") is None
        assert [token.id for token in backend.tokens.list()] == [first.id, second.id]
        used = datetime(2026, 5, 6, tzinfo=UTC)
        backend.tokens.touch(first.id, used)
        found = backend.tokens.find(first.id)
        assert found is not None
        assert found.last_used == used
        assert [backend.tokens.revoke(first.id), backend.tokens.revoke(first.id)] == [True, False]
        assert backend.tokens.find(first.id) is None
        assert list(backend.tokens.list()) == [second]

    def test_the_key_of_the_cursors_stays_the_same(self, backend: Backend) -> None:
        assert len(backend.cursor_key) == 32
        assert backend.cursor_key == backend.cursor_key

    def test_the_check_finds_a_sound_store_sound(self, backend: Backend) -> None:
        findings = list(backend.check())
        assert findings
        assert [each for each in findings if not (each.ok and each.subject and each.message)] == []

    def test_there_is_a_handler_for_each_resource_type(self, backend: Backend) -> None:
        assert {name: handler.resource_type for name, handler in backend.handlers.items()} == {
            kind.name: kind for kind in self.resource_types
        }
