"""One account: looked at, made, taken over, locked, unlocked, dropped; every step may have been done before."""

from __future__ import annotations

import contextlib
import logging
import secrets
import string
from collections.abc import Callable, Collection, Iterable

from scim_gateway_provisioning.target import Unreachable

from scim_gateway.errors import Conflict, InvalidValue
from scim_gateway.text import shown

from .failures import FOR_EVER, Refused, SetupFault
from .marks import Mark, attribute_text
from .protection import administrator, not_ours, record, refuse
from .sessions import end_rights_in_sessions, end_sessions
from .settings import TYPES
from .statements import change_password, change_user, create_user, drop_user, revoke_group, users_named
from .users import Account, Standing, account_of
from .work import Work

LONG = 32
"""Characters of a name that every server takes; what is longer may be cut off by one that says nothing."""

LOCK_FAILS = "On this server a lock keeps nobody out, scim-gateway check --probe has found"

_log = logging.getLogger("scim_gateway.engine")
_SPECIAL = "-_.:+=*#"
_KINDS = (string.ascii_lowercase, string.ascii_uppercase, string.digits, _SPECIAL)


def look(work: Work, name: str) -> Standing:
    """All accounts of a name."""
    return Standing.of(name, (account_of(row) for row in work.line.records(users_named(name))))


def password_nobody_keeps() -> str:
    """40 random characters of all four kinds, so that any policy of the server is content."""
    picked = [secrets.choice(kind) for kind in _KINDS for _ in range(4)]
    picked += [secrets.choice("".join(_KINDS)) for _ in range(24)]
    secrets.SystemRandom().shuffle(picked)
    return "".join(picked)


def alone(standing: Standing) -> None:
    """Refuse a name that has accounts beside the one that the gateway makes.

    :raises Conflict: there are some; nobody could say which of them a log-in takes.
    """
    if standing.elsewhere:
        record("User", standing.name, "has accounts for particular hosts")
        hosts = ", ".join(shown(account.host) for account in standing.elsewhere)
        raise Conflict(
            f"The Engine has accounts named {shown(standing.name)} for particular hosts ({hosts}), made by hand. "
            "The gateway manages one account per person, for any host: drop those, or use another name."
        )
    if standing.here is None and standing.alike:
        record("User", standing.name, f"is too much like {shown(standing.alike[0].name)}")
        raise Conflict(
            f"The Engine has an account {shown(standing.alike[0].name)}, which differs from {shown(standing.name)} in "
            "letter case only. Use another name, or adopt that one."
        )


def is_ours(work: Work, account: Account, id: str, *, noted: bool, begun: bool) -> bool:
    """Whether an account is that of this person.

    :param noted: the note says that it was made.
    :param begun: the note says that it was about to be made.
    :raises Conflict: the mark says that it is somebody else's.
    """
    mark = account.mark
    if mark is not None:
        if (mark.id, mark.tenant) == (id, work.settings.tenant):
            return True
        whose = "another person" if mark.tenant == work.settings.tenant else "another directory"
        raise Conflict(f"The Engine's account {shown(account.name)} carries the gateway's mark for {whose}.")
    # Where marks are shown, an account that the gateway was about to make and that has none was made by somebody else.
    marked_at_creation = account.attributes is not None and work.can.facts.create_takes_all
    return noted or (begun and not marked_at_creation)


def refuse_administrator(work: Work, name: str) -> None:
    """Refuse to touch an account that holds privileges of administrators.

    :raises Forbidden: it does.
    """
    privilege = work.privilege_of_user(name)
    if privilege is not None:
        refuse("User", name, administrator(privilege))


def foreign(work: Work, name: str) -> Conflict:
    """The refusal to touch an account that the gateway did not make.

    :raises Forbidden: it is an administrator's, which nobody can list for adoption.
    """
    refuse_administrator(work, name)
    return not_ours("User", name)


def make(work: Work, name: str, mark: Mark, model: Account | None = None) -> None:
    """Make an account that is not there.

    :param model: an account whose pool, attributes and comment it gets.
    :raises Conflict: there is one by now, or one that cannot be seen.
    :raises InvalidValue: the server does not take the name.
    """
    chosen, can = work.settings.authentication, work.can
    pool = model.pool if model is not None else work.settings.resource_pool
    attribute = attribute_text(mark, model.attributes if model is not None else None) if can.marks else None
    comment = model.comment if model is not None and can.marks else None
    whole = can.facts.create_takes_all
    statement = create_user(
        name,
        chosen.identified(name, password_nobody_keeps()),
        require=chosen.require,
        pool=pool if whole else None,
        attribute=attribute if whole else None,
        comment=comment if whole else None,
    )
    try:
        work.run(statement)
    except Refused as error:
        _refused_creation(work, name, mark, error)
    if not whole and (pool or attribute or comment):
        work.run(change_user(name, pool=pool, attribute=attribute, comment=comment))
    if len(name) > LONG and look(work, name).here is None:
        _remove_cut(work, name, mark)
        raise InvalidValue(too_long("account", "user", name))


def _refused_creation(work: Work, name: str, mark: Mark, error: Refused) -> None:
    """Find out what a refusal of CREATE USER means: return if the account is there and ours."""
    if error.meaning == "long":
        raise InvalidValue(too_long("account", "user", name)) from error
    if error.meaning == "weak":
        raise SetupFault("The Engine's password policy refuses 40 random characters; look at its password_ variables.")
    if error.meaning == "syntax":
        raise SetupFault(
            f"SingleStore {work.can.version} does not take CREATE USER as engine_authentication, engine_require and "
            "engine_resource_pool ask for it (error 1064); scim-gateway check --probe finds out more."
        ) from error
    standing = look(work, name)
    alone(standing)
    if standing.here is not None:
        if standing.here.mark == mark:
            return
        raise foreign(work, name) from error
    if error.meaning in ("exists", "either"):
        raise Conflict(f"The Engine says that an account like {shown(name)} exists; use another name.") from error
    raise Unreachable(str(error)) from error


