"""Entity tags and preconditions (RFC 7644 §3.14, RFC 9110 §13)."""

from __future__ import annotations

import pytest

from scim_gateway.conditions import check_write, names, not_modified, weak_tag
from scim_gateway.errors import PreconditionFailed

TAG = weak_tag("7-0a1b2c3d")


@pytest.mark.parametrize(
    "header",
    [
        'W/"7-0a1b2c3d"',
        '"7-0a1b2c3d"',
        'w/"7-0a1b2c3d"',
        "7-0a1b2c3d",
        "W/7-0a1b2c3d",
        "*",
        '"1", W/"7-0a1b2c3d"',
        '"1","7-0a1b2c3d"',
        '  W/"7-0a1b2c3d"  ',
    ],
)
def test_a_tag_is_named_weak_strong_bare_or_in_a_list(header: str) -> None:
    assert names(header, TAG)


@pytest.mark.parametrize("header", ['W/"7"', '"8"', '"*"', '"7-0a1b2c3"', "", ",", '"7", "8"', 'W/"', '""'])
def test_another_tag_is_another_tag(header: str) -> None:
    assert not names(header, TAG)


def test_a_blank_inside_quotes_belongs_to_the_tag() -> None:
    assert names('"1, 7"', weak_tag("1, 7"))
    assert not names('"1, 7"', weak_tag("7"))


def test_a_change_of_the_named_version_passes() -> None:
    check_write({"if-match": TAG}, TAG)
    check_write({"if-none-match": '"8"'}, TAG)
    check_write({"if-match": " "}, TAG)
    check_write({}, TAG)


@pytest.mark.parametrize("headers", [{"if-match": '"8"'}, {"if-none-match": TAG}, {"if-none-match": "*"}])
def test_a_change_of_another_version_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(PreconditionFailed):
        check_write(headers, TAG)


def test_if_match_is_looked_at_before_if_none_match() -> None:
    with pytest.raises(PreconditionFailed, match="has changed"):
        check_write({"if-match": '"8"', "if-none-match": TAG}, TAG)


def test_a_reader_who_has_the_version_need_not_get_it_again() -> None:
    assert not_modified({"if-none-match": TAG}, TAG)
    assert not not_modified({"if-none-match": '"8"'}, TAG)
    assert not not_modified({}, TAG)
    with pytest.raises(PreconditionFailed):
        not_modified({"if-match": '"8"'}, TAG)
