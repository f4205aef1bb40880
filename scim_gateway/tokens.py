"""Bearer tokens: made here, kept as hashes, several at once, named, scoped, expiring (RFC 6750, RFC 7644 §7.4)."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

PREFIX = "scimgw"
MINIMUM_LENGTH = 32
_NOBODY = hashlib.sha256(b"no such token").digest()


@dataclass(frozen=True, slots=True)
class Token:
    """What is kept of a token.

    :param id: public part, by which it is found; stands in logs and lists.
    :param digest: SHA-256 of the whole token. The token has 256 random bits, so a slow hash would add nothing.
    :param scopes: ``read``, ``write``.
    :param profile: IdP profile for its requests, or ``None`` for the gateway's default.
    """

    id: str
    name: str
    digest: bytes
    scopes: frozenset[str]
    created: datetime
    expires: datetime | None = None
    profile: str | None = None
    last_used: datetime | None = None

    def expired(self, now: datetime) -> bool:
        """Whether its time is over."""
        return self.expires is not None and self.expires <= now


class TokenStore(ABC):
    """Where tokens are kept; a backend with a database keeps them there.

    :raises scim_gateway.errors.Unavailable: every method, when the store cannot be reached; that is 503, never 401.
    """

    @abstractmethod
    def add(self, token: Token) -> None:
        """Keep a new token."""

    @abstractmethod
    def find(self, id: str) -> Token | None:
        """The token with that id, expired or not."""

    @abstractmethod
    def list(self) -> Sequence[Token]:
        """All tokens, oldest first."""

    @abstractmethod
    def revoke(self, id: str) -> bool:
        """Forget a token; whether there was one."""

    @abstractmethod
    def touch(self, id: str, when: datetime) -> None:
        """Note that a token was used; may be called less often than it is used."""


class MemoryTokenStore(TokenStore):
    """Tokens of one process."""

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}
        self._lock = threading.Lock()

    def add(self, token: Token) -> None:
        with self._lock:
            self._tokens[token.id] = token

    def find(self, id: str) -> Token | None:
        return self._tokens.get(id)

    def list(self) -> Sequence[Token]:
        with self._lock:
            return sorted(self._tokens.values(), key=lambda token: token.created)

    def revoke(self, id: str) -> bool:
        with self._lock:
            return self._tokens.pop(id, None) is not None

    def touch(self, id: str, when: datetime) -> None:
        with self._lock:
            if id in self._tokens:
                self._tokens[id] = replace(self._tokens[id], last_used=when)


def digest_of(text: str) -> bytes:
    """The stored form of a token."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def new_token(
    name: str,
    *,
    scopes: frozenset[str] = frozenset({"read", "write"}),
    expires: datetime | None = None,
    profile: str | None = None,
) -> tuple[str, Token]:
    """Make a token: its text, to be shown once, and what is kept of it."""
    id = secrets.token_hex(6)
    text = f"{PREFIX}_{id}_{secrets.token_urlsafe(32)}"
    return text, Token(id, name, digest_of(text), scopes, datetime.now(UTC), expires, profile)


def verify(text: str, store: TokenStore, now: datetime) -> Token | None:
    """The token that ``text`` is, if it is known and its time is not over; see :func:`recognise`."""
    token = recognise(text, store)
    return token if token is not None and not token.expired(now) else None


def recognise(text: str, store: TokenStore) -> Token | None:
    """The token that ``text`` is, whole, if it is known; its time may be over.

    The comparison takes the same time whether or not the id is known.

    :raises scim_gateway.errors.Unavailable: the store cannot be reached.
    """
    parts = text.split("_", 2)
    token = store.find(parts[1]) if len(parts) == 3 and parts[0] == PREFIX else None
    same = hmac.compare_digest(digest_of(text), token.digest if token else _NOBODY)
    return token if same else None
