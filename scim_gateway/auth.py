"""Who is asking: bearer tokens in the ``Authorization`` header (RFC 6750, RFC 7644 §2), without Flask or a store."""

from __future__ import annotations

import hmac
import logging
import math
import re
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NoReturn, Protocol

from scim_gateway.errors import ScimError, TooManyRequests, Unauthorized, Unavailable
from scim_gateway.exchange import Principal, Request
from scim_gateway.text import printable
from scim_gateway.tokens import MINIMUM_LENGTH, Token, TokenStore, digest_of, recognise

REALM = "scim-gateway"

logger = logging.getLogger("scim_gateway.auth")

# Scheme in any case (RFC 9110 §11.1), exactly one blank, a token68. Okta's "HTTP Header" mode sends what the
# administrator typed, so the scheme may be missing. Repeated headers arrive joined by a comma, which is no token68.
_CREDENTIALS = re.compile(r"(?:bearer )?([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE | re.ASCII)
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)
_LONGEST = 4096


class Authenticator(Protocol):
    """What :func:`~scim_gateway.blueprint.create_blueprint` asks before anything else is done with a request.

    It is called with a request whose body has not been read yet, by several threads at once.
    """

    def __call__(self, request: Request) -> Principal:
        """Whom the request acts for.

        :raises Unauthorized: there are no credentials, or none that are valid.
        :raises Forbidden: the credentials are valid, but not here.
        :raises Unavailable: it cannot be found out now; never answer this case with :class:`Unauthorized`,
            because identity providers stop provisioning on 401.
        """


class ExpiredToken(Unauthorized):
    """The token was valid once; only who presents all of it learns that, which helps nobody to guess.

    :ivar name: the token's, for the log.
    """

    def __init__(self, token: Token) -> None:
        self.name = token.name
        when = f"{token.expires.astimezone(UTC):%Y-%m-%d %H:%MZ}" if token.expires else "now"
        super().__init__(
            f"The token {printable(token.name, 100)} has expired ({when}); make a new one with "
            "scim-gateway token create, and enter it at the identity provider.",
            headers={
                "WWW-Authenticate": f'Bearer realm="{REALM}", error="invalid_token", '
                'error_description="The token has expired"'
            },
        )


class FailureLimit:
    """Counts failures by source over the last minute.

    A source that failed too often is told to wait, but is still asked for its token: nobody can lock out a valid one.

    :param limit: failures in a minute; 0 counts nothing.
    :param clock: seconds that only grow.
    """

    _WINDOW = 60.0
    _SOURCES = 1024

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def failed(self, source: str) -> int:
        """Note a failure; seconds to wait if there were too many, else 0."""
        if not self._limit:
            return 0
        now = self._clock()
        with self._lock:
            times = self._failures.setdefault(source, deque(maxlen=self._limit))
            self._failures.move_to_end(source)
            if len(self._failures) > self._SOURCES:
                self._failures.popitem(last=False)
            if len(times) == self._limit and now - times[0] < self._WINDOW:
                return max(1, math.ceil(times[0] + self._WINDOW - now))
            times.append(now)
            return 0


class BearerAuthenticator:
    """Authenticates by the tokens of a store, and by one fixed token if there is one.

    :param store: where tokens are kept, as hashes.
    :param fixed: text of a token that is always valid (``SCIM_GATEWAY_TOKEN``); it has no other protection than that
        nobody can guess it.
    :param failures_per_minute: wrong tokens from one address before it is answered 429; 0 for no limit.
    :param cache_seconds: how long a token is trusted without asking the store again; a revoked one lives on that long.
    :raises ValueError: the fixed token is too short, or cannot be sent in a header.
    """

    _CACHED = 256
    _TOUCH_EVERY = timedelta(minutes=1)

    def __init__(
        self,
        store: TokenStore,
        *,
        fixed: str | None = None,
        failures_per_minute: int = 60,
        cache_seconds: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        if fixed is not None and not (len(fixed) >= MINIMUM_LENGTH and _TOKEN.fullmatch(fixed)):
            raise ValueError(f"the fixed token has to be at least {MINIMUM_LENGTH} letters, digits or -._~+/")
        self._store = store
        self._fixed = digest_of(fixed) if fixed else None
        self._holder_of_fixed = Principal("fixed token")
        self._limit = FailureLimit(failures_per_minute, clock)
        self._cache_seconds = cache_seconds
        self._clock = clock
        self._now = now
        # By digest, so that neither a dump of the memory nor the time of a look-up tells a token.
        self._valid: OrderedDict[bytes, tuple[Token, Principal, float]] = OrderedDict()
        self._touched: OrderedDict[str, datetime] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> Principal:
        """The token's principal; see :class:`Authenticator`."""
        header = request.headers.get("authorization", "")
        if not header:
            raise Unauthorized(
                "This gateway asks for a token: send it in the Authorization header.",
                headers={"WWW-Authenticate": f'Bearer realm="{REALM}"'},
            )
        match = _CREDENTIALS.fullmatch(header) if len(header) <= _LONGEST else None
        principal = self._principal(match[1], request.client) if match else None
        if principal is None:
            self._refuse(request.client)
        return principal

    def _refuse(self, source: str, expired: Token | None = None) -> NoReturn:
        # One text for unknown, revoked and malformed: the difference helps only who guesses.
        wait = self._limit.failed(source)
        if wait:
            raise TooManyRequests("Too many requests with a token that is not valid; wait.", retry_after=wait)
        if expired is not None:
            raise ExpiredToken(expired)
        raise Unauthorized(
            "The token is not valid here: compare it with the one that the gateway issued, or issue a new one with "
            "scim-gateway token create.",
            headers={"WWW-Authenticate": f'Bearer realm="{REALM}", error="invalid_token"'},
        )

    def _principal(self, text: str, source: str) -> Principal | None:
        digest = digest_of(text)
        if self._fixed is not None and hmac.compare_digest(digest, self._fixed):
            return self._holder_of_fixed
        cached = self._valid.get(digest)
        if cached is not None:
            token, principal, until = cached
            if self._clock() < until:
                if token.expired(self._now()):
                    self._refuse(source, token)
                return principal
        found = self._verified(text)
        if found is None:
            return None
        if found.expired(self._now()):
            self._refuse(source, found)
        principal = Principal(found.name, found.scopes, found.profile)
        with self._lock:
            self._valid[digest] = (found, principal, self._clock() + self._cache_seconds)
            self._valid.move_to_end(digest)
            if len(self._valid) > self._CACHED:
                self._valid.popitem(last=False)
        self._touch(found)
        return principal

    def _verified(self, text: str) -> Token | None:
        try:
            return recognise(text, self._store)
        except ScimError:
            raise
        except Exception as error:  # the store may be a plugin's, or of an application around us: it may raise anything
            # It is no proof that the token is wrong, and IdPs give up on 401: with 503 they come again.
            logger.exception("the store of tokens failed unexpectedly")
            raise Unavailable("The gateway cannot reach its store of tokens; try again later.") from error

    def _touch(self, token: Token) -> None:
        now = self._now()
        with self._lock:
            last = max((t for t in (self._touched.get(token.id), token.last_used) if t is not None), default=None)
            if last is not None and now - last < self._TOUCH_EVERY:
                return
            self._touched[token.id] = now
            self._touched.move_to_end(token.id)
            if len(self._touched) > self._CACHED:
                self._touched.popitem(last=False)
        try:
            self._store.touch(token.id, now)
        except Unavailable:
            # A request is not refused because the note of it could not be made.
            return
