"""The fault table: each operation, each fault, at each of its calls; what was not done is done by the next try.

The next try is that of another process: it knows the notes, and nothing else.
"""

from __future__ import annotations

import copy
import pickle
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
import scim_gateway_singlestore_portal.transport
from doubles.portal.server import PortalDouble
from portal_desk import Desk
from rows import EVERY_ROW
from scim_gateway_provisioning.target import Unreachable
from scim_gateway_singlestore_portal.transport import Transport

ADA, BOB, NEW = "ada@example.com", "bob@example.com", "ada.lovelace@example.com"
Act = Callable[[Desk], Any]


@dataclass(frozen=True)
class Operation:
    """What is there before, what is done, and what has to be there after.

    :param members: addresses in the organization.
    :param invited: addresses with a pending invitation.
    :param teams: addresses by team.
    """

    prepare: Act
    act: Act
    members: frozenset[str] = frozenset()
    invited: frozenset[str] = frozenset()
    teams: tuple[tuple[str, frozenset[str]], ...] = ()


def nothing(desk: Desk) -> None:
    """An empty organization."""


def joined(desk: Desk) -> None:
    """Ada is a member."""
    desk.member("u1", ADA)


def accepted(desk: Desk) -> None:
    """Ada has accepted, and nobody has looked yet."""
    desk.user("u1", ADA)
    desk.double.organization.accept(ADA)


def team(desk: Desk) -> None:
    """Ada and Bob are members, Ada of a team."""
    desk.member("u1", ADA)
    desk.member("u2", BOB)
    desk.group("g1", "readers")
    desk.members("g1", add=["u1"])


def moving(desk: Desk) -> None:
    """Ada is about to get another address, and has accepted the invitation to it."""
    team(desk)
    desk.user("u1", NEW, managed=["readers"])
    desk.double.organization.accept(NEW)


def move(desk: Desk) -> None:
    desk.user("u1", NEW, managed=["readers"])
    desk.members("g1", add=["u1"])


BOTH = frozenset({ADA, BOB})
OPERATIONS: dict[str, Operation] = {
    "invite": Operation(nothing, lambda desk: desk.user("u1", ADA), invited=frozenset({ADA})),
    "see joined": Operation(accepted, lambda desk: desk.user("u1", ADA), frozenset({ADA})),
    "revoke": Operation(lambda desk: desk.user("u1", ADA), lambda desk: desk.user("u1", ADA, active=False)),
    "deactivate": Operation(joined, lambda desk: desk.user("u1", ADA, active=False)),
    "delete": Operation(joined, lambda desk: desk.remove_user("u1") if "u1" in desk.notes else None),
    "reactivate": Operation(
        lambda desk: (joined(desk), desk.user("u1", ADA, active=False)),
        lambda desk: desk.user("u1", ADA),
        invited=frozenset({ADA}),
    ),
    "begin to move": Operation(
        team,
        lambda desk: desk.user("u1", NEW, managed=["readers"]),
        BOTH,
        frozenset({NEW}),
        (("readers", frozenset({ADA})),),
    ),
    "move": Operation(moving, move, frozenset({NEW, BOB}), teams=(("readers", frozenset({NEW})),)),
    "make a team": Operation(nothing, lambda desk: desk.group("g1", "readers"), teams=(("readers", frozenset()),)),
    "rename a team": Operation(
        team, lambda desk: desk.group("g1", "writers"), BOTH, teams=(("writers", frozenset({ADA})),)
    ),
    "delete a team": Operation(team, lambda desk: desk.remove_group("g1") if "g1" in desk.notes else None, BOTH),
    "change members": Operation(
        team,
        lambda desk: desk.members("g1", add=["u2"], remove=["u1"]),
        BOTH,
        teams=(("readers", frozenset({BOB})),),
    ),
}

