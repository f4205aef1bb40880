"""A directory in a SQLite file with targets that are lists, driven as the protocol drives it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from core_client import Core
from doubles.listed_target import ListTarget
from scim_gateway_provisioning.backend import ProvisioningBackend
from scim_gateway_provisioning.breaker import Limits
from scim_gateway_provisioning.context import Context, Times
from scim_gateway_provisioning.ddl import PROVISIONING
from scim_gateway_provisioning.promises import promises
from scim_gateway_provisioning.safeguards import Safeguards
from scim_gateway_provisioning.tables import works
from scim_gateway_sql import DEFAULT_TENANT, SqlBackend
from scim_gateway_sql.address import driver_for
from scim_gateway_sql.tables import leases
from servers.memory import folder_in_memory
from servers.singlestore_on_mariadb import SingleStoreOnMariaDb
from sqlalchemy import update

from scim_gateway.backend import Query
from scim_gateway.definitions import standard_resource_types
from scim_gateway.schema import ResourceTypes

QUICK = Times(
    request=5.0,
    retry=0.05,
    first_pause=0.001,
    pause=0.01,
    claim=3.0,
    poll=0.005,
    backoff=0.001,
    backoff_limit=0.01,
    waiting=0.001,
)
"""As short as a test can bear; a claim still outlives any call."""

MEMORY = folder_in_memory(2**28)
"""Where the directories of hypothesis's examples lie, one after the other."""

Open = Callable[[], SqlBackend]
"""Opens a directory, each time as another process does."""


def directory_in(folder: Path, resource_types: ResourceTypes | None = None) -> SqlBackend:
    """A directory with the tables of provisioning."""
    settings = {"data_dir": str(folder)}
    return SqlBackend.from_settings(settings, resource_types or standard_resource_types(), migrations=(PROVISIONING,))


def directory_at(url: str, *, singlestore: bool = False, tenant: str = DEFAULT_TENANT) -> SqlBackend:
    """A directory on a server, by its statements for MariaDB or for SingleStore."""
    driver = SingleStoreOnMariaDb.at(url) if singlestore else driver_for({"database_url": url})
    return SqlBackend(driver, standard_resource_types(), tenant=tenant, migrations=(PROVISIONING,))


def provisioned(
    folder: Path,
    *targets: ListTarget,
    resource_types: ResourceTypes | None = None,
    times: Times = QUICK,
    **more: Any,
) -> ProvisioningBackend:
    """A backend; the same folder gives another process's view of the same directory.

    Removals have no limit here, unless ``safeguards`` says so. A ``directory`` takes the place of that in the folder.
    """
    directory = more.pop("directory", None) or directory_in(folder, resource_types)
    safeguards = more.pop("safeguards", None) or Safeguards(directory.database, directory.tenant, (), Limits(0))
    return ProvisioningBackend(directory, targets, times=times, safeguards=safeguards, **more)


def quick(**seconds: float) -> Times:
    """Quick times but for some."""
    return replace(QUICK, **seconds)


def wanted_in(directory: SqlBackend) -> set[tuple[str, str]]:
    """Who may do what by the directory: log in, and use the rights of groups, nested ones too."""
    users, groups = all_in(directory, "User"), all_in(directory, "Group")
    found: set[tuple[str, str]] = set()
    for user in users.values():
        if user.get("active", True) and not user["userName"].startswith("private-"):
            found.add((user["id"], "log in"))
    for group in groups.values():
        for member in _below(group["id"], groups, set()):
            if (member, "log in") in found and not group["displayName"].startswith("private-"):
                found.add((member, group["id"]))
    return found


def all_in(directory: SqlBackend, kind: str) -> dict[str, Any]:
    """The resources of a type, by id."""
    handler = directory.handlers[kind]
    page = handler.query(Query(handler.resource_type, count=10_000))
    return {resource["id"]: resource for resource in page.resources}


def _below(id: str, groups: dict[str, Any], seen: set[str]) -> set[str]:
    seen.add(id)
    found: set[str] = set()
    for element in groups[id].get("members", ()):
        member = element["value"]
        if member not in groups:
            found.add(member)
        elif member not in seen:
            found |= _below(member, groups, seen)
    return found


class World:
    """A gateway with targets."""

    def __init__(self, folder: Path, *targets: ListTarget, **more: Any) -> None:
        self.folder = folder
        self.targets: Sequence[ListTarget] = targets or (ListTarget(),)
        self.backend = provisioned(folder, *self.targets, **more)
        self.core = Core(self.backend)

    @property
    def target(self) -> ListTarget:
        return self.targets[0]

    @property
    def context(self) -> Context:
        return self.backend.context

    def settle(self) -> None:
        """Let the retry have its turn, until nothing is pending."""
        for _ in range(20):
            if not self.backend.settle_pending().failed and not self.backend.pending():
                return
        raise AssertionError(self.backend.pending())

    def die_of_age(self) -> None:
        """Time passes: who holds a claim or a lease, or has promised something, and gives no sign of life, is dead."""
        with self.context.database.operation(write=True) as session:
            session.execute(update(promises).where(promises.c.ended_flag == 0).values(until_ms=0))
            session.execute(update(works).values(held_until_ms=0))
            session.execute(update(leases).values(expires=0))

    def state(self) -> dict[str, set[tuple[str, str]]]:
        """Who may do what, by the directory and by each target."""
        return {"directory": self.wanted(), **{target.name: target.rights() for target in self.targets}}

    def wanted(self) -> set[tuple[str, str]]:
        """Who may do what by the directory."""
        return wanted_in(self.backend.directory)

    def _all(self, kind: str) -> dict[str, Any]:
        return all_in(self.backend.directory, kind)

    def check_equal(self) -> None:
        """Every target has exactly what the directory wants."""
        for target in self.targets:
            assert target.rights() == self.wanted()
            owners = {account.owner for account in target.listing.users.values()}
            users = self._all("User").values()
            assert owners == {user["id"] for user in users if not user["userName"].startswith("private-")}

    def close(self) -> None:
        self.backend.close()
