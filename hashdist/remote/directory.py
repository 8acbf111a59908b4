"""Push to a repository on this machine without the git program.

libgit2 by itself would replace refs there whatever became of them in between.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from hashdist.errors import NetworkError
from hashdist.objects import libgit2
from hashdist.objects.copying import copy_history
from hashdist.objects.database import ObjectDatabase
from hashdist.objects.ids import CommitId
from hashdist.store.store import Store

from .carrier import Sent, moved
from .remotes import Remote


def push_to_directory(store: Store, path: str, remote: Remote, sent: Sequence[Sent], known: Mapping[str, str]) -> None:
    """Have all objects there first, then each ref moved if it is where it was; `known` is where they were.

    Raises `RemoteMovedError` or `NetworkError`.
    """
    folder = os.path.join(path, ".git") if os.path.isdir(os.path.join(path, ".git")) else path
    if folder != path:
        raise NetworkError(
            f"'{path}' has a working tree, under which its branches would move", hint="push to a bare one"
        )
    target = ObjectDatabase(folder, search_path=store.search_path)
    tips = [one.commit for one in sent if one.commit is not None]
    there = [CommitId(id) for id in known.values()]
    for one in sent:
        old = known.get(one.ref)
        if old is None or one.commit is None or one.force:
            continue
        if CommitId(old) not in store.objects or store.objects.merge_base(CommitId(old), one.commit) != old:
            raise moved(remote, one.ref)
    copy_history(store.objects, target, tips, [id for id in there if id in store.objects])
    repository = libgit2.open_repository(folder)
    for one in sent:
        if not libgit2.move_ref(repository, one.ref, old=known.get(one.ref), new=one.commit):
            raise moved(remote, one.ref)
