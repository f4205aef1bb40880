"""The double by hand: an organization to try the gateway on, and commands for what people do in the Portal."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Callable

from doubles.by_hand import end_if_taken
from doubles.portal.behaviour import Behaviour
from doubles.portal.server import PortalDouble

HELP = """\
accept EMAIL    the person follows the link of the invitation
refuse EMAIL    the person says no
expire EMAIL    nobody follows the link in time
remove EMAIL    an administrator removes the member in the Portal
show            members, invitations and teams
calls           the calls since the last time
help            these lines
quit            end (so does Ctrl-C)"""


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="make portal-double", description=__doc__)
    parser.add_argument("--port", type=int, default=8081)
    parser.add_argument("--owners-by-default", action="store_true", help="as in the Shared edition")
    options = parser.parse_args()
    end_if_taken(options.port, "make portal-double")
    behaviour = Behaviour(owners_by_default=options.owners_by_default)
    with PortalDouble(key="trying-it-out", behaviour=behaviour, port=options.port) as double:
        print(f"A double of the SingleStore Portal listens on {double.url}; its organization is Example Ltd.")
        print("Point a gateway at it:\n")
        print("    SCIM_GATEWAY_BACKEND=portal \\")
        print(f"    SCIM_GATEWAY_PORTAL_URL={double.url} \\")
        print(f"    SCIM_GATEWAY_PORTAL_API_KEY={double.key} \\")
        print("    make serve\n")
        print(HELP, flush=True)
        try:
            for line in sys.stdin:
                if line.strip() == "quit":
                    return
                print(obey(double, line), flush=True)
            threading.Event().wait()
        except KeyboardInterrupt:
            print()


def obey(double: PortalDouble, line: str) -> str:
    """Carry out one line of commands; what is to be printed."""
    organization = double.organization
    acts: dict[str, Callable[[str], object]] = {
        "accept": organization.accept,
        "refuse": organization.refuse,
        "expire": organization.expire,
        "remove": organization.remove_member,
    }
    match line.split():
        case []:
            return ""
        case [verb, email] if verb in acts:
            try:
                acts[verb](email)
            except AssertionError as error:
                return str(error)
            return "done"
        case ["show"]:
            return shown(double)
        case ["calls"]:
            told = "\n".join(f"{call.status}  {call}" for call in double.calls) or "no calls"
            double.forget_calls()
            return told
        case _:
            return HELP


def shown(double: PortalDouble) -> str:
    """The organization in lines."""
    organization = double.organization
    lines = ["members"]
    lines += [f"  {member.email}" for member in organization.members.values()]
    lines.append("invitations")
    lines += [f"  {one.email}: {one.state}" for one in organization.invitations.values()]
    lines.append("teams")
    for team in organization.teams.values():
        inside = [organization.members[id].email for id in team.users]
        inside += [f"team {organization.teams[id].name}" for id in team.teams]
        lines.append(f"  {team.name}: {', '.join(inside) or '-'}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
