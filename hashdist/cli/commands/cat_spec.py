"""``hdist cat-spec``: print the document of a spec."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make
from hashdist.objects import canonical
from hashdist.objects.ids import SpecId
from hashdist.objects.spec import read_spec


@make()
@click.argument("id")
def cat_spec(app: App, id: str) -> None:
    """Print the build.json of the spec with this id, as it is hashed."""
    spec = read_spec(app.store.objects, SpecId(app.store.objects.expand(id)))
    app.put_bytes(canonical.dumps(spec.to_json()))


command = cat_spec
