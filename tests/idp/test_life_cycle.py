"""The clients that ``scim-gateway simulate`` plays live through their whole cycle on each backend, over a socket."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from flask import Flask
from scim_http import TOKEN, MakeScim
from werkzeug.serving import make_server

from scim_gateway import simulate
from scim_gateway.simulate import Step


@contextmanager
def listening(app: Flask) -> Iterator[str]:
    """The base URL of an application that is served by this process."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/scim/v2"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("idp", sorted(simulate.SCENARIOS))
def test_the_whole_life_cycle_goes_well_and_leaves_nothing_behind(make_scim: MakeScim, idp: str) -> None:
    scim = make_scim()
    assert isinstance(scim.target, Flask)
    steps: list[Step] = []
    with listening(scim.target) as url:
        simulate.run(idp, url, TOKEN, steps.append)
    assert [str(step) for step in steps if not step.ok] == []
    assert len(steps) > 50
    for path in ("/Users", "/Groups"):
        assert scim.get(path).body["totalResults"] == 0
