"""``hdist commit``: record a stack file on a profile."""

from __future__ import annotations

import os

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.recorded import tell
from hashdist.workflow.commit import commit_file


@make(creates=True, fetches=True)
@click.argument("file", default="stack.toml")
@click.option("-m", "--message", required=True, help="Why: the first line is the subject.")
@click.option("-b", "--profile", metavar="PROFILE", help="The profile; without it the one HEAD names.")
@click.option("--allow-empty", is_flag=True, help="Record it even if nothing changed.")
@click.option("--force", is_flag=True, help="Record it even if the profile has moved since FILE was taken from it.")
@click.option(
    "--from-spack",
    metavar="PATH",
    help="Record what an environment or view of Spack's holds, not FILE.",
)
@click.option("--tree", "trees", multiple=True, metavar="DIR", help="With --from-spack: an install tree; repeat it.")
@click.option("--from-easybuild", is_flag=True, help="Record what EasyBuild installed into this store, not FILE.")
def commit(
    app: App,
    file: str,
    message: str,
    profile: str | None,
    allow_empty: bool,
    force: bool,
    from_spack: str | None,
    trees: tuple[str, ...],
    from_easybuild: bool,
) -> None:
    """Resolve FILE (stack.toml), pin every source and host entry that has no pin yet, and record all of it."""
    if from_easybuild:
        from hashdist.workflow.easybuild.installed import commit_installed  # noqa: PLC0415 - for few alone

        tell(app, commit_installed(app.session, message=message, profile=profile))
        return
    if from_spack is not None:
        from hashdist.workflow.spack.environments import commit_environment  # noqa: PLC0415 - likewise

        tell(app, commit_environment(app.session, os.path.abspath(from_spack), trees, message=message, profile=profile))
        return
    if trees:
        raise click.UsageError("--tree goes with --from-spack")
    recorded = commit_file(app.session, file, message=message, profile=profile, allow_empty=allow_empty, force=force)
    tell(app, recorded)


command = commit
