"""What a probe asks about accounts, groups and memberships: what is taken, what is said, what it is called then."""

from __future__ import annotations

import time

from .accounts import look, password_nobody_keeps
from .capabilities import LONG_JWT_NAMES
from .failures import Refused
from .marks import Mark, attribute_text
from .names import parse_account
from .prober import ProbeFailed, Prober
from .statements import (
    ALL_USERS,
    Identified,
    Require,
    change_user,
    create_group,
    create_user,
    grant_group,
    groups_like,
    kill_connection,
    members_of,
    revoke_group,
)

_GROUP_LENGTHS = (32, 33, 64, 65, 128, 255, 256)
_USER_LENGTHS = (32, 33)
_JWT_LENGTHS = (320, 321)
_SAMPLES = {
    "an address": "a@b.c",
    "a blank": "a b",
    "a percent sign and an underscore": "a%b_c",
    "an apostrophe": "o'neil",
    "accents": "Zoë",
    "Cyrillic letters": "ада",
    "Chinese characters": "李明",
}
"""Names of every kind that :mod:`.names` lets through."""

_PACE = 10


def creation(probe: Prober) -> str:
    """Whether an account is made by one statement as the settings ask for it (probe 10.10)."""
    work, settings, name = probe.work, probe.work.settings, probe.name("c")
    chosen = settings.authentication
    attribute = attribute_text(Mark("probe", settings.tenant)) if work.can.marks else None
    plain = create_user(name, chosen.identified(name, password_nobody_keeps()), require=chosen.require)
    whole = create_user(
        name,
        chosen.identified(name, password_nobody_keeps()),
        require=chosen.require,
        pool=settings.resource_pool,
        attribute=attribute,
    )
    try:
        work.run(whole)
    except Refused as error:
        if whole == plain:
            raise ProbeFailed(f"no account can be made as the settings ask for it (error {error.number})") from error
        if probe.number(plain) != "no error":
            raise ProbeFailed(f"CREATE USER with {chosen.method} fails (error {error.number})") from error
        probe.found(create_takes_all=False)
        return f"an account by {chosen.method} takes its pool and mark in a second statement"
    probe.found(create_takes_all=True)
    kind = look(work, name).here
    return f"an account by {chosen.method} is made by one statement and shown as {kind.type if kind else 'nothing'}"


def existing(probe: Prober) -> str:
    """The numbers of what exists already (probe 10.2)."""
    user, group = probe.user(), probe.group()
    account = probe.number(create_user(user, Identified(None, password_nobody_keeps())))
    return f"CREATE USER: {account}; CREATE GROUP: {probe.number(create_group(group))}"


def missing(probe: Prober) -> str:
    """The numbers of what is missing (probe 10.2)."""
    user, group, nobody, nothing = probe.user(), probe.group(), probe.name("no"), probe.name("nog")
    found = {
        "ALTER USER": probe.number(change_user(nobody, lock=False)),
        "GRANT GROUP to nobody": probe.number(grant_group(group, nobody)),
        "GRANT GROUP of none": probe.number(grant_group(nothing, user)),
        "REVOKE GROUP of none": probe.number(revoke_group(nothing, user)),
        "KILL": probe.number(kill_connection(2**31 - 1, 1)),
    }
    if look(probe.work, nobody).here is not None:
        raise ProbeFailed("GRANT GROUP makes an account of somebody who has none")
    return "; ".join(f"{what}: {number}" for what, number in found.items())


def repetitions(probe: Prober) -> str:
    """What is said to a membership that is there, or not (probe 10.3)."""
    user, group = probe.user(), probe.group()
    probe.work.run(grant_group(group, user))
    again = probe.number(grant_group(group, user))
    if _members(probe, group) != [(user, "%")]:
        raise ProbeFailed("USERS_GROUPS does not list a member as 'name'@'%' or name@%")
    probe.work.run(revoke_group(group, user))
    return f"GRANT GROUP again: {again}; REVOKE GROUP again: {probe.number(revoke_group(group, user))}"


