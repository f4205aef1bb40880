"""``scim-gateway check --probe``: what the vendor's documents leave open is tried out on throw-away names.

Everything it makes begins with ``zz_scimprobe_`` and is removed again, also what an earlier probe that was cut left.
The answers that the gateway works by go into a file (:mod:`.facts`); the others are told, for whoever reads them.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pymysql
from scim_gateway_provisioning.target import Deadline, Unreachable

from scim_gateway.backend import Finding
from scim_gateway.config import ConfigurationError

from .accounts import look, password_nobody_keeps
from .capabilities import LONG_JWT_NAMES, Capabilities, read_capabilities
from .connection import Connections, Line, discard, failure_of
from .facts import Facts, Probe, write_probe
from .failures import Refused
from .marks import Mark, attribute_text
from .names import parse_account
from .protection import ProtectedNames
from .settings import EngineSettings
from .statements import (
    ALL_USERS,
    GROUPS,
    Identified,
    Require,
    Statement,
    change_user,
    create_group,
    create_user,
    drop_group,
    drop_user,
    grant_group,
    kill_connection,
    members_of,
    revoke_group,
)
from .users import account_of
from .work import Work

PREFIX = "zz_scimprobe_"
_SECONDS = 120.0
_GROUP_LENGTHS = (32, 33, 64, 65, 128, 255, 256)
_USER_LENGTHS = (32, 33)
_JWT_LENGTHS = (320, 321)


@dataclass(slots=True)
class Prober:
    """One run.

    :param facts: what was found so far.
    :param notes: the same and more, in words, by question.
    """

    work: Work
    connections: Connections
    token: str = field(default_factory=lambda: secrets.token_hex(2))
    facts: Facts = field(default_factory=Facts)
    notes: dict[str, str] = field(default_factory=dict)

    def name(self, end: str, length: int = 0) -> str:
        """A throw-away name, filled up to a length."""
        return f"{PREFIX}{self.token}_{end}".ljust(length, "x")

    def run(self) -> Iterator[Finding]:
        """Try everything; each answer is a finding."""
        questions: dict[str, Callable[[], str]] = {
            "creation": self._creation,
            "what exists already": self._existing,
            "what is missing": self._missing,
            "repetitions": self._repetitions,
            "letter case": self._letter_case,
            "attributes": self._attributes,
            "lengths of names": self._lengths,
            "lock": self._lock,
            "dropped accounts": self._dropped,
        }
        for question, ask in questions.items():
            self.clean()
            try:
                answer = ask()
            except (Refused, ProbeFailed) as error:
                self.notes[question] = str(error)
                yield Finding(f"probe: {question}", False, str(error), "see docs/engine.rst")
            else:
                self.notes[question] = answer
                yield Finding(f"probe: {question}", True, answer)
        self.clean()

    def clean(self) -> None:
        """Remove everything that a probe has made."""
        line = self.work.line
        for account in (account_of(row) for row in line.records(ALL_USERS)):
            if account.name.startswith(PREFIX) and account.host == "%" and not account.deleted:
                line.run(drop_user(account.name))
        for row in line.rows(GROUPS):
            if str(row[0]).startswith(PREFIX):
                line.run(drop_group(str(row[0])))

    def _number(self, statement: Statement) -> str:
        """What comes of a statement, in a word."""
        try:
            self.work.run(statement)
        except Refused as error:
            return f"error {error.number}"
        return "no error"

    def _user(self, end: str = "u", password: str | None = None) -> str:
        name = self.name(end)
        self.work.run(create_user(name, Identified(None, password or password_nobody_keeps())))
        return name

    def _group(self, end: str = "g") -> str:
        name = self.name(end)
        self.work.run(create_group(name))
        return name

    def _creation(self) -> str:
        settings, name = self.work.settings, self.name("c")
        chosen = settings.authentication
        attribute = attribute_text(Mark("probe", settings.tenant)) if self.work.can.marks else None
        plain = create_user(name, chosen.identified(name, password_nobody_keeps()), require=chosen.require)
        whole = create_user(
            name,
            chosen.identified(name, password_nobody_keeps()),
            require=chosen.require,
            pool=settings.resource_pool,
            attribute=attribute,
        )
        try:
            self.work.run(whole)
        except Refused as error:
            if whole == plain:
                raise ProbeFailed(
                    f"no account can be made as the settings ask for it (error {error.number})"
                ) from error
            if self._number(plain) != "no error":
                raise ProbeFailed(f"CREATE USER with {chosen.method} fails (error {error.number})") from error
            self.facts = replace(self.facts, create_takes_all=False)
            return f"an account by {chosen.method} takes its pool and mark in a second statement"
        kind = look(self.work, name).here
        return f"an account by {chosen.method} is made by one statement and shown as {kind.type if kind else 'nothing'}"

    def _existing(self) -> str:
        user, group = self._user(), self._group()
        account = self._number(create_user(user, Identified(None, password_nobody_keeps())))
        return f"CREATE USER: {account}; CREATE GROUP: {self._number(create_group(group))}"

    def _missing(self) -> str:
        user, group, nobody, nothing = self._user(), self._group(), self.name("no"), self.name("nog")
        found = {
            "ALTER USER": self._number(change_user(nobody, lock=False)),
            "GRANT GROUP to nobody": self._number(grant_group(group, nobody)),
            "GRANT GROUP of none": self._number(grant_group(nothing, user)),
            "REVOKE GROUP of none": self._number(revoke_group(nothing, user)),
            "KILL": self._number(kill_connection(2**31 - 1, 1)),
        }
        if look(self.work, nobody).here is not None:
            raise ProbeFailed("GRANT GROUP makes an account of somebody who has none")
        return "; ".join(f"{what}: {number}" for what, number in found.items())

    def _repetitions(self) -> str:
        user, group = self._user(), self._group()
        self.work.run(grant_group(group, user))
        again = self._number(grant_group(group, user))
        shown = [str(row[0]) for row in self.work.line.rows(members_of(group))]
        if [parse_account(text) for text in shown] != [(user, "%")]:
            raise ProbeFailed("USERS_GROUPS does not list a member as 'name'@'%' or name@%")
        self.work.run(revoke_group(group, user))
        return f"GRANT GROUP again: {again}; REVOKE GROUP again: {self._number(revoke_group(group, user))}"

    def _letter_case(self) -> str:
        self._user("Case")
        self._group("Case")
        other = create_user(self.name("case"), Identified(None, password_nobody_keeps()))
        users = "differ in letter case" if self._number(other) == "no error" else "are one in any letter case"
        groups = self._number(create_group(self.name("case")))
        return f"names of users {users}, of groups {'differ' if groups == 'no error' else 'are one'}"

    def _attributes(self) -> str:
        if not self.work.can.marks:
            return "this version keeps none"
        name = self._user()
        self.work.run(change_user(name, attribute='{"a": 1}'))
        self.work.run(change_user(name, attribute='{"b": 2}'))
        account = look(self.work, name).here
        if account is None or account.attributes is None:
            return "not shown in USERS: what is the gateway's stands in the directory only"
        return f"shown in USERS; another one {'is merged' if 'a' in account.attributes else 'replaces the first'}"

    def _lengths(self) -> str:
        groups = max((length for length in _GROUP_LENGTHS if self._group_fits(length)), default=0)
        users = max((length for length in _USER_LENGTHS if self._user_fits(length, Identified(None, "x"))), default=0)
        if users < _USER_LENGTHS[0] or groups < _GROUP_LENGTHS[0]:
            raise ProbeFailed("names of 32 characters are not taken")
        self.facts = replace(self.facts, user_name_limit=users, group_name_limit=groups)
        text = f"users with a password: {users}; groups: {groups} characters"
        if self.work.can.number >= LONG_JWT_NAMES:
            jwt = Identified("authentication_jwt")
            longest = max((length for length in _JWT_LENGTHS if self._user_fits(length, jwt)), default=0)
            text += f"; users by jwt: {longest or 'less than 320'}"
        return text

    def _group_fits(self, length: int) -> bool:
        name = self.name("l", length)
        fits = self._number(create_group(name)) == "no error" and self.work.roles_of(name) is not None
        self.clean()
        return fits

    def _user_fits(self, length: int, identified: Identified) -> bool:
        name = self.name("l", length)
        if identified.plugin is None:
            identified = Identified(None, password_nobody_keeps())
        require: Require = "ssl" if identified.plugin else "none"
        made = self._number(create_user(name, identified, require=require)) == "no error"
        fits = made and look(self.work, name).here is not None
        self.clean()
        return fits

    def _lock(self) -> str:
        if not self.work.can.locks:
            return "this version has none"
        password = password_nobody_keeps()
        name = self._user(password=password)
        session = self._log_in(name, password)
        try:
            self.work.run(change_user(name, lock=True))
            account = look(self.work, name).here
            shown = account is not None and account.locked is True
            self.facts = replace(self.facts, lock_shown=shown)
            refusal = self._refusal(name, password)
            alive = _is_alive(session)
        finally:
            discard(session)
        self.work.run(change_user(name, lock=False))
        discard(self._log_in(name, password))
        return (
            f"refuses log-in with error {refusal}, {'leaves' if alive else 'ends'} open sessions, "
            f"{'is' if shown else 'is not'} shown in ACCOUNT_STATUS"
        )

    def _dropped(self) -> str:
        password = password_nobody_keeps()
        name = self._user(password=password)
        session = self._log_in(name, password)
        try:
            self.work.run(drop_user(name))
            alive, listed = _is_alive(session), bool(look(self.work, name).dropped)
        finally:
            discard(session)
        return (
            f"sessions {'live on' if alive else 'end'}, and the account "
            f"{'is listed on as deleted' if listed else 'is listed no more'} while there are some"
        )

    def _log_in(self, name: str, password: str) -> pymysql.Connection[Any]:
        try:
            return self.connections.log_in(name, password)
        except Unreachable as error:
            raise ProbeFailed("an account with a password cannot log in from here") from error

    def _refusal(self, name: str, password: str) -> int:
        try:
            discard(self.connections.log_in(name, password))
        except Unreachable as error:
            return failure_of(error)
        raise ProbeFailed("a locked account can log in: set engine_on_deactivate=drop")


class ProbeFailed(Exception):
    """The server does something that the gateway cannot work with; the text says what."""


def _is_alive(session: pymysql.Connection[Any]) -> bool:
    try:
        session.ping(reconnect=False)
    except (pymysql.err.Error, OSError):
        return False
    return True


def probe(settings: EngineSettings, connections: Connections) -> Iterator[Finding]:
    """Try everything out and write the file.

    :raises scim_gateway.config.ConfigurationError: the file cannot be written.
    """
    try:
        with connections.line(Deadline(_SECONDS)) as line:
            can = read_capabilities(line, None)
            prober = _prober(line, settings, can, connections)
            yield from prober.run()
    except (Unreachable, Refused) as error:
        yield Finding("probe", False, str(error), "put this right and probe again; nothing was written")
        return
    found = Probe(can.version, prober.facts, datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), prober.notes)
    try:
        path = write_probe(settings.data_dir, found)
    except OSError as error:
        raise ConfigurationError(f"data_dir: {settings.data_dir} cannot be written: {error.strerror}.") from None
    yield Finding("probe", True, f"what was found of SingleStore {can.version} is in {path}; restart the gateway")


def _prober(line: Line, settings: EngineSettings, can: Capabilities, connections: Connections) -> Prober:
    protected = ProtectedNames(settings.endpoint.user, settings.protected)
    return Prober(Work(line, settings, can, protected), connections)
