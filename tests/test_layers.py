"""Who may import whom: the core knows no Flask and no driver, backends know no Flask, and nothing knows a plugin."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import scim_gateway

ROOT = Path(__file__).parent.parent
PACKAGE = Path(scim_gateway.__file__).parent

WITH_FLASK = {"app", "blueprint", "direct", "serve", "gunicorn_conf"}
WITH_WERKZEUG = {"wsgi"}
"""Reads HTTP: of frameworks and drivers it may import Werkzeug, and not Flask, which is one way to it among others."""
WITH_CLICK = {"serve", "gunicorn_conf", "listening"}
WITH_GUNICORN = {"serve", "listening", "gunicorn_worker", "gunicorn_refusal"}
WITH_ENVIRONMENT = {"app", "cli", "gunicorn_conf"}
COMMAND_LINE = re.compile(r"cli(_\w+)?")
OUTSIDE = ("flask", "werkzeug", "click", "gunicorn", "pymysql", "sqlalchemy", "requests")
PLUGINS = (
    "scim_gateway_memory",
    "scim_gateway_provisioning",
    "scim_gateway_singlestore",
    "scim_gateway_singlestore_engine",
    "scim_gateway_singlestore_portal",
    "scim_gateway_sql",
)

AROUND = WITH_FLASK | WITH_WERKZEUG | WITH_CLICK | WITH_GUNICORN
CORE = sorted(
    path.stem
    for path in PACKAGE.glob("*.py")
    if path.stem not in AROUND | {"__init__"} and not COMMAND_LINE.fullmatch(path.stem)
)


def imported(path: Path) -> set[str]:
    """The modules that a file imports, at its top or inside a function."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            if node.module == PACKAGE.name:
                names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def loaded_by(*modules: str) -> set[str]:
    code = f"import {', '.join(modules)}, sys; print(*sys.modules, sep='\\n')"
    path = [entry for entry in sys.path if entry]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:] = {path!r}\n{code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.split(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize("module", CORE)
def test_a_module_of_the_core_imports_no_framework_no_driver_and_no_plugin(module):
    names = {name.split(".")[0] for name in imported(PACKAGE / f"{module}.py")}
    assert not names & {*OUTSIDE, *PLUGINS}
    siblings = {name.split(".")[1] for name in imported(PACKAGE / f"{module}.py") if name.startswith("scim_gateway.")}
    assert not siblings & AROUND


@pytest.mark.parametrize("module", sorted(WITH_WERKZEUG))
def test_what_reads_http_needs_werkzeug_and_no_other_framework_or_driver(module):
    path = PACKAGE / f"{module}.py"
    forbidden = {*OUTSIDE, *PLUGINS} - {"werkzeug"}
    assert not {name.split(".")[0] for name in imported(path)} & forbidden
    siblings = {name.split(".")[1] for name in imported(path) if name.startswith("scim_gateway.")}
    assert not siblings & (AROUND - WITH_WERKZEUG)
    loaded = loaded_by(f"scim_gateway.{module}")
    assert "werkzeug" in loaded
    assert not loaded & forbidden


def test_modules_of_the_gateway_import_each_other_by_their_full_names():
    """Otherwise the tests here would not see what they import."""
    for path in PACKAGE.rglob("*.py"):
        froms = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.ImportFrom)]
        assert not [node.lineno for node in froms if node.level], path


def test_the_core_as_a_whole_loads_no_framework_no_driver_and_no_plugin_in_a_fresh_interpreter():
    loaded = loaded_by(*(f"scim_gateway.{module}" for module in CORE))
    assert not loaded & {*OUTSIDE, *PLUGINS}


def test_the_conformance_suite_for_backends_loads_no_framework_and_no_driver():
    assert not loaded_by("scim_gateway.testing") & {*OUTSIDE, *PLUGINS}


def test_no_backend_loads_flask():
    assert not loaded_by(*PLUGINS) & {"flask", "werkzeug", "click"}


def test_a_backend_imports_of_the_gateway_only_what_the_contract_names():
    allowed = {
        "__version__", "abilities", "actor", "backend", "changes", "config", "errors", "filter", "filter_predicates",
        "ordering", "provisioned", "schema", "stale", "text", "tokens",
    }  # fmt: skip
    for plugin in PLUGINS:
        for path in (ROOT / "backends" / plugin).glob("*.py"):
            used = {name.split(".")[1] for name in imported(path) if name.startswith("scim_gateway.")}
            assert used <= allowed, path


def test_nothing_in_the_gateway_names_a_plugin_in_an_import():
    for path in PACKAGE.rglob("*.py"):
        assert not {name.split(".")[0] for name in imported(path)} & set(PLUGINS), path


def test_the_environment_is_read_where_the_process_starts_and_nowhere_else():
    for path in [*PACKAGE.rglob("*.py"), *(ROOT / "backends").rglob("*.py")]:
        text = path.read_text("utf-8")
        if re.search(r"\bos\.environ|\bgetenv\b|_os\.environ", text):
            assert path.stem in WITH_ENVIRONMENT, path
