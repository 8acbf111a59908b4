"""Turn files into one tree: blobs hashed and compressed on all cores, names checked, one pack written."""

from __future__ import annotations

import collections
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from hashdist.errors import InvalidError
from hashdist.progress import SILENT, Progress

from . import tree
from .database import ObjectDatabase
from .ids import ObjectId, TreeId
from .pack import Packed, PackWriter, pack_object

if TYPE_CHECKING:
    from typing import BinaryIO

#: A batch for one thread ends at this many files or bytes.
BATCH_FILES = 128
BATCH_BYTES = 4 << 20
#: Files beyond this are streamed, so that memory stays bounded.
LARGE_FILE = 16 << 20
_PENDING_BATCHES = 4


@dataclass(frozen=True, slots=True)
class Limits:
    """What an import refuses to go beyond; every message names the limit."""

    size: int = 64 << 30
    """Bytes of all files together."""
    entries: int = 2_000_000
    """Files, links and directories."""


class LimitError(InvalidError):
    """An archive or directory beyond a limit."""


class Slot:
    """The place of a file whose id is not known yet."""

    __slots__ = ("id",)

    def __init__(self) -> None:
        self.id: ObjectId | None = None


@dataclass(slots=True)
class Leaf:
    """A file or link in a tree that is being made."""

    mode: tree.Mode
    slot: Slot


Folder = dict[bytes, "Leaf | Folder"]
Read = Callable[[], bytes]


