"""SHOW statements of accounts, groups, roles, grants, variables and nodes."""

from __future__ import annotations

import re
from typing import Literal, cast

from .grammar_parts import Parser
from .statements import Account, Role, Show, ShowColumns, ShowFor, ShowGrants, ShowStatement, ShowVariables
from .tokens import Kind, SyntaxRefused

_LISTS = ("USERS", "GROUPS", "ROLES", "AGGREGATORS", "WARNINGS", "ERRORS", "PROCESSLIST")
_ABOUT = {
    "USERS": ("GROUP", "ROLE"),
    "GROUPS": ("USER", "ROLE"),
    "ROLES": ("GROUP", "USER"),
}
_Lists = Literal["USERS", "GROUPS", "ROLES", "AGGREGATORS", "WARNINGS", "ERRORS", "PROCESSLIST"]
_Subject = Literal["USERS", "GROUPS", "ROLES"]
_Object = Literal["USER", "GROUP", "ROLE"]


def show(p: Parser) -> ShowStatement:
    """Read what stands behind SHOW."""
    if p.words("GRANTS"):
        return _grants(p)
    if p.words("COLUMNS"):
        return _columns(p)
    if p.words("VARIABLES") or p.words("GLOBAL", "VARIABLES") or p.words("SESSION", "VARIABLES"):
        return _variables(p)
    what = p.expect(Kind.WORD, "something to show").value
    if what not in _LISTS:
        raise SyntaxRefused(f"SHOW {what} is not documented")
    if what in _ABOUT and p.words("FOR"):
        return _about(p, what)
    return Show(cast("_Lists", what))


def _about(p: Parser, what: str) -> ShowFor:
    of = p.expect(Kind.WORD, "USER, GROUP or ROLE").value
    if of not in _ABOUT[what]:
        raise SyntaxRefused(f"SHOW {what} FOR {of} is not documented")
    name: str | Account = p.account() if of == "USER" else p.name(f"a {of.lower()}")
    return ShowFor(cast("_Subject", what), cast("_Object", of), name)


def _grants(p: Parser) -> ShowGrants:
    if not p.words("FOR"):
        return ShowGrants()
    return ShowGrants(Role(p.name("a role")) if p.words("ROLE") else p.account())


def _columns(p: Parser) -> ShowColumns:
    p.need("FROM")
    name = p.identifier("a table")
    return ShowColumns(name, p.identifier("a table", qualified=True)) if p.sign(".") else ShowColumns(None, name)


def _variables(p: Parser) -> ShowVariables:
    if p.words("LIKE"):
        return ShowVariables(p.string("a pattern"))
    if p.words("WHERE"):
        p.need("VARIABLE_NAME")
        p.need_sign("=")
        return ShowVariables(re.sub(r"([%_\\])", r"\\\1", p.string("a variable")))
    return ShowVariables()
