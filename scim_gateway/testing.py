"""The conformance suite for backends: each rule of :mod:`scim_gateway.backend` as tests named by the fact they check.

A plugin passes it with a class of its own in its tests, and this line in its ``conftest.py`` for readable failures::

    pytest.register_assert_rewrite("scim_gateway.testing")


    class TestMyBackend(BackendTests):
        @pytest.fixture
        def backend(self):
            return MyBackend.from_settings({}, self.resource_types)
"""

from __future__ import annotations

import copy
import itertools
import json
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, TypeVar

import pytest

from scim_gateway.backend import Backend, MemberChange, MembershipHandler, Page, Query, Reference
from scim_gateway.definitions import standard_resource_types
from scim_gateway.errors import NotFound, StaleResource, Unavailable, Uniqueness
from scim_gateway.filter import Filter, resolve
from scim_gateway.filter_parser import parse
from scim_gateway.ordering import Sort, position_of
from scim_gateway.profile import LENIENT
from scim_gateway.schema import (
    CORE_GROUP,
    CORE_USER,
    ENTERPRISE_USER,
    Attribute,
    AttributePath,
    Resource,
    ResourceType,
    ResourceTypes,
    Schema,
    SchemaExtension,
)
from scim_gateway.tokens import new_token

T = TypeVar("T")

DEVICE_URN = "urn:example:params:scim:schemas:Device"
DEPOT_URN = "urn:example:params:scim:schemas:extension:Depot"

DEVICE = ResourceType(
    "Device",
    "/Devices",
    Schema(
        DEVICE_URN,
        "Device",
        attributes=(
            Attribute("serial", required=True, case_exact=True, uniqueness="server"),
            Attribute("label", uniqueness="server"),
            Attribute("note"),
            Attribute("code", case_exact=True),
            Attribute("slots", type="integer"),
            Attribute("weight", type="decimal"),
            Attribute("bought", type="dateTime"),
            Attribute("lent", type="boolean"),
            Attribute("photo", type="binary", case_exact=True),
            Attribute("manual", type="reference", case_exact=True, reference_types=("external",)),
            Attribute("tags", multi_valued=True),
            Attribute(
                "ports",
                type="complex",
                multi_valued=True,
                sub_attributes=(
                    Attribute("value"),
                    Attribute("type"),
                    Attribute("speed", type="integer"),
                    Attribute("primary", type="boolean"),
                ),
            ),
            Attribute(
                "maker",
                type="complex",
                sub_attributes=(Attribute("name"), Attribute("country", case_exact=True)),
            ),
        ),
    ),
    extensions=(
        SchemaExtension(
            Schema(
                DEPOT_URN,
                "Depot",
                attributes=(
                    Attribute("shelf"),
                    Attribute("cost", type="decimal"),
                    Attribute("badge", uniqueness="server"),
                ),
            )
        ),
    ),
    display=("label",),
)
"""A resource type with an attribute of every kind: a backend serves what the configuration declares, not only users."""

#: Two names, and whether they are the same name. Stores disagree about nearly every pair, so none is asked.
NAME_PAIRS: tuple[tuple[str, str, bool], ...] = (
    ("bob", "Bob", True),
    ("bob", "bob ", True),
    ("bob", "\tbob", True),
    ("bob", "bo b", False),
    ("bob", "b\N{LATIN SMALL LETTER O WITH ACUTE}b", False),
    ("bob", "b\N{CYRILLIC SMALL LETTER O}b", False),
    ("bob", "bo\N{ZERO WIDTH SPACE}b", True),
    ("bob", "\N{FULLWIDTH LATIN SMALL LETTER B}ob", True),
    ("caf\N{LATIN SMALL LETTER E WITH ACUTE}", "cafe\N{COMBINING ACUTE ACCENT}", True),
    ("stra\N{LATIN SMALL LETTER SHARP S}e", "STRASSE", True),
    ("kim", "\N{KELVIN SIGN}im", True),
    ("file", "\N{LATIN SMALL LIGATURE FI}le", True),
    ("istanbul", "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}stanbul", False),
    ("isi", "\N{LATIN SMALL LETTER DOTLESS I}s\N{LATIN SMALL LETTER DOTLESS I}", False),
    ("\N{GREEK CAPITAL LETTER SIGMA}as", "\N{GREEK SMALL LETTER FINAL SIGMA}as", True),
    ("a%b", "a_b", False),
)

_clock = itertools.count()
_START = datetime(2026, 1, 1, tzinfo=UTC)


def suite_resource_types() -> ResourceTypes:
    """The types that the suite works with: those of the RFC, and one with an attribute of every kind."""
    return ResourceTypes((*standard_resource_types(), DEVICE))


def resource(kind: str, schemas: Sequence[str] = (), /, **attributes: Any) -> Resource:
    """A new resource as the core hands it to a backend."""
    created = (_START + timedelta(milliseconds=next(_clock))).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    return {
        "schemas": list(schemas),
        "id": str(uuid.uuid4()),
        **attributes,
        "meta": {"resourceType": kind, "created": created, "lastModified": created, "version": "1"},
    }


def user(name: str, /, **attributes: Any) -> Resource:
    """A new User."""
    return resource("User", [CORE_USER], userName=name, **attributes)


def group(name: str, *members: Resource) -> Resource:
    """A new Group with members."""
    elements = [{"value": member["id"], "type": member["meta"]["resourceType"]} for member in members]
    return resource("Group", [CORE_GROUP], displayName=name, **({"members": elements} if elements else {}))


def device(serial: str, /, **attributes: Any) -> Resource:
    """A new Device; keyword arguments ``shelf``, ``cost`` and ``badge`` belong to its extension."""
    depot = {name: attributes.pop(name) for name in ("shelf", "cost", "badge") if name in attributes}
    schemas = [DEVICE_URN, DEPOT_URN] if depot else [DEVICE_URN]
    return resource("Device", schemas, serial=serial, **attributes, **({DEPOT_URN: depot} if depot else {}))


