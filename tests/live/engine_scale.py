"""A company of 10,000 people in 200 groups through SCIM into the Engine; then 1,000 changes by hand, found and mended.

``python tests/live/engine_scale.py`` prints times and numbers of statements, and ends with 1 if ``plan`` lists anything
else than what was done by hand, or if something that administrators made is not as they made it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

from engine_chaos import ACCOUNT, PASSWORD, ROOT, EngineProcess
from gateway_process import GatewayProcess
from scim_http import GROUP, PATCH_OP, USER, ScimClient
from servers.mariadb import running_mariadb

THREADS = 8
Step = tuple[str, str, str, str | None]


@dataclass
class Company:
    """Who there is, by names.

    :param group_of: the group of each person.
    """

    ids: dict[str, str] = field(default_factory=dict)
    group_of: dict[str, str] = field(default_factory=dict)
    inactive: set[str] = field(default_factory=set)


class Scale:
    """A gateway, and how long things take it."""

    def __init__(self, gateway: GatewayProcess, engine: EngineProcess, seed: int = 1) -> None:
        self.gateway = gateway
        self.engine = engine
        self.company = Company()
        self.problems: list[str] = []
        self._random = random.Random(seed)

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Say how long the block took, and what it sent to the Engine."""
        before, began = self._sent(), time.monotonic()
        yield
        seconds, sent = time.monotonic() - began, self._sent() - before
        shown = ", ".join(f"{number} {verb}" for verb, number in sorted(sent.items()))
        print(f"{what}: {seconds:.1f} s, {sent.total()} account statements of the gateway ({shown})", flush=True)

    def _sent(self) -> Counter[str]:
        lines = self.engine.statements.read_text("utf-8", "replace").splitlines()
        ours = [line.split(": ", 1)[1] for line in lines if line.startswith(f"{ACCOUNT} on ")]
        return Counter(" ".join(statement.split()[:2]) for statement in ours)

    # The import

    def make_people(self, number: int) -> None:
        def make(scim: ScimClient, name: str) -> None:
            body = {"schemas": [USER], "userName": name, "active": True, "displayName": name}
            self.company.ids[name] = scim.post("/Users", body).expect(201).body["id"]

        self._each([f"person{n}@example.com" for n in range(number)], make)

    def make_groups(self, number: int, push: int) -> None:
        """Groups as Okta pushes them: the group with some members, then more of them."""
        people = list(self.company.ids)
        for n, name in enumerate(people):
            self.company.group_of[name] = f"group {n % number}"

        def make(scim: ScimClient, name: str) -> None:
            members = [{"value": self.company.ids[one]} for one in people if self.company.group_of[one] == name]
            body = {"schemas": [GROUP], "displayName": name, "members": members[:push]}
            id = scim.post("/Groups", body).expect(201).body["id"]
            for begin in range(push, len(members), push):
                operation = {"op": "add", "path": "members", "value": members[begin : begin + push]}
                answer = scim.patch(f"/Groups/{id}", [operation])
                assert answer.status in (200, 204), answer

        self._each([f"group {n}" for n in range(number)], make)

    def deactivate(self, names: list[str]) -> None:
        def off(scim: ScimClient, name: str) -> None:
            body = {"schemas": [PATCH_OP], "Operations": [{"op": "replace", "value": {"active": False}}]}
            scim.request("PATCH", f"/Users/{self.company.ids[name]}", body).expect(200)

        self._each(names, off)
        self.company.inactive |= set(names)

    def _each(self, names: list[str], call: Callable[[ScimClient, str], None]) -> None:
        numbers = iter(range(THREADS))
        shares = [(next(numbers), names[n::THREADS]) for n in range(THREADS)]

        def work(share: tuple[int, list[str]]) -> None:
            scim = self.gateway.client()
            try:
                for name in share[1]:
                    call(scim, name)
            finally:
                scim.close()

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(work, shares))

    # By hand

    def administrators(self) -> dict[str, Any]:
        """Roles, grants and locks that concern nobody but the administrators; what the Engine says of them."""
        self._by_hand("CREATE ROLE 'reader'", "GRANT SELECT ON shop.* TO ROLE 'reader'")
        self._by_hand("CREATE GROUP 'dba_made'")
        for group in sorted(set(self.company.group_of.values()))[:20]:
            self._by_hand(f"GRANT ROLE 'reader' TO '{group}'")
        self.kept = self._some(30)
        for name in self.kept[:10]:
            self._by_hand(f"GRANT INSERT ON shop.* TO '{name}'@'%'", f"GRANT GROUP 'dba_made' TO '{name}'@'%'")
        for name in self.kept[10:]:
            self._by_hand(f"ALTER USER '{name}'@'%' ACCOUNT LOCK")
        return self.administered()

    def administered(self) -> dict[str, Any]:
        roles = self.engine.rows("SELECT * FROM information_schema.GROUPS_ROLES")
        members = self.engine.rows("SHOW USERS FOR GROUP 'dba_made'")
        grants = {name: self.engine.rows(f"SHOW GRANTS FOR '{name}'@'%'") for name in self.kept[:10]}
        locked = {
            name: self.engine.rows(f"SELECT ACCOUNT_STATUS FROM information_schema.USERS WHERE `USER` = '{name}'")
            for name in self.kept[10:]
        }
        return {"roles": sorted(roles), "members": sorted(members), "grants": grants, "locked": locked}

    def drift(self, number: int) -> set[Step]:
        """Change so many things by hand; the steps that a plan has to list for them."""
        steps: set[Step] = set()
        touched = self._some(number, without=set(self.kept))
        unlocked = sorted(self.company.inactive)[: number // 10]
        rest = touched[: number - len(unlocked)]
        groups = sorted(set(self.company.group_of.values()))
        statements = []
        for name, kind in zip(rest, itertools.cycle(("drop", "revoke", "grant"))):
            group = self.company.group_of[name]
            if kind == "drop":
                statements.append(f"DROP USER '{name}'@'%'")
                steps |= {("add", "User", name, None), ("add", "Membership", group, name)}
            elif kind == "revoke":
                statements.append(f"REVOKE GROUP '{group}' FROM '{name}'@'%'")
                steps.add(("add", "Membership", group, name))
            else:
                other = self._random.choice([one for one in groups if one != group])
                statements.append(f"GRANT GROUP '{other}' TO '{name}'@'%'")
                steps.add(("remove", "Membership", other, name))
        for name in unlocked:
            statements.append(f"ALTER USER '{name}'@'%' ACCOUNT UNLOCK")
            steps.add(("change", "User", name, None))
        assert len(statements) == number
        self._by_hand(*statements)
        return steps

    def _some(self, number: int, without: Set[str] = frozenset()) -> list[str]:
        able = sorted(self.company.ids.keys() - self.company.inactive - without)
        return self._random.sample(able, number)

    def _by_hand(self, *statements: str) -> None:
        connection = self.engine.log_in(ROOT)
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
        finally:
            connection.close()

    # The comparison

    def command(self, *arguments: str, right: tuple[int, ...] = (0,)) -> Any:
        """A command of the gateway with ``--json``; what it printed."""
        ran = subprocess.run(
            [sys.executable, "-c", "from scim_gateway.cli import main; main()", *arguments, "--json"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), **self.settings},
            capture_output=True,
            text=True,
            timeout=1200,
            check=False,
        )
        if ran.returncode not in right:
            self.problems.append(
                f"{' '.join(arguments)} ended with {ran.returncode}: {(ran.stdout + ran.stderr)[:500]}"
            )
        return json.loads(ran.stdout or "{}")

    settings: dict[str, str]

    def plan(self, right: tuple[int, ...]) -> tuple[str, set[Step], dict[str, Any]]:
        found = self.command("plan", right=right)
        steps = {
            (step["action"], step["kind"], step["name"], step["member"])
            for step in found["steps"]
            if step["action"] in ("add", "change", "remove")
        }
        return found["plan"], steps, found

    def expect(self, what: str, found: Any, wanted: Any) -> None:
        """Note a difference."""
        if found == wanted:
            print(f"{what}: as it has to be", flush=True)
            return
        shown = (
            (sorted(map(str, found - wanted))[:5], sorted(map(str, wanted - found))[:5])
            if isinstance(found, set)
            else (found, wanted)
        )
        self.problems.append(f"{what}: too much {shown[0]}, missing {shown[1]}")
        print(self.problems[-1][:1500], flush=True)


