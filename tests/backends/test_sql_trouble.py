"""What is answered, logged and checked when a database server does not let us, or is not as it should be."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pymysql
import pytest
import scim_gateway_sql.connections
from scim_gateway_sql import SqlBackend
from scim_gateway_sql.failures import Contended, Duplicate, Locked, Lost, Refused, meaning_of
from scim_gateway_sql.mysql import ServerAddress
from servers.fault_proxy import FaultProxy
from servers.mariadb import PASSWORD, MariaDb
from sqlalchemy.exc import OperationalError

from scim_gateway.backend import Finding
from scim_gateway.errors import PayloadTooLarge, Unavailable
from scim_gateway.testing import create, get, suite_resource_types, user

TYPES = suite_resource_types()


@pytest.fixture
def backend(mariadb: str) -> Iterator[SqlBackend]:
    backend = SqlBackend.from_settings({"database_url": mariadb}, TYPES)
    yield backend
    backend.close()


def database_of(url: str) -> str:
    return url.rpartition("/")[2]


def refused(number: int, text: str = "of the server") -> Exception:
    return meaning_of(OperationalError("INSERT", {}, pymysql.OperationalError(number, text)))


def test_errors_are_told_apart_by_number_whatever_their_class() -> None:
    assert isinstance(meaning_of(OperationalError("x", {}, pymysql.IntegrityError(1062, ""))), Duplicate)
    assert not isinstance(meaning_of(OperationalError("x", {}, pymysql.IntegrityError(1048, "null"))), Duplicate)
    for number in (1205, 1213, 1614):
        assert isinstance(refused(number), Locked)
    for number in (1053, 1218, 1317, 1927, 2003, 2006, 2013, 2055):
        assert isinstance(refused(number), Lost)
    for number in (1044, 1045, 1142, 1227, 1049, 1130, 1698):
        assert isinstance(refused(number), Refused)
    for number in (1040, 1203, 1290, 1021, 1114):
        found = refused(number)
        assert isinstance(found, Unavailable)
        assert not isinstance(found, Refused | Lost | Locked)
    assert isinstance(refused(1153), PayloadTooLarge)
    for number in (1064, 1054, 1406):
        assert isinstance(refused(number), OperationalError)


def test_what_the_server_says_stays_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        found = refused(1045, "Access denied for user 'gateway'@'10.1.2.3' (using password: YES)")
    assert isinstance(found, Unavailable)
    assert "10.1.2.3" not in found.detail
    assert "10.1.2.3" in caplog.text


def test_a_contended_write_is_stale_to_the_core() -> None:
    contended = Contended(Locked("busy", retry_after=1))
    assert contended.reason.headers["Retry-After"] == "1"


def statement_error(url: str, **settings: str) -> tuple[str, Finding]:
    """What a request is answered, and what the check says, where the database cannot be used."""
    backend = SqlBackend.from_settings({"database_url": url, **settings}, TYPES)
    with pytest.raises(Unavailable) as raised:
        create(backend, user("ada"))
    (finding,) = backend.check()
    backend.close()
    assert not finding.ok
    assert finding.remedy
    for text in (raised.value.detail, finding.message, finding.remedy):
        assert "\n" not in text
        assert PASSWORD not in text
    return raised.value.detail, finding


def test_a_wrong_password_is_said_in_one_line(mariadb: str) -> None:
    detail, finding = statement_error(mariadb.replace(PASSWORD, "wrong"))
    assert "refuses the gateway's user name or password" in detail
    assert "as admin" in finding.message


def test_an_unknown_database_is_said_in_one_line(mariadb_server: MariaDb) -> None:
    detail, finding = statement_error(mariadb_server.url("no_such_database"))
    assert "does not exist" in detail
    assert "no_such_database at 127.0.0.1" in finding.message


def test_a_server_that_is_not_there_is_said_in_one_line(
    mariadb_server: MariaDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scim_gateway_sql.connections, "CONNECT_SECONDS", 0.1)
    proxy = FaultProxy(mariadb_server.port)
    proxy.close()
    detail, finding = statement_error(mariadb_server.url("scim", port=proxy.port))
    assert detail == "The database server cannot be reached."
    assert f"127.0.0.1:{proxy.port}" in finding.message


@pytest.fixture
def account(mariadb_server: MariaDb, mariadb: str) -> Iterator[Callable[[str], str]]:
    """Gives an account with some rights to the database; the URL of it."""

    def grant(rights: str) -> str:
        mariadb_server.query(f"CREATE OR REPLACE USER gateway@'%' IDENTIFIED BY '{PASSWORD}'")
        mariadb_server.query(f"GRANT {rights} ON {database_of(mariadb)}.* TO gateway@'%'")
        return mariadb.replace("admin:", "gateway:")

    yield grant
    mariadb_server.query("DROP USER IF EXISTS gateway@'%'")


def test_an_account_without_rights_to_make_tables_is_told_which_it_needs(account: Callable[[str], str]) -> None:
    detail, finding = statement_error(account("SELECT, INSERT, UPDATE, DELETE"))
    assert "lacks a privilege" in detail
    assert "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, DROP ON `scim_" in finding.remedy
    assert "TO 'gateway'@" in finding.remedy


def test_an_account_with_no_more_rights_than_it_needs_serves_once_the_tables_are_there(
    backend: SqlBackend, account: Callable[[str], str]
) -> None:
    create(backend, user("ada"))
    narrow = SqlBackend.from_settings({"database_url": account("SELECT, INSERT, UPDATE, DELETE")}, TYPES)
    create(narrow, user("bob"))
    assert [finding for finding in narrow.check() if not finding.ok] == []
    narrow.close()


def test_an_account_for_tls_only_that_is_refused_without_is_told_the_setting(
    account: Callable[[str], str], mariadb_server: MariaDb
) -> None:
    url = account("ALL PRIVILEGES")
    mariadb_server.query("ALTER USER gateway@'%' REQUIRE SSL")
    _, finding = statement_error(url)
    assert "refuses the gateway's user name or password" in finding.message
    assert "REQUIRE SSL needs SCIM_GATEWAY_DATABASE_TLS=required: TLS is off" in finding.remedy
    authority = str(mariadb_server.certificates.authority)
    settings = {"database_url": url, "database_tls": "required", "database_tls_ca": authority}
    backend = SqlBackend.from_settings(settings, TYPES)
    assert [found for found in backend.check() if not found.ok] == []
    backend.close()


def test_an_account_that_may_only_read_is_told_what_it_lacks(
    backend: SqlBackend, account: Callable[[str], str]
) -> None:
    ada = user("ada")
    create(backend, ada)
    reader = SqlBackend.from_settings({"database_url": account("SELECT")}, TYPES)
    assert get(reader, ada) == ada
    with pytest.raises(Unavailable, match="lacks a privilege"):
        create(reader, user("bob"))
    (wrong,) = [finding for finding in reader.check() if not finding.ok]
    assert wrong.subject == "privileges"
    assert "GRANT SELECT, INSERT, UPDATE, DELETE ON" in wrong.remedy
    reader.close()


def test_the_check_looks_at_all_that_matters(backend: SqlBackend) -> None:
    create(backend, user("ada"))
    findings = {finding.subject: finding for finding in backend.check()}
    assert findings.keys() == {
        "database", "version", "tls", "isolation", "durability", "largest resource", "clock", "schema", "privileges",
        "content",
    }  # fmt: skip
    assert "MariaDB" in findings["version"].message
    assert "127.0.0.1" in findings["database"].message


def test_the_check_warns_of_commits_that_are_not_flushed(backend: SqlBackend, mariadb_server: MariaDb) -> None:
    mariadb_server.query("SET GLOBAL innodb_flush_log_at_trx_commit = 2")
    try:
        (wrong,) = [finding for finding in backend.check() if not finding.ok]
    finally:
        mariadb_server.query("SET GLOBAL innodb_flush_log_at_trx_commit = 1")
    assert (wrong.subject, wrong.message) == ("durability", "innodb_flush_log_at_trx_commit=2")


def test_the_check_warns_of_plain_text_over_a_network(monkeypatch: pytest.MonkeyPatch, backend: SqlBackend) -> None:
    monkeypatch.setattr(ServerAddress, "is_local", False)
    (wrong,) = [finding for finding in backend.check() if not finding.ok]
    assert (wrong.subject, wrong.message) == ("tls", "off")


def test_the_check_warns_of_clocks_that_differ(monkeypatch: pytest.MonkeyPatch, backend: SqlBackend) -> None:
    later = datetime.now(UTC) + timedelta(minutes=2)
    monkeypatch.setattr(backend.database, "now", lambda _session: later)
    (wrong,) = [finding for finding in backend.check() if not finding.ok]
    assert wrong.subject == "clock"
    assert "NTP" in wrong.remedy


def test_errors_carry_no_sql_and_no_values_into_answers_or_logs(
    backend: SqlBackend, mariadb_server: MariaDb, mariadb: str, caplog: pytest.LogCaptureFixture
) -> None:
    create(backend, user("ada"))
    mariadb_server.query("DROP TABLE scim_identifier", database_of(mariadb))
    with pytest.raises(Unavailable, match="tables of the directory are missing") as raised:
        create(backend, user("secret-name"))
    for text in (raised.value.detail, caplog.text, str(raised.value.__cause__)):
        assert "secret-name" not in text
