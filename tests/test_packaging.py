"""What is installed is what is in the tree; and in CI, what is tested is what is installed."""

from __future__ import annotations

import configparser
import os
import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

import scim_gateway

ROOT = Path(__file__).parent.parent
LIBRARIES = {"scim_gateway_provisioning"}  # what other plugins are built on: no backend by itself


@pytest.fixture(scope="module")
def setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


def test_what_is_tested_is_the_installed_package_where_that_is_asked_for():
    expected = "site-packages" if os.environ.get("EXPECT_INSTALLED") else str(ROOT)
    assert expected in str(Path(scim_gateway.__file__).resolve())


def test_every_package_in_the_tree_is_packaged(setup_cfg):
    packages = set(lines(setup_cfg["options"]["packages"]))
    plugins = {path.parent.name for path in (ROOT / "backends").glob("*/__init__.py")}
    core = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "scim_gateway").rglob("__init__.py")}
    assert packages == plugins | core


def test_every_plugin_has_its_folder_its_type_marker_and_an_entry_point(setup_cfg):
    folders = dict(re.split(r"\s*=\s*", line) for line in lines(setup_cfg["options"]["package_dir"]))
    points = setup_cfg["options.entry_points"]["scim_gateway.backends"]
    for path in (ROOT / "backends").glob("*/__init__.py"):
        name = path.parent.name
        assert folders[name] == f"backends/{name}"
        assert "py.typed" in setup_cfg["options.package_data"][name]
        assert (path.parent / "py.typed").exists()
        assert (f"{name}:" in points) == (name not in LIBRARIES)


def test_every_data_file_is_packaged(setup_cfg):
    for name, text in setup_cfg["options.package_data"].items():
        patterns = re.split(r"[,\s]+", text.strip())
        folder = ROOT / ("backends" if not name.startswith("scim_gateway.") and name != "scim_gateway" else "")
        folder = folder / Path(*name.split("."))
        packaged = {path for pattern in patterns for path in folder.glob(pattern)}
        present = {
            path
            for path in folder.rglob("*")
            if path.is_file() and path.suffix not in (".py", ".pyc") and "__pycache__" not in path.parts
        }
        if name == "scim_gateway":
            present = {path for path in present if "simulate" not in path.parts}
        assert packaged == present, name


def test_pyproject_holds_the_build_system_and_nothing_else():
    assert list(tomllib.loads((ROOT / "pyproject.toml").read_text())) == ["build-system"]


def test_the_lower_bounds_are_those_that_are_tested(setup_cfg):
    bounds = dict(line.split(">=") for line in lines(setup_cfg["options"]["install_requires"]))
    tested = dict(line.split("==") for line in lines((ROOT / "constraints-lowest.txt").read_text()))
    assert bounds.keys() == tested.keys()
    for name, bound in bounds.items():
        assert (tested[name] + ".0").startswith(f"{bound}") or tested[name] == f"{bound}.0", name


def test_tests_are_no_package_so_that_the_tree_does_not_shadow_what_is_installed():
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_the_changes_name_the_version():
    assert f"\n{scim_gateway.__version__}" in (ROOT / "CHANGES.rst").read_text("utf-8")


def test_the_entry_points_load():
    try:
        points = distribution("scim-gateway").entry_points
    except PackageNotFoundError:
        pytest.skip("nothing is installed")
    for point in points:
        assert callable(point.load()), point