def _remove_cut(work: Work, name: str, mark: Mark) -> None:
    """Remove an account that the server named by the beginning of the name it was told."""
    work.run(drop_user(name))
    cut = look(work, name[:LONG]).here
    if cut is not None and cut.mark == mark:
        work.run(drop_user(cut.name))


def too_long(what: str, kind: str, name: str) -> str:
    """The detail about a name that the server does not take whole."""
    return (
        f"The Engine takes no {what} name of {len(name)} characters, such as {shown(name)}. Use a shorter one, or set "
        f"engine_{kind}_name_limit to what the server takes (32) and engine_long_names=shorten."
    )


def put_mark(work: Work, account: Account, mark: Mark) -> None:
    """Mark an account that carries no mark; where marks cannot be seen, whatever stands there is left alone."""
    if work.can.marks and account.attributes is not None and account.mark is None:
        work.run(change_user(account.name, attribute=attribute_text(mark, account.attributes)))


def _marked(work: Work, account: Account, mark: Mark) -> str | None:
    """The ATTRIBUTE to write along with a lock: none where what stands there cannot be seen."""
    if not work.can.marks or account.attributes is None:
        return None
    return attribute_text(mark, account.attributes)


def lock(work: Work, account: Account, mark: Mark) -> None:
    """Keep somebody out; sessions that are open are ended by :func:`.sessions.end_sessions`.

    :raises Unreachable: this server cannot keep such an account out.
    """
    if not work.can.locks:
        _scramble(work, account)
        return
    if not work.can.facts.lock_keeps_out:
        raise SetupFault(f"{LOCK_FAILS}: set engine_on_deactivate=drop.")
    if not work.can.facts.lock_holds_for_plugins and account.type != TYPES[None]:
        raise SetupFault(
            f"On this server a lock does not keep out accounts that log in by {account.type}: set "
            "engine_on_deactivate=drop."
        )
    # Also if it is shown as locked: that may be for failed log-ins, and pass.
    work.run(change_user(account.name, lock=True, attribute=_marked(work, account, mark.with_lock(True))))


def _scramble(work: Work, account: Account) -> None:
    """Servers before 8.0 have no lock: a password that nobody knows keeps out who logs in by password."""
    if account.type != TYPES[None]:
        raise SetupFault(
            f"SingleStore {work.can.version} has no ACCOUNT LOCK, and another password does not keep out accounts that "
            f"log in by {account.type}: set engine_on_deactivate=drop."
        )
    work.run(change_password(account.name, password_nobody_keeps()))


def unlock(work: Work, account: Account, mark: Mark, *, noted: bool) -> None:
    """Let somebody in whom the gateway has locked out; a lock of an administrator stays.

    :param noted: the note says that the gateway locked the account.
    """
    by_gateway = account.mark.locked if account.mark is not None else noted
    if work.can.locks and by_gateway:
        work.run(change_user(account.name, lock=False, attribute=_marked(work, account, mark.with_lock(False))))
    elif account.locked:
        _log.warning("the account %s was not locked by the gateway and stays locked", shown(account.name))


def leave_groups(work: Work, name: str, managed: Callable[[Collection[str]], Collection[str]]) -> None:
    """Take somebody out of the gateway's groups.

    :param managed: which of these names are groups of the gateway's.
    :raises Unreachable: one of them cannot be left.
    """
    groups = work.groups_of(name)
    leave_each(work, ((name, group) for group in sorted(groups & set(managed(groups)) if groups else ())))


def leave_each(work: Work, leaving: Iterable[tuple[str, str]]) -> None:
    """End several memberships; trouble with one does not keep the others.

    What they gave in sessions that are open is ended afterwards, by who knows whose sessions are to end.

    :param leaving: names of an account and a group each.
    :raises Unreachable: one of them cannot be ended.
    """
    trouble: Unreachable | None = None
    for name, group in leaving:
        try:
            _revoke(work, name, group)
        except Refused as error:
            trouble = trouble or Unreachable(str(error))
    if trouble is not None:
        raise trouble


def leave(work: Work, name: str, group: str) -> None:
    """End one membership, and what it gave in sessions that are open; that there is none any more is fine."""
    _revoke(work, name, group)
    end_rights_in_sessions(work, [name])


def _revoke(work: Work, name: str, group: str) -> None:
    try:
        work.run(revoke_group(group, name))
    except Refused as error:
        if error.meaning in FOR_EVER or group in work.groups_of(name):
            raise
        work.prove_sight()


def drop(work: Work, account: Account, mark: Mark) -> None:
    """Remove an account: nobody gets in from now on, and who is in is put out."""
    name = account.name
    if work.can.locks:
        with contextlib.suppress(SetupFault):  # what cannot be locked is gone in a moment
            lock(work, account, mark)
        end_sessions(work, name)
    work.run(drop_user(name))
    end_sessions(work, name)
    if look(work, name).here is not None:
        raise Unreachable(f"The Engine still has the account {shown(name)} after DROP USER.")


def none_elsewhere(standing: Standing) -> None:
    """Do not call somebody shut out who can come in by another account of the same name.

    :raises Unreachable: there is one, made by hand; it stays pending until an administrator has dropped it.
    """
    if standing.elsewhere:
        hosts = ", ".join(shown(account.host) for account in standing.elsewhere)
        raise Unreachable(
            f"{shown(standing.name)} is shut out, but accounts of this name for particular hosts ({hosts}) were made "
            "by hand: drop them."
        )
