"""A download that is under way: what came so far, and which version of the file it is of.

What came is kept when the connection or the machine breaks, and the next download goes on from there, if the
server says that it still has the same version (``If-Range``, RFC 9110) and the machine has not been started
anew: after a power loss a file can hold bytes that nobody sent.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from hashdist.fsutil.atomic import publish, write_file
from hashdist.fsutil.boot import boot_id
from hashdist.fsutil.holders import WORK
from hashdist.fsutil.locks import locked
from hashdist.fsutil.modes import make_directories

#: Two versions of a file can have one ``Last-Modified`` if they were made within its resolution (RFC 9110, 8.8.2.2).
_SURE_SECONDS = 60
#: No file is as long as a number of so many digits.
_DIGITS = 20


@dataclass(frozen=True, slots=True)
class Version:
    """What a server said of the file that it sends."""

    validator: str | None
    """To be sent as ``If-Range``; None: it cannot be told from others."""
    total: int | None
    """Its bytes."""
    etag: str | None
    """As the server sent it."""
    modified: str | None
    """Likewise: ``Last-Modified``."""

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Version:
        """Read the headers of an answer to a request for the whole file."""
        etag, modified = headers.get("ETag"), headers.get("Last-Modified")
        length = headers.get("Content-Length", "")
        validator = etag if etag and etag.startswith('"') else None
        if validator is None and modified is not None and _is_strong(modified, headers.get("Date")):
            validator = modified
        return cls(validator, int(length) if length.isdecimal() and len(length) < _DIGITS else None, etag, modified)


def _is_strong(modified: str, date: str | None) -> bool:
    import email.utils  # noqa: PLC0415 - few servers need it

    try:
        then = email.utils.parsedate_to_datetime(modified)
        now = email.utils.parsedate_to_datetime(date or "")
    except (TypeError, ValueError):
        return False
    try:
        return (now - then).total_seconds() >= _SURE_SECONDS
    except TypeError:  # one has a zone and the other has none
        return False


class Partial:
    """The file of a download, open and locked."""

    def __init__(self, path: str, file: BinaryIO, *, durable: bool) -> None:
        self.path = path
        self._file = file
        self._durable = durable
        self._meta = f"{path}.json"
        self.digest = hashlib.sha256()
        self.size = 0
        self.version: Version | None = None
        self.resumed = False
        """Whether bytes of an earlier download are in it."""
        self._recall()

    def _recall(self) -> None:
        """Take over what an earlier download left, if it can be gone on with."""
        try:
            with open(self._meta, encoding="utf-8") as file:
                document: Any = json.load(file)
            version: Version | None = Version(
                document["validator"], document["total"], document["etag"], document["modified"]
            )
            if document["boot"] != boot_id() or document["validator"] is None:
                version = None
        except (OSError, ValueError, KeyError, TypeError):
            version = None
        if version is None:
            self.forget()
            return
        self.version = version
        while chunk := self._file.read(1 << 20):
            self.digest.update(chunk)
            self.size += len(chunk)
        self.resumed = self.size > 0

    def begin(self, version: Version) -> None:
        """Begin anew, with a file of this version."""
        self.forget()
        self.version = version
        if version.validator is not None:
            document = {
                "boot": boot_id(),
                "validator": version.validator,
                "total": version.total,
                "etag": version.etag,
                "modified": version.modified,
            }
            write_file(self._meta, json.dumps(document).encode(), durable=False)

    def forget(self) -> None:
        """Throw away what came."""
        self._file.seek(0)
        self._file.truncate()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._meta)
        self.digest, self.size, self.version, self.resumed = hashlib.sha256(), 0, None, False

    def write(self, chunk: bytes) -> None:
        """Take bytes that came."""
        view = memoryview(chunk)
        while view:
            view = view[self._file.write(view) :]
        self.digest.update(chunk)
        self.size += len(chunk)

    def publish(self, path: str) -> None:
        """Make what came the file at `path`."""
        if self._durable:
            os.fsync(self._file.fileno())
        os.fchmod(self._file.fileno(), 0o644)
        publish(self.path, path, durable=self._durable)
        self._drop_meta()

    def _drop_meta(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._meta)

    def leave(self) -> None:
        """Keep what can be gone on with, and nothing else."""
        if self.version is None or self.version.validator is None or not self.size:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)
            self._drop_meta()


@contextlib.contextmanager
def partial_file(
    folder: str, key: str, *, durable: bool, waiting: Callable[[str], None] | None, give_up: Callable[[], None]
) -> Iterator[Partial]:
    """The partial file for `key` in `folder`; waits while another process fetches the same.

    `give_up` is called between tries, and may raise.
    """
    make_directories(folder)
    path = os.path.join(folder, hashlib.sha256(key.encode()).hexdigest()[:32])
    lock = locked(
        f"{path}.lock", purpose=f"download of {key}", lease=WORK, timeout=None, waiting=waiting, give_up=give_up
    )
    with lock:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with open(fd, "r+b", buffering=0) as file:
            partial = Partial(path, file, durable=durable)
            try:
                yield partial
            except BaseException as error:
                if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
                    partial.forget()  # others need the room
                partial.leave()
                raise