FAULTS: dict[str, dict[str, Any]] = {
    "refused": {"how": "down"},
    "cut before": {"how": "cut"},
    "cut after": {"how": "lost"},
    "no answer, nothing done": {"how": "hang", "times": 1},
    "no answer, done": {"how": "hang-after", "times": 1},
    "429": {"how": "status", "status": 429},
    "429 for a moment": {"how": "status", "status": 429, "retry_after": "0"},
    "429 for an hour": {"how": "status", "status": 429, "retry_after": "3600"},
    "500, nothing done": {"how": "status", "status": 500},
    "500, done": {"how": "status", "status": 500, "effect": True},
    "503 with Retry-After": {"how": "status", "status": 503, "retry_after": "0"},
    "half a body": {"how": "half-body"},
    "no JSON": {"how": "no-json"},
    "another page": {"how": "wrong-json"},
    "another shape": {"how": "wrong-shape"},
    "redirect": {"how": "redirect"},
    "expired key": {"how": "status", "status": 401, "text": "expired"},
    "no rights": {"how": "status", "status": 403, "text": "not permitted"},
}
ALIKE = (
    {"429", "429 for a moment"},
    {"500, nothing done", "503 with Retry-After"},
    {"cut after", "half a body"},
    {"no JSON", "another page"},
    {"redirect", "expired key"},
)
"""Faults that are one to whoever made the call: the same exception, the same pauses, and the same was done or not."""
ALIKE_FOR_A_QUESTION = (
    {"cut before", "cut after", "half a body"},
    {"no answer, nothing done", "no answer, done"},
    {"429", "429 for a moment"},
    {"500, nothing done", "500, done", "503 with Retry-After"},
    {"no JSON", "another page"},
    {"redirect", "expired key"},
)
"""The same for a GET, which does nothing: whether that was done or not is no difference."""


def of_their_turn(step: int, method: str) -> set[str]:
    """The faults that strike this call: of those that are alike one, each in its turn (:mod:`rows`)."""
    if EVERY_ROW:
        return set(FAULTS)
    alike = ALIKE_FOR_A_QUESTION if method == "GET" else ALIKE
    others = set(FAULTS).difference(*alike)
    return others | {sorted(some)[step % len(some)] for some in alike}


@pytest.fixture(scope="module")
def rows() -> Iterator[list[int]]:
    """How many rows each operation has with each fault; their number is printed at the end (``pytest -s``)."""
    played: list[int] = []
    yield played
    print(f"\nfault table of the Portal: {sum(played)} rows")


class Stage:
    """One organization, which is put back to where an operation begins; each beginning is prepared once.

    Its clock goes back, too: an operation takes the same calls whenever it is run.
    """

    def __init__(self, double: PortalDouble) -> None:
        self.double = double
        self._empty = double.organization.copied()
        self._beginnings: dict[str, tuple[bytes, datetime, dict[str, Any]]] = {}
        self._calls: dict[str, list[str]] = {}
        self._mended: defaultdict[str, list[Any]] = defaultdict(list)

    def begin(self, name: str) -> dict[str, Any]:
        """Be where this operation begins, without any fault; what the gateway has noted."""
        self.double.faults.clear()
        self.double.up()
        if name not in self._beginnings:
            self._prepare(name)
        state, moment, notes = self._beginnings[name]
        organization = self.double.organization
        organization.become(state)
        organization.clock_ahead += moment - organization.now()
        return dict(notes)

    def calls(self, name: str) -> list[str]:
        """The methods of the calls that an operation makes when nothing goes wrong."""
        if name not in self._calls:
            notes = self.begin(name)
            self.double.forget_calls()
            with Desk(self.double) as desk:
                desk.notes = notes
                OPERATIONS[name].act(desk)
            self._calls[name] = [call.method for call in self.double.calls]
            check(OPERATIONS[name], self.double)
        return self._calls[name]

    def try_again(self, name: str, notes: dict[str, Any]) -> None:
        """Run the operation in another process, twice: all is there, and stays.

        How that ends follows from what is there and what is noted; where a try began before, it is not made again.
        """
        here = copy.deepcopy(notes), pickle.loads(self.double.organization.copied())
        if here in self._mended[name]:
            return
        operation = OPERATIONS[name]
        with Desk(self.double) as desk:
            desk.notes = notes
            operation.act(desk)
            check(operation, self.double)
            operation.act(desk)
        check(operation, self.double)
        self._mended[name].append(here)

    def _prepare(self, name: str) -> None:
        organization = self.double.organization
        organization.become(self._empty)
        organization.clock_ahead = timedelta()
        with Desk(self.double) as desk:
            OPERATIONS[name].prepare(desk)
        self._beginnings[name] = organization.copied(), organization.now(), desk.notes


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with PortalDouble() as double:
        yield Stage(double)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_fault_at_any_call_leaves_nothing_that_the_next_try_does_not_mend(stage, operation, fault, rows):
    stage.double.violations.clear()
    methods = stage.calls(operation)
    assert len(methods) >= 2
    steps = [step for step, method in enumerate(methods) if fault in of_their_turn(step, method)]
    for step in steps:
        play(stage, operation, FAULTS[fault], step)
    rows.append(len(steps))
    assert stage.double.violations == []


