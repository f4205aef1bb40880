"""The rules of SingleStore for statements and tables, which MariaDB does not know and would not break by.

From the vendor's documentation: a unique key contains the shard key, which is never updated; an UPDATE or DELETE that
scans a key locks the rows before it looks at them, so each names its rows by their whole key; no UPDATE with LIMIT, no
foreign keys, savepoints or triggers; a sub-select that looks at the row around it does so by the shard key, too.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

import sqlglot
from sqlglot import exp
from sqlglot.dialects.singlestore import SingleStore

RESERVED = frozenset(word.lower() for word in SingleStore.Generator.RESERVED_KEYWORDS)
SHARD_KEYS = {"scim_schema": "package"}
"""The shard key of tables that have another one than ``tenant``."""

_MARK = re.compile(r"%s|%\(\w+\)s")
_LISTED = re.compile(r"\(__\[POSTCOMPILE_\w+\]\)")


def parsed(text: str, dialect: str) -> exp.Expression:
    """A statement as sqlglot understands it, with its parameters as question marks."""
    found = sqlglot.parse_one(_LISTED.sub("(?)", _MARK.sub("?", text)), read=dialect)
    assert isinstance(found, exp.Expression)
    return found


def broken_rules(
    text: str, keys: Mapping[str, Collection[str]], exceptions: Collection[tuple[str, frozenset[str]]] = ()
) -> list[str]:
    """What is wrong with a statement.

    :param keys: the columns of the primary key by table.
    :param exceptions: tables, with the columns by which some of their rows may be written at once.
    """
    problems: list[str] = []
    for dialect in ("mysql", "singlestore"):
        try:
            tree = parsed(text, dialect)
        except sqlglot.errors.SqlglotError as error:
            problems.append(f"{dialect} does not parse it: {error}")
            continue
        if isinstance(tree, exp.Command):
            problems.append(f"{dialect} takes it for a command")
            continue
        problems += _problems(tree, keys, exceptions)
    return sorted(set(problems))


def _problems(
    tree: exp.Expression, keys: Mapping[str, Collection[str]], exceptions: Collection[tuple[str, frozenset[str]]]
) -> Iterator[str]:
    if isinstance(tree, exp.Set | exp.Show):
        return  # of names that are the server's
    yield from (f"{name} is reserved and not quoted" for name in _unquoted(tree) if name in RESERVED)
    if isinstance(tree, exp.Update | exp.Delete):
        table = tree.find(exp.Table)
        assert table is not None
        yield from _by_key(tree, table.name, keys, exceptions)
    if isinstance(tree, exp.Update):
        assigned = {each.this.name for each in tree.args["expressions"]}
        touched = assigned & set(keys[tree.this.name])
        if touched:
            yield f"{', '.join(sorted(touched))} of the key is updated"
    if isinstance(tree, exp.Insert):
        yield from _insert(tree, keys)
    for lock in tree.find_all(exp.Lock):
        if lock.args.get("wait") is not None or lock.expressions:
            yield "FOR UPDATE with NOWAIT, SKIP LOCKED or OF"
    for inner in tree.find_all(exp.Select):
        yield from _correlated(inner)


def _by_key(
    tree: exp.Expression,
    table: str,
    keys: Mapping[str, Collection[str]],
    exceptions: Collection[tuple[str, frozenset[str]]],
) -> Iterator[str]:
    if tree.args.get("limit") is not None or tree.args.get("order") is not None:
        yield "a write with LIMIT or ORDER BY"
    where = tree.args.get("where")
    by = frozenset(_equal_columns(where.this)) if where is not None else frozenset()
    if not set(keys[table]) <= by and not any(name == table and columns <= by for name, columns in exceptions):
        yield f"{table} is written by ({', '.join(sorted(by))}) and not by its whole key"


def _equal_columns(condition: exp.Expression) -> Iterator[str]:
    """The columns that a condition compares with a value, whatever else it asks."""
    if isinstance(condition, exp.And):
        yield from _equal_columns(condition.left)
        yield from _equal_columns(condition.right)
    elif isinstance(condition, exp.Paren):
        yield from _equal_columns(condition.this)
    elif isinstance(condition, exp.EQ | exp.In) and isinstance(condition.this, exp.Column):
        if isinstance(condition, exp.In) and condition.args.get("query") is not None:
            return
        yield condition.this.name


def _insert(tree: exp.Insert, keys: Mapping[str, Collection[str]]) -> Iterator[str]:
    if tree.args.get("ignore") or tree.args.get("overwrite") or tree.args.get("alternative"):
        yield "INSERT IGNORE or REPLACE"
    conflict = tree.args.get("conflict")
    if conflict is not None:
        table = tree.find(exp.Table)
        assert table is not None
        changed = {each.this.name for each in conflict.expressions}
        if changed & set(keys[table.name]):
            yield "ON DUPLICATE KEY UPDATE of a key"


def _correlated(inner: exp.Select) -> Iterator[str]:
    """A sub-select that names a table around it has to name its shard key as well."""
    own = {source.alias_or_name for source in inner.find_all(exp.Table) if source.find_ancestor(exp.Select) is inner}
    own |= {source.alias for source in inner.find_all(exp.Subquery) if source.find_ancestor(exp.Select) is inner}
    around = {
        column.table
        for column in inner.find_all(exp.Column)
        if column.table and column.table not in own and column.find_ancestor(exp.Select) is inner
    }
    for outer in around:
        if not any(
            {each.this.table, each.expression.table} >= {outer}
            and {each.this.table, each.expression.table} & own
            and each.this.name == each.expression.name == "tenant"
            for each in inner.find_all(exp.EQ)
            if isinstance(each.this, exp.Column) and isinstance(each.expression, exp.Column)
        ):
            yield f"a sub-select looks at {outer} without its tenant"


def _unquoted(tree: exp.Expression) -> Iterator[str]:
    for identifier in tree.find_all(exp.Identifier):
        if not identifier.args.get("quoted") and not isinstance(identifier.parent, exp.SessionParameter | exp.Func):
            yield identifier.name.lower()


# Tables

_TABLE = re.compile(r"CREATE (ROWSTORE )?TABLE IF NOT EXISTS (\w+) \((.*)\)\s*(.*)", re.DOTALL)
_TEXT = re.compile(r"\b(VAR)?CHAR\b|\bTEXT\b|\b\w+TEXT\b")
_FORBIDDEN = re.compile(r"\b(FOREIGN|REFERENCES|AUTO_INCREMENT|TRIGGER|CHECK|REFERENCE|JSON)\b")


def broken_table_rules(statement: str, dialect: str) -> list[str]:
    """What is wrong with a definition of a table."""
    match = _TABLE.fullmatch(" ".join(statement.split()))
    if match is None:
        return ["no CREATE TABLE IF NOT EXISTS"]
    rowstore, table, body, options = match.groups()
    problems = []
    keys = {
        kind: _columns(text) for kind, text in re.findall(r"(PRIMARY KEY|UNIQUE KEY \w+|SHARD KEY) \(([^)]*)\)", body)
    }
    definitions = [part for part in _parts(body) if not re.match(r"(PRIMARY|UNIQUE|SHARD|KEY)\b", part)]
    names = {part.split()[0]: part for part in definitions}
    shard = [SHARD_KEYS.get(table, "tenant")]
    if dialect == "singlestore":
        problems += [] if rowstore else ["no ROWSTORE"]
        problems += [] if keys.get("SHARD KEY") == shard else ["another SHARD KEY than the tenant"]
        problems += [f"options: {options}"] if options else []
    problems += [f"{kind} without the shard key" for kind, columns in keys.items() if not set(shard) <= set(columns)]
    problems += [] if "PRIMARY KEY" in keys else ["no primary key"]
    problems += [f"{name} is reserved" for name in (table, *names) if name.lower() in RESERVED]
    problems += [
        f"{name} has no collation"
        for name, text in names.items()
        if _TEXT.search(text) and "COLLATE utf8mb4_bin" not in text
    ]
    problems += [f"{found} is not there" for found in _FORBIDDEN.findall(body)]
    for kind, text in re.findall(r"(PRIMARY KEY|UNIQUE KEY \w+|KEY \w+) \(([^)]*)\)", body):
        if sum(_bytes(names[column]) for column in _columns(text)) > 3072:
            problems.append(f"{kind} has more than 3072 bytes")
    return problems


def _columns(text: str) -> list[str]:
    return [column.strip() for column in text.split(",")]


def _parts(body: str) -> Iterator[str]:
    """The definitions of a table, cut at commas that are in no brackets."""
    depth, start = 0, 0
    for position, char in enumerate(body):
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            yield body[start:position].strip()
            start = position + 1
    yield body[start:].strip()


def _bytes(definition: str) -> int:
    """How long a column can be in a key."""
    sized = re.search(r"\b(VARBINARY|VARCHAR)\((\d+)\)", definition)
    if sized:
        return int(sized[2]) * (4 if sized[1] == "VARCHAR" else 1)
    return {"BIGINT": 8, "INT": 4}[definition.split()[1]]
