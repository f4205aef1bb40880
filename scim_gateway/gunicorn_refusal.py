"""SCIM errors for what gunicorn refuses before it is a request that the blueprint could answer (RFC 7644 §3.12).

Gunicorn's own answer is a page of HTML, which quotes the line that it could not read; its log quotes it, too. A line
may hold a token, so neither is done here.
"""

from __future__ import annotations

import contextlib
import os
import socket
from http import HTTPStatus

import orjson
from gunicorn.http import errors

from scim_gateway import access_log
from scim_gateway.errors import ScimError
from scim_gateway.exchange import SCIM_JSON, SECURITY_HEADERS
from scim_gateway.messages import error_body

_PATIENCE = 1.0
"""Seconds in which a client takes its answer."""


class _Unreadable(ScimError):
    """What came is not HTTP/1.1 as RFC 9112 has it."""

    status = 400


class _UriTooLong(ScimError):
    """RFC 9110 §15.5.15."""

    status = 414


class _ExpectationFailed(ScimError):
    """RFC 9110 §15.5.18."""

    status = 417


class _HeadersTooLarge(ScimError):
    """RFC 6585 §5."""

    status = 431


class _UnknownCoding(ScimError):
    """RFC 9112 §6.1."""

    status = 501


def refusal_of(problem: BaseException, line: int, fields: int, field: int) -> ScimError | None:
    """The answer to what a client did wrong, or None where the gateway is at fault.

    :param line: the longest request line, in bytes.
    :param fields: the largest number of headers.
    :param field: the longest header, in bytes.
    """
    match problem:
        case errors.LimitRequestLine():
            return _UriTooLong(
                f"The URL is longer than {line} bytes. Send the query in the body of a POST to /.search instead."
            )
        case errors.LimitRequestHeaders():
            return _HeadersTooLarge(f"There are more than {fields} headers, or one is longer than {field} bytes.")
        case errors.UnsupportedTransferCoding():
            return _UnknownCoding("The body comes in a transfer coding other than chunked.")
        case errors.ExpectationFailed():
            return _ExpectationFailed("Of Expect, only 100-continue is known.")
        case errors.ConfigurationProblem():
            return None
        case errors.ParseException():
            return _Unreadable("What came is no HTTP/1.1 request; look at proxies between client and gateway.")
    return None


def refuse(client: socket.socket, address: str, error: ScimError) -> None:
    """Answer, and log one line; the connection is ended by whoever accepted it."""
    request_id = os.urandom(16).hex()
    body = orjson.dumps(error_body(error))
    headers = {
        "Connection": "close",
        "Content-Type": SCIM_JSON,
        "Content-Length": str(len(body)),
        **SECURITY_HEADERS,
        "X-Request-ID": request_id,
    }
    lines = [f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join([*lines, "", ""])
    access_log.record(
        request_id=request_id,
        token=None,
        method="",
        route=None,
        status=error.status,
        scim_type=None,
        seconds=0.0,
        size=len(body),
        client=address,
    )
    with contextlib.suppress(OSError):  # Who has gone is not told.
        client.settimeout(_PATIENCE)
        client.sendall(head.encode("ascii") + body)