def run(scale: Scale, people: int, groups: int, drifts: int) -> None:
    """All of it, in order."""
    with scale.timed(f"{people} people created"):
        scale.make_people(people)
    with scale.timed(f"{groups} groups of {people // groups} pushed"):
        scale.make_groups(groups, push=25)
    off = sorted(scale.company.ids)[: max(drifts // 10, 1)]
    with scale.timed(f"{len(off)} people deactivated"):
        scale.deactivate(off)
    before = scale.administrators()
    with scale.timed("plan of what is equal"):
        scale.expect("a plan after the import", scale.plan((0, 2))[1], set())
    wanted = scale.drift(drifts)
    with scale.timed(f"plan after {drifts} changes by hand"):
        hash, steps, _ = scale.plan((2,))
    scale.expect(f"the {len(wanted)} steps of the plan", steps, wanted)
    with scale.timed("apply"):
        done = scale.command("apply", "--plan", hash)
        print(f"steps done: {done.get('done')}", flush=True)
    with scale.timed("plan after that"):
        scale.expect("a second plan", scale.plan((0, 2))[1], set())
    scale.expect("roles, grants, locks and groups of the administrators", scale.administered(), before)


def main() -> int:
    """From the shell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--groups", type=int, default=200)
    parser.add_argument("--drifts", type=int, default=1_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, running_mariadb() as maria:
        folder = Path(name)
        engine = EngineProcess(folder)
        settings = {
            "SCIM_GATEWAY_DATABASE_URL": maria.url(maria.new_database()),
            "SCIM_GATEWAY_ENGINE_URL": f"singlestore://{ACCOUNT}@127.0.0.1:{engine.port}/",
            "SCIM_GATEWAY_ENGINE_PASSWORD": PASSWORD,
            "SCIM_GATEWAY_BREAKER_REMOVALS": "0",
            "SCIM_GATEWAY_RECONCILE_MINUTES": "0",
        }
        gateway = GatewayProcess(folder, "engine", workers=2, threads=8, **settings)
        scale = Scale(gateway, engine)
        data = str(folder / "data")
        scale.settings = {**settings, "SCIM_GATEWAY_BACKEND": "engine", "SCIM_GATEWAY_DATA_DIR": data}
        try:
            gateway.start()
            run(scale, options.people, options.groups, options.drifts)
        finally:
            gateway.kill()
            engine.stop()
    print(f"wrong: {len(scale.problems)}")
    return 1 if scale.problems else 0


if __name__ == "__main__":
    sys.exit(main())
