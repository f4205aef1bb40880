"""What a run left behind, because it was not allowed to remove it: found by its names, and removed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from scim_gateway.simulate.player import DOMAIN, Step, clean_up_headers, value_at
from scim_gateway.simulate.transport import Connection, NoAnswerError, SimulationError

_RUN = re.compile("[0-9a-f]{10}")


def remove_left(connection: Connection, run: str, report: Callable[[Step], None]) -> bool:
    """Delete the users and groups of a run; whether none is left.

    :param run: what its names have in common.
    :raises SimulationError: that is no run; nothing was sent.
    """
    if _RUN.fullmatch(run) is None:
        raise SimulationError("--clean-up takes the ten characters that a run said its names have in common.")
    headers = clean_up_headers(connection.token)
    good = True
    try:
        for endpoint, attribute in (("/Users", "userName"), ("/Groups", "displayName")):
            query = {"filter": f'{attribute} co "{run}"', "count": "100"}
            found = connection.send("GET", endpoint, query=query, headers=headers, body=None)
            good &= found.status == 200
            for id, name in _of_run(found.body, attribute, run):
                answer = connection.send("DELETE", f"{endpoint}/{id}", query={}, headers=headers, body=None)
                gone = answer.status in (204, 404)
                good &= gone
                detail = f"{answer.status}" if gone else f"{answer.status}, {value_at(answer.body, 'detail')}"
                report(Step(f"remove {name}", gone, connection.hide(detail), f"DELETE {endpoint}/{id}", answer.seconds))
            if found.status != 200:
                detail = f"{found.status}, {value_at(found.body, 'detail')}"
                report(Step("look for what is left", False, connection.hide(detail), f"GET {endpoint}", found.seconds))
    except NoAnswerError as error:
        report(Step("clean up", False, connection.hide(str(error)), "DELETE"))
        return False
    return good


def _of_run(body: Any, attribute: str, run: str) -> Iterator[tuple[str, str]]:
    """Ids and names of what that run has made; a gateway with a broken filter answers strangers."""
    resources = value_at(body, "Resources")
    for resource in resources if isinstance(resources, list) else ():
        id, name = value_at(resource, "id"), value_at(resource, attribute)
        made = isinstance(name, str) and run in name and (name.endswith(f"@{DOMAIN}") or name.startswith("sim "))
        if made and isinstance(id, str):
            yield id, name
