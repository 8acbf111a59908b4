"""Turn files into one tree: names checked, limits kept, blobs and trees written into one pack."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from types import TracebackType
from typing import TYPE_CHECKING

from hashdist.errors import InvalidError
from hashdist.progress import SILENT, Progress

from . import tree
from .database import ObjectDatabase
from .ids import RawId, TreeId
from .packing import Job, Packing, Slot

if TYPE_CHECKING:
    from typing import BinaryIO


@dataclass(frozen=True, slots=True)
class Limits:
    """What is refused beyond; every message names the limit."""

    size: int = 64 << 30
    """Bytes of all files together."""
    entries: int = 2_000_000
    """Files, links and directories."""
    depth: int = tree.DEPTH_LIMIT
    """Directories within directories."""
    ratio: int = 1000
    """Bytes of files for each byte of their archive, once there are many of them."""
    header: int = 1 << 20
    """Bytes of one extended header of an archive: names and a few numbers."""
    memory: int = 128 << 20
    """Bytes that a decompressor may ask for."""
    download: int = 64 << 30
    """Bytes of one file that is fetched."""

    @classmethod
    def parse(cls, settings: Sequence[str]) -> Limits:
        """Read texts such as ``entries=5000000`` or ``size=100G``; raises `InvalidError` with every fault."""
        found: dict[str, int] = {}
        problems = []
        names = [field.name for field in fields(cls)]
        for setting in settings:
            name, equals, text = setting.partition("=")
            number, unit = (text[:-1], text[-1:].upper()) if text[-1:].isalpha() else (text, "")
            if name not in names or not equals:
                problems.append(f"no limit '{name}': there are {', '.join(names)}")
            elif not number.isdecimal() or unit not in _UNITS or not 0 < int(number) < 1 << 60:
                problems.append(f"limit {name}: '{text}' is not a number such as 5000 or 100G")
            else:
                found[name] = int(number) * _UNITS[unit]
        if problems:
            raise InvalidError(*problems)
        found["depth"] = min(found.get("depth", cls.depth_most()), cls.depth_most())
        return cls(**found)

    @staticmethod
    def depth_most() -> int:
        """The depth that trees themselves cannot go beyond."""
        return tree.DEPTH_LIMIT


_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class LimitError(InvalidError):
    """An archive or directory beyond a limit."""

    code = "limit"


class Leaf:
    """A file or link in a tree that is being made."""

    __slots__ = ("mode", "slot")

    def __init__(self, mode: tree.Mode, slot: Slot) -> None:
        self.mode = mode
        self.slot = slot


Folder = dict[bytes, "Leaf | Folder"]


class Importer:
    """Collects files into a tree of `database`; leave the ``with`` block after `finish` to publish the pack.

    With `hash_only` nothing is stored: the id is all that is wanted.
    """

    def __init__(
        self,
        database: ObjectDatabase,
        *,
        limits: Limits,
        progress: Progress = SILENT,
        label: str = "",
        hash_only: bool = False,
    ) -> None:
        self._limits = limits
        self.root: Folder = {}
        self._twice: list[tuple[bytes, Leaf, Leaf]] = []
        self._entries = 0
        self._size = 0
        self._task_manager = progress.task(label, None, "B")
        advance = self._task_manager.__enter__().advance
        known = None if hash_only else database.snapshot()
        self._packing = Packing(os.path.join(database.path, "objects", "pack"), known, advance)

    def __enter__(self) -> Importer:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Publish what was collected, or forget all of it after an error."""
        self._task_manager.__exit__(kind, error, trace)
        self._packing.__exit__(kind, error, trace)

    def add_file(self, path: Sequence[bytes], job: Job, *, executable: bool) -> None:
        """Add a file of the bytes, or of what is at the path of the size, that `job` gives."""
        slot = self._place(path, tree.Mode.EXECUTABLE if executable else tree.Mode.FILE, _size(job))
        self._packing.add(job, slot)

    def add_stream(self, path: Sequence[bytes], stream: BinaryIO, size: int, *, executable: bool) -> None:
        """Add a file too large for memory."""
        slot = self._place(path, tree.Mode.EXECUTABLE if executable else tree.Mode.FILE, size)
        self._packing.add_stream(stream, size, slot)

    def add_chunks(self, path: Sequence[bytes], chunks: Iterable[bytes], size: int, *, executable: bool) -> None:
        """Likewise, for content that comes in pieces."""
        self.add_stream(path, as_stream(chunks), size, executable=executable)

    def add_link(self, path: Sequence[bytes], target: bytes) -> None:
        """Add a symbolic link; its target is data and never followed."""
        if not target or b"\0" in target:
            raise tree.InvalidTreeError(f"link '{_show(path)}' has a target that no link can have")
        self._packing.add(target, self._place(path, tree.Mode.SYMLINK, len(target)))

    def add_copy(self, path: Sequence[bytes], original: Sequence[bytes]) -> bool:
        """Add a second name of a file that was added before; False if there is none at `original`."""
        found: Leaf | Folder | None = self.root
        for part in original:
            found = found.get(part) if isinstance(found, dict) else None
        if not isinstance(found, Leaf):
            return False
        self.count(0)
        self._put(path, Leaf(found.mode, found.slot))
        return True

    def add_directory(self, path: Sequence[bytes]) -> None:
        """Add a directory, which may stay empty; one that is there already is the same one."""
        self.count(0)
        self._parent([*path, b""])

    def add_leaf(self, folder: Folder, name: bytes, mode: tree.Mode, job: Job) -> Slot:
        """Add a file or link to a folder under a name that a directory on disk gave, so that it is a good one."""
        self.count(_size(job))
        slot = Slot()
        folder[name] = Leaf(mode, slot)
        self._packing.add(job, slot)
        return slot

    def add_known(self, folder: Folder, name: bytes, mode: tree.Mode, id: RawId, size: int) -> Slot:
        """Likewise, for a file whose blob is in the database."""
        self.count(size)
        slot = Slot(id)
        folder[name] = Leaf(mode, slot)
        return slot

    def add_large(self, folder: Folder, name: bytes, mode: tree.Mode, stream: BinaryIO, size: int) -> Slot:
        """Likewise, for a file too large for memory."""
        self.count(size)
        slot = Slot()
        folder[name] = Leaf(mode, slot)
        self._packing.add_stream(stream, size, slot)
        return slot

    def finish(self, *, strip: bool = False) -> tuple[TreeId, str | None]:
        """Write the trees; with `strip`, without one common leading directory, whose name is returned."""
        self._packing.finish()
        for path, one, two in self._twice:
            if one.slot.id != two.slot.id:
                raise _differ(path)
        root, stripped = self.root, None
        if strip and len(root) == 1:
            ((name, inside),) = root.items()
            if isinstance(inside, dict):
                root, stripped = inside, tree.show_name(name)
        return TreeId.of(self._write_tree(root)), stripped

    @property
    def size(self) -> int:
        """The bytes of all files so far."""
        return self._size

    def count(self, size: int) -> None:
        """Count an entry of `size` bytes; raises `LimitError`."""
        self._entries += 1
        self._size += size
        if self._entries > self._limits.entries:
            raise LimitError(f"more than {self._limits.entries} entries (limit: entries)", hint=_MORE)
        if self._size > self._limits.size:
            raise LimitError(f"more than {self._limits.size} bytes (limit: size)", hint=_MORE)

    def check_depth(self, depth: int) -> None:
        """Refuse directories nested too deep; raises `LimitError`."""
        if depth > self._limits.depth:
            raise LimitError(f"directories nested more than {self._limits.depth} deep (limit: depth)")

    def _place(self, path: Sequence[bytes], mode: tree.Mode, size: int) -> Slot:
        self.count(size)
        slot = Slot()
        self._put(path, Leaf(mode, slot))
        return slot

    def _parent(self, path: Sequence[bytes]) -> Folder:
        self.check_depth(len(path))
        folder = self.root
        for part in path[:-1]:
            below = folder.get(part)
            if below is None:
                tree.check_entry_name(part)
                self.count(0)
                below = folder[part] = {}
            elif isinstance(below, Leaf):
                raise tree.InvalidTreeError(f"'{_show(path)}' lies below something that is not a directory")
            folder = below
        return folder

    def _put(self, path: Sequence[bytes], leaf: Leaf) -> None:
        """Give a leaf its place; one that is there already must turn out to be the very same."""
        parent = self._parent(path)
        tree.check_entry_name(path[-1])
        there = parent.setdefault(path[-1], leaf)
        if isinstance(there, Leaf) and there.mode is leaf.mode:
            if there is not leaf:
                self._twice.append((b"/".join(path), there, leaf))
        else:
            raise _differ(b"/".join(path))

    def _write_tree(self, root: Folder) -> RawId:
        """Write a folder after those below it; iterative, so that depth is no matter of Python's stack."""
        done: dict[int, RawId] = {}
        pending: list[tuple[Folder, bool]] = [(root, False)]
        while pending:
            folder, ready = pending.pop()
            below = () if ready else [item for item in folder.values() if item.__class__ is dict]
            if below:
                pending.append((folder, True))
                pending.extend((one, False) for one in below)
                continue
            entries = [
                (name, tree.Mode.DIRECTORY, done.pop(id(item)))
                if isinstance(item, dict)
                else (name, item.mode, item.slot.id or b"")
                for name, item in folder.items()
            ]
            done[id(folder)] = self._packing.add_tree(tree.encode_checked(entries))
        return done[id(root)]


def _differ(path: bytes) -> tree.InvalidTreeError:
    return tree.InvalidTreeError(f"two entries named '{tree.show_name(path[:200])}' that differ")


def as_stream(chunks: Iterable[bytes]) -> io.BufferedReader:
    """Content that comes in pieces, to be read like a file."""
    return io.BufferedReader(_Chunks(chunks))


class _Chunks(io.RawIOBase):
    """Pieces as a stream."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        super().__init__()
        self._chunks = iter(chunks)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = chunk
        part, self._rest = self._rest[: len(view)], self._rest[len(view) :]
        view[: len(part)] = part
        return len(part)


_MORE = "for a source that is what it should be: --limit NAME=NUMBER"


def _size(job: Job) -> int:
    return len(job) if isinstance(job, bytes) else job[1]


def _show(path: Sequence[bytes]) -> str:
    return tree.show_name(b"/".join(path)[:200])
