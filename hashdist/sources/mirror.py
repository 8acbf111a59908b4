"""A mirror: a directory that any web server can serve, with archives and trees by their hashes.

``archives/<2 digits>/<sha256>`` is an archive as it came; ``trees/<2 digits>/<tree id>.tar.zst`` are the files of a
source that came at least once without one (from git, or a directory). Both are checked by their names when they are
used, so a mirror need not be trusted.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hashdist.errors import ConflictError
from hashdist.fsutil.atomic import publish, unique_suffix, write_file
from hashdist.objects import tree
from hashdist.objects.ids import SourceId, TreeId
from hashdist.objects.importing import as_stream
from hashdist.objects.packing import LARGE_FILE

from .downloads import cached
from .settings import FetchSettings

if TYPE_CHECKING:
    from hashdist.objects.database import ObjectDatabase
    from hashdist.store.store import Store

_README = """\
A mirror of sources, made by: hdist source mirror
Serve it with any web server, or from a shared directory, and say where it is: hdist --help (HDIST_MIRRORS)

  archives/<first two digits>/<sha256>              archives as they came
  trees/<first two digits>/<tree id>.tar.zst        sources that came without one
"""


def archive_url(mirror: str, sha256: str) -> str:
    """Where a mirror has an archive, if it has it."""
    return f"{mirror.rstrip('/')}/archives/{sha256[:2]}/{sha256}"


def tree_url(mirror: str, id: TreeId) -> str:
    """Where a mirror has the files of a source, if it has them."""
    return f"{mirror.rstrip('/')}/trees/{id[:2]}/{id}.tar.zst"


@dataclass(frozen=True, slots=True)
class Mirrored:
    """A file of a source that a mirror has now."""

    id: SourceId
    """The source."""
    path: str
    """The file, relative to the mirror."""
    new: bool
    """Whether it was not there before."""


def write_mirror(store: Store, folder: str, sources: Iterable[SourceId], settings: FetchSettings) -> Iterator[Mirrored]:
    """Bring a mirror up to date, a file at a time; what is there already stays."""
    readme = os.path.join(folder, "README")
    if os.path.lexists(folder) and not _is_mirror(folder, readme):
        raise ConflictError(f"'{folder}' is not empty and not a mirror", hint="choose another directory")
    os.makedirs(folder, exist_ok=True)
    if not os.path.exists(readme):
        write_file(readme, _README.encode(), durable=False)
    for id in sources:
        for place, archive in _places(store, id, settings):
            target = os.path.join(folder, place)
            new = not _is_there(target, archive)
            if new:
                for above in (os.path.dirname(os.path.dirname(target)), os.path.dirname(target)):
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(above)
                        os.chmod(above, 0o755)  # web servers run as others
                with _appearing(target) as temporary:
                    if archive:
                        shutil.copyfile(archive, temporary)
                    else:
                        _write_tree(store.objects, id, temporary)
            yield Mirrored(id, place, new)


def _places(store: Store, id: SourceId, settings: FetchSettings) -> Iterator[tuple[str, str | None]]:
    """What a mirror has of a source: each archive of it that is kept, and where it lies; None: the tree itself.

    The tree is there for those who had the source from elsewhere, and cannot know any archive of it.
    """
    seen = store.sources.seen(id)
    hashes = dict.fromkeys(one.provenance.sha256 for one in seen if one.provenance.sha256)
    kept = {sha256: path for sha256 in hashes if (path := cached(store, sha256, settings))}
    for sha256, path in kept.items():
        yield archive_url("", sha256).lstrip("/"), path
    if not kept or any(one.provenance.sha256 is None for one in seen):
        yield tree_url("", id).lstrip("/"), None


def _is_there(target: str, archive: str | None) -> bool:
    """Whether a file is there and was not cut short by a power loss."""
    try:
        size = os.path.getsize(target)
    except FileNotFoundError:
        return False
    return size == os.path.getsize(archive) if archive else size > 0


@contextlib.contextmanager
def _appearing(path: str) -> Iterator[str]:
    """A name for a file that is to be written, which gets its own at the end."""
    temporary = f"{path}.tmp-{unique_suffix()}"
    try:
        yield temporary
        os.chmod(temporary, 0o644)
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        publish(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _is_mirror(folder: str, readme: str) -> bool:
    """Whether a directory is empty, or was made by us."""
    if not os.path.isdir(folder):
        return False
    try:
        with open(readme, encoding="utf-8", errors="replace") as file:
            return file.readline() == _README.splitlines(keepends=True)[0]
    except OSError:
        return not os.listdir(folder)


def _write_tree(objects: ObjectDatabase, id: TreeId, path: str) -> None:
    """Write the files of a tree as an archive, the same bytes each time."""
    import tarfile  # noqa: PLC0415 - only mirrors are written with it

    import zstandard  # noqa: PLC0415 - likewise

    with (
        open(path, "xb") as file,
        zstandard.ZstdCompressor(level=9).stream_writer(file) as stream,
        tarfile.open(
            fileobj=stream, mode="w|", format=tarfile.GNU_FORMAT, encoding="utf-8", errors="surrogateescape"
        ) as archive,
    ):
        pending: list[tuple[bytes, tree.Entry]] = [(b"", entry) for entry in reversed(objects.tree(id))]
        while pending:
            above, entry = pending.pop()
            name = above + entry.name
            info = tarfile.TarInfo(name.decode("utf-8", errors="surrogateescape"))
            if entry.mode is tree.Mode.DIRECTORY:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(info)
                pending += [(name + b"/", below) for below in reversed(objects.tree(entry.id))]
            elif entry.mode is tree.Mode.SYMLINK:
                info.type, info.mode = tarfile.SYMTYPE, 0o777
                info.linkname = objects.blob(entry.id).decode("utf-8", errors="surrogateescape")
                archive.addfile(info)
            else:
                info.mode = 0o755 if entry.mode is tree.Mode.EXECUTABLE else 0o644
                info.size = objects.size(entry.id)
                archive.addfile(info, _content(objects, entry, info.size))


def _content(objects: ObjectDatabase, entry: tree.Entry, size: int) -> io.BufferedIOBase:
    if size <= LARGE_FILE:
        return io.BytesIO(objects.blob(entry.id))
    return as_stream(objects.blob_chunks(entry.id))
