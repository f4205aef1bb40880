"""The rows of the value index: those of a resource come, go, or become others."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, insert, update

from .indexing import Rows, value_rows
from .prepared import Prepared
from .session import Session
from .tables import values

_ADD = Prepared(insert(values))
_DROP = Prepared(
    delete(values).where(
        values.c.tenant == bindparam("tenant"),
        values.c.attr == bindparam("attr"),
        values.c.sortable == bindparam("sortable"),
        values.c.resource_id == bindparam("resource_id"),
        values.c.elem == bindparam("elem"),
    )
)
_MOVE = Prepared(
    update(values)
    .where(
        values.c.tenant == bindparam("tenant_"),
        values.c.attr == bindparam("attr_"),
        values.c.sortable == bindparam("before_"),
        values.c.resource_id == bindparam("id_"),
        values.c.elem == bindparam("elem_"),
    )
    .values(sortable=bindparam("after_"))
)


def add_values(session: Session, tenant: str, id: str, rows: Rows) -> None:
    """Add rows that a resource did not have."""
    if rows:
        _ADD.each_row(session, value_rows(tenant, id, rows))


def drop_values(session: Session, tenant: str, id: str, rows: Rows) -> None:
    """Drop rows of a resource."""
    if rows:
        _DROP.each_row(session, value_rows(tenant, id, rows))


def change_values(session: Session, tenant: str, id: str, going: Rows, coming: Rows) -> None:
    """Let rows of a resource go, and others come.

    Where each of them only has another value, SQLite changes it in place. A server is not asked to: it would be asked
    once for each row, and what SingleStore makes of another value in a primary key is not documented.
    """
    if going.keys() == coming.keys() and session.dialect == "sqlite":
        rows = [(coming[at], tenant, at[0], form, id, at[1]) for at, form in going.items()]
        if rows:
            _MOVE.each_row(session, rows)
        return
    drop_values(session, tenant, id, going)
    add_values(session, tenant, id, coming)
