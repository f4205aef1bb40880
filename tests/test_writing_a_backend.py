"""docs/writing-a-backend.rst is true: its listing passes the suite, is found both ways, and loses nothing."""

from __future__ import annotations

import errno
import fcntl
import importlib
import os
import re
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from scim_http import ScimClient, add, replace
from servers.side_by_side import new_processes

from scim_gateway.app import create_app
from scim_gateway.backend import Query
from scim_gateway.config import load
from scim_gateway.errors import Unavailable
from scim_gateway.serve import prepare
from scim_gateway.testing import create, get, suite_resource_types, user
from scim_gateway.testing.processes import ProcessTests

GUIDE = Path(__file__).parent.parent / "docs" / "writing-a-backend.rst"
TOKEN = "a-fixed-token-for-the-guide-0123456789"
TYPES = suite_resource_types()
USER = TYPES.by_name["User"]


def listing(marker: str) -> str:
    """The indented block behind the line that ends with a marker."""
    text = GUIDE.read_text("utf-8")
    match = re.search(rf"{re.escape(marker)}\n\n((?:    .*\n|\n)+)", text)
    assert match, marker
    return textwrap.dedent(match[1]).strip() + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the listing."""
    (tmp_path / "json_file.py").write_text(listing(".. code:: python"))
    return tmp_path


@pytest.fixture
def module(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The listing as a module."""
    monkeypatch.syspath_prepend(str(folder))
    yield importlib.import_module("json_file")
    del sys.modules["json_file"]


def test_the_listing_passes_the_suite_as_the_guide_runs_it(folder: Path) -> None:
    (folder / "test_json_file.py").write_text(listing("``test_json_file.py``::"))
    (folder / "conftest.py").write_text(listing("so that failures are readable::"))
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "SCIM_GATEWAY_"))}
    environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    options = ["-q", "-rp", "-p", "no:cacheprovider", "-p", "no:xdist"]
    command = [sys.executable, "-m", "pytest", *options, "test_json_file.py"]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert int(re.findall(r"(\d+) passed", done.stdout)[0]) > 100
    passed = set(re.findall(r"^PASSED .+::(\w+)", done.stdout, re.MULTILINE))
    assert "test_a_store_out_of_reach_is_unavailable" in passed
    of_processes = {name for name in vars(ProcessTests) if name.startswith("test_")}
    assert of_processes - passed == {"test_a_token_is_valid_in_every_process_until_one_revokes_it"}


def serve(folder: Path, backend: str) -> ScimClient:
    settings = {"BACKEND": backend, "DATA_DIR": str(folder / "data"), "TOKEN": TOKEN}
    return ScimClient(create_app({f"SCIM_GATEWAY_{name}": value for name, value in settings.items()}), token=TOKEN)


def check_that_it_serves(folder: Path, backend: str) -> None:
    scim = serve(folder, backend)
    ann, bob = scim.user("ann@example.com"), scim.user("bob@example.com")
    group = scim.group("Analysts", [ann["id"]])
    scim.patch(f"/Groups/{group['id']}", [add("members", [{"value": bob["id"]}])]).expect(200)
    scim.patch(f"/Users/{ann['id']}", [replace("active", False)]).expect(200)
    scim.post("/Users", {"schemas": ann["schemas"], "userName": "ANN@example.com"}).expect(409, "uniqueness")
    scim.delete(f"/Users/{bob['id']}").expect(204)
    settings = {"BACKEND": backend, "DATA_DIR": str(folder / "data"), "TOKEN": TOKEN, "WORKERS": "3"}
    assert prepare(load({f"SCIM_GATEWAY_{name}": value for name, value in settings.items()})).settings["workers"] == 3
    again = serve(folder, backend)
    scim.user("carol@example.com")
    page = scim.get("/Users?count=1&cursor=").expect(200).body
    (next_one,) = again.get(f"/Users?count=1&cursor={page['nextCursor']}").expect(200).body["Resources"]
    assert (page["Resources"][0]["id"], next_one["userName"]) == (ann["id"], "carol@example.com")
    assert again.find("active eq false").ids == [ann["id"]]
    members = again.get(f"/Groups/{group['id']}").expect(200).body["members"]
    assert [member["value"] for member in members] == [ann["id"]]


