"""What all tests share: how hypothesis looks for examples, where files lie, and the fixtures of other modules."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings
from rows import examples
from servers.memory import folder_in_memory

pytest.register_assert_rewrite("scim_gateway.testing", "scim_http")

# Imported when this module has been, so that their asserts are written anew, too.
pytest_plugins = ["core_client", "doubles.singlestore.fixtures", "gateway_fixtures", "reused", "servers.mariadb"]

settings.register_profile(
    "repeatable",
    max_examples=examples(100),
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
settings.register_profile("search", settings.get_profile("repeatable"), derandomize=False, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


_ROOM_FOR_TESTS = 2 * 1024**3
"""Bytes: several times what a whole run leaves in ``tmp_path``."""


def pytest_configure(config: pytest.Config) -> None:
    memory = folder_in_memory(_ROOM_FOR_TESTS)
    if memory is not None:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", memory)  # --basetemp takes precedence over it
    config.addinivalue_line("markers", "rfc(*ids): lines of docs/conformance.rst that the test pins")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    """An application sets the level of what is logged, for its whole process; here until the end of the test."""
    ours = logging.getLogger("scim_gateway")
    level, handlers = ours.level, list(ours.handlers)
    try:
        return (yield)
    finally:
        ours.setLevel(level)
        ours.handlers[:] = handlers


def pytest_collection(session: pytest.Session) -> None:
    """What is collected stays to the end: ten thousand tests that the garbage collector need not look at, ever."""
    gc.disable()


def pytest_collection_finish(session: pytest.Session) -> None:
    gc.collect()
    gc.freeze()
    gc.enable()
