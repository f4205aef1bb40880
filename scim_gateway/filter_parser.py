"""Filter texts and PATCH paths, parsed by scim2-filter-parser into our own frozen tree (RFC 7644 §3.4.2.2, §3.5.2).

The package's lexer and grammar are kept and corrected by subclassing: JSON literals keep their type, ``and`` binds
tighter than ``or``, names may begin like a literal, any URI is a prefix. What its grammar lets through beyond the RFC
is refused on the token stream, where size is bounded too, before anything is parsed.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, NoReturn, cast

from scim2_filter_parser import ast
from scim2_filter_parser.lexer import SCIMLexer
from scim2_filter_parser.parser import SCIMParser

from scim_gateway.errors import InvalidFilter, InvalidPath
from scim_gateway.filter import And, Comparison, Filter, Not, Operator, Or, Present, ValuePath, Word
from scim_gateway.schema import AttributePath, ResourceType
from scim_gateway.text import shown

_COMPARISONS = ("EQ", "NE", "CO", "SW", "EW", "GT", "GE", "LT", "LE")
_OPERATORS = frozenset({*_COMPARISONS, "PR"})
_WORDS = _OPERATORS | {"AND", "OR"}
_VALUES = frozenset({"COMP_VALUE", "NUMBER", "TRUE", "FALSE", "NULL"})
_OPERATOR_NAMES = "eq, ne, co, sw, ew, gt, ge, lt, le or pr"
_CLOSING = {"LPAREN": 'a closing ")"', "LBRACKET": 'a closing "]"'}
_WORD_ENDS = r"(?![A-Za-z0-9_$:.-])"
# What identity providers ask before each assignment, always with another value: one comparison with a text that has no
# escapes. The grammar would give the same tree, in twenty times the time.
_SIMPLE = re.compile(
    r"([A-Za-z][A-Za-z0-9_]*)(?:\.([A-Za-z][A-Za-z0-9_]*))? +(eq|ne|co|sw|ew|gt|ge|lt|le) +"
    r'"([^"\\\x00-\x1f\ud800-\udfff]*)"',
    re.IGNORECASE | re.ASCII,
)
_HALVES = re.compile(r'([^"]{1,200})"([^"\\\x00-\x1f\ud800-\udfff]*)"')
_RESERVED = frozenset({"not", "and", "or", "true", "false", "null"})
# What a store can hold and compare as an integer in every dialect.
_LARGEST_INTEGER = 2**63


@dataclass(frozen=True, slots=True)
class FilterLimits:
    """Bounds checked before a filter is parsed.

    :param max_length: characters of the whole text.
    :param max_depth: parentheses and brackets open at the same time.
    :param max_terms: comparisons and presence tests.
    """

    max_length: int = 4096
    max_depth: int = 20
    max_terms: int = 50


@dataclass(frozen=True, slots=True)
class PatchPath:
    """``PATH = attrPath / valuePath [subAttr]`` of RFC 7644 §3.5.2, spelled as written and not resolved yet.

    :param path: the attribute, with its sub-attribute where no filter stands between them; ``path.name`` is empty when
        the path is the URN of a whole extension.
    :param filter: selects elements; :func:`~scim_gateway.filter_meaning.resolve_element` gives its meaning.
    :param sub: the sub-attribute behind the filter.
    """

    path: AttributePath
    filter: Filter | None = None
    sub: str | None = None


def parse(text: str, limits: FilterLimits = FilterLimits()) -> Filter:
    """The tree of a filter text; names as written, operands as JSON values, nothing resolved.

    :raises InvalidFilter: it is no filter, or over the limits.
    """
    try:
        _check_length(text, limits)
        return _parsed(text, limits)
    except _Fault as fault:
        raise InvalidFilter(f"The filter is not valid. {fault}") from None


def halves(text: str) -> tuple[str, str] | None:
    """A filter up to its only text, and the text, where the filter ends with it; with any other text in its place, what
    comes before means the same.
    """
    match = _HALVES.fullmatch(text)
    return None if match is None else (match[1], match[2])


def parse_path(text: str, resource_type: ResourceType, limits: FilterLimits = FilterLimits()) -> PatchPath:
    """The parts of a PATCH path; ``resource_type`` tells the URN of an extension from that of an attribute.

    A dot in place of the colon behind a schema's URN (``urn:…:User.employeeNumber``) is read as the colon.

    :raises InvalidPath: it is no path.
    :raises InvalidFilter: the filter in its brackets is not valid.
    """
    try:
        _check_length(text, limits)
        return _parsed_path(text, resource_type, limits)
    except _Fault as fault:
        if fault.in_filter:
            raise InvalidFilter(f"The filter in the path is not valid. {fault}") from None
        forms = "attribute, attribute.sub, attribute[filter] or attribute[filter].sub"
        raise InvalidPath(f"The path is not valid. {fault} It has the form {forms}.") from None


class _Fault(Exception):
    """What is wrong with a text, and where (0-based; ``None`` is its end)."""

    def __init__(self, problem: str, position: int | None = None) -> None:
        where = "" if position is None else f" (at character {position + 1})"
        super().__init__(f"{problem}{where}.")
        self.position = position
        self.in_filter = False


def _matching(pattern: str) -> Callable[[Any], Any]:
    """Mark a method as the lexer's rule for a token, as sly expects it."""

    def mark(function: Any) -> Any:
        function.pattern = pattern
        return function

    return mark


