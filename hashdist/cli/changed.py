"""What is said after something was changed."""

from __future__ import annotations

#: The end of the line that tells what was done.
UNDO = "; undo: hdist undo"
