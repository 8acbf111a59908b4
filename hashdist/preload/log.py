"""The log that all processes under a jail write to: one mapped file, with a cursor that they move atomically.

Format between this module and ``hdistjail.c``: a header; hashes of what is in the log already, so that nothing is
told twice; records, each a multiple of 16 bytes, complete when it has its magic number.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass

_MAGIC = 0x324A4448
_RECORD_MAGIC = 0x334A4448
_HEADER = struct.Struct("=4IQ4I")
_RECORD = struct.Struct("=3IH2B")
_SEEN = 1 << 16
_BEGIN = _HEADER.size + 2 * _SEEN * 8
_ALIGNMENT = 16
#: Bytes for records: some 50,000 of them.
ROOM = 8 << 20


@dataclass(frozen=True, slots=True)
class Line:
    """What one program did with one path."""

    program: str
    """Path of the program."""
    path: str
    """What it used, in a canonical directory."""
    use: str
    """One of the letters of `enum use` in the C code."""
    verdict: str
    """One of the letters of `enum verdict`."""


@dataclass(frozen=True, slots=True)
class Log:
    """What is in a log."""

    lines: tuple[Line, ...]
    """In the order in which they were begun; each once, but where there was no room to remember them."""
    dropped: int
    """How many there was no room for, or that a process was killed while it wrote them."""
    processes: int
    """How many programs were started under the jail."""
    active: bool
    """Whether the command itself was one of them."""


def create_log(path: str, *, launcher: int, room: int = ROOM) -> None:
    """Make an empty log; `launcher` is the process that will start the command.

    Its blocks are allocated at once: a full disk is an `OSError` here, and nothing that happens to a process later.
    """
    size = _BEGIN + room
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, size)
        os.pwrite(descriptor, _HEADER.pack(_MAGIC, size, _SEEN, _BEGIN, 0, 0, 0, launcher, 0), 0)
    finally:
        os.close(descriptor)


def read_log(path: str) -> Log:
    """Read a log, also while it is written to."""
    with open(path, "rb") as file:
        magic, size, _, begin, used, dropped, processes, _, active = _HEADER.unpack(file.read(_HEADER.size))
        assert magic == _MAGIC, "we wrote it"
        file.seek(begin)
        data = file.read(min(used, size - begin))
    lines = []
    torn = 0
    for line in _lines(data, full=used > size - begin):
        if line is None:
            torn += 1
        else:
            lines.append(line)
    return Log(tuple(lines), dropped + torn, processes, bool(active))


def _lines(data: bytes, *, full: bool) -> Iterator[Line | None]:
    """The records; None for each gap that a process left which was killed, or is still writing.

    At the end of a `full` log a gap is what had no room, which is counted already.
    """
    at = 0
    gap = False
    while at + _RECORD.size <= len(data):
        magic, size, _, length, use, verdict = _RECORD.unpack_from(data, at)
        if magic == _RECORD_MAGIC and _RECORD.size < size <= len(data) - at:
            if gap:
                yield None
                gap = False
            texts = data[at + _RECORD.size : at + size]
            path = texts[length : texts.find(b"\0", length)]
            yield Line(os.fsdecode(texts[:length]), os.fsdecode(path), chr(use), chr(verdict))
            at += size
        else:
            gap = True
            at += _ALIGNMENT
    if gap and not full:
        yield None
