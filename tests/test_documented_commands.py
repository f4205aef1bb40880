"""The command lines in the documents: each of them is one that the command line understands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from scim_gateway.cli import main

ROOT = Path(__file__).parent.parent
_QUOTED = re.compile(r"``((?:scim-gateway|adopt) [^`|\n]+(?:\n\s+[^`|\n]+)?)``")
_OF_A_BLOCK = re.compile(r"^ +(?:\$ )?(?:\.venv/bin/)?(scim-gateway .+?)(?:  .*)?$", re.MULTILINE)
_PROSE = re.compile(r"[a-z]+( [a-z]+)?|--config FILE|audit trail of")
"""A command that is only named, without what it needs; and what is no command."""


def written() -> Iterator[tuple[str, str]]:
    """Where a command line is written, and what stands behind ``scim-gateway``."""
    for path in (ROOT / "README.rst", *sorted((ROOT / "docs").glob("*.rst"))):
        text = path.read_text("utf-8")
        for match in (*_QUOTED.finditer(text), *_OF_A_BLOCK.finditer(text)):
            line = " ".join(match[1].split()).removeprefix("scim-gateway ")
            if not _PROSE.fullmatch(line):
                yield path.name, line


LINES = sorted(set(written()))


def commands(group: click.Group) -> Iterator[click.Command]:
    yield group
    for command in group.commands.values():
        if isinstance(command, click.Group):
            yield from commands(command)
        else:
            yield command


@pytest.mark.parametrize(("where", "line"), LINES, ids=[f"{where}: {line}" for where, line in LINES])
def test_a_command_line_in_the_documents_is_understood(
    where: str, line: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for command in commands(main):
        monkeypatch.setattr(command, "callback", lambda **_: None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "people.txt").touch()
    line = re.sub(r"[0-9a-f]+…", "0" * 64, line).replace("…", "")
    result = CliRunner().invoke(main, shlex.split(line))
    assert result.exit_code == 0, f"{where}: {result.output}{result.stderr}"


def test_command_lines_are_found_in_blocks_and_in_sentences() -> None:
    found = {line.split()[0] for _, line in LINES}
    assert found >= {"adopt", "apply", "approve", "audit", "bench", "check", "pause", "serve", "simulate"}
    assert ("reconcile.rst", "adopt engine group analysts finance") in LINES
