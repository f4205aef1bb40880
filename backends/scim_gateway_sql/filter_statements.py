"""The statements, made once, for what clients ask most: who is this, who has this value, and what has changed since."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, FromClause, and_, bindparam, select

from scim_gateway.backend import Query
from scim_gateway.filter import Comparison, Operand
from scim_gateway.schema import AttributePath

from .condition import TEXT_TYPES, coarse, compared_by_key, member_id_of
from .holders import with_holders
from .indexing import LIMIT, Index, sortable, unique_key
from .pages import FEW
from .prepared import Prepared
from .tables import identifiers, members, resources, values

_MINE = and_(resources.c.tenant == bindparam("tenant_"), resources.c.kind == bindparam("kind_"))
_DOC = select(resources.c.doc, resources.c.created, resources.c.id).where(_MINE).limit(FEW + 1)
_BY_ID = Prepared(_DOC.where(resources.c.id == bindparam("id_")))
_KEY = and_(
    identifiers.c.tenant == bindparam("tenant_"),
    identifiers.c.kind == bindparam("kind_"),
    identifiers.c.attr == bindparam("attr_"),
    identifiers.c.name_key == bindparam("name_key_"),
)


def _has_key(found: FromClause) -> ColumnElement[bool]:
    """Whether a resource has an identifier, which is of its kind."""
    return and_(_KEY, identifiers.c.tenant == found.c.tenant, identifiers.c.resource_id == found.c.id)


_BY_IDENTIFIER = Prepared(_DOC.where(_has_key(resources)))
_BY_IDENTIFIER_WITH_HOLDERS = with_holders(_has_key)
_BY_VALUE = Prepared(
    _DOC.where(
        resources.c.id.in_(
            select(values.c.resource_id).where(
                values.c.tenant == bindparam("tenant_"),
                values.c.attr == bindparam("attr_"),
                values.c.sortable == bindparam("sortable_"),
            )
        )
    )
)
# What has changed since, as delta imports ask: as a rule few, and the index has them in order.
_SINCE = {
    operator: Prepared(
        select(resources.c.doc, resources.c.created, resources.c.id)
        .select_from(
            values.join(resources, and_(resources.c.tenant == values.c.tenant, resources.c.id == values.c.resource_id))
        )
        .where(
            values.c.tenant == bindparam("tenant_"),
            values.c.attr == bindparam("attr_"),
            later,
            resources.c.kind == bindparam("kind_"),
        )
        .limit(FEW + 1)
    )
    for operator, later in (
        ("gt", values.c.sortable > bindparam("sortable_")),
        ("ge", values.c.sortable >= bindparam("sortable_")),
    )
}
_BY_MEMBER = Prepared(
    _DOC.where(
        resources.c.id.in_(
            select(members.c.group_id).where(
                members.c.tenant == bindparam("tenant_"), members.c.member_id == bindparam("member_id_")
            )
        )
    )
)


class FilterStatement(NamedTuple):
    """A statement that answers a whole filter: the documents, each with its place in the default order.

    :param with_holders: one for the same that tells what holds the resource, where there can only be one.
    """

    statement: Prepared
    parameters: dict[str, Any]
    with_holders: Prepared | None = None


def statement_for(index: Index, tenant: str, query: Query) -> FilterStatement | None:
    """The statement that answers the filter of a query, if there is one and it is likely to find few resources."""
    if query.sort is not None and query.sort.target.path.name == index.resource_type.members:
        return None
    tree = query.filter
    here: dict[str, Any] = {"tenant_": tenant, "kind_": index.resource_type.name}
    if type(tree) is Comparison and tree.operator == "eq" and (name := index.names.get(tree.path)):
        # What is asked most comes first.
        text, attribute = name
        if isinstance(tree.value, str):
            here |= {"attr_": text, "name_key_": unique_key(attribute, tree.value)}
            return FilterStatement(_BY_IDENTIFIER, here, _BY_IDENTIFIER_WITH_HOLDERS)
    match tree:
        case Comparison(path, "eq", value):
            found = _equal(index, path, value)
        case Comparison(path, ("gt" | "ge") as operator, value):
            found = _since(index, path, operator, value)
        case _:
            return None
    if found is None:
        return None
    statement, parameters = found
    return FilterStatement(statement, here | parameters)


def _equal(index: Index, path: AttributePath, value: Operand) -> tuple[Prepared, dict[str, Any]] | None:
    """A statement for ``path eq value``, where the value is likely to tell few resources apart."""
    if str(path) == "id":
        return _BY_ID, {"id_": value}
    if path.urn is None and path.name == index.resource_type.members:
        member_id = member_id_of(index.resource_type, path.sub, value)
        return None if member_id is None else (_BY_MEMBER, {"member_id_": member_id})
    leaf = index.leaves.get(str(path))
    if leaf is None or leaf.attribute.type not in TEXT_TYPES or coarse(leaf.attribute):
        return None
    form = None if compared_by_key(leaf.attribute) else sortable(leaf.attribute, value)
    if form is None or len(form) >= LIMIT:
        return None
    return _BY_VALUE, {"attr_": leaf.number, "sortable_": form}


def _since(index: Index, path: AttributePath, operator: str, value: Operand) -> tuple[Prepared, dict[str, Any]] | None:
    """A statement for what has a single date behind a given one."""
    leaf = index.leaves.get(str(path))
    target = index.resource_type.resolve(path)
    if leaf is None or leaf.attribute.type != "dateTime" or target is None or target.attribute is None:
        return None
    form = sortable(leaf.attribute, value)
    if form is None or target.attribute.multi_valued:
        return None
    return _SINCE[operator], {"attr_": leaf.number, "sortable_": form}
