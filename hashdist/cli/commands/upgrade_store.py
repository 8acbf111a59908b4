"""``hdist upgrade-store``: bring a store to the present format."""

from __future__ import annotations

from hashdist.cli.app import App, command as make
from hashdist.cli.owner import act_as_owner
from hashdist.store.store import FORMAT
from hashdist.store.upgrading import upgrade_store as upgrade


@make()
def upgrade_store(app: App) -> None:
    """Bring a store that an older hdist made to the present format; there is no way back.

    Profiles, artifacts and prefixes stay what and where they are.
    """
    act_as_owner(app.path, for_good=True)
    steps = list(upgrade(app.path, waiting=app.say))
    for before, after in steps:
        app.say(f"format {before} is format {after} now")
    if not steps:
        app.say(f"the store has format {FORMAT} already")


command = upgrade_store
