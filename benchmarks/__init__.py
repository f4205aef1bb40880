"""What a request costs, against a bare Flask route behind the same server."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))  # servers and doubles are started as the tests start them
