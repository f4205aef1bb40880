"""Gateways with declared schemas, and tokens of every kind, for the tests by chapter of the RFCs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from declared import BADGE_EXTENSION, BADGE_SCHEMA, DEVICE_SCHEMA, DEVICE_TYPE, SITE_SCHEMA
from flask import Flask
from scim_http import ScimClient

from scim_gateway.tokens import new_token

pytest.register_assert_rewrite("patching")


@pytest.fixture
def badge_scim(make_scim: Callable[..., ScimClient]) -> ScimClient:
    """A gateway whose users may carry the declared badge extension."""
    return make_scim(schemas=[BADGE_SCHEMA], extensions=[BADGE_EXTENSION])


@pytest.fixture
def device_scim(make_scim: Callable[..., ScimClient]) -> ScimClient:
    """A gateway that serves a declared resource type with a required extension at /Devices."""
    return make_scim(schemas=[DEVICE_SCHEMA, SITE_SCHEMA], resource_types=[DEVICE_TYPE])


@pytest.fixture
def issue_token() -> Callable[..., str]:
    """A function that makes a token in a gateway's store, and gives its text."""

    def issue(scim: ScimClient, *scopes: str, lifetime: timedelta | None = None, profile: str | None = None) -> str:
        assert isinstance(scim.target, Flask)
        expires = datetime.now(UTC) + lifetime if lifetime is not None else None
        options: dict[str, Any] = {"expires": expires, "profile": profile}
        text, token = new_token("made for a test", scopes=frozenset(scopes or ("read", "write")), **options)
        scim.target.extensions["scim-gateway"].backend.tokens.add(token)
        return text

    return issue


@pytest.fixture(params=["strict", "lenient"])
def any_scim(request: pytest.FixtureRequest, make_scim: Callable[..., ScimClient]) -> ScimClient:
    """A gateway of the strict and one of the lenient profile: what holds in both."""
    return make_scim(profile=request.param)
