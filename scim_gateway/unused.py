"""Settings that are set and that the chosen backend does not read: as a rule, ``backend`` was forgotten."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from scim_gateway.backend import Backend, Finding
from scim_gateway.config import Settings
from scim_gateway.setting_engine import ENGINE_SETTINGS
from scim_gateway.setting_portal import PORTAL_SETTINGS
from scim_gateway.setting_provisioning import PROVISIONING_SETTINGS
from scim_gateway.setting_safety import SAFETY_SETTINGS

_SERVER = ("database_password", "database_tls", "database_tls_ca")

PARTS: Mapping[str, tuple[str, ...]] = {
    "database": ("database_url", *_SERVER),
    "targets": tuple(setting.name for setting in (*SAFETY_SETTINGS, *PROVISIONING_SETTINGS)),
    "engine": tuple(setting.name for setting in ENGINE_SETTINGS),
    "portal": tuple(setting.name for setting in PORTAL_SETTINGS),
}
"""The settings that some backends read and others do not, by the names of :attr:`.Backend.settings_read`."""


def unused(settings: Settings, backend: Backend) -> Iterator[Finding]:
    """A finding for what is set in vain; nothing of a backend that does not say what it reads."""
    # What a class says is true of itself alone: one that inherits from it may read more.
    read: frozenset[str] | None = vars(type(backend)).get("settings_read")
    if read is None:
        return
    chosen = {part: _chosen(settings, names) for part, names in PARTS.items() if part not in read}
    chosen = {part: origins for part, origins in chosen.items() if origins}
    if chosen:
        origins = [origin for part in chosen.values() for origin in part]
        why = f"the backend {settings['backend']} does not read {_them(origins)}"
        yield _finding(origins, why, _backend_for(read, chosen))
    if "database" in read and (origins := _chosen(settings, _SERVER)) and _is_file(settings):
        remedy = "name the server in SCIM_GATEWAY_DATABASE_URL"
        yield _finding(origins, "the directory is a file of SQLite", remedy)


def _chosen(settings: Settings, names: tuple[str, ...]) -> list[str]:
    """Where settings were set."""
    return sorted(settings.origins[name] for name in names if settings.origins[name] != "default")


def _is_file(settings: Settings) -> bool:
    return str(settings["database_url"] or "sqlite:").startswith("sqlite")


def _backend_for(read: frozenset[str], chosen: Mapping[str, list[str]]) -> str:
    targets = [part for part in ("engine", "portal") if part in chosen or part in read]
    if targets:
        return f"set SCIM_GATEWAY_BACKEND={'+'.join(targets)}"
    if "targets" in chosen:
        return "take a backend with targets, such as SCIM_GATEWAY_BACKEND=engine"
    return "set SCIM_GATEWAY_BACKEND=sql"


def _finding(origins: list[str], why: str, remedy: str) -> Finding:
    *others, last = origins
    named = f"{', '.join(others)} and {last} are" if others else f"{last} is"
    return Finding("settings", False, f"{named} set, and {why}", f"{remedy}, or take {_them(origins)} out")


def _them(origins: list[str]) -> str:
    return "them" if len(origins) > 1 else "it"
