"""Write a git bundle: profiles, tags and all their sources in one file, for machines without a network."""

from __future__ import annotations

import os
from collections.abc import Sequence

from hashdist import process
from hashdist.fsutil.atomic import publish, sync_directory, unique_suffix
from hashdist.objects.git_program import git_env
from hashdist.objects.ids import CommitId
from hashdist.store.store import Store

from .quarantine import quarantine


def write_bundle(store: Store, path: str, refs: Sequence[tuple[str, CommitId]]) -> int:
    """Write a bundle with some refs, by the names they are to have, wholly or not at all; return its bytes."""
    temporary = f"{path}.tmp-{unique_suffix()}"
    with quarantine(store, {}) as place:
        with open(os.path.join(place.path, "packed-refs"), "w", encoding="utf-8") as file:
            lines = sorted(f"{commit} {name}\n" for name, commit in refs)
            file.write("# pack-refs with: \n" + "".join(sorted(lines, key=lambda line: line.partition(" ")[2])))
        names = "".join(f"{name}\n" for name, _ in refs)
        try:
            process.run(
                ["git", "bundle", "create", "-q", temporary, "--stdin"],
                env=git_env(place.path, store.search_path),
                stdin=names.encode(),
            )
            with open(temporary, "rb+") as file_:
                os.fsync(file_.fileno())
            publish(temporary, path, durable=False)
            sync_directory(os.path.dirname(os.path.abspath(path)))
        finally:
            if os.path.exists(temporary):
                os.unlink(temporary)
    return os.path.getsize(path)
