"""An identity provider's part, played against a live gateway: the acceptance tool of an administrator.

:func:`run` sends what Okta or Entra ID send over the life of a user and a group, request by request and byte for byte
as far as it is known, on throw-away names. It reports a :class:`Step` for each request and cleans up after itself,
also after a failure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from scim_gateway.simulate import entra, okta
from scim_gateway.simulate.left import remove_left
from scim_gateway.simulate.player import Player, ScenarioError, Step
from scim_gateway.simulate.transport import Connection, SimulationError

__all__ = ["SCENARIOS", "SimulationError", "Step", "clean_up", "run"]

Scenario = Callable[[Player], None]

SCENARIOS: Mapping[str, Sequence[Scenario]] = {
    "okta": (okta.custom_app, okta.catalogue_app),
    "entra": (entra.default_style, entra.flagged_style),
}
"""What each identity provider is played with, one after the other."""


def run(
    idp: str,
    base_url: str,
    token: str,
    report: Callable[[Step], None],
    *,
    insecure: bool = False,
    timeout: float = 60.0,
) -> bool:
    """Play an identity provider's life cycle against a gateway; whether every step went as it should.

    :param idp: a key of :data:`SCENARIOS`.
    :param base_url: the SCIM base URL, as it is entered at the identity provider.
    :param token: the bearer token; never part of a report.
    :param report: called after each request.
    :param insecure: send the token over ``http://`` to another machine all the same.
    :param timeout: seconds without a byte after which a request has failed; Okta waits 60.
    :raises SimulationError: the arguments make no sense; nothing was sent.
    """
    if idp not in SCENARIOS:
        raise SimulationError(f"There is no identity provider {idp!r} here; known are {', '.join(sorted(SCENARIOS))}.")
    connection = Connection(base_url, token, insecure=insecure, timeout=timeout)
    good = True
    try:
        for scenario in SCENARIOS[idp]:
            player = Player(connection, report, idp)
            ended = False
            try:
                scenario(player)
                ended = True
            except ScenarioError:
                good = False
            finally:
                is_clean = player.clean_up()
                good = good and player.good
            # The next scenario would only say the same again, or leave more behind.
            if not ended or not is_clean:
                break
    finally:
        connection.close()
    return good


def clean_up(
    base_url: str,
    token: str,
    run: str,
    report: Callable[[Step], None],
    *,
    insecure: bool = False,
    timeout: float = 60.0,
) -> bool:
    """Remove what an earlier run was not allowed to remove; whether nothing is left of it.

    :param run: what the names of that run have in common, as it told.
    :raises SimulationError: the arguments make no sense; nothing was sent.
    """
    connection = Connection(base_url, token, insecure=insecure, timeout=timeout)
    try:
        return remove_left(connection, run, report)
    finally:
        connection.close()