def changed(before: Resource, *without: str, **attributes: Any) -> Resource:
    """A resource as the core changes it: the version one higher, ``before`` untouched."""
    after = {name: value for name, value in copy.deepcopy(before).items() if name not in without} | attributes
    after["meta"] = {**before["meta"], "version": str(int(before["meta"]["version"]) + 1)}
    return after


def create(backend: Backend, *resources: Resource) -> None:
    """Create resources, each in an operation of its own."""
    for each in resources:
        with backend.operation(write=True):
            backend.handlers[each["meta"]["resourceType"]].create(each)


def modify(backend: Backend, before: Resource, after: Resource) -> None:
    """Modify a resource in an operation of its own."""
    with backend.operation(write=True):
        backend.handlers[before["meta"]["resourceType"]].modify(before, after)


def delete(backend: Backend, gone: Resource) -> None:
    """Delete a resource in an operation of its own."""
    with backend.operation(write=True):
        backend.handlers[gone["meta"]["resourceType"]].delete(gone)


def get(backend: Backend, like: Resource) -> Resource:
    """The resource as it is stored now."""
    with backend.operation(write=False):
        return backend.handlers[like["meta"]["resourceType"]].get(like["id"])


def retried(backend: Backend, work: Callable[[], T]) -> T:
    """Run a write as the core does: from its start again when another one got in between."""
    for _ in range(1000):
        try:
            with backend.operation(write=True):
                return work()
        except StaleResource:
            continue
    raise AssertionError("a write never got through")


def change_members(backend: Backend, group_id: str, add: Iterable[Resource] = (), remove: Iterable[str] = ()) -> None:
    """Change the members of a group as the core does, with the ability and without it."""
    joining = {each["id"]: each["meta"]["resourceType"] for each in add}
    leaving = frozenset(remove)
    handler = backend.handlers["Group"]

    def apart() -> None:
        assert isinstance(handler, MembershipHandler)
        before = handler.get(group_id, without=("members",))
        before.pop("members", None)
        now = handler.member_ids(group_id, among=joining.keys() | leaving)
        change = MemberChange({id: kind for id, kind in joining.items() if id not in now}, leaving & now)
        if change:
            handler.change_members(before, changed(before), change)

    def inside() -> None:
        before = handler.get(group_id)
        kept = [each for each in before.get("members", ()) if each["value"] not in leaving | joining.keys()]
        elements = [*kept, *({"value": id, "type": kind} for id, kind in joining.items())]
        handler.modify(before, changed(before, "members", **({"members": elements} if elements else {})))

    retried(backend, apart if isinstance(handler, MembershipHandler) else inside)


def member_ids(backend: Backend, group_id: str) -> set[str]:
    """Ids of the members that a group is shown with."""
    with backend.operation(write=False):
        return {element["value"] for element in backend.handlers["Group"].get(group_id).get("members", ())}


