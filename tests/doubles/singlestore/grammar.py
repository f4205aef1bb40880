"""Account, session and SHOW statements read strictly: what the vendor does not document is refused.

This is the checker of every account statement that the gateway emits, and the front door of the double::

    statement = parse("GRANT GROUP 'eng' TO 'ada'@'%'", version="8.5")
    assert statement == GrantGroup("eng", Account("ada", "%"))
"""

from __future__ import annotations

import json
from collections.abc import Callable

from . import versions as since
from .grammar_parts import Parser
from .grammar_show import show
from .statements import (
    Account,
    AlterUser,
    CreateGroup,
    CreateRole,
    CreateUser,
    DropGroup,
    DropRole,
    DropUser,
    Grant,
    GrantGroup,
    GrantRole,
    Kill,
    KillAll,
    Options,
    Password,
    Plugin,
    Require,
    Revoke,
    RevokeAll,
    RevokeGroup,
    RevokeRole,
    Role,
    Scope,
    SetPassword,
    Statement,
)
from .tokens import Kind, SyntaxRefused, tokenize
from .versions import Version

__all__ = ["SyntaxRefused", "parse"]


def parse(sql: str, *, version: Version | str, backslash_escapes: bool = True, ansi_quotes: bool = False) -> Statement:
    """Read one statement.

    Args:
        sql: the text as it goes over the wire; one statement, a semicolon may close it.
        version: the server's; newer clauses are refused.
        backslash_escapes: False under the sql_mode NO_BACKSLASH_ESCAPES.
        ansi_quotes: True under ANSI_QUOTES.

    Raises:
        SyntaxRefused: the statement is not documented for this version.
    """
    parser = Parser(tokenize(sql, backslash_escapes=backslash_escapes, ansi_quotes=ansi_quotes), Version.of(version))
    begin = parser.expect(Kind.WORD, "a statement").value
    read = _STATEMENTS.get(begin)
    if read is None:
        raise SyntaxRefused(f"no account statement begins with {begin}")
    statement = read(parser)
    parser.sign(";")
    parser.end()
    return statement


def _create(p: Parser) -> Statement:
    if p.words("USER"):
        return _create_user(p)
    if p.words("GROUP"):
        return CreateGroup(p.name("a group"))
    p.need("ROLE")
    role = p.name("a role")
    return CreateRole(role, _lock_out(p) if p.words("WITH") else Options())


def _create_user(p: Parser) -> CreateUser:
    if_not_exists = p.words("IF", "NOT", "EXISTS")
    if if_not_exists:
        p.since(since.CREATE_USER_IF_NOT_EXISTS, "CREATE USER IF NOT EXISTS")
    account = p.account()
    identified = _identified(p)
    options = _with_options(p) if p.words("WITH") else Options()
    return CreateUser(account, identified, if_not_exists, options, _require(p), _attribute(p), _comment(p))


def _identified(p: Parser) -> Password | Plugin | None:
    if not p.words("IDENTIFIED"):
        return None
    if p.words("BY"):
        return Password(p.string("a password"))
    p.need("WITH")
    plugin = p.expect(Kind.WORD, "an authentication plugin").text.lower()
    match plugin:
        case "authentication_gss" | "authentication_pam":
            return Plugin(plugin, p.string("the text after AS") if p.words("AS") else None)
        case "authentication_saml":
            return Plugin(plugin)
        case "authentication_jwt":
            p.since(since.JWT, "authentication_jwt")
            return Plugin(plugin)
    raise SyntaxRefused(f"{plugin} is no authentication plugin")


def _with_options(p: Parser) -> Options:
    """After WITH of a user: the pool, the lock-out, or both in this order; version 10 knows the audit level alone."""
    if p.words("AUDITLOG_LEVEL"):
        return Options(auditlog_level=_auditlog_level(p))
    pool = _pool(p) if p.words("DEFAULT", "RESOURCE", "POOL") else None
    if pool is not None and not p.sees("FAILED_LOGIN_ATTEMPTS"):
        return Options(resource_pool=pool)
    lock_out = _lock_out(p)
    return Options(pool, lock_out.failed_login_attempts, lock_out.password_lock_time)


def _lock_out(p: Parser) -> Options:
    p.need("FAILED_LOGIN_ATTEMPTS")
    attempts = p.assigned_number()
    p.need("PASSWORD_LOCK_TIME")
    return Options(failed_login_attempts=attempts, password_lock_time=p.assigned_number())


def _pool(p: Parser) -> str:
    p.need_sign("=")
    return p.name("a resource pool")


def _auditlog_level(p: Parser) -> str:
    p.since(since.AUDITLOG_LEVEL, "AUDITLOG_LEVEL")
    p.need_sign("=")
    return p.string("an audit level")


def _require(p: Parser) -> Require | None:
    if not p.words("REQUIRE"):
        return None
    if p.words("SSL"):
        return "SSL"
    if p.words("NONE"):
        return "NONE"
    if p.words("X509"):
        p.since(since.REQUIRE_X509, "REQUIRE X509")
        return "X509"
    p.need("SUBJECT")
    p.since(since.REQUIRE_SUBJECT, "REQUIRE SUBJECT")
    return "SUBJECT"


def _attribute(p: Parser) -> str | None:
    if not p.words("ATTRIBUTE"):
        return None
    p.since(since.ATTRIBUTE_AND_COMMENT, "ATTRIBUTE")
    text = p.string("JSON")
    try:
        json.loads(text)
    except ValueError as error:
        raise SyntaxRefused(f"ATTRIBUTE takes valid JSON: {error}") from error
    return text


