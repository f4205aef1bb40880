"""The value index is built anew when what it holds has changed: other schemas, another Unicode, newer code."""

from __future__ import annotations

import logging

import orjson
from sqlalchemy import bindparam, delete, insert, select, update

from .database import Session
from .indexing import Index, value_rows
from .tables import SETTING, identifiers, resources, settings, values
from .vocabulary import outdate

_log = logging.getLogger(__name__)

_DOCS = (
    select(resources.c.id, resources.c.display, resources.c.doc)
    .where(
        resources.c.tenant == bindparam("tenant_"),
        resources.c.kind == bindparam("kind_"),
        resources.c.id > bindparam("after_"),
    )
    .order_by(resources.c.id)
    .limit(500)
)
_FORGET = delete(settings).where(settings.c.tenant == bindparam("tenant_"), settings.c.name == bindparam("name_"))
_DROP_IDENTIFIERS = delete(identifiers).where(
    identifiers.c.tenant == bindparam("tenant_"), identifiers.c.kind == bindparam("kind_")
)
_DROP_VALUES = delete(values).where(
    values.c.tenant == bindparam("tenant_"),
    values.c.resource_id.in_(
        select(resources.c.id).where(resources.c.tenant == bindparam("tenant_"), resources.c.kind == bindparam("kind_"))
    ),
)
_DISPLAY = (
    update(resources)
    .where(resources.c.tenant == bindparam("tenant_"), resources.c.id == bindparam("id_"))
    .values(display=bindparam("display_"))
)


def is_fresh(session: Session, tenant: str, index: Index) -> bool:
    """Whether what is stored of one resource type is what this process would store."""
    here = {"tenant_": tenant, "name_": _setting(index)}
    return bool(session.execute(SETTING, here).scalar() == index.fingerprint)


def refresh_index(session: Session, tenant: str, index: Index) -> None:
    """Bring identifiers, values and displays of one resource type to what this process would store.

    Inside the write transaction in which a process starts, so other processes see the old index or the new one.
    """
    if is_fresh(session, tenant, index):
        return
    outdate(session)
    kind, name = index.resource_type.name, _setting(index)
    row = {"tenant": tenant, "kind": kind}
    session.execute(_FORGET, {"tenant_": tenant, "name_": name})
    session.execute(insert(settings), {"tenant": tenant, "name": name, "payload": index.fingerprint})
    here = {"tenant_": tenant, "kind_": kind}
    session.execute(_DROP_IDENTIFIERS, here)
    session.execute(_DROP_VALUES, here)
    held: set[tuple[str, bytes]] = set()
    columns = values.columns.keys()
    after = ""
    while docs := session.execute(_DOCS, {**here, "after_": after}).all():
        claims, rows, displays = [], [], []
        for id, display, doc in docs:
            resource = orjson.loads(doc)
            if (wanted := index.resource_type.display_of(resource)) != display:
                displays.append({"tenant_": tenant, "id_": id, "display_": wanted})
            rows += [dict(zip(columns, row, strict=True)) for row in value_rows(tenant, id, index.rows(resource))]
            for attr, key in index.unique_keys(resource).items():
                if (attr, key) in held:
                    _log.error("%s %s has the same %s as another one: rename one of them", kind, id, attr)
                    continue
                held.add((attr, key))
                claims.append({**row, "attr": attr, "name_key": key, "resource_id": id})
            after = id
        for statement, found in ((_DISPLAY, displays), (insert(identifiers), claims), (insert(values), rows)):
            if found:
                session.execute(statement, found)
    if after:
        _log.info("the index of %s was built anew", kind)


def _setting(index: Index) -> str:
    return f"index of {index.resource_type.name}"
