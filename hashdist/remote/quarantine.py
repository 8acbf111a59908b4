"""A repository apart, into which others' objects come first; only what was looked at goes on into the store.

It reads the store's objects beside its own, so that little is sent, and holds refs for the few commits over which a
server negotiates: not those of ten thousand sources. What is taken over is packed anew from the refs that passed, so
that nothing else of what a server sent gets into the store.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from hashdist import process
from hashdist.errors import InvalidError
from hashdist.fsutil.atomic import publish, unique_suffix
from hashdist.fsutil.modes import file_mode
from hashdist.fsutil.removal import remove_tree
from hashdist.objects import libgit2
from hashdist.objects.copying import copy_history
from hashdist.objects.database import ObjectDatabase
from hashdist.objects.git_program import git_env, has_git
from hashdist.objects.ids import CommitId
from hashdist.refs.database import RefDatabase
from hashdist.store.store import Store

HAVE, NEW = "refs/have/", "refs/new/"


class Quarantine:
    """An open quarantine."""

    def __init__(self, store: Store, path: str) -> None:
        self._store = store
        self.path = path
        """The bare repository."""

    @property
    def objects(self) -> ObjectDatabase:
        """Its objects, and the store's."""
        return ObjectDatabase(self.path, search_path=self._store.search_path, upstream=self._store.objects)

    def refs(self) -> dict[str, CommitId]:
        """What came: refs by their names at the other side; tags of git's own as what they are of, too."""
        refs = RefDatabase(self.path, lock="", operations="", identity="", clock=lambda: 0.0)  # only to be read
        return {f"refs/{name[len(NEW) :]}": id for name, id in refs.all(NEW).items()}

    def new_commits(self, tips: Collection[CommitId], haves: Collection[CommitId]) -> list[CommitId]:
        """The commits that `tips` lead to and `haves` do not."""
        return self.objects.new_commits(tips, haves)

    def size(self) -> int:
        """Bytes that came so far."""
        folder = os.path.join(self.path, "objects", "pack")
        total = 0
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(folder):
                with contextlib.suppress(FileNotFoundError):
                    total += entry.stat().st_size
        return total

    def limit(self, size: int, check: Callable[[], None]) -> Callable[[], None]:
        """A check that also raises `InvalidError` when more than so many bytes have come."""

        def checked() -> None:
            check()
            if self.size() > size:
                raise InvalidError(f"the other side sends more than {size} bytes (limit: download)")

        return checked

    def take_over(self, tips: Sequence[CommitId], haves: Collection[CommitId]) -> None:
        """Have in the store what `tips` lead to, and is not there yet."""
        if not set(tips) - set(haves):
            return
        if has_git(self._store.search_path):
            self._pack(tips, haves)
        else:
            copy_history(self.objects, self._store.objects, tips, haves)
        self._store.objects.look_again()
        self._store.objects.unsynced = True

    def _pack(self, tips: Sequence[CommitId], haves: Collection[CommitId]) -> None:
        lines = [*tips, *(f"^{have}" for have in haves)]
        packed = os.path.join(self.path, "taken")
        output = process.run(
            ["git", "pack-objects", "--revs", "-q", "--delta-base-offset", packed],
            env=git_env(self.path, self._store.search_path),
            stdin="".join(f"{line}\n" for line in dict.fromkeys(lines)).encode(),
        )
        name = output.decode().strip()
        target = os.path.join(self._store.git, "objects", "pack", f"pack-{name}")
        if not os.path.exists(f"{target}.idx"):
            # the index last: a pack counts from then on
            for ending in (".pack", ".idx"):
                os.chmod(f"{packed}-{name}{ending}", file_mode(target, 0o444) & ~0o222)
                publish(f"{packed}-{name}{ending}", f"{target}{ending}", durable=False)


@contextlib.contextmanager
def quarantine(store: Store, haves: Mapping[str, CommitId]) -> Iterator[Quarantine]:
    """Make one for a block; it is gone after it, whatever happens."""
    path = store.inside("downloads", f"fetch.tmp-{unique_suffix()}")
    libgit2.init_repository(path)
    try:
        with open(os.path.join(path, "objects", "info", "alternates"), "w", encoding="utf-8") as file:
            file.writelines(f"{os.path.join(one.git, 'objects')}\n" for one in store.chain)
        with open(os.path.join(path, "packed-refs"), "w", encoding="utf-8", errors="surrogateescape") as file:
            lines = [f"{commit} {HAVE}{number}\n" for number, commit in enumerate(sorted(set(haves.values())))]
            file.write("# pack-refs with: \n" + "".join(lines))
        yield Quarantine(store, path)
    finally:
        remove_tree(path)
