"""A gateway that feeds an Engine, over HTTP, and what is in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from click.testing import CliRunner, Result

from scim_gateway.bench import people
from scim_gateway.bench.measuring import Client
from scim_gateway.bench.wire import Target
from scim_gateway.cli import main

TOKEN = "a-token-of-the-tests-0123456789-abcdef"


@dataclass
class Deployment:
    """A gateway over HTTP."""

    target: Target
    client: Client
    backend: Any

    def run(self, *arguments: str) -> Result:
        """A command that is a client of the gateway."""
        return CliRunner().invoke(main, [*arguments, "--url", self.target.url], obj={"SCIM_GATEWAY_TOKEN": TOKEN})

    def bench(self, *arguments: str) -> Result:
        return self.run("bench", "--yes", "--seconds", "0.1", *arguments)

    def add(self, name: str) -> str:
        document = {"schemas": [people.USER], "userName": name, "active": True}
        return str(self.client.call("POST", "/Users", document).json()["id"])

    def set_active(self, id: str, active: bool) -> int:
        body = people.activation(active)
        return self.client.call("PATCH", f"/Users/{id}", body, statuses=(200, 403)).status

    def users(self) -> dict[str, bool]:
        """Names in the directory, and whether they are active."""
        found = self.client.call("GET", "/Users?count=500").json().get("Resources", ())
        return {user["userName"]: user["active"] for user in found}

    def groups(self) -> list[str]:
        found = self.client.call("GET", "/Groups?count=500").json().get("Resources", ())
        return [group["displayName"] for group in found]

    def counted(self) -> dict[str, int]:
        """How many removals the circuit breaker has counted."""
        with self.backend.directory.database.session() as session:
            return dict(self.backend.safeguards.breaker.counts(session))
