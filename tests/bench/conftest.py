"""``benchmarks`` is no part of what is installed: it is found in the tree, behind everything that is."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from deployed import TOKEN, Deployment
from werkzeug.serving import make_server

from scim_gateway.app import EXTENSION, create_app
from scim_gateway.bench.measuring import Client
from scim_gateway.bench.wire import Target

sys.path.append(str(Path(__file__).parents[2]))

from benchmarks.import_at_scale import Engine
from benchmarks.processes import cores
from benchmarks.target_process import TargetProcess, running_target


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TargetProcess]:
    with running_target("engine", tmp_path_factory.mktemp("engine") / "double", cores()[1]) as process:
        yield process


@pytest.fixture
def deploy(engine: TargetProcess, tmp_path: Path) -> Iterator[Callable[..., Deployment]]:
    with ExitStack() as stack:

        def deploy(**settings: str) -> Deployment:
            app = create_app(
                {
                    **Engine(engine).settings(),
                    "SCIM_GATEWAY_TOKEN": TOKEN,
                    "SCIM_GATEWAY_DATA_DIR": str(tmp_path),
                    "SCIM_GATEWAY_LOG_LEVEL": "error",
                    **{f"SCIM_GATEWAY_{name.upper()}": value for name, value in settings.items()},
                }
            )
            backend = app.extensions[EXTENSION].backend
            stack.callback(backend.close)
            server = make_server("127.0.0.1", 0, app, threaded=True)
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            for end in (server.server_close, thread.join, server.shutdown):
                stack.callback(end)
            target = Target("127.0.0.1", server.port, "/scim/v2", TOKEN)
            return Deployment(target, stack.enter_context(closing(Client(target, 1))), backend)

        yield deploy
