"""Any operations in any order, with any faults: afterwards the targets have what the directory says, and at no time
did anybody have more than before or after an operation."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from core_client import Core
from doubles.listed_target import CALLS, ListTarget
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from provisioned import MEMORY, World, directory_in, wanted_in
from rows import examples
from scim_gateway_provisioning.target import Unreachable

from scim_gateway.errors import InvalidValue

PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
NAMES = ("ada", "bob", "eve", "kim", "zoe", "max", "refused")
GROUPS = ("staff", "admins", "people", "others", "private-x", "refused")

NEW = "the resource that is created"

names = st.sampled_from(NAMES)
groups = st.sampled_from(GROUPS)
picks = st.integers(0, 5)
faults = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from((*CALLS, "*")),
        st.sampled_from(("connect", "before", "middle", "after")),
        st.sampled_from(("lost", "no")),
        st.sampled_from((1, 2, 1000, 1000)),
    ),
    max_size=2,
)


class Machine(RuleBasedStateMachine):
    """A directory with two targets and a client that knows what it was told."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY))
        self.world = World(self.folder, ListTarget("first"), ListTarget("second"), most=2)
        self.seen: list[set[tuple[str, str]]] = []
        for target in self.world.targets:
            target.watch = self._watch

    def _watch(self) -> None:
        self.seen += [target.rights() for target in self.world.targets]

    def teardown(self) -> None:
        if hasattr(self, "world"):
            for target in self.world.targets:
                target.up()
            self.world.settle()
            self.world.check_equal()
            assert not self.world.backend.verify_audit().problems
            self.world.close()
            shutil.rmtree(self.folder)

    # What the client does

    @rule(name=names, active=st.booleans(), faults=faults)
    def create_user(self, name: str, active: bool, faults: list[Any]) -> None:
        self._send("POST", "/Users", {"userName": name, "active": active}, faults)

    @rule(name=groups, members=st.lists(picks, max_size=3), nested=st.booleans(), faults=faults)
    def create_group(self, name: str, members: list[int], nested: bool, faults: list[Any]) -> None:
        values = self._members(members, nested)
        self._send("POST", "/Groups", {"displayName": name, "members": values}, faults)

    @rule(pick=picks, active=st.booleans(), faults=faults)
    def set_active(self, pick: int, active: bool, faults: list[Any]) -> None:
        self._patch("Users", pick, [{"op": "replace", "path": "active", "value": active}], faults)

    @rule(pick=picks, name=names, active=st.booleans(), title=st.sampled_from("xy"), faults=faults)
    def change_user(self, pick: int, name: str, active: bool, title: str, faults: list[Any]) -> None:
        value = {"userName": name, "active": active, "title": title}
        self._patch("Users", pick, [{"op": "replace", "value": value}], faults)

    @rule(pick=picks, name=groups, faults=faults)
    def rename_group(self, pick: int, name: str, faults: list[Any]) -> None:
        self._patch("Groups", pick, [{"op": "replace", "path": "displayName", "value": name}], faults)

    @rule(pick=picks, members=st.lists(picks, min_size=1, max_size=3), nested=st.booleans(), faults=faults)
    def add_members(self, pick: int, members: list[int], nested: bool, faults: list[Any]) -> None:
        self._patch("Groups", pick, [{"op": "add", "path": "members", "value": self._members(members, nested)}], faults)

    @rule(pick=picks, member=picks, nested=st.booleans(), faults=faults)
    def remove_member(self, pick: int, member: int, nested: bool, faults: list[Any]) -> None:
        for element in self._members([member], nested):
            path = f'members[value eq "{element["value"]}"]'
            self._patch("Groups", pick, [{"op": "remove", "path": path}], faults)

    @rule(pick=picks, name=groups, members=st.lists(picks, max_size=3), nested=st.booleans(), faults=faults)
    def replace_group(self, pick: int, name: str, members: list[int], nested: bool, faults: list[Any]) -> None:
        if id := self._pick("Groups", pick):
            body = {"displayName": name, "members": self._members(members, nested)}
            self._send("PUT", f"/Groups/{id}", body, faults)

    @rule(kind=st.sampled_from(("Users", "Groups")), pick=picks, faults=faults)
    def delete(self, kind: str, pick: int, faults: list[Any]) -> None:
        if id := self._pick(kind, pick):
            self._send("DELETE", f"/{kind}/{id}", None, faults)

    @rule()
    def retry(self) -> None:
        self.world.backend.settle_pending()

    # What holds

    @invariant()
    def what_is_not_pending_is_as_it_has_to_be(self) -> None:
        if not hasattr(self, "world"):
            return
        wanted = self.world.wanted()
        pending = {(each.target, each.id) for each in self.world.backend.pending()}
        for target in self.world.targets:
            open_by_accident = {
                right
                for right in target.rights() - wanted
                if not {(target.name, right[0]), (target.name, right[1])} & pending
            }
            assert open_by_accident == set(), "a right is open that the directory denies, and nothing is pending"

    def _send(self, method: str, path: str, body: Any, faults: list[Any]) -> None:
        before = [target.rights() for target in self.world.targets]
        wanted_before = self.world.wanted()
        for index, call, moment, what, times in faults:
            error = Unreachable("It is cut.") if what == "lost" else InvalidValue("It is not taken.")
            if what == "no":
                moment = "before"  # a refusal leaves nothing behind
                if call == "*":
                    continue
            self.world.targets[index].fault(call, moment, error, times)
        asked = self._asked(method, path, body)
        known = self._ids()
        self.seen.clear()
        answer = self.world.core.send(method, path, body)
        assert answer.status in (200, 201, 204, 400, 403, 404, 409, 503), answer
        for target in self.world.targets:
            target.up()
        wanted = self.world.wanted()
        allowed = wanted_before.union(wanted, *before)
        for rights in self.seen:
            for right in rights - allowed:
                named = tuple(id if id in known or id == "log in" else NEW for id in right)
                assert named in asked, "more than before, more than after, and nobody asked for it"
        if answer.status < 300:
            for target, rights in zip(self.world.targets, before, strict=True):
                assert target.rights() - rights <= wanted, "answered with success, and open all the same"
                assert not (wanted - wanted_before) - target.rights(), "answered with success, and not given"
                assert not target.rights() & (wanted_before - wanted), "answered with success, and not taken away"

    def _asked(self, method: str, path: str, body: Any) -> set[tuple[str, ...]]:
        """Rights by the directory if the request succeeded: found out in a copy of it that has no targets."""
        known = self._ids()
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            for file in self.folder.iterdir():
                shutil.copy(file, folder)
            shadow = directory_in(Path(folder))
            shadow.feeding.targets = self.world.backend.targets
            Core(shadow).send(method, path, body)
            wanted = wanted_in(shadow)
            shadow.close()
        return {tuple(id if id in known or id == "log in" else NEW for id in right) for right in wanted}

    def _ids(self) -> set[str]:
        return {*self.world._all("User"), *self.world._all("Group")}

    def _patch(self, kind: str, pick: int, operations: list[Any], faults: list[Any]) -> None:
        if id := self._pick(kind, pick):
            self._send("PATCH", f"/{kind}/{id}", {"schemas": [PATCH], "Operations": operations}, faults)

    def _pick(self, kind: str, pick: int) -> str | None:
        found = self.world.core.json("GET", f"/{kind}", attributes="id").get("Resources", [])
        return found[pick % len(found)]["id"] if found else None

    def _members(self, picks: list[int], nested: bool) -> list[dict[str, str]]:
        found = [self._pick("Users", pick) for pick in picks]
        if nested:
            found.append(self._pick("Groups", picks[0] if picks else 0))
        return [{"value": id} for id in found if id]


TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=examples(40), stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
