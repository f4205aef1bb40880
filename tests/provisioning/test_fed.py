"""Which targets a directory feeds is kept in it: a gateway that would leave one of them out does not open it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from core_client import Core, path_of
from doubles.listed_target import ListTarget
from listed_backend import ListedBackend
from provisioned import Open, World, all_in, directory_in, provisioned
from scim_gateway_provisioning.backend import ProvisioningBackend
from scim_gateway_provisioning.ddl import PROVISIONING
from scim_gateway_provisioning.tables import works
from scim_gateway_sql import SqlBackend
from scim_gateway_sql.fed import NotFed
from sqlalchemy import select

from scim_gateway import config
from scim_gateway.cli import main
from scim_gateway.config import ConfigurationError
from scim_gateway.definitions import standard_resource_types
from scim_gateway.errors import NotFound, Unavailable
from scim_gateway.serve import prepare

TOKEN = "0123456789abcdef0123456789abcdef"
INACTIVE = {"op": "replace", "path": "active", "value": False}


def a_and_b() -> list[ListTarget]:
    return [ListTarget("a"), ListTarget("b")]


@pytest.fixture
def fed(tmp_path: Path) -> Iterator[World]:
    """A gateway that has fed the targets a and b."""
    world = World(tmp_path, *a_and_b())
    world.core.user("ann")
    yield world
    world.close()


def plain(folder: Path) -> SqlBackend:
    return SqlBackend.from_settings({"data_dir": str(folder), "backend": "sql"}, standard_resource_types())


def test_a_gateway_without_targets_opens_no_directory_that_feeds_some(fed: World, tmp_path: Path) -> None:
    backend = plain(tmp_path)
    for write in (False, True):
        with pytest.raises(NotFed) as caught, backend.operation(write=write):
            raise AssertionError("it was opened")
    assert isinstance(caught.value, Unavailable)
    assert isinstance(caught.value, ConfigurationError)
    assert caught.value.detail.startswith("This directory feeds a and b, and the backend sql does not feed a and b:")
    assert "scim-gateway targets drop a" in caught.value.detail


def test_a_gateway_that_lacks_one_of_the_targets_does_not_open_it_either(fed: World, tmp_path: Path) -> None:
    ann = fed.core.user("bob")
    one = World(tmp_path, ListTarget("b"))
    assert "does not feed a:" in one.core.patch(ann, INACTIVE, expect=503)["detail"]
    assert "does not feed a:" in one.core.json("GET", path_of(ann), expect=503)["detail"]
    with pytest.raises(NotFed, match="does not feed a:"):
        one.backend.start()
    one.close()


def test_one_that_feeds_more_opens_it_and_from_then_on_all_of_them_are_kept(fed: World, tmp_path: Path) -> None:
    more = World(tmp_path, *fed.targets, ListTarget("c"))
    more.core.user("bob")
    assert more.backend.fed() == ["a", "b", "c"]
    more.close()
    with pytest.raises(NotFed, match=r"feeds a, b and c, .* does not feed c"):
        provisioned(tmp_path, *a_and_b()).paused()


def test_what_only_reads_begins_no_feeding(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert world.backend.pending() == []
    world.backend.plan()
    assert all(finding.ok for finding in world.backend.check())
    assert world.backend.fed() == []
    world.close()
    assert Core(plain(tmp_path)).user("ann")


@pytest.mark.parametrize(
    "begin",
    [
        lambda backend: backend.start(),
        lambda backend: backend.reconcile(),
        lambda backend: backend.apply(backend.plan().hash),
        lambda backend: backend.settle_pending(),
    ],
    ids=["start", "reconcile", "apply", "retry"],
)
def test_whatever_may_bring_something_to_a_target_begins_feeding(
    tmp_path: Path, begin: Callable[[ProvisioningBackend], object]
) -> None:
    world = World(tmp_path)
    begin(world.backend)
    assert world.backend.fed() == ["list"]
    world.close()


def test_a_directory_of_before_goes_on_and_is_noted_at_the_next_start(fed: World, tmp_path: Path) -> None:
    with fed.context.database.operation(write=True) as session:
        session.connection.exec_driver_sql("DELETE FROM scim_setting WHERE name = 'targets fed'")
    plain(tmp_path).check()
    again = World(tmp_path, *fed.targets)
    again.backend.start()
    again.close()
    with pytest.raises(NotFed), plain(tmp_path).operation(write=False):
        raise AssertionError("it was opened")


def test_each_tenant_has_targets_of_its_own(open_directory: Open, tmp_path: Path) -> None:
    world = World(tmp_path, directory=open_directory())
    world.core.user("ann")
    directory = open_directory()
    other = SqlBackend(directory.database.driver, standard_resource_types(), tenant="another")
    assert Core(other).user("ann")
    other.close()
    world.close()


def test_a_gateway_with_another_target_is_told_that_there_may_be_one_with_both(tmp_path: Path) -> None:
    settings = {"data_dir": str(tmp_path), "backend": "of-a"}
    made = SqlBackend.from_settings(settings, standard_resource_types(), migrations=(PROVISIONING,))
    of_a = provisioned(tmp_path, ListTarget("a"), directory=made)
    Core(of_a).user("ann")
    of_a.close()
    with pytest.raises(NotFed, match=r"SCIM_GATEWAY_BACKEND=of-a, as before, or one that feeds a and b\. To end it"):
        provisioned(tmp_path, ListTarget("b")).paused()


def test_of_two_that_start_at_once_with_different_targets_one_is_refused(open_directory: Open, tmp_path: Path) -> None:
    backends = [provisioned(tmp_path, target, directory=open_directory()) for target in a_and_b()]
    for backend in backends:
        assert backend.fed() == []  # both have opened the directory, and found nothing that they would leave out
    barrier, refused = threading.Barrier(2), []

    def start(backend: ProvisioningBackend) -> None:
        barrier.wait()
        body = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": backend.targets[0]}
        response = Core(backend).send("POST", "/Users", body)
        if response.status != 201:
            refused.append((backend, response))

    threads = [threading.Thread(target=start, args=(backend,)) for backend in backends]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [(loser, response)] = refused
    [winner] = [backend for backend in backends if backend is not loser]
    assert winner.fed() == [winner.targets[0]]
    assert response.status == 503
    assert f"does not feed {winner.targets[0]}:" in response.body.decode()
    assert {user["userName"] for user in all_in(winner.directory, "User").values()} == {winner.targets[0]}
    for backend in backends:
        backend.close()


# Dropping one on purpose


def test_a_dropped_target_is_let_be_and_the_others_are_fed_on(fed: World, tmp_path: Path) -> None:
    ann = fed.core.user("anna")
    first, second = fed.targets
    second.down()
    fed.core.patch(ann, INACTIVE, expect=503)
    rest = World(tmp_path, first)
    dropped = rest.backend.drop("b")
    assert (dropped.target, dropped.left, dropped.pending, dropped.revoking) == ("b", 2, 1, 1)
    assert rest.backend.fed() == ["a"]
    assert rest.core.patch(ann, {"op": "replace", "path": "displayName", "value": "Anna"})["displayName"] == "Anna"
    rest.core.json("DELETE", path_of(ann), expect=204)
    assert rest.backend.settle_pending().failed == 0
    assert "anna" not in first.listing.users
    assert second.listing.users["anna"].active
    event = next(event for event in rest.backend.audit() if event.action == "drop target")
    assert event.detail == {"target": "b", "left": 2, "pending": 1, "revoking": 1}
    rest.close()


def test_what_was_pending_in_a_dropped_target_goes_on_when_it_is_fed_again(
    open_directory: Open, tmp_path: Path
) -> None:
    first, second = a_and_b()
    before = World(tmp_path, first, second, directory=open_directory())
    ann = before.core.user("anna")
    second.down()
    before.core.patch(ann, INACTIVE, expect=503)
    before.close()
    rest = World(tmp_path, first, directory=open_directory())
    dropped = rest.backend.drop("b")
    assert (dropped.left, dropped.pending, dropped.revoking) == (1, 1, 1)
    resting = select(works.c.next_ms).where(works.c.tenant == rest.context.tenant, works.c.target_name == "b")
    with rest.context.database.operation(write=False) as session:
        assert session.execute(resting).scalars().all() == [None]
    rest.core.user("bob")
    assert rest.backend.pending() == []
    rest.close()
    second.up()
    both = World(tmp_path, first, second, directory=open_directory())
    both.backend.start()
    both.settle()
    assert not second.listing.users["anna"].active
    both.backend.reconcile()
    both.check_equal()
    both.close()


def test_nothing_is_dropped_that_is_not_fed(fed: World) -> None:
    with pytest.raises(NotFound, match="feeds a and b; there is no target 'c'"):
        fed.backend.drop("c")


def test_a_gateway_that_feeds_it_still_begins_again_with_its_next_change(fed: World) -> None:
    fed.backend.drop("b")
    assert fed.backend.fed() == ["a"]
    fed.core.user("bob")
    assert fed.backend.fed() == ["a", "b"]


# The command line

Run = Callable[..., Result]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"SCIM_GATEWAY_DATA_DIR": str(tmp_path / "data"), "SCIM_GATEWAY_BACKEND": "listed_backend:ListedBackend"}


@pytest.fixture
def run(environ: dict[str, str]) -> Run:
    def run(*arguments: str, code: int = 0, input: str | None = None, **settings: str) -> Result:
        variables = environ | {f"SCIM_GATEWAY_{name.upper()}": value for name, value in settings.items()}
        result = CliRunner().invoke(main, arguments, obj=variables, input=input)
        assert result.exit_code == code, f"{result.output}\n{result.stderr}\n{result.exception!r}"
        return result

    return run


@pytest.fixture
def core(environ: dict[str, str]) -> Iterator[Core]:
    settings = config.load(environ)
    backend = ListedBackend.from_settings(settings, settings.resource_types)
    yield Core(backend)
    backend.close()


REFUSAL = (
    "This directory feeds list, and the backend sql does not feed list: nothing would be taken away there. "
    "Set SCIM_GATEWAY_BACKEND=listed_backend:ListedBackend, as before. To end it on purpose: "
    "SCIM_GATEWAY_BACKEND=listed_backend:ListedBackend scim-gateway targets drop list"
)


@pytest.mark.parametrize(
    "command",
    [["token", "create", "x"], ["token", "list"], ["serve"]],
    ids=" ".join,
)
def test_every_command_of_a_backend_that_would_leave_targets_out_is_refused(run: Run, core: Core, command) -> None:
    core.user("ann")
    result = run(*command, code=2, backend="sql")
    assert (result.stdout, result.stderr) == ("", f"Error: {REFUSAL}\n")


def test_what_is_answered_over_the_protocol_is_refused_in_the_same_words(run: Run, core: Core) -> None:
    core.user("ann")
    assert run("users", "list", code=1, backend="sql").stderr == f"Error: {REFUSAL}\n"


def test_serve_with_a_fixed_token_is_refused_before_it_listens(environ: dict[str, str], core: Core) -> None:
    core.user("ann")
    with pytest.raises(ConfigurationError, match="feeds list"):
        prepare(config.load(environ | {"SCIM_GATEWAY_BACKEND": "sql", "SCIM_GATEWAY_TOKEN": TOKEN}))


def test_check_says_it_once(run: Run, core: Core) -> None:
    core.user("ann")
    lines = run("check", code=1, backend="sql").stdout.splitlines()
    [line] = [line for line in lines if line.startswith("FAIL")]
    assert REFUSAL in line


def test_check_tells_what_is_fed(run: Run, core: Core) -> None:
    assert "ok   targets: list is fed from the first start or change on\n" in run("check", code=1).stdout
    core.user("ann")
    assert "ok   targets: this directory feeds list\n" in run("check", code=1).stdout


def test_the_command_lists_what_is_fed_and_drops_it(run: Run, core: Core) -> None:
    assert core.backend.pending() == []
    assert run("targets", "list").stdout == ""
    core.user("ann")
    assert run("targets", "list").stdout == "list\n"
    assert run("targets", "list", "--json").stdout == '[\n  "list"\n]\n'
    output = run("targets", "drop", "list", "--yes").stdout
    assert "list is not fed any more" in output
    assert "1 user or group stays there as it is" in output
    assert "nothing is pending" in output
    assert run("users", "list", backend="sql").stdout.split()[1] == "ann"


def test_a_drop_says_what_it_means_and_is_not_done_unless_somebody_agrees(run: Run, core: Core) -> None:
    core.user("ann")
    asked = run("targets", "drop", "list", code=1, input="n\n")
    for words in ("nothing is taken back", "whoever can log in there goes on to"):
        assert words in asked.stderr
    assert run("targets", "list").stdout == "list\n"
    assert run("targets", "drop", "other", "--yes", code=1).stderr.startswith("Error: This directory feeds list;")


def test_a_backend_without_targets_says_how_one_is_dropped(run: Run, core: Core) -> None:
    core.user("ann")
    assert run("targets", "drop", "list", "--yes", code=2, backend="sql").stderr == f"Error: {REFUSAL}\n"
    other = run("targets", "list", code=2, backend="sql", tenant="another").stderr
    assert other.startswith("Error: The backend sql feeds no target")


def test_a_directory_opened_by_hand_tells_which_targets_it_lacks(fed: World, tmp_path: Path) -> None:
    directory = directory_in(tmp_path)
    with pytest.raises(NotFed, match="and this gateway does not feed a and b"):
        directory.references(["x"])
