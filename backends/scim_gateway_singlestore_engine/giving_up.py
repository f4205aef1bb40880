"""Ends a connection whose statement was not answered in time, lest that takes effect long after it was given up.

It is done once, and for a short time only: a server that answers to nobody does not hear of it, and what comes late all
the same is found by the next look at what is there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from .failures import DRIVER_ERRORS, meaning_of, number_of
from .statements import Statement, kill_connection, own_connections

_log = logging.getLogger("scim_gateway.engine")


def was_given_up(error: Exception) -> bool:
    """Whether the driver stopped waiting, on a connection that did not break: the server may still be at it."""
    return isinstance(error.__cause__ or error.__context__, TimeoutError)


Ask = Callable[[Statement], list[tuple[Any, ...]]]
"""Sends a statement; the rows of its answer."""


def end(connected: AbstractContextManager[Ask], user: str, id: int, verb: str) -> None:
    """End a connection of the gateway's own account by its id, on whatever node it is.

    Ids repeat across nodes: another connection of the same account that has the same id is ended, too, and what it was
    at is tried again.

    :param connected: another connection, made when it is entered, on which nothing is waited for long.
    :param verb: of the statement that was given up.
    """
    try:
        with connected as ask:
            for node in [int(node) for node, found in ask(own_connections(user)) if int(found) == id]:
                ask(kill_connection(id, node))
    except DRIVER_ERRORS as error:
        if meaning_of(error, connection_open=True) == "gone":
            return  # it ended by itself
        _log.warning(
            "%s was not answered in time, and its connection could not be ended (error %d): it may take effect late",
            verb,
            number_of(error),
        )
