"""Settings: where a value comes from, and the one line that says what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from scim_gateway.config import SETTINGS, ConfigurationError, load

TOKEN = "0123456789abcdef0123456789abcdef"
ROOT = Path(__file__).parent.parent


def toml(folder: Path, text: str, mode: int = 0o600) -> dict[str, str]:
    file = folder / "gateway.toml"
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)
    return {"SCIM_GATEWAY_CONFIG": str(file)}


def refusal(environ: dict[str, str], flags: dict[str, object] | None = None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(environ, flags)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_without_anything_the_defaults_are_in_force():
    settings = load({})
    assert (settings["backend"], settings["base_path"], settings["bind"]) == ("sql", "/scim/v2", "127.0.0.1:8000")
    assert set(settings.origins.values()) == {"default"}


def test_a_flag_wins_over_the_environment_which_wins_over_the_file(tmp_path):
    environ = toml(tmp_path, 'bind = "127.0.0.1:1"\nworkers = 3\nthreads = 4\n')
    environ |= {"SCIM_GATEWAY_BIND": "127.0.0.1:2", "SCIM_GATEWAY_WORKERS": "5"}
    settings = load(environ, {"bind": "127.0.0.1:3", "workers": None})
    assert (settings["bind"], settings["workers"], settings["threads"]) == ("127.0.0.1:3", 5, 4)
    assert settings.origins["bind"] == "--bind"
    assert settings.origins["workers"] == "SCIM_GATEWAY_WORKERS"
    assert settings.origins["threads"] == f"{tmp_path}/gateway.toml: threads"
    assert settings.origins["timeout"] == "default"


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("SCIM_GATEWAY_BAKCEND", "sql", "did you mean SCIM_GATEWAY_BACKEND?"),
        ("SCIM_GATEWAY_DATABASE_UR", "x", "did you mean SCIM_GATEWAY_DATABASE_URL?"),
        ("SCIM_GATEWAY_TOKENFILE", "x", "did you mean SCIM_GATEWAY_TOKEN_FILE?"),
        ("SCIM_GATEWAY_QQQQQQQQQ", "x", "docs/configuration.rst"),
    ],
)
def test_an_unknown_variable_is_named_with_what_was_meant(name, value, meant):
    text = refusal({name: value})
    assert name in text
    assert meant in text


def test_an_unknown_key_of_the_file_is_named_with_what_was_meant(tmp_path):
    assert refusal(toml(tmp_path, "worker = 2")).endswith(
        "gateway.toml: there is no setting worker; did you mean workers?"
    )


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("WORKERS", "two", "a whole number from 1 to 64"),
        ("WORKERS", "0", "a whole number from 1 to 64"),
        ("WORKERS", "1.5", "a whole number from 1 to 64"),
        ("MAX_RESULTS", "-1", "a whole number of at least 1"),
        ("PUBLIC_DISCOVERY", "perhaps", "true or false"),
        ("PROFILE", "octa", "did you mean okta?"),
        ("BIND", "8000", "HOST:PORT"),
        ("BIND", "localhost:99999", "HOST:PORT"),
        ("PUBLIC_URL", "scim.example.com", "an address such as https://"),
        ("PUBLIC_URL", "https://scim.example.com:port/", "an address such as https://"),
        ("BASE_PATH", "/a/../b", "a path such as /scim/v2"),
        ("BASE_PATH", "/a b", "a path such as /scim/v2"),
        ("SCHEMAS", "{", "a JSON array of objects"),
        ("SCHEMAS", '["x"]', "a JSON array of objects"),
        ("LOG_LEVEL", "loud", "one of debug, info, warning, error"),
        ("ENGINE_GROUPS", '["a", 1]', "a list of texts"),
        ("ENGINE_GROUPS", '["a"', "a list of texts"),
        ("ENGINE_ON_RENAME", "cary", "did you mean carry?"),
        ("BREAKER_SHARE", "101", "a whole number from 0 to 100"),
    ],
)
def test_a_wrong_value_is_one_line_with_the_name_and_what_it_has_to_be(variable, value, expected):
    text = refusal({f"SCIM_GATEWAY_{variable}": value})
    assert text.startswith(f"SCIM_GATEWAY_{variable} is {value!r}")
    assert expected in text


@pytest.mark.parametrize(
    ("name", "written", "found"),
    [
        ("data_dir", "data", "{folder}/data"),
        ("data_dir", "../data", "{folder}/../data"),
        ("data_dir", "/var/lib/scim", "/var/lib/scim"),
        ("database_url", "sqlite:///data/scim.db", "sqlite:///{folder}/data/scim.db"),
        ("database_url", "sqlite:////data/scim.db", "sqlite:////data/scim.db"),
        ("database_url", "mysql://gateway@db.example.com/scim", "mysql://gateway@db.example.com/scim"),
        ("database_tls_ca", "ca.pem", "{folder}/ca.pem"),
        ("engine_tls_ca", "ca.pem", "{folder}/ca.pem"),
        ("portal_ca_file", "/etc/ca.pem", "/etc/ca.pem"),
    ],
)
def test_a_path_of_the_file_is_relative_to_its_folder(tmp_path, name, written, found):
    environ = toml(tmp_path, f"{name} = {written!r}")
    (tmp_path / "gateway.toml").chmod(0o600)
    assert load(environ)[name] == found.format(folder=tmp_path)


def test_a_path_of_the_environment_and_the_default_are_relative_to_the_working_folder(tmp_path):
    environ = toml(tmp_path, "workers = 1")
    assert load(environ)["data_dir"] == "data"
    assert load(environ | {"SCIM_GATEWAY_DATA_DIR": "x"})["data_dir"] == "x"


@pytest.mark.parametrize("written", ["eng-*, Data Team", '["eng-*", "Data Team"]'])
def test_a_list_in_the_environment_is_separated_by_commas_or_json(written):
    assert load({"SCIM_GATEWAY_ENGINE_GROUPS": written})["engine_groups"] == ("eng-*", "Data Team")


@pytest.mark.parametrize("keys", ["x" * 31, f"{'x' * 32} y", f"{'x' * 32} {'x' * 32}"])
def test_a_key_of_the_audit_trail_that_is_short_or_there_twice_is_refused_without_being_shown(keys):
    text = refusal({"SCIM_GATEWAY_AUDIT_KEY": keys})
    assert "keys of at least 32 characters without blanks, each once" in text
    assert "xxx" not in text


def test_the_keys_of_the_audit_trail_are_the_new_one_and_the_old_ones(tmp_path):
    new, old = "n" * 32, "o" * 40
    file = tmp_path / "keys"
    file.write_text(f"{new}\n{old}\n")
    file.chmod(0o600)
    assert load({"SCIM_GATEWAY_AUDIT_KEY_FILE": str(file)})["audit_key"] == (new, old)


def test_a_wrong_type_in_the_file_is_refused_with_its_place(tmp_path):
    assert "gateway.toml: workers is '2 '" not in refusal(toml(tmp_path, "workers = true"))
    assert "gateway.toml: workers is True" in refusal(toml(tmp_path, "workers = true"))


def test_an_empty_variable_is_as_good_as_none():
    assert load({"SCIM_GATEWAY_PUBLIC_URL": "", "SCIM_GATEWAY_WORKERS": " "}).origins["workers"] == "default"


def test_an_empty_secret_is_refused_because_somebody_forgot_to_fill_it_in():
    assert refusal({"SCIM_GATEWAY_TOKEN": ""}).startswith("SCIM_GATEWAY_TOKEN is set but empty")


@pytest.mark.parametrize("token", ["short", "x" * 31, "x" * 40 + "!", "with a blank " * 4, "x" * 40 + ",y"])
def test_a_fixed_token_that_is_short_or_cannot_be_sent_stops_the_start_and_is_not_repeated(token):
    text = refusal({"SCIM_GATEWAY_TOKEN": token})
    assert "at least 32" in text
    assert token not in text


def test_a_secret_may_be_the_content_of_a_file(tmp_path):
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    file.chmod(0o640)
    settings = load({"SCIM_GATEWAY_TOKEN_FILE": str(file)})
    assert settings["token"] == TOKEN
    assert settings.origins["token"] == f"SCIM_GATEWAY_TOKEN_FILE ({file})"


def test_the_name_of_a_secret_file_in_the_configuration_is_relative_to_it(tmp_path):
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "token").chmod(0o600)
    assert load(toml(tmp_path, 'token_file = "token"'))["token"] == TOKEN


def test_a_secret_that_everybody_can_read_is_refused_with_the_remedy(tmp_path):
    file = tmp_path / "token"
    file.write_text(TOKEN)
    file.chmod(0o644)
    assert f"chmod 600 {file}" in refusal({"SCIM_GATEWAY_TOKEN_FILE": str(file)})
    assert "chmod 600" in refusal(toml(tmp_path, f'token = "{TOKEN}"', mode=0o644))
    assert load(toml(tmp_path, "workers = 1", mode=0o644))["workers"] == 1


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe"])
def test_a_secret_file_without_a_text_is_refused(tmp_path, content):
    file = tmp_path / "token"
    file.write_bytes(content)
    file.chmod(0o600)
    assert str(file) in refusal({"SCIM_GATEWAY_TOKEN_FILE": str(file)})


def test_a_file_that_is_missing_is_named(tmp_path):
    assert "No such file" in refusal({"SCIM_GATEWAY_TOKEN_FILE": str(tmp_path / "none")})
    assert "No such file" in refusal({"SCIM_GATEWAY_CONFIG": str(tmp_path / "none.toml")})
    assert "is no TOML file" in refusal(toml(tmp_path, "workers ="))


def test_a_secret_given_twice_is_refused(tmp_path):
    assert "keep one" in refusal({"SCIM_GATEWAY_TOKEN": TOKEN, "SCIM_GATEWAY_TOKEN_FILE": "/x"})
    assert "keep one" in refusal(toml(tmp_path, f'token = "{TOKEN}"\ntoken_file = "x"'))


def test_what_kubernetes_says_about_a_service_called_scim_gateway_is_no_setting():
    environ = {
        "SCIM_GATEWAY_SERVICE_HOST": "10.0.0.1",
        "SCIM_GATEWAY_SERVICE_PORT_HTTP": "80",
        "SCIM_GATEWAY_PORT": "tcp://10.0.0.1:80",
        "SCIM_GATEWAY_PORT_80_TCP_ADDR": "10.0.0.1",
    }
    assert set(load(environ).origins.values()) == {"default"}


def test_secrets_are_masked_where_settings_are_shown():
    environ = {
        "SCIM_GATEWAY_TOKEN": TOKEN,
        "SCIM_GATEWAY_DATABASE_URL": "mysql+pymysql://gateway:geh@eim:x@db.example.com:3306/scim?ssl_key=k",
        "SCIM_GATEWAY_BACKEND_OPTIONS": '{"password": "geheim"}',
    }
    shown = {setting.name: value for setting, value, _ in load(environ).shown()}
    assert shown["token"] == shown["backend_options"] == "********"
    assert shown["database_url"] == "mysql+pymysql://gateway:********@db.example.com:3306/scim?********"


@pytest.mark.parametrize(
    ("variable", "value", "shown"),
    [
        ("PUBLIC_URL", "https://a:se/cret@scim.example.com/", "'https://********@scim.example.com/'"),
        ("PORTAL_URL", "https://a:se@cret@api.example.com", "'https://********@api.example.com'"),
        ("PUBLIC_URL", "a:secret@scim.example.com", "'********@scim.example.com'"),
        ("DOCUMENTATION_URI", "ftp://cret:secret@x", "'ftp://********@x'"),
        ("BIND", "a:secret\n@x", "'********@x'"),
    ],
)
def test_a_password_in_a_url_is_not_repeated_where_the_value_is_wrong(variable, value, shown):
    text = refusal({f"SCIM_GATEWAY_{variable}": value})
    assert text.startswith(f"SCIM_GATEWAY_{variable} is {shown}; it has to be ")
    assert "cret" not in text.removeprefix(f"SCIM_GATEWAY_{variable} is ")


def test_a_password_that_stands_in_an_address_by_mistake_is_not_shown_with_the_settings():
    environ = {"SCIM_GATEWAY_ENGINE_URL": "singlestore://gw:ge@heim@db.example.com:3306"}
    shown = {setting.name: value for setting, value, _ in load(environ).shown()}
    assert shown["engine_url"] == "singlestore://gw:********@db.example.com:3306"


def test_the_provider_is_told_what_was_set():
    environ = {"SCIM_GATEWAY_MAX_RESULTS": "50", "SCIM_GATEWAY_FILTER_MAX_DEPTH": "3", "SCIM_GATEWAY_PROFILE": "Strict"}
    provider = load(environ).provider()
    assert (provider.max_results, provider.filter_limits.max_depth, provider.profile) == (50, 3, "strict")
    assert provider.default_count == 50, "a page that nobody asked for is no larger than the largest"


def test_a_declared_schema_extends_a_resource_type(tmp_path):
    text = """
        [[schemas]]
        id = "urn:example:badge"
        name = "Badge"
        attributes = [{name = "colour", type = "string"}]
        [[extensions]]
        resourceType = "User"
        schema = "urn:example:badge"
    """
    user = load(toml(tmp_path, text)).resource_types.by_name["User"]
    assert "urn:example:badge" in {extension.schema.id for extension in user.extensions}


def test_a_declaration_that_makes_no_sense_is_one_line_that_names_the_place(tmp_path):
    text = refusal(toml(tmp_path, '[[extensions]]\nresourceType = "Person"\nschema = "urn:x:y"'))
    assert "gateway.toml: extensions" in text
    assert "Person" in text


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, "http://127.0.0.1:8000/scim/v2"),
        ({"SCIM_GATEWAY_BIND": "0.0.0.0:80"}, "http://127.0.0.1:80/scim/v2"),
        ({"SCIM_GATEWAY_PUBLIC_URL": "https://scim.example.com/scim/v2/"}, "https://scim.example.com/scim/v2"),
    ],
)
def test_the_base_url_that_people_are_told(environ, url):
    assert load(environ).base_url == url


def test_every_setting_is_documented():
    text = (ROOT / "docs" / "configuration.rst").read_text("utf-8")
    for setting in SETTINGS:
        assert f"``{setting.name}``" in text, setting.name
        assert setting.help in text.replace("\n    ", " "), f"{setting.name}: {setting.help}"
        if setting.secret:
            assert f"``{setting.variable}_FILE``" in text, setting.variable


def test_the_example_in_the_documentation_works(tmp_path):
    text = (ROOT / "docs" / "configuration.rst").read_text("utf-8")
    listing = text.split(".. code-block:: toml\n", 1)[1].split("\nAn attribute may", 1)[0]
    user = load(toml(tmp_path, listing)).resource_types.by_name["User"]
    assert any(path.name == "number" for path in user.unique_paths)


def test_a_folder_in_the_place_of_a_secrets_file_is_called_one(tmp_path):
    tmp_path.chmod(0o755)
    with pytest.raises(ConfigurationError) as caught:
        load({"SCIM_GATEWAY_TOKEN_FILE": str(tmp_path)})
    assert (
        str(caught.value) == f"SCIM_GATEWAY_TOKEN_FILE: {tmp_path} is a folder; name the file in which the secret is."
    )


def test_the_settings_on_the_page_for_operating_are_settings(tmp_path):
    text = (ROOT / "docs" / "operating.rst").read_text("utf-8")
    listing = text.split(".. code-block:: toml\n", 1)[1].split("\n``audit.key``", 1)[0]
    for name in ("audit.key", "engine-password"):
        (tmp_path / name).write_text("0123456789abcdef0123456789abcdef")
        (tmp_path / name).chmod(0o640)
    settings = load(toml(tmp_path, listing))
    assert (settings["backend"], settings["trusted_proxies"]) == ("engine", 1)
    assert settings["engine_password"] == "0123456789abcdef0123456789abcdef"
    assert settings["audit_key"] == ("0123456789abcdef0123456789abcdef",)
