"""A backend that is not ours: it says nothing of the settings that it reads."""

from __future__ import annotations

from scim_gateway_memory import MemoryBackend


class Store(MemoryBackend):
    """Keeps everything in memory, and may read more settings than what it inherits from."""
