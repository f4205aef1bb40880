"""Which targets a directory feeds, kept in the directory: no gateway opens it that would leave one of them out.

Otherwise a gateway with another ``backend`` would answer a deactivation with a success of which a target never hears.
It is looked at before the first operation of a process, and written before the first thing is brought to a target.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import and_, bindparam, select, update

from scim_gateway.config import ConfigurationError
from scim_gateway.errors import Unavailable

from .portable import insert_if_absent
from .session import Session
from .tables import SETTING, settings

FED = "targets fed"

_HERE = and_(settings.c.tenant == bindparam("tenant_"), settings.c.name == bindparam("name_"))
_LOCKED = select(settings.c.payload).where(_HERE).with_for_update()
_WRITE = update(settings).where(_HERE).values(payload=bindparam("payload_"))
_NOTHING: Mapping[str, Any] = {"targets": [], "backend": None}


class NotFed(Unavailable, ConfigurationError):
    """The gateway would leave out targets that the directory feeds; for a command a matter of its configuration."""


class Feeding:
    """What the directory of a tenant feeds, and what the gateway of this process does.

    :param backend: the setting by that name, for messages.
    """

    def __init__(self, tenant: str, backend: str | None) -> None:
        self._tenant = tenant
        self._backend = backend
        self.targets: Sequence[str] = ()
        """Names of the targets that this process feeds."""
        self.noted = False
        """Whether this process has seen to it that the directory names them."""
        self.turn = threading.Lock()
        """Of the thread that does."""
        self.checked = True
        """Whether a directory is refused that feeds others; not where one is about to be dropped."""

    def fed(self, session: Session) -> list[str]:
        """Names of the targets that the directory feeds."""
        return list(self._read(session)["targets"])

    def check(self, session: Session) -> None:
        """Refuse a directory that feeds targets which this process does not feed.

        :raises NotFed: it does.
        """
        if self.checked:
            self._refuse(self._read(session))

    def is_noted(self, session: Session) -> bool:
        """Whether nothing is left to note.

        :raises NotFed: the directory feeds others that this process does not feed.
        """
        document = self._read(session)
        self._refuse(document)
        return not self._lacks(document)

    def begin(self, session: Session) -> Sequence[str]:
        """Note that the directory feeds the targets of this process; those that are new.

        :raises NotFed: it feeds others that this process does not feed.
        """
        document = self._locked(session)
        self._refuse(document)
        new = sorted(set(self.targets) - set(document["targets"]))
        if self._lacks(document):
            self._write(session, {"targets": sorted(self.targets), "backend": self._backend})
        return new

    def end(self, session: Session, target: str) -> bool:
        """Note that the directory does not feed a target any more; ``False``: it did not."""
        document = self._locked(session)
        if target not in document["targets"]:
            return False
        left = [name for name in document["targets"] if name != target]
        # Which backend feeds just these is for its next start to say.
        self._write(session, {"targets": left, "backend": None})
        return True

    def _lacks(self, document: Mapping[str, Any]) -> bool:
        other = self._backend is not None and document["backend"] != self._backend
        return other or not set(self.targets) <= set(document["targets"])

    def _read(self, session: Session) -> Mapping[str, Any]:
        payload = session.execute(SETTING, {"tenant_": self._tenant, "name_": FED}).scalar()
        return _NOTHING if payload is None else orjson.loads(payload)

    def _locked(self, session: Session) -> Mapping[str, Any]:
        """What is noted, which nobody else changes before this transaction ends."""
        row = {"tenant": self._tenant, "name": FED, "payload": orjson.dumps(_NOTHING)}
        insert_if_absent(session, settings, row)
        payload = session.execute(_LOCKED, {"tenant_": self._tenant, "name_": FED}).scalar_one()
        document: Mapping[str, Any] = orjson.loads(payload)
        return document

    def _write(self, session: Session, document: Mapping[str, Any]) -> None:
        here = {"tenant_": self._tenant, "name_": FED}
        session.execute(_WRITE, {**here, "payload_": orjson.dumps(document)})

    def _refuse(self, document: Mapping[str, Any]) -> None:
        left_out = [name for name in document["targets"] if name not in self.targets]
        if not left_out:
            return
        who = f"the backend {self._backend}" if self._backend else "this gateway"
        before = document["backend"]
        all_of_them = listed(sorted({*document["targets"], *self.targets}))
        if not before:
            remedy = f"Set SCIM_GATEWAY_BACKEND to one that feeds {all_of_them}."
        elif self.targets:
            remedy = f"Set SCIM_GATEWAY_BACKEND={before}, as before, or one that feeds {all_of_them}."
        else:
            remedy = f"Set SCIM_GATEWAY_BACKEND={before}, as before."
        command = f"SCIM_GATEWAY_BACKEND={before} scim-gateway" if before else "scim-gateway"
        raise NotFed(
            f"This directory feeds {listed(document['targets'])}, and {who} does not feed {listed(left_out)}: nothing "
            f"would be taken away there. {remedy} To end it on purpose: {command} targets drop {left_out[0]}",
            retry_after=60,
        )


def listed(names: Collection[str]) -> str:
    """Names in a sentence."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