def test_it_is_found_by_module_and_class(folder: Path, module: ModuleType) -> None:
    (named,) = re.findall(r"SCIM_GATEWAY_BACKEND=(\S+:\S+)", GUIDE.read_text("utf-8"))
    check_that_it_serves(folder, named)


def test_it_is_found_by_its_entry_point(folder: Path, module: ModuleType) -> None:
    packaged = folder / "json_file-1.0.dist-info"
    packaged.mkdir()
    (packaged / "METADATA").write_text("Metadata-Version: 2.1\nName: json-file\nVersion: 1.0\n")
    match = re.search(r"\n(\S+) =\n    (.+)\n", listing("of your distribution::"))
    assert match
    (packaged / "entry_points.txt").write_text(f"[{match[1]}]\n{match[2]}\n")
    importlib.invalidate_caches()
    (named,) = re.findall(r"``SCIM_GATEWAY_BACKEND=(\w+)``", GUIDE.read_text("utf-8"))
    check_that_it_serves(folder, named)


@pytest.fixture
def backend(folder: Path, module: ModuleType) -> Any:
    return module.JsonFileBackend.from_settings({"data_dir": str(folder / "data")}, TYPES)


@pytest.mark.parametrize("content", ["", "{", '{"User": ', "[]", "null"])
def test_a_damaged_file_is_a_store_out_of_reach_and_no_empty_directory(backend: Any, content: str) -> None:
    ada = user("ada")
    create(backend, ada)
    backend.path.write_text(content)
    for task in (
        lambda: get(backend, ada),
        lambda: create(backend, user("bob")),
        lambda: backend.handlers["User"].query(Query(USER)),
        lambda: backend.references([ada["id"]]),
    ):
        with pytest.raises(Unavailable, match="out of reach"):
            task()
    assert backend.path.read_text() == content


def test_a_write_that_never_reaches_the_disk_leaves_the_old_directory(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = user("ada")
    create(backend, ada)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        with pytest.raises(Unavailable, match="No space left"):
            create(backend, user("bob"))
    with backend.operation(write=False):
        assert backend.handlers["User"].query(Query(USER)).resources == [ada]
    create(backend, user("bob"))


def test_a_lock_that_nobody_gives_is_a_store_out_of_reach(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(file: object, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    with monkeypatch.context() as disk:
        disk.setattr(fcntl, "flock", none_left)
        for task in (lambda: create(backend, user("ada")), lambda: backend.cursor_key):
            with pytest.raises(Unavailable, match="No locks available"):
                task()
    with backend.operation(write=False):
        assert backend.handlers["User"].query(Query(USER)).resources == []


def test_a_folder_that_cannot_be_synced_is_closed_all_the_same(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    create(backend, user("ada"))
    synced: list[int] = []
    sync = os.fsync

    def fail_at_the_folder(descriptor: int) -> None:
        synced.append(descriptor)
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, "Input/output error")
        sync(descriptor)

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", fail_at_the_folder)
        with pytest.raises(Unavailable, match="Input/output error"):
            create(backend, user("bob"))
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(synced[-1])


def _create_many(folder: Path, number: int) -> None:
    sys.path.insert(0, str(folder))
    backend = importlib.import_module("json_file").JsonFileBackend.from_settings({"data_dir": folder / "data"}, TYPES)
    for index in range(15):
        create(backend, user(f"user{number}-{index}"))
    (folder / f"key{number}").write_bytes(backend.cursor_key)


def test_processes_that_write_at_once_lose_nothing(folder: Path, backend: Any) -> None:
    context = new_processes()
    processes = [context.Process(target=_create_many, args=(folder, number)) for number in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=120)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    with backend.operation(write=False):
        assert backend.handlers["User"].query(Query(USER, count=0)).total_results == 45
    assert [(folder / f"key{number}").read_bytes() for number in range(3)] == [backend.cursor_key] * 3
