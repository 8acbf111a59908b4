"""``hdist easybuild session``: what EasyBuild's hooks have to know."""

from __future__ import annotations

import json
from collections.abc import Iterator

from hashdist.cli.app import App, command as make
from hashdist.workflow.easybuild.setup import FINDERS, describe_session


@make(reads=True)
def session(app: App) -> None:
    """Capture the host software that stands for the toolchain, and print what the hooks have to know, as JSON."""
    named = app.env.get("HDIST_EASYBUILD_HOST")
    found = describe_session(app.session, named.split() if named is not None else FINDERS)

    def lines() -> Iterator[str]:
        yield json.dumps(found)

    app.emit(found, lines)


command = session
