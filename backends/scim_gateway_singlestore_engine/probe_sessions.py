"""What a probe asks about log-ins and open sessions: what keeps somebody out, and what ends what is open."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from scim_gateway_provisioning.target import Unreachable

from .accounts import look, password_nobody_keeps
from .connection import Line, failure_of
from .failures import Denied
from .prober import ProbeFailed, Prober
from .sessions import end_sessions
from .statements import (
    change_user,
    drop_user,
    grant_group,
    grant_role,
    grant_sight,
    groups_like,
    kill_connection,
    revoke_group,
    sessions_of,
)

_LOOKS = 200
_PAUSE = 0.05


def lock(probe: Prober) -> str:
    """What a lock does to log-ins and sessions (probe 10.4, without the restart)."""
    work = probe.work
    if not work.can.locks:
        return "this version has none"
    password = password_nobody_keeps()
    name = probe.user(password=password)
    with _session(probe, name, password) as session:
        work.run(change_user(name, lock=True))
        account = look(work, name).here
        shown = account is not None and account.locked is True
        probe.found(lock_shown=shown)
        refusal = _refusal(probe, name, password)
        probe.found(lock_keeps_out=refusal is not None)
        alive = session.answers()
    if refusal is None:
        raise ProbeFailed("a locked account can log in: set engine_on_deactivate=drop")
    work.run(change_user(name, lock=False))
    if _refusal(probe, name, password) is not None:
        raise ProbeFailed("an account that was locked and unlocked cannot log in")
    return (
        f"refuses log-in with error {refusal}, {'leaves' if alive else 'ends'} open sessions, "
        f"{'is' if shown else 'is not'} shown in ACCOUNT_STATUS"
    )


@contextmanager
def _session(probe: Prober, name: str, password: str) -> Iterator[Line]:
    """A session of an account with a password.

    :raises ProbeFailed: it cannot log in.
    """
    with ExitStack() as stack:
        try:
            session = stack.enter_context(probe.connections.visit(name, password, probe.work.line.deadline))
        except Unreachable as error:
            raise ProbeFailed("an account with a password cannot log in from here") from error
        yield session


def _refusal(probe: Prober, name: str, password: str) -> int | None:
    """The number of the error that a log-in is refused with; ``None``: it is not."""
    try:
        with probe.connections.visit(name, password, probe.work.line.deadline):
            return None
    except Unreachable as error:
        return failure_of(error)


def dropped(probe: Prober) -> str:
    """What becomes of the sessions of an account that is dropped (probe 10.5)."""
    work, password = probe.work, password_nobody_keeps()
    name = probe.user(password=password)
    with _session(probe, name, password) as session:
        work.run(drop_user(name))
        alive, listed = session.answers(), bool(look(work, name).dropped)
    return (
        f"sessions {'live on' if alive else 'end'}, and the account "
        f"{'is listed on as deleted' if listed else 'is listed no more'} while there are some"
    )


def killed(probe: Prober) -> str:
    """Whether sessions of others are listed and can be ended (probe 10.12)."""
    work, password = probe.work, password_nobody_keeps()
    if not work.settings.kill_sessions:
        return "engine_kill_sessions is off: nobody's sessions are ended"
    work.need("PROCESS", to="end the sessions of people who are deactivated or deleted")
    name = probe.user(password=password)
    with _session(probe, name, password) as session:
        if not session.answers():
            raise ProbeFailed("a session that was just opened does not answer")
        open_now = [(int(node), int(id)) for node, id, _ in work.line.rows(sessions_of(name))]
        if not open_now:
            raise ProbeFailed("MV_PROCESSLIST does not list an open session, so nobody's sessions would be ended")
        for node, id in open_now:
            work.run(kill_connection(id, node))
        if not _ends(session):
            raise ProbeFailed("a session that was killed with its node and id lives on")
    end_sessions(work, name)
    return "listed with node and id, and ended by KILL CONNECTION"


def _ends(session: Line) -> bool:
    for _ in range(_LOOKS):
        if not session.answers():
            return True
        time.sleep(_PAUSE)
    return False


def revoked(probe: Prober) -> str:
    """Whether a session feels that a group was taken away from its account (probe 10.6)."""
    work, password = probe.work, password_nobody_keeps()
    name, group, seen = probe.user(password=password), probe.group(), probe.group("seen")
    try:
        role = probe.role()
        work.run(grant_sight(role))
        work.run(grant_role(role, group))
    except Denied:
        return "not found out: the gateway's account may not make a role and hand on SHOW METADATA"
    work.run(grant_group(group, name))
    with _session(probe, name, password) as session:
        before = _sees(session, seen)
        work.run(revoke_group(group, name))
        after = _sees(session, seen)
    with _session(probe, name, password) as later:
        anybody = _sees(later, seen)
    if not before or anybody:
        return "not found out: what an account sees does not depend on the role of its group"
    probe.found(revoke_reaches_sessions=not after)
    if after:
        return "an open session keeps what a group gave: the gateway ends the sessions of people who leave one"
    return "what a group gave is gone in open sessions with the membership"


def _sees(session: Line, group: str) -> bool:
    try:
        return bool(session.rows(groups_like(group)))
    except Denied:
        return False
