"""Who gets in: passwords, tokens, TLS, locks, hosts, and what those who don't are told."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Literal

import pymysql
import pytest
from doubles.asking import ask, error, tell
from doubles.singlestore.api import Behaviour
from doubles.singlestore.fixtures import MakeDouble, Server
from servers.certificates import Certificates, make_certificates


def refusal(server: Server, user: str, password: str, **options: object) -> tuple[int, str] | None:
    """Number and text of what a log-in is answered, or None when it succeeds."""
    try:
        server.connect(user, password, **options)
    except pymysql.err.OperationalError as refused:
        number, text = refused.args
        return number, text
    return None


def test_only_the_right_password_opens(singlestore: Server) -> None:
    ada = singlestore.name("ada")
    root = singlestore.connect()
    ask(root, "CREATE USER %s IDENTIFIED BY %s", ada, "Right-1-right")
    assert refusal(singlestore, ada, "Right-1-right") is None
    for wrong in ("Wrong-1-wrong", ""):
        refused = refusal(singlestore, ada, wrong)
        assert refused is not None
        assert refused[0] == 1045
    ask(root, "ALTER USER %s IDENTIFIED BY %s", ada, "Other-1-other")
    assert refusal(singlestore, ada, "Right-1-right") is not None
    assert refusal(singlestore, ada, "Other-1-other") is None


def test_an_unknown_user_looks_like_a_wrong_password(singlestore: Server) -> None:
    ada, bob = singlestore.name("ada"), singlestore.name("bob")
    ask(singlestore.connect(), "CREATE USER %s IDENTIFIED BY %s", ada, "Right-1-right")
    known, unknown = refusal(singlestore, ada, "x"), refusal(singlestore, bob, "x")
    assert known is not None
    assert unknown is not None
    assert known == (unknown[0], unknown[1].replace(bob, ada))


def test_an_empty_password_lets_anybody_in(make_singlestore: MakeDouble) -> None:
    server = make_singlestore()
    root = server.connect()
    tell(root, "CREATE USER 'open'")
    assert refusal(server, "open", "") is None
    assert refusal(server, "open", "x") is not None
    tell(root, "SET GLOBAL password_min_length = 8")
    assert error(root, "CREATE USER 'other'") == 1819
    assert error(root, "CREATE USER 'other' IDENTIFIED BY 'seven77'") == 1819
    assert error(root, "CREATE USER 'other' IDENTIFIED BY 'eight888'") is None


def test_a_locked_user_is_refused_and_let_in_again(singlestore: Server) -> None:
    ada = singlestore.name("ada")
    root = singlestore.connect()
    ask(root, "CREATE USER %s IDENTIFIED BY %s", ada, "Right-1-right")
    ask(root, "ALTER USER %s ACCOUNT LOCK", ada)
    assert refusal(singlestore, ada, "Right-1-right") is not None
    ask(root, "ALTER USER %s ACCOUNT UNLOCK", ada)
    assert refusal(singlestore, ada, "Right-1-right") is None


def test_a_lock_shows_only_to_who_knows_the_password(make_singlestore: MakeDouble) -> None:
    server = make_singlestore(behaviour=Behaviour(locked_login_error=4151))
    assert server.double is not None
    server.double.seed(["ada"])
    server.double.execute("ALTER USER 'ada' ACCOUNT LOCK")
    right, wrong = refusal(server, "ada", "password-of-ada"), refusal(server, "ada", "x")
    assert right is not None
    assert wrong is not None
    assert (right[0], wrong[0]) == (4151, 1045)


def test_a_dropped_user_is_refused(singlestore: Server) -> None:
    ada = singlestore.name("ada")
    root = singlestore.connect()
    ask(root, "CREATE USER %s IDENTIFIED BY %s", ada, "Right-1-right")
    ask(root, "DROP USER %s", ada)
    refused = refusal(singlestore, ada, "Right-1-right")
    assert refused is not None
    assert refused[0] == 1045


def test_a_refused_client_gets_nothing_even_if_it_goes_on(make_singlestore: MakeDouble) -> None:
    server = make_singlestore()
    with socket.create_connection((server.address.host, server.address.port), timeout=10) as client:
        stream = client.makefile("rwb")
        length = int.from_bytes(stream.read(4)[:3], "little")
        stream.read(length)
        flags = (0x00000001 | 0x00000200 | 0x00008000).to_bytes(4, "little")
        response = flags + bytes(4) + b"\x2d" + bytes(23) + b"root\0" + b"\x14" + b"x" * 20
        stream.write(len(response).to_bytes(3, "little") + b"\x01" + response)
        stream.flush()
        header = stream.read(4)
        answer = stream.read(int.from_bytes(header[:3], "little"))
        assert answer[0] == 0xFF
        assert int.from_bytes(answer[1:3], "little") == 1045
        query = b"\x03SHOW USERS"
        with suppress(ConnectionError):  # hung up on, which may come as a reset
            stream.write(len(query).to_bytes(3, "little") + b"\x00" + query)
            stream.flush()
            assert stream.read() == b""
    assert server.double is not None
    assert not server.double.log.matching("SHOW USERS")
    assert server.connect().open


def test_a_token_is_the_password_of_a_jwt_user(make_singlestore: MakeDouble, certificates: Certificates) -> None:
    server = make_singlestore(tls=server_context(certificates))
    assert server.double is not None
    tell(server.connect(), "CREATE USER 'ada' IDENTIFIED WITH authentication_jwt REQUIRE SSL")
    server.double.add_token("token-of-ada", "ada")
    server.double.add_token("token-of-bob", "bob")
    encrypted = {"ssl": {"ca": str(certificates.authority)}}
    assert refusal(server, "ada", "token-of-ada", **encrypted) is None
    assert refusal(server, "*", "token-of-ada", **encrypted) is None
    for token in ("token-of-bob", "nonsense", ""):
        assert refusal(server, "ada", token, **encrypted) is not None
    assert refusal(server, "*", "token-of-bob", **encrypted) is not None
    assert refusal(server, "ada", "token-of-ada", ssl_disabled=True) is not None


def test_jwt_without_require_ssl(make_singlestore: MakeDouble) -> None:
    create = "CREATE USER 'ada' IDENTIFIED WITH authentication_jwt"
    assert error(make_singlestore().connect(), create) == 1396
    lenient = make_singlestore(behaviour=Behaviour(jwt_requires_ssl=False))
    assert lenient.double is not None
    assert error(lenient.connect(), create) is None
    lenient.double.add_token("token", "ada")
    assert refusal(lenient, "ada", "token") is None


@pytest.mark.parametrize("plugin", ["authentication_pam AS 'sshd'", "authentication_saml", "authentication_gss AS 'x'"])
def test_other_plugins_ask_elsewhere(make_singlestore: MakeDouble, plugin: str) -> None:
    server = make_singlestore()
    assert server.double is not None
    tell(server.connect(), f"CREATE USER 'ada' IDENTIFIED WITH {plugin}")
    assert refusal(server, "ada", "") is not None
    server.double.add_outside_password("ada", "kept elsewhere")
    assert refusal(server, "ada", "kept elsewhere") is None
    assert refusal(server, "ada", "other") is not None


@pytest.mark.parametrize("holds", [True, False])
def test_whether_a_lock_holds_for_plugins(make_singlestore: MakeDouble, holds: bool) -> None:
    server = make_singlestore(behaviour=Behaviour(lock_holds_for_plugins=holds))
    assert server.double is not None
    server.double.add_outside_password("ada", "x")
    tell(server.connect(), "CREATE USER 'ada' IDENTIFIED WITH authentication_pam", "ALTER USER 'ada' ACCOUNT LOCK")
    assert (refusal(server, "ada", "x") is not None) is holds


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls") / "files")


def server_context(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.certificate, certificates.key)
    return context


def test_require_ssl_wants_tls(make_singlestore: MakeDouble, certificates: Certificates) -> None:
    server = make_singlestore(tls=server_context(certificates))
    tell(server.connect(ssl_disabled=True), "CREATE USER 'ada' IDENTIFIED BY 'x' REQUIRE SSL")
    assert refusal(server, "ada", "x", ssl_disabled=True) is not None
    own = server.connect("ada", "x", ssl={"ca": str(certificates.authority)})
    assert ask(own, "SELECT CURRENT_USER()") == [("ada@%",)]
    tell(server.connect(ssl_disabled=True), "ALTER USER 'ada' REQUIRE NONE")
    assert refusal(server, "ada", "x", ssl_disabled=True) is None


def test_require_x509_wants_a_certificate_of_the_client(
    make_singlestore: MakeDouble, certificates: Certificates
) -> None:
    context = server_context(certificates)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(certificates.authority)
    server = make_singlestore("9.1", tls=context)
    tell(server.connect(ssl_disabled=True), "CREATE USER 'ada' IDENTIFIED BY 'x' REQUIRE X509")
    assert refusal(server, "ada", "x", ssl={"ca": str(certificates.authority)}) is not None


def test_a_client_that_does_not_trust_the_certificate_leaves(
    make_singlestore: MakeDouble, certificates: Certificates, tmp_path: Path
) -> None:
    server = make_singlestore(tls=server_context(certificates))
    other = make_certificates(tmp_path / "other")
    refused = refusal(server, "root", server.address.password, ssl={"ca": str(other.authority)})
    assert refused is not None
    assert refused[0] == 2003
    assert server.connect(ssl_disabled=True).open


def test_too_many_failures_lock_for_a_while_on_that_node(make_singlestore: MakeDouble) -> None:
    server = make_singlestore(aggregators=2)
    double = server.double
    assert double is not None
    double.seed(["ada"])
    double.execute("ALTER USER 'ada' SET FAILED_LOGIN_ATTEMPTS = 2 PASSWORD_LOCK_TIME = 60")
    status = "SELECT ACCOUNT_STATUS FROM information_schema.USERS WHERE `USER` = 'ada'"
    root = server.connect()
    for _ in range(2):
        assert refusal(server, "ada", "x") is not None
    assert refusal(server, "ada", "password-of-ada") is not None
    assert ask(root, status) == [("LOCKED",)]
    other = double.address(2, "ada", "password-of-ada")
    pymysql.connect(host=other.host, port=other.port, user=other.user, password=other.password).close()
    double.advance(61)
    assert refusal(server, "ada", "password-of-ada") is None
    assert ask(root, status) == [("OPEN",)]


def test_unlock_ends_a_lock_for_failures(make_singlestore: MakeDouble) -> None:
    server = make_singlestore("7.8")
    assert server.double is not None
    root = server.connect()
    tell(root, "CREATE ROLE 'strict' WITH FAILED_LOGIN_ATTEMPTS = 1 PASSWORD_LOCK_TIME = 60", "CREATE GROUP 'all'")
    tell(root, "CREATE USER 'ada' IDENTIFIED BY 'x'", "GRANT ROLE 'strict' TO 'all'", "GRANT GROUP 'all' TO 'ada'")
    assert refusal(server, "ada", "wrong") is not None
    assert refusal(server, "ada", "x") is not None
    tell(root, "ALTER USER 'ada' ACCOUNT UNLOCK")
    assert refusal(server, "ada", "x") is None


@pytest.mark.parametrize(("choice", "password"), [("most exact", "b"), ("widest", "a")])
def test_which_of_two_hosts_counts(
    make_singlestore: MakeDouble, choice: Literal["most exact", "widest"], password: str
) -> None:
    server = make_singlestore(behaviour=Behaviour(host_choice=choice))
    root = server.connect()
    tell(root, "CREATE USER 'ada'@'%' IDENTIFIED BY 'a'", "CREATE USER 'ada'@'127.0.0.1' IDENTIFIED BY 'b'")
    assert refusal(server, "ada", password) is None
    assert refusal(server, "ada", "b" if password == "a" else "a") is not None


def test_a_host_that_does_not_fit_is_no_way_in(singlestore: Server) -> None:
    ada = singlestore.name("ada")
    ask(singlestore.connect(), "CREATE USER %s@'10.255.255.254' IDENTIFIED BY 'x'", ada)
    assert refusal(singlestore, ada, "x") is not None


def test_the_limit_of_connections(make_singlestore: MakeDouble) -> None:
    server = make_singlestore()
    root = server.connect()
    tell(root, "SET GLOBAL max_connections = 2")
    second = server.connect()
    refused = refusal(server, "root", server.address.password)
    assert refused is not None
    assert refused[0] == 1040
    tell(root, "SET GLOBAL max_connections = 10")
    second.close()


def test_a_database_without_a_right_in_it_can_not_be_used(make_singlestore: MakeDouble) -> None:
    server = make_singlestore()
    assert server.double is not None
    server.double.seed(["ada"])
    refused = refusal(server, "ada", "password-of-ada", database="shop")
    assert refused is not None
    assert refused[0] == 1044
    server.double.execute("GRANT SELECT ON shop.* TO 'ada'")
    assert refusal(server, "ada", "password-of-ada", database="shop") is None
