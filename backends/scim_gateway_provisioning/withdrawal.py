"""Takes back the grants of requests that came to no end: killed, or cut off from the directory's database.

What was not answered with success is not given afterwards. What such a request took away stays taken away.
"""

from __future__ import annotations

import logging

from scim_gateway.actor import GATEWAY, Acting
from scim_gateway.errors import Unavailable

from . import promises
from .compensation import take_back
from .context import Context
from .promises import Promise, PromiseGone, given_by, open_promises
from .record import Recorded
from .work import read

_log = logging.getLogger("scim_gateway.provisioning")

_TROUBLE = "It could not be taken back; the gateway's log says why. To have it, send the request again."


def withdraw_dead(context: Context) -> None:
    """Take back what dead requests have given.

    :raises scim_gateway.errors.Unavailable: the directory cannot be reached.
    """
    with context.database.operation(write=False) as session:
        dead = [promise for promise in open_promises(session, context.tenant) if promise.dead]
    for promise in dead:
        withdraw(context, promise)
    promises.forget_old(context.database, context.tenant)


def withdraw(context: Context, promise: Promise) -> None:
    """Take back what one dead request has given, unless another about the same was answered with success.

    What nobody can take back is held: it is not given until a request asks for it.

    :raises scim_gateway.errors.Unavailable: the directory cannot be reached.
    """
    try:
        with Acting(GATEWAY):
            _withdraw(context, promise)
    except PromiseGone:
        return  # its request is alive after all, or somebody else was faster
    except Unavailable:
        raise
    except Exception:  # a defect in taking back must not become a grant: what it left is held
        _log.exception("a grant that was not answered could not be taken back; it is held")
        context.database.run(
            lambda session: promises.note_trouble(session, context.tenant, promise.id, _TROUBLE),
        )


def _withdraw(context: Context, promise: Promise) -> None:
    with context.database.operation(write=False) as session:
        given = given_by(session, context.tenant, [promise.id]).get(promise.id)
        rows = read(session, context.tenant, {id for id, _ in promise.rows})
    if given is None:
        return
    left = {
        target
        for (id, target), number in promise.rows.items()
        if (work := rows.get((id, target))) is not None and work.applied < number
    }
    if not left and promise.relied:
        # Retry and repair leave such rows alone: it was the other request that brought it about.
        promises.keep_alone(context.database, context.tenant, promise.id)
    elif promise.trouble is None:
        recorded = Recorded(given.changes, promise.rows, edges=given.edges, holder=promise.holder, promise=promise.id)
        targets = left if promise.relied else {target for _, target in promise.rows}
        take_back(context, recorded, targets, (), whole=False, alone=not promise.relied)
