"""Every setting of the gateway in one table, and how its value is found: flag, environment, file, default.

Nothing else reads the environment. What is wrong is one line that names the place and what was meant.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from scim_gateway.definition_parts import DefinitionError
from scim_gateway.definitions import load_resource_types
from scim_gateway.filter_parser import FilterLimits
from scim_gateway.profile import PROFILES
from scim_gateway.provider_settings import ProviderSettings
from scim_gateway.schema import ResourceTypes
from scim_gateway.setting import (
    MASK,
    PREFIX,
    Setting,
    a_base_path,
    a_fixed_token,
    a_flag,
    a_list_of_tables,
    a_number,
    a_table,
    a_text,
    a_url,
    an_address,
    one_of,
    without_account,
)
from scim_gateway.setting_engine import ENGINE_SETTINGS
from scim_gateway.setting_portal import PORTAL_SETTINGS
from scim_gateway.setting_provisioning import PROVISIONING_SETTINGS
from scim_gateway.setting_safety import SAFETY_SETTINGS
from scim_gateway.tokens import MINIMUM_LENGTH

CONFIG_VARIABLE = f"{PREFIX}CONFIG"

# Kubernetes puts the addresses of a Service called scim-gateway into the environment of every container near it.
_FOREIGN = re.compile(rf"{PREFIX}(SERVICE_(HOST|PORT(_\w+)?)|PORT(_\d+_(TCP|UDP)(_(PROTO|PORT|ADDR))?)?)")
_PATHS = frozenset({"data_dir", "database_tls_ca", "engine_tls_ca", "portal_ca_file"})
"""Settings that are the path of a file or a folder."""
_SQLITE_FILE = re.compile(r"(sqlite(?:\+\w+)?:///)(?!/|:memory:|file:|\?)(.+)", re.DOTALL)
"""A URL whose path is relative."""
_CONTAINER_SECRETS = (Path("/run/secrets"), Path("/var/run/secrets"))


class ConfigurationError(Exception):
    """The gateway cannot start with these settings; the text is one line for the operator."""


_PROVIDER = ProviderSettings()
_LIMITS = FilterLimits()

SETTINGS: tuple[Setting, ...] = (
    Setting(
        "backend",
        a_text,
        "sql",
        "Where people and groups are kept: sql, memory, a plugin's name, or module:Class.",
    ),
    Setting("backend_options", a_table, {}, "What a backend that is not ours wants to know; never shown.", secret=True),
    Setting("data_dir", a_text, "data", "Folder of the SQLite file; made if it is missing."),
    Setting("database_url", a_text, None, "Database URL in place of the file in data_dir.", secret=True),
    Setting("database_password", a_text, None, "Password of the database account, if the URL has none.", secret=True),
    Setting(
        "database_tls",
        one_of(("required", "off")),
        None,
        "Whether a database server is spoken to by TLS: required or off; by default required outside of this machine.",
    ),
    Setting("database_tls_ca", a_text, None, "File of the authority that signed the database server's certificate."),
    Setting("tenant", a_text, None, "Part of a shared database that this gateway serves."),
    Setting(
        "token",
        a_fixed_token,
        None,
        f"One fixed bearer token of at least {MINIMUM_LENGTH} characters, for containers and tests; "
        "valid beside those of scim-gateway token create.",
        secret=True,
    ),
    Setting(
        "profile", one_of(PROFILES), _PROVIDER.profile, f"IdP profile unless a token has one: {', '.join(PROFILES)}."
    ),
    Setting("base_path", a_base_path, "/scim/v2", "Path of the SCIM base URL."),
    Setting("public_url", a_url, None, "The SCIM base URL as the identity provider sees it; by default the request's."),
    Setting(
        "trusted_proxies",
        a_number(0, 10),
        0,
        "How many proxies in front of the gateway set X-Forwarded-For, -Proto and -Host. 0: they are ignored.",
    ),
    Setting("public_discovery", a_flag, _PROVIDER.public_discovery, "Whether discovery is answered without a token."),
    Setting(
        "auth_failures_per_minute",
        a_number(0),
        60,
        "Wrong tokens from one address in a minute before it is answered 429; valid tokens always pass. 0: no limit.",
    ),
    Setting("bind", an_address, "127.0.0.1:8000", "Address to listen on."),
    Setting("workers", a_number(1, 64), 2, "Worker processes; a backend that is not for several, as memory, has one."),
    Setting("threads", a_number(1, 256), 8, "Threads of each worker process."),
    Setting(
        "client_timeout",
        a_number(1, 600),
        10,
        "Seconds for the head of a request, and for a client that neither sends its body nor takes its answer.",
    ),
    Setting("timeout", a_number(1), 60, "Seconds after which a worker process that stands still is replaced."),
    Setting("graceful_timeout", a_number(0), 30, "Seconds that requests get to finish when the gateway stops."),
    Setting("log_level", one_of(("debug", "info", "warning", "error")), "info", "Least severity that is logged."),
    Setting("default_count", a_number(1), _PROVIDER.default_count, "Page size of a query that asks for none."),
    Setting("max_results", a_number(1), _PROVIDER.max_results, "Largest page."),
    Setting("max_body", a_number(1024), _PROVIDER.max_body, "Most bytes of a request body; more is answered 413."),
    Setting("max_depth", a_number(4, 200), _PROVIDER.max_depth, "Deepest nesting of a JSON body."),
    Setting("bulk_max_operations", a_number(1), _PROVIDER.bulk_max_operations, "Most operations of a bulk request."),
    Setting("bulk_max_payload", a_number(1024), _PROVIDER.bulk_max_payload, "Most bytes of a bulk request."),
    Setting(
        "max_root_candidates",
        a_number(1),
        _PROVIDER.max_root_candidates,
        "A query over several resource types that matches more is refused (tooMany).",
    ),
    Setting(
        "search_seconds",
        a_number(1),
        _PROVIDER.search_seconds,
        "Seconds that a search may look through the directory before it is refused (tooMany).",
    ),
    Setting(
        "searches_at_once",
        a_number(1),
        _PROVIDER.searches_at_once,
        "Searches of a worker that look through the directory at once; as many wait, more are answered 503.",
    ),
    Setting("filter_max_length", a_number(64), _LIMITS.max_length, "Most characters of a filter."),
    Setting("filter_max_depth", a_number(1, 100), _LIMITS.max_depth, "Deepest nesting of a filter."),
    Setting("filter_max_terms", a_number(1), _LIMITS.max_terms, "Most comparisons in a filter."),
    Setting(
        "cursor_timeout", a_number(1), _PROVIDER.cursor_timeout, "Seconds after which a page's cursor has expired."
    ),
    Setting(
        "patch_answer_members",
        a_number(0),
        _PROVIDER.patch_answer_members,
        "A PATCH of a group with more members than this is answered 204, without the group.",
    ),
    Setting("documentation_uri", a_url, _PROVIDER.documentation_uri, "Address of help for people, shown in discovery."),
    Setting("schemas", a_list_of_tables, (), "Schemas of your own, as Schema resources of RFC 7643 §7."),
    Setting(
        "extensions", a_list_of_tables, (), "Which schema extends which resource type: resourceType, schema, required."
    ),
    Setting(
        "resource_types", a_list_of_tables, (), "Resource types of your own, as ResourceType resources of RFC 7643 §6."
    ),
    *SAFETY_SETTINGS,
    *PROVISIONING_SETTINGS,
    *ENGINE_SETTINGS,
    *PORTAL_SETTINGS,
)
BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in SETTINGS}


@dataclass(frozen=True)
class Settings(Mapping[str, Any]):
    """The values in force by the names of the table, and where each comes from; ``file`` is the configuration file."""

    in_force: Mapping[str, Any]
    origins: Mapping[str, str]
    resource_types: ResourceTypes
    file: str = ""

    def __getitem__(self, name: str) -> Any:
        return self.in_force[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.in_force)

    def __len__(self) -> int:
        return len(self.in_force)

    def provider(self) -> ProviderSettings:
        """What the service provider is told."""
        names = ProviderSettings.__dataclass_fields__
        return ProviderSettings(
            **{name: value for name, value in self.in_force.items() if name in names},
            filter_limits=FilterLimits(self["filter_max_length"], self["filter_max_depth"], self["filter_max_terms"]),
        )

    @property
    def base_url(self) -> str:
        """The SCIM base URL to tell people: the public one, or that of the address the gateway listens on."""
        if self["public_url"]:
            return str(self["public_url"])
        host, _, port = str(self["bind"]).rpartition(":")
        with contextlib.suppress(ValueError):  # not an address, but a name
            address = ip_address(host.strip("[]"))
            if address.is_unspecified:
                host = "127.0.0.1" if address.version == 4 else "[::1]"
        return f"http://{host}:{port}{self['base_path']}"

    def shown(self) -> Iterator[tuple[Setting, Any, str]]:
        """Each setting with a value fit to be shown, and its origin."""
        for setting in SETTINGS:
            value = self.in_force[setting.name]
            if value and setting.name.endswith("_url"):
                value = _masked_url(value)
            elif setting.secret and value:
                value = MASK
            yield setting, value, self.origins[setting.name]


def _masked_url(url: str) -> str:
    # Only the password is a secret; a URL that hides it elsewhere (?password=) is not worth the risk.
    match = re.fullmatch(r"([a-z0-9+]+://)(?:([^:@/?]*)(:.*)?@)?([^@?]*)(\?.*)?", url, re.DOTALL | re.IGNORECASE)
    if not match:
        return MASK
    scheme, user, password, rest, query = match.groups()
    account = "" if user is None else f"{user}{':' + MASK if password else ''}@"
    return f"{scheme}{account}{rest}{'?' + MASK if query else ''}"


def load(environ: Mapping[str, str], flags: Mapping[str, Any] | None = None) -> Settings:
    """Find the value of every setting.

    :param environ: the process's environment, or what a test puts in its place.
    :param flags: values from the command line by the name of their setting; ``None`` among them is no value.
    :raises ConfigurationError: something is unknown, wrong, or not safe.
    """
    found: dict[str, tuple[Any, str]] = {}
    path = environ.get(CONFIG_VARIABLE, "").strip()
    if path:
        found.update(_from_file(Path(path)))
    found.update(_from_environment(environ))
    for name, value in (flags or {}).items():
        if value is not None:
            found[name] = (value, f"--{name.replace('_', '-')}")

    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for setting in SETTINGS:
        if setting.name not in found:
            values[setting.name], origins[setting.name] = setting.default, "default"
            continue
        written, origin = found[setting.name]
        try:
            values[setting.name] = setting.convert(written)
        except ValueError as error:
            is_ = "does not fit" if setting.secret else f"is {_short(written)}"
            raise ConfigurationError(f"{origin} {is_}; it has to be {_ended(str(error))}") from None
        origins[setting.name] = origin
    if values["default_count"] > values["max_results"]:
        if origins["default_count"] != "default":
            raise ConfigurationError(
                f"default_count is {values['default_count']} and max_results {values['max_results']}: "
                "the page that nobody asked for is larger than the largest."
            )
        values["default_count"] = values["max_results"]
    try:
        types = load_resource_types(values["schemas"], values["resource_types"], values["extensions"])
    except DefinitionError as error:
        raise ConfigurationError(f"{_declared_in(origins)}: {error}") from None
    return Settings(values, origins, types, path)


def complete(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Settings that a program gives, and the defaults of those that it does not; :func:`load` also converts them."""
    return (
        values if isinstance(values, Settings) else {setting.name: setting.default for setting in SETTINGS} | {**values}
    )


