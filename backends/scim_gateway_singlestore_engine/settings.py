"""The engine's settings as it works with them, checked: what makes no sense is one line for the operator."""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import unquote, urlsplit

from scim_gateway_provisioning.target import Kind

from scim_gateway.config import ConfigurationError
from scim_gateway.schema import AttributePath, ResourceTypes

from .names import NameRule, step_of
from .patterns import Patterns
from .statements import Identified, Plugin, Require, is_word

DEFAULT_PORT = 3306
_AUTHENTICATIONS: Mapping[str, Plugin | None] = {
    "jwt": "authentication_jwt",
    "pam": "authentication_pam",
    "saml": "authentication_saml",
    "gssapi": "authentication_gss",
    "password": None,
}
#: What the column TYPE says of accounts that log in so; JWT is inferred.
TYPES: Mapping[Plugin | None, str] = {
    "authentication_jwt": "JWT",
    "authentication_pam": "PAM",
    "authentication_saml": "SAML",
    "authentication_gss": "GSSAPI",
    None: "NATIVE",
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the Engine is, and who the gateway is there.

    :param tls: how the server proves who it is; ``None``: in the clear, on this machine only.
    """

    host: str
    port: int
    user: str
    password: str
    tls: ssl.SSLContext | None

    def __repr__(self) -> str:
        return f"Endpoint({self.user}@{self.host}:{self.port})"


@dataclass(frozen=True, slots=True)
class Authentication:
    """How new accounts log in.

    :param method: ``jwt``, ``pam``, ``saml``, ``gssapi`` or ``password``.
    :param template: what the plugin wants to know of an account, with ``{name}`` for the account's name.
    """

    method: str
    plugin: Plugin | None
    template: str | None
    require: Require

    def identified(self, name: str, password: str) -> Identified:
        """What CREATE USER says of it; the password is for accounts that have one."""
        if self.plugin is None:
            return Identified(None, password)
        return Identified(self.plugin, self.template.replace("{name}", name) if self.template else None)


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What the operator chose."""

    endpoint: Endpoint
    tenant: str
    attribute: AttributePath
    rules: Mapping[Kind, NameRule]
    authentication: Authentication
    resource_pool: str | None
    on_deactivate: Literal["lock", "drop"]
    carry_names: bool
    kill_sessions: bool
    groups: Patterns
    roles: Sequence[tuple[Patterns, tuple[str, ...]]]
    protected: Mapping[Kind, Patterns]
    protected_roles: Patterns
    concurrency: int
    data_dir: Path

    @classmethod
    def of(cls, settings: Mapping[str, Any], resource_types: ResourceTypes) -> Self:
        """Read the settings by the names of :mod:`scim_gateway.setting_engine`.

        :raises ConfigurationError: something is missing or makes no sense.
        """
        authentication = _authentication(settings)
        attribute = _attribute(settings["engine_user_attribute"], resource_types)
        limit = settings["engine_user_name_limit"] or (320 if authentication.plugin == "authentication_jwt" else 32)
        rules: Mapping[Kind, NameRule] = {
            "User": _rule("User", str(attribute), limit, settings),
            "Group": _rule("Group", "displayName", settings["engine_group_name_limit"], settings),
        }
        pool = settings["engine_resource_pool"]
        if pool is not None and not is_word(pool):
            raise ConfigurationError(f"engine_resource_pool is {pool!r}; it has to be letters, digits and _.")
        protected: Mapping[Kind, Patterns] = {
            "User": Patterns(settings["engine_protected_users"]),
            "Group": Patterns(settings["engine_protected_groups"]),
        }
        return cls(
            endpoint=_endpoint(settings),
            tenant=str(settings["tenant"] or "default"),
            attribute=attribute,
            rules=rules,
            authentication=authentication,
            resource_pool=pool,
            on_deactivate=settings["engine_on_deactivate"],
            carry_names=settings["engine_on_rename"] == "carry",
            kill_sessions=settings["engine_kill_sessions"],
            groups=Patterns(settings["engine_groups"]),
            roles=_roles(settings["engine_roles"]),
            protected=protected,
            protected_roles=Patterns(settings["engine_protected_roles"]),
            concurrency=settings["engine_concurrency"],
            data_dir=Path(settings["data_dir"] or "."),
        )


def _endpoint(settings: Mapping[str, Any]) -> Endpoint:
    url = settings["engine_url"]
    form = "singlestore://USER@HOST:3306"
    if not url:
        raise ConfigurationError(f"The backend 'engine' needs engine_url, such as {form}.")
    try:
        parts = urlsplit(str(url))
        host, port, user = parts.hostname, parts.port or DEFAULT_PORT, unquote(parts.username or "")
    except ValueError:
        raise ConfigurationError(f"engine_url has to be {form}.") from None
    if parts.password is not None:
        # The text is not repeated: a password stands in it.
        raise ConfigurationError("engine_url holds a password; put that into engine_password_file.")
    if parts.scheme != "singlestore" or not host or not user or parts.path not in ("", "/") or parts.query:
        # Nor here: a part of one may, where a # or a ? cut it off.
        raise ConfigurationError(f"engine_url has to be {form}.")
    if not settings["engine_password"]:
        raise ConfigurationError("The backend 'engine' needs engine_password, best in a file: engine_password_file.")
    return Endpoint(host, port, user, settings["engine_password"], _tls(host, settings["engine_tls_ca"]))


def _tls(host: str, authorities: str | None) -> ssl.SSLContext | None:
    if authorities is None and _on_this_machine(host):
        return None
    try:
        context = ssl.create_default_context(cafile=authorities)
    except (OSError, ssl.SSLError) as error:
        reason = "it holds no certificates" if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigurationError(f"engine_tls_ca: {authorities} cannot be used: {reason}.") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _on_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _authentication(settings: Mapping[str, Any]) -> Authentication:
    written = settings["engine_authentication"]
    name, colon, template = written.partition(":")
    takes = {"pam": "pam:SERVICE", "gssapi": "gssapi:SPN"}.get(name)
    if name not in _AUTHENTICATIONS or (takes is not None) != bool(template) or (colon and not template):
        form = takes or "jwt, pam:SERVICE, saml, gssapi:SPN or password"
        raise ConfigurationError(f"engine_authentication is {written!r}; it has to be {form}.")
    if re.search(r"[\x00-\x1f'\"\\]", template):
        raise ConfigurationError("engine_authentication holds quotes, backslashes or control characters.")
    require: Require = settings["engine_require"]
    if name == "jwt" and require == "none":
        raise ConfigurationError(
            "engine_require is 'none'; accounts that log in by jwt need ssl: a token is a password."
        )
    return Authentication(name, _AUTHENTICATIONS[name], template or None, require)


def _attribute(written: str, resource_types: ResourceTypes) -> AttributePath:
    kind = resource_types.by_name["User"]
    target = kind.locate(written)
    if target is None or target.attribute is None:
        raise ConfigurationError(f"engine_user_attribute is {written!r}; a User has no such attribute.")
    if target.attribute.multi_valued or target.leaf.type not in ("string", "reference"):
        raise ConfigurationError(f"engine_user_attribute is {written!r}; it has to be a text that a User has once.")
    return target.path


def _rule(kind: Kind, source: str, limit: int, settings: Mapping[str, Any]) -> NameRule:
    setting = f"engine_{kind.lower()}_name"
    steps = []
    for written in settings[f"{setting}_steps"]:
        try:
            steps.append(step_of(written))
        except ValueError as error:
            raise ConfigurationError(f"{setting}_steps has {written!r}; a step is {error}.") from None
    return NameRule(kind, source, setting, tuple(steps), limit, settings["engine_long_names"] == "shorten")


def _roles(written: Mapping[str, Any]) -> Sequence[tuple[Patterns, tuple[str, ...]]]:
    rules = []
    for pattern, roles in written.items():
        names = [roles] if isinstance(roles, str) else roles
        if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
            raise ConfigurationError(f"engine_roles: {pattern!r} needs a list of names of roles.")
        rules.append((Patterns((pattern,)), tuple(names)))
    return tuple(rules)
