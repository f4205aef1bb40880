"""Memberships, kept in the group or apart from it (the ability MembershipHandler)."""

from __future__ import annotations

from functools import partial

import pytest

from scim_gateway.abilities import ContainingHandler, MemberChange, MembershipHandler
from scim_gateway.backend import Backend, Query, Reference
from scim_gateway.errors import StaleResource, Uniqueness
from scim_gateway.testing.filters import assert_page, resolved
from scim_gateway.testing.samples import changed, group, nearly_its_id, user
from scim_gateway.testing.steps import change_members, create, delete, get, in_parallel, member_ids, modify
from scim_gateway.testing.suite import BackendSuite


class MembershipTests(BackendSuite):
    """Members, with the ability and without it."""

    # Memberships, with the ability and without it

    def test_members_come_and_go(self, backend: Backend) -> None:
        ada, bob, inner = user("ada"), user("bob"), group("inner")
        staff = group("staff", ada)
        create(backend, ada, bob, inner, staff)
        assert member_ids(backend, staff["id"]) == {ada["id"]}
        change_members(backend, staff["id"], add=[bob, inner], remove=[ada["id"]])
        assert member_ids(backend, staff["id"]) == {bob["id"], inner["id"]}
        assert {each["type"] for each in get(backend, staff)["members"]} == {"User", "Group"}
        change_members(backend, staff["id"], remove=[bob["id"], inner["id"]])
        assert "members" not in get(backend, staff)
        assert get(backend, staff)["meta"]["version"] == "3"

    def test_groups_are_found_by_their_members(self, backend: Backend) -> None:
        ada, bob = user("ada"), user("bob")
        groups = [group("one", ada), group("two", ada, bob), group("none")]
        create(backend, ada, bob, *groups)
        kind = self.resource_types.by_name["Group"]
        stored = [get(backend, each) for each in groups]
        for text, names in (
            (f'members eq "{ada["id"]}"', ["one", "two"]),
            (f'members.value eq "{bob["id"]}"', ["two"]),
            (f'members.value ne "{bob["id"]}"', ["one", "none"]),
            (f'members[value eq "{bob["id"]}"]', ["two"]),
            (f'members[value eq "{bob["id"]}" and type eq "User"]', ["two"]),
            (f'members[value eq "{ada["id"]}" and type eq "Group"]', []),
            ('members.type eq "user"', ["one", "two"]),
            ("members pr", ["one", "two"]),
            ("not (members pr)", ["none"]),
            (f'displayName sw "t" or members eq "{ada["id"]}"', ["one", "two"]),
            ('members eq "nobody"', []),
        ):
            page = assert_page(backend, Query(kind, resolved(kind, text)), stored)
            assert [found["displayName"] for found in page.resources] == names
            with backend.operation(write=False):
                hinted = backend.handlers["Group"].query(
                    Query(kind, resolved(kind, text), without=frozenset({"members"}))
                )
            assert [found["displayName"] for found in hinted.resources] == names
            assert hinted.total_results == len(names)

    def test_members_added_at_once_by_many_are_all_there(self, backend: Backend) -> None:
        staff, many = group("staff"), [user(f"user{number}") for number in range(12)]
        create(backend, staff, *many)
        results = in_parallel([partial(change_members, backend, staff["id"], add=[one]) for one in many])
        assert results == [None] * 12
        assert member_ids(backend, staff["id"]) == {each["id"] for each in many}
        assert get(backend, staff)["meta"]["version"] == "13"

    def test_a_group_that_is_deleted_takes_its_memberships_along(self, backend: Backend) -> None:
        ada = user("ada")
        staff = group("staff", ada)
        create(backend, ada, staff)
        delete(backend, staff)
        assert get(backend, ada) == ada
        kind = self.resource_types.by_name["Group"]
        assert_page(backend, Query(kind, resolved(kind, f'members eq "{ada["id"]}"')), [])

    @pytest.fixture
    def groups(self, backend: Backend) -> MembershipHandler:
        """The handler of groups, if it has the ability."""
        handler = backend.handlers["Group"]
        if not isinstance(handler, MembershipHandler):
            pytest.skip("this backend keeps memberships in the group")
        return handler

    def test_members_show_the_type_and_name_of_today(self, backend: Backend, groups: MembershipHandler) -> None:
        ada, inner = user("ada", displayName="Ada"), group("inner")
        staff = group("staff", ada, inner)
        create(backend, ada, inner, staff)
        modify(backend, ada, changed(ada, displayName="Lady Ada"))
        with backend.operation(write=False):
            shown = groups.get(staff["id"])["members"]
        assert {each["value"]: (each["type"], each["display"]) for each in shown} == {
            ada["id"]: ("User", "Lady Ada"),
            inner["id"]: ("Group", "inner"),
        }

    def test_ids_of_members_are_told_without_the_group(self, backend: Backend, groups: MembershipHandler) -> None:
        ada, bob, inner = user("ada"), user("bob"), group("inner")
        staff = group("staff", ada, inner)
        create(backend, ada, bob, inner, staff)
        some = [ada["id"], bob["id"], "unknown", *nearly_its_id(inner)]
        with backend.operation(write=False):
            assert groups.member_ids(staff["id"]) == {ada["id"], inner["id"]}
            assert groups.member_ids(staff["id"], among=some) == {ada["id"]}
            assert groups.member_ids(staff["id"], among=[]) == set()
            assert groups.member_ids(inner["id"]) == set()
            assert [groups.has_more_members(staff["id"], than) for than in (0, 1, 2, 3)] == [True, True, False, False]
            assert not groups.has_more_members(inner["id"], 0)

    def test_a_change_of_the_group_leaves_its_members(self, backend: Backend, groups: MembershipHandler) -> None:
        ada = user("ada")
        staff = group("staff", ada)
        create(backend, ada, staff)
        before = {name: value for name, value in staff.items() if name != "members"}
        modify(backend, before, changed(before, displayName="Crew"))
        assert (get(backend, staff)["displayName"], member_ids(backend, staff["id"])) == ("Crew", {ada["id"]})

    def test_a_membership_change_may_change_the_group_too(self, backend: Backend, groups: MembershipHandler) -> None:
        ada, bob = user("ada"), user("bob")
        staff = group("staff", ada)
        create(backend, ada, bob, staff, group("taken"))
        before = {name: value for name, value in staff.items() if name != "members"}
        after = changed(before, displayName="Crew")
        change = MemberChange({bob["id"]: "User"}, frozenset({ada["id"]}))
        with backend.operation(write=True):
            groups.change_members(before, after, change)
        assert (get(backend, staff)["displayName"], member_ids(backend, staff["id"])) == ("Crew", {bob["id"]})
        with pytest.raises(Uniqueness), backend.operation(write=True):
            groups.change_members(after, changed(after, displayName="Taken"), MemberChange({ada["id"]: "User"}))
        assert member_ids(backend, staff["id"]) == {bob["id"]}

    def test_a_membership_change_of_a_stale_group_is_refused(self, backend: Backend, groups: MembershipHandler) -> None:
        ada, staff = user("ada"), group("staff")
        create(backend, ada, staff)
        modify(backend, staff, changed(staff, displayName="Crew"))
        with pytest.raises(StaleResource), backend.operation(write=True):
            groups.change_members(staff, changed(staff), MemberChange({ada["id"]: "User"}))
        assert member_ids(backend, staff["id"]) == set()

    def test_what_holds_a_member_is_told_in_default_order(self, backend: Backend) -> None:
        groups = backend.handlers["Group"]
        if not isinstance(groups, ContainingHandler):
            pytest.skip("this backend does not tell what holds a member")
        ada, bob, nobody = user("ada"), user("bob"), user("nobody")
        first, second = group("z", ada), group("a", ada, bob)
        create(backend, ada, bob, nobody, second, first)
        outer = group("outer", first)
        create(backend, outer)
        with backend.operation(write=False):
            asked = [ada["id"], bob["id"], nobody["id"], first["id"], "unknown", *nearly_its_id(ada)]
            found = groups.containing(asked)
        assert {id: [each.display for each in holders] for id, holders in found.items() if holders} == {
            ada["id"]: ["z", "a"],
            bob["id"]: ["a"],
            first["id"]: ["outer"],
        }
        assert found[bob["id"]] == [Reference(second["id"], "Group", "a")]
        # "z" is in another group, and whoever is in "z" is in that one, too.
        assert [each.display for each in found[ada["id"]] if each.contained is False] in ([], ["a"])

    def test_a_write_is_told_what_holds_a_member_by_what_it_has_done_itself(
        self, backend: Backend, groups: MembershipHandler
    ) -> None:
        if not isinstance(groups, ContainingHandler):
            pytest.skip("this backend does not tell what holds a member")
        ada, staff, others = user("ada"), group("staff"), group("others")
        create(backend, ada, staff, others)
        users = backend.handlers["User"]

        def held_by() -> list[str | None]:
            assert isinstance(groups, ContainingHandler)
            return [each.display for each in groups.containing([ada["id"]]).get(ada["id"], ())]

        with backend.operation(write=True):
            before = users.get(ada["id"])
            users.modify(before, changed(before, title="Director"))
            assert held_by() == []
            joined = changed(staff)
            groups.change_members(staff, joined, MemberChange({ada["id"]: "User"}))
            users.get(ada["id"])
            assert held_by() == ["staff"]
            renamed = changed(joined, displayName="Staff")
            groups.modify(joined, renamed)
            assert held_by() == ["Staff"]
            groups.create(group("more", ada))
            assert held_by() == ["Staff", "more"]
            groups.change_members(renamed, changed(renamed), MemberChange(remove=frozenset({ada["id"]})))
            assert held_by() == ["more"]

    def test_a_group_of_hundreds_changes_by_differences(self, backend: Backend, groups: MembershipHandler) -> None:
        # More than a store takes at once: members to write, and ids to look for.
        many = [user(f"user{number}") for number in range(521)]
        staff = group("staff", *many[:-1])
        with backend.operation(write=True):
            for each in many:
                backend.handlers["User"].create(each)
            groups.create(staff)
        change_members(backend, staff["id"], add=[many[-1]], remove=[many[0]["id"]])
        assert len(get(backend, staff)["members"]) == 520
        asked = [id for each in many for id in (each["id"], f"not {each['id']}")]
        with backend.operation(write=False):
            assert [groups.has_more_members(staff["id"], than) for than in (519, 520)] == [True, False]
            found = groups.containing(asked)
        assert {id for id, holders in found.items() if holders} == {each["id"] for each in many[1:]}

    def test_a_deleted_member_is_in_no_group(self, backend: Backend, groups: MembershipHandler) -> None:
        ada = user("ada")
        staff = group("staff", ada)
        create(backend, ada, staff)
        change_members(backend, staff["id"], remove=[ada["id"]])
        delete(backend, ada)
        assert "members" not in get(backend, staff)
        with backend.operation(write=False):
            assert not groups.containing([ada["id"]]).get(ada["id"])
