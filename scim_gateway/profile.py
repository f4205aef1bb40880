"""IdP profiles: which departures from the RFC are accepted, as data (house rule "Strict and lenient")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Profile:
    """Allowances for the requests of one identity provider; all off is the RFC as written.

    :param infer_schemas: a wrong, missing or unlisted ``schemas`` is replaced by what the body holds.
    :param boolean_words: ``"true"`` and ``"False"`` in any case are booleans, in bodies, PATCH values and filters.
    :param ignore_unknown: unknown attributes are dropped (counted and logged) instead of refused.
    :param lift_values: a bare string where ``{"value": …}`` belongs, and one object where an array belongs, are lifted.
    :param any_case: PATCH ``op`` and message member names in any letter case.
    :param path_keys: keys of a path-less PATCH value may be dotted, URN-prefixed or value paths.
    :param create_elements: ``replace`` by a value path that matches nothing creates the element, as ``add`` does.
    :param remove_by_value: ``remove`` with a list of values takes exactly those away.
    :param ignore_read_only: readOnly attributes in a path-less PATCH value are dropped instead of refused.
    :param value_path_subs: a filter may go on behind a value path, as in ``emails[type eq "work"].value eq "x"``.
    """

    name: str
    infer_schemas: bool = False
    boolean_words: bool = False
    ignore_unknown: bool = False
    lift_values: bool = False
    any_case: bool = False
    path_keys: bool = False
    create_elements: bool = False
    remove_by_value: bool = False
    ignore_read_only: bool = False
    value_path_subs: bool = False


STRICT = Profile("strict")
LENIENT = Profile("lenient", **{allowance.name: True for allowance in fields(Profile) if allowance.name != "name"})
OKTA = Profile(
    "okta",
    infer_schemas=True,
    boolean_words=True,
    ignore_unknown=True,
    lift_values=True,
    path_keys=True,
    ignore_read_only=True,
)
ENTRA = Profile(
    "entra",
    infer_schemas=True,
    boolean_words=True,
    ignore_unknown=True,
    lift_values=True,
    any_case=True,
    path_keys=True,
    create_elements=True,
    remove_by_value=True,
    ignore_read_only=True,
    value_path_subs=True,
)

PROFILES: Mapping[str, Profile] = {profile.name: profile for profile in (STRICT, LENIENT, OKTA, ENTRA)}