def in_parallel(work: Sequence[Callable[[], T]]) -> list[T | BaseException]:
    """Run each function in a thread, all released at once; what they returned or raised, in order."""
    barrier = threading.Barrier(len(work))
    results: list[Any] = [None] * len(work)

    def run(number: int) -> None:
        try:
            barrier.wait(timeout=30)
            results[number] = work[number]()
        except BaseException as error:
            results[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not any(thread.is_alive() for thread in threads), "an operation hangs"
    return results


def resolved(kind: ResourceType, text: str) -> Filter:
    """A filter as the core hands it over."""
    return resolve(parse(text), kind, LENIENT)


def sort(kind: ResourceType, path: AttributePath, descending: bool = False) -> Sort:
    """An order as the core hands it over."""
    target = kind.resolve(path)
    assert target is not None
    return Sort(target, descending)


def people() -> list[Resource]:
    """Users whose values are traps: letter case, accents, blanks, wildcards, quotes, empty and missing values."""

    def mail(*addresses: tuple[str, str], **primary: int) -> list[dict[str, Any]]:
        elements: list[dict[str, Any]] = [{"value": value, "type": kind} for value, kind in addresses]
        if "primary" in primary:
            elements[primary["primary"]]["primary"] = True
        return elements

    sharp = "Stra\N{LATIN SMALL LETTER SHARP S}e"
    return [
        user("ada", externalId="00u1", active=True, displayName="Ada", name={"givenName": "Ada", "familyName": "King"}),
        user(
            "Bob@Example.com",
            externalId="00U1",
            active=False,
            emails=mail(("bob@example.com", "work"), ("Bob@home.example", "home"), primary=0),
        ),
        user("b%b", displayName="100% _sure_", title="", emails=mail(("a_b@example.com", "work"))),
        user("b_b", displayName="100", title="x", emails=mail(("axb@example.com", "home"), primary=0)),
        user("o'hara", displayName='O\'Hara \\ "Q"', name={"familyName": "O'Hara"}, active=True),
        user("caf\N{LATIN SMALL LETTER E WITH ACUTE}", displayName="cafe", nickName="CAFE\N{COMBINING ACUTE ACCENT}"),
        user(sharp, displayName="STRASSE", name={"familyName": sharp, "givenName": ""}),
        user("\N{GRINNING FACE}", displayName=" padded ", externalId="", active=False),
        user("zoe", emails=mail(("zoe@example.com", "work"), ("zoe@example.org", "work")), displayName="adA"),
        user("Zoe.2", displayName="x" * 3000 + "end", nickName="x" * 1000, locale="en-GB"),
        user("zz", displayName="x" * 3000 + "other", nickName="x" * 999, active=True),
        user(
            "last",
            active=True,
            **{ENTERPRISE_USER: {"department": "R&D", "employeeNumber": "007", "manager": {"value": "m1"}}},
        ),
        user("last2", active=False, **{ENTERPRISE_USER: {"department": "r&d", "costCenter": ""}}),
    ]


def devices() -> list[Resource]:
    """Devices with a value of every type, some equal in one sense and different in another."""

    def port(value: str, type: str, speed: int | None = None, **rest: Any) -> dict[str, Any]:
        return {"value": value, "type": type, **({} if speed is None else {"speed": speed}), **rest}

    return [
        device("S1", label="Alpha", slots=2, weight=0.5, bought="2024-01-01T00:00:00Z", lent=True, tags=["a", "B"]),
        device("s1", label="beta", slots=-3, weight=-0.0, bought="2024-01-01T01:00:00+01:00", lent=False, tags=["b"]),
        device("S2", slots=9007199254740993, weight=1e18, bought="2024-01-01T00:00:00.0001Z", code="x", note="X"),
        device("S3", slots=9007199254740992, weight=10**18 + 1, code="X", note="", photo="AAEC", tags=[]),
        device("S4", weight=0.1, bought="2023-12-31T19:30:00-05:00", ports=[port("eth0", "lan", 100, primary=True)]),
        device("S5", ports=[port("eth0", "wan", 1000), port("eth1", "lan", 100)], manual="https://example.com/A"),
        device("S6", ports=[port("eth0", "lan"), port("eth1", "wan", 100, primary=True)], shelf="A1", cost=12.5),
        device("S7", maker={"name": "Acme", "country": "DE"}, shelf="a1", badge="b-1", slots=0, weight=0),
        device("S8", maker={"name": "ACME", "country": "de"}, shelf="", badge="B-2", lent=False, photo="AA=="),
    ]


USER_FILTERS = (
    'userName eq "ada"',
    'userName eq "ADA "',
    'userName ne "ada"',
    'userName sw "b"',
    'userName co "%"',
    'userName co "_"',
    'userName ew "B"',
    'userName sw "b%"',
    'userName gt "caf"',
    'userName le "o\'hara"',
    'userName co "\\u0027"',
    'userName eq "STRASSE"',
    'userName eq "nobody"',
    'userName sw ""',
    "userName pr",
    "title pr",
    'title eq ""',
    "title eq null",
    "displayName pr and not (title pr)",
    'displayName eq "ada"',
    'displayName eq "100% _SURE_"',
    'displayName co "\\\\"',
    'displayName ew "d"',
    'displayName ew "end"',
    f'displayName eq "{"x" * 3000}end"',
    f'displayName sw "{"X" * 3000}o"',
    f'displayName gt "{"x" * 2000}"',
    f'displayName lt "{"x" * 2000}"',
    'displayName co "xother"',
    'nickName eq "caf\N{LATIN SMALL LETTER E WITH ACUTE}"',
    f'nickName ge "{"x" * 1000}"',
    f'nickName lt "{"x" * 1000}"',
    'externalId eq "00u1"',
    'externalId sw "00"',
    "externalId pr",
    'externalId eq ""',
    "active eq true",
    "active ne true",
    "active eq false or not (active pr)",
    'name.familyName co "hara"',
    "name pr",
    "name.givenName pr",
    "emails pr",
    'emails eq "BOB@example.com"',
    'emails.value ew "example.com"',
    'emails.value ne "bob@example.com"',
    'emails.type eq "work"',
    'emails[type eq "work" and value co "example.org"]',
    'emails[type eq "home" and value ew "example.com"]',
    'emails[type eq "work" and not (primary eq true)]',
    'emails[primary eq true or value sw "zoe"]',
    'not (emails[type eq "work"])',
    "emails[primary eq false]",
    "emails.primary eq false",
    f'{ENTERPRISE_USER}:department eq "R&D"',
    f"{ENTERPRISE_USER}:department pr",
    f"{ENTERPRISE_USER} pr",
    f'{ENTERPRISE_USER}:manager.value eq "m1"',
    f'{ENTERPRISE_USER}:manager eq "M1"',
    f'schemas eq "{ENTERPRISE_USER}"',
    'meta.created ge "2026-01-01T00:00:00.000Z"',
    'meta.created gt "2027-01-01T00:00:00Z"',
    'meta.lastModified lt "2026-01-01T00:00:01+00:00"',
    'meta.resourceType eq "User"',
    'id eq "no-such-id"',
    "id pr",
    'userName sw "z" and (displayName sw "x" or emails pr) and not (active eq true)',
    'not (userName sw "z") and not (not (active eq true))',
)

DEVICE_FILTERS = (
    'serial eq "S1"',
    'serial eq "s1"',
    'serial sw "S"',
    'label eq "ALPHA"',
    'label ne "alpha"',
    "slots eq 2",
    "slots gt -3",
    "slots ge -3",
    "slots lt 0",
    "slots eq 9007199254740993",
    "slots gt 9007199254740992",
    "slots le 9007199254740992",
    "slots gt 1.5",
    "weight eq 0",
    "weight gt 0.1",
    "weight ge 0.1",
    "weight eq 1000000000000000000",
    "weight gt 1000000000000000000",
    "weight lt 1000000000000000001",
    "weight ne 0.5",
    'bought eq "2024-01-01T00:00:00Z"',
    'bought gt "2024-01-01T00:00:00Z"',
    'bought le "2024-01-01T00:30:00.000Z"',
    "bought pr",
    "lent eq true",
    "lent eq false",
    "not (lent pr)",
    'note eq "x"',
    "note pr",
    'code eq "x"',
    'photo eq "AAEC"',
    'photo sw "AA"',
    "photo pr",
    'manual co "/A"',
    'manual co "/a"',
    'tags eq "b"',
    'tags ne "b"',
    "tags pr",
    'tags[value sw "A"]',
    'ports[type eq "lan" and speed ge 100]',
    'ports[value eq "eth0" and (type eq "wan" or speed lt 1000)]',
    "ports[speed pr and not (primary eq true)]",
    'ports.value eq "eth1" and ports.type eq "lan"',
    'maker.name eq "acme"',
    'maker.country eq "DE"',
    'maker[name eq "acme" and country eq "de"]',
    f'{DEPOT_URN}:shelf eq "A1"',
    f"{DEPOT_URN}:cost gt 12",
    f'{DEPOT_URN}:badge eq "b-2"',
    f"{DEPOT_URN} pr",
)

SORTS: tuple[tuple[str, AttributePath], ...] = (
    ("User", AttributePath(None, "userName")),
    ("User", AttributePath(None, "displayName")),
    ("User", AttributePath(None, "externalId")),
    ("User", AttributePath(None, "active")),
    ("User", AttributePath(None, "name", "familyName")),
    ("User", AttributePath(None, "emails", "value")),
    ("User", AttributePath(None, "meta", "created")),
    ("User", AttributePath(None, "id")),
    ("User", AttributePath(ENTERPRISE_USER, "department")),
    ("Device", AttributePath(None, "slots")),
    ("Device", AttributePath(None, "weight")),
    ("Device", AttributePath(None, "bought")),
    ("Device", AttributePath(None, "lent")),
    ("Device", AttributePath(None, "tags")),
    ("Device", AttributePath(None, "ports", "speed")),
)


def assert_page(backend: Backend, query: Query, everything: Sequence[Resource]) -> Page:
    """That a backend gives the page of ``Query.run`` over all resources, which it returns."""
    expected = query.run(copy.deepcopy(list(everything)))
    with backend.operation(write=False):
        page = backend.handlers[query.resource_type.name].query(query)
    assert [found["id"] for found in page.resources] == [wanted["id"] for wanted in expected.resources]
    assert list(page.resources) == list(expected.resources)
    assert page.total_results == expected.total_results
    return page


class BackendTests:
    """Inherit this, and override the fixture ``backend`` with one that gives an empty backend of yours."""

    resource_types: ClassVar[ResourceTypes] = suite_resource_types()

    @pytest.fixture
    def backend(self) -> Iterator[Backend]:
        """An empty backend for :attr:`resource_types`."""
        raise NotImplementedError("override the fixture 'backend'")

    @pytest.fixture
    def make_unreachable(self, backend: Backend) -> Callable[[], None]:
        """A function that cuts the backend off from its store; override it where there is something to cut."""
        pytest.skip("the store of this backend is always there")

    # Rules 1 and 2: what is stored

    @pytest.mark.parametrize("number", range(len(people())))
    def test_a_user_comes_back_as_it_was_created(self, backend: Backend, number: int) -> None:
        one = people()[number]
        create(backend, copy.deepcopy(one))
        assert get(backend, one) == one

    @pytest.mark.parametrize("number", range(len(devices())))
    def test_a_resource_of_a_declared_type_comes_back_as_it_was_created(self, backend: Backend, number: int) -> None:
        one = devices()[number]
        create(backend, copy.deepcopy(one))
        assert get(backend, one) == one

    def test_a_resource_comes_back_as_it_was_modified(self, backend: Backend) -> None:
        before = people()[1]
        create(backend, before)
        after = changed(before, "externalId", displayName="New", emails=[{"value": "new@example.com"}])
        modify(backend, before, after)
        assert get(backend, before) == after

    def test_changing_what_was_returned_changes_nothing_stored(self, backend: Backend) -> None:
        one = people()[1]
        create(backend, copy.deepcopy(one))
        found = get(backend, one)
        found["emails"][0]["value"] = "changed"
        found["meta"]["version"] = "99"
        with backend.operation(write=False):
            page = backend.handlers["User"].query(Query(self.resource_types.by_name["User"]))
        page.resources[0]["emails"].clear()
        assert get(backend, one) == one

    def test_changing_what_was_given_changes_nothing_stored(self, backend: Backend) -> None:
        given = people()[1]
        wanted = copy.deepcopy(given)
        create(backend, given)
        given["emails"].append({"value": "later"})
        after = changed(wanted, displayName="Two")
        stored = copy.deepcopy(after)
        modify(backend, wanted, after)
        after["emails"].clear()
        assert get(backend, wanted) == stored

    # Rule 3: what is not there

    def test_an_unknown_id_is_not_found(self, backend: Backend) -> None:
        with pytest.raises(NotFound):
            get(backend, user("nobody"))

    @pytest.mark.parametrize("id", ["", "%", "' or 1=1 --", "..", "\N{GRINNING FACE}", "x" * 3000])
    def test_a_strange_id_is_not_found(self, backend: Backend, id: str) -> None:
        create(backend, user("ada"))
        with pytest.raises(NotFound):
            get(backend, {**user("nobody"), "id": id})

    def test_the_id_of_another_type_is_not_found(self, backend: Backend) -> None:
        ada = user("ada")
        create(backend, ada)
        with backend.operation(write=False), pytest.raises(NotFound):
            backend.handlers["Group"].get(ada["id"])

    # Rule 4: uniqueness

    @pytest.mark.parametrize(("first", "second", "same"), NAME_PAIRS)
    def test_names_collide_by_their_collision_key(self, backend: Backend, first: str, second: str, same: bool) -> None:
        for make in (user, group):
            create(backend, make(first))
            if same:
                with pytest.raises(Uniqueness):
                    create(backend, make(second))
            else:
                create(backend, make(second))

    @pytest.mark.parametrize(("first", "second", "same"), NAME_PAIRS)
    def test_a_name_is_looked_up_by_its_collision_key(
        self, backend: Backend, first: str, second: str, same: bool
    ) -> None:
        one = user(first)
        create(backend, one)
        kind = self.resource_types.by_name["User"]
        page = assert_page(backend, Query(kind, resolved(kind, f"userName eq {json.dumps(second)}")), [one])
        assert page.total_results == int(same)

    def test_a_case_exact_value_collides_only_with_the_same_text(self, backend: Backend) -> None:
        create(backend, device("S1"), device("s1"))
        with pytest.raises(Uniqueness):
            create(backend, device("S1"))

    def test_a_unique_value_of_an_extension_collides(self, backend: Backend) -> None:
        create(backend, device("S1", badge="b"))
        with pytest.raises(Uniqueness):
            create(backend, device("S2", badge="B"))
        create(backend, device("S3", badge="c"))

    def test_a_modified_resource_may_not_take_the_name_of_another(self, backend: Backend) -> None:
        ada, bob = user("ada"), user("bob")
        create(backend, ada, bob)
        with pytest.raises(Uniqueness):
            modify(backend, bob, changed(bob, userName="ADA"))
        assert get(backend, bob) == bob

    def test_a_resource_may_respell_its_own_name(self, backend: Backend) -> None:
        ada = user("ada")
        create(backend, ada)
        after = changed(ada, userName="Ada")
        modify(backend, ada, after)
        assert get(backend, ada) == after

    def test_a_name_given_up_is_free(self, backend: Backend) -> None:
        ada = user("ada")
        create(backend, ada)
        modify(backend, ada, changed(ada, userName="ada2"))
        create(backend, user("ADA"))
        with pytest.raises(Uniqueness):
            create(backend, user("Ada2"))

    def test_two_resources_exchange_their_names_through_a_third(self, backend: Backend) -> None:
        ada, bob = user("ada"), user("bob")
        create(backend, ada, bob)
        with backend.operation(write=True):
            users = backend.handlers["User"]
            between = changed(ada, userName="between")
            users.modify(ada, between)
            users.modify(bob, changed(bob, userName="ada"))
            users.modify(between, changed(between, userName="bob"))
        assert [get(backend, each)["userName"] for each in (ada, bob)] == ["bob", "ada"]

    def test_resources_of_different_types_may_share_a_name(self, backend: Backend) -> None:
        create(backend, user("same"), group("same"), device("same", label="same"))

    def test_resources_without_an_optional_unique_value_do_not_collide(self, backend: Backend) -> None:
        create(backend, device("S1"), device("S2"))

    def test_a_very_long_name_is_unique(self, backend: Backend) -> None:
        create(backend, user("x" * 5000), user("x" * 4999 + "y"))
        with pytest.raises(Uniqueness):
            create(backend, user("X" * 5000))

    def test_the_error_names_the_attribute_and_what_to_do(self, backend: Backend) -> None:
        create(backend, user("ada"), group("Staff"))
        with pytest.raises(Uniqueness) as of_user:
            create(backend, user("ada"))
        assert "userName" in of_user.value.detail
        with pytest.raises(Uniqueness) as of_group:
            create(backend, group("staff"))
        assert "displayName" in of_group.value.detail
        assert "link the existing group" in of_group.value.detail

    def test_of_many_threads_that_create_one_name_a_single_one_succeeds(self, backend: Backend) -> None:
        for attempt in range(5):
            results = in_parallel([lambda: create(backend, user(f"Ada{attempt}")) for _ in range(8)])  # noqa: B023
            assert results.count(None) == 1
            assert sum(isinstance(result, Uniqueness) for result in results) == 7

    def test_of_many_threads_that_take_one_name_by_a_change_a_single_one_succeeds(self, backend: Backend) -> None:
        many = [user(f"user{number}") for number in range(6)]
        create(backend, *many)
        results = in_parallel(
            [lambda one=one: modify(backend, one, changed(one, userName="wanted")) for one in many]  # type: ignore[misc]
        )
        assert results.count(None) == 1
        assert sum(isinstance(result, Uniqueness) for result in results) == 5

    # Rule 5: nobody's change is lost

    def test_a_change_of_something_else_than_is_stored_is_refused(self, backend: Backend) -> None:
        before = user("ada")
        create(backend, before)
        first, second = changed(before, displayName="1"), changed(before, displayName="2")
        modify(backend, before, first)
        with pytest.raises(StaleResource):
            modify(backend, before, second)
        with pytest.raises(StaleResource):
            delete(backend, before)
        assert get(backend, before) == first

    def test_a_change_of_what_was_deleted_is_refused(self, backend: Backend) -> None:
        before = user("ada")
        create(backend, before)
        delete(backend, before)
        with pytest.raises(StaleResource):
            modify(backend, before, changed(before))
        with pytest.raises(StaleResource):
            delete(backend, before)

    def test_concurrent_changes_of_one_resource_lose_nothing(self, backend: Backend) -> None:
        one = user("ada")
        create(backend, one)
        users = backend.handlers["User"]

        def add(number: int) -> None:
            before = users.get(one["id"])
            emails = [*before.get("emails", ()), {"value": f"{number}@example.com"}]
            users.modify(before, changed(before, emails=emails))

        in_parallel(
            [lambda number=number: retried(backend, lambda: add(number)) for number in range(12)]  # type: ignore[misc]
        )
        assert len(get(backend, one)["emails"]) == 12
        assert get(backend, one)["meta"]["version"] == "13"

    # Rule 6: all or nothing

    def test_a_failed_operation_leaves_nothing(self, backend: Backend) -> None:
        kept, gone, renamed = user("kept"), user("gone"), user("renamed")
        create(backend, kept, gone, renamed)
        users = backend.handlers["User"]

        def fail() -> None:
            with backend.operation(write=True):
                users.create(user("new"))
                users.delete(gone)
                users.modify(renamed, changed(renamed, userName="other"))
                backend.handlers["Group"].create(group("half", kept))
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        for kind, expected in (("User", [kept, gone, renamed]), ("Group", [])):
            assert_page(backend, Query(self.resource_types.by_name[kind]), expected)
        create(backend, user("new"), user("other"), group("half"))

    def test_a_refused_write_undoes_what_came_before_it_in_the_operation(self, backend: Backend) -> None:
        create(backend, user("ada"))

        def create_both() -> None:
            with backend.operation(write=True):
                backend.handlers["User"].create(user("first"))
                backend.handlers["User"].create(user("ADA"))

        with pytest.raises(Uniqueness):
            create_both()
        create(backend, user("first"))

    def test_an_operation_reads_what_it_wrote(self, backend: Backend) -> None:
        ada = user("ada")
        with backend.operation(write=True):
            backend.handlers["User"].create(ada)
            assert backend.handlers["User"].get(ada["id"]) == ada
            assert backend.references([ada["id"]]).keys() == {ada["id"]}

    def test_others_see_a_write_when_its_operation_has_ended(self, backend: Backend) -> None:
        ada = user("ada")
        create(backend, ada)
        assert in_parallel([lambda: get(backend, ada)]) == [ada]

    def test_others_never_see_half_of_an_operation(self, backend: Backend) -> None:
        kind = self.resource_types.by_name["User"]
        totals: set[int] = set()
        done = threading.Event()

        def write() -> None:
            try:
                for number in range(15):
                    with backend.operation(write=True):
                        backend.handlers["User"].create(user(f"a{number}"))
                        backend.handlers["User"].create(user(f"b{number}"))
            finally:
                done.set()

        def read() -> None:
            while not done.is_set():
                with backend.operation(write=False):
                    totals.add(backend.handlers["User"].query(Query(kind, count=0)).total_results)

        assert in_parallel([write, read]) == [None, None]
        assert all(total % 2 == 0 for total in totals)

    # Rules 7 and 8: queries

    @pytest.fixture
    def crowd(self, backend: Backend) -> dict[str, list[Resource]]:
        """The users and devices that the queries look for, all stored."""
        found = {"User": people(), "Device": devices()}
        create(backend, *found["User"], *found["Device"])
        return found

    def test_filters_match_what_the_core_matches(self, backend: Backend, crowd: dict[str, list[Resource]]) -> None:
        for name, texts in (("User", USER_FILTERS), ("Device", DEVICE_FILTERS)):
            kind = self.resource_types.by_name[name]
            for text in texts:
                tree = resolved(kind, text)
                assert_page(backend, Query(kind, tree), crowd[name])
                assert_page(backend, Query(kind, tree, start_index=2, count=2), crowd[name])

    def test_orders_are_those_of_the_core(self, backend: Backend, crowd: dict[str, list[Resource]]) -> None:
        for name, path in SORTS:
            kind = self.resource_types.by_name[name]
            for descending in (False, True):
                assert_page(backend, Query(kind, None, sort(kind, path, descending)), crowd[name])
                assert_page(backend, Query(kind, None, sort(kind, path, descending), 3, 4), crowd[name])

    def test_filters_and_orders_go_together(self, backend: Backend, crowd: dict[str, list[Resource]]) -> None:
        kind = self.resource_types.by_name["User"]
        for text in ("active eq true", 'displayName co "a"', 'emails[type eq "work"]', 'userName eq "ada"'):
            for name, path in SORTS:
                if name == "User":
                    assert_page(backend, Query(kind, resolved(kind, text), sort(kind, path, True), 2, 3), crowd[name])

    @pytest.mark.parametrize(("start", "count"), [(1, 0), (1, 1), (2, 3), (13, 5), (14, 5), (1000, 100), (1, 13)])
    def test_pages_are_cut_as_the_core_cuts_them(
        self, backend: Backend, crowd: dict[str, list[Resource]], start: int, count: int
    ) -> None:
        kind = self.resource_types.by_name["User"]
        for text in (None, "active pr", 'emails[type eq "work" and primary eq true]', "emails[primary eq false]"):
            tree = None if text is None else resolved(kind, text)
            assert_page(backend, Query(kind, tree, start_index=start, count=count), crowd["User"])

    def test_following_positions_gives_every_match_once(
        self, backend: Backend, crowd: dict[str, list[Resource]]
    ) -> None:
        orders = [
            (name, sort(self.resource_types.by_name[name], path, down))
            for name, path in SORTS
            for down in (False, True)
        ]
        for name, order in (("User", None), ("Device", None), *orders):
            kind = self.resource_types.by_name[name]
            for tree in (None, resolved(kind, "meta.created pr"), resolved(kind, 'meta.resourceType co "e"')):
                query = Query(kind, tree, order, count=3)
                seen: list[str] = []
                while page := assert_page(backend, query, crowd[name]).resources:
                    seen += [found["id"] for found in page]
                    query = Query(kind, tree, order, count=3, after=position_of(page[-1], order))
                assert len(set(seen)) == len(seen) == len(crowd[name])

    def test_without_an_order_the_oldest_comes_first(self, backend: Backend) -> None:
        first, second = user("z"), user("a")
        create(backend, second, first)
        page = assert_page(backend, Query(self.resource_types.by_name["User"]), [first, second])
        assert [found["id"] for found in page.resources] == [first["id"], second["id"]]

    def test_resources_created_in_one_moment_are_in_the_order_of_their_ids(self, backend: Backend) -> None:
        many = [user(f"u{number}") for number in range(9)]
        for each in many:
            each["meta"] = dict(many[0]["meta"])
        create(backend, *many)
        page = assert_page(backend, Query(self.resource_types.by_name["User"]), many)
        assert [found["id"] for found in page.resources] == sorted(each["id"] for each in many)

    def test_queries_see_changes(self, backend: Backend) -> None:
        kind = self.resource_types.by_name["User"]
        before = people()[1]
        create(backend, before)
        after = changed(before, "active", displayName="Robert", emails=[{"value": "r@example.com", "type": "work"}])
        modify(backend, before, after)
        for text in ('displayName eq "robert"', "active pr", 'emails.type eq "home"', 'emails.value sw "R@"'):
            assert_page(backend, Query(kind, resolved(kind, text)), [after])
        delete(backend, after)
        for text in ('displayName eq "robert"', 'userName eq "bob@example.com"', "id pr"):
            assert_page(backend, Query(kind, resolved(kind, text)), [])

    def test_an_empty_store_answers_with_an_empty_page(self, backend: Backend) -> None:
        for kind in self.resource_types:
            assert_page(backend, Query(kind), [])
            assert_page(backend, Query(kind, resolved(kind, "meta.created pr")), [])

    def test_a_query_finds_only_its_own_type(self, backend: Backend) -> None:
        ada, staff = user("ada", displayName="same"), group("same")
        create(backend, ada, staff)
        for kind, one in (("User", ada), ("Group", staff)):
            of_kind = self.resource_types.by_name[kind]
            assert_page(backend, Query(of_kind, resolved(of_kind, 'displayName eq "same"')), [get(backend, one)])

    # Rule 9: deletion

    def test_what_was_deleted_is_gone_and_its_name_free(self, backend: Backend) -> None:
        ada = user("ada")
        create(backend, ada)
        delete(backend, ada)
        with pytest.raises(NotFound):
            get(backend, ada)
        assert backend.references([ada["id"]]) == {}
        successor = user("Ada")
        create(backend, successor)
        kind = self.resource_types.by_name["User"]
        assert_page(backend, Query(kind, resolved(kind, 'userName eq "ada"')), [successor])

    # Rule 10: the store is away

    def test_a_store_out_of_reach_is_unavailable(self, backend: Backend, make_unreachable: Callable[[], None]) -> None:
        ada = user("ada")
        create(backend, ada)
        make_unreachable()
        kind = self.resource_types.by_name["User"]
        tasks: tuple[Callable[[], object], ...] = (
            lambda: get(backend, ada),
            lambda: create(backend, user("bob")),
            lambda: backend.handlers["User"].query(Query(kind)),
            lambda: backend.references([ada["id"]]),
            lambda: backend.tokens.find("none"),
        )
        for task in tasks:
            with pytest.raises(Unavailable) as raised:
                task()
            assert int(raised.value.headers["Retry-After"]) > 0

    # Rule 11: the hint

    def test_attributes_that_will_not_be_shown_may_be_left_out_and_nothing_else(self, backend: Backend) -> None:
        ada = user("ada", displayName="Ada", externalId="1")
        staff = group("staff", ada)
        create(backend, ada, staff)
        for whole, name in ((ada, "displayName"), (staff, "members")):
            handler = backend.handlers[whole["meta"]["resourceType"]]
            query = Query(handler.resource_type, without=frozenset({name}))
            with backend.operation(write=False):
                for found in (handler.get(whole["id"], without={name}), handler.query(query).resources[0]):
                    found.pop(name, None)
                    assert found == {key: value for key, value in whole.items() if key != name}

    # References

    def test_references_show_type_and_name(self, backend: Backend) -> None:
        ada, bob, staff = user("ada", displayName="Ada"), user("bob"), group("Staff")
        create(backend, ada, bob, staff)
        ids = [ada["id"], bob["id"], staff["id"], "unknown", "' or 1=1"]
        with backend.operation(write=False):
            found = dict(backend.references(ids))
        assert found == {
            ada["id"]: Reference(ada["id"], "User", "Ada"),
            bob["id"]: Reference(bob["id"], "User", "bob"),
            staff["id"]: Reference(staff["id"], "Group", "Staff"),
        }
        assert dict(backend.references([])) == {}

    def test_a_reference_shows_the_name_of_today(self, backend: Backend) -> None:
        ada = user("ada", displayName="Ada")
        create(backend, ada)
        modify(backend, ada, changed(ada, displayName="Lady Ada"))
        assert backend.references([ada["id"]])[ada["id"]].display == "Lady Ada"

    def test_thousands_of_references_are_found_at_once(self, backend: Backend) -> None:
        many = [user(f"user{number}") for number in range(1201)]
        with backend.operation(write=True):
            for each in many:
                backend.handlers["User"].create(each)
        assert backend.references([each["id"] for each in many]).keys() == {each["id"] for each in many}

    # Memberships, with the ability and without it

    def test_members_come_and_go(self, backend: Backend) -> None:
        ada, bob, inner = user("ada"), user("bob"), group("inner")
        staff = group("staff", ada)
        create(backend, ada, bob, inner, staff)
        assert member_ids(backend, staff["id"]) == {ada["id"]}
        change_members(backend, staff["id"], add=[bob, inner], remove=[ada["id"]])
        assert member_ids(backend, staff["id"]) == {bob["id"], inner["id"]}
        assert {each["type"] for each in get(backend, staff)["members"]} == {"User", "Group"}
        change_members(backend, staff["id"], remove=[bob["id"], inner["id"]])
        assert "members" not in get(backend, staff)
        assert get(backend, staff)["meta"]["version"] == "3"

    def test_groups_are_found_by_their_members(self, backend: Backend) -> None:
        ada, bob = user("ada"), user("bob")
        groups = [group("one", ada), group("two", ada, bob), group("none")]
        create(backend, ada, bob, *groups)
        kind = self.resource_types.by_name["Group"]
        stored = [get(backend, each) for each in groups]
        for text, names in (
            (f'members eq "{ada["id"]}"', ["one", "two"]),
            (f'members.value eq "{bob["id"]}"', ["two"]),
            (f'members.value ne "{bob["id"]}"', ["one", "none"]),
            (f'members[value eq "{bob["id"]}"]', ["two"]),
            (f'members[value eq "{bob["id"]}" and type eq "User"]', ["two"]),
            (f'members[value eq "{ada["id"]}" and type eq "Group"]', []),
            ('members.type eq "user"', ["one", "two"]),
            ("members pr", ["one", "two"]),
            ("not (members pr)", ["none"]),
            (f'displayName sw "t" or members eq "{ada["id"]}"', ["one", "two"]),
            ('members eq "nobody"', []),
        ):
            page = assert_page(backend, Query(kind, resolved(kind, text)), stored)
            assert [found["displayName"] for found in page.resources] == names
            with backend.operation(write=False):
                hinted = backend.handlers["Group"].query(
                    Query(kind, resolved(kind, text), without=frozenset({"members"}))
                )
            assert [found["displayName"] for found in hinted.resources] == names
            assert hinted.total_results == len(names)

    def test_members_added_at_once_by_many_are_all_there(self, backend: Backend) -> None:
        staff, many = group("staff"), [user(f"user{number}") for number in range(12)]
        create(backend, staff, *many)
        results = in_parallel(
            [lambda one=one: change_members(backend, staff["id"], add=[one]) for one in many]  # type: ignore[misc]
        )
        assert results == [None] * 12
        assert member_ids(backend, staff["id"]) == {each["id"] for each in many}
        assert get(backend, staff)["meta"]["version"] == "13"

    def test_a_group_that_is_deleted_takes_its_memberships_along(self, backend: Backend) -> None:
        ada = user("ada")
        staff = group("staff", ada)
        create(backend, ada, staff)
        delete(backend, staff)
        assert get(backend, ada) == ada
        kind = self.resource_types.by_name["Group"]
        assert_page(backend, Query(kind, resolved(kind, f'members eq "{ada["id"]}"')), [])

    @pytest.fixture
    def groups(self, backend: Backend) -> MembershipHandler:
        """The handler of groups, if it has the ability."""
        handler = backend.handlers["Group"]
        if not isinstance(handler, MembershipHandler):
            pytest.skip("this backend keeps memberships in the group")
        return handler

    def test_members_show_the_type_and_name_of_today(self, backend: Backend, groups: MembershipHandler) -> None:
        ada, inner = user("ada", displayName="Ada"), group("inner")
        staff = group("staff", ada, inner)
        create(backend, ada, inner, staff)
        modify(backend, ada, changed(ada, displayName="Lady Ada"))
        with backend.operation(write=False):
            shown = groups.get(staff["id"])["members"]
        assert {each["value"]: (each["type"], each["display"]) for each in shown} == {
            ada["id"]: ("User", "Lady Ada"),
            inner["id"]: ("Group", "inner"),
        }

    def test_ids_of_members_are_told_without_the_group(self, backend: Backend, groups: MembershipHandler) -> None:
        ada, bob, inner = user("ada"), user("bob"), group("inner")
        staff = group("staff", ada, inner)
        create(backend, ada, bob, inner, staff)
        assert groups.member_ids(staff["id"]) == {ada["id"], inner["id"]}
        assert groups.member_ids(staff["id"], among=[ada["id"], bob["id"], "unknown"]) == {ada["id"]}
        assert groups.member_ids(staff["id"], among=[]) == set()
        assert groups.member_ids(inner["id"]) == set()
        assert [groups.member_count(each["id"]) for each in (staff, inner)] == [2, 0]

    def test_a_change_of_the_group_leaves_its_members(self, backend: Backend, groups: MembershipHandler) -> None:
        ada = user("ada")
        staff = group("staff", ada)
        create(backend, ada, staff)
        before = {name: value for name, value in staff.items() if name != "members"}
        modify(backend, before, changed(before, displayName="Crew"))
        assert groups.member_ids(staff["id"]) == {ada["id"]}
        assert groups.get(staff["id"])["displayName"] == "Crew"

    def test_a_membership_change_may_change_the_group_too(self, backend: Backend, groups: MembershipHandler) -> None:
        ada, bob = user("ada"), user("bob")
        staff = group("staff", ada)
        create(backend, ada, bob, staff, group("taken"))
        before = {name: value for name, value in staff.items() if name != "members"}
        after = changed(before, displayName="Crew")
        change = MemberChange({bob["id"]: "User"}, frozenset({ada["id"]}))
        with backend.operation(write=True):
            groups.change_members(before, after, change)
        assert (groups.get(staff["id"])["displayName"], groups.member_ids(staff["id"])) == ("Crew", {bob["id"]})
        with pytest.raises(Uniqueness), backend.operation(write=True):
            groups.change_members(after, changed(after, displayName="Taken"), MemberChange({ada["id"]: "User"}))
        assert groups.member_ids(staff["id"]) == {bob["id"]}

    def test_a_membership_change_of_a_stale_group_is_refused(self, backend: Backend, groups: MembershipHandler) -> None:
        ada, staff = user("ada"), group("staff")
        create(backend, ada, staff)
        modify(backend, staff, changed(staff, displayName="Crew"))
        with pytest.raises(StaleResource), backend.operation(write=True):
            groups.change_members(staff, changed(staff), MemberChange({ada["id"]: "User"}))
        assert groups.member_ids(staff["id"]) == set()

    def test_what_holds_a_member_is_told_in_default_order(self, backend: Backend, groups: MembershipHandler) -> None:
        ada, bob, nobody = user("ada"), user("bob"), user("nobody")
        first, second = group("z", ada), group("a", ada, bob)
        create(backend, ada, bob, nobody, second, first)
        outer = group("outer", first)
        create(backend, outer)
        found = groups.containing([ada["id"], bob["id"], nobody["id"], first["id"], "unknown"])
        assert {id: [each.display for each in holders] for id, holders in found.items() if holders} == {
            ada["id"]: ["z", "a"],
            bob["id"]: ["a"],
            first["id"]: ["outer"],
        }
        assert found[bob["id"]] == [Reference(second["id"], "Group", "a")]

    def test_a_group_of_thousands_changes_by_differences(self, backend: Backend, groups: MembershipHandler) -> None:
        many = [user(f"user{number}") for number in range(1100)]
        staff = group("staff", *many[:-1])
        with backend.operation(write=True):
            for each in many:
                backend.handlers["User"].create(each)
            groups.create(staff)
        change_members(backend, staff["id"], add=[many[-1]], remove=[many[0]["id"]])
        assert groups.member_count(staff["id"]) == 1099
        assert len(groups.get(staff["id"])["members"]) == 1099
        assert len(groups.containing([each["id"] for each in many])) == 1099

    def test_a_deleted_member_is_in_no_group(self, backend: Backend, groups: MembershipHandler) -> None:
        ada = user("ada")
        staff = group("staff", ada)
        create(backend, ada, staff)
        change_members(backend, staff["id"], remove=[ada["id"]])
        delete(backend, ada)
        assert "members" not in groups.get(staff["id"])
        assert not groups.containing([ada["id"]]).get(ada["id"])

    # Tokens, cursors, check

    def test_tokens_are_kept_found_and_revoked(self, backend: Backend) -> None:
        expires = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
        _, first = new_token("first", expires=expires, profile="okta", scopes=frozenset({"read"}))
        _, second = new_token("second")
        backend.tokens.add(first)
        backend.tokens.add(second)
        assert backend.tokens.find(first.id) == first
        assert backend.tokens.find("unknown") is None
        assert [token.id for token in backend.tokens.list()] == [first.id, second.id]
        used = datetime(2026, 5, 6, tzinfo=UTC)
        backend.tokens.touch(first.id, used)
        found = backend.tokens.find(first.id)
        assert found is not None
        assert found.last_used == used
        assert [backend.tokens.revoke(first.id), backend.tokens.revoke(first.id)] == [True, False]
        assert backend.tokens.find(first.id) is None
        assert list(backend.tokens.list()) == [second]

    def test_the_key_of_the_cursors_stays_the_same(self, backend: Backend) -> None:
        assert len(backend.cursor_key) == 32
        assert backend.cursor_key == backend.cursor_key

    def test_the_check_finds_a_sound_store_sound(self, backend: Backend) -> None:
        findings = list(backend.check())
        assert findings
        assert [each for each in findings if not (each.ok and each.subject and each.message)] == []

    def test_there_is_a_handler_for_each_resource_type(self, backend: Backend) -> None:
        assert {name: handler.resource_type for name, handler in backend.handlers.items()} == {
            kind.name: kind for kind in self.resource_types
        }
