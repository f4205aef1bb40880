"""The audit trail: what is recorded of a change, of its results and of a refusal, and how it is read."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from guarded import Guarded, created, deactivated, deleted, memberships, open_guarded, user
from scim_gateway_provisioning import guard
from scim_gateway_provisioning.audit_event import LONGEST, MOST, Event
from scim_gateway_provisioning.journal import Change, Result
from scim_gateway_sql.database import Session
from sqlalchemy import update

from scim_gateway.actor import Acting, Actor
from scim_gateway.errors import Forbidden, StaleResource, Unavailable, Uniqueness
from scim_gateway.schema import Resource

OKTA = Actor("okta", "req-1", "Okta SCIM Client 1.0.0", "patch", "User", "u1")


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    opened = open_guarded(tmp_path)
    yield opened
    opened.close()


def test_a_change_is_recorded_with_who_asked_and_what_changed(guarded: Guarded) -> None:
    before, after = user("u1", title="Clerk"), user("u1", active=False, title="Boss", nickName="Al")
    with Acting(OKTA):
        guarded.change(Change("User", "u1", before, after))
    [event] = guarded.events()
    assert (event.sequence, event.actor, event.request_id, event.agent) == (
        1,
        "okta",
        "req-1",
        "Okta SCIM Client 1.0.0",
    )
    assert (event.action, event.kind, event.id, event.name, event.outcome) == (
        "change", "User", "u1", "alice", "accepted",
    )  # fmt: skip
    assert event.detail == {"changed": ["active", "nickName", "title"], "values": {"active": [True, False]}}
    assert abs(datetime.now(UTC) - event.at) < timedelta(minutes=1)


def test_a_new_name_is_told_beside_the_old_one(guarded: Guarded) -> None:
    guarded.change(Change("User", "u1", user("u1", "alice"), user("u1", "alice.smith")))
    [event] = guarded.events()
    assert event.name == "alice"
    assert event.detail["values"] == {"userName": ["alice", "alice.smith"]}


def test_only_the_names_of_other_attributes_are_told_those_of_an_extension_behind_its_urn(guarded: Guarded) -> None:
    urn = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
    after = {**user("u1"), "phoneNumbers": [{"value": "+49 170 555"}], urn: {"employeeNumber": "4711"}}
    guarded.change(Change("User", "u1", user("u1"), after))
    assert guarded.events()[0].detail == {"changed": ["phoneNumbers", f"{urn}:employeeNumber"]}
    with guarded.stolen() as database:
        [(document,)] = database.execute("SELECT event_doc FROM scim_audit").fetchall()
    assert b"555" not in document
    assert b"4711" not in document


def test_creation_and_deletion_are_told_apart(guarded: Guarded) -> None:
    guarded.change(created("u1"))
    guarded.change(deleted("User", "u1"))
    first, second = guarded.events()
    assert (first.action, first.detail["values"]) == ("create", {"active": [None, True], "userName": [None, "alice"]})
    assert (second.action, second.name, second.detail) == ("delete", "alice", {})


def test_members_are_told_by_their_ids(guarded: Guarded) -> None:
    guarded.change(memberships("g1", added=("u2", "u1"), removed=("u3",)))
    [event] = guarded.events()
    assert (event.kind, event.name, event.detail) == ("Group", "staff", {"added": ["u1", "u2"], "removed": ["u3"]})


def test_very_many_members_make_several_events_and_none_is_left_out(guarded: Guarded) -> None:
    added = tuple(f"u{number:05}" for number in range(2 * MOST + 1))
    guarded.change(memberships("g1", added=added, removed=("x",)))
    told = guarded.events()
    assert [event.detail["part"] for event in told] == ["1 of 3", "2 of 3", "3 of 3"]
    assert [id for event in told for id in event.detail["added"]] == list(added)
    assert [event.detail.get("removed") for event in told] == [None, None, ["x"]]
    assert guarded.verify().problems == ()


def test_all_that_one_operation_changed_is_recorded_with_what_was_asked_for(guarded: Guarded) -> None:
    with Acting(Actor("okta", action="delete", kind="User", id="u1")):
        guarded.change(memberships("g1", removed=("u1",)), deleted("User", "u1"))
    with guarded.stolen() as database:
        documents = [json.loads(row[0]) for row in database.execute("SELECT event_doc FROM scim_audit")]
    assert [(each["action"], each["kind"], each["asked"]) for each in documents] == [
        ("change", "Group", "delete User u1"),
        ("delete", "User", "delete"),
    ]


def test_a_change_that_is_taken_back_says_so(guarded: Guarded) -> None:
    guarded.change(deleted("User", "u1"), undone=True)
    assert [(event.action, event.outcome) for event in guarded.events()] == [("delete", "undone")]


def test_the_result_in_each_target_is_an_event_of_its_own(guarded: Guarded) -> None:
    guarded.change(created("u1"))
    results = [Result("engine", "User", "u1", "done"), Result("portal", "User", "u1", "pending", "no answer")]
    with guarded.write() as session:
        guarded.safeguards.marked(session, results)
    event = guarded.events()[-1]
    assert (event.action, event.kind, event.id, event.outcome) == ("apply", "User", "u1", "pending")
    assert event.detail == {"targets": {"engine": "done", "portal": "pending: no answer"}}


def test_the_same_trouble_with_the_same_resource_is_told_once_until_it_is_over(guarded: Guarded) -> None:
    trouble = Result("engine", "User", "u1", "pending", "no answer")
    worse = Result("engine", "User", "u1", "pending", "no route")
    done = Result("engine", "User", "u1", "done")
    for result in (trouble, trouble, worse, worse, done, trouble):
        with guarded.write() as session:
            guarded.safeguards.marked(session, [result])
    told = [event.detail["targets"]["engine"] for event in guarded.events()]
    assert told == ["pending: no answer", "pending: no route", "done", "pending: no answer"]


def test_trouble_that_was_noted_in_vain_is_told_when_it_is_noted_again(guarded: Guarded) -> None:
    trouble = Result("engine", "User", "u1", "pending", "no answer")
    undone: list[Session] = []

    def mark(session: Session) -> None:
        guarded.safeguards.marked(session, [trouble])
        if not undone:
            undone.append(session)
            raise StaleResource("u1")

    guarded.backend.database.run(mark)
    assert undone
    assert [event.detail["targets"]["engine"] for event in guarded.events()] == ["pending: no answer"]


def test_a_refusal_is_recorded_though_nothing_else_is(guarded: Guarded) -> None:
    with Acting(OKTA):
        guarded.safeguards.refused([], Uniqueness("A User with this userName exists."))
    [event] = guarded.events()
    assert (event.action, event.kind, event.id, event.outcome) == ("patch", "User", "u1", "refused")
    assert event.detail == {"status": 409, "scimType": "uniqueness", "reason": "A User with this userName exists."}


def test_a_refusal_names_what_had_been_changed_until_then(guarded: Guarded) -> None:
    error = Forbidden("This name is protected.")
    with Acting(Actor("okta", action="create", kind="User")):
        guarded.safeguards.refused([created("u9", "root")], error)
        guarded.safeguards.refused([], error)
    [event] = guarded.events()
    assert (event.action, event.id, event.name) == ("create", "u9", "root")


def test_a_refusal_that_cannot_be_recorded_is_logged_and_does_not_stand_in_the_way_of_the_answer(
    guarded: Guarded, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: object) -> None:
        raise Unavailable("The disk is full.")

    monkeypatch.setattr(guarded.backend.database, "run", away)
    guarded.safeguards.refused([], Forbidden("No."))
    assert "could not be recorded in the audit trail: The disk is full." in caplog.text


def test_what_comes_to_nothing_leaves_neither_an_event_nor_a_gap(guarded: Guarded) -> None:
    guarded.change(created("u1"))
    guarded.come_to_nothing(created("u2"), created("u3"))
    guarded.change(created("u4"))
    assert [(event.sequence, event.id) for event in guarded.events()] == [(1, "u1"), (2, "u4")]
    assert guarded.verify().problems == ()


def test_a_key_that_was_made_in_an_operation_that_came_to_nothing_is_not_used(guarded: Guarded) -> None:
    guarded.come_to_nothing(created("u1"))
    guarded.change(created("u2"))
    guarded.change(created("u3"))
    assert guarded.another().verify().problems == ()


def test_long_deep_and_strange_values_are_recorded_within_bounds(guarded: Guarded) -> None:
    deep: dict[str, object] = {
        "text": "x" * 10_000,
        "many": ["y"] * 10_000,
        "large": 2**70,
        "odd": "\ud800\x00",
        5: {1},
    }
    inner = deep
    for _ in range(30):
        inner["deeper"] = {}
        inner = inner["deeper"]
    with Acting(Actor("n" * 1000, "r" * 1000, "a" * 100_000)):
        guarded.note(Event("adopt", "done", "User", "i" * 1000, "n" * 1000, deep))
    [event] = guarded.events()
    assert {len(text or "") for text in (event.actor, event.request_id, event.agent, event.id, event.name)} == {LONGEST}
    assert event.detail["text"] == "x" * (LONGEST - 1) + "…"
    assert len(event.detail["many"]) == MOST
    assert event.detail["large"] == str(2**70)
    assert guarded.verify().problems == ()


def test_no_secret_of_a_resource_gets_into_the_trail(guarded: Guarded) -> None:
    before: Resource = user("u1")
    guarded.change(Change("User", "u1", before, {**before, "password": "hunter2", "x509Certificates": ["secret"]}))
    with guarded.stolen() as database:
        dump = "\n".join(database.iterdump())
    document = guarded.events()[0].detail
    assert document == {"changed": ["password", "x509Certificates"]}
    assert b"hunter2".hex() not in dump.lower()


@pytest.mark.parametrize(("ahead", "kept"), [(timedelta(minutes=4), True), (timedelta(days=365), False)])
def test_time_does_not_go_back_by_a_little_and_a_clock_that_was_very_wrong_is_put_right(
    guarded: Guarded, ahead: timedelta, kept: bool
) -> None:
    guarded.change(created("u1"))
    wrong = datetime.now(UTC) + ahead
    with guarded.stolen() as database:
        database.execute("UPDATE scim_guard SET recorded_ms = ?", (int(wrong.timestamp() * 1000),))
    guarded.change(created("u2"))
    guarded.change(created("u3"))
    times = [event.at for event in guarded.events()]
    assert times == sorted(times)
    assert (times[1] == times[2] > datetime.now(UTC) + timedelta(minutes=3)) == kept
    assert guarded.verify().problems == ()


def test_threads_and_processes_write_one_trail_without_a_gap(guarded: Guarded) -> None:
    processes = [guarded, guarded.another(), guarded.another()]

    def work(number: int) -> None:
        for turn in range(10):
            processes[number % 3].change(created(f"u{number}-{turn}"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = guarded.events()
    assert [event.sequence for event in told] == list(range(1, 61))
    assert {event.id for event in told} == {f"u{number}-{turn}" for number in range(6) for turn in range(10)}
    assert guarded.verify().problems == ()


def test_the_head_is_told_to_the_log_once_it_is_committed_and_not_all_the_time(
    guarded: Guarded, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "scim_gateway.audit")
    guarded.change(created("u1"))
    assert "head of the audit trail" not in caplog.text, "what is not committed is not told"
    first = guarded.verify().head
    guarded.change(created("u2"))
    guarded.change(created("u3"))
    told = [record.getMessage() for record in caplog.records if "head of the audit trail" in record.getMessage()]
    assert told == [f"head of the audit trail of default: {first}"]
    guarded.safeguards.anchor()
    assert caplog.text.count("head of the audit trail") == 1
    assert guarded.verify(first).problems == ()


def test_the_newest_head_is_told_when_nothing_happens_any_more(
    guarded: Guarded, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "scim_gateway.audit")
    guarded.safeguards.anchor()
    assert caplog.text == ""
    guarded.change(created("u1"))
    guarded.safeguards.anchor()
    assert str(guarded.verify().head) in caplog.text


# Reading


@pytest.fixture
def told(guarded: Guarded) -> Guarded:
    guarded.change(created("u1", "alice"))
    guarded.change(created("u2", "bob"))
    guarded.change(Change("User", "u1", user("u1", "alice"), user("u1", "Alice.Smith")))
    guarded.change(memberships("g1", added=("u1", "u2")))
    guarded.change(memberships("g1", removed=("u2",)))
    guarded.change(deactivated("u2", "bob"))
    guarded.change(deleted("User", "u1"))
    return guarded


@pytest.mark.parametrize("name", ["u1", "alice", "ALICE", "alice.smith", " Alice.Smith"])
def test_the_events_of_a_person_are_found_by_id_and_by_every_name_with_the_memberships(
    told: Guarded, name: str
) -> None:
    assert [event.sequence for event in told.events(user=name)] == [1, 3, 4, 7]


def test_nothing_is_found_of_somebody_unknown(told: Guarded) -> None:
    assert told.events(user="carol") == []
    assert told.events(user="al") == []


def test_the_newest_events_are_listed_in_their_order(told: Guarded) -> None:
    assert [event.sequence for event in told.events(limit=2)] == [6, 7]
    assert [event.sequence for event in told.events(limit=2, user="bob")] == [5, 6]
    assert [event.sequence for event in told.events(limit=100)] == list(range(1, 8))


def test_events_behind_a_number_are_listed(told: Guarded) -> None:
    assert [event.sequence for event in told.events(after=5)] == [6, 7]
    assert [event.sequence for event in told.events(after=4, limit=1)] == [7]
    assert told.events(after=7) == []


def test_events_since_a_time_are_listed(guarded: Guarded) -> None:
    start = datetime.now(UTC)
    times = [start + timedelta(seconds=10 * number) for number in range(1, 21)]
    for number, at in enumerate(times):
        with guarded.write() as session:
            guard.prepare(session, guarded.tenant)
            session.execute(update(guard.guards).values(recorded_ms=int(at.timestamp() * 1000)))
            guarded.safeguards.recorded(session, [created(f"u{number}")])
    for number, at in enumerate(times):
        later = [f"u{each}" for each in range(number, 20)]
        assert [event.id for event in guarded.events(since=at - timedelta(seconds=1))] == later
        assert [event.id for event in guarded.events(since=at - timedelta(seconds=1), limit=3)] == later[-3:]
        assert [event.id for event in guarded.events(since=at + timedelta(seconds=1))] == later[1:]
    assert len(guarded.events(since=datetime(2000, 1, 1, tzinfo=UTC))) == 20


@pytest.mark.parametrize("spoilt", [b"", b"[]", b"{", b'{"detail": 5, "id": [], "at": "x", "action": null}', b"\xff"])
def test_an_event_that_somebody_spoilt_is_listed_as_unreadable_and_the_others_as_they_are(
    told: Guarded, spoilt: bytes
) -> None:
    with told.stolen() as database:
        database.execute("UPDATE scim_audit SET event_doc = ? WHERE event_no = 4", (spoilt,))
    listed = told.events()
    assert [event.sequence for event in listed] == list(range(1, 8))
    assert (listed[3].action, listed[3].outcome) == ("unreadable", "unreadable")
    assert [event.sequence for event in told.events(user="alice")] == [1, 3, 7]
    assert told.events(since=datetime.now(UTC) + timedelta(days=1)) == []
