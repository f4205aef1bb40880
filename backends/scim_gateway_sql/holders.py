"""A user and what holds the user in one statement: the groups are asked for next, and are kept until then."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Integer, LargeBinary, and_, exists, literal_column, select
from sqlalchemy import type_coerce as typed

from scim_gateway.backend import Reference

from .prepared import Prepared
from .session import Session
from .tables import members, resources

MANY = 64
"""A document is sent again with each group: up to so many times."""

_FOUND = resources.alias("r")
_MEMBERS = members.alias("m")
_GROUPS = resources.alias("g")
_ABOVE = members.alias("a")
_PLACE = itemgetter(2, 3)
# Until MariaDB has counted a table that is filled for the first time, it takes either key for as good as the other, and
# reads all memberships of the tenant. To all other databases this is a comment.
_BY_MEMBER = "/*M! FORCE INDEX (scim_member_by_member) */"


def is_contained(group: Any) -> ColumnElement[int]:
    """Whether a group is itself in a group: told with it, because as a rule none is, and no more has to be asked."""
    above = select(_ABOVE.c.group_id).where(_ABOVE.c.tenant == group.c.tenant, _ABOVE.c.member_id == group.c.id)
    return typed(exists(above.with_hint(_ABOVE, _BY_MEMBER, "mysql").correlate(group)), Integer)


def with_holders(document: Callable[[FromClause], ColumnElement[bool]]) -> Prepared:
    """A statement that selects at most one resource, and what holds it: a row for each group that is in no other.

    One that is in several groups has a row for each of them. All are joined, as a server takes longer for a subquery.

    :param document: which resource, as a condition on its row; each part of it costs a server time.
    """
    rows = (
        _FOUND.outerjoin(_MEMBERS, and_(_MEMBERS.c.tenant == _FOUND.c.tenant, _MEMBERS.c.member_id == _FOUND.c.id))
        .outerjoin(_GROUPS, and_(_GROUPS.c.tenant == _MEMBERS.c.tenant, _GROUPS.c.id == _MEMBERS.c.group_id))
        .outerjoin(_ABOVE, and_(_ABOVE.c.tenant == _MEMBERS.c.tenant, _ABOVE.c.member_id == _MEMBERS.c.group_id))
    )
    of_group = (_GROUPS.c.created, _GROUPS.c.id, _GROUPS.c.kind, _GROUPS.c.display)
    found = (
        select(_FOUND.c.doc, _FOUND.c.id, *of_group, typed(_ABOVE.c.group_id, LargeBinary))
        .select_from(rows)
        .with_hint(_MEMBERS, _BY_MEMBER, "mysql")
        .with_hint(_ABOVE, _BY_MEMBER, "mysql")
        .where(document(_FOUND))
        .limit(literal_column(str(MANY + 1)))
    )
    return Prepared(found)


def document_of(session: Session, statement: Prepared, parameters: Mapping[str, Any]) -> bytes | None:
    """The resource that such a statement finds, as stored; what holds it is kept in the session, if that is all."""
    session.alone()
    rows = statement.rows(session, parameters)
    if not rows:
        return None
    document: bytes = rows[0][0]
    if len(rows) > MANY:
        return document
    of: str = rows[0][1]
    if len(rows) > 1:
        rows = sorted({row[3]: row for row in rows if row[3] is not None}.values(), key=_PLACE)
    # A row without a group is that of who is in none, or in one that is gone.
    session.holders[of] = holding = []
    for _, _, _, id, kind, display, above in rows:
        if id is not None:
            holding.append(Reference(id, kind, display, above is not None))
    return document


def kept(session: Session, ids: Collection[str], kind: str) -> Mapping[str, Sequence[Reference]] | None:
    """What holds resources, if it was kept of all of them and nothing has changed since."""
    if session.regrouped:
        return None
    found, holders = {}, session.holders
    for id in ids:
        if id not in holders:
            return None
        found[id] = [holder for holder in holders[id] if holder.resource_type == kind]
    return found
