"""The fault table: every request, with every fault at every step, through the protocol, directory and double.

A row is a request, a fault, and the statement it hits. Right after the answer nothing may be open that was not open
before and is not asked for; what was asked to be taken and was answered by success is gone. When the Engine is back,
directory and Engine say the same, and say it again when the request was sent a second time.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from doubles.singlestore.api import Entry, SingleStoreDouble
from doubles.singlestore.fixtures import check_faithful, real_server
from engine_world import EngineWorld
from fault_scene import LOG_IN, OPERATIONS, Operation, Prepared, Scene, is_effect, is_ours
from rows import EVERY_ROW

from scim_gateway.provisioned import Plan


def from_the(step: int) -> Callable[[Entry], bool]:
    """Fits everything that the gateway sends from its ``step``-th effect on."""
    seen = 0

    def fits(entry: Entry) -> bool:
        nonlocal seen
        seen += is_effect(entry)
        return is_ours(entry) and seen > step

    return fits


@contextmanager
def cut_before(scene: Scene, step: int) -> Iterator[None]:
    """The connection breaks, the statement never arrives; the next one is fine."""
    armed = scene.double.cut_before(is_effect, skip=step)
    yield
    assert armed.hits == 1


@contextmanager
def cut_after(scene: Scene, step: int) -> Iterator[None]:
    """The statement has its effect, the answer never comes back; the next one is fine."""
    armed = scene.double.cut_after(is_effect, skip=step)
    yield
    assert armed.hits == 1


@contextmanager
def gone_before(scene: Scene, step: int) -> Iterator[None]:
    """From this statement on nothing arrives any more."""
    armed = scene.double.cut_before(from_the(step), times=None)
    yield
    assert armed.hits
    scene.double.faults_clear()


@contextmanager
def gone_after(scene: Scene, step: int) -> Iterator[None]:
    """This statement has its effect; it is not answered, and nothing arrives any more."""
    first = scene.double.cut_after(is_effect, skip=step)
    scene.double.cut_before(lambda entry: bool(first.hits) and is_ours(entry), times=None)
    yield
    assert first.hits == 1
    scene.double.faults_clear()


@contextmanager
def forbidden(scene: Scene, step: int) -> Iterator[None]:
    """From this statement on the gateway's account may do nothing any more."""
    follows = from_the(step)
    armed = scene.double.fail(lambda entry: follows(entry) and is_effect(entry), 1227, times=None)
    yield
    assert armed.hits
    scene.double.faults_clear()


class Impatient(socket.socket):
    """The gateway's side of a connection to a server that may fall silent.

    While the server answers it has all the time that the gateway gives it, however slow the machine is; once it is
    silent nobody waits for what will not come.
    """

    silent: Callable[[], bool]

    def recv_into(self, *arguments: Any) -> int:
        end = time.monotonic() + (self.gettimeout() or 30.0)
        looking = select.poll()
        looking.register(self, select.POLLIN)
        while not looking.poll(50):
            if self.silent() or time.monotonic() > end:
                raise TimeoutError("timed out")
        return super().recv_into(*arguments)


@contextmanager
def impatient(scene: Scene, silent: Callable[[], bool]) -> Iterator[None]:
    """Connections that are made from now on are impatient; the old ones are gone."""
    connect = socket.create_connection

    def connect_impatiently(*arguments: Any, **options: Any) -> socket.socket:
        made = Impatient(fileno=connect(*arguments, **options).detach())
        made.silent = silent
        return made

    scene.double.stop()
    scene.double.start()
    scene.open_session()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(socket, "create_connection", connect_impatiently)
        yield


@contextmanager
def hung(scene: Scene, step: int) -> Iterator[None]:
    """The statement is not answered, and has its effect long after it was given up; so has all that follows."""
    armed = scene.double.hang(from_the(step), times=None)
    over = False
    with impatient(scene, lambda: bool(armed.hits) and not over):
        yield
        assert armed.hits
        over = True
        scene.double.faults_clear()


FAULTS = (cut_before, cut_after, gone_before, gone_after, forbidden, hung)


def places(fault: Callable[[Scene, int], AbstractContextManager[None]], steps: int) -> Iterator[int]:
    """The steps that a fault hits: every other one, where not every row is played; half of the faults hit the rest."""
    first = 0 if EVERY_ROW or steps < 2 else (cut_after, gone_before, hung).count(fault)
    yield from range(first, steps, 1 if EVERY_ROW else 2)


@contextmanager
def down(scene: Scene) -> Iterator[None]:
    """It is killed, and started when the request was answered."""
    scene.double.stop()
    yield
    scene.double.start()


