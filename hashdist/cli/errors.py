"""Errors for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hashdist.errors import HashdistError


def error_json(error: HashdistError) -> dict[str, Any]:
    """What ``--json`` says of an error."""
    return {"code": error.code, "message": error.message, "hint": error.hint}
