"""The command line: what an operator types, what comes back, and with which exit code."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import scim_gateway
from scim_gateway import cli_check, cli_client, cli_simulate
from scim_gateway.app import load_backend
from scim_gateway.backend import Finding
from scim_gateway.cli import main
from scim_gateway.cli_common import json_text
from scim_gateway.config import load
from scim_gateway.serve import prepare
from scim_gateway.simulate import SimulationError, Step
from scim_gateway.tokens import new_token

TOKEN = "0123456789abcdef0123456789abcdef"
Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"SCIM_GATEWAY_DATA_DIR": str(tmp_path / "data")}


@pytest.fixture
def run(environ: dict[str, str]) -> Run:
    def run(*arguments: str, code: int = 0, input: str | None = None, **settings: str) -> Result:
        variables = environ | {f"SCIM_GATEWAY_{name.upper()}": value for name, value in settings.items()}
        result = CliRunner().invoke(main, arguments, obj=variables, input=input)
        assert result.exit_code == code, f"{result.output}\n{result.stderr}\n{result.exception!r}"
        assert "Traceback" not in result.output
        return result

    return run


def error_line(result: Result) -> str:
    """The one line that says what is wrong."""
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    return lines[0]


LOOKING = (
    ["users", "list"],
    ["groups", "show", "x"],
    ["token", "list"],
    ["token", "revoke", "x"],
    ["status"],
    ["targets", "list"],
)


@pytest.mark.parametrize("command", LOOKING, ids=" ".join)
def test_a_command_that_only_looks_makes_no_directory(run, tmp_path, command):
    line = error_line(run(*command, code=1))
    assert line.startswith(f"Error: There is no directory at {tmp_path}/data/scim-gateway.db: ")
    assert "SCIM_GATEWAY_DATA_DIR" in line
    assert not (tmp_path / "data").exists()


def test_a_token_before_the_first_start_says_that_its_directory_is_new(run, tmp_path):
    result = run("token", "create", "okta")
    assert f"There was no directory at {tmp_path}/data/scim-gateway.db: a new one was made." in result.stderr
    assert "There was no directory" not in run("token", "create", "other").stderr


def test_check_says_that_a_directory_is_new(run, tmp_path):
    place = f"{tmp_path}/data/scim-gateway.db"
    assert (
        f"ok   database: {place} was not there and was made; it can be read and written" in run("check", code=1).stdout
    )
    assert f"ok   database: {place} can be read and written" in run("check", code=1).stdout


def test_check_points_out_a_public_path_that_is_not_the_one_that_is_served(run):
    told = run("check", code=1, public_url="https://scim.example.com").stdout
    assert "ok   path: identity providers ask for no path at all, and /scim/v2 is what is served; right only if" in told
    assert "otherwise set SCIM_GATEWAY_PUBLIC_URL=https://scim.example.com/scim/v2\n" in told
    assert "ask for /x, and" in run("check", code=1, public_url="https://scim.example.com/x").stdout
    assert "path:" not in run("check", code=1, public_url="https://scim.example.com/scim/v2").stdout


@pytest.mark.parametrize("content", ["no database" * 100, None])
def test_a_store_that_cannot_be_opened_is_told_once_with_its_place(run, tmp_path, content):
    place = tmp_path / "data" / "scim-gateway.db"
    place.parent.mkdir()
    if content is None:
        place.mkdir()
    else:
        place.write_text(content, "utf-8")
    lines = [line for line in run("check", code=1).stdout.splitlines() if line.startswith("FAIL")]
    assert len(lines) == 1
    assert str(place) in lines[0]
    assert not re.search(r"[.?!][.;]", lines[0])
    for command in (["token", "list"], ["serve"]):
        line = error_line(run(*command, code=1))
        assert str(place) in line


def test_a_file_of_somebody_else_is_told_with_its_owner(run, tmp_path, monkeypatch):
    run("token", "create", "okta")
    place = tmp_path / "data" / "scim-gateway.db"
    monkeypatch.setattr("os.geteuid", lambda: 4_000_000)
    monkeypatch.setattr("os.open", lambda *_: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    monkeypatch.setattr("os.access", lambda *_: False)
    line = error_line(run("token", "list", code=1))
    assert line.startswith(f"Error: The database file {place} cannot be opened: Permission denied ({place} belongs to ")
    assert "and this is user 4000000); SCIM_GATEWAY_DATA_DIR" in line


def test_a_server_that_is_down_is_named_without_the_password(run):
    url = "mysql://gw:sekret@127.0.0.1:1/scim"
    line = error_line(run("token", "list", code=1, database_url=url))
    assert line == (
        "Error: The database server cannot be reached. "
        "(the directory: scim at 127.0.0.1:1; scim-gateway check tells more)"
    )
    lines = [line for line in run("check", code=1, database_url=url).stdout.splitlines() if line.startswith("FAIL")]
    assert len(lines) == 1
    assert "remedy: See that the server runs and listens there" in lines[0]


def test_people_in_the_memory_of_another_process_are_not_said_to_be_none(run):
    assert "in the process that serves" in error_line(run("users", "list", code=2, backend="memory"))
    assert "in the process that serves" in error_line(run("groups", "show", "x", code=2, backend="memory"))


def test_the_version_is_the_packages(run):
    assert run("--version").output == f"scim-gateway {scim_gateway.__version__}\n"


def test_every_command_has_help_with_its_first_line_in_the_overview(run):
    overview = run("--help").output
    assert "Exit codes: 0" in overview
    for name, command in main.commands.items():
        assert name in overview
        assert command.help, name
        for inner in getattr(command, "commands", {}).values():
            assert inner.help, f"{name} {inner.name}"


@pytest.mark.parametrize("arguments", [["nonsense"], ["serve", "--nonsense"], ["token", "create"], ["simulate", "x"]])
def test_wrong_usage_is_exit_code_2(run, arguments):
    assert "Error:" in run(*arguments, code=2).stderr


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"bakcend": "sql"}, "There is no setting SCIM_GATEWAY_BAKCEND; did you mean SCIM_GATEWAY_BACKEND?"),
        ({"backend": "sqll"}, "There is no backend 'sqll'; did you mean sql? Your own is named as module:Class."),
        ({"backend": "nowhere:Backend"}, "The backend 'nowhere:Backend' cannot be loaded: No module named 'nowhere'."),
        ({"backend": "json:dumps"}, "is no class that inherits scim_gateway.backend.Backend."),
        ({"backend": "json:Nothing"}, "cannot be loaded: module 'json' has no attribute 'Nothing'."),
        ({"database_url": "nonsense"}, "database_url is no database URL"),
    ],
)
@pytest.mark.parametrize("command", [["check"], ["serve"], ["users", "list"]])
def test_a_wrong_configuration_is_one_line_and_exit_code_2(run, command, settings, line):
    assert line in error_line(run(*command, code=2, **settings))


def test_a_token_is_shown_once_and_only_its_hash_is_kept(run, tmp_path):
    result = run("token", "create", "okta", "--expires", "90d", "--scope", "read", "--profile", "okta")
    text = result.stdout.strip()
    assert text.startswith("scimgw_")
    listed = run("token", "list")
    assert text not in listed.output
    assert "okta  read  profile okta" in listed.output
    for file in (tmp_path / "data").iterdir():
        assert text.encode() not in file.read_bytes()


def test_tokens_are_listed_as_json_for_scripts(run):
    made = json.loads(run("token", "create", "okta", "--json").stdout)
    (listed,) = json.loads(run("token", "list", "--json").output)
    assert listed["id"] == made["id"]
    assert listed["scopes"] == ["read", "write"]
    assert (listed["expired"], listed["expires"], "token" in listed) == (False, None, False)


def test_a_token_can_be_written_to_a_file_of_its_owner_alone(run, tmp_path):
    file = tmp_path / "token"
    result = run("token", "create", "okta", "--to", str(file))
    assert "scimgw_" not in result.output
    assert file.read_text().startswith("scimgw_")
    assert file.stat().st_mode & 0o777 == 0o600
    assert "cannot be created" in error_line(run("token", "create", "other", "--to", str(file), code=1))
    assert "other" not in run("token", "list").output, "a token that nobody has is not kept"


@pytest.mark.parametrize("by", ["id", "name"])
def test_a_token_is_revoked_by_id_or_name(run, by):
    made = json.loads(run("token", "create", "okta", "--json").stdout)
    assert made["id"] in run("token", "revoke", made[by]).output
    assert json.loads(run("token", "list", "--json").output) == []
    assert "There is no token" in error_line(run("token", "revoke", made[by], code=1))


def test_two_tokens_of_one_name_would_be_confused(run):
    run("token", "create", "okta")
    assert "already" in error_line(run("token", "create", "okta", code=1))


@pytest.mark.parametrize("expires", ["soon", "2020-01-01", "0d", "99999y", "-1d"])
def test_an_expiry_that_makes_no_sense_is_refused(run, expires):
    assert "Error:" in run("token", "create", "okta", f"--expires={expires}", code=2).stderr


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 101])
def test_a_token_needs_a_name_that_fits_on_a_line(run, name):
    run("token", "create", name, code=2)


def test_tokens_of_the_memory_backend_cannot_be_made_from_outside(run):
    assert "SCIM_GATEWAY_TOKEN" in error_line(run("token", "create", "x", code=2, backend="memory"))


def test_config_show_masks_secrets_and_names_origins(run):
    output = run("config", "show", token=TOKEN, workers="3").output
    assert TOKEN not in output
    assert "********  (SCIM_GATEWAY_TOKEN)" in output
    assert "3  (SCIM_GATEWAY_WORKERS)" in output
    rows = {row["name"]: row for row in json.loads(run("config", "show", "--json", token=TOKEN).output)}
    assert rows["token"] == {"name": "token", "value": "********", "origin": "SCIM_GATEWAY_TOKEN"}
    assert rows["bind"]["origin"] == "default"


def test_config_show_describe_says_what_every_setting_means(run):
    output = run("config", "show", "--describe").output
    assert "SCIM_GATEWAY_TRUSTED_PROXIES\n    How many proxies" in output


def test_a_configuration_file_can_be_named_by_a_flag(run, tmp_path):
    file = tmp_path / "gateway.toml"
    file.write_text("workers = 7\n")
    assert f"7  ({file}: workers)" in run("--config", str(file), "config", "show").output
    assert "cannot be read" in error_line(run("--config", str(tmp_path / "none"), "config", "show", code=2))


def test_check_finds_a_gateway_without_a_token_and_says_what_to_do(run):
    result = run("check", code=1)
    assert "FAIL tokens: there is no valid token; remedy: scim-gateway token create NAME" in result.output
    assert "the first start on a terminal makes one, too" in result.output
    run("token", "create", "okta")
    assert "ok   tokens: 1 valid" in run("check").output


@pytest.mark.parametrize("backend", ["sql", "memory"])
def test_check_and_serve_say_where_the_token_that_is_set_comes_from(run, environ, tmp_path, backend):
    (tmp_path / "secret").write_text(TOKEN)
    (tmp_path / "secret").chmod(0o600)
    file = tmp_path / "gateway.toml"
    file.write_text('token_file = "secret"\n')
    origin = f"{file}: token_file ({tmp_path}/secret)"
    tokens = {"sql": f"0 valid, and one is set by {origin}", "memory": f"one is set by {origin}"}
    found = run("--config", str(file), "check", backend=backend).output
    assert f"ok   tokens: {tokens[backend]}\n" in found
    settings = load(environ | {"SCIM_GATEWAY_CONFIG": str(file), "SCIM_GATEWAY_BACKEND": backend})
    assert f"Authorization: the token in {origin}" in prepare(settings).lines


def test_check_tells_of_tokens_that_have_expired_and_of_those_that_will_soon(run, environ):
    settings = load(environ)
    backend = load_backend("sql").from_settings(settings, settings.resource_types)
    backend.tokens.add(new_token("old", expires=datetime(2020, 1, 1, tzinfo=UTC))[1])
    backend.close()
    assert "FAIL tokens: there is no valid token: old has expired" in run("check", code=1).output
    run("token", "create", "okta", "--expires", "90d")
    assert "ok   tokens: 1 valid; old has expired\n" in run("check").output
    run("token", "create", "night", "--expires", "12h")
    said = run("check").output
    assert "ok   tokens: 2 valid; old has expired, night expires 20" in said
    assert "Z; make the next one (scim-gateway token create NAME)" in said


def test_check_as_json_has_subject_verdict_and_remedy(run):
    findings = json.loads(run("check", "--json", code=1).output)
    assert {"subject": "tokens", "ok": False}.items() <= findings[-1].items()
    assert findings[-1]["remedy"]


def test_check_of_a_store_that_cannot_be_opened_is_a_finding(run, tmp_path):
    (tmp_path / "file").write_text("no folder")
    result = run("check", code=1, data_dir=str(tmp_path / "file"))
    assert "FAIL" in result.output


def test_users_and_groups_are_listed_and_shown(run, environ):
    from scim_gateway.app import create_app

    app = create_app(environ | {"SCIM_GATEWAY_TOKEN": TOKEN})
    client = app.test_client()
    headers = {"Authorization": TOKEN}
    schemas = "urn:ietf:params:scim:schemas:core:2.0:"
    ids = []
    for name in ("ann", "bob", "eve\x1b\x9b\u202e"):
        body = {"schemas": [f"{schemas}User"], "userName": name[:3], "displayName": f"{name} x"}
        ids.append(client.post("/scim/v2/Users", json=body, headers=headers).json["id"])
    group = {"schemas": [f"{schemas}Group"], "displayName": "staff", "members": [{"value": ids[0]}]}
    group_id = client.post("/scim/v2/Groups", json=group, headers=headers).json["id"]
    app.extensions["scim-gateway"].backend.close()

    listed = run("users", "list").output
    assert f"{ids[0]}  ann  active  ann x\n" in listed
    assert "\x1b" not in listed, "a name does not drive the terminal"
    assert run("users", "list", "--filter", 'userName eq "bob"').output.split()[1] == "bob"
    assert len(run("users", "list", "--limit", "2").output.splitlines()) == 2
    assert [user["userName"] for user in json.loads(run("users", "list", "--json").output)] == ["ann", "bob", "eve"]
    assert json.loads(run("users", "show", ids[1]).output)["userName"] == "bob"
    for told in (run("users", "show", "eve").output, run("users", "list", "--json").output):
        assert "eve\\u001b\\u009b\\u202e x" in told, "nor does it in JSON"
    assert json.loads(run("users", "show", "ANN").output)["id"] == ids[0]
    assert '"xx" is not supported' in error_line(run("users", "list", "--filter", "userName xx", code=1))
    assert run("groups", "list").output == f"{group_id}  staff  1 member\n"
    assert json.loads(run("groups", "show", "staff").output)["members"][0]["value"] == ids[0]
    assert "no user" in error_line(run("users", "show", 'x" or "', code=1))
    assert "no group" in error_line(run("groups", "show", "nobody", code=1))


@pytest.mark.parametrize("what", ["users", "groups"])
def test_the_filter_that_the_help_shows_is_one_that_works(run, what):
    example = re.search(r"such as '([^']+)'", " ".join(run(what, "list", "--help").output.split()))
    assert example is not None
    run("token", "create", "okta")  # there is a directory
    run(what, "list", "--filter", example[1])


@pytest.mark.parametrize(("idp", "words"), [("okta", "SCIM connector base URL"), ("entra", "Tenant URL")])
def test_the_setup_steps_have_this_gateways_own_address(run, idp, words):
    url = "https://scim.example.com/scim/v2"
    output = run(idp, public_url=url).output
    assert f"{words}: {url}" in output
    assert "proxy" not in output
    assert "TLS-terminating proxy" in run(idp).output
    assert words in json.loads(run(idp, "--json").output)


@pytest.mark.parametrize(("good", "code"), [(True, 0), (False, 1)])
def test_simulate_reports_each_step_and_its_exit_code_tells_the_verdict(run, monkeypatch, good, code):
    def play(idp, url, token, report, **options):
        assert (idp, url, token) == ("okta", "http://127.0.0.1:1/scim/v2", TOKEN)
        report(Step("create user", good, "201", "POST /Users"))
        return good

    monkeypatch.setattr(cli_simulate.simulation, "run", play)
    result = run("simulate", "okta", "--url", "http://127.0.0.1:1/scim/v2", code=code, token=TOKEN)
    assert f"{'ok  ' if good else 'FAIL'} create user" in result.output
    monkeypatch.setattr(cli_client, "at_terminal", lambda: True)
    asked = run("simulate", "okta", "--url", "http://127.0.0.1:1/scim/v2", "--json", code=code, input=f"{TOKEN}\n")
    assert json.loads(asked.stdout)["ok"] is good
    assert TOKEN not in asked.output


CLIENTS = pytest.mark.parametrize("client", [("simulate", "okta"), ("bench", "--yes")], ids=["simulate", "bench"])
UNREACHABLE = ("--url", "http://127.0.0.1:9/scim/v2")


@CLIENTS
def test_without_a_token_and_a_terminal_nobody_is_asked(run, client):
    result = run(*client, *UNREACHABLE, code=2)
    assert error_line(result) == "Error: There is no token: give --token-file, or set SCIM_GATEWAY_TOKEN_FILE."


@CLIENTS
def test_an_empty_token_is_none(run, client):
    assert "There is no token" in error_line(run(*client, *UNREACHABLE, "--token-file", "-", code=2, input="\n"))


@CLIENTS
def test_a_file_with_a_token_that_everybody_can_read_is_refused(run, client, tmp_path):
    path = tmp_path / "token"
    path.write_text(TOKEN)
    path.chmod(0o644)
    assert f"chmod 600 {path}" in error_line(run(*client, *UNREACHABLE, "--token-file", str(path), code=2))
    path.chmod(0o600)
    assert "chmod" not in run(*client, *UNREACHABLE, "--token-file", str(path), code=1).output


@CLIENTS
def test_a_file_with_a_token_that_there_is_not_is_one_line(run, client, tmp_path):
    line = error_line(run(*client, *UNREACHABLE, "--token-file", str(tmp_path / "gone"), code=2))
    assert f"{tmp_path / 'gone'} cannot be read" in line


@CLIENTS
def test_a_url_with_a_password_is_refused_and_not_repeated(run, client):
    line = error_line(run(*client, "--url", "http://u:sekret@127.0.0.1:9/scim/v2", code=2, token=TOKEN))
    assert "credentials" in line
    assert "sekret" not in line


def test_simulate_takes_the_token_from_a_file_or_standard_input(run, monkeypatch, tmp_path):
    tokens = []
    monkeypatch.setattr(cli_simulate.simulation, "run", lambda idp, url, token, report, **_: not tokens.append(token))
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    (tmp_path / "token").chmod(0o600)
    run("simulate", "entra", "--url", "http://x", "--token-file", str(tmp_path / "token"))
    run("simulate", "entra", "--url", "http://x", "--token-file", "-", input="other\n")
    assert tokens == [TOKEN, "other"]


def test_simulate_with_arguments_that_make_no_sense_is_exit_code_2(run, monkeypatch):
    def play(*_, **__):
        raise SimulationError("That is no address.")

    monkeypatch.setattr(cli_simulate.simulation, "run", play)
    assert error_line(run("simulate", "okta", "--url", "x", code=2, token=TOKEN)) == "Error: That is no address."


def test_no_command_takes_a_secret_as_an_argument():
    def options(command):
        for inner in getattr(command, "commands", {}).values():
            yield from options(inner)
        yield from (name for parameter in command.params for name in parameter.opts)

    assert not {"--token", "--password", "--secret"} & set(options(main))


def test_the_installed_command_and_the_module_are_the_same():
    path = os.pathsep.join(entry for entry in sys.path if entry)
    done = subprocess.run(
        [sys.executable, "-c", "from scim_gateway.cli import main; main()", "config", "show"],
        env={"PYTHONPATH": path, "SCIM_GATEWAY_WORKER": "2"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr == "Error: There is no setting SCIM_GATEWAY_WORKER; did you mean SCIM_GATEWAY_WORKERS?\n"


@pytest.mark.parametrize("hidden", ["\x1b", "\x7f", "\x9b31m", "\u202e", "\u2028", "\u200b", "\U000e0041"])
def test_json_holds_each_character_and_shows_none_that_a_terminal_obeys_or_hides(hidden):
    document = {"displayName": f"Zoë {hidden}\N{GRINNING FACE}", "members": [{"display": f"{hidden}漢字"}]}
    for indented in (False, True):
        text = json_text(document, indented=indented)
        assert json.loads(text) == document
        assert all(char.isprintable() or char == "\n" for char in text)
        assert all(readable in text for readable in ("Zoë", "\N{GRINNING FACE}", "漢字"))


def test_what_the_gateway_would_log_is_on_standard_error_but_not_twice(run, monkeypatch):
    monkeypatch.setattr(logging.getLogger("scim_gateway"), "handlers", [])

    def look(_gateway):
        log = logging.getLogger("scim_gateway.anything")
        log.info("of no interest")
        log.warning("an account stays locked")
        log.error("the Engine refuses the account", extra={"told": True})
        yield Finding("engine", True, "the Engine refuses the account")

    monkeypatch.setattr(cli_check, "_store", look)
    result = run("check")
    assert result.stderr == "an account stays locked\n"
    assert result.stdout.count("the Engine refuses the account") == 1
