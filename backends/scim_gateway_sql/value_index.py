"""The rows of the value index: those of a resource come, go, or become others."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, insert

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


def add_values(session: Session, tenant: str, id: str, rows: Rows) -> None:
    """Add rows that a resource did not have."""
    if rows:
        _ADD.each_row(session, value_rows(tenant, id, rows))


def drop_values(session: Session, tenant: str, id: str, rows: Rows) -> None:
    """Drop rows of a resource."""
    if rows:
        _DROP.each_row(session, value_rows(tenant, id, rows))


def change_values(session: Session, tenant: str, id: str, going: Rows, coming: Rows) -> None:
    """Let rows of a resource go, and others come."""
    drop_values(session, tenant, id, going)
    add_values(session, tenant, id, coming)
