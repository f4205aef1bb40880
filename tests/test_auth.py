"""Bearer tokens in the Authorization header, as identity providers send them and as attackers do."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from scim_gateway.auth import BearerAuthenticator, ExpiredToken, FailureLimit
from scim_gateway.errors import TooManyRequests, Unauthorized, Unavailable
from scim_gateway.exchange import Request
from scim_gateway.tokens import MemoryTokenStore, Token, new_token

FIXED = "fixed-token-0123456789-0123456789-abc"


class Clock:
    """A time that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime(2030, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)


class CountingStore(MemoryTokenStore):
    """Counts what it is asked; may be down."""

    def __init__(self) -> None:
        super().__init__()
        self.finds = 0
        self.touches = 0
        self.error: Exception | None = None

    def find(self, id: str) -> Token | None:
        self.finds += 1
        if self.error:
            raise self.error
        return super().find(id)

    def touch(self, id: str, when: datetime) -> None:
        self.touches += 1
        if self.error:
            raise self.error
        super().touch(id, when)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store():
    return CountingStore()


@pytest.fixture
def authenticate(store, clock):
    return BearerAuthenticator(
        store, fixed=FIXED, failures_per_minute=3, clock=clock.monotonic, now=clock.now, cache_seconds=1.0
    )


def request(header: str | None, client: str = "192.0.2.1") -> Request:
    return Request("GET", "/Users", "", headers={} if header is None else {"authorization": header}, client=client)


def issue(store, **details) -> str:
    text, token = new_token(details.pop("name", "okta"), **details)
    store.add(token)
    return text


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "BEARER {}", "bEaReR {}", "{}"])
@pytest.mark.parametrize("fixed", [True, False])
def test_a_valid_token_is_accepted_with_and_without_the_scheme_in_any_case(authenticate, store, form, fixed):
    text = FIXED if fixed else issue(store)
    assert authenticate(request(form.format(text))).scopes == {"read", "write"}


@pytest.mark.parametrize(
    "form",
    [
        "Bearer  {}",
        "Bearer\t{}",
        "Bearer{}",
        " Bearer {}",
        "{} ",
        "Bearer {},Bearer {}",
        "{},{}",
        "Bearer {}, x",
        "Basic {}",
        "Bearer Bearer {}",
        'Bearer "{}"',
        "Bearer",
        "Bearer ",
        "Bearer null",
        "null",
        "undefined",
        ",",
        "Bearer {}x",
        "Token {}",
        "Bearer ünïcode",
        "Bearer \x00",
        "Bearer " + "x" * 10_000,
    ],
)
def test_anything_else_is_401_invalid_token(authenticate, form):
    with pytest.raises(Unauthorized) as caught:
        authenticate(request(form.replace("{}", FIXED)))
    assert caught.value.headers["WWW-Authenticate"] == 'Bearer realm="scim-gateway", error="invalid_token"'
    assert FIXED not in caught.value.detail


@pytest.mark.parametrize("header", [None, ""])
def test_without_a_token_the_401_names_the_scheme_and_no_error(authenticate, header):
    with pytest.raises(Unauthorized) as caught:
        authenticate(request(header))
    assert caught.value.headers["WWW-Authenticate"] == 'Bearer realm="scim-gateway"'


def test_name_scopes_and_profile_of_a_token_become_the_principal(authenticate, store):
    text = issue(store, name="reader", scopes=frozenset({"read"}), profile="entra")
    principal = authenticate(request(text))
    assert (principal.name, principal.scopes, principal.profile) == ("reader", {"read"}, "entra")


def test_unknown_and_changed_tokens_get_the_same_answer_whether_or_not_theirs_has_expired(authenticate, store, clock):
    valid = issue(store)
    expired = issue(store, name="old", expires=clock.now())
    texts = set()
    changed = [text[:-1] + ("a" if text[-1] != "a" else "b") for text in (valid, expired)]
    id_alone = expired.rsplit("_", 1)[0] + "_"
    for client, text in enumerate([*changed, id_alone, id_alone + "x", expired[:-1], "scimgw_0_x", "guess"]):
        with pytest.raises(Unauthorized) as caught:
            authenticate(request(text, client=str(client)))
        texts.add((caught.value.detail, caught.value.headers["WWW-Authenticate"]))
    assert len(texts) == 1


def test_who_presents_the_whole_secret_of_an_expired_token_learns_that_it_has_expired(authenticate, store, clock):
    text = issue(store, name="okta", expires=clock.now())
    with pytest.raises(ExpiredToken) as caught:
        authenticate(request(text))
    assert caught.value.name == "okta"
    assert caught.value.detail.startswith("The token okta has expired (2030-01-01 00:16Z); make a new one")
    assert (
        'error="invalid_token", error_description="The token has expired"' in caught.value.headers["WWW-Authenticate"]
    )
    assert text not in caught.value.detail


