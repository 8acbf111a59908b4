"""``hdist clone``: take over a profile of another repository."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.remoting import fetched_lines
from hashdist.cli.trusting import ask_trust
from hashdist.remote.remotes import check_url
from hashdist.workflow import remoting
from hashdist.workflow.hosts import drift_words


@make(creates=True, fetches=True)
@click.argument("url")
@click.argument("name", required=False)
def clone(app: App, url: str, name: str | None) -> None:
    """Make a remote NAME (the last part of URL) of the repository at URL, and a profile NAME that follows its main one.

    No other profile is touched. What is built of it runs its commands: it has to be trusted, on a terminal by an
    answer, elsewhere by --trust. Sources come when a build needs them.
    """
    ask_trust(app, check_url(url, directory=app.session.directory))
    done = remoting.clone(app.session, url, name)
    for line in fetched_lines(app, done.remote, done.fetched):
        app.say(line)
    for drift in done.host.drifts if done.host is not None else ():
        app.say(drift_words(drift, than=f"the one that {done.profile} was recorded with"))
    if done.host is not None and done.host.drifts:
        app.say(f"to go on with what this host has: hdist update --host -b {done.profile}")
    app.say_done(f"{done.profile}@{done.commit[:12]}; not checked out: hdist checkout --build {done.profile}")
    app.put(done.commit)


command = clone
