"""What no package owns and nobody asked for, but belongs to what was captured: its stated rule.

Such files are made on the machine from files that were captured, so they may be used, and are neither hashed
nor checked: their bytes hold times and host names.

- ``__pycache__/NAME.*.pyc`` beside a captured ``NAME.py``;
- what the loader, the C library and other programs compile from all that is installed: ``/etc/ld.so.cache``,
  ``gconv-modules.cache``, ``locale-archive``.

What belongs to the alternatives system is captured: its links are hops.
"""

from __future__ import annotations

import os

_COMPILED = frozenset({"ld.so.cache", "gconv-modules.cache", "locale-archive"})


def is_generated(path: str) -> bool:
    """Whether a file is made on the machine from others."""
    name = os.path.basename(path)
    return name in _COMPILED or (name.endswith(".pyc") and os.path.basename(os.path.dirname(path)) == "__pycache__")