def test_every_fault_strikes_each_operation(stage):
    for operation in OPERATIONS:
        methods = stage.calls(operation)
        assert set().union(*(of_their_turn(step, method) for step, method in enumerate(methods))) == set(FAULTS)


def play(stage: Stage, name: str, fault: dict[str, Any], step: int) -> None:
    """Run the operation with the fault from this call on, and then again without one."""
    operation, double = OPERATIONS[name], stage.double
    notes = stage.begin(name)
    double.fail(**{"times": 9, "skip": step, **fault})
    assert strikes(operation, double, notes)
    double.faults.clear()
    double.up()
    stage.try_again(name, notes)


def strikes(operation: Operation, double: PortalDouble, notes: dict[str, Any]) -> bool:
    """Run the operation in a process of its own; whether it came to the call that the fault strikes.

    An answer that will not come is not waited for, once it is certain that the double has the call; one that will come
    may take its time.
    """
    struck = double.faults.struck
    once = Transport._once
    with Desk(double) as desk, pytest.MonkeyPatch.context() as patch:

        def soon(self: Transport, *call: Any) -> Any:
            if not double.faults.silent_next:
                return once(self, *call)
            with pytest.MonkeyPatch.context() as patience:
                patience.setattr(scim_gateway_singlestore_portal.transport, "READ_SECONDS", 0.005)
                try:
                    return once(self, *call)
                finally:
                    assert double.silent.acquire(timeout=60)

        patch.setattr(Transport, "_once", soon)
        desk.notes = notes
        text = ""
        try:
            operation.act(desk)
        except Unreachable as error:
            text = str(error)
        assert "\n" not in text
        assert double.key not in text
    return double.faults.struck > struck


def check(operation: Operation, double: PortalDouble) -> None:
    """The organization is as it has to be, and no second of anything is there."""
    organization = double.organization
    members = sorted(member.email for member in organization.members.values())
    assert members == sorted(operation.members | {"owner@example.com", "keeper@example.com"})
    pending = sorted(one.email for one in organization.invitations.values() if one.state == "Pending")
    assert pending == sorted(operation.invited)
    made = {team.name: organization.emails(team.name) for team in organization.teams.values() if not team.predefined}
    assert made == {name: set(emails) for name, emails in operation.teams}


def test_a_revocation_is_not_reported_before_it_is_seen(make_desk, portal, one_look):
    for id, email in (("u1", ADA), ("u2", BOB)):
        make_desk().user(id, email)
    desk = make_desk()
    desk.notes = {"u1": {"name": ADA, "ours": True}}
    revoke = portal.organization.revoke_invitation
    portal.organization.revoke_invitation = lambda _: None
    with one_look(), pytest.raises(Unreachable, match="still shown as pending"):
        desk.user("u1", ADA, active=False)
    portal.organization.revoke_invitation = revoke
    desk.user("u1", ADA, active=False)
    assert [one.state for one in portal.organization.invitations.values()] == ["Revoked", "Pending"]
