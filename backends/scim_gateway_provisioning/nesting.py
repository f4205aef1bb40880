"""Who is reached through nested groups: walks up and down the memberships of the directory, whole levels at a time.

Groups in a circle are no problem: each is visited once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from scim_gateway_sql.database import Session
from scim_gateway_sql.portable import insert_if_absent
from scim_gateway_sql.tables import members, resources
from sqlalchemy import and_, bindparam, select, update

from .tables import nestings
from .work import batches

_ABOVE = select(members.c.member_id, members.c.group_id).where(
    members.c.tenant == bindparam("tenant_"), members.c.member_id.in_(bindparam("ids", expanding=True))
)
_BELOW = (
    select(members.c.group_id, members.c.member_id, resources.c.kind)
    .join(resources, and_(resources.c.tenant == members.c.tenant, resources.c.id == members.c.member_id))
    .where(members.c.tenant == bindparam("tenant_"), members.c.group_id.in_(bindparam("ids", expanding=True)))
)
_KINDS = select(resources.c.id, resources.c.kind).where(
    resources.c.tenant == bindparam("tenant_"), resources.c.id.in_(bindparam("ids", expanding=True))
)
_TURN = update(nestings).where(nestings.c.tenant == bindparam("tenant_")).values(turn_no=nestings.c.turn_no + 1)


def take_turn(session: Session, tenant: str) -> None:
    """Lock out everybody else who changes memberships where groups are nested, until the transaction ends.

    Two changes of different groups, one above the other, lock no row in common, and neither would see what the other
    does: a membership that follows from both together would be nobody's.
    """
    if session.dialect == "sqlite":
        return  # writers come one after the other there
    if session.execute(_TURN, {"tenant_": tenant}).rowcount != 1:
        insert_if_absent(session, nestings, {"tenant": tenant, "turn_no": 0})
        session.execute(_TURN, {"tenant_": tenant})


def above(session: Session, tenant: str, ids: Collection[str]) -> dict[str, set[str]]:
    """For each id: the groups that it is in, directly or through others."""
    edges: dict[str, set[str]] = {}
    known: set[str] = set()
    level = set(ids)
    while level:
        known |= level
        found = parents(session, tenant, level)
        edges |= found
        level = {group for groups in found.values() for group in groups} - known
    return {id: _closure(id, edges) for id in ids}


def parents(session: Session, tenant: str, ids: Collection[str]) -> dict[str, set[str]]:
    """For each id that is a direct member of groups: these groups."""
    found: dict[str, set[str]] = {}
    for batch in batches(ids):
        for member, group in session.execute(_ABOVE, {"tenant_": tenant, "ids": batch}):
            found.setdefault(member, set()).add(group)
    return found


def below(session: Session, tenant: str, ids: Iterable[str]) -> dict[str, set[str]]:
    """For each group: the users in it, directly or through the groups in it."""
    wanted = set(ids)
    users: dict[str, set[str]] = {}
    groups: dict[str, set[str]] = {}
    known: set[str] = set()
    level = set(wanted)
    while level:
        known |= level
        found: set[str] = set()
        for batch in batches(level):
            for group, member, kind in session.execute(_BELOW, {"tenant_": tenant, "ids": batch}):
                if kind == "User":
                    users.setdefault(group, set()).add(member)
                elif kind == "Group":
                    groups.setdefault(group, set()).add(member)
                    found.add(member)
        level = found - known
    reached: dict[str, set[str]] = {}
    for id in wanted:
        reached[id] = set()
        for group in {id, *_closure(id, groups)}:
            reached[id] |= users.get(group, set())
    return reached


def kinds(session: Session, tenant: str, ids: Collection[str]) -> dict[str, str]:
    """Names of the resource types of ids; those that are gone are left out."""
    found: dict[str, str] = {}
    for batch in batches(ids):
        found.update((id, kind) for id, kind in session.execute(_KINDS, {"tenant_": tenant, "ids": batch}))
    return found


def direct(session: Session, tenant: str, group: str) -> dict[str, str]:
    """The direct members of a group: their ids, with the names of their resource types."""
    rows = session.execute(_BELOW, {"tenant_": tenant, "ids": [group]})
    return {member: kind for _, member, kind in rows}


def _closure(id: str, edges: Mapping[str, Collection[str]]) -> set[str]:
    found: set[str] = set()
    pending = list(edges.get(id, ()))
    while pending:
        group = pending.pop()
        if group not in found:
            found.add(group)
            pending.extend(edges.get(group, ()))
    return found
