"""What a change of a resource changes in the value index is the difference of the whole index before and after."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scim_gateway_sql import SqlBackend
from scim_gateway_sql.indexing import LIMIT, Index
from scim_gateway_sql.session import Session
from scim_gateway_sql.tables import values
from scim_gateway_sql.value_index import add_values, change_values, drop_values
from sqlalchemy import select

from scim_gateway.schema import CORE_USER, ENTERPRISE_USER
from scim_gateway.testing import suite_resource_types

INDEX = Index(suite_resource_types().by_name["User"])
_TEXTS = st.sampled_from(("", "a", "B", "x" * LIMIT, "y" * (LIMIT + 1), "Z" * (LIMIT + 2)))
_EMAILS = st.lists(
    st.fixed_dictionaries({"value": _TEXTS}, optional={"type": _TEXTS, "primary": st.booleans()}), max_size=3
)
_USERS = st.fixed_dictionaries(
    {"schemas": st.just([CORE_USER]), "userName": _TEXTS},
    optional={
        "active": st.booleans(),
        "title": _TEXTS,
        "nickName": _TEXTS,
        "name": st.fixed_dictionaries({}, optional={"familyName": _TEXTS, "givenName": _TEXTS}),
        "emails": _EMAILS,
        "meta": st.fixed_dictionaries(
            {"lastModified": st.sampled_from(("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"))}
        ),
        ENTERPRISE_USER: st.fixed_dictionaries({}, optional={"department": _TEXTS, "costCenter": _TEXTS}),
    },
)


@given(_USERS, _USERS)
@example({"title": "x" * LIMIT + "y", "nickName": "z" * LIMIT + "z"}, {"nickName": "z" * LIMIT + "z"})
def test_what_goes_and_what_comes_make_one_index_of_the_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    old, new = INDEX.rows(before), INDEX.rows(after)
    going, coming = INDEX.changes(before, after)
    assert going.items() <= old.items()
    assert {at: form for at, form in old.items() if going.get(at) != form} | coming == new
    assert not going.items() & coming.items()


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    folder = tmp_path_factory.mktemp("index")
    backend = SqlBackend(f"sqlite:///{folder / 'directory.db'}", suite_resource_types())
    with backend.database.operation(write=True) as session:
        yield session
    backend.close()


def stored(session: Session, id: str) -> dict[tuple[int, int], bytes]:
    found = session.execute(
        select(values.c.attr, values.c.elem, values.c.sortable).where(
            values.c.tenant == "t", values.c.resource_id == id
        )
    )
    return {(attr, elem): form for attr, elem, form in found}


@given(_USERS, _USERS)
@example({"active": True, "title": "a"}, {"active": False, "title": "B"})
def test_what_is_stored_after_a_change_is_what_would_be_stored_of_a_new_one(
    session: Session, before: dict[str, Any], after: dict[str, Any]
) -> None:
    id = str(uuid.uuid4())
    add_values(session, "t", id, INDEX.rows(before))
    change_values(session, "t", id, *INDEX.changes(before, after))
    assert stored(session, id) == INDEX.rows(after)
    drop_values(session, "t", id, INDEX.rows(after))
    assert stored(session, id) == {}
