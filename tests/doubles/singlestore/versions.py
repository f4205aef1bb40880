"""Versions of the Engine, and what each of them can say and do first."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Version:
    """Major and minor number of a version of SingleStore."""

    major: int
    minor: int

    @classmethod
    def of(cls, value: Version | str) -> Version:
        """Read ``"8.5"`` or ``"8.5.17"``; the patch level decides nothing here.

        Raises:
            ValueError: it is not a version.
        """
        if isinstance(value, Version):
            return value
        major, minor, *_ = value.split(".")
        return cls(int(major), int(minor))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


TRANSFERABLE = Version(7, 8)
SYSTEM_VARIABLES_ADMIN = Version(7, 8)
ACCOUNT_LOCK = Version(8, 0)
ALTER_USER_PRIVILEGE = Version(8, 0)
JWT = Version(8, 0)
SYNC_PERMISSIONS_BY_DEFAULT = Version(8, 0)
ATTRIBUTE_AND_COMMENT = Version(8, 1)
CREATE_USER_IF_NOT_EXISTS = Version(8, 5)
NO_AUTO_CREATE_USER = Version(8, 5)
LONG_JWT_NAMES = Version(8, 5)
REQUIRE_X509 = Version(8, 9)
REQUIRE_SUBJECT = Version(9, 0)
AUDITLOG_LEVEL = Version(10, 0)
