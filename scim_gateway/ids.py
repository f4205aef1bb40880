"""The form of an id: whatever has another one was never given by this gateway, and no backend is asked for it.

Ids come from the identity provider as any text. Stores take nearly an id for the id: by a collation that does not tell
letter cases or blanks at the end apart, by a path, by what they do with NUL. What they never see they cannot mistake.
"""

from __future__ import annotations

import re

FORM = "[a-z0-9-]{1,64}"
"""Of every id that the core sets (rule 1 in :mod:`.backend`), as a regular expression."""

is_id = re.compile(FORM).fullmatch
"""Whether a text may be the id of something; asked for each look-up, so it is the bare method."""
