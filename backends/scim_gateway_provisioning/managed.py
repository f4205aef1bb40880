"""Which groups of a target are the gateway's, and which of them somebody is to be in."""

from __future__ import annotations

from collections.abc import Callable, Collection

import orjson
from sqlalchemy import and_, bindparam, select

from . import nesting
from .context import Context
from .tables import names, works
from .target import Known, Target
from .target_names import key_of
from .work import BATCH, read

_NOTES = (
    select(names.c.name_key, works.c.known_doc)
    .join(
        works,
        and_(
            works.c.tenant == names.c.tenant,
            works.c.target_name == names.c.target_name,
            works.c.resource_id == names.c.resource_id,
        ),
    )
    .where(
        names.c.tenant == bindparam("tenant_"),
        names.c.target_name == bindparam("target_"),
        names.c.kind == "Group",
        names.c.name_key.in_(bindparam("keys", expanding=True)),
    )
)


def managed_groups(context: Context, target: Target) -> Callable[[Collection[str]], Collection[str]]:
    """A function that tells the gateway's groups among names in a target.

    A group is the gateway's when the target has noted it under that name: one that was only asked for may be somebody
    else's still.
    """

    def managed(found: Collection[str]) -> Collection[str]:
        by_key: dict[bytes, list[str]] = {}
        for name in found:
            by_key.setdefault(key_of(target, "Group", name), []).append(name)
        ours: set[str] = set()
        with context.database.operation(write=False) as session:
            for start in range(0, len(by_key), BATCH):
                batch = sorted(by_key)[start : start + BATCH]
                row = {"tenant_": context.tenant, "target_": target.name, "keys": batch}
                for key, known in session.execute(_NOTES, row):
                    noted = orjson.loads(known).get("name")
                    if isinstance(noted, str) and key_of(target, "Group", noted) == bytes(key):
                        ours.update(by_key[bytes(key)])
        return ours

    return managed


def groups_of(context: Context, target: Target, id: str) -> Callable[[], Collection[Known]]:
    """A function that gives the notes of the groups in the target that a user has to be in when it is called."""

    def groups() -> Collection[Known]:
        with context.database.operation(write=False) as session:
            above = nesting.parents if target.nests else nesting.above
            ids = above(session, context.tenant, [id]).get(id, set())
            rows = read(session, context.tenant, ids, target=target.name)
        return [work.known for _, work in sorted(rows.items()) if not work.absent and "name" in work.known]

    return groups