class Importer:
    """Collects files into a tree of `database`; leave the ``with`` block after `finish` to publish the pack."""

    def __init__(
        self, database: ObjectDatabase, *, limits: Limits, progress: Progress = SILENT, label: str = ""
    ) -> None:
        self._database = database
        self._limits = limits
        self._root: Folder = {}
        self._entries = 0
        self._size = 0
        self._pack = PackWriter(os.path.join(database.path, "objects", "pack"))
        self._pool = ThreadPoolExecutor(max_workers=min(8, len(os.sched_getaffinity(0))))
        self._pending: collections.deque[tuple[Future[list[Packed]], list[Slot], int]] = collections.deque()
        self._batch: list[tuple[Read, Slot]] = []
        self._batch_size = 0
        self._task_manager = progress.task(label, None, "B")
        self._task = self._task_manager.__enter__()

    def __enter__(self) -> Importer:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Publish what was collected, or forget all of it after an error."""
        self._pool.shutdown(cancel_futures=True)
        self._task_manager.__exit__(kind, error, trace)
        published = False
        try:
            if error is None:
                self._pack.publish()
                published = True
        finally:
            if not published:
                self._pack.abandon()

    def add_file(self, path: Sequence[bytes], read: Read, size: int, *, executable: bool) -> None:
        """Add a file whose bytes `read` gives when asked, in another thread; `size` is what to expect."""
        slot = self._place(path, tree.Mode.EXECUTABLE if executable else tree.Mode.FILE, size)
        self._batch.append((read, slot))
        self._batch_size += size
        if len(self._batch) >= BATCH_FILES or self._batch_size >= BATCH_BYTES:
            self._submit()

    def add_stream(self, path: Sequence[bytes], stream: BinaryIO, size: int, *, executable: bool) -> None:
        """Add a file too large for memory."""
        slot = self._place(path, tree.Mode.EXECUTABLE if executable else tree.Mode.FILE, size)
        slot.id = self._pack.write_stream(stream, size, self._database.__contains__)
        self._task.advance(size)

    def add_link(self, path: Sequence[bytes], target: bytes) -> None:
        """Add a symbolic link; its target is data and never followed."""
        slot = self._place(path, tree.Mode.SYMLINK, len(target))
        self._batch.append((lambda: target, slot))

    def add_copy(self, path: Sequence[bytes], original: Sequence[bytes]) -> bool:
        """Add a second name of a file that was added before; False if there is none at `original`."""
        found: Leaf | Folder | None = self._root
        for part in original:
            found = found.get(part) if isinstance(found, dict) else None
        if not isinstance(found, Leaf):
            return False
        parent = self._parent(path)
        self._claim(parent, path)
        parent[path[-1]] = Leaf(found.mode, found.slot)
        return True

    def add_directory(self, path: Sequence[bytes]) -> None:
        """Add a directory, which may stay empty; one that is there already is the same one."""
        self._count(0)
        self._parent([*path, b""])

    def finish(self, *, strip: bool = False) -> tuple[TreeId, str | None]:
        """Write the trees; with `strip`, without one common leading directory, whose name is returned."""
        self._submit()
        while self._pending:
            self._collect()
        root, stripped = self._root, None
        if strip and len(root) == 1:
            ((name, inside),) = root.items()
            if isinstance(inside, dict):
                root, stripped = inside, tree.show_name(name)
        return self._write_tree(root), stripped

    def _place(self, path: Sequence[bytes], mode: tree.Mode, size: int) -> Slot:
        self._count(size)
        parent = self._parent(path)
        self._claim(parent, path)
        slot = Slot()
        parent[path[-1]] = Leaf(mode, slot)
        return slot

    def _count(self, size: int) -> None:
        self._entries += 1
        self._size += size
        if self._entries > self._limits.entries:
            raise LimitError(f"more than {self._limits.entries} entries (limit: entries)")
        if self._size > self._limits.size:
            raise LimitError(f"more than {self._limits.size} bytes (limit: size)")

    def _parent(self, path: Sequence[bytes]) -> Folder:
        if len(path) > tree.DEPTH_LIMIT:
            raise LimitError(f"directories nested more than {tree.DEPTH_LIMIT} deep (limit: depth)")
        folder = self._root
        for part in path[:-1]:
            below = folder.get(part)
            if below is None:
                tree.check_entry_name(part)
                below = folder[part] = {}
            elif isinstance(below, Leaf):
                raise tree.InvalidTreeError(f"'{_show(path)}' lies below something that is not a directory")
            folder = below
        return folder

    @staticmethod
    def _claim(parent: Folder, path: Sequence[bytes]) -> None:
        tree.check_entry_name(path[-1])
        if path[-1] in parent:
            raise tree.InvalidTreeError(f"two entries named '{_show(path)}'")

    def _submit(self) -> None:
        if not self._batch:
            return
        reads = [read for read, _ in self._batch]
        slots = [slot for _, slot in self._batch]
        self._pending.append((self._pool.submit(self._pack_batch, reads), slots, self._batch_size))
        self._batch, self._batch_size = [], 0
        if len(self._pending) > _PENDING_BATCHES:
            self._collect()

    def _pack_batch(self, reads: list[Read]) -> list[Packed]:
        return [pack_object("blob", read(), self._database.__contains__) for read in reads]

    def _collect(self) -> None:
        future, slots, size = self._pending.popleft()
        for packed, slot in zip(future.result(), slots, strict=True):
            self._pack.write(packed)
            slot.id = packed.id
        self._task.advance(size)

    def _write_tree(self, root: Folder) -> TreeId:
        """Write a folder after those below it; iterative, so that depth is no matter of Python's stack."""
        done: dict[int, TreeId] = {}
        pending: list[tuple[Folder, bool]] = [(root, False)]
        while pending:
            folder, ready = pending.pop()
            if not ready:
                pending.append((folder, True))
                pending.extend((below, False) for below in folder.values() if isinstance(below, dict))
                continue
            entries = []
            for name, item in folder.items():
                if isinstance(item, dict):
                    entries.append(tree.Entry(name, tree.Mode.DIRECTORY, done.pop(id(item))))
                else:
                    assert item.slot.id is not None, "every batch was collected"
                    entries.append(tree.Entry(name, item.mode, item.slot.id))
            packed = pack_object("tree", tree.encode(entries), self._database.__contains__)
            self._pack.write(packed)
            done[id(folder)] = TreeId(packed.id)
        return done[id(root)]


def _show(path: Sequence[bytes]) -> str:
    return tree.show_name(b"/".join(path)[:200])
