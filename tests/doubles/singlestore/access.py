"""Which privilege a statement needs of who sends it."""

from __future__ import annotations

from collections.abc import Iterable

from . import versions as since
from .catalog import User
from .errors import EngineError
from .privileges import ALL, GRANT_OPTION, Rights
from .session import Session
from .statements import Scope


def rights_of(session: Session) -> Rights:
    return session.node.rights(session)


def denied(session: Session, privilege: str) -> EngineError:
    """The refusal of a statement for want of ``privilege``."""
    number = session.node.cluster.behaviour.denied_error
    return EngineError(number, f"Access denied; this operation needs {privilege}")


def need(session: Session, *privileges: str) -> None:
    """Raise unless one of the privileges is held for the cluster."""
    rights = rights_of(session)
    if not any(rights.has(privilege) for privilege in privileges):
        raise denied(session, f"the privilege {' or '.join(privileges)}")


def need_grant_permission(session: Session) -> None:
    if not rights_of(session).has_grant_permission():
        raise denied(session, "the GRANT permission")


def need_to_alter(session: Session, user: User | None) -> None:
    """Raise unless the asking user may ALTER ``user``."""
    cluster = session.node.cluster
    rights = rights_of(session)
    may = rights.has_grant_permission() or (cluster.has(since.ALTER_USER_PRIVILEGE) and rights.has("ALTER USER"))
    if not may:
        raise denied(session, "the privilege ALTER USER or the GRANT permission")
    if user is None or user.serial == session.user.serial:
        return
    if user is session.node.root and not cluster.behaviour.root_can_be_altered:
        raise denied(session, "to be root")
    if not cluster.behaviour.alter_user_reaches_stronger and session.node.rights_of(user).exceed(rights):
        raise denied(session, "the privileges of the user to be altered")


def need_to_grant(session: Session, privileges: Iterable[str], scope: Scope) -> None:
    """Raise unless all of ``privileges`` may be handed out in ``scope``."""
    cluster = session.node.cluster
    rights = rights_of(session)
    if cluster.variables.defaults["privilege_transfer_mode"] == "per_privilege" and not rights.has(ALL):
        lacking = [name for name in privileges if not rights.may_transfer(name, scope)]
        if lacking:
            raise denied(session, f"{', '.join(lacking)} as TRANSFERABLE")
        return
    if not rights.has_grant_permission(scope):
        raise denied(session, "the grant option")
    if not cluster.behaviour.grant_option_grants_anything:
        lacking = [
            name
            for name in privileges
            if name not in ("USAGE", GRANT_OPTION) and not rights.has(name, scope.database, scope.table)
        ]
        if lacking:
            raise denied(session, f"{', '.join(lacking)} oneself")


def need_process(session: Session, user: User) -> None:
    """Raise unless the asking user may kill sessions of ``user``."""
    if user.serial != session.user.serial and not rights_of(session).has("PROCESS"):
        raise EngineError(session.node.cluster.behaviour.kill_denied_error, "You are not owner of this thread")
