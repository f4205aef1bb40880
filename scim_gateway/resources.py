"""The operations on one resource: POST, GET, PUT, PATCH, DELETE (RFC 7644 §3.3, §3.4.1, §3.5, §3.6)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from scim_gateway import stale
from scim_gateway.abilities import MemberChange, MembershipHandler
from scim_gateway.backend import Backend, ResourceHandler
from scim_gateway.call import Answer, Call, Settled
from scim_gateway.changes import changed, created, replaced, same, without_write_only
from scim_gateway.conditions import check_write, not_modified
from scim_gateway.errors import Replayed, StaleResource, Unavailable
from scim_gateway.exchange import Request
from scim_gateway.ids import is_id
from scim_gateway.look_ups import Answering
from scim_gateway.messages import PatchOperation, read_patch
from scim_gateway.patch import MemberOperations, PatchResult, apply, membership_change
from scim_gateway.projection import Projection, parse
from scim_gateway.provider_settings import ProviderSettings
from scim_gateway.reader import ResourceReader
from scim_gateway.references import Element, ReferenceCheck, id_of, of_ids, tells
from scim_gateway.relations import Relations
from scim_gateway.representation import Representation, Shown
from scim_gateway.schema import Resource, ResourceType
from scim_gateway.splicing import Splicer

T = TypeVar("T")

logger = logging.getLogger("scim_gateway.provider")


class TypeOperations:
    """The operations on the resources of one type."""

    def __init__(
        self,
        backend: Backend,
        resource_type: ResourceType,
        settings: ProviderSettings,
        relations: Relations,
        representation: Representation,
        splicer: Splicer | None,
    ) -> None:
        self._backend = backend
        self._kind = resource_type
        self._settings = settings
        self._relations = relations
        self._representation = representation
        self._splicer = splicer
        self._reader = ResourceReader(resource_type)
        self._handler: ResourceHandler = backend.handlers[resource_type.name]
        self._fields = representation.fields[resource_type.name]
        self._members = next(
            (field for field in self._fields if field.urn is None and field.attribute.name == resource_type.members),
            None,
        )
        # Where memberships are kept apart, a change of them is a difference, and the others are not even read.
        self._apart = self._handler if isinstance(self._handler, MembershipHandler) and self._members else None
        self._unread = frozenset({self._members.attribute.name} if self._apart and self._members else ())
        self._on_request = any(
            "request" in (attribute.returned, *(sub.returned for sub in attribute.sub_attributes))
            for _, attribute in resource_type.every_attribute()
        )

    def create(self, call: Call) -> Answer:
        """POST to the endpoint of the type."""
        call.projection()
        body = call.body()
        sent = without_write_only(self._read(body, call), self._kind)

        def work() -> Shown:
            check = self._check()
            resource = created(check.resource(sent, None, self._fields), self._kind)
            self._handler.create(resource)
            if self._apart and self._members and self._members.elements(resource):
                # A store that keeps members apart has an order of its own: the answer is what a GET will show.
                resource = self._apart.get(resource["id"], without=call.projection().without - {"meta"})
            return self._show(call, resource, self._named(body), check, new=True)

        try:
            shown = self._write(work)
        except Replayed as replayed:
            id = replayed.id
            shown = self._write(lambda: self._show(call, self._handler.get(id), self._named(body)))
        return Answer(201, shown.document, {"Location": shown.location, "ETag": shown.tag})

    def read(self, call: Call) -> Answer:
        """GET of one resource."""
        projection = call.projection()
        with self._backend.operation(write=False):
            spliced = self._spliced(call.id, call.base_url, call.headers, projection)
            if spliced is not None:
                return spliced
            resource = self._handler.get(call.id, without=projection.without - {"meta"})
            shown = self._show(call, resource)
        if not_modified(call.headers, shown.tag):
            return Answer(304, None, {"ETag": shown.tag})
        return Answer(200, shown.document, {"Location": shown.location, "ETag": shown.tag})

    def answering(self) -> Answering | None:
        """How a GET is answered that asks for no certain attributes; ``None`` if no text makes the answer."""
        projection = parse(None, None, self._kind)
        if self._splicer is None or not self._splicer.can_answer(projection):
            return None

        def answer(request: Request, id: str) -> Answer | None:
            with self._backend.look_up():
                return self._spliced(id, request.base_url, request.headers, projection)

        return answer

    def _spliced(self, id: str, base_url: str, headers: Mapping[str, str], projection: Projection) -> Answer | None:
        """The answer to a GET out of what is stored as text; ``None`` where that does not do."""
        found = self._splicer.one(id, base_url, projection) if self._splicer else None
        if found is None:
            return None
        if not_modified(headers, found.tag):
            return Answer(304, None, {"ETag": found.tag})
        return Answer(200, None, {"Location": found.location, "ETag": found.tag}, found.json)

    def replace(self, call: Call) -> Answer:
        """PUT of one resource."""
        call.projection()
        body = Settled(call.body)
        read = Settled(lambda: self._read(body.get(), call))

        def work() -> Shown:
            before = self._found(call)
            sent = without_write_only(read.get(), self._kind)
            touched = sent is not read.get()
            check = self._check()
            change = MemberChange()
            if self._apart and self._members:
                change = self._difference(call.id, check, self._members.elements(sent), replaces=True)
                sent = self._without_members(sent)
            after = check.resource(replaced(before, sent, self._kind), before, self._fields)
            after = self._commit(before, after, change, touched=touched)
            return self._show(call, self._whole(call, after), self._named(body.get()), check)

        shown = self._write(work)
        return Answer(200, shown.document, {"Location": shown.location, "ETag": shown.tag})

    def patch(self, call: Call) -> Answer:
        """PATCH of one resource; answered without a body where that would be a very long list of members."""
        call.projection()
        operations = Settled(lambda: read_patch(call.body(), call.profile))
        members = Settled(lambda: self._membership_change(operations.get(), call))

        def work() -> tuple[Shown | None, dict[str, str]]:
            before = self._found(call)
            check = self._check()
            by_difference = members.get()
            if by_difference is not None:
                after = self._apply_difference(call, before, by_difference, check)
            else:
                after = self._apply(call, before, operations.get(), check)
            if self._too_long(call, after):
                tag = self._representation.tag(after, self._kind)
                return None, {"Location": self._location(call), "ETag": tag}
            requested = self._named_by(operations.get())
            shown = self._show(call, self._whole(call, after), requested, check)
            return shown, {"Location": shown.location, "ETag": shown.tag}

        shown, headers = self._write(work)
        return Answer(200, shown.document, headers) if shown else Answer(204, None, headers)

    def delete(self, call: Call) -> Answer:
        """DELETE of one resource; the groups that held it lose it in the same transaction (RFC 7644 §3.6)."""

        def work() -> None:
            # Groups before users: everything that changes memberships takes its locks in this order.
            holders = self._relations.lock_containing(call.id)
            resource = self._found(call)
            self._relations.detach(call.id, holders)
            self._handler.delete(resource)

        self._write(work)
        return Answer(204)

    # How a resource changes

    def _apply(
        self, call: Call, before: Resource, operations: Sequence[PatchOperation], check: ReferenceCheck
    ) -> Resource:
        """PATCH of the whole resource."""
        whole = before = self._handler.get(call.id) if self._apart else before
        if self._members and any(_looks_at_display(operation) for operation in operations):
            whole = self._representation.complete([before], self._kind, call.base_url)[0]
            whole = {**whole, "meta": before["meta"]}
        result = apply(whole, operations, self._kind, self._reader, call.profile)
        self._note(result.ignored)
        after = check.resource(result.resource, before, self._fields)
        change = MemberChange()
        if self._apart and self._members:
            old = {element["value"] for element in self._members.elements(before)}
            new = {element["value"]: element["type"] for element in self._members.elements(after)}
            change = MemberChange({id: new[id] for id in new.keys() - old}, frozenset(old - new.keys()))
            before, after = self._without_members(before), self._without_members(after)
        return self._commit(before, after, change, touched=result.write_only)

    def _apply_difference(
        self, call: Call, before: Resource, by_difference: MemberOperations, check: ReferenceCheck
    ) -> Resource:
        """PATCH of a resource whose members are not read."""
        result = PatchResult(before)
        if by_difference.operations:
            result = apply(before, by_difference.operations, self._kind, self._reader, call.profile)
            self._note(result.ignored)
        after = check.resource(result.resource, before, self._fields)
        change = self._difference(
            call.id,
            check,
            by_difference.add.values(),
            remove=by_difference.remove,
            replaces=by_difference.replaces,
        )
        return self._commit(before, after, change, touched=result.write_only)

    def _membership_change(self, operations: Sequence[PatchOperation], call: Call) -> MemberOperations | None:
        if not self._apart:
            return None
        return membership_change(operations, self._kind, self._reader, call.profile)

    def _difference(
        self,
        id: str,
        check: ReferenceCheck,
        add: Iterable[Element],
        *,
        remove: frozenset[str] = frozenset(),
        replaces: bool,
    ) -> MemberChange:
        """The change of membership, against those who are members now."""
        assert self._apart is not None
        assert self._members is not None
        field = self._members
        named = {id_of(field, element): element for element in add}
        asked = None if replaces else [each for each in named.keys() | remove if is_id(each)]
        current = self._apart.member_ids(id, among=asked)
        # Those who are there already are looked at only where something is said of them that may be wrong.
        looked_at = {id: each for id, each in named.items() if id not in current or tells(each)}
        for _ in check.elements(field, looked_at.values(), {id: {} for id in looked_at.keys() & current}):
            pass  # Only the ids and types of those who come are stored.
        joining = {id: check.found[id].resource_type for id in sorted(named.keys() - current)}
        return MemberChange(joining, frozenset(current - named.keys() if replaces else remove & current))

    def _commit(self, before: Resource, after: Resource, change: MemberChange, *, touched: bool) -> Resource:
        """Store what differs; without a difference nothing happens and the version stays."""
        if not change and not touched and same(before, after):
            return before
        after = changed(before, after)
        if change and self._apart:
            self._apart.change_members(before, after, change)
        else:
            self._handler.modify(before, after)
        return after

    # What was sent

    def _read(self, body: Mapping[str, Any], call: Call) -> Resource:
        return self._reader.read(body, call.profile, on_unknown=self._note)

    def _note(self, ignored: Sequence[str]) -> None:
        if ignored:
            logger.info("Ignored %d unknown attributes of a %s: %s", len(ignored), self._kind.name, ", ".join(ignored))

    def _named(self, body: Mapping[str, Any]) -> frozenset[str]:
        """The attributes that a body names, for ``returned: request``."""
        return frozenset(self._names(body)) if self._on_request else frozenset()

    def _named_by(self, operations: Iterable[PatchOperation]) -> frozenset[str]:
        if not self._on_request:
            return frozenset()
        named: set[str] = set()
        for operation in operations:
            named.update(self._names({operation.path: operation.value} if operation.path else operation.value))
        return frozenset(named)

    def _names(self, values: Any) -> Iterator[str]:
        for key, value in values.items() if isinstance(values, Mapping) else ():
            target = self._kind.locate(key.partition("[")[0])
            if target is None:
                continue
            if target.attribute is not None:
                yield str(replace(target.path, sub=None))
            elif isinstance(value, Mapping):
                yield from self._names({f"{target.path.urn}:{name}": inner for name, inner in value.items()})

    # What is read and shown

    def _found(self, call: Call) -> Resource:
        """The resource as it is, if the preconditions hold."""
        resource = self._handler.get(call.id, without=self._unread)
        if "if-match" in call.headers or "if-none-match" in call.headers:
            check_write(call.headers, self._representation.tag(resource, self._kind))
        return resource

    def _whole(self, call: Call, resource: Resource) -> Resource:
        """The resource with its members, if they are kept apart and the answer shows them."""
        if self._unread and not self._unread <= call.projection().without:
            return self._handler.get(call.id)
        return resource

    def _too_long(self, call: Call, resource: Resource) -> bool:
        if self._members is None or call.projects:
            return False
        most = self._settings.patch_answer_members
        if self._apart:
            return self._apart.has_more_members(call.id, most)
        return len(self._members.elements(resource)) > most

    def _show(
        self,
        call: Call,
        resource: Resource,
        requested: frozenset[str] = frozenset(),
        check: ReferenceCheck | None = None,
        *,
        new: bool = False,
    ) -> Shown:
        return self._representation.show(
            [resource],
            self._kind,
            call.base_url,
            call.projection(),
            requested=requested,
            known=check.found if check else None,
            new=new,
        )[0]

    def _location(self, call: Call) -> str:
        return self._representation.location(self._kind, call.id, call.base_url)

    def _without_members(self, resource: Resource) -> Resource:
        return {name: value for name, value in resource.items() if name not in self._unread}

    def _check(self) -> ReferenceCheck:
        return ReferenceCheck(self._backend.resource_types, of_ids(self._backend.references))

    # Transactions

    def _write(self, work: Callable[[], T]) -> T:
        """Run one operation; from the start again if another one got in between (RFC 7644 §3.14 leaves that to us).

        With If-Match the second run finds the new version and refuses.
        """
        for attempt in range(1 + self._settings.stale_retries):
            try:
                with self._backend.operation(write=True):
                    return work()
            except StaleResource:
                stale.pause(attempt)
        raise Unavailable("Other requests keep changing the same resource; try again.", retry_after=1)


def _looks_at_display(operation: PatchOperation) -> bool:
    path = (operation.path or "").lower()
    return "[" in path and ("display" in path or "$ref" in path)
