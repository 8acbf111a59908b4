"""Archives that were fetched become trees; what each became is remembered by its hash."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

from hashdist.errors import InvalidError
from hashdist.objects.archive import BadArchiveError, import_archive, is_archive
from hashdist.objects.ids import SourceId, TreeId
from hashdist.progress import SILENT, Progress
from hashdist.store import index

from .download import Download, HashMismatchError, looks_like_html
from .path import import_file
from .settings import FetchSettings

if TYPE_CHECKING:
    from hashdist.store.store import Store

#: Names of files that must be archives.
_ARCHIVES = (
    ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".zip", ".whl",
    ".tar.lz", ".tar.lzma", ".tar.Z", ".7z", ".rar", ".conda",
)  # fmt: skip


class RepackedError(HashMismatchError):
    """Another archive than was pinned, with the very same files in it."""

    code = "repacked"


class Became(NamedTuple):
    """What an archive became, as the index remembers it."""

    tree: TreeId
    """The tree of its files."""
    stripped: str | None
    """The leading directory that was left off."""
    size: int
    """Bytes of the archive."""


@dataclass(frozen=True, slots=True)
class Archive:
    """A file that is here, and the name that counts: another mirror's makes no other source."""

    file: Download
    """Where it lies; its path is empty where the source is here already."""
    name: str
    """The last part of its declared URL."""
    origin: str
    """That URL, without credentials: where others can have it from."""


@dataclass(frozen=True, slots=True)
class Archives:
    """Imports archives into a store."""

    store: Store
    """Where trees go."""
    settings: FetchSettings
    """The limits; whether repacked archives are taken."""
    progress: Progress = SILENT
    """Told what happens."""

    def known(self, sha256: str, name: str) -> Became | None:
        """What an archive with this hash and name became; None if none was here."""
        text = index.read(self.store, index.ARCHIVE, _key(sha256, name))
        try:
            tree, stripped, size = json.loads(text or "")
            return Became(TreeId(tree), stripped, int(size))
        except (ValueError, TypeError):
            return None

    def here(self, sha256: str, name: str) -> Became | None:
        """Likewise, if the source is still in the store, so that the archive itself is not needed."""
        became = self.known(sha256, name)
        return became if became is not None and SourceId(became.tree) in self.store.sources else None

    def add(self, archive: Archive) -> tuple[TreeId, str | None]:
        """The tree of an archive or file, and what was stripped; one that was imported before is not read again."""
        file, name = archive.file, archive.name
        if became := self.here(file.sha256, name):
            return became.tree, became.stripped
        limits, progress = self.settings.limits, self.progress
        if is_archive(file.path):
            imported = import_archive(
                self.store.objects, file.path, strip=_strips(name), limits=limits, progress=progress, label=name
            )
            became = Became(imported.tree, imported.stripped, file.size)
            index.write(self.store, index.ARCHIVE, _key(file.sha256, name), json.dumps(became))
            return imported.tree, imported.stripped
        if looks_like_html(file.path):
            raise BadArchiveError(
                f"'{file.url}' gave a web page instead of an archive", hint="look at the URL in a browser"
            )
        if name.endswith(_ARCHIVES):
            raise BadArchiveError(f"'{file.url}' is not an archive that can be read, which its name promises")
        return import_file(self.store.objects, file.path, name, limits=limits, progress=progress), None

    def add_exactly(self, found: Download, wanted: TreeId) -> bool:
        """Import an archive that nobody has vouched for, if it holds just the files that are wanted."""
        if self._tree(found, strip=False) != wanted:
            return False
        imported = import_archive(self.store.objects, found.path, strip=False, limits=self.settings.limits)
        return imported.tree == wanted

    def is_repacked(self, found: Download, name: str, sha256: str, expected: TreeId | None) -> bool:
        """Whether an archive with a wrong hash has the files that the right one had, and is to be taken.

        `expected` is the tree of the right one; None: what is remembered of it. Raises `RepackedError` if such
        archives are not taken.
        """
        became = self.known(sha256, name)
        expected = expected or (became.tree if became else None)
        if expected is None or self._tree(found, strip=_strips(name)) != expected:
            return False
        if not self.settings.accept_repacked:
            raise RepackedError(
                f"'{found.url}' was repacked: its hash is {found.sha256} instead of {sha256}, "
                f"with the very same files ({expected})",
                hint="to take it: --accept-repacked",
            )
        self.progress.note(f"took {found.url}, which was repacked with the very same files: sha256 {found.sha256}")
        return True

    def _tree(self, found: Download, *, strip: bool) -> TreeId | None:
        """The id of an archive's files, of which nothing is stored; None if it cannot be read."""
        try:
            return import_archive(
                self.store.objects, found.path, strip=strip, limits=self.settings.limits, hash_only=True
            ).tree
        except InvalidError:
            return None


def file_name(url: str) -> str:
    """The last part of a URL's path."""
    return os.path.basename(unquote(urlsplit(url).path)) or "file"


def _strips(name: str) -> bool:
    return not name.endswith(".whl")


def _key(sha256: str, name: str) -> str:
    return sha256 if _strips(name) else f"{sha256}-whole"
