"""What to enter where at an identity provider, with this gateway's own values and in that provider's own words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

OKTA_ACTIONS = ("Push New Users", "Push Profile Updates", "Push Groups")
WHERE_TOKENS_ARE_MADE = "the token; make one with: scim-gateway token create okta"


def connection(base_url: str, authorization: str) -> Mapping[str, str]:
    """The fields of Okta's page, by their labels."""
    return MappingProxyType(
        {
            "SCIM connector base URL": base_url,
            "Unique identifier field for users": "userName",
            "Supported provisioning actions": ", ".join(OKTA_ACTIONS),
            "Authentication Mode": "HTTP Header",
            "Authorization": authorization,
        }
    )


def connection_lines(base_url: str, authorization: str) -> Sequence[str]:
    """What Okta's page asks for, a line for each field."""
    return [f"{label}: {value}" for label, value in connection(base_url, authorization).items()]


def okta_steps(base_url: str, profile: str) -> Sequence[str]:
    """How Okta is connected."""
    fields = [f"       {line}" for line in connection_lines(base_url, WHERE_TOKENS_ARE_MADE)]
    return [
        *_reachable(base_url),
        "1. In Okta's admin console open your custom application (App Integration Wizard; not one of the Okta",
        "   Integration Network): General > App Settings > Edit > Provisioning: SCIM > Save.",
        "2. Provisioning > Settings > Integration > Edit, and enter:",
        *fields,
        "3. Test Connector Configuration, then Save.",
        "4. Provisioning > To App > Edit, and enable: Create Users, Update User Attributes, Deactivate Users.",
        "5. Assign people and groups under Assignments. Then add the groups under Push Groups: Okta pushes only those",
        "   members of a group who are assigned.",
        "",
        "Good to know",
        "- People assigned before provisioning was enabled are not pushed until you choose Provision User.",
        "- A group that was unlinked in Okta but kept here: choose to link the existing group when you push it again.",
        "- After a change of the base URL refresh the application's SCIM configuration, and do not delete groups in",
        "  the target before you remove them from Push Groups.",
        *_profile(profile, "okta"),
        f"- Try it before Okta does: scim-gateway simulate okta --url {base_url}",
    ]


def entra_steps(base_url: str, profile: str) -> Sequence[str]:
    """How Microsoft Entra ID is connected."""
    return [
        *_reachable(base_url),
        "1. In the Entra admin center: Enterprise applications > New application > Create your own application >",
        "   Integrate any other application you don't find in the gallery (Non-gallery).",
        "2. Provisioning > New configuration, and enter:",
        f"       Tenant URL: {base_url}?aadOptscim062020",
        "       Secret Token: the token; make one with: scim-gateway token create entra --profile entra",
        "   The flag behind the URL makes Entra send standard PATCH requests; it works without it, too.",
        "3. Test Connection, then Create.",
        "4. Attribute mapping: keep userPrincipalName -> userName (match) and objectId -> externalId; for groups",
        "   displayName -> displayName (match) and objectId -> externalId.",
        "5. Users and groups: assign who is to be provisioned. Then Provisioning > Start provisioning.",
        "",
        "Good to know",
        "- Entra works in cycles of about 40 minutes; Provision on demand shows one person's result at once.",
        "- A token that is refused puts the whole job into quarantine: make the new token first, then revoke the old.",
        *_profile(profile, "entra"),
        f"- Try it before Entra does: scim-gateway simulate entra --url {base_url}",
    ]


def _reachable(base_url: str) -> Sequence[str]:
    if base_url.startswith("https://"):
        return []
    return [
        f"Note: {base_url} is not what an identity provider in the cloud can reach.",
        "Put a TLS-terminating proxy in front of the gateway and set SCIM_GATEWAY_PUBLIC_URL to the address it is",
        "known by, such as https://scim.example.com/scim/v2.",
        "",
    ]


def _profile(profile: str, idp: str) -> Sequence[str]:
    if profile in ("lenient", idp):
        return []
    return [f"- The gateway's profile is {profile}; give the token the profile it needs: --profile {idp}."]
