"""Users, groups and memberships of a SingleStore database, kept equal to the directory over PyMySQL."""

from .backend import EngineBackend

__all__ = ["EngineBackend"]
