"""A create that was sent before and never answered: it is recognised when the client sends it again."""

from __future__ import annotations

from scim_gateway_sql import SqlBackend
from scim_gateway_sql.database import Session
from scim_gateway_sql.tables import identifiers
from sqlalchemy import and_, bindparam, select

from scim_gateway.errors import NotFound
from scim_gateway.schema import Resource, ResourceType

from .work import read

_HOLDER = select(identifiers.c.resource_id).where(
    and_(
        identifiers.c.tenant == bindparam("tenant_"),
        identifiers.c.kind == bindparam("kind_"),
        identifiers.c.attr == bindparam("attr_"),
        identifiers.c.name_key == bindparam("key_"),
    )
)


def unanswered(session: Session, directory: SqlBackend, sent: Resource, kind: ResourceType) -> str | None:
    """Id of the resource that an earlier request made of the same content, if nobody was told of it.

    That request is dead: nobody works on what it made, and it made the target's row without answering.
    """
    for attr, key in unique_keys(directory, kind, sent).items():
        here = {"tenant_": directory.tenant, "kind_": kind.name, "attr_": attr, "key_": key}
        id = session.execute(_HOLDER, here).scalar()
        if id is not None:
            return id if _is_unanswered(session, directory, id, sent, kind) else None
    return None


def _is_unanswered(session: Session, directory: SqlBackend, id: str, sent: Resource, kind: ResourceType) -> bool:
    rows = read(session, directory.tenant, [id]).values()
    if not any(not work.answered for work in rows) or not all(work.free for work in rows):
        return False
    try:
        stored = directory.handlers[kind.name].get(id)
    except NotFound:
        return False
    return _content(stored, kind) == _content(sent, kind)


def _content(resource: Resource, kind: ResourceType) -> Resource:
    """What the client sent of a resource; members by their ids alone."""
    content = {name: value for name, value in resource.items() if name not in ("id", "meta", "schemas", kind.members)}
    content["schemas"] = sorted(resource.get("schemas", ()))
    if kind.members:
        content["members"] = sorted(element["value"] for element in resource.get(kind.members, ()))
    return content


def unique_keys(directory: SqlBackend, kind: ResourceType, resource: Resource) -> dict[str, bytes]:
    """The unique keys of a resource as the directory holds them."""
    return directory.handlers[kind.name].index.unique_keys(resource)