def _members(probe: Prober, group: str) -> list[tuple[str, str]]:
    return [parse_account(str(row[0])) for row in probe.work.line.rows(members_of(group))]


def letter_case(probe: Prober) -> str:
    """Whether names that differ in letter case only are one (probe 10.7)."""
    probe.user("Case")
    probe.group("Case")
    other = create_user(probe.name("case"), Identified(None, password_nobody_keeps()))
    users = "differ in letter case" if probe.number(other) == "no error" else "are one in any letter case"
    groups = probe.number(create_group(probe.name("case")))
    return f"names of users {users}, of groups {'differ' if groups == 'no error' else 'are one'}"


def characters(probe: Prober) -> str:
    """Whether names of every kind that is let through stand as they were sent (probe 10.7)."""
    for kind, sample in _SAMPLES.items():
        user = probe.user(sample)
        if look(probe.work, user).here is None:
            raise ProbeFailed(f"the name of an account with {kind} is not the one that was sent")
        if "'" in sample:
            group = probe.group()
        else:
            group = probe.group(sample)
            if group not in {str(row[0]) for row in probe.work.line.rows(groups_like(group))}:
                raise ProbeFailed(f"the name of a group with {kind} is not the one that was sent")
        probe.work.run(grant_group(group, user))
        if _members(probe, group) != [(user, "%")]:
            raise ProbeFailed(f"a member whose name has {kind} is not listed as the account that was sent")
    return f"stand as they were sent: {', '.join(_SAMPLES)}"


def attributes(probe: Prober) -> str:
    """What becomes of a second ATTRIBUTE (probe 10.10)."""
    if not probe.work.can.marks:
        return "this version keeps none"
    name = probe.user()
    probe.work.run(change_user(name, attribute='{"a": 1}'))
    probe.work.run(change_user(name, attribute='{"b": 2}'))
    account = look(probe.work, name).here
    if account is None or account.attributes is None:
        return "not shown in USERS: what is the gateway's stands in the directory only"
    return f"shown in USERS; another one {'is merged' if 'a' in account.attributes else 'replaces the first'}"


def lengths(probe: Prober) -> str:
    """How long names may be (probe 10.7)."""
    groups = max((length for length in _GROUP_LENGTHS if _group_fits(probe, length)), default=0)
    users = max((length for length in _USER_LENGTHS if _user_fits(probe, length, Identified(None, "x"))), default=0)
    if users < _USER_LENGTHS[0] or groups < _GROUP_LENGTHS[0]:
        raise ProbeFailed("names of 32 characters are not taken")
    probe.found(user_name_limit=users, group_name_limit=groups)
    text = f"users with a password: {users}; groups: {groups} characters"
    if probe.work.can.number >= LONG_JWT_NAMES:
        jwt = Identified("authentication_jwt")
        longest = max((length for length in _JWT_LENGTHS if _user_fits(probe, length, jwt)), default=0)
        text += f"; users by jwt: {longest or 'less than 320'}"
    return text


def _group_fits(probe: Prober, length: int) -> bool:
    name = probe.name("l", length)
    fits = probe.number(create_group(name)) == "no error" and probe.work.roles_of(name) is not None
    probe.clean()
    return fits


def _user_fits(probe: Prober, length: int, identified: Identified) -> bool:
    name = probe.name("l", length)
    if identified.plugin is None:
        identified = Identified(None, password_nobody_keeps())
    require: Require = "ssl" if identified.plugin else "none"
    made = probe.number(create_user(name, identified, require=require)) == "no error"
    fits = made and look(probe.work, name).here is not None
    probe.clean()
    return fits


def pace(probe: Prober) -> str:
    """How long a membership takes: accounts are made known to all aggregators (probe 10.9)."""
    group, users = probe.group(), [probe.user(f"u{number}") for number in range(_PACE)]
    accounts = len(probe.work.line.rows(ALL_USERS))
    began = time.monotonic()
    for user in users:
        probe.work.run(grant_group(group, user))
    each = (time.monotonic() - began) / _PACE
    return f"one takes {each * 1000:.0f} ms with {accounts} accounts, so 1,000 take {each * 1000:.0f} s"
