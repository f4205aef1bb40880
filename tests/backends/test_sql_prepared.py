"""Statements that run on the driver's own connection: what they select is what SQLAlchemy would select."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scim_gateway_sql import SqlBackend
from scim_gateway_sql.database import Session
from scim_gateway_sql.failures import Duplicate
from scim_gateway_sql.prepared import Prepared
from scim_gateway_sql.tables import leases
from sqlalchemy import bindparam, delete, event, insert, select, update

from scim_gateway.testing import suite_resource_types

_ALL = select(leases.c.name, leases.c.fence).order_by(leases.c.name)
_SOME = Prepared(
    _ALL.where(leases.c.tenant == bindparam("tenant_"), leases.c.name.in_(bindparam("names", expanding=True))),
    among="names",
)
_TWO = Prepared(_ALL.where(leases.c.fence > bindparam("fence_")).limit(2))
_ADD = Prepared(insert(leases))
_RAISE = Prepared(update(leases).where(leases.c.name == bindparam("name_")).values(fence=bindparam("fence_")))
_DROP = Prepared(delete(leases).where(leases.c.name == bindparam("name_")))
NAMES = ("ä", "a'b", 'a"b', "a\\b", "a%sb", "a?b")


def row(name: str, fence: int) -> dict[str, object]:
    return {"tenant": "t", "name": name, "holder": "h", "fence": fence, "expires": 0, "renewals": 0}


@pytest.fixture(params=["sqlite", "mariadb"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlBackend]:
    settings: dict[str, object] = {"data_dir": str(tmp_path)}
    if request.param == "mariadb":
        settings |= {"database_url": request.getfixturevalue("mariadb"), "database_tls": "off"}
    backend = SqlBackend.from_settings(settings, suite_resource_types())
    with backend.database.session(write=True) as session:
        _ADD.each(session, [row(name, number) for number, name in enumerate(sorted(NAMES))])
    yield backend
    backend.close()


@pytest.fixture
def session(backend: SqlBackend) -> Iterator[Session]:
    with backend.database.operation(write=True) as session:
        yield session


def test_rows_come_with_the_values_that_sqlalchemy_gives(session: Session) -> None:
    found = _SOME.rows(session, {"tenant_": "t", "names": list(NAMES)})
    assert [tuple(each) for each in found] == [
        tuple(each) for each in session.execute(_ALL.where(leases.c.tenant == "t"))
    ]
    assert [name for name, _ in found] == sorted(NAMES)


@pytest.mark.parametrize("names", [[], ["ä"], ["ä", "a?b", "nobody"]])
def test_a_list_may_have_any_length(session: Session, names: list[str]) -> None:
    found = _SOME.rows(session, {"tenant_": "t", "names": names})
    assert {name for name, _ in found} == set(names) & set(NAMES)


def test_what_is_fixed_in_a_statement_is_sent_with_it(session: Session) -> None:
    assert [fence for _, fence in _TWO.rows(session, {"fence_": 2})] == [3, 4]
    assert _TWO.first(session, {"fence_": 2}) == _TWO.rows(session, {"fence_": 2})[0]
    assert _TWO.first(session, {"fence_": 99}) is None


def test_changed_rows_are_counted(session: Session) -> None:
    assert _RAISE.changed(session, {"name_": "ä", "fence_": 77}) == 1
    assert _RAISE.changed(session, {"name_": "nobody", "fence_": 77}) == 0
    assert _DROP.changed(session, {"name_": "ä"}) == 1
    assert _TWO.rows(session, {"fence_": 50}) in ([], ())


def test_a_key_that_is_taken_is_told(session: Session) -> None:
    with pytest.raises(Duplicate):
        _ADD.changed(session, row("ä", 1))
    with pytest.raises(Duplicate):
        _ADD.each(session, [row("new", 1), row("ä", 1)])


@pytest.mark.parametrize("number", [0, 1, 2, 32, 33, 200])
def test_any_number_of_rows_is_added(session: Session, number: int) -> None:
    _ADD.each(session, [row(f"{each:03}", 1000 + each) for each in range(number)])
    _ADD.each_row(session, [("u", f"{each:03}", "h", 1000 + each, 0, 0) for each in range(number)])
    added = session.execute(select(leases.c.tenant, leases.c.name, leases.c.fence).where(leases.c.fence >= 1000))
    wanted = {(tenant, f"{each:03}", 1000 + each) for tenant in "tu" for each in range(number)}
    assert {tuple(each) for each in added} == wanted


def test_of_several_rows_sqlite_keeps_those_before_a_taken_key_and_a_server_none(
    backend: SqlBackend, session: Session
) -> None:
    with pytest.raises(Duplicate):
        _ADD.each(session, [row("new", 1), row("ä", 1), row("newer", 1)])
    found = _SOME.rows(session, {"tenant_": "t", "names": ["new", "newer"]})
    assert [name for name, _ in found] == (["new"] if backend.database.driver.dialect == "sqlite" else [])


def test_reading_changes_nothing_and_everything_else_may(backend: SqlBackend) -> None:
    with backend.database.operation(write=True) as session:
        _TWO.rows(session, {"fence_": 0})
        assert not session.changed
        _RAISE.changed(session, {"name_": "nobody", "fence_": 1})
        assert session.changed


def test_who_listens_to_sqlalchemy_hears_of_them_too(backend: SqlBackend, session: Session) -> None:
    heard: list[tuple[str, Any]] = []
    engine = backend.database.connections.engine
    assert engine is not None
    event.listen(engine, "before_cursor_execute", lambda _c, _cursor, text, values, *_: heard.append((text, values)))
    _TWO.rows(session, {"fence_": 2})
    _ADD.each(session, [row("one", 1), row("two", 1)])
    (selected, values), (inserted, several) = heard
    assert selected.startswith("SELECT")
    assert 2 in values
    assert inserted.startswith("INSERT")
    # SQLite's driver is given all rows at once, the other one makes one statement of them itself.
    rows = several if isinstance(several, list) else [several[:6], several[6:]]
    assert [name for row in rows for name in ("one", "two", b"one", b"two") if name in row] in (
        ["one", "two"],
        [b"one", b"two"],
    )
