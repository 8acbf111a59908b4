"""Hash and compress files on all cores, into one pack."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, TypeAlias

from . import tree
from .ids import RawId
from .pack import FileChangedError, PackedBatch, PackWriter, hash_stream, pack_objects
from .snapshot import Known
from .workers import Workers

if TYPE_CHECKING:
    from typing import BinaryIO

#: A batch ends at this many files or bytes.
_BATCH_FILES = 64
_BATCH_BYTES = 1 << 19
#: Batches that are not worth a second process.
_FIRST_BATCHES = 1
#: Files beyond this are streamed, so that memory stays bounded.
LARGE_FILE = 16 << 20

Job: TypeAlias = "bytes | tuple[bytes, int]"
"""What a blob is made of: bytes, or a file's path and the size it is to have."""
Numbered: TypeAlias = "tuple[int, list[Job]]"


class Slot:
    """The place of a blob whose id is not known yet."""

    __slots__ = ("id",)

    def __init__(self, id: RawId | None = None) -> None:
        self.id = id


class Packing:
    """Takes blobs and trees; leave the ``with`` block well to publish their pack.

    `known` tells what need not be stored again; without it nothing is stored at all.
    """

    def __init__(self, folder: str, known: Known | None, advance: Callable[[int], None]) -> None:
        self._hash_only = known is None
        self._known = known or (lambda _: True)
        self._advance = advance
        self._pack = PackWriter(folder)
        self._workers: Workers[Numbered, tuple[int, PackedBatch]] | None = None
        self._batch: list[Job] = []
        self._slots: list[Slot] = []
        self._size = 0
        self._count = 0
        self._pending: dict[int, tuple[list[Slot], int]] = {}

    def __enter__(self) -> Packing:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Publish what was packed, or forget all of it after an error."""
        published = False
        try:
            if self._workers is not None:
                self._workers.__exit__(kind, error, trace)
            if error is None:
                self._pack.publish()
                published = True
        finally:
            if not published:
                self._pack.abandon()

    def add(self, job: Job, slot: Slot) -> None:
        """Pack a blob; its id is in `slot` after `finish`, or before."""
        self._batch.append(job)
        self._slots.append(slot)
        self._size += len(job) if isinstance(job, bytes) else job[1]
        if len(self._batch) >= _BATCH_FILES or self._size >= _BATCH_BYTES:
            self._submit()

    def add_stream(self, stream: BinaryIO, size: int, slot: Slot) -> None:
        """Pack a blob too large for memory; raises `FileChangedError`."""
        slot.id = hash_stream(stream, size) if self._hash_only else self._pack.write_stream(stream, size, self._known)
        self._advance(size)

    def add_tree(self, data: bytes) -> RawId:
        """Pack a tree, given by its bytes."""
        packed = pack_objects(b"tree", (data,), self._known)
        self._pack.write(packed)
        return packed.objects[0][0]

    def finish(self) -> None:
        """Wait for all blobs; raises what reading them raised."""
        self._submit()
        if self._workers is not None:
            for number, packed in self._workers.results(all=True):
                self._write(packed, *self._pending.pop(number))

    def _submit(self) -> None:
        if not self._batch:
            return
        jobs, slots, size = self._batch, self._slots, self._size
        self._batch, self._slots, self._size = [], [], 0
        self._count += 1
        if self._workers is None and self._count > _FIRST_BATCHES:
            self._workers = Workers(self._work)
        if self._workers is not None:
            for number, packed in self._workers.results():
                self._write(packed, *self._pending.pop(number))
            if self._workers.give((self._count, jobs)):
                self._pending[self._count] = (slots, size)
                return
        self._write(self._pack_all(jobs), slots, size)

    def _work(self, batch: Numbered) -> tuple[int, PackedBatch]:
        packed = self._pack_all(batch[1])
        return batch[0], packed._replace(data=pickle.PickleBuffer(packed.data))

    def _pack_all(self, jobs: list[Job]) -> PackedBatch:
        return pack_objects(b"blob", (job if isinstance(job, bytes) else _read(*job) for job in jobs), self._known)

    def _write(self, packed: PackedBatch, slots: list[Slot], size: int) -> None:
        self._pack.write(packed)
        for (id, _, _), slot in zip(packed.objects, slots, strict=True):
            slot.id = id
        self._advance(size)


def _read(path: bytes, size: int) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        data = os.read(fd, size + 1)
        while 0 < len(data) < size:
            more = os.read(fd, size + 1 - len(data))
            if not more:
                break
            data += more
    finally:
        os.close(fd)
    if len(data) != size:
        raise FileChangedError(f"'{tree.show_name(path)}' changed while it was read", hint="try again")
    return data
