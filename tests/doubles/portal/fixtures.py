"""An empty organization for a gateway under test, and the settings that lead there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from doubles.portal.server import PortalDouble

DOMAIN = "people.example"
"""Domain of the addresses of users who come without one."""


def environ_of(double: PortalDouble) -> Mapping[str, str]:
    """Settings by the names of their environment variables, without the prefix."""
    return {
        "PORTAL_URL": double.url,
        "PORTAL_API_KEY": double.key,
        "PORTAL_EMAIL_DOMAIN": DOMAIN,
        "RECONCILE_MINUTES": "0",
    }


@contextmanager
def portal_environ() -> Iterator[Mapping[str, str]]:
    """Start an organization; at the end nothing may have been asked that the document does not allow."""
    with PortalDouble() as double:
        yield environ_of(double)
    assert double.violations == []
