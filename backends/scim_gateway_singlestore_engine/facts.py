"""What a server was found to do where the vendor's documents say nothing: the file that a probe writes.

Without a file, or with one of another version, the careful answer is taken for each question.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

FILE = "engine-capabilities.json"


@dataclass(frozen=True, slots=True)
class Facts:
    """Answers to open questions; the defaults are those of a server that nobody has asked.

    :param create_takes_all: CREATE USER takes a resource pool and ATTRIBUTE whatever the way of log-in; otherwise they
        are set by a second statement.
    :param lock_shown: ACCOUNT_STATUS says of an account locked by a statement that it is LOCKED.
    :param lock_keeps_out: a lock keeps out those who log in by password.
    :param lock_holds_for_plugins: a lock also keeps out those who log in by jwt, PAM, SAML or GSSAPI.
    :param revoke_reaches_sessions: what is taken away is gone in sessions that are open, too, and not only in new ones.
    :param user_name_limit: most characters of the name of an account with a password, where it was measured.
    :param group_name_limit: most characters of a group's name, where it was measured.
    """

    create_takes_all: bool = True
    lock_shown: bool = True
    lock_keeps_out: bool = True
    lock_holds_for_plugins: bool = True
    revoke_reaches_sessions: bool = True
    user_name_limit: int | None = None
    group_name_limit: int | None = None

    @classmethod
    def parse(cls, found: Mapping[str, Any]) -> Self:
        """Facts out of a file; what is not known, or has the wrong type, is left out."""
        types = {"user_name_limit": int, "group_name_limit": int}
        known = {
            field.name: found[field.name]
            for field in fields(cls)
            if type(found.get(field.name)) is types.get(field.name, bool)
        }
        return cls(**known)


@dataclass(frozen=True, slots=True)
class Probe:
    """The file: what was found, of which server, when."""

    version: str
    facts: Facts
    at: str
    notes: Mapping[str, str]


def read_probe(folder: Path) -> Probe | None:
    """The file in a folder; ``None``: there is none, or it cannot be understood."""
    try:
        found = json.loads((folder / FILE).read_text("utf-8"))
        return Probe(str(found["version"]), Facts.parse(found["facts"]), str(found["at"]), dict(found["notes"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_probe(folder: Path, probe: Probe) -> Path:
    """Write the file, whole or not at all.

    :raises OSError: the folder cannot be written.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=FILE, suffix=".new")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(asdict(probe), file, indent=2, sort_keys=True)
        path = folder / FILE
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    return path
