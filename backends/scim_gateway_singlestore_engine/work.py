"""What the steps of one call share: the connection, what the server can, the operator's choices, common questions."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from scim_gateway.text import shown

from .capabilities import Capabilities
from .connection import Line
from .failures import Refused, denied
from .grants import administrative_in, privileges_of_cluster
from .names import parse_account
from .protection import ProtectedNames, administrator
from .settings import EngineSettings
from .statements import (
    HOST,
    OWN_ACCOUNT,
    OWN_GRANTS,
    Statement,
    grants_of,
    grants_of_role,
    groups_of,
    names_among,
    roles_of,
    roles_of_groups,
    somebody_but,
)
from .users import is_true

_ALL = "ALL PRIVILEGES"
_BATCH = 200


def lacking(needed: Collection[str], held: Collection[str]) -> list[str]:
    """Which privileges of the cluster are not among those held; ALL PRIVILEGES is all but the grant option."""
    return [name for name in needed if name not in held and (_ALL not in held or name == "GRANT OPTION")]


def in_batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """As many names at a time as fit one statement."""
    for start in range(0, len(names), _BATCH):
        yield names[start : start + _BATCH]


@dataclass(slots=True)
class Work:
    """One session's view of the Engine.

    :param judged: of each role that was looked at in this session: what makes its holders administrators, or ``None``.
    """

    line: Line
    settings: EngineSettings
    can: Capabilities
    protected: ProtectedNames
    judged: dict[str, str | None] = field(default_factory=dict)

    def run(self, statement: Statement) -> None:
        """Send a statement; see :meth:`.connection.Line.run`."""
        self.line.run(statement)

    def groups_of(self, name: str) -> set[str]:
        """The groups that the account ``'name'@'%'`` is in."""
        rows = self.line.rows(groups_of(name))
        return {str(group) for group, user in rows if parse_account(str(user)) == (name, HOST)}

    def roles_of(self, group: str) -> list[str] | None:
        """The roles of a group; ``None``: there is no such group."""
        try:
            return [str(row[0]) for row in self.line.rows(roles_of(group))]
        except Refused as error:
            if error.meaning in ("gone", "either"):
                return None
            raise

    def grants_of(self, name: str) -> list[str] | None:
        """The lines of what an account was given directly; ``None``: there is no such account."""
        try:
            return [str(row[0]) for row in self.line.rows(grants_of(name))]
        except Refused as error:
            if error.meaning in ("gone", "either"):
                return None
            raise

    def existing(self, names: Collection[str]) -> set[str]:
        """Which of these names have an account of any host; dropped ones may be listed on while they have sessions."""
        found: set[str] = set()
        for batch in in_batches(sorted(names)):
            rows = self.line.rows(names_among(batch))
            found |= {str(name) for name, host, deleted in rows if str(host) == HOST and not is_true(deleted)}
        return found & set(names)

    def privilege_of_role(self, role: str) -> str | None:
        """What makes holders of a role administrators, in a word; ``None``: nothing does."""
        if role not in self.judged:
            try:
                lines = [str(row[0]) for row in self.line.rows(grants_of_role(role))]
            except Refused as error:
                if error.meaning not in ("gone", "either"):
                    raise
                lines = []  # dropped a moment ago: it gives nothing
            self.judged[role] = administrative_in(lines)
        return self.judged[role]

    def privilege_by_roles(self, roles: Collection[str]) -> str | None:
        """What of these roles makes administrators, or ``None``."""
        for role in sorted(roles):
            privilege = self.privilege_of_role(role)
            if privilege is not None:
                return f"{privilege} (by the role {shown(role)})"
        return None

    def protection_by_roles(self, roles: Collection[str]) -> str | None:
        """Why a group that has these roles is protected, or ``None``."""
        named = next((role for role in sorted(roles) if self.settings.protected_roles.match(role)), None)
        if named is not None:
            return f"engine_protected_roles names its role {shown(named)}"
        privilege = self.privilege_by_roles(roles)
        return None if privilege is None else administrator(privilege)

    def privilege_of_user(self, name: str) -> str | None:
        """What makes the holder of an account an administrator, directly or through groups and roles; or ``None``."""
        direct = administrative_in(self.grants_of(name) or ())
        if direct is not None:
            return direct
        groups = sorted(self.groups_of(name))
        if not groups:
            return None
        return self.privilege_by_roles({str(row[0]) for row in self.line.rows(roles_of_groups(groups))})

    def own_privileges(self) -> set[str]:
        """What the gateway's account holds for the whole cluster, by itself and by its groups' roles."""
        return self._own_directly() | self._own_by_roles()

    def _own_directly(self) -> set[str]:
        return set(privileges_of_cluster(str(row[0]) for row in self.line.rows(OWN_GRANTS)))

    def _own_by_roles(self) -> set[str]:
        name = str(self.line.rows(OWN_ACCOUNT)[0][0]).rpartition("@")[0]
        groups = sorted({str(row[0]) for row in self.line.rows(groups_of(name))})
        held: set[str] = set()
        for (role,) in self.line.rows(roles_of_groups(groups)) if groups else ():
            held |= set(privileges_of_cluster(str(row[0]) for row in self.line.rows(grants_of_role(str(role)))))
        return held

    def need(self, *privileges: str, to: str) -> None:
        """Make sure that the gateway's account holds these privileges: what a view does not show looks like nothing.

        :param to: what they are for, as the rest of a sentence.
        :raises Denied: one of them is missing.
        """
        held = self._own_directly()
        if lacking(privileges, held):
            held |= self._own_by_roles()
        missing = lacking(privileges, held)
        if missing:
            raise denied(
                f"The gateway's account lacks {', '.join(missing)} in the Engine, which it needs to {to}; "
                f"run: GRANT {', '.join(missing)} ON *.* TO '{self.settings.endpoint.user}'@'%'"
            )

    def prove_sight(self) -> None:
        """Make sure that accounts and memberships can be seen before it is concluded that one is gone.

        Privileges that lack make a view shorter, not wrong. So the gateway's account has to hold what opens the views,
        and somebody else has to be seen in them: every server has accounts beside the gateway's.

        :raises Denied: less may be seen than there is.
        """
        self.need("GRANT OPTION", to="see all accounts and memberships")
        if not self.line.rows(somebody_but(self.settings.endpoint.user)):
            raise denied(
                "The Engine shows the gateway no account but its own, so nothing is concluded from what is not seen; "
                f"run: GRANT USAGE ON *.* TO '{self.settings.endpoint.user}'@'%' WITH GRANT OPTION"
            )
