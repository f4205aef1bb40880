"""``scim-gateway check --probe``: what the vendor's documents leave open is tried out on throw-away names.

Everything it makes begins with ``zz_scimprobe_`` and is removed again, also what an earlier probe that was cut left.
The answers that the gateway works by go into a file (:mod:`.facts`); the others are told, for whoever reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

from scim_gateway_provisioning.target import Deadline, Unreachable

from scim_gateway.backend import Finding
from scim_gateway.config import ConfigurationError

from . import probe_accounts, probe_sessions
from .capabilities import read_capabilities
from .connection import Connections
from .facts import Facts, Probe, read_probe, write_probe
from .failures import Refused
from .prober import ProbeFailed, Prober
from .protection import ProtectedNames
from .settings import EngineSettings
from .work import Work

_SECONDS = 300.0

QUESTIONS: Mapping[str, Callable[[Prober], str]] = {
    "creation": probe_accounts.creation,
    "what exists already": probe_accounts.existing,
    "what is missing": probe_accounts.missing,
    "repetitions": probe_accounts.repetitions,
    "letter case": probe_accounts.letter_case,
    "characters of names": probe_accounts.characters,
    "attributes": probe_accounts.attributes,
    "lengths of names": probe_accounts.lengths,
    "lock": probe_sessions.lock,
    "dropped accounts": probe_sessions.dropped,
    "ending sessions": probe_sessions.killed,
    "rights in open sessions": probe_sessions.revoked,
    "time of a membership": probe_accounts.pace,
}


def probe(settings: EngineSettings, connections: Connections) -> Iterator[Finding]:
    """Try everything out and write the file.

    :raises scim_gateway.config.ConfigurationError: the file cannot be written.
    """
    notes: dict[str, str] = {}
    try:
        with connections.line(Deadline(_SECONDS)) as line:
            can = read_capabilities(line, None)
            protected = ProtectedNames(settings.endpoint.user, settings.protected)
            prober = Prober(Work(line, settings, can, protected), connections, facts=_told(settings, can.version))
            for question, ask in QUESTIONS.items():
                finding = _answer(prober, question, ask)
                notes[question] = finding.message
                yield finding
            prober.clean()
    except (Unreachable, Refused) as error:
        yield Finding("probe", False, str(error), "put this right and probe again; nothing was written")
        return
    found = Probe(can.version, prober.facts, datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), notes)
    try:
        path = write_probe(settings.data_dir, found)
    except OSError as error:
        raise ConfigurationError(f"data_dir: {settings.data_dir} cannot be written: {error.strerror}.") from None
    yield Finding("probe", True, f"what was found of SingleStore {can.version} is in {path}; restart the gateway")


def _told(settings: EngineSettings, version: str) -> Facts:
    """What a probe begins with: what an earlier one found of the same version, in case a question stays open this time.

    Of any version it is the one fact that no probe can find out, as an operator wrote it into the file.
    """
    earlier = read_probe(settings.data_dir)
    if earlier is None:
        return Facts()
    if earlier.version == version:
        return earlier.facts
    return Facts(lock_holds_for_plugins=earlier.facts.lock_holds_for_plugins)


def _answer(prober: Prober, question: str, ask: Callable[[Prober], str]) -> Finding:
    prober.clean()
    try:
        return Finding(f"probe: {question}", True, ask(prober))
    except (Refused, ProbeFailed) as error:
        return Finding(f"probe: {question}", False, str(error), "see docs/engine.rst")