class _Lexer(SCIMLexer):
    """The package's lexer with JSON literals (RFC 8259), word boundaries and any URI as a prefix (RFC 3986)."""

    tokens = SCIMLexer.tokens

    @_matching(r"[Ff][Aa][Ll][Ss][Ee]" + _WORD_ENDS)
    def FALSE(self, t: Any) -> Any:
        t.value = False if t.value == "false" else Word(t.value)
        return t

    @_matching(r"[Tt][Rr][Uu][Ee]" + _WORD_ENDS)
    def TRUE(self, t: Any) -> Any:
        t.value = True if t.value == "true" else Word(t.value)
        return t

    @_matching(r"[Nn][Uu][Ll][Ll]" + _WORD_ENDS)
    def NULL(self, t: Any) -> Any:
        t.value = None if t.value == "null" else Word(t.value)
        return t

    @_matching(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?" + _WORD_ENDS)
    def NUMBER(self, t: Any) -> Any:
        try:
            t.value = json.loads(t.value)
        except ValueError:
            # Python refuses to read integers of thousands of digits.
            raise _Fault("The number is too large", t.index) from None
        too_large = abs(t.value) >= _LARGEST_INTEGER if isinstance(t.value, int) else math.isinf(t.value)
        if too_large:
            raise _Fault("The number is too large", t.index)
        return t

    @_matching(r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9._~:/?\#@!$&'*+,;=%-]*:")
    def SCHEMA_URI(self, t: Any) -> Any:
        t.value = t.value[:-1]
        return t

    @_matching(r'"(?:[^"\\]|\\.)*"')
    def COMP_VALUE(self, t: Any) -> Any:
        try:
            t.value = json.loads(t.value)
            t.value.encode()
        except ValueError:
            raise _Fault("The text is no JSON string; look at its backslashes", t.index) from None
        return t

    def error(self, t: Any) -> NoReturn:
        if t.value[0] == '"':
            raise _Fault("A text begins here that no double quote ends", t.index)
        if t.value[0] == "'":
            raise _Fault("A text stands in double quotes, not in single ones", t.index)
        raise _Fault(f"There is no meaning in {shown(t.value[:1])} here", t.index)


class _Parser(SCIMParser):
    """The package's grammar with the precedence of RFC 7644 §3.4.2.2.

    sly builds its tables from the rules it finds in the class body alone, so each of them is named again.
    """

    tokens = _Lexer.tokens
    precedence = (("left", "OR"), ("left", "AND"), ("right", "NOT"))

    filter = SCIMParser.filter
    value_path = SCIMParser.value_path
    attr_exp = SCIMParser.attr_exp
    log_exp = SCIMParser.log_exp
    comp_value = SCIMParser.comp_value
    attr_path = SCIMParser.attr_path
    sub_attr = SCIMParser.sub_attr

    def error(self, p: Any) -> NoReturn:
        expected = frozenset(self._lrtable.lr_action[self.state])
        opened = [symbol.type for symbol in self.symstack if symbol.type in _CLOSING]
        raise _Fault(_problem(p, expected, opened), None if p is None else p.index)


class _PathParser(_Parser):
    """The same grammar, begun at ``attrPath``, which in the package includes ``valuePath [subAttr]``."""

    start = "attr_path"

    filter = SCIMParser.filter
    value_path = SCIMParser.value_path
    attr_exp = SCIMParser.attr_exp
    log_exp = SCIMParser.log_exp
    comp_value = SCIMParser.comp_value
    attr_path = SCIMParser.attr_path
    sub_attr = SCIMParser.sub_attr

    def error(self, p: Any) -> NoReturn:
        if p is None or any(symbol.type in _CLOSING for symbol in self.symstack):
            super().error(p)
        if p.type == "ATTRNAME" or len(self.symstack) > 1:
            raise _Fault("The path has to end here", p.index)
        raise _Fault("A path begins with an attribute", p.index)


def _problem(token: Any, expected: frozenset[str], opened: Sequence[str]) -> str:
    if not expected.isdisjoint(_VALUES):
        wanted = "a value (a text in double quotes, a number, true, false or null)"
    elif "EQ" in expected:
        wanted = f"an operator ({_OPERATOR_NAMES})"
    elif "ATTRNAME" in expected:
        wanted = "an attribute"
    elif "LPAREN" in expected:
        wanted = 'a "("'
    else:
        wanted = f'"and", "or" or {_CLOSING[opened[-1]] if opened else "the end"}'
    if token is None:
        return f"It ends where {wanted} has to follow"
    if token.type == "ATTRNAME" and "EQ" in expected:
        return f"The operator {shown(token.value)} is not supported; use {_OPERATOR_NAMES}"
    # The text of a literal may be personal data and is not repeated.
    found = "a literal" if token.type in _VALUES else shown(str(token.value))
    return f"There is {found} where {wanted} has to follow"


def _check_length(text: str, limits: FilterLimits) -> None:
    if len(text) > limits.max_length:
        raise _Fault(f"It is longer than {limits.max_length} characters")


def _parsed(text: str, limits: FilterLimits) -> Filter:
    simple = _SIMPLE.fullmatch(text)
    if simple and limits.max_terms > 0:
        name, sub, operator, value = simple.groups()
        if name.lower() not in _RESERVED:
            return Comparison(AttributePath(None, name, sub), cast(Operator, operator.lower()), value)
    return _parsed_at_length(text, limits)


@lru_cache(maxsize=512)
def _parsed_at_length(text: str, limits: FilterLimits) -> Filter:
    return _tree(_run(_Parser, text, limits))


@lru_cache(maxsize=512)
def _parsed_path(text: str, resource_type: ResourceType, limits: FilterLimits) -> PatchPath:
    for urn in resource_type.schema_urns:
        size = len(urn)
        if text[:size].lower() == urn.lower():
            if size == len(text):
                return PatchPath(AttributePath(text, ""))
            if text[size] == ".":
                text = f"{text[:size]}:{text[size + 1 :]}"
            break
    node = _run(_PathParser, text, limits)
    if not isinstance(node.attr_name, ast.Filter):
        return PatchPath(_attribute_path(node))
    selection, sub = _bracketed(node.attr_name)
    return PatchPath(selection.path, selection.filter, sub)


def _run(parser: type[Any], text: str, limits: FilterLimits) -> Any:
    """Lex, check and parse; the state of a sly lexer and parser is its instance's, so each text gets new ones."""
    tokens: list[Any] = []
    try:
        tokens.extend(_Lexer().tokenize(text))
        _check_size(tokens, limits)
        _check_form(tokens)
        return parser().parse(iter(tokens))
    except _Fault as fault:
        # A bracket that is never closed makes a broken path; what is wrong behind one makes a broken filter.
        before = [token.type for token in tokens if fault.position is not None and token.index < fault.position]
        fault.in_filter = before.count("LBRACKET") > before.count("RBRACKET")
        raise


def _check_size(tokens: Sequence[Any], limits: FilterLimits) -> None:
    depth = 0
    terms = 0
    for token in tokens:
        if token.type in ("LPAREN", "LBRACKET"):
            depth += 1
            if depth > limits.max_depth:
                raise _Fault(f"It is nested deeper than {limits.max_depth} levels", token.index)
        elif token.type in ("RPAREN", "RBRACKET"):
            depth -= 1
        elif token.type in _OPERATORS:
            terms += 1
            if terms > limits.max_terms:
                raise _Fault(f"It has more than {limits.max_terms} terms", token.index)


def _check_form(tokens: Sequence[Any]) -> None:
    """Blanks where the ABNF has SP and nowhere inside a path; brackets not in brackets."""
    in_brackets = False
    for before, token in pairwise(tokens):
        gap = token.index > before.end
        if gap and (token.type in ("SUBATTR", "LBRACKET") or before.type == "SCHEMA_URI"):
            raise _Fault("A path has no blanks in it", before.end)
        if not gap and (token.type in _WORDS or (before.type in _WORDS and before.type != "PR")):
            raise _Fault("A blank is missing", token.index)
        if token.type == "LBRACKET":
            if before.type != "ATTRNAME":
                raise _Fault('A "[" follows the name of an attribute', token.index)
            if in_brackets:
                raise _Fault("Brackets cannot stand in brackets", token.index)
            in_brackets = True
        elif token.type == "RBRACKET":
            in_brackets = False


def _tree(node: Any) -> Filter:
    """Our tree of the package's."""
    match node:
        case ast.Filter(namespace=None, negated=negated, expr=expr):
            return Not(_tree(expr)) if negated else _tree(expr)
        case ast.Filter():
            return ValuePath(_attribute_path(node.namespace), _tree(node.expr))
        case ast.LogExpr(op=op):
            terms = tuple(_terms(node, op.lower()))
            return And(terms) if op.lower() == "and" else Or(terms)
        case ast.AttrExpr(value=operator, attr_path=path, comp_value=operand):
            if not isinstance(path.attr_name, ast.Filter):
                return _comparison(_attribute_path(path), operator, operand)
            selection, sub = _bracketed(path.attr_name)
            if sub is None:
                raise _Fault(f'Name a sub-attribute behind "]", as in {selection.path}[…].value')
            then = _comparison(AttributePath(None, sub), operator, operand)
            return ValuePath(selection.path, selection.filter, then)
    raise AssertionError(f"the grammar has no {type(node).__name__} here")


def _terms(node: Any, operator: str) -> Iterator[Filter]:
    """The terms of a chain of one logical operator, from left to right; without recursion, chains may be long."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        inner = node
        while isinstance(inner, ast.Filter) and inner.namespace is None and not inner.negated:
            inner = inner.expr
        if isinstance(inner, ast.LogExpr) and inner.op.lower() == operator:
            waiting += (inner.expr2, inner.expr1)
        else:
            yield _tree(inner)


def _comparison(path: AttributePath, operator: str, operand: Any) -> Comparison | Present:
    name = operator.lower()
    return Present(path) if name == "pr" else Comparison(path, cast(Operator, name), operand.value)


def _bracketed(node: Any) -> tuple[ValuePath, str | None]:
    """The value path behind an attribute path such as ``emails[…].value``, and the ``value``.

    The package moves what follows the bracket to the path before it.
    """
    path = _attribute_path(node.namespace)
    return ValuePath(AttributePath(path.urn, path.name), _tree(node.expr)), path.sub


def _attribute_path(node: Any) -> AttributePath:
    return AttributePath(node.uri, node.attr_name, node.sub_attr.value if node.sub_attr else None)
