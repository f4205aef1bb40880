"""What the service provider says about itself: configuration, resource types, schemas (RFC 7643 §5, RFC 7644 §4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scim_gateway.definitions import all_schemas
from scim_gateway.errors import NotFound
from scim_gateway.messages import list_response
from scim_gateway.provider_settings import ProviderSettings
from scim_gateway.schema import Attribute, ResourceType, ResourceTypes, Schema
from scim_gateway.schema_definitions import RESOURCE_TYPE_SCHEMA, SCHEMA_SCHEMA, SERVICE_PROVIDER_CONFIG_SCHEMA
from scim_gateway.text import printable

Document = dict[str, Any]


class Discovery:
    """The discovery documents of one service provider; made once, so that a request adds only where they are found."""

    def __init__(self, resource_types: ResourceTypes, settings: ProviderSettings) -> None:
        self._config = _service_provider_config(settings)
        self._resource_types = {kind.name: _resource_type(kind) for kind in resource_types}
        self._schemas = {schema.id.lower(): _schema(schema) for schema in all_schemas(resource_types)}

    def service_provider_config(self, base_url: str) -> Document:
        """The ServiceProviderConfig."""
        return _located(self._config, "ServiceProviderConfig", f"{base_url}/ServiceProviderConfig")

    def resource_types(self, base_url: str) -> Document:
        """All resource types, as a ListResponse; never a part of them (RFC 7644 §4)."""
        return _list([self.resource_type(name, base_url) for name in self._resource_types])

    def resource_type(self, name: str, base_url: str) -> Document:
        """One resource type.

        :raises NotFound: there is none of that name.
        """
        document = self._resource_types.get(name)
        if document is None:
            raise NotFound(f"There is no resource type {printable(name)}; there are {', '.join(self._resource_types)}.")
        return _located(document, "ResourceType", f"{base_url}/ResourceTypes/{name}")

    def schemas(self, base_url: str) -> Document:
        """All schemas, as a ListResponse; never a part of them (RFC 7644 §4)."""
        return _list([self.schema(urn, base_url) for urn in self._schemas])

    def schema(self, urn: str, base_url: str) -> Document:
        """One schema, by its URN in any letter case.

        :raises NotFound: there is none of that URN.
        """
        document = self._schemas.get(urn.lower())
        if document is None:
            raise NotFound(f"There is no schema {printable(urn)}; /Schemas lists those there are.")
        return _located(document, "Schema", f"{base_url}/Schemas/{document['id']}")


def _list(documents: list[Document]) -> Document:
    return list_response(documents, len(documents), start_index=1)


def _located(document: Document, resource_type: str, location: str) -> Document:
    return {**document, "meta": {"resourceType": resource_type, "location": location}}


def _service_provider_config(settings: ProviderSettings) -> Document:
    document: Document = {"schemas": [SERVICE_PROVIDER_CONFIG_SCHEMA]}
    if settings.documentation_uri:
        document["documentationUri"] = settings.documentation_uri
    return document | {
        "patch": {"supported": True},
        "bulk": {
            "supported": True,
            "maxOperations": settings.bulk_max_operations,
            "maxPayloadSize": settings.bulk_max_payload,
        },
        "filter": {"supported": True, "maxResults": settings.max_results},
        "changePassword": {"supported": False},
        "sort": {"supported": True},
        "etag": {"supported": True},
        "pagination": {
            "cursor": True,
            "index": True,
            "defaultPaginationMethod": "index",
            "defaultPageSize": settings.default_count,
            "maxPageSize": settings.max_results,
            "cursorTimeout": settings.cursor_timeout,
        },
        "authenticationSchemes": [
            {
                "type": "oauthbearertoken",
                "name": "OAuth Bearer Token",
                "description": "A token of this gateway in the Authorization header.",
                "specUri": "https://www.rfc-editor.org/info/rfc6750",
                "primary": True,
            }
        ],
    }


def _resource_type(kind: ResourceType) -> Document:
    document: Document = {
        "schemas": [RESOURCE_TYPE_SCHEMA],
        "id": kind.name,
        "name": kind.name,
        "endpoint": kind.endpoint,
        "schema": kind.schema.id,
    }
    if kind.description:
        document["description"] = kind.description
    if kind.extensions:
        document["schemaExtensions"] = [
            {"schema": extension.schema.id, "required": extension.required} for extension in kind.extensions
        ]
    return document


def _schema(schema: Schema) -> Document:
    document: Document = {"schemas": [SCHEMA_SCHEMA], "id": schema.id, "name": schema.name}
    if schema.description:
        document["description"] = schema.description
    document["attributes"] = [_attribute(attribute) for attribute in schema.attributes]
    return document


def _attribute(attribute: Attribute) -> Mapping[str, Any]:
    """An attribute definition (RFC 7643 §7); errata 6004: a complex attribute has no uniqueness and no letter case."""
    definition: Document = {
        "name": attribute.name,
        "type": attribute.type,
        "multiValued": attribute.multi_valued,
        "description": attribute.description,
        "required": attribute.required,
    }
    if attribute.canonical_values:
        definition["canonicalValues"] = list(attribute.canonical_values)
    if attribute.type != "complex":
        definition["caseExact"] = attribute.case_exact
    definition["mutability"] = attribute.mutability
    definition["returned"] = attribute.returned
    if attribute.type != "complex":
        definition["uniqueness"] = attribute.uniqueness
    if attribute.reference_types:
        definition["referenceTypes"] = list(attribute.reference_types)
    if attribute.type == "complex":
        definition["subAttributes"] = [_attribute(sub) for sub in attribute.sub_attributes]
    return definition