def _declared_in(origins: Mapping[str, str]) -> str:
    names = (origins[name] for name in ("schemas", "resource_types", "extensions") if origins[name] != "default")
    return " and ".join(dict.fromkeys(names))


def _short(value: Any) -> str:
    text = repr(without_account(value) if isinstance(value, str) else value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith(("?", ".")) else f"{sentence}."


def _from_environment(environ: Mapping[str, str]) -> Iterator[tuple[str, tuple[Any, str]]]:
    variables = {setting.variable: setting for setting in SETTINGS}
    files = {f"{setting.variable}_FILE": setting for setting in SETTINGS if setting.secret}
    for variable in sorted(environ):
        if not variable.startswith(PREFIX) or variable == CONFIG_VARIABLE:
            continue
        text = environ[variable]
        if variable in variables:
            setting = variables[variable]
            if text.strip():
                yield setting.name, (text, variable)
            elif setting.secret:
                # An empty secret is one that somebody failed to fill in; going on without it would be a surprise.
                raise ConfigurationError(f"{variable} is set but empty; give it a value or unset it.")
        elif variable in files:
            setting = files[variable]
            if environ.get(setting.variable):
                raise ConfigurationError(f"Both {setting.variable} and {variable} are set; keep one.")
            yield setting.name, (secret_from(Path(text), variable), f"{variable} ({text})")
        elif not _FOREIGN.fullmatch(variable):
            near = _nearest(variable, (*variables, *files, CONFIG_VARIABLE))
            raise ConfigurationError(f"There is no setting {variable}; {near}")


def _from_file(path: Path) -> Iterator[tuple[str, tuple[Any, str]]]:
    try:
        with path.open("rb") as file:
            content = tomllib.load(file)
    except OSError as error:
        raise ConfigurationError(f"{CONFIG_VARIABLE}: {path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is no TOML file: {error}.") from None
    files = {f"{setting.name}_file": setting for setting in SETTINGS if setting.secret}
    for key, value in content.items():
        if key in BY_NAME:
            if BY_NAME[key].secret:
                _refuse_open_file(path, f"it holds {key}")
            yield key, (_from_folder(path.parent, key, value), f"{path}: {key}")
        elif key in files:
            setting = files[key]
            if setting.name in content:
                raise ConfigurationError(f"{path}: both {setting.name} and {key} are set; keep one.")
            if not isinstance(value, str):
                raise ConfigurationError(f"{path}: {key} is {_short(value)}; it has to be the path of a file.")
            secret = Path(path.parent, value)
            yield setting.name, (secret_from(secret, f"{path}: {key}"), f"{path}: {key} ({secret})")
        else:
            raise ConfigurationError(f"{path}: there is no setting {key}; {_nearest(key, (*BY_NAME, *files))}")


def _from_folder(folder: Path, key: str, value: Any) -> Any:
    """A value of a configuration file; what it says of a path is meant from its folder, wherever the process runs."""
    if not isinstance(value, str) or not value.strip():
        return value
    if key in _PATHS:
        return str(Path(folder, value.strip()))
    if key == "database_url" and (match := _SQLITE_FILE.match(value.strip())):
        return f"{match[1]}{Path(folder.absolute(), match[2])}"
    return value


def _nearest(name: str, known: Iterable[str]) -> str:
    # What all names have in common says nothing about which one is meant.
    by_rest = {candidate.removeprefix(PREFIX): candidate for candidate in known}
    near = get_close_matches(name.removeprefix(PREFIX), by_rest, 1)
    return f"did you mean {by_rest[near[0]]}?" if near else "docs/configuration.rst lists those that exist."


def secret_from(path: Path, origin: str) -> str:
    """The secret in a file that not everybody can read; ``origin`` is who names the file.

    :raises ConfigurationError: there is none, or it is open to everybody.
    """
    if path.is_dir():
        raise ConfigurationError(f"{origin}: {path} is a folder; name the file in which the secret is.")
    try:
        _refuse_open_file(path, f"{origin} keeps a secret in it")
        text = path.read_text("utf-8").strip()
    except OSError as error:
        raise ConfigurationError(f"{origin}: {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{origin}: {path} is not UTF-8 text.") from None
    if not text:
        raise ConfigurationError(f"{origin}: {path} is empty.")
    return text


def _refuse_open_file(path: Path, why: str) -> None:
    """Refuse a secret that every user of the machine can read.

    Container runtimes mount secrets below /run/secrets with a mode of their own choice; there it is theirs to guard.
    """
    if any(folder in path.absolute().parents for folder in _CONTAINER_SECRETS):
        return
    mode = stat.S_IMODE(os.stat(path).st_mode)
    if mode & stat.S_IROTH:
        raise ConfigurationError(f"{path} can be read by everybody (mode {mode:04o}) and {why}; run: chmod 600 {path}")
