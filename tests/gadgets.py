"""A resource type made by hand with an attribute of every kind, for tests that need no real schema."""

from __future__ import annotations

from scim_gateway.schema import Attribute, ResourceType, Schema, SchemaExtension

CORE = "urn:example:schemas:2.0:Gadget"
EXTENSION = "urn:example:schemas:extension:depot:2.0:Gadget"

GADGET = ResourceType(
    "Gadget",
    "/Gadgets",
    Schema(
        CORE,
        "Gadget",
        attributes=(
            Attribute("label", required=True, uniqueness="server"),
            Attribute("note"),
            Attribute("code", case_exact=True),
            Attribute("flag", type="boolean"),
            Attribute("size", type="integer"),
            Attribute("weight", type="decimal"),
            Attribute("seen", type="dateTime"),
            Attribute("blob", type="binary", case_exact=True),
            Attribute("link", type="reference", case_exact=True, reference_types=("external",)),
            Attribute("tags", multi_valued=True),
            Attribute("hint", returned="request"),
            Attribute("secret", mutability="writeOnly", returned="never"),
            Attribute("sealed", mutability="writeOnly"),
            Attribute(
                "box",
                type="complex",
                sub_attributes=(
                    Attribute("width", type="integer"),
                    Attribute("maker"),
                    Attribute("serial", returned="always"),
                    Attribute("margin", returned="request"),
                    Attribute("pin", returned="never"),
                ),
            ),
            Attribute(
                "parts",
                type="complex",
                multi_valued=True,
                sub_attributes=(
                    Attribute("value"),
                    Attribute("type"),
                    Attribute("rank", type="integer"),
                    Attribute("at", type="dateTime"),
                    Attribute("primary", type="boolean"),
                    Attribute("key", returned="never"),
                ),
            ),
            Attribute(
                "places",
                type="complex",
                multi_valued=True,
                sub_attributes=(Attribute("street"), Attribute("number", type="integer")),
            ),
        ),
    ),
    extensions=(
        SchemaExtension(
            Schema(
                EXTENSION,
                "Depot",
                attributes=(
                    Attribute("shelf"),
                    Attribute("badge", returned="always"),
                    Attribute("cost", type="decimal", returned="request"),
                    Attribute(
                        "keeper",
                        type="complex",
                        sub_attributes=(Attribute("value", case_exact=True), Attribute("displayName")),
                    ),
                ),
            )
        ),
    ),
)
