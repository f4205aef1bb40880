"""The pause: changes through SCIM are refused with a reason until somebody resumes; reading goes on.

It is a column of the row that every change locks last (:mod:`.guard`), so no change is committed after the pause was,
in whatever process, and looking at it costs nothing. What was accepted before goes on where it takes rights away; what
gives rights waits for the end of the pause.
"""

from __future__ import annotations

from scim_gateway_sql.database import Session

from scim_gateway.errors import Forbidden
from scim_gateway.text import printable

from .audit_event import DONE, Event
from .guard import Guard, peek, set_pause

LONGEST_REASON = 200
"""Most characters of a reason."""


class Paused(Forbidden):
    """The gateway accepts no changes for now."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The gateway is paused: {printable(reason, LONGEST_REASON)} No change was made, reading goes on. "
            "An administrator of the gateway ends the pause with: scim-gateway resume"
        )


def refuse(guard: Guard) -> None:
    """Stop a change.

    :raises Paused: there is a pause.
    """
    if guard.paused is not None:
        raise Paused(guard.paused)


def reason(session: Session, tenant: str) -> str | None:
    """Why there is a pause, if there is one; for work that is not part of a change, and for operators."""
    return peek(session, tenant).paused


def goes_on(paused: str | None, *, revoking: bool) -> bool:
    """Whether the gateway may go on with pending work by itself.

    :param revoking: whether it takes rights away and gives none: it was accepted before, so not even a pause undoes it.
    """
    return paused is None or revoking


def begin(session: Session, guard: Guard, why: str) -> Event:
    """Pause; the event to record. A second pause has the last word on the reason.

    :param why: a sentence for the administrator of the identity provider.
    """
    sentence = " ".join(why.split())
    sentence = printable(sentence, LONGEST_REASON) or "no reason was given"
    sentence = sentence if sentence.endswith((".", "!", "?", "…")) else f"{sentence}."
    set_pause(session, guard.tenant, sentence)
    return Event("pause", DONE, detail={"reason": sentence})


def end(session: Session, guard: Guard) -> Event:
    """Accept changes again; the event to record."""
    set_pause(session, guard.tenant, None)
    return Event("resume", DONE, detail={"was": guard.paused} if guard.paused else {})
