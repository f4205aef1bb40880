"""Resources as clients see them: location, version, references and groups added, projection applied (RFC 7643 §3.1)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from scim_gateway.abilities import MembershipHandler
from scim_gateway.backend import Backend, Reference
from scim_gateway.conditions import weak_tag
from scim_gateway.projection import Projection, apply
from scim_gateway.references import Element, ReferenceField, of_ids, reference_fields
from scim_gateway.relations import Membership, Relations
from scim_gateway.schema import Resource, ResourceType


class Shown(NamedTuple):
    """A resource as shown to a client.

    :param document: what the projection leaves of it.
    :param tag: the entity tag of the whole, which a projection does not change.
    """

    document: dict[str, Any]
    tag: str
    location: str


class Representation:
    """Adds to stored resources what is never stored because it follows from others, or from the client's base URL."""

    def __init__(self, backend: Backend, relations: Relations) -> None:
        self._backend = backend
        self._relations = relations
        self.fields: Mapping[str, tuple[ReferenceField, ...]] = {
            kind.name: reference_fields(kind, backend.resource_types) for kind in backend.resource_types
        }
        """The attributes that refer to other resources, by name of the resource type."""
        self._told = frozenset(
            (kind.name, kind.members)
            for kind in backend.resource_types
            if kind.members and isinstance(backend.handlers[kind.name], MembershipHandler)
        )

    def location(self, resource_type: ResourceType, id: str, base_url: str) -> str:
        """The URL of a resource."""
        return f"{base_url}{resource_type.endpoint}/{id}"

    def tag(self, resource: Resource, resource_type: ResourceType) -> str:
        """The entity tag of a resource."""
        groups: Sequence[Membership] = ()
        if resource_type.containers:
            groups = self._relations.memberships([resource["id"]])[resource["id"]]
        return tag_of(resource["meta"]["version"], digest(groups))

    def complete(
        self,
        resources: Sequence[Resource],
        resource_type: ResourceType,
        base_url: str,
        *,
        without: frozenset[str] = frozenset(),
        known: Mapping[str, Reference] | None = None,
        new: bool = False,
    ) -> list[Resource]:
        """Whole resources, with the entity tag as ``meta.version``; the given ones are not changed.

        :param without: attributes that will not be shown and need no work.
        :param known: references that were just looked up.
        :param new: whether they were created just now, so that nothing can hold them.
        """
        groups: Mapping[str, Sequence[Membership]] = {}
        if resource_type.containers and not new and not {resource_type.containers, "meta"} <= without:
            groups = self._relations.memberships([resource["id"] for resource in resources])
        # Most resources refer to nothing.
        fields = [
            field
            for field in self.fields[resource_type.name]
            if field.attribute.name not in without and any(field.elements(resource) for resource in resources)
        ]
        known = self._referred(resources, resource_type, fields, known or {}) if fields else {}
        completed = []
        described: dict[tuple[str, bool], dict[str, Any]] = {}
        digests: dict[tuple[tuple[str, bool], ...], str] = {}
        endpoint = f"{base_url}{resource_type.endpoint}/"
        for resource in resources:
            id = resource["id"]
            memberships = groups.get(id, ())
            # Neighbours are in the same groups as a rule.
            key = tuple([(membership.group.id, membership.direct) for membership in memberships])
            if key not in digests:
                digests[key] = digest(memberships)
            version, location = tag_of(resource["meta"]["version"], digests[key]), endpoint + id
            whole = {**resource, "meta": {**resource["meta"], "location": location, "version": version}}
            if resource_type.containers and memberships:
                for membership, each in zip(memberships, key, strict=True):
                    if each not in described:
                        described[each] = self.group(membership, base_url)
                whole[resource_type.containers] = [described[each] for each in key]
            for field in fields:
                if elements := field.elements(resource):
                    told = self.told(resource_type, field)
                    whole = field.with_elements(whole, self._elements(field, elements, known, told, base_url))
            completed.append(whole)
        return completed

    def project(
        self,
        completed: Iterable[Resource],
        resource_type: ResourceType,
        projection: Projection,
        requested: frozenset[str] = frozenset(),
    ) -> list[Shown]:
        """Whole resources as they stand in an answer.

        :param requested: attributes that the request's body names, for ``returned: request``.
        """
        return [
            Shown(
                apply(projection, whole, resource_type, requested=requested),
                whole["meta"]["version"],
                whole["meta"]["location"],
            )
            for whole in completed
        ]

    def show(
        self,
        resources: Sequence[Resource],
        resource_type: ResourceType,
        base_url: str,
        projection: Projection,
        *,
        requested: frozenset[str] = frozenset(),
        known: Mapping[str, Reference] | None = None,
        tags: bool = True,
        new: bool = False,
    ) -> list[Shown]:
        """Stored resources as they stand in an answer.

        :param tags: whether the entity tag is needed even where the document does not show it.
        :param new: whether they were created just now.
        """
        # What is named by the request may be shown although an answer to GET would not hold it.
        without = frozenset() if requested else projection.without - {"meta"} if tags else projection.without
        completed = self.complete(resources, resource_type, base_url, without=without, known=known, new=new)
        return self.project(completed, resource_type, projection, requested)

    def _referred(
        self,
        resources: Iterable[Resource],
        resource_type: ResourceType,
        fields: Iterable[ReferenceField],
        known: Mapping[str, Reference],
    ) -> Mapping[str, Reference]:
        """What the elements refer to."""
        wanted: set[str] = set()
        for field in fields:
            if not self.told(resource_type, field):
                for resource in resources:
                    wanted.update(element["value"] for element in field.elements(resource))
        wanted -= known.keys()
        return {**known, **of_ids(self._backend.references)(wanted)} if wanted else known

    def told(self, resource_type: ResourceType, field: ReferenceField) -> bool:
        """Whether the store tells type and name of what a field refers to, so that nothing has to be looked up."""
        return field.urn is None and (resource_type.name, field.attribute.name) in self._told

    def _elements(
        self,
        field: ReferenceField,
        elements: Sequence[Element],
        known: Mapping[str, Reference],
        told: bool,
        base_url: str,
    ) -> Sequence[Element]:
        places = {kind.name: self.location(kind, "", base_url) for kind in self._backend.resource_types}
        if told and all(element.get("type") in places for element in elements):
            # The store tells what is true of them today; there may be very many.
            return [{**element, "$ref": places[element["type"]] + element["value"]} for element in elements]
        return list(self._completed(field, elements, known, told, base_url))

    def _completed(
        self,
        field: ReferenceField,
        elements: Sequence[Element],
        known: Mapping[str, Reference],
        told: bool,
        base_url: str,
    ) -> Iterator[Element]:
        for element in elements:
            reference = known.get(element["value"])
            if reference is None and told and "type" in element:
                reference = Reference(element["value"], element["type"], element.get(field.display or ""))
            kind = self._backend.resource_types.by_name.get(reference.resource_type) if reference else None
            location = self.location(kind, element["value"], base_url) if kind else None
            yield field.complete(element, reference, location)

    def group(self, membership: Membership, base_url: str) -> dict[str, Any]:
        """A group as a resource in it shows it."""
        group = membership.group
        kind = self._backend.resource_types.by_name[group.resource_type]
        element = {"value": group.id, "$ref": self.location(kind, group.id, base_url)}
        if group.display is not None:
            element["display"] = group.display
        return {**element, "type": "direct" if membership.direct else "indirect"}


def tag_of(version: str, digest: str) -> str:
    """The entity tag of a resource.

    :param version: the version that is stored.
    :param digest: what stands for its groups.
    """
    return weak_tag(f"{version}-{digest}" if digest else version)


def digest(groups: Sequence[Membership]) -> str:
    """What stands for the groups in an entity tag; empty if there are none."""
    if not groups:
        return ""
    # The read-only groups are part of the representation, so that a change of them is a change of its tag.
    text = "\n".join(sorted(f"{group.group.id} {group.direct} {group.group.display}" for group in groups))
    return hashlib.sha256(text.encode()).hexdigest()[:8]
