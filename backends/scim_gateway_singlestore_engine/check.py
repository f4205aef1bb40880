"""What ``scim-gateway check`` says of the Engine: who it is, what the gateway may do there, and what it marked."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from scim_gateway_provisioning.target import Deadline, Unreachable

from scim_gateway.backend import Finding

from .accounts import LOCK_FAILS
from .capabilities import (
    ALTER_USER_PRIVILEGE,
    DIVIDED,
    JWT,
    LONG_JWT_NAMES,
    X509,
    Capabilities,
    read_capabilities,
)
from .connection import Connections, Line
from .facts import Probe
from .failures import LogInDenied, Refused
from .protection import ProtectedNames
from .settings import EngineSettings
from .statements import ALL_USERS, CLOCK, TRANSFER_MODE
from .users import Account, account_of
from .work import Work, lacking

_CREDENTIALS = (
    "compare engine_url and engine_password (SCIM_GATEWAY_ENGINE_PASSWORD_FILE) with the account that the Engine "
    "knows, and restart the gateway when they are right"
)
_SECONDS = 30.0
_SKEW_SECONDS = 5.0
_TOO_MUCH = ("SUPER", "CLUSTER", "RELOAD", "FILE READ", "FILE WRITE", "SYSTEM_VARIABLES_ADMIN", "ALL PRIVILEGES")


def findings(settings: EngineSettings, connections: Connections, probe: Probe | None) -> Iterator[Finding]:
    """A finding for each thing looked at; what cannot be reached is not looked at further."""
    there = settings.endpoint
    try:
        with connections.line(Deadline(_SECONDS)) as line:
            yield Finding("engine", True, f"{there.host}:{there.port} answers, the gateway is '{there.user}'")
            yield _encryption(settings)
            can = read_capabilities(line, probe)
            work = Work(line, settings, can, ProtectedNames(there.user, settings.protected))
            yield from _version(settings, can)
            yield _aggregators(can)
            yield from _privileges(work)
            yield from _transfer(line)
            yield _clock(line)
            yield from _accounts(work)
            yield _probed(can, probe)
    except LogInDenied as error:
        yield Finding("engine", False, str(error), _CREDENTIALS)
    except (Unreachable, Refused) as error:
        yield Finding("engine", False, str(error), "put this right and run the check again")


def _encryption(settings: EngineSettings) -> Finding:
    if settings.endpoint.tls is None:
        return Finding("engine TLS", True, "none: the Engine is on this machine")
    return Finding("engine TLS", True, "on, and the server has proved who it is")


def _version(settings: EngineSettings, can: Capabilities) -> Iterator[Finding]:
    version = f"SingleStore {can.version}"
    chosen, limit = settings.authentication, settings.rules["User"].limit
    if chosen.plugin == "authentication_jwt" and can.number < JWT:
        remedy = "set engine_authentication to pam:SERVICE, saml, gssapi:SPN or password"
        yield Finding("engine version", False, f"{version} knows no accounts that log in by jwt", remedy)
    elif chosen.require == "x509" and can.number < X509:
        yield Finding("engine version", False, f"{version} knows no REQUIRE X509", "set engine_require=ssl")
    elif not can.locks and settings.on_deactivate == "lock" and chosen.plugin is not None:
        message = f"{version} has no lock, and people who log in by {chosen.method} could not be kept out"
        yield Finding("engine version", False, message, "set engine_on_deactivate=drop")
    elif not can.facts.lock_keeps_out and settings.on_deactivate == "lock":
        yield Finding("engine version", False, LOCK_FAILS, "set engine_on_deactivate=drop")
    elif not can.facts.lock_holds_for_plugins and settings.on_deactivate == "lock" and chosen.plugin is not None:
        message = f"on this server a lock does not keep out people who log in by {chosen.method}"
        yield Finding("engine version", False, message, "set engine_on_deactivate=drop")
    elif not can.locks:
        message = f"{version} has no lock: who is deactivated gets a password that nobody knows"
        yield Finding("engine version", True, message, "8.5 or newer is recommended")
    else:
        yield Finding("engine version", True, version, "" if can.marks else "8.5 or newer is recommended")
    taken = 320 if chosen.plugin == "authentication_jwt" and can.number >= LONG_JWT_NAMES else 32
    taken = can.facts.user_name_limit or taken if chosen.plugin is None else taken
    if limit > taken:
        yield Finding(
            "engine names",
            False,
            f"names of up to {limit} characters are let through, and this server takes {taken}",
            f"set engine_user_name_limit={taken}, with engine_long_names=shorten if names are longer",
        )


def _aggregators(can: Capabilities) -> Finding:
    if can.divided:
        return Finding("engine accounts", False, DIVIDED, "have one aggregator, or sync_permissions on")
    if not can.synchronised:
        return Finding("engine accounts", True, "kept by the only aggregator")
    return Finding("engine accounts", True, f"one set for {can.aggregators or 'all'} aggregators (sync_permissions)")


def needed(settings: EngineSettings, can: Capabilities) -> list[str]:
    """The privileges of the cluster that the gateway's account needs."""
    names = ["CREATE USER"]
    names += ["ALTER USER"] if can.number >= ALTER_USER_PRIVILEGE else []
    names += ["PROCESS"] if settings.kill_sessions else []
    return [*names, "SHOW METADATA", "GRANT OPTION"]


