"""Everything that exists in the Engine, in a handful of statements whatever its size."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from scim_gateway_provisioning.target import Inventory, Kind, Observed

from scim_gateway.text import shown

from .failures import denied
from .grants import ADMINISTRATIVE
from .names import parse_account
from .protection import administrator
from .statements import ALL_GROUP_ROLES, ALL_MEMBERS, ALL_USERS, GROUPS, HOST, PRIVILEGES
from .users import Account, account_of
from .work import Work

Key = Callable[[Kind, str], bytes]
_MANY = 10
"""Names in one warning."""


class Observation:
    """One reading of the whole Engine.

    :param key: what names are compared by.
    """

    def __init__(self, work: Work, key: Key) -> None:
        self._work = work
        self._key = key
        self._warnings: list[str] = []

    def read(self) -> Inventory:
        """Read everything.

        :raises Denied: less is shown than there is.
        """
        work = self._work
        accounts = [account_of(row) for row in work.line.records(ALL_USERS)]
        groups = {str(row[0]): int(row[1] or 0) for row in work.line.rows(GROUPS)}
        members = [(str(group), parse_account(str(user))) for group, user in work.line.rows(ALL_MEMBERS)]
        roles = self._roles()
        powerful = self._powerful_groups(roles)
        users = self._users(accounts, self._administrators(members, powerful))
        # At the end: a right that was lost on the way made the lists shorter.
        work.need("GRANT OPTION", "SHOW METADATA", to="see all accounts, groups and memberships")
        work.prove_sight()
        self._refuse_short_list(groups, members)
        return Inventory(
            users=users,
            groups=self._groups(groups, roles),
            members=self._members(members),
            warnings=tuple(self._warnings),
        )

    def _refuse_short_list(self, groups: Mapping[str, int], members: list[tuple[str, tuple[str, str]]]) -> None:
        # GROUPS counts what USERS_GROUPS lists; the two need different privileges.
        if sum(groups.values()) and not members:
            raise denied(
                "The Engine says that its groups have members and shows the gateway none of them; "
                f"run: GRANT USAGE ON *.* TO '{self._work.settings.endpoint.user}'@'%' WITH GRANT OPTION"
            )

    def _roles(self) -> dict[str, list[str]]:
        """The roles of each group that has some."""
        roles: dict[str, list[str]] = {}
        for group, role in self._work.line.rows(ALL_GROUP_ROLES):
            roles.setdefault(str(group), []).append(str(role))
        return roles

    def _powerful_groups(self, roles: Mapping[str, list[str]]) -> dict[str, str]:
        """Groups that make administrators, and by what."""
        found = {group: self._work.privilege_by_roles(names) for group, names in sorted(roles.items())}
        return {group: privilege for group, privilege in found.items() if privilege is not None}

    def _administrators(
        self, members: list[tuple[str, tuple[str, str]]], powerful: Mapping[str, str]
    ) -> dict[tuple[str, str], str]:
        """Accounts that hold privileges of administrators, and by what."""
        found: dict[tuple[str, str], str] = {}
        for grantee, privilege, grantable in self._work.line.rows(PRIVILEGES):
            account = parse_account(str(grantee))
            if str(privilege).upper() in ADMINISTRATIVE:
                found[account] = str(privilege).upper()
            elif str(grantable).upper() in ("YES", "1"):
                found[account] = "GRANT OPTION"
        for group, account in members:
            if group in powerful:
                found.setdefault(account, f"{powerful[group]}, in the group {shown(group)}")
        return found

    def _users(self, accounts: list[Account], administrators: Mapping[tuple[str, str], str]) -> dict[bytes, Observed]:
        by_name: dict[bytes, list[Account]] = {}
        for account in accounts:
            if not account.deleted:
                by_name.setdefault(self._key("User", account.name), []).append(account)
        lingering = [account.name for account in accounts if account.deleted and account.connections]
        self._warn("dropped accounts have open sessions", lingering)
        several = [same[0].name for same in by_name.values() if len(same) > 1]
        self._warn("names have several accounts, for particular hosts or in several spellings", several)
        local = [same[0].name for same in by_name.values() if same[0].local and same[0].name != "root"]
        self._warn("accounts exist on one aggregator only", local)
        return {key: self._user(same, administrators) for key, same in by_name.items()}

    def _user(self, same: list[Account], administrators: Mapping[tuple[str, str], str]) -> Observed:
        account = next((one for one in same if one.host == HOST), same[0])
        mark = account.mark
        ours = mark is not None and mark.tenant == self._work.settings.tenant
        reason = self._work.protected.reason("User", account.name)
        powers = (administrators.get((one.name, one.host)) for one in same)
        privilege = next((power for power in powers if power is not None), None)
        if reason is None and privilege is not None:
            reason = administrator(privilege)
        if reason is None and len(same) > 1:
            reason = "there are several accounts of this name"
        if reason is None and account.host != HOST:
            reason = f"it is for the host {shown(account.host)} only"
        if reason is None and mark is not None and not ours:
            reason = "it is another directory's"
        owner = mark.id if mark is not None and ours else None
        shut_out = mark is not None and ours and mark.locked
        return Observed(account.name, owner, self._active(account), reason, shut_out)

    def _active(self, account: Account) -> bool | None:
        if not self._work.can.locks or not self._work.can.facts.lock_shown or account.locked is None:
            return None
        if not account.locked:
            return True
        # LOCKED is also said of failed log-ins and of what administrators locked: neither is the gateway's to undo.
        return False if account.mark is not None and account.mark.locked else None

    def _groups(self, names: Collection[str], roles: Mapping[str, list[str]]) -> dict[bytes, Observed]:
        by_key: dict[bytes, list[str]] = {}
        for name in names:
            by_key.setdefault(self._key("Group", name), []).append(name)
        self._warn("groups differ in letter case only", [same[0] for same in by_key.values() if len(same) > 1])
        return {key: self._group(same, roles) for key, same in by_key.items()}

    def _group(self, same: list[str], roles: Mapping[str, list[str]]) -> Observed:
        reason = self._work.protected.reason("Group", same[0])
        if reason is None:
            reason = self._work.protection_by_roles([role for name in same for role in roles.get(name, ())])
        if reason is None and len(same) > 1:
            reason = "there are several groups of this name"
        return Observed(same[0], protected=reason)

    def _members(self, members: list[tuple[str, tuple[str, str]]]) -> dict[bytes, frozenset[bytes]]:
        found: dict[bytes, set[bytes]] = {}
        for group, (name, host) in members:
            if host == HOST:
                found.setdefault(self._key("Group", group), set()).add(self._key("User", name))
        return {group: frozenset(names) for group, names in found.items()}

    def _warn(self, what: str, names: list[str]) -> None:
        if names:
            listed = ", ".join(shown(name) for name in sorted(names)[:_MANY])
            more = f" and {len(names) - _MANY} more" if len(names) > _MANY else ""
            self._warnings.append(f"{len(names)} {what}: {listed}{more}")
