"""Users, groups and roles that a statement names: found, or refused with the number for what is missing."""

from __future__ import annotations

from .catalog import Catalog, Group, Role, User
from .errors import NO_SUCH_GROUP, NO_SUCH_ROLE, EngineError
from .session import Session
from .statements import Account


def catalog_of(session: Session) -> Catalog:
    return session.node.cluster.catalog_written_by(session.node)


def find_user(session: Session, account: Account) -> User | None:
    if session.node.user(account) is session.node.root:
        return session.node.root
    return catalog_of(session).user(account)


def cannot(session: Session, verb: str, account: Account) -> EngineError:
    return EngineError(session.node.cluster.behaviour.missing_user_error, f"Operation {verb} failed for {account}")


def need_group(session: Session, name: str) -> Group:
    group = catalog_of(session).group(name)
    if group is None:
        raise EngineError(NO_SUCH_GROUP, f"Group '{name}' does not exist")
    return group


def need_role(session: Session, name: str) -> Role:
    role = catalog_of(session).role(name)
    if role is None:
        raise EngineError(NO_SUCH_ROLE, f"Role '{name}' does not exist")
    return role


def bounded(session: Session, name: str, limit: int, what: str) -> str:
    """The name as it will be stored.

    Raises:
        EngineError: it is too long, or empty.
    """
    behaviour = session.node.cluster.behaviour
    if behaviour.trailing_space == "stripped":
        name = name.rstrip(" ")
    if not name:
        raise EngineError(behaviour.long_name_error, f"An empty {what} name")
    if len(name) > limit:
        if behaviour.long_name == "refused":
            raise EngineError(behaviour.long_name_error, f"'{name}' is too long for a {what} name (at most {limit})")
        name = name[:limit]
    return name


def need_member(session: Session, account: Account) -> User:
    user = find_user(session, account)
    if user is None:
        number = session.node.cluster.behaviour.missing_grantee_error
        raise EngineError(number, f"Can't find any matching row in the user table: {account}")
    return user


def note_update(session: Session, user: User) -> None:
    user.updated = session.node.cluster.clock.now()
    catalog = session.node.catalog if user.local and user is session.node.root else catalog_of(session)
    catalog.changed(user)