def _privileges(work: Work) -> Iterator[Finding]:
    held, user = work.own_privileges(), work.settings.endpoint.user
    missing = lacking(needed(work.settings, work.can), held)
    if missing:
        yield Finding(
            "engine privileges",
            False,
            f"'{user}' lacks {', '.join(missing)}",
            f"run: GRANT {', '.join(missing)} ON *.* TO '{user}'@'%'",
        )
    else:
        yield Finding("engine privileges", True, f"'{user}' holds what the gateway needs")
    too_much = [name for name in _TOO_MUCH if name in held]
    if too_much:
        message = f"'{user}' also holds {', '.join(too_much)}, which the gateway never uses"
        yield Finding("engine privileges", True, message, "take them away: see docs/engine.rst")
    if not work.settings.kill_sessions:
        yield Finding(
            "engine sessions",
            True,
            "engine_kill_sessions is off: who is deactivated keeps the sessions that are open",
            "switch it on unless that is meant",
        )


def _transfer(line: Line) -> Iterator[Finding]:
    try:
        mode = str(line.rows(TRANSFER_MODE)[0][0]).lower()
    except Refused:
        return  # older versions have one mode only
    if mode == "per_privilege":
        yield Finding(
            "engine privileges",
            False,
            "privilege_transfer_mode is per_privilege: whether groups can be managed then is not documented",
            "scim-gateway check --probe tells; if it fails, set it back to grant_option",
        )


def _clock(line: Line) -> Finding:
    before = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    answer = line.rows(CLOCK)[0][0]
    after = datetime.now(UTC).replace(tzinfo=None)
    there = answer if isinstance(answer, datetime) else datetime.fromisoformat(str(answer))
    skew = max((before - there).total_seconds(), (there - after).total_seconds(), 0.0)
    good = skew <= _SKEW_SECONDS
    remedy = "" if good else "log-in by jwt compares times: synchronise the clocks"
    return Finding("engine clock", good, f"differs from this machine's by {skew:.0f} s", remedy)


def _accounts(work: Work) -> Iterator[Finding]:
    accounts = [account_of(row) for row in work.line.records(ALL_USERS)]
    ours = [account for account in accounts if _is_ours(work, account)]
    others = [account for account in accounts if account.mark is not None and not _is_ours(work, account)]
    if not work.can.marks or not any(account.attributes is not None for account in accounts):
        message = "this server shows no marks: what is the gateway's stands in the directory only"
        yield Finding("engine marks", True, message, "keep backups of the directory")
    else:
        more = f", {len(others)} of other directories" if others else ""
        yield Finding("engine marks", True, f"{len(ours)} of {len(accounts)} accounts are the gateway's{more}")
    open_again = [account for account in ours if account.mark and account.mark.locked and account.locked is False]
    if open_again and work.can.facts.lock_shown:
        yield Finding(
            "engine locks",
            False,
            f"{len(open_again)} accounts that the gateway locked are open: a restart of the cluster may lose locks",
            "scim-gateway reconcile; or, if this server does not show locks, scim-gateway check --probe",
        )


def _is_ours(work: Work, account: Account) -> bool:
    return account.mark is not None and account.mark.tenant == work.settings.tenant


def _probed(can: Capabilities, probe: Probe | None) -> Finding:
    if probe is None:
        message = "what the vendor's documents leave open was not looked at on this server"
        return Finding("engine probe", True, message, "scim-gateway check --probe, in a quiet hour")
    if probe.version != can.version:
        message = f"the probe of {probe.at} was of SingleStore {probe.version} and does not count any more"
        return Finding("engine probe", True, message, "scim-gateway check --probe")
    return Finding("engine probe", True, f"done at {probe.at}")
