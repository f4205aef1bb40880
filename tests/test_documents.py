"""The documents: sound reStructuredText whose links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from docutils.core import publish_doctree
from docutils.nodes import reference
from docutils.utils import SystemMessage

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(
    path.relative_to(ROOT)
    for pattern in ("*.rst", "docs/*.rst", "benchmarks/*.rst", "tests/**/README.rst")
    for path in ROOT.glob(pattern)
)


def parsed(document: Path):
    settings = {"report_level": 2, "halt_level": 2, "warning_stream": False, "file_insertion_enabled": False}
    return publish_doctree((ROOT / document).read_text("utf-8"), settings_overrides=settings)


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_a_document_is_sound_and_its_links_lead_to_files_that_exist(document):
    tree = parsed(document)
    for link in tree.findall(reference):
        target = link.get("refuri", "")
        if target and not re.match(r"[a-z]+:", target):
            assert (ROOT / document.parent / target.partition("#")[0]).exists(), target


def test_a_table_whose_cell_is_too_long_would_be_noticed(tmp_path):
    bad = tmp_path / "bad.rst"
    bad.write_text("===  ===\nlonger  b\n===  ===\n", "utf-8")
    with pytest.raises(SystemMessage, match="Text in column margin"):
        parsed(bad)
