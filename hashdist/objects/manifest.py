"""Manifests: a line for each file, so that a plain diff of two of them tells what changed.

A line is ``mode TAB sha256 TAB size TAB path [TAB target]``; ``-`` stands for what does not apply. Lines are
sorted by path. Names that are not plain printable UTF-8 are quoted as git quotes them.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hashdist.errors import InvalidError

from .tree import Mode, show_name

_FIELDS = 4
_ESCAPED = re.compile(rb'[\x00-\x1f"\\\x7f-\xff]')
_ESCAPE = re.compile(rb"\\([0-7]{3})")
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """One file, directory or link."""

    path: bytes
    """Relative to the artifact; absolute for files of the host that are used where they are."""
    mode: Mode
    """What it is."""
    size: int | None = None
    """Bytes of the file, or of what a link into the host reaches."""
    sha256: str | None = None
    """Of the same bytes."""
    target: bytes | None = None
    """A link's target."""

    def __str__(self) -> str:
        """Give the line, without its end."""
        fields = [f"{self.mode.value:06o}", self.sha256 or "-", "-" if self.size is None else str(self.size)]
        fields.append(quote_name(self.path))
        if self.target is not None:
            fields.append(quote_name(self.target))
        return "\t".join(fields)

    @classmethod
    def parse(cls, line: str) -> ManifestEntry:
        """Read a line; raises `InvalidError`."""
        fields = line.split("\t")
        if not _FIELDS <= len(fields) <= _FIELDS + 1:
            raise InvalidError(f"bad line in a manifest: '{line[:80]}'")
        try:
            mode = Mode(int(fields[0], 8))
            size = None if fields[2] == "-" else int(fields[2])
        except ValueError as error:
            raise InvalidError(f"bad line in a manifest: '{line[:80]}'") from error
        sha256 = None if fields[1] == "-" else fields[1]
        return cls(
            unquote_name(fields[3]), mode, size, sha256, unquote_name(fields[4]) if len(fields) > _FIELDS else None
        )


def encode(entries: Iterable[ManifestEntry]) -> bytes:
    """Give the text of a manifest."""
    return "".join(f"{entry}\n" for entry in sorted(entries, key=lambda entry: entry.path)).encode()


def decode(data: bytes) -> tuple[ManifestEntry, ...]:
    """Read the text of a manifest; raises `InvalidError`."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise InvalidError("a manifest is not UTF-8") from error
    return tuple(ManifestEntry.parse(line) for line in text.split("\n") if line)


def measure(entries: Iterable[ManifestEntry]) -> tuple[int, int]:
    """The bytes and the inodes that an artifact with this manifest takes, its own directory included."""
    own = [entry for entry in entries if not entry.path.startswith(b"/")]
    return sum(entry.size or 0 for entry in own if entry.mode is not Mode.SYMLINK), len(own) + 1


def scan(path: str) -> Iterator[ManifestEntry]:
    """Read everything below the directory `path`, links not followed; raises `InvalidError` for odd files."""
    root = os.fsencode(path)
    pending = [b""]
    while pending:
        folder = pending.pop()
        with os.scandir(os.path.join(root, folder)) as entries:
            for entry in entries:
                name = os.path.join(folder, entry.name)
                if entry.is_symlink():
                    yield ManifestEntry(name, Mode.SYMLINK, target=os.readlink(entry.path))
                elif entry.is_dir():
                    yield ManifestEntry(name, Mode.DIRECTORY)
                    pending.append(name)
                elif entry.is_file():
                    status = entry.stat()
                    mode = Mode.EXECUTABLE if status.st_mode & stat.S_IXUSR else Mode.FILE
                    yield ManifestEntry(name, mode, status.st_size, file_sha256(entry.path))
                else:
                    raise InvalidError(f"'{show_name(entry.path)}' is not a file, a link or a directory")


def file_sha256(path: bytes | str) -> str:
    """SHA-256 of a file's bytes, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def quote_name(name: bytes) -> str:
    """A name as text, quoted as git quotes it if it is not plain."""
    try:
        text = name.decode()
    except UnicodeDecodeError:
        text = ""
    if text and text.isprintable() and not text.startswith('"') and "\\" not in text:
        return text
    return '"' + _ESCAPED.sub(lambda match: b"\\%03o" % match[0][0], name).decode("ascii") + '"'


def unquote_name(text: str) -> bytes:
    """Read what `quote_name` wrote; raises `InvalidError`."""
    if not text.startswith('"'):
        return text.encode()
    if not text.endswith('"') or text == '"':
        raise InvalidError(f"bad name in a manifest: {text[:80]}")
    return _ESCAPE.sub(lambda match: bytes([int(match[1], 8)]), text[1:-1].encode())
