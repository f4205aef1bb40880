"""The pause: no change is accepted, in any process, until somebody resumes; what takes rights away goes on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from guarded import Guarded, created, deactivated, deleted, open_guarded
from scim_gateway_provisioning.audit_event import Event
from scim_gateway_provisioning.journal import Change, Result
from scim_gateway_provisioning.pause import LONGEST_REASON, Paused, goes_on

from scim_gateway.actor import Acting, Actor
from scim_gateway.errors import Forbidden


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    opened = open_guarded(tmp_path)
    yield opened
    opened.close()


def test_a_change_is_refused_with_the_reason_and_what_to_do(guarded: Guarded) -> None:
    guarded.safeguards.pause("The cluster moves tonight")
    with pytest.raises(Paused) as caught:
        guarded.change(created("u1"))
    assert isinstance(caught.value, Forbidden)
    assert caught.value.status == 403
    assert "The gateway is paused: The cluster moves tonight. " in caught.value.detail
    assert "scim-gateway resume" in caught.value.detail


@pytest.mark.parametrize("change", [deactivated("u1"), deleted("User", "u1")])
def test_a_pause_refuses_removals_too(guarded: Guarded, change: Change) -> None:
    guarded.safeguards.pause("x")
    with pytest.raises(Paused):
        guarded.change(change)


def test_nothing_of_a_refused_change_is_left(guarded: Guarded) -> None:
    guarded.safeguards.pause("x")
    with pytest.raises(Paused):
        guarded.change(created("u1"))
    assert [event.action for event in guarded.events()] == ["pause"]
    assert guarded.verify().problems == ()


def test_other_processes_obey_at_once_and_change_again_at_once(guarded: Guarded) -> None:
    other = guarded.another()
    other.change(created("u1"))
    guarded.safeguards.pause("x")
    with pytest.raises(Paused):
        other.change(created("u2"))
    other.safeguards.resume()
    guarded.change(created("u3"))
    assert [event.id for event in guarded.events() if event.kind] == ["u1", "u3"]


def test_no_change_is_committed_behind_the_pause_however_they_meet(guarded: Guarded) -> None:
    other = guarded.another()

    def work() -> None:
        for number in range(200):
            try:
                other.change(created(f"u{number}"))
            except Paused:
                return

    thread = threading.Thread(target=work)
    thread.start()
    guarded.safeguards.pause("x")
    thread.join()
    assert guarded.events(limit=1)[0].action == "pause"


def test_the_pause_of_one_tenant_is_not_that_of_another(guarded: Guarded) -> None:
    with closing(open_guarded(guarded.folder, tenant="theirs")) as theirs:
        guarded.safeguards.pause("x")
        theirs.change(created("u1"))
        assert theirs.safeguards.paused() is None


def test_reading_results_and_what_is_taken_back_go_on(guarded: Guarded) -> None:
    guarded.change(created("u1"))
    guarded.safeguards.pause("x")
    with guarded.write() as session:
        guarded.safeguards.marked(session, [Result("engine", "User", "u1", "done")])
    guarded.change(deleted("User", "u1"), undone=True)
    guarded.note(Event("adopt", "done"))
    assert [event.action for event in guarded.events()] == ["create", "pause", "apply", "delete", "adopt"]


def test_by_itself_the_gateway_goes_on_only_with_what_takes_rights_away() -> None:
    assert goes_on(None, revoking=False)
    assert goes_on("maintenance", revoking=True)
    assert not goes_on("maintenance", revoking=False)


def test_pause_and_resume_are_in_the_audit_trail_with_the_operator(guarded: Guarded) -> None:
    with Acting(Actor("command line")):
        guarded.safeguards.pause("Maintenance.")
        guarded.safeguards.pause("Still going on")
        guarded.safeguards.resume()
    assert [(event.actor, event.action, event.outcome, event.detail) for event in guarded.events()] == [
        ("command line", "pause", "done", {"reason": "Maintenance."}),
        ("command line", "pause", "done", {"reason": "Still going on."}),
        ("command line", "resume", "done", {"was": "Still going on."}),
    ]


def test_the_reason_is_known_until_the_pause_ends(guarded: Guarded) -> None:
    assert guarded.safeguards.paused() is None
    guarded.safeguards.pause("Maintenance!")
    assert guarded.safeguards.paused() == "Maintenance!"
    guarded.safeguards.resume()
    assert guarded.safeguards.paused() is None
    guarded.safeguards.resume()


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("  two\nlines \t here ", "two lines here."),
        ("\x1b[31mred\x00", "\N{REPLACEMENT CHARACTER}[31mred\N{REPLACEMENT CHARACTER}."),
        ("Ümzug – 引っ越し", "Ümzug – 引っ越し."),
        (" \n", "no reason was given."),
    ],
)
def test_a_reason_is_one_printable_sentence(guarded: Guarded, written: str, shown: str) -> None:
    guarded.safeguards.pause(written)
    assert guarded.safeguards.paused() == shown


def test_a_long_reason_is_cut(guarded: Guarded) -> None:
    guarded.safeguards.pause("x" * 10_000)
    assert guarded.safeguards.paused() == "x" * LONGEST_REASON + "…"
