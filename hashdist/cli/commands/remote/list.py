"""``hdist remote list``: the remotes that are known."""

from __future__ import annotations

from collections.abc import Iterator

from hashdist.cli.app import App, command as make
from hashdist.refs import names
from hashdist.remote import remotes


@make(reads=True)
def list_(app: App) -> None:
    """List remotes with where they are, and the profiles that follow them."""
    known = remotes.remotes(app.store)
    following: dict[str, list[str]] = {name: [] for name in known}
    for ref in app.store.refs.all(names.HEADS):
        profile = names.short_name(ref)
        one = remotes.followed(app.store, profile)
        if one is not None and one.remote in following:
            following[one.remote].append(profile)

    def lines() -> Iterator[str]:
        for name, remote in known.items():
            followers = f"  followed by {', '.join(following[name])}" if following[name] else ""
            yield f"{name} {remote.url}{followers}"

    rows = [{"name": name, "url": remote.url, "followed_by": following[name]} for name, remote in known.items()]
    app.emit({"remotes": rows}, lines)


command = list_
