"""What commands that import have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click


def import_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The message, and the profile."""
    function = click.option("-b", "--profile", metavar="PROFILE", help="The profile; without it the one HEAD names.")(
        function
    )
    return click.option("-m", "--message", help="The commit's message.")(function)
