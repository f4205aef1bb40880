"""The environments of the peers: packages of fixed versions, installed once into a scratch folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

PEERS = Path(__file__).parent / "peers"
_PYTHON = {
    "scim2-server": ("scim2-server==0.8.3", "gunicorn==27.0.1"),
    "django-scim2": ("django-scim2==0.23.0", "django==5.2.19", "gunicorn==27.0.1"),
}


class CannotInstall(Exception):
    """An environment could not be made; says why."""


def python_of(peer: str, scratch: Path) -> Path:
    """The interpreter of a peer's environment, made if it is not there.

    :raises CannotInstall: pip failed.
    """
    folder = scratch / peer
    python = folder / "bin" / "python"
    done = folder / "installed"
    wanted = "\n".join(_PYTHON[peer])
    if not done.exists() or done.read_text() != wanted:
        _run([sys.executable, "-m", "venv", "--clear", str(folder)])
        _run([str(python), "-m", "pip", "install", "--quiet", *_PYTHON[peer]])
        done.write_text(wanted)
    return python


def node_folder(peer: str, scratch: Path) -> Path:
    """The folder with a peer's program and its packages, made if it is not there.

    :raises CannotInstall: node or npm is missing, or npm failed.
    """
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise CannotInstall("node and npm are not installed")
    folder = scratch / peer
    folder.mkdir(parents=True, exist_ok=True)
    wanted = (PEERS / peer / "package.json").read_text()
    done = folder / "installed"
    if not done.exists() or done.read_text() != wanted:
        shutil.copy(PEERS / peer / "package.json", folder)
        _run(["npm", "install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"], folder)
        done.write_text(wanted)
    shutil.copy(PEERS / peer / "server.mjs", folder)
    return folder


def _run(command: list[str], folder: Path | None = None) -> None:
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode:
        raise CannotInstall(f"{' '.join(command[:4])} … failed: {result.stderr.strip()[-300:]}")
