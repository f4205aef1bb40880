"""The resource types that the suite works with, one of them declared, with an attribute of every kind."""

from __future__ import annotations

from scim_gateway.definitions import standard_resource_types
from scim_gateway.schema import Attribute, ResourceType, ResourceTypes, Schema, SchemaExtension

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


def suite_resource_types() -> ResourceTypes:
    """The types that the suite works with: those of the RFC, and one with an attribute of every kind."""
    return ResourceTypes((*standard_resource_types(), DEVICE))
