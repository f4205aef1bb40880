"""A user and what holds the user in one statement: the groups are asked for next, and are kept until then."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Integer, LargeBinary, and_, exists, null, select, type_coerce, union_all
from sqlalchemy import bindparam as bound
from sqlalchemy.types import String

from scim_gateway.backend import Reference

from .columns import Key
from .prepared import Prepared
from .session import Session
from .tables import members, resources

_ABOVE = members.alias()
_GROUPS = resources.alias()
# Until MariaDB has counted a table that is filled for the first time, it takes either key for as good as the other, and
# reads all memberships of the tenant. To all other databases this is a comment.
_BY_MEMBER = "/*M! FORCE INDEX (scim_member_by_member) */"


def is_contained(group: Any) -> ColumnElement[int]:
    """Whether a group is itself in a group: told with it, because as a rule none is, and no more has to be asked."""
    above = select(_ABOVE.c.group_id).where(_ABOVE.c.tenant == group.c.tenant, _ABOVE.c.member_id == group.c.id)
    return type_coerce(exists(above.with_hint(_ABOVE, _BY_MEMBER, "mysql").correlate(group)), Integer)


def with_holders(document: ColumnElement[bool], member: ColumnElement[bool]) -> Prepared:
    """A statement that selects at most one resource, and what holds it.

    :param document: which resource, as a condition on its row.
    :param member: the same, as a condition on the rows of its memberships.
    """
    own: list[ColumnElement[Any]] = [
        type_coerce(null(), Key()),
        resources.c.id,
        type_coerce(null(), Key()),
        type_coerce(null(), String()),
        type_coerce(null(), Integer()),
    ]
    found = select(resources.c.doc, *own).where(
        resources.c.tenant == bound("tenant_"), resources.c.kind == bound("kind_"), document
    )
    holders = (
        select(
            type_coerce(null(), LargeBinary()),
            *(_GROUPS.c.created, _GROUPS.c.id, _GROUPS.c.kind, _GROUPS.c.display, is_contained(_GROUPS)),
        )
        .join(_GROUPS, and_(_GROUPS.c.tenant == members.c.tenant, _GROUPS.c.id == members.c.group_id))
        .where(members.c.tenant == bound("tenant_"), member)
    )
    return Prepared(union_all(found, holders))


def document_of(session: Session, statement: Prepared, parameters: Mapping[str, Any]) -> bytes | None:
    """The resource that such a statement finds, as stored; what holds it is kept in the session."""
    session.alone()
    rows = statement.rows(session, parameters)
    document, of, holding = None, "", []
    for doc, created, id, kind, display, contained in rows:
        if doc is not None:
            document, of = doc, id
        else:
            holding.append((created, id, kind, display, contained))
    if document is None:
        return None
    if len(holding) > 1:
        holding.sort(key=itemgetter(0, 1))
    session.holders[of] = [Reference(id, kind, display, bool(contained)) for _, id, kind, display, contained in holding]
    found: bytes = document
    return found


def kept(session: Session, ids: Collection[str], kind: str) -> Mapping[str, Sequence[Reference]] | None:
    """What holds resources, if it was kept of all of them and nothing has changed since."""
    if session.changed or not session.holders.keys() >= set(ids):
        return None
    return {id: [holder for holder in session.holders[id] if holder.resource_type == kind] for id in ids}
