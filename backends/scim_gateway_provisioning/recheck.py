"""A user that becomes active while somebody nests its groups: the memberships that neither of the two could see.

Who nests a group writes down the memberships of the users below, and finds this one inactive; who activates the user
does not see the nesting yet. Two changes with no row in common; so it is looked once more when the user is there, and
before that is marked. Databases with one writer at a time need none of this.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from scim_gateway_sql.database import Session

from . import nesting
from .apply import Progress
from .context import Context
from .desired import Desired
from .record_rows import Touch, add_edges, write_touches
from .target import User
from .work import read


def reached_meanwhile(context: Context, target: str, desired: Desired, progress: Progress) -> dict[str, int]:
    """Write down the memberships of users that were activated in groups above their groups; generations by group."""
    users = list(_activated(desired, progress))
    if not users or not context.database.driver.concurrent:
        return {}
    with context.database.operation(write=False) as session:
        direct = nesting.parents(session, context.tenant, users)
        above = nesting.above(session, context.tenant, users)
    indirect = {user: above[user] - direct.get(user, set()) for user in users}
    if not any(indirect.values()):
        return {}
    return context.database.run(lambda session: _write_down(session, context, target, indirect))


def _write_down(
    session: Session, context: Context, target: str, indirect: Mapping[str, Collection[str]]
) -> dict[str, int]:
    groups = {group for found in indirect.values() for group in found}
    rows = read(session, context.tenant, groups, target=target, lock=True)
    touches = [
        Touch(
            context.targets[target],
            "Group",
            work.id,
            work,
            edges={user for user, found in indirect.items() if work.id in found},
        )
        for work in rows.values()
        if not work.absent
    ]
    if not touches:
        return {}
    written = write_touches(session, context, touches, "", ())
    add_edges(session, context.tenant, target, touches, written)
    return {work.id: work.generation for work in written.values()}


def _activated(desired: Desired, progress: Progress) -> Iterable[str]:
    for task in desired.tasks:
        work, user = task.work, task.desired
        if not isinstance(user, User) or not user.active or work.id not in progress.put:
            continue
        # A new account is in no group yet; who adds it to one locks the user.
        if work.applied and work.granted > work.applied:
            yield work.id
