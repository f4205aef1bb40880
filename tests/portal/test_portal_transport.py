"""HTTP to the Management API: what is tried again, what is told, what is kept secret."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
import scim_gateway_singlestore_portal.transport
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from doubles.portal.server import PortalDouble
from scim_gateway_provisioning.target import Deadline, Unreachable
from scim_gateway_singlestore_portal.client import Client
from scim_gateway_singlestore_portal.transport import (
    LONGEST_QUIET,
    TRIES,
    Absent,
    Refused,
    Transport,
    Unsure,
    _Breaker,
)

from scim_gateway.config import ConfigurationError

KEY = "an-api-key-of-the-double"
SECOND = 60.0


@pytest.fixture
def transport(portal):
    transport = Transport(portal.url, KEY)
    yield transport
    transport.close()


@pytest.fixture
def client(transport):
    return Client(transport, Deadline(10.0))


@pytest.fixture
def tried_once(monkeypatch):
    """A call that fails is not tried again."""
    monkeypatch.setattr(scim_gateway_singlestore_portal.transport, "TRIES", 1)


def soon(transport: Transport, seconds: float = 1.0) -> Client:
    return Client(transport, Deadline(seconds))


def statuses(portal: PortalDouble) -> list[int | None]:
    return [call.status for call in portal.calls]


def test_a_connection_is_used_again(portal, client):
    for _ in range(3):
        client.organization()
    client.create_team("readers", "")
    with pytest.raises(Absent):
        client.update_team("00000000-0000-4000-8000-000000000000", client_update())
    assert client.member("nobody") is None
    assert len(portal._connections) == 1


def client_update() -> Any:
    from scim_gateway_singlestore_portal.client import TeamUpdate

    return TeamUpdate(name="x")


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_question_is_asked_again_when_the_api_is_busy(portal, client, status):
    portal.fail("status", "GET", status=status, times=2)
    assert client.organization().name == "Example Ltd"
    assert statuses(portal) == [status, status, 200]


@pytest.mark.parametrize("how", ["cut", "half-body", "no-json", "wrong-json"])
def test_a_question_is_asked_again_when_its_answer_is_cut_or_senseless(portal, client, how):
    portal.fail(how, "GET", times=2)
    assert client.organization().name == "Example Ltd"
    assert len(portal.calls) == 3


def test_a_question_is_not_asked_for_ever(portal, client):
    portal.fail("status", "GET", status=503, times=99)
    with pytest.raises(Unreachable, match="503: something went wrong"):
        client.organization()
    assert len(portal.calls) == TRIES


def test_retry_after_is_waited_for(portal, client):
    portal.fail("status", "GET", status=429, retry_after="1")
    before = portal.organization.now()
    client.organization()
    assert portal.organization.now() > before


@pytest.mark.parametrize("retry_after", ["3600", "Wed, 21 Oct 2099 07:28:00 GMT"])
def test_a_retry_after_beyond_the_time_that_is_left_ends_the_call_at_once(portal, client, retry_after):
    portal.fail("status", "GET", status=429, retry_after=retry_after)
    with pytest.raises(Unreachable, match="fewer requests"):
        client.organization()
    assert len(portal.calls) == 1


def test_nobody_asks_before_the_time_that_the_api_named(portal, transport, monkeypatch):
    portal.fail("status", "GET", status=429, retry_after="3600")
    for client in (soon(transport), soon(transport), Client(transport, Deadline(5.0))):
        with pytest.raises(Unreachable, match="fewer requests"):
            client.organization()
        with pytest.raises(Unreachable, match="fewer requests"):
            client.create_team("readers", "")
    assert len(portal.calls) == 1
    began = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: began + LONGEST_QUIET + 10)
    assert Client(transport, Deadline(5.0)).organization().name == "Example Ltd"


def test_a_request_that_was_limited_was_not_carried_out_so_even_a_creation_is_sent_again(portal, client):
    portal.fail("status", "POST", status=429, times=2)
    assert client.create_team("readers", "").name == "readers"
    assert statuses(portal) == [429, 429, 200]


@pytest.mark.parametrize(
    ("how", "more"),
    [
        ("cut", {}),
        ("lost", {}),
        ("half-body", {}),
        ("no-json", {}),
        ("wrong-shape", {}),
        ("status", {"status": 500}),
        ("status", {"status": 503, "effect": True}),
    ],
)
def test_a_creation_without_a_clear_answer_is_never_sent_again_blindly(portal, client, how, more):
    portal.fail(how, "POST", **more)
    with pytest.raises(Unsure):
        client.create_team("readers", "")
    assert [call.method for call in portal.calls] == ["POST"]


def test_an_update_without_a_clear_answer_is_left_to_whoever_can_look(portal, client):
    team = client.create_team("readers", "")
    portal.fail("lost", "PATCH")
    with pytest.raises(Unsure):
        client.update_team(team.id, client_update())
    assert [call.method for call in portal.calls] == ["POST", "PATCH"]


def test_a_removal_that_is_asked_for_again_finds_nothing_to_remove(portal, client):
    team = client.create_team("readers", "")
    portal.fail("lost", "DELETE")
    client.delete_team(team.id)
    assert [call.status for call in portal.calls] == [200, 200, 404]


@pytest.mark.parametrize("how", ["hang", "hang-after"])
def test_what_hangs_ends_with_the_deadline(portal, transport, how):
    portal.fail(how, "GET")
    with pytest.raises(Unreachable, match=r"no answer in time|time for this request is over"):
        soon(transport).organization()
    assert len(portal.calls) == 1


def test_an_answer_that_never_ends_ends_with_the_deadline(portal, transport):
    portal.fail("drip", "GET")
    with pytest.raises(Unreachable, match=r"no answer in time|time for this request is over"):
        soon(transport).organization()


def test_a_host_that_nobody_knows_is_told(monkeypatch, tried_once):
    def unknown(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    transport = Transport("https://api.invalid", KEY)
    with pytest.raises(Unreachable, match=r"api\.invalid cannot be reached: its name is not known"):
        Client(transport, Deadline(10.0)).organization()
    transport.close()


def test_nothing_begins_after_the_deadline(portal, transport):
    with pytest.raises(Unreachable, match="time for this request is over"):
        soon(transport, 0.0).organization()
    assert portal.calls == []


def test_an_api_that_does_not_listen_is_unreachable_and_found_again(portal, client, tried_once):
    portal.down()
    with pytest.raises(Unreachable, match="connection refused"):
        client.organization()
    portal.up()
    assert client.organization().name == "Example Ltd"


def test_after_several_failures_in_a_row_nobody_waits_for_another(portal, client, monkeypatch):
    monkeypatch.setattr(_Breaker, "SECONDS", 3600.0)
    portal.down()
    with pytest.raises(Unreachable, match="refused"):
        client.organization()
    portal.up()
    with pytest.raises(Unreachable, match="several times just now"):
        client.organization()
    assert portal.calls == []


def test_a_creation_that_could_not_be_sent_is_sent_when_somebody_listens(portal, client, tried_once):
    portal.down()
    with pytest.raises(Unreachable) as caught:
        client.create_team("readers", "")
    assert not isinstance(caught.value, Unsure)


def test_a_key_that_has_expired_is_one_clear_line(portal, client):
    portal.organization.keys[KEY].expires = portal.organization.now()
    with pytest.raises(Unreachable) as caught:
        client.create_team("readers", "")
    text = str(caught.value)
    assert "wrong, revoked or expired" in text
    assert "portal_api_key" in text
    assert "\n" not in text
    assert KEY not in text
    assert len(portal.calls) == 1


def test_a_key_without_rights_is_the_operators_business(portal, client):
    portal.organization.keys[KEY].level = "read"
    with pytest.raises(Unreachable, match=r"does not permit POST /v1/teams .*not permitted to do this"):
        client.create_team("readers", "")


def test_a_redirect_is_not_followed(portal, client):
    portal.fail("redirect", "GET")
    with pytest.raises(Unreachable, match=r"302.*redirects are not followed"):
        client.organization()
    assert len(portal.calls) == 1


def test_what_the_api_says_is_told_in_one_short_line_without_the_key(portal, client):
    noise = f"line one\r\n\x1b[31mline two {KEY} \u202e " + "x" * 1000
    portal.fail("status", "POST", status=400, text=noise)
    with pytest.raises(Refused) as caught:
        client.create_team("readers", "")
    text = caught.value.text
    assert text.startswith("line one")
    assert len(text) <= 300
    assert all(char.isprintable() for char in text)
    assert KEY not in text
    assert "(key)" in text


@pytest.mark.parametrize("value", ["[]", '{"orgID": 1, "name": "x"}', '{"name": "x"}', "null"])
def test_an_answer_of_another_shape_is_no_answer(portal, client, value, monkeypatch):
    monkeypatch.setattr(portal.api, "answer", lambda *_: __import__("json").loads(value))
    with pytest.raises(Unreachable, match="documented form"):
        client.organization()
    portal.violations.clear()


def test_somebody_who_is_listed_twice_is_there_once(portal, client):
    portal.behaviour.duplicates = True
    portal.organization.make_team("readers", emails=("keeper@example.com",))
    team = next(team for team in client.teams() if team.name == "readers")
    assert list(team.people.values()) == ["keeper@example.com"]


def test_an_id_never_chooses_another_path(portal, client, transport, monkeypatch):
    asked: list[str] = []
    monkeypatch.setattr(type(transport), "call", lambda self, deadline, method, path, **more: asked.append(path) or {})
    client.remove_member("../teams/x?a#b")
    assert asked == ["/v1/users/..%2Fteams%2Fx%3Fa%23b"]
    for id in ("", ".", ".."):
        with pytest.raises(Unreachable):
            client.remove_member(id)
    assert len(asked) == 1


def test_the_clock_of_the_api_is_known_from_its_answers(portal, client, transport):
    portal.organization.clock_ahead = datetime.timedelta(hours=1)
    client.organization()
    assert abs(transport.ahead - 3600) < SECOND
    assert abs((client.now() - portal.organization.now()).total_seconds()) < SECOND


@pytest.mark.parametrize("url", ["http://api.singlestore.com", "http://10.0.0.1", "http://127.0.0.1.example.com"])
def test_the_key_does_not_travel_in_the_clear(url):
    with pytest.raises(ConfigurationError, match="https://"):
        Transport(url, KEY)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "http://localhost", "http://[::1]:8080", "https://api.example.com"]
)
def test_on_this_machine_it_may(url):
    Transport(url, KEY).close()


@pytest.mark.parametrize("key", ["a b", "a\r\nX-Evil: 1", "ä", ""])
def test_a_key_that_is_no_key_is_refused_without_being_shown(key):
    with pytest.raises(ConfigurationError) as caught:
        Transport("https://api.example.com", key)
    assert not key or key not in str(caught.value)


def test_a_file_of_authorities_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"portal_ca_file: .*nothing.pem cannot be read"):
        Transport("https://api.example.com", KEY, ca_file=str(tmp_path / "nothing.pem"))


@pytest.fixture
def certified(tmp_path: Path):
    """A double that serves TLS with a certificate that nobody knows, and the file with it."""
    pem, context = certificate(tmp_path)
    with PortalDouble(context=context) as double:
        yield double, str(pem)


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "double")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, secret = folder / "cert.pem", folder / "key.pem"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, secret)
    return pem, context


def test_a_certificate_that_nobody_knows_is_refused(certified, tried_once):
    double, _ = certified
    transport = Transport(double.url, KEY)
    with pytest.raises(Unreachable, match=r"TLS: .*certificate verify failed"):
        Client(transport, Deadline(10.0)).organization()
    assert double.calls == []
    transport.close()


def test_a_certificate_of_the_named_authority_is_accepted(certified):
    double, pem = certified
    transport = Transport(double.url, KEY, ca_file=pem)
    assert Client(transport, Deadline(10.0)).organization().name == "Example Ltd"
    transport.close()
