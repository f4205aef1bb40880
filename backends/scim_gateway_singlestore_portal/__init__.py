"""People and groups of the identity provider are members and teams of a SingleStore organization."""

from .backend import PortalBackend
from .target import PortalTarget

__all__ = ["PortalBackend", "PortalTarget"]