@contextmanager
def refusing(scene: Scene) -> Iterator[None]:
    """Open connections break, and nobody is let in: too many connections."""
    scene.double.stop()
    with scene.double.refusing_log_ins(1040):
        scene.double.start()
        yield


@contextmanager
def frozen(scene: Scene) -> Iterator[None]:
    """Everything is accepted and nothing is answered."""
    over = False
    with impatient(scene, lambda: not over), scene.double.frozen():
        yield
        over = True


@contextmanager
def restarted(scene: Scene) -> Iterator[None]:
    """The cluster restarts just before, and has forgotten who was locked."""
    scene.double.restart()
    yield


WHOLE = (down, refusing, frozen, restarted)


@pytest.fixture(scope="module")
def rows() -> Iterator[list[str]]:
    """The rows that were played; their number is printed at the end (``pytest -s``)."""
    played: list[str] = []
    yield played
    print(f"\nfault table: {len(played)} rows")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared | None:
    """What is the same in all scenes; nothing where they lie on a real server."""
    if real_server() is not None:
        return None
    folder = tmp_path_factory.mktemp("prepared")
    double = SingleStoreDouble()
    with double.running():
        world = EngineWorld(double, folder)
        prepared = Scene(world, folder / "directory").prepared()
        world.target.close()
    check_faithful(double)
    return prepared


@pytest.fixture
def make_scene(
    make_world, tmp_path: Path, prepared: Prepared | None, looks_at_once: None
) -> Iterator[Callable[[], Scene]]:
    with ExitStack() as stack:

        def make() -> Scene:
            folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
            scene = Scene(make_world(), folder, prepared)
            stack.callback(scene.close)
            return scene

        yield make


_STEPS: dict[str, int] = {}


def steps_of(make_scene: Callable[[], Scene], name: str) -> int:
    """How many effects the request has when nothing goes wrong; counted once."""
    if name not in _STEPS:
        scene = make_scene()
        before = len(scene.world.sent())
        assert scene.send(OPERATIONS[name]) < 300
        scene.check_equal()
        _STEPS[name] = len(scene.world.sent()) - before
    return _STEPS[name]


def play(scene: Scene, operation: Operation, fault: Callable[[], AbstractContextManager[None]]) -> None:
    """One row of the table."""
    before = scene.opened()
    with fault():
        at_most = before | scene.opened() | operation.gives | operation.meanwhile
        status = scene.send(operation)
    assert status < 300 or status == 503, status
    assert scene.opened() <= at_most, "more than before, and more than is asked for"
    if status < 300:
        check_revoked(scene, operation)
        assert operation.gives <= scene.opened()
    scene.settle()
    scene.check_equal(repaired(scene))
    check_revoked(scene, operation)
    kept = before - operation.takes
    assert kept <= scene.opened(), "somebody lost what nobody took"
    if status == 503:
        assert scene.opened() == kept, "grants fail closed"
    again = scene.send(operation)
    assert (
        again < 300 or (again == 409 and status < 300) or (again == 404 and operation.request(scene.ids)[0] != "POST")
    )
    check_done(scene, operation, before)
    scene.check_equal()


def repaired(scene: Scene) -> Plan:
    """What arrived after it was given up is found by the plan, and mended by it; the plan of afterwards."""
    plan = scene.backend.plan()
    if not plan.to_do:
        return plan
    scene.backend.apply(plan.hash)
    return scene.backend.plan()


def check_revoked(scene: Scene, operation: Operation) -> None:
    assert not scene.opened() & operation.takes, "an access is open that was revoked"
    for name in operation.ends:
        assert scene.double.sessions(name) == [], "a session of a deactivated person lives"


def check_done(scene: Scene, operation: Operation, before: frozenset[tuple[str, str]]) -> None:
    check_revoked(scene, operation)
    assert scene.opened() == before - operation.takes | operation.gives


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_request_whose_statement_is_hit_by_a_fault(make_scene, name, fault, rows):
    operation = OPERATIONS[name]
    steps = steps_of(make_scene, name)
    assert (steps == 0) == (name == "create inactive"), "who was never active has no account"
    for step in places(fault, steps):
        scene = make_scene()
        play(scene, operation, lambda scene=scene, step=step: fault(scene, step))
        rows.append(f"{name}, {fault.__name__}, {step}")


@pytest.mark.parametrize("fault", WHOLE, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_request_while_the_whole_engine_fails(make_scene, name, fault, rows):
    scene = make_scene()
    play(scene, OPERATIONS[name], lambda: fault(scene))
    assert (("zoe", LOG_IN) in scene.opened()) == (name == "reactivate")
    rows.append(f"{name}, {fault.__name__}")
