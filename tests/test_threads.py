"""The threads of a worker: who is asked, in which turn, and what is told of the outcome."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from scim_gateway.threads import Done, Threads

SECONDS = 60.0


@pytest.fixture
def three() -> Iterator[Threads]:
    threads = Threads(3)
    yield threads
    threads.shutdown()


def outcome(threads: Threads, function: object, *arguments: object) -> Done:
    """Of a call, once it is there."""
    told = threading.Event()
    done = threads.submit(function, *arguments)  # type: ignore[arg-type]
    done.add_done_callback(lambda _: told.set())
    assert told.wait(SECONDS)
    return done


def test_a_call_gives_what_it_gives_and_raises_what_it_raises(three: Threads) -> None:
    assert outcome(three, divmod, 7, 2).result() == (3, 1)
    failed = outcome(three, divmod, 7, 0)
    assert not failed.cancelled()
    with pytest.raises(ZeroDivisionError):
        failed.result()
    assert outcome(three, divmod, 9, 2).result() == (4, 1), "its thread goes on"


def test_a_callback_is_called_once_however_late_it_comes(three: Threads) -> None:
    done = outcome(three, int)
    told: list[Done] = []
    done.add_done_callback(told.append)
    done.add_done_callback(told.append)
    assert told == [done, done]


def rest(threads: Threads, number: int) -> None:
    """Wait until so many rest."""
    while len(threads._idle) < number:
        threading.Event().wait(0.001)


def test_who_was_busy_last_is_asked_first(three: Threads) -> None:
    together = threading.Barrier(4)
    for _ in range(3):
        three.submit(together.wait, SECONDS)
    together.wait(SECONDS)
    rest(three, 3)
    names = set()
    for _ in range(20):
        names.add(outcome(three, lambda: threading.current_thread().name).result())
        rest(three, 3)
    assert len(names) == 1


@pytest.mark.parametrize("number", [1, 3])
def test_there_are_no_more_than_their_number_and_the_others_wait(number: int) -> None:
    threads, go, begun = Threads(number), threading.Event(), threading.Semaphore(0)

    def hold() -> bool:
        begun.release()
        return go.wait(SECONDS)

    held = [threads.submit(hold) for _ in range(3 * number)]
    for _ in range(number):
        assert begun.acquire(timeout=SECONDS)
    assert not begun.acquire(timeout=0.05), "all are busy"
    go.set()
    threads.shutdown()
    assert all(done.result() for done in held)


def test_who_has_waited_longest_comes_next() -> None:
    threads, go, order = Threads(1), threading.Event(), list[int]()
    threads.submit(go.wait, SECONDS)
    for number in range(20):
        threads.submit(order.append, number)
    go.set()
    threads.shutdown()
    assert order == list(range(20))


def test_they_end_after_what_was_submitted_and_take_no_more() -> None:
    threads = Threads(2)
    done = [threads.submit(pow, 2, number) for number in range(50)]
    threads.shutdown()
    assert [one.result() for one in done] == [2**number for number in range(50)]
    assert not any(thread.is_alive() for thread in threads._all)
    with pytest.raises(RuntimeError):
        threads.submit(int)
    Threads(2).shutdown()


def test_nothing_is_lost_among_many_who_submit_at_once(three: Threads) -> None:
    done: list[Done] = []
    together = threading.Barrier(8)

    def submit(first: int) -> None:
        together.wait(SECONDS)
        done.extend(three.submit(int, number) for number in range(first, first + 500))

    submitting = [threading.Thread(target=submit, args=(first,)) for first in range(0, 4000, 500)]
    for thread in submitting:
        thread.start()
    for thread in submitting:
        thread.join(SECONDS)
    three.shutdown()
    assert sorted(one.result() for one in done) == list(range(4000))


def test_nothing_of_a_request_stays_alive_while_its_thread_rests(three: Threads) -> None:
    gone = threading.Event()

    class Request:
        def __del__(self) -> None:
            gone.set()

    outcome(three, id, Request())
    assert gone.wait(SECONDS)
