"""Settings of the engine: what an operator may write, and the one line that says what is wrong."""

from __future__ import annotations

import ssl

import pytest
from engine_world import engine_settings
from scim_gateway_singlestore_engine.settings import TYPES, EngineSettings

from scim_gateway.app import load_backend
from scim_gateway.config import ConfigurationError
from scim_gateway.definitions import standard_resource_types


def refusal(tmp_path, **chosen) -> str:
    with pytest.raises(ConfigurationError) as caught:
        engine_settings(tmp_path, 3306, **chosen)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_what_is_needed_is_said_when_it_is_missing(tmp_path):
    assert "needs engine_url, such as singlestore://USER@HOST:3306" in refusal(tmp_path, url=None)
    assert "needs engine_password" in refusal(tmp_path, password=None)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://gw@db.example.com:3306/",
        "singlestore://db.example.com:3306/",
        "singlestore://gw@:3306/",
        "singlestore://gw@db.example.com:3306/scim",
        "singlestore://gw@db.example.com:port/",
        "singlestore://gw@db.example.com/?ssl=0",
        "db.example.com",
        "singlestore://gw:1#secret@db.example.com",
        "singlestore://gw:1?secret@db.example.com",
    ],
)
def test_an_address_that_is_none_is_refused_with_the_form(tmp_path, url):
    text = refusal(tmp_path, url=url)
    assert "singlestore://USER@HOST:3306" in text
    assert "secret" not in text


def test_a_password_in_the_address_is_refused_and_not_repeated(tmp_path):
    text = refusal(tmp_path, url="singlestore://gw:geheim@db.example.com/")
    assert "engine_password_file" in text
    assert "geheim" not in text


@pytest.mark.parametrize(
    ("url", "host", "port", "user", "encrypted"),
    [
        ("singlestore://gw@127.0.0.1", "127.0.0.1", 3306, "gw", False),
        ("singlestore://gw@[::1]:3307/", "::1", 3307, "gw", False),
        ("singlestore://scim%40gw@localhost:1", "localhost", 1, "scim@gw", False),
        ("singlestore://gw@db.example.com:3306/", "db.example.com", 3306, "gw", True),
        ("singlestore://gw@10.0.0.5:3306/", "10.0.0.5", 3306, "gw", True),
    ],
)
def test_only_this_machine_is_reached_without_tls(tmp_path, url, host, port, user, encrypted):
    there = engine_settings(tmp_path, 1, url=url).endpoint
    assert (there.host, there.port, there.user, there.tls is not None) == (host, port, user, encrypted)
    if there.tls is not None:
        assert there.tls.verify_mode is ssl.CERT_REQUIRED
        assert there.tls.check_hostname
        assert there.tls.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_a_file_of_authorities_that_holds_none_is_refused(tmp_path):
    (tmp_path / "ca.pem").write_text("no certificate")
    assert "engine_tls_ca" in refusal(tmp_path, tls_ca=str(tmp_path / "ca.pem"))
    assert "No such file" in refusal(tmp_path, tls_ca=str(tmp_path / "none.pem"))


@pytest.mark.parametrize(
    ("written", "plugin", "text"),
    [
        ("jwt", "authentication_jwt", None),
        ("pam:s2_pam", "authentication_pam", "s2_pam"),
        ("saml", "authentication_saml", None),
        ("gssapi:{name}@EXAMPLE.COM", "authentication_gss", "ada@EXAMPLE.COM"),
        ("password", None, "secret"),
    ],
)
def test_how_accounts_log_in(tmp_path, written, plugin, text):
    chosen = engine_settings(tmp_path, 1, authentication=written, require="ssl").authentication
    identified = chosen.identified("ada", "secret")
    assert (identified.plugin, identified.text) == (plugin, text)
    assert chosen.plugin in TYPES
    assert "secret" not in repr(identified)


@pytest.mark.parametrize("written", ["", "ldap", "pam", "pam:", "jwt:x", "saml:x", "gssapi", "password:x", "pam:it's"])
def test_a_way_of_log_in_that_is_none_is_refused(tmp_path, written):
    assert refusal(tmp_path, authentication=written, require="ssl").startswith("engine_authentication")


def test_who_logs_in_by_token_needs_an_encrypted_connection(tmp_path):
    assert "token" in refusal(tmp_path, authentication="jwt", require="none")


@pytest.mark.parametrize(
    ("chosen", "limit"),
    [
        ({"authentication": "jwt", "require": "ssl"}, 320),
        ({"authentication": "password"}, 32),
        ({"authentication": "jwt", "require": "ssl", "user_name_limit": 32}, 32),
    ],
)
def test_how_long_a_name_may_be_is_settled_by_the_settings_alone(tmp_path, chosen, limit):
    assert engine_settings(tmp_path, 1, **chosen).rules["User"].limit == limit


@pytest.mark.parametrize(
    "attribute",
    ["nickName", "name.familyName", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber"],
)
def test_the_name_may_come_from_any_text_that_a_user_has_once(tmp_path, attribute):
    assert str(engine_settings(tmp_path, 1, user_attribute=attribute).attribute) == attribute


@pytest.mark.parametrize(
    ("attribute", "reason"),
    [("nick", "no such attribute"), ("emails", "once"), ("emails.value", "once"), ("active", "once"), ("name", "once")],
)
def test_an_attribute_that_gives_no_name_is_refused(tmp_path, attribute, reason):
    assert reason in refusal(tmp_path, user_attribute=attribute)


@pytest.mark.parametrize(
    ("chosen", "named"),
    [
        ({"user_name_steps": ("reverse",)}, "engine_user_name_steps has 'reverse'"),
        ({"group_name_steps": ("prefix:",)}, "engine_group_name_steps has 'prefix:'"),
        ({"resource_pool": "a b"}, "engine_resource_pool"),
        ({"roles": {"eng": []}}, "engine_roles"),
        ({"roles": {"eng": [1]}}, "engine_roles"),
    ],
)
def test_what_makes_no_sense_is_named(tmp_path, chosen, named):
    assert named in refusal(tmp_path, **chosen)


def test_patterns_ignore_case_and_look_alikes(tmp_path):
    settings: EngineSettings = engine_settings(tmp_path, 1, protected_users=("svc_*", "Root?"), groups=("Eng*",))
    patterns = settings.protected["User"]
    assert patterns.match("SVC_backup")
    assert patterns.match("root1")
    assert patterns.match("\uff53\uff56\uff43_x")
    assert not patterns.match("root12")
    assert settings.groups.match("ENGINEERING")
    assert not settings.groups.match("sales")


def test_nothing_of_the_password_is_shown(tmp_path):
    settings = engine_settings(tmp_path, 1, password="geheim-geheim")
    assert "geheim" not in repr(settings)


@pytest.mark.parametrize("name", ["engine", "portal", "engine+portal"])
def test_an_application_that_gives_some_settings_only_gets_the_defaults_or_one_clear_line(tmp_path, name):
    types = standard_resource_types()
    backend = load_backend(name)
    with pytest.raises(ConfigurationError, match=r"needs (engine_url|an API key)"):
        backend.from_settings({"data_dir": str(tmp_path)}, types)
    given = {"engine_url": "singlestore://scim_gw@127.0.0.1:3306/", "engine_password": "x", "portal_api_key": "y"}
    backend.from_settings({"data_dir": str(tmp_path), **given}, types).close()
