"""The chain of the audit trail: whatever somebody without the key does to the rows is found."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest
from guarded import KEY, OTHER_KEY, TENANT, Guarded, created, open_guarded
from hypothesis import given, settings
from hypothesis import strategies as st
from scim_gateway_provisioning.audit_event import Event
from scim_gateway_provisioning.safeguards import Safeguards

from scim_gateway.provisioned import AuditHead

Tamper = Callable[[sqlite3.Connection], Any]


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    opened = open_guarded(tmp_path, KEY)
    yield opened
    opened.close()


@pytest.fixture
def trail(guarded: Guarded) -> Guarded:
    """A trail of ten events under a key that is not in the database."""
    for number in range(1, 11):
        guarded.change(created(f"u{number}"))
    return guarded


def read(database: sqlite3.Connection, number: int) -> tuple[bytes, bytes]:
    found: tuple[bytes, bytes] = database.execute(
        "SELECT event_doc, chain_hash FROM scim_audit WHERE event_no = ?", (number,)
    ).fetchone()
    return found


def put(database: sqlite3.Connection, number: int, document: bytes, digest: bytes) -> None:
    database.execute("INSERT OR REPLACE INTO scim_audit VALUES (?, ?, ?, ?)", (TENANT, number, document, digest))


def change(database: sqlite3.Connection) -> None:
    database.execute("UPDATE scim_audit SET event_doc = replace(event_doc, 'u5', 'u9') WHERE event_no = 5")


def change_first(database: sqlite3.Connection) -> None:
    database.execute("UPDATE scim_audit SET event_doc = replace(event_doc, 'u1', 'u9') WHERE event_no = 1")


def change_last(database: sqlite3.Connection) -> None:
    database.execute("UPDATE scim_audit SET event_doc = replace(event_doc, 'u10', 'u9') WHERE event_no = 10")


def change_and_rehash_with_another_key(database: sqlite3.Connection) -> None:
    """All that a forger can do who knows the program, but not the key."""
    chain = hmac.digest(OTHER_KEY.encode(), b"scim-gateway audit trail of " + TENANT.encode(), hashlib.sha256)
    previous = read(database, 4)[1]
    for number in range(5, 11):
        document = read(database, number)[0].replace(b"u5", b"u9")
        previous = hmac.digest(chain, previous + document, hashlib.sha256)
        put(database, number, document, previous)


def rehash_all_under_a_key_with_a_name_of_its_own(database: sqlite3.Connection) -> None:
    chain = hmac.digest(OTHER_KEY.encode(), b"scim-gateway audit trail of " + TENANT.encode(), hashlib.sha256)
    name = hmac.digest(chain, b"name", hashlib.sha256)[:4].hex()
    previous = bytes(32)
    for number in range(1, 11):
        content = orjson.loads(read(database, number)[0]) | {"key": name}
        document = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
        previous = hmac.digest(chain, previous + document, hashlib.sha256)
        put(database, number, document, previous)


def delete(database: sqlite3.Connection) -> None:
    database.execute("DELETE FROM scim_audit WHERE event_no = 5")


def delete_first(database: sqlite3.Connection) -> None:
    database.execute("DELETE FROM scim_audit WHERE event_no = 1")


def delete_several(database: sqlite3.Connection) -> None:
    database.execute("DELETE FROM scim_audit WHERE event_no BETWEEN 3 AND 6")


def close_the_gap(database: sqlite3.Connection) -> None:
    delete(database)
    for number in range(6, 11):
        database.execute("UPDATE scim_audit SET event_no = ? WHERE event_no = ?", (number - 1, number))
    database.execute("UPDATE scim_guard SET event_no = 9")


def swap(database: sqlite3.Connection) -> None:
    third, fourth = read(database, 3), read(database, 4)
    put(database, 3, *fourth)
    put(database, 4, *third)


def repeat(database: sqlite3.Connection) -> None:
    put(database, 11, *read(database, 10))
    database.execute("UPDATE scim_guard SET event_no = 11")


def insert(database: sqlite3.Connection) -> None:
    for number in range(10, 4, -1):
        database.execute("UPDATE scim_audit SET event_no = ? WHERE event_no = ?", (number + 1, number))
    put(database, 5, *read(database, 4))
    database.execute("UPDATE scim_guard SET event_no = 11")


def cut_off(database: sqlite3.Connection) -> None:
    database.execute("DELETE FROM scim_audit WHERE event_no > 7")


def add_behind_the_head(database: sqlite3.Connection) -> None:
    database.execute("UPDATE scim_guard SET event_no = 7")


def change_a_hash(database: sqlite3.Connection) -> None:
    put(database, 5, read(database, 5)[0], bytes(32))


def spoil(database: sqlite3.Connection) -> None:
    put(database, 5, b"\xff{", read(database, 5)[1])


def spoil_with_text_that_is_no_text(database: sqlite3.Connection) -> None:
    database.execute("UPDATE scim_audit SET event_doc = CAST(x'fffe' AS TEXT) WHERE event_no = 5")


def spoil_the_number(database: sqlite3.Connection) -> None:
    database.execute("UPDATE scim_audit SET event_no = 'five' WHERE event_no = 5")


def spoil_the_last_hash(database: sqlite3.Connection) -> None:
    database.execute("UPDATE scim_audit SET chain_hash = 'x' WHERE event_no = 10")


def take_the_key_name_away(database: sqlite3.Connection) -> None:
    put(database, 5, b'{"key":["a"]}', read(database, 5)[1])


TAMPERING: tuple[tuple[Tamper, str], ...] = (
    (change, "event 5 was changed, or does not follow event 4"),
    (change_first, "event 1 was changed, or does not follow event 0"),
    (change_last, "event 10 was changed, or does not follow event 9"),
    (change_and_rehash_with_another_key, "event 5 was changed, or does not follow event 4"),
    (rehash_all_under_a_key_with_a_name_of_its_own, "which is not known here"),
    (delete, "event 5 is missing, so event 6 cannot be verified"),
    (delete_first, "event 1 is missing, so event 2 cannot be verified"),
    (delete_several, "events 3 to 6 are missing, so event 7 cannot be verified"),
    (close_the_gap, "event 5 was changed, or does not follow event 4"),
    (swap, "event 3 was changed, or does not follow event 2"),
    (repeat, "event 11 was changed, or does not follow event 10"),
    (insert, "event 5 was changed, or does not follow event 4"),
    (cut_off, "events 8 to 10 are missing at the end"),
    (add_behind_the_head, "the trail goes on to event 10, but its head is event 7"),
    (change_a_hash, "event 5 was changed, or does not follow event 4"),
    (spoil, "event 5 is not readable"),
    (spoil_with_text_that_is_no_text, "event 5 is not readable"),
    (spoil_the_number, "a row has no number"),
    (spoil_the_number, "event 5 is missing, so event 6 cannot be verified"),
    (spoil_the_last_hash, "event 10 was changed, or does not follow event 9"),
    (take_the_key_name_away, "event 5 is not readable"),
)


def test_a_trail_that_nobody_touched_is_whole(trail: Guarded) -> None:
    verdict = trail.verify()
    assert verdict.problems == ()
    assert verdict.head.number == 10
    [note] = verdict.notes
    assert note.startswith("events 1 to 10 are signed with the key ")
    assert "database" not in note


@pytest.mark.parametrize(("tamper", "told"), TAMPERING, ids=lambda value: getattr(value, "__name__", ""))
def test_tampering_is_found_and_the_event_is_named(trail: Guarded, tamper: Tamper, told: str) -> None:
    with trail.stolen() as database:
        tamper(database)
    problems = trail.verify().problems
    assert any(told in problem for problem in problems), problems


@pytest.mark.parametrize("tamper", [tamper for tamper, _ in TAMPERING], ids=lambda tamper: tamper.__name__)
def test_the_gateway_goes_on_after_tampering_and_the_trail_stays_broken(trail: Guarded, tamper: Tamper) -> None:
    with trail.stolen() as database:
        tamper(database)
    trail.change(created("u11"), created("u12"))
    assert [event.id for event in trail.events(limit=2)] == ["u11", "u12"]
    mended = tamper is add_behind_the_head  # There nothing was lost, and the trail goes on at its real end.
    assert (trail.verify().problems == ()) == mended


def test_an_event_is_hashed_as_the_documentation_says(trail: Guarded) -> None:
    chain = hmac.digest(KEY.encode(), b"scim-gateway audit trail of default", hashlib.sha256)
    with trail.stolen() as database:
        rows = [read(database, number) for number in range(1, 11)]
    previous = bytes(32)
    for document, digest in rows:
        assert digest == hmac.digest(chain, previous + document, hashlib.sha256)
        previous = digest
    assert trail.verify().head == AuditHead(10, previous.hex())


# The end of the trail


def test_a_clean_cut_at_the_end_is_found_by_a_head_that_was_kept_elsewhere(trail: Guarded) -> None:
    head = trail.verify().head
    with trail.stolen() as database:
        cut_off(database)
        database.execute("UPDATE scim_guard SET event_no = 7")
    assert trail.verify().problems == (), "nothing inside of the database can tell"
    assert trail.verify(head).problems == (
        "the trail ends with event 7, but there was an event 10: events 8 to 10 are cut off",
    )


def test_a_cut_that_was_grown_over_is_found_by_a_head_that_was_kept_elsewhere(trail: Guarded) -> None:
    head = trail.verify().head
    with trail.stolen() as database:
        cut_off(database)
        database.execute("UPDATE scim_guard SET event_no = 7")
    for number in range(5):
        trail.change(created(f"v{number}"))
    assert trail.verify().problems == ()
    assert trail.verify(head).problems == (f"event 10 is not the one of the head {head}",)


def test_an_earlier_head_stays_part_of_a_trail_that_grows(trail: Guarded) -> None:
    head = trail.verify().head
    trail.change(created("u11"))
    assert trail.verify(head).problems == ()
    assert trail.verify().head.number == 11


def test_a_trail_that_is_gone_as_a_whole_is_found_by_a_head(trail: Guarded) -> None:
    head = trail.verify().head
    with trail.stolen() as database:
        database.execute("DELETE FROM scim_audit")
        database.execute("DELETE FROM scim_guard")
    assert trail.verify().problems == ()
    assert any("cut off" in problem for problem in trail.verify(head).problems)
    trail.change(created("u1"))
    assert trail.verify().problems == ()
    assert any("cut off" in problem for problem in trail.verify(head).problems)


def test_the_event_of_a_head_may_be_missing_in_the_middle(trail: Guarded) -> None:
    with trail.stolen() as database:
        head = AuditHead(5, read(database, 5)[1].hex())
        delete(database)
    assert f"event 5 of the head {head} is missing" in trail.verify(head).problems


def test_the_trail_goes_on_behind_a_missing_end_and_the_gap_stays_to_be_seen(
    trail: Guarded, caplog: pytest.LogCaptureFixture
) -> None:
    with trail.stolen() as database:
        cut_off(database)
    trail.change(created("u11"))
    assert "event 10 is missing from the audit trail" in caplog.text
    assert trail.verify().problems == ("events 8 to 10 are missing, so event 11 cannot be verified",)


# Keys


def test_without_a_key_of_its_own_the_trail_is_under_one_that_the_database_keeps_and_says_so(tmp_path: Path) -> None:
    with closing(open_guarded(tmp_path)) as guarded:
        guarded.change(created("u1"))
        verdict = guarded.verify()
        assert verdict.problems == ()
        assert "which the database keeps: whoever can read it can forge them" in verdict.notes[0]
        assert guarded.another().verify() == verdict


def test_a_new_key_takes_over_and_the_old_one_goes_on_to_verify(tmp_path: Path) -> None:
    with closing(open_guarded(tmp_path)) as first:
        first.change(created("u1"))
        second = first.another(KEY)
        second.change(created("u2"))
        third = first.another(OTHER_KEY, KEY)
        third.change(created("u3"))
        verdict = third.verify()
        assert verdict.problems == ()
        assert [note.split(" signed")[0] for note in verdict.notes] == ["event 1 is", "event 2 is", "event 3 is"]
        assert len(second.verify().problems) == 1, "the newest key is not known there"


def test_a_process_without_the_key_that_is_in_force_elsewhere_is_noticed(guarded: Guarded) -> None:
    without = guarded.another()
    guarded.change(created("u1"))
    without.change(created("u2"))
    assert any("some process runs without it" in problem for problem in guarded.verify().problems)
    guarded.change(created("u3"))
    assert guarded.verify().problems == ("event 2 is signed with an older key than events before it",)


def test_a_lost_key_makes_its_events_unverifiable_and_says_which_key_it_was(trail: Guarded) -> None:
    [note] = trail.verify().notes
    name = note.rpartition(" ")[2]
    problems = trail.another(OTHER_KEY).verify().problems
    assert problems[0] == f"event 1 is signed with the key {name}, which is not known here"
    assert len(problems) == 10


def test_a_list_of_problems_ends_where_nobody_reads_on(guarded: Guarded) -> None:
    for number in range(80):
        guarded.note(Event("x", "done", id=str(number)))
    problems = guarded.another(OTHER_KEY).verify().problems
    assert len(problems) == 51
    assert problems[-1] == "and 30 more"


def test_events_cannot_be_carried_from_one_tenant_to_another(guarded: Guarded) -> None:
    guarded.change(created("u1"))
    with closing(open_guarded(guarded.folder, KEY, tenant="theirs")) as theirs, guarded.stolen() as database:
        theirs.change(created("u2"))
        database.execute(
            "UPDATE scim_audit SET (event_doc, chain_hash) ="
            " (SELECT event_doc, chain_hash FROM scim_audit WHERE tenant = 'theirs') WHERE tenant = 'default'"
        )
        assert guarded.verify().problems != ()
        assert theirs.verify().problems == ()


def test_the_way_along_the_chain_is_told(guarded: Guarded) -> None:
    with guarded.write() as session:
        guarded.safeguards.note(session, [Event("x", "done", id=str(number)) for number in range(2500)])
    seen: list[tuple[int, int]] = []
    guarded.safeguards.verify(None, lambda done, of: seen.append((done, of)))
    assert seen == [(1000, 2500), (2000, 2500)]


# Whatever happens

_events = st.builds(
    Event,
    st.sampled_from(["create", "change", "apply"]),
    st.sampled_from(["accepted", "refused", "done"]),
    st.none() | st.sampled_from(["User", "Group"]),
    st.none() | st.text(max_size=20),
    st.none() | st.text(st.characters(), max_size=300),
    st.dictionaries(st.text(max_size=5), st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=9)),
)
_operations = st.lists(st.lists(_events, min_size=1, max_size=3), min_size=2, max_size=6)
_numbers = st.integers(1, 8)
_tampering = st.lists(
    st.one_of(
        st.tuples(st.just("delete"), _numbers),
        st.tuples(st.just("document"), _numbers, st.binary(max_size=40)),
        st.tuples(st.just("hash"), _numbers, st.binary(min_size=32, max_size=32)),
        st.tuples(st.just("copy"), _numbers, _numbers),
        st.tuples(st.just("swap"), _numbers, _numbers),
        st.tuples(st.just("byte"), _numbers, st.integers(0, 400), st.integers(1, 255)),
        st.tuples(st.just("head"), st.integers(0, 9)),
    ),
    min_size=1,
    max_size=4,
)
_tenants = itertools.count(1)
Rows = dict[int, tuple[bytes, bytes]]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """One file for all examples; each has a tenant of its own."""
    opened = open_guarded(tmp_path_factory.mktemp("shared"), KEY)
    opened.change(created("u1"))
    yield opened
    opened.close()


def tampered(rows: Rows, head: int, steps: list[tuple[Any, ...]]) -> tuple[Rows, int]:
    """The trail after somebody was at work who has no key."""
    for what, *how in steps:
        if what == "head":
            head = how[0]
            continue
        number = how[0]
        if number not in rows:
            continue
        document, digest = rows[number]
        match what:
            case "delete":
                del rows[number]
            case "document":
                rows[number] = (how[1], digest)
            case "hash":
                rows[number] = (document, how[1])
            case "copy":
                rows[how[1]] = rows[number]
            case "swap" if how[1] in rows:
                rows[number], rows[how[1]] = rows[how[1]], rows[number]
            case "byte" if document:
                at = how[1] % len(document)
                rows[number] = (document[:at] + bytes([document[at] ^ how[2]]) + document[at + 1 :], digest)
    return rows, head


# Up to four steps each: half as many examples as usual tamper often enough, and each takes a whole trail.
@settings(max_examples=settings.default.max_examples // 2)
@given(operations=_operations, steps=_tampering)
def test_with_a_head_from_elsewhere_a_trail_is_whole_exactly_if_it_was_not_touched(
    shared: Guarded, operations: list[list[Event]], steps: list[tuple[Any, ...]]
) -> None:
    tenant = f"t{next(_tenants)}"
    safeguards = Safeguards(shared.backend.database, tenant, [KEY])
    with shared.write() as session:
        for described in operations:
            safeguards.note(session, described)
    verdict = safeguards.verify()
    assert verdict.problems == ()
    assert safeguards.verify(verdict.head).problems == ()
    assert verdict.head.number == sum(len(described) for described in operations)
    with shared.stolen() as database:
        found = database.execute("SELECT event_no, event_doc, chain_hash FROM scim_audit WHERE tenant = ?", (tenant,))
        before: Rows = {number: (document, digest) for number, document, digest in found}
        after, head = tampered(dict(before), verdict.head.number, steps)
        database.execute("BEGIN")
        database.execute("DELETE FROM scim_audit WHERE tenant = ?", (tenant,))
        database.executemany(
            "INSERT INTO scim_audit VALUES (?, ?, ?, ?)", [(tenant, number, *row) for number, row in after.items()]
        )
        database.execute("UPDATE scim_guard SET event_no = ? WHERE tenant = ?", (head, tenant))
        database.execute("COMMIT")
    untouched = after == before and head == verdict.head.number
    assert (safeguards.verify(verdict.head).problems == ()) == untouched
