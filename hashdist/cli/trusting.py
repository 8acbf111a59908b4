"""Ask whether another repository is trusted."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from hashdist.errors import HashdistError

if TYPE_CHECKING:
    from .app import App


class UntrustedError(HashdistError):
    """A repository that nobody said is trusted."""

    code = "untrusted"


def ask_trust(app: App, url: str) -> None:
    """Return if the repository at a URL is trusted; raises `UntrustedError`, or ends the command."""
    if app.trust:
        return
    if sys.stdin.isatty() and sys.stderr.isatty():
        click.confirm(f"builds of what is at {url} run its commands: do you trust it?", abort=True, err=True)
        return
    raise UntrustedError(
        f"builds of what is at '{url}' run its commands, and nobody said that it is trusted",
        hint="--trust says so",
    )
