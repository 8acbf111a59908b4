"""Times as people and programs read them."""

from __future__ import annotations

import time


def time_text(seconds: float) -> str:
    """RFC 3339, UTC; `seconds` since 1970."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
