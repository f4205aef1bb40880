"""What holds for any operations: only SCIM errors, nothing given or unnamed is changed, two ways to one set."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import hypothesis.strategies as st
from hypothesis import event, example, given, settings
from patch_data import (
    ENTERPRISE_URN,
    GROUP,
    USER,
    USER_URN,
    add,
    badge,
    group,
    ids,
    op,
    patched,
    reader,
    remove,
    replace,
    type_of,
    user,
)
from rows import examples

from scim_gateway.errors import ScimError
from scim_gateway.messages import PatchOperation
from scim_gateway.patch import membership_change
from scim_gateway.profile import PROFILES
from scim_gateway.schema import Attribute, Resource

RESOURCES: list[Resource] = [
    user(),
    user(
        enterprise={"department": "IT", "manager": {"value": "u2"}},
        phoneNumbers=[{"value": "1", "type": "work"}, {"value": "2", "type": "work"}],
        addresses=[{"type": "work", "locality": "Bern"}],
        title="T",
    ),
    group("a", "b", "c"),
    group(),
    badge(
        tags=["a", "b"],
        serial="1",
        chip={"number": "1", "vendor": "V", "seen": "today"},
        doors=[{"value": "d", "hinge": "left", "opened": "x", "primary": True}, {"value": "e"}],
    ),
]
PATHS = [
    *(
        "userName",
        "title",
        "name",
        "name.givenName",
        "active",
        "emails",
        "phoneNumbers",
        "addresses",
        "groups",
        "id",
        "meta",
    ),
    *(
        "meta.version",
        "password",
        "externalId",
        "schemas",
        "members",
        "members.value",
        "displayName",
        "foo",
        "",
        "emails[",
    ),
    *(
        'emails[type eq "work"]',
        'emails[type eq "work"].value',
        "emails[primary eq true].primary",
        "emails[value pr].display",
    ),
    *('phoneNumbers[type eq "work"].primary', 'phoneNumbers[type eq "fax"].value', 'addresses[type eq "home"].region'),
    *(
        ENTERPRISE_URN,
        f"{ENTERPRISE_URN}:department",
        f"{ENTERPRISE_URN}:manager",
        f"{ENTERPRISE_URN}:manager.value",
        USER_URN,
    ),
    *('members[value eq "a"]', 'members[value eq "z"].type', 'members[type eq "User"]', 'schemas[value sw "urn"]'),
    *("label", "serial", "maker", "pin", "tags", 'tags[value eq "a"]', "codes", "codes[value gt 1]", "seals", "chip"),
    *(
        "chip.number",
        "chip.key",
        "chip.zones",
        "doors",
        'doors[value eq "d"]',
        'doors[value eq "d"].hinge',
        "doors[primary pr]",
    ),
    *(
        "printed",
        'doors[type eq "x" and value eq "y"].code',
        'doors[value eq "q"].opened',
        "emails[not (type pr)].type",
    ),
]
KEYS = [
    *(
        "value",
        "type",
        "primary",
        "display",
        "$ref",
        "givenName",
        "familyName",
        "GIVENNAME",
        "region",
        "number",
        "state",
        "key",
    ),
    *("vendor", "seen", "zones", "hinge", "code", "opened", "department", "manager", "manager.value", "label"),
]
TEXTS = st.sampled_from(
    ["a", "b", "z", "A", "work", "home", "True", "", " ", "1", "2026-01-01T00:00:00Z", "a\x00", "\ud800"]
)
SCALARS = st.none() | st.booleans() | st.integers(-2, 3) | st.just(2**70) | st.floats() | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(st.sampled_from(PATHS + KEYS), VALUES, max_size=4)
WILD = st.builds(
    PatchOperation,
    st.sampled_from(["add", "remove", "replace"]),
    st.sampled_from(PATHS) | st.none() | st.text(max_size=8),
    VALUES | OBJECTS | st.dictionaries(st.text(max_size=5), SCALARS, max_size=2),
    st.booleans(),
)
WORDS = st.sampled_from(["a", "b", "d", "e", "work", "home", "1"])


def fitting_value(attribute: Attribute, *, element: bool = False) -> st.SearchStrategy[Any]:
    """Values that fit an attribute, or one of its elements."""
    if attribute.multi_valued and not element:
        one = fitting_value(attribute, element=True)
        return st.lists(one, max_size=3) | one
    if attribute.type == "complex":
        parts = {sub.name: fitting_value(sub) for sub in attribute.sub_attributes if sub.mutability != "readOnly"}
        return st.fixed_dictionaries({}, optional=parts)
    if attribute.type == "boolean":
        return st.booleans()
    return st.integers(0, 3) if attribute.type == "integer" else WORDS


def fitting_operations(resource: Resource) -> st.SearchStrategy[PatchOperation]:
    """Operations that have a good chance to be applied to a resource."""
    kind = type_of(resource)
    found = []
    for path in PATHS:
        base, bracket, rest = path.partition("[")
        sub = rest.rpartition("]")[2].lstrip(".")
        target = kind.locate(f"{base}.{sub}" if sub else base)
        if target is None or target.attribute is None or target.attribute.mutability == "readOnly":
            continue
        value = fitting_value(target.leaf, element=bool(bracket) and not sub)
        for name in ("add", "replace"):
            found.append(st.builds(PatchOperation, st.just(name), st.just(path), value, st.just(True)))
            if not bracket or kind is USER:
                found.append(
                    st.builds(
                        lambda name, path, value: op(name, None, {path: value}), *map(st.just, (name, path)), value
                    )
                )
        found.append(st.just(remove(path)))
        if not bracket:
            found.append(st.builds(remove, st.just(path), value))
    return st.one_of(found)


FITTING = [fitting_operations(resource) for resource in RESOURCES]


@st.composite
def requests(draw: st.DrawFn, size: int) -> tuple[Resource, list[PatchOperation]]:
    """A resource with operations for it, most of them sensible."""
    number = draw(st.integers(0, len(RESOURCES) - 1))
    fitting = FITTING[number]
    return RESOURCES[number], draw(st.lists(st.one_of(fitting, fitting, fitting, WILD), min_size=1, max_size=size))


ANY_PROFILE = st.sampled_from(list(PROFILES.values()))


@settings(max_examples=examples(300))
@given(requests(3), ANY_PROFILE)
def test_operations_are_applied_or_refused_by_a_scim_error_and_nothing_given_changes(
    request: tuple[Resource, list[PatchOperation]], profile: Any
) -> None:
    resource, operations = request
    sent = deepcopy(operations)
    kind = type_of(resource)
    after = outcome(lambda: patched(resource, *operations, profile=profile))
    if isinstance(after, ScimError):
        event(type(after).__name__)
        assert 400 <= after.status < 500
        assert after.detail.isprintable()
    else:
        event("applied")
        assert (after["id"], after["meta"]) == (resource["id"], resource["meta"])
        assert patched(after, profile=profile) == after
        reader(kind).check(after)
        for attribute in kind.attributes.values():
            value = after.get(attribute.name, "unassigned")
            assert value not in (None, [], {}), attribute.name
            assert attribute.mutability != "writeOnly" or value == "unassigned"
            if attribute.mutability == "readOnly" or (
                attribute.mutability == "immutable" and attribute.name in resource
            ):
                assert value == resource.get(attribute.name, "unassigned")
    # NaN is not equal to itself, but written alike.
    assert repr(operations) == repr(sent)


def named_attributes(operation: PatchOperation, resource: Resource) -> set[str]:
    """Top-level names, in lower case, that an operation could be said to name; extensions by their URN."""
    kind = type_of(resource)
    texts = [operation.path] if operation.path else []
    if operation.path is None and isinstance(operation.value, Mapping):
        texts += operation.value
        texts += [f"{key}" for inner in operation.value.values() if isinstance(inner, Mapping) for key in inner]
    names = set()
    for text in texts:
        target = kind.locate(text.partition("[")[0])
        if target is not None:
            names.add(target.path.urn or target.path.name)
    return names


@settings(max_examples=examples(300))
@given(requests(1), ANY_PROFILE)
def test_an_operation_changes_nothing_that_it_does_not_name(
    request: tuple[Resource, list[PatchOperation]], profile: Any
) -> None:
    resource, [operation] = request
    after = outcome(lambda: patched(resource, operation, profile=profile))
    if isinstance(after, ScimError):
        return
    event("changed" if after != resource else "not changed")
    changed = {name for name in {*resource, *after} if resource.get(name) != after.get(name)}
    assert changed <= named_attributes(operation, resource) | {"schemas"}


@settings(max_examples=examples(300))
@given(requests(1), ANY_PROFILE)
def test_an_operation_sent_again_changes_nothing(request: tuple[Resource, list[PatchOperation]], profile: Any) -> None:
    resource, [operation] = request
    once = outcome(lambda: patched(resource, operation, profile=profile))
    if isinstance(once, ScimError):
        return
    # A filter may select something else, or nothing, after what it selected was changed.
    if operation.op != "remove" or operation.value is None:
        again = outcome(lambda: patched(once, operation, profile=profile))
        if "[" in str(operation):
            event("by filter")
            assert isinstance(again, ScimError) or again.keys() == once.keys()
        else:
            assert again == once


IDS = st.sampled_from(["a", "b", "c", "d", "e"])
ELEMENTS = st.builds(
    lambda member, more: {"value": member, **more},
    IDS,
    st.dictionaries(st.sampled_from(["$ref", "display"]), st.none() | st.just("x"), max_size=2)
    | st.sampled_from([{"type": "User"}, {"type": None}]),
)
LISTS = st.lists(ELEMENTS, max_size=3)
MEMBER_OPERATIONS = st.one_of(
    st.builds(add, st.just("members"), LISTS | ELEMENTS | st.none()),
    st.builds(replace, st.just("members"), LISTS | st.none()),
    st.builds(remove, st.just("members"), LISTS | ELEMENTS | st.none()),
    st.just(remove("members")),
    st.builds(lambda member: remove(f'members[value eq "{member}"]'), IDS),
    st.builds(lambda one, other: remove(f'members[value eq "{one}" or value eq "{other}"]'), IDS, IDS),
    st.builds(lambda value: replace(None, {"members": value, "id": "g1"}), LISTS | st.none()),
    st.builds(lambda value, name: add(None, {"Members": value, "displayName": name}), LISTS, IDS),
    st.builds(replace, st.just("displayName"), IDS),
    st.builds(lambda name: replace(None, {"externalId": name, "id": "g1"}), IDS),
    st.builds(PatchOperation, st.sampled_from(["add", "remove", "replace"]), st.just("members"), VALUES, st.booleans()),
)


@given(st.lists(IDS, unique=True), st.lists(MEMBER_OPERATIONS, min_size=1, max_size=5), ANY_PROFILE)
@example(["a"], [remove('members[value eq "a"]'), add("members", [{"value": "a"}])], PROFILES["strict"])
def test_set_arithmetic_comes_to_the_same_members_as_applying_to_all(
    before: list[str], operations: list[PatchOperation], profile: Any
) -> None:
    resource = group(*before)
    expected = outcome(lambda: patched(resource, *operations, profile=profile))
    change = outcome(lambda: membership_change(operations, GROUP, reader(GROUP), profile))
    if change is None:
        event("needs the members")
        return
    if isinstance(change, ScimError):
        event("refused")
        # Several operations may be wrong, and the two ways may come upon different ones first.
        assert isinstance(expected, ScimError)
        return
    members = set() if change.replaces else set(before)
    members = members - change.remove | change.add.keys()
    assert not change.add.keys() & change.remove
    rest = outcome(lambda: patched(group(), *change.operations, profile=profile))
    if isinstance(rest, ScimError):
        assert isinstance(expected, ScimError)
        return
    assert not isinstance(expected, ScimError)
    event("computed")
    assert set(ids(expected)) == members
    assert {**expected, "members": None} == {**rest, "members": None}


def outcome(work: Any) -> Any:
    """The result, or the error that it was refused with."""
    try:
        return work()
    except ScimError as error:
        return error


@given(st.lists(WILD, max_size=3), ANY_PROFILE)
def test_operations_on_a_user_are_never_taken_for_changes_of_membership(
    operations: list[PatchOperation], profile: Any
) -> None:
    assert membership_change(operations, USER, reader(USER), profile) is None
