"""A body is read by the fields of what was sent: that comes to what all fields of the Schema come to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from marshmallow import Schema, ValidationError
from reader_data import USERS

from scim_gateway.profile import LENIENT
from scim_gateway.schema import ENTERPRISE_USER

SCHEMA = USERS._schema(LENIENT)
_ANYTHING = st.sampled_from([None, "", "a", 1, True, [], ["a"], {}, {"value": "a"}, [{"value": "a", "primary": True}]])
_BODIES = st.dictionaries(
    st.sampled_from(
        ["userName", "active", "title", "name", "emails", "photos", "x509Certificates", "password", ENTERPRISE_USER]
    ),
    _ANYTHING,
)


def outcome(schema: Schema, sent: Mapping[str, Any]) -> object:
    try:
        return list(schema.load(sent).items())
    except ValidationError as error:
        return error.messages


@given(_BODIES)
@example({})
@example({ENTERPRISE_USER: {"department": "a"}, "emails": 1, "userName": "a", "name": "a"})
def test_the_fields_of_what_was_sent_read_what_all_fields_read(body: dict[str, Any]) -> None:
    sent = SCHEMA._canonical(body)
    part = SCHEMA._part(frozenset(sent))
    assert len(part.load_fields) == len(sent)
    assert outcome(part, sent) == outcome(SCHEMA, sent)
