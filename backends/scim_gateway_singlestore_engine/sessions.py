"""Open sessions of a person: listed over all nodes and killed, until none is seen twice in a row.

Neither a lock nor DROP USER ends a session, so somebody whose access is taken away would go on working in it.
"""

from __future__ import annotations

import time
from collections.abc import Collection

from .failures import Refused
from .statements import kill_connection, sessions_of
from .work import Work

_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 0.5


def end_sessions(work: Work, name: str) -> None:
    """End all sessions of a name; the account has to be locked or gone already, so that no new one begins.

    :raises Unreachable: the time is over and some are open still, or the gateway may not see or end them.
    """
    if not work.settings.kill_sessions:
        return
    # Who may not see the sessions of others sees none; so the privilege is looked at, not the list.
    work.need("PROCESS", to="end the sessions of people who are deactivated or deleted")
    pause, empty = _FIRST_PAUSE, 0
    while empty < 2:
        sessions = _sessions(work, name)
        for node, id in sessions:
            _kill(work, id, node)
        empty = 0 if sessions else empty + 1
        if empty < 2:
            # A log-in that was under way when the account was locked may still become a session.
            pause = _after(work, pause)


def keep_rights(work: Work) -> bool:
    """Whether sessions keep rights that were taken away, and are ended for that.

    :raises Unreachable: so it is, and the gateway may not see the sessions of others.
    """
    if work.can.facts.revoke_reaches_sessions or not work.settings.kill_sessions:
        return False
    work.need("PROCESS", to="end the sessions of people who leave a group")
    return True


def end_rights_in_sessions(work: Work, names: Collection[str]) -> None:
    """End what people have open, where a session keeps rights that were taken away; who logs in again has them not.

    :raises Unreachable: the time is over and some are open still, or the gateway may not see or end them.
    """
    if not names or not keep_rights(work):
        return
    before = {name: set(_sessions(work, name)) for name in names}
    # A log-in that was under way when the right was taken away may still become a session; later ones have it not.
    pause = _after(work, _FIRST_PAUSE)
    held = {name: sessions.union(_sessions(work, name)) for name, sessions in before.items()}
    while held := {name: sessions for name, sessions in held.items() if sessions}:
        for node, id in sorted(set().union(*held.values())):
            _kill(work, id, node)
        held = {name: sessions.intersection(_sessions(work, name)) for name, sessions in held.items()}
        if any(held.values()):
            pause = _after(work, pause)


def _after(work: Work, pause: float) -> float:
    """Wait for a pause; how long the next one is to be.

    :raises Unreachable: the time is over.
    """
    work.line.deadline.check()
    time.sleep(min(pause, work.line.deadline.left()))
    return min(pause * 2, _LONGEST_PAUSE)


def none_open(work: Work, name: str) -> bool:
    """Whether somebody who is locked out has no session, or none that would be ended.

    :raises Unreachable: the gateway may not see the sessions of others.
    """
    if not work.settings.kill_sessions:
        return True
    work.need("PROCESS", to="see the sessions of people who are deactivated")
    return not _sessions(work, name)


def _sessions(work: Work, name: str) -> list[tuple[int, int]]:
    """Nodes and ids of the sessions of a name.

    To some servers a name is the same in any letter case, and a log-in may have spelled it otherwise; where it is not,
    another spelling is somebody else, who has an account of that very name.
    """
    rows = work.line.rows(sessions_of(name))
    others = {str(user) for _, _, user in rows} - {name}
    foreign = work.existing(others) if others else set()
    return [(int(node), int(id)) for node, id, user in rows if str(user) not in foreign]


def _kill(work: Work, id: int, node: int) -> None:
    try:
        work.run(kill_connection(id, node))
    except Refused as error:
        # It ended by itself, or another error says nothing: the next reading tells whether it is still there.
        if error.meaning == "syntax":
            raise