def _comment(p: Parser) -> str | None:
    if not p.words("COMMENT"):
        return None
    p.since(since.ATTRIBUTE_AND_COMMENT, "COMMENT")
    return p.string("a comment")


def _alter(p: Parser) -> AlterUser:
    p.need("USER")
    account = p.account()
    password = None
    if p.words("IDENTIFIED"):
        p.need("BY")
        password = Password(p.string("a password"))
    lock = None
    if p.words("ACCOUNT"):
        lock = not p.words("UNLOCK")
        if lock:
            p.need("LOCK")
            p.since(since.ACCOUNT_LOCK, "ACCOUNT LOCK")
    if password is not None and lock is not None:
        raise SyntaxRefused("a password and ACCOUNT LOCK or UNLOCK need two statements")
    options = _set_options(p) if p.words("SET") else Options()
    statement = AlterUser(account, password, lock, options, _require(p), _attribute(p), _comment(p))
    if statement == AlterUser(account):
        raise SyntaxRefused("ALTER USER says nothing to change")
    return statement


def _set_options(p: Parser) -> Options:
    pool = _pool(p) if p.words("DEFAULT", "RESOURCE", "POOL") else None
    attempts = p.assigned_number() if p.words("FAILED_LOGIN_ATTEMPTS") else None
    lock_time = p.assigned_number() if p.words("PASSWORD_LOCK_TIME") else None
    level = _auditlog_level(p) if p.words("AUDITLOG_LEVEL") else None
    options = Options(pool, attempts, lock_time, level)
    if options == Options():
        raise SyntaxRefused("SET says nothing to set")
    return options


def _set(p: Parser) -> SetPassword:
    p.need("PASSWORD")
    p.need("FOR")
    account = p.account()
    p.need_sign("=")
    p.need("PASSWORD")
    p.need_sign("(")
    password = Password(p.string("a password"))
    p.need_sign(")")
    return SetPassword(account, password)


def _drop(p: Parser) -> Statement:
    kind = p.expect(Kind.WORD, "USER, GROUP or ROLE").value
    if_exists = p.words("IF", "EXISTS")
    match kind:
        case "USER":
            return DropUser(tuple(p.several(p.account)), if_exists)
        case "GROUP":
            return DropGroup(p.name("a group"), if_exists)
        case "ROLE":
            return DropRole(p.name("a role"), if_exists)
    raise SyntaxRefused(f"DROP {kind} is no account statement")


def _grant(p: Parser) -> Statement:
    if p.words("GROUP"):
        group = p.name("a group")
        p.need("TO")
        return GrantGroup(group, p.account())
    if p.words("ROLE"):
        role = p.name("a role")
        p.need("TO")
        return GrantRole(role, p.name("a group"))
    transferable = p.words("TRANSFERABLE")
    if transferable:
        p.since(since.TRANSFERABLE, "TRANSFERABLE")
    privileges = tuple(p.several(p.privilege))
    scope = _on(p)
    p.need("TO")
    grantees = _grantees(p)
    option = p.words("WITH", "GRANT", "OPTION")
    require = _require(p)
    if require == "SUBJECT":
        raise SyntaxRefused("GRANT knows no REQUIRE SUBJECT")
    return Grant(privileges, scope, grantees, transferable, option, require)


def _revoke(p: Parser) -> Statement:
    if p.words("GROUP"):
        group = p.name("a group")
        p.need("FROM")
        return RevokeGroup(group, p.account())
    if p.words("ROLE"):
        role = p.name("a role")
        p.need("FROM")
        return RevokeRole(role, p.name("a group"))
    privileges = tuple(p.several(p.privilege))
    if privileges == ("ALL PRIVILEGES", "GRANT OPTION") and p.words("FROM"):
        return RevokeAll(p.account())
    scope = _on(p)
    p.need("FROM")
    return Revoke(privileges, scope, _grantees(p))


def _on(p: Parser) -> Scope:
    p.need("ON")
    if p.sign("*"):
        if not p.sign("."):
            return Scope(current_database=True)
        p.need_sign("*")
        return Scope()
    database = p.identifier("a database")
    p.need_sign(".")
    return Scope(database) if p.sign("*") else Scope(database, p.identifier("a table", qualified=True))


def _grantees(p: Parser) -> tuple[Account | Role, ...]:
    if p.words("ROLE"):
        return (Role(p.name("a role")),)
    return tuple(p.several(p.account))


def _kill(p: Parser) -> Kill:
    query_only = p.words("QUERY")
    if not query_only:
        p.words("CONNECTION")
    id = p.number()
    return Kill(id, p.number() if p.sees_number() else None, query_only)


def _killall(p: Parser) -> KillAll:
    queries_only = p.words("QUERIES")
    if not queries_only:
        p.words("CONNECTIONS")
    return KillAll(queries_only, p.string("a pattern") if p.words("LIKE") else None)


_STATEMENTS: dict[str, Callable[[Parser], Statement]] = {
    "CREATE": _create,
    "ALTER": _alter,
    "SET": _set,
    "DROP": _drop,
    "GRANT": _grant,
    "REVOKE": _revoke,
    "KILL": _kill,
    "KILLALL": _killall,
    "SHOW": show,
}
