"""Memberships of one group, by difference: one statement each, any repetition accepted.

Before anything is written the group's roles are read: a group that makes administrators by now is not touched. Who is a
member already is asked only where that saves more than it costs: of many, some may have been dealt with by a call that
was cut, and each statement on an account waits for a lock of the whole cluster.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import nullcontext

from scim_gateway_provisioning.target import MemberChanges, Unreachable

from scim_gateway.text import shown

from .accounts import leave_each
from .failures import FOR_EVER, Refused
from .names import parse_account
from .notes import Note
from .protection import refuse
from .sessions import end_rights_in_sessions
from .statements import HOST, grant_group, groups_like, members_among, members_of
from .work import Work, in_batches

FEW = 4
"""So many memberships are brought about without asking who is a member: the answer to a new request is: nobody."""


def change_members(work: Work, changes: MemberChanges) -> None:
    """Bring memberships about; removals first.

    A group or account that is being renamed has two names for a while: nobody stays a member under one of them, and
    whoever joins does so under the name that counts; the renaming brings it over.

    :raises Forbidden: the group is protected, by its name or by the roles that it has by now.
    :raises Unreachable: the group, or somebody who has to be in it, is not there: dropped by hand, it is made again.
    """
    large = len(changes.add) + len(changes.remove) > FEW
    with work.line.large() if large else nullcontext():
        _bring_about(work, changes)


def _bring_about(work: Work, changes: MemberChanges) -> None:
    note, adding = Note.of(changes.group), changes.add
    leaving = sorted({name for known in changes.remove.values() for name in Note.of(known).names})
    groups = []
    for group in note.names:
        roles = work.roles_of(group)
        reason = work.protected.reason("Group", group) or work.protection_by_roles(roles or ())
        if reason is not None:
            gets = adding if group == note.name else {}
            if not _is_so_already(work, group, leaving, [Note.of(known).name for known in gets.values()]):
                refuse("Group", group, reason)
            adding = {} if gets else adding
        elif roles is not None:
            groups.append(group)
    try:
        leave_each(work, (pair for group in groups for pair in _leaving(work, group, leaving)))
    finally:
        if groups:
            # Of all who leave, not only of those who were members still: an earlier call may have been cut before this.
            end_rights_in_sessions(work, leaving)
    joining = sorted(_name(id, Note.of(known)) for id, known in adding.items())
    if joining:
        if note.name is None or note.name not in groups:
            raise Unreachable(f"The Engine has no group {shown(note.name or 'for this one')} yet, or no longer.")
        _add(work, note.name, joining)


def _is_so_already(work: Work, group: str, leaving: Sequence[str], joining: Sequence[str | None]) -> bool:
    """Whether nothing has to be done to a group that may not be touched.

    What was refused is taken back in the directory, and that is asked for like anything else: while it seemed to be
    left to do, other requests about these people would be refused, too.

    :param joining: who has to be a member; ``None``: somebody without an account.
    """
    wanted = {name for name in joining if name is not None}
    here: set[str] = set()
    for batch in in_batches(sorted({*leaving, *wanted})):
        here |= _members_among(work, group, batch, exactly=True)
    if None in joining or here & set(leaving) or not here >= wanted:
        return False
    if leaving:
        work.prove_sight()  # who is not in the list is no member only if the list is whole
    return True


def _name(id: str, note: Note) -> str:
    if note.name is None:
        raise Unreachable(f"The user {id} has no account in the Engine yet.")
    return note.name


def _leaving(work: Work, group: str, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Which memberships have to be ended, as names of account and group."""
    if len(names) <= FEW:
        yield from ((name, group) for name in names)
        return
    unseen = False
    for batch in in_batches(names):
        here = _members_among(work, group, batch)
        unseen |= len(here) < len(batch)
        yield from ((name, group) for name in batch if name in here)
    if unseen:
        # Who is not in the list is no member only if the list is whole.
        work.prove_sight()


def _add(work: Work, group: str, names: Sequence[str]) -> None:
    for batch in in_batches(names):
        here = _members_among(work, group, batch, exactly=True) if len(names) > FEW else set()
        missing = [name for name in batch if name not in here]
        if missing and work.can.grant_makes_users:
            _refuse_strangers(work, missing)
        for name in missing:
            join(work, name, group)


def join(work: Work, name: str, group: str) -> None:
    """Make an account a member; that it is one already is fine.

    :raises Unreachable: there is no such account.
    """
    try:
        work.run(grant_group(group, name))
    except Refused as error:
        if error.meaning in FOR_EVER:
            raise
        if not _members_among(work, group, [name]):
            raise Unreachable(
                f"The account {shown(name)} cannot join the group {shown(group)} (error {error.number}): one of them "
                "is missing in the Engine."
            ) from error


def _refuse_strangers(work: Work, names: Sequence[str]) -> None:
    """Old servers may make an account of whoever is granted something: only those who are there are."""
    here = work.existing(names)
    for name in names:
        if name not in here:
            raise Unreachable(f"The Engine has no account {shown(name)} yet, or no longer.")


def _members_among(work: Work, group: str, names: Sequence[str], *, exactly: bool = False) -> set[str]:
    """Which of these accounts are members of a group.

    Two spellings of a name may be two groups to the server, or one that a view shows in the other spelling: who is in
    the other one counts where that means that something is sent once too often, and not where it would be left out.

    :param exactly: only in the spelling that was asked for.
    """
    rows = work.line.rows(members_among(group, names)) if names else []
    return _accounts([row for row in rows if str(row[1]) == group] if exactly else rows)


def member_names(work: Work, group: str) -> set[str]:
    """The names of all members that are accounts of any host.

    Who is in a group of another spelling is one only if there is none of this spelling: then the two are the same.
    """
    rows = work.line.rows(members_of(group))
    if any(str(row[1]) != group for row in rows):
        spellings = {str(row[0]) for row in work.line.rows(groups_like(group))}
        rows = [row for row in rows if str(row[1]) == group or group not in spellings]
    return _accounts(rows)


def _accounts(rows: Collection[tuple[object, ...]]) -> set[str]:
    accounts = (parse_account(str(row[0])) for row in rows)
    return {name for name, host in accounts if host == HOST}
