"""A part of a text is looked for in memory, and what is found is what the file holds at that moment (SQLite)."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scim_gateway_sql import SqlBackend, vocabulary
from sql_directory import TYPES, heard_from, opened

from scim_gateway.backend import Query
from scim_gateway.schema import Resource
from scim_gateway.testing import changed, create, delete, group, modify, resolved, user

USER = TYPES.by_name["User"]
INDEX = "index of User"


def found(backend: SqlBackend, text: str) -> list[str]:
    """The names of those whom a filter finds."""
    with backend.operation(write=False):
        page = backend.handlers["User"].query(Query(USER, resolved(USER, text), count=1000))
    assert len(page.resources) == page.total_results
    return [str(each["userName"]) for each in page.resources]


def looked_at_every_row(heard: list[str], search: Callable[[], object]) -> bool:
    heard.clear()
    search()
    (question,) = [text for text in heard if "json_each" in text or "instr(" in text or "substr(" in text]
    return "json_each" not in question


def reads_texts(heard: list[str], search: Callable[[], object]) -> bool:
    heard.clear()
    search()
    return vocabulary._TEXTS in heard


def on_file(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / "scim-gateway.db")) as database, database:
        for statement in statements:
            database.execute(statement)


def notes(folder: Path) -> list[int]:
    """The numbers of the changes that are noted."""
    with closing(sqlite3.connect(folder / "scim-gateway.db")) as database:
        return [number for (number,) in database.execute("SELECT number FROM scim_change ORDER BY number")]


def test_texts_are_read_once_and_then_looked_for_in_memory(backend: SqlBackend, heard: list[str]) -> None:
    create(backend, user("ada", title="Countess"), user("bob", title="Viscount"))
    assert reads_texts(heard, lambda: found(backend, 'title co "count"'))
    assert not reads_texts(heard, lambda: found(backend, 'title co "ess"'))
    assert not looked_at_every_row(heard, lambda: found(backend, 'title co "count"'))
    assert not looked_at_every_row(heard, lambda: found(backend, 'title ew "count"'))
    assert found(backend, 'title co "count"') == ["ada", "bob"]
    assert found(backend, 'title ew "COUNT"') == ["bob"]
    assert found(backend, 'not (title ew "count")') == ["ada"]
    assert found(backend, 'title co "duke"') == []


def test_each_change_is_found_at_once(backend: SqlBackend, heard: list[str]) -> None:
    ada = user("ada", title="Countess")
    create(backend, ada)
    assert found(backend, 'title co "count"') == ["ada"]
    create(backend, user("bob", title="Count"), group("counts"))
    assert found(backend, 'title co "count"') == ["ada", "bob"]
    later = changed(ada, title="Programmer")
    modify(backend, ada, later)
    assert found(backend, 'title co "count"') == ["bob"]
    assert found(backend, 'title co "gram"') == ["ada"]
    delete(backend, later)
    assert not reads_texts(heard, lambda: found(backend, 'title co "gram"'))
    assert found(backend, 'title co "gram"') == []


def test_what_another_process_changes_is_found_at_once(
    backend: SqlBackend, other: SqlBackend, heard: list[str]
) -> None:
    ada = user("ada", title="Countess")
    create(backend, ada)
    assert found(backend, 'title co "gram"') == []
    modify(other, ada, changed(ada, title="Programmer"))
    create(other, user("bob", title="Grammarian"))
    assert not reads_texts(heard, lambda: found(backend, 'title co "gram"'))
    assert found(backend, 'title co "gram"') == ["ada", "bob"]
    assert found(backend, 'title co "count"') == []


def test_a_reader_finds_what_was_there_at_the_moment_it_sees(backend: SqlBackend) -> None:
    assert found(backend, 'title co "count"') == []
    ada = user("ada", title="Countess")
    create(backend, ada)
    with backend.operation(write=False), ThreadPoolExecutor(1) as elsewhere:
        backend.references([ada["id"]])  # from now on this is the moment
        elsewhere.submit(modify, backend, ada, changed(ada, title="Programmer")).result()
        # The texts in memory are those of a later moment now.
        assert elsewhere.submit(found, backend, 'title co "gram"').result() == ["ada"]
        assert found(backend, 'title co "count"') == ["ada"]
        assert found(backend, 'title co "gram"') == []
    assert found(backend, 'title co "count"') == []
    assert found(backend, 'title co "gram"') == ["ada"]


def test_a_write_finds_what_it_has_changed_and_nothing_of_it_is_kept_if_it_fails(backend: SqlBackend) -> None:
    ada = user("ada", title="Programmer")
    create(backend, ada)
    assert found(backend, 'title co "count"') == []

    def fail() -> None:
        with backend.operation(write=True):
            backend.handlers["User"].modify(ada, changed(ada, title="Countess"))
            assert found(backend, 'title co "count"') == ["ada"]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    # This change has the number that the other one had.
    modify(backend, ada, changed(ada, title="Viscount"))
    assert found(backend, 'title ew "count"') == ["ada"]


def test_after_very_many_changes_the_texts_are_read_anew(
    backend: SqlBackend, heard: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vocabulary, "MOST_CHANGES", 3)
    assert found(backend, 'title co "count"') == []
    create(backend, *(user(f"user{number}", title="Countess") for number in range(3)))
    assert not reads_texts(heard, lambda: found(backend, 'title co "count"'))
    create(backend, *(user(f"more{number}", title="Viscount") for number in range(4)))
    assert reads_texts(heard, lambda: found(backend, 'title co "count"'))
    assert len(found(backend, 'title co "count"')) == 7


def test_texts_that_nobody_has_any_more_do_not_pile_up(
    backend: SqlBackend, heard: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vocabulary, "_LITTLE", 100)
    ada = user("ada", title="Countess")
    create(backend, ada)
    again = 0
    for number in range(40):
        before, ada = ada, changed(ada, title=f"Countess {number}")
        modify(backend, before, ada)
        again += reads_texts(heard, lambda: found(backend, 'title co "count"'))
        again += reads_texts(heard, lambda: found(backend, 'title co "count"'))
    assert 3 < again < 10
    assert found(backend, 'title ew "s 39"') == ["ada"]


def test_the_notes_of_changes_do_not_pile_up(
    backend: SqlBackend, heard: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vocabulary, "_KEPT", 6)
    monkeypatch.setattr(vocabulary, "_AT_ONCE", 10)
    ada = user("ada", title="Countess")
    create(backend, ada)
    assert found(backend, 'title co "count"') == ["ada"]
    modify(backend, ada, changed(ada, title="Programmer"))
    for number in range(40):
        create(backend, user(f"user{number}"))
        kept = notes(tmp_path)
        assert kept == list(range(kept[0], kept[-1] + 1))
        assert len(kept) <= 6 + 10
    assert reads_texts(heard, lambda: found(backend, 'title co "gram"'))
    assert found(backend, 'title co "gram"') == ["ada"]


def test_the_notes_of_processes_that_write_little_do_not_pile_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vocabulary, "_KEPT", 6)
    for process in range(5):
        backend = opened(tmp_path)
        create(backend, *(user(f"user{process}-{number}") for number in range(9)))
        backend.close()
        assert len(notes(tmp_path)) <= 6 + 9


def test_texts_are_read_anew_when_the_index_was_built_anew(
    backend: SqlBackend, other: SqlBackend, tmp_path: Path
) -> None:
    create(backend, user("ada", title="Countess"), user("bob", title="Count"))
    # As code would have stored it for which titles mean something else.
    on_file(tmp_path, "UPDATE scim_value SET sortable = x'3F' WHERE sortable = CAST('countess' AS BLOB)")
    assert found(backend, 'title co "count"') == ["bob"]
    on_file(tmp_path, f"DELETE FROM scim_setting WHERE name = '{INDEX}'")
    other.references([])
    assert found(backend, 'title co "count"') == ["ada", "bob"]


def test_a_database_with_another_history_is_taken_for_another(
    backend: SqlBackend, heard: list[str], tmp_path: Path
) -> None:
    create(backend, user("ada", title="Countess"))
    assert found(backend, 'title co "count"') == ["ada"]
    on_file(tmp_path, "UPDATE scim_change SET resource_id = 'somebody else' WHERE number > 1")
    assert reads_texts(heard, lambda: found(backend, 'title co "count"'))


def test_texts_that_need_too_much_memory_are_not_kept(
    backend: SqlBackend, heard: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vocabulary, "MOST_BYTES", 1000)
    monkeypatch.setattr(vocabulary, "_LATELY", 3)
    monkeypatch.setattr(vocabulary, "_LATER", 3)
    create(backend, *(user(f"user{n}", title=f"{n} of the titles", nickName=f"{n} of the names") for n in range(40)))

    def by_title() -> list[str]:
        return found(backend, 'title co "3 of"')

    def by_name() -> list[str]:
        return found(backend, 'nickName co "3 of"')

    assert by_title() == by_name() == ["user3", "user13", "user23", "user33"]
    assert not looked_at_every_row(heard, by_title)
    # Those that are in use are not pushed out, and others are not read each time to find that out.
    assert not reads_texts(heard, by_name)
    assert looked_at_every_row(heard, by_name)
    for _ in range(5):
        by_name()
    assert not looked_at_every_row(heard, by_name)
    assert looked_at_every_row(heard, by_title)


def test_where_very_many_texts_match_every_row_is_looked_at(
    backend: SqlBackend, heard: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vocabulary, "MOST_TEXTS", 3)
    create(backend, *(user(f"user{number}", title=f"Count {number // 3}") for number in range(15)))
    assert looked_at_every_row(heard, lambda: found(backend, 'title co "count"'))
    assert len(found(backend, 'title co "count"')) == 15
    assert not looked_at_every_row(heard, lambda: found(backend, 'title co "count 2"'))
    assert found(backend, 'title co "count 2"') == ["user6", "user7", "user8"]


def test_nobody_waits_long_for_one_who_reads_the_texts(backend: SqlBackend, heard: list[str]) -> None:
    create(backend, user("ada", title="Countess"))
    vocabularies = backend.handlers["User"]._vocabularies
    with vocabularies._lock:
        assert looked_at_every_row(heard, lambda: found(backend, 'title co "count"'))
        assert found(backend, 'title co "count"') == ["ada"]
    assert not looked_at_every_row(heard, lambda: found(backend, 'title co "count"'))


def test_a_forked_child_does_not_wait_for_who_read_the_texts_in_its_parent(backend: SqlBackend) -> None:
    create(backend, user("ada", title="Countess"))
    with backend.handlers["User"]._vocabularies._lock:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                heard = heard_from(backend)
                if not looked_at_every_row(heard, lambda: found(backend, 'title co "count"')):
                    status = 0
            finally:
                os._exit(status)
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_a_text_that_json_cannot_carry_is_found(backend: SqlBackend) -> None:
    create(backend, user("ada", title="Count\x00ess"), user("bob", title='Count "\\\n\x01\x7f\u2028\u00e9\U0001f600'))
    assert found(backend, 'title co "count"') == ["ada", "bob"]
    assert found(backend, 'title ew "ess"') == ["ada"]
    assert found(backend, 'title co "\u2028"') == ["bob"]
    assert found(backend, 'title ew "\u00c9\U0001f600"') == ["bob"]


def test_a_text_that_was_cut_is_found_and_then_forgotten(backend: SqlBackend) -> None:
    create(backend, user("bob", title="\u00e9"))
    assert found(backend, 'title co "\u00e9"') == ["bob"]
    ada = user("ada", title="a" + 600 * "\u00e9" + "z")
    create(backend, ada)
    assert found(backend, 'title co "\u00e9"') == ["bob", "ada"]
    assert found(backend, 'title co "z"') == ["ada"]
    delete(backend, ada)
    assert found(backend, 'title co "\u00e9"') == ["bob"]


_TEXTS = st.text(st.sampled_from("aAb\u00e9E\u0301\u00df%_*?[\\\"' \x01\u2028\ud7ff\U0001f600"), min_size=1, max_size=4)
_CONTENT = st.fixed_dictionaries(
    {},
    optional={
        "title": _TEXTS,
        "emails": st.lists(
            st.fixed_dictionaries({"value": _TEXTS}, optional={"type": st.sampled_from(("work", "home"))}), max_size=2
        ),
    },
)
_PEOPLE = st.integers(0, 3)
_STEPS = st.lists(
    st.tuples(st.integers(0, 1), _PEOPLE, st.one_of(_CONTENT, st.none(), _TEXTS, _TEXTS)), min_size=3, max_size=20
)
_FILTERS = (
    'title co "{}"',
    'emails.value ew "{}"',
    'not (title ew "{}") and emails co "{}"',
    'emails[type eq "work" and value co "{}"] or title ew "{}"',
)


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sequence[SqlBackend]]:
    folder = tmp_path_factory.mktemp("processes")
    both = (opened(folder), opened(folder))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vocabulary, "MOST_CHANGES", 4)
        patch.setattr(vocabulary, "_LITTLE", 60)
        patch.setattr(vocabulary, "MOST_TEXTS", 4)
        yield both
    for each in both:
        each.close()


@given(_STEPS)
@example([(0, 0, {"title": "ab"}), (0, 0, "b"), (1, 0, {"title": "aa"}), (0, 0, "a"), (0, 0, None), (1, 0, "a")])
def test_whatever_several_processes_change_each_finds_what_there_is(
    processes: Sequence[SqlBackend], steps: list[tuple[int, int, dict[str, object] | str | None]]
) -> None:
    """A step changes a person, deletes one, or looks for a part of a text."""
    stored: dict[int, Resource] = {}
    for process, number, step in steps:
        backend, before = processes[process], stored.get(number)
        if isinstance(step, str):
            part = step.replace("\\", "\\\\").replace('"', '\\"')
            for text in _FILTERS:
                part = part.replace("\x01", "\\u0001")
                query = Query(USER, resolved(USER, text.replace("{}", part)), count=10)
                by_age = sorted(stored.values(), key=lambda each: (each["meta"]["created"], each["id"]))
                with backend.operation(write=False):
                    page = backend.handlers["User"].query(query)
                assert list(page.resources) == list(query.run(by_age).resources)
        elif step is None and before is not None:
            delete(backend, stored.pop(number))
        elif step is not None and before is None:
            create(backend, added := user(f"user {number}", **step))
            stored[number] = added
        elif step is not None and before is not None:
            stored[number] = changed(before, "title", "emails", **step)
            modify(backend, before, stored[number])
    for each in stored.values():
        delete(processes[0], each)
