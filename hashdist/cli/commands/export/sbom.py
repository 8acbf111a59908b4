"""``hdist export sbom``: what a profile is made of, for auditors."""

from __future__ import annotations

import shlex
import sys

from hashdist.cli.app import App, command as make
from hashdist.cli.exporting import export_arguments, place
from hashdist.errors import NotFoundError


class LibraryMissingError(NotFoundError):
    """A library that only this needs is not installed."""

    code = "library_missing"


@make(reads=True)
@export_arguments(host=None)
def sbom(app: App, revision: str | None, output: str | None) -> None:
    """Write an SPDX 2.3 document of a profile: its packages, their sources, and packages of the host below them.

    The name's ending says in which format: .spdx.json, .spdx.yaml, .spdx.xml, .spdx.rdf or .spdx.
    """
    try:
        from hashdist.workflow.export.sbom import export_sbom  # noqa: PLC0415 - its libraries are an extra
    except ImportError as error:
        raise LibraryMissingError(
            f"a library is missing: {error.name}",
            hint=f"{shlex.quote(sys.executable)} -m pip install spdx-tools license-expression packageurl-python",
        ) from error
    path = place(app, output, revision, ".spdx.json")
    closure, count = export_sbom(app.session, revision, path)
    app.emit({"path": path, "commit": closure.commit, "packages": count}, lambda: iter([path]))
    app.say(f"{count} packages")


command = sbom
