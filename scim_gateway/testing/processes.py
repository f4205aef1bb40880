"""Rules 4, 5 and 6 between processes: what one backend over a store has done holds for another one over it."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

import pytest

from scim_gateway.backend import Backend, Query
from scim_gateway.errors import NotFound, StaleResource, Uniqueness
from scim_gateway.testing.filters import assert_page, resolved
from scim_gateway.testing.samples import changed, group, user
from scim_gateway.testing.steps import (
    change_members,
    create,
    delete,
    get,
    in_parallel,
    look_up,
    member_ids,
    modify,
    refer_during_deletion,
    retried,
)
from scim_gateway.testing.suite import BackendSuite
from scim_gateway.tokens import MemoryTokenStore, new_token


class ProcessTests(BackendSuite):
    """Two backends over one store, as two worker processes have them; skipped where one process serves it."""

    # Rule 6: what an operation wrote is in the store when it has ended

    def test_what_one_process_wrote_another_one_finds(self, backend: Backend, another: Backend) -> None:
        kind = self.resource_types.by_name["User"]
        ada = user("ada", displayName="Ada")
        staff = group("staff", ada)
        create(backend, ada, staff)
        assert get(another, ada) == look_up(another, ada) == ada
        assert member_ids(another, staff["id"]) == {ada["id"]}
        assert another.references([ada["id"]])[ada["id"]].display == "Ada"
        assert_page(another, Query(kind, resolved(kind, 'userName eq "ADA"')), [ada])

    def test_what_one_process_knows_it_does_not_believe_when_another_one_has_changed_it(
        self, backend: Backend, another: Backend
    ) -> None:
        kind = self.resource_types.by_name["User"]
        ada = user("ada")
        create(backend, ada)
        for writer, reader, name in ((another, backend, "one"), (backend, another, "two")):
            assert get(reader, ada) == look_up(reader, ada) == ada
            after = changed(ada, userName=name, displayName=name)
            modify(writer, ada, after)
            assert get(reader, ada) == look_up(reader, ada) == after
            assert reader.references([ada["id"]])[ada["id"]].display == name
            assert_page(reader, Query(kind, resolved(kind, f'userName eq "{name}"')), [after])
            ada = after
        delete(backend, ada)
        for read in (get, look_up):
            with pytest.raises(NotFound):
                read(another, ada)
        assert another.references([ada["id"]]) == {}

    # Rule 4: names

    def test_a_name_that_one_process_gave_is_taken_for_another_one(self, backend: Backend, another: Backend) -> None:
        ada, bob = user("ada"), user("bob")
        create(backend, ada)
        with pytest.raises(Uniqueness):
            create(another, user("ADA"))
        create(another, bob)
        with pytest.raises(Uniqueness):
            modify(backend, ada, changed(ada, userName="Bob"))
        delete(another, bob)
        modify(backend, ada, changed(ada, userName="Bob"))
        create(another, user("ada"))

    def test_of_processes_that_create_one_name_at_once_a_single_one_succeeds(
        self, backend: Backend, another: Backend
    ) -> None:
        for attempt in range(5):
            makers = [(each, each.handlers["User"]) for each in (backend, another) * 3]
            work = [partial(retried, each, partial(users.create, user(f"Ada{attempt}"))) for each, users in makers]
            results = in_parallel(work)
            assert results.count(None) == 1
            assert sum(isinstance(result, Uniqueness) for result in results) == 5

    # Rule 5: nobody's change is lost

    def test_a_change_of_what_another_process_has_changed_is_refused(self, backend: Backend, another: Backend) -> None:
        before = user("ada")
        create(backend, before)
        after = changed(before, displayName="1")
        modify(another, before, after)
        with pytest.raises(StaleResource):
            modify(backend, before, changed(before, displayName="2"))
        with pytest.raises(StaleResource):
            delete(backend, before)
        assert get(backend, before) == after

    def test_changes_by_processes_at_once_lose_nothing(self, backend: Backend, another: Backend) -> None:
        one = user("ada")
        create(backend, one)

        def add(writer: Backend, number: int) -> None:
            users = writer.handlers["User"]
            before = users.get(one["id"])
            emails = [*before.get("emails", ()), {"value": f"{number}@example.com"}]
            users.modify(before, changed(before, emails=emails))

        writers = enumerate([backend, another] * 4)
        results = in_parallel([partial(retried, each, partial(add, each, number)) for number, each in writers])
        assert results == [None] * 8
        assert len(get(backend, one)["emails"]) == 8
        assert get(another, one)["meta"]["version"] == "9"

    def test_members_added_by_processes_at_once_are_all_there(self, backend: Backend, another: Backend) -> None:
        staff, many = group("staff"), [user(f"user{number}") for number in range(8)]
        create(backend, staff, *many)
        writers = zip([backend, another] * 4, many, strict=True)
        results = in_parallel([partial(change_members, each, staff["id"], add=[one]) for each, one in writers])
        assert results == [None] * 8
        assert member_ids(backend, staff["id"]) == member_ids(another, staff["id"]) == {each["id"] for each in many}

    def test_who_is_referred_to_is_not_deleted_by_another_process_before_the_write_ends(
        self, backend: Backend, another: Backend
    ) -> None:
        for attempt in range(5):
            assert refer_during_deletion(backend, another, f"ada{attempt}") == []

    # Tokens and cursors

    def test_a_token_is_valid_in_every_process_until_one_revokes_it(self, backend: Backend, another: Backend) -> None:
        if isinstance(backend.tokens, MemoryTokenStore):
            pytest.skip("this backend leaves tokens to the process; SCIM_GATEWAY_TOKEN is the same in all of them")
        _, token = new_token("first", expires=datetime(2030, 1, 2, tzinfo=UTC))
        assert another.tokens.find(token.id) is None
        backend.tokens.add(token)
        assert another.tokens.find(token.id) == token
        assert list(another.tokens.list()) == [token]
        assert another.tokens.revoke(token.id)
        assert backend.tokens.find(token.id) is None

    def test_the_key_of_the_cursors_is_the_same_in_every_process(self, backend: Backend, another: Backend) -> None:
        assert another.cursor_key == backend.cursor_key
        create(backend, user("ada"))
        assert another.cursor_key == backend.cursor_key
