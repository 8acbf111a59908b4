"""``hdist artifact-path``: print where an artifact lies."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make
from hashdist.objects.artifact_id import ArtifactId


@make()
@click.argument("artifact", metavar="NAME/VERSION/SPEC")
def artifact_path(app: App, artifact: str) -> int:
    """Print the path of an artifact, built or not; exit 3 when it is not built."""
    wanted = ArtifactId.parse(artifact)
    app.put(app.store.artifacts.path(wanted))
    return 0 if wanted in app.store.artifacts else 3


command = artifact_path
