"""The first import: what is sent directly and what goes through SCIM bring the same about, in a target that counts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from benchmarks.import_at_scale import TARGETS, Engine, Portal, Size, Timings, main, through_scim
from benchmarks.processes import cores
from benchmarks.target_process import running_target
from scim_gateway.app import EXTENSION, create_app
from scim_gateway.bench.measuring import Client
from scim_gateway.bench.wire import Target

TOKEN = "a-token-of-the-tests-0123456789-abcdef"
SIZE = Size(users=7, groups=2, members=5, push=3)


@contextmanager
def gateway(target: Engine | Portal, folder: Path) -> Iterator[Target]:
    """A gateway in front of a target, in this process."""
    settings = {
        **target.settings(),
        "SCIM_GATEWAY_TOKEN": TOKEN,
        "SCIM_GATEWAY_DATA_DIR": str(folder),
        "SCIM_GATEWAY_LOG_LEVEL": "error",
    }
    app = create_app(settings)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield Target("127.0.0.1", server.port, "/scim/v2", TOKEN)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        app.extensions[EXTENSION].backend.close()


@pytest.mark.parametrize(("name", "changes"), [("engine", 10), ("portal", 4)])
def test_both_ways_import_the_same(name: str, changes: int, tmp_path: Path) -> None:
    on = cores()[1]
    for how in ("direct", "through SCIM"):
        with running_target(name, tmp_path / how, on, members=SIZE.users) as process:
            target, timings = TARGETS[name](process), Timings(process)
            if how == "direct":
                target.direct(SIZE, timings, connections=2)
            else:
                with gateway(target, tmp_path / "data") as service, closing(Client(service, 2)) as client:
                    through_scim(target, client, SIZE, timings)
            assert target.found() == (7, 10)
            assert timings.seconds.keys() == timings.asked.keys() == {"users", "groups", "memberships"}
            # The Engine takes a statement for each membership, the Portal a call for each request.
            assert timings.asked["memberships"]["changes"] == changes
            assert timings.asked["groups"]["changes"] == 2


def test_a_target_that_there_is_not_is_told_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--targets", "mainframe"])
    assert ended.value.code == 2
    assert "there is no target mainframe; there are engine, portal" in capsys.readouterr().err