def test_an_expired_token_counts_as_a_failure_like_any_other(authenticate, store, clock):
    text = issue(store, expires=clock.now())
    for _ in range(3):
        with pytest.raises(ExpiredToken):
            authenticate(request(text))
    with pytest.raises(TooManyRequests):
        authenticate(request(text))


def test_a_token_expires_also_while_it_is_cached(authenticate, store, clock):
    text = issue(store, expires=clock.now() + timedelta(seconds=0.5))
    authenticate(request(text))
    clock.seconds += 0.6
    with pytest.raises(ExpiredToken):
        authenticate(request(text))


def test_the_store_is_asked_once_a_second_and_a_revoked_token_lives_no_longer(authenticate, store, clock):
    text = issue(store)
    for _ in range(5):
        authenticate(request(text))
    assert store.finds == 1
    store.revoke(store.list()[0].id)
    clock.seconds += 1.0
    with pytest.raises(Unauthorized):
        authenticate(request(text))


def test_a_wrong_token_is_never_cached(authenticate, store):
    text, token = new_token("later")
    with pytest.raises(Unauthorized):
        authenticate(request(text))
    store.add(token)
    assert authenticate(request(text)).name == "later"


@pytest.mark.parametrize("error", [Unavailable("down"), OSError("connection refused"), RuntimeError("driver")])
def test_a_store_that_is_down_is_503_and_never_401(authenticate, store, error):
    text = issue(store)
    store.error = error
    with pytest.raises(Unavailable):
        authenticate(request(text))


def test_a_defect_of_a_store_is_for_the_log_without_the_token(authenticate, store, caplog):
    text = issue(store)
    store.error = RuntimeError("driver")
    with pytest.raises(Unavailable):
        authenticate(request(text))
    assert "RuntimeError: driver" in caplog.text
    assert text not in caplog.text


def test_the_fixed_token_works_while_the_store_is_down(authenticate, store):
    store.error = Unavailable("down")
    assert authenticate(request(FIXED)).name == "fixed token"


def test_the_last_use_is_noted_at_most_once_a_minute(authenticate, store, clock):
    text = issue(store)
    for _ in range(30):
        authenticate(request(text))
        clock.seconds += 3
    assert store.touches == 2
    assert store.list()[0].last_used is not None


def test_a_use_noted_by_another_process_is_not_noted_again(authenticate, store, clock):
    text = issue(store)
    token = store.list()[0]
    store.revoke(token.id)
    store.add(replace(token, last_used=clock.now()))
    authenticate(request(text))
    assert store.touches == 0


def test_a_source_with_too_many_wrong_tokens_is_told_to_wait_while_valid_ones_pass(authenticate, store, clock):
    for _ in range(3):
        with pytest.raises(Unauthorized):
            authenticate(request("wrong"))
    with pytest.raises(TooManyRequests) as caught:
        authenticate(request("wrong"))
    assert 0 < int(caught.value.headers["Retry-After"]) <= 60
    assert authenticate(request(FIXED)).name == "fixed token"
    assert authenticate(request(issue(store))).name == "okta"
    with pytest.raises(Unauthorized):
        authenticate(request("wrong", client="192.0.2.2"))
    clock.seconds += 60
    with pytest.raises(Unauthorized):
        authenticate(request("wrong"))


def test_a_request_without_a_token_counts_as_no_failure(authenticate):
    for _ in range(10):
        with pytest.raises(Unauthorized):
            authenticate(request(None))


def test_the_limit_remembers_a_bounded_number_of_sources():
    limit = FailureLimit(1)
    for number in range(3000):
        assert limit.failed(str(number)) == 0
    assert limit.failed("2999") > 0
    assert limit.failed("0") == 0, "the oldest is forgotten"


def test_a_limit_of_zero_is_none():
    limit = FailureLimit(0)
    assert [limit.failed("x") for _ in range(100)] == [0] * 100


@pytest.mark.parametrize("fixed", ["", "short", "x" * 31, "with a blank " * 4, "ümlaut" * 8])
def test_a_fixed_token_that_could_be_guessed_or_not_be_sent_is_refused_and_not_repeated(store, fixed):
    with pytest.raises(ValueError, match="at least 32 letters") as caught:
        BearerAuthenticator(store, fixed=fixed)
    assert not fixed or fixed not in str(caught.value)
