"""The refs of a store: read without libgit2, moved by compare-and-swap under one lock, each with a reflog.

The reader is our own because libgit2 passes over a truncated ref in silence, and because it starts in a
millisecond. On disk it is plain git: loose files, ``packed-refs`` and ``logs/``.
"""

from __future__ import annotations

import contextlib
import os
import time as time_module
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from hashdist.errors import ConflictError, DamagedError, NotFoundError
from hashdist.fsutil import atomic
from hashdist.fsutil.locks import locked
from hashdist.objects.ids import CommitId

from . import names

if TYPE_CHECKING:
    from typing import BinaryIO

    from .reflog import ReflogEntry

ZERO = "0" * 40
_SYMBOLIC = "ref: "
_LONGEST_LINE = 1 << 16


class RefMovedError(ConflictError):
    """A ref that is not where it was expected to be."""


class RefDamagedError(DamagedError):
    """A ref file that cannot be read."""


class RefDatabase:
    """The refs of the bare repository at `path`.

    `before_move` runs before a ref moves, to make durable what it will point to. `identity` is
    ``Name <address>`` for the reflog; `clock` gives seconds since 1970.
    """

    def __init__(
        self,
        path: str,
        *,
        lock: str,
        identity: str,
        clock: Callable[[], float] = time_module.time,
        durable: bool = True,
        before_move: Callable[[], None] = lambda: None,
        waiting: Callable[[str], None] | None = None,
    ) -> None:
        self.path = path
        self._lock = lock
        self._identity = identity
        self._clock = clock
        self._durable = durable
        self._before_move = before_move
        self._waiting = waiting
        self._packed_key: tuple[int, int, int] | None = None
        self._packed_refs: dict[str, CommitId] = {}

    def get(self, name: str) -> CommitId | None:
        """The commit that a ref leads to, through symbolic refs; None if there is none."""
        for _ in range(5):
            value = self._loose(name)
            if value is None:
                return self._packed().get(name)
            if not value.startswith(_SYMBOLIC):
                return self._id(name, value)
            name = value[len(_SYMBOLIC) :]
        raise RefDamagedError(f"ref '{name}' leads to itself")

    def __getitem__(self, name: str) -> CommitId:
        """Likewise; raises `NotFoundError` if there is none."""
        id = self.get(name)
        if id is None:
            raise NotFoundError(f"no ref '{name}'")
        return id

    def find(self, name: str) -> str | None:
        """The full name of the ref that `name` means: a profile, a tag, any other ref, a remote's profile."""
        if name in {"HEAD", "@"}:
            return "HEAD"
        if not names.is_ref_name(name):
            return None
        full = (names.HEADS + name, names.TAGS + name, f"refs/{name}", f"refs/remotes/{name}")
        candidates = (name,) if name.startswith("refs/") else full
        return next((candidate for candidate in candidates if self.get(candidate) is not None), None)

    def symbolic(self, name: str) -> str | None:
        """The ref that a symbolic ref names; None if it is not one."""
        value = self._loose(name)
        return value[len(_SYMBOLIC) :] if value and value.startswith(_SYMBOLIC) else None

    def all(self, prefix: str = "refs/") -> dict[str, CommitId]:
        """All refs that begin with `prefix` (which ends in a slash), sorted, symbolic ones followed.

        Raises `RefDamagedError` for any that cannot be read: a reader that passed over it would let gc
        delete what it names.
        """
        found = {name: id for name, id in self._packed().items() if name.startswith(prefix)}
        for name in self._loose_names(prefix):
            id = self.get(name)
            if id is None and not os.path.lexists(os.path.join(self.path, name)):
                continue  # deleted since it was listed
            if id is None:
                raise RefDamagedError(f"ref '{name}' names a ref that is not there")
            found[name] = id
        return dict(sorted(found.items()))

    def reflog(self, name: str) -> tuple[ReflogEntry, ...]:
        """What a ref was, newest first."""
        from .reflog import parse_reflog  # noqa: PLC0415 - dataclasses would slow every switch of checkouts

        return parse_reflog(self._log_path(name))

    def reflog_names(self) -> list[str]:
        """The names of all refs that have a reflog."""
        root = os.path.join(self.path, "logs")
        return sorted(
            os.path.relpath(os.path.join(folder, file), root) for folder, _, files in os.walk(root) for file in files
        )

    @contextlib.contextmanager
    def still(self, purpose: str) -> Iterator[None]:
        """Keep all refs from moving while another program (git) works on them."""
        with locked(self._lock, purpose=purpose, waiting=self._waiting):
            yield

    @contextlib.contextmanager
    def transaction(self, reason: str) -> Iterator[Transaction]:
        """Move several refs: all are checked under the lock before the first one moves.

        `reason` goes into the reflogs. Raises `RefMovedError` or `ConflictError`, and then nothing moved.
        """
        self._before_move()
        with locked(self._lock, purpose=reason, waiting=self._waiting):
            transaction = Transaction(self, reason)
            yield transaction
            transaction._apply()  # noqa: SLF001 - the two are one

    def update(self, name: str, new: CommitId, *, old: CommitId | None, reason: str) -> None:
        """Move one ref from `old` (None: it is not there yet) to `new`."""
        with self.transaction(reason) as transaction:
            transaction.update(name, new, old=old)

    def _loose(self, name: str) -> str | None:
        try:
            with open(os.path.join(self.path, name), encoding="utf-8") as file:
                value = file.read(1024)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise RefDamagedError(f"ref '{name}' cannot be read: {error}") from error
        if not value.endswith("\n"):
            raise RefDamagedError(f"ref '{name}' is cut short", hint=f"see its reflog, {self._log_path(name)}")
        return value[:-1]

    def _loose_names(self, prefix: str) -> Iterator[str]:
        pending = [os.path.join(self.path, prefix.rstrip("/"))]
        while pending:
            try:
                entries = list(os.scandir(pending.pop()))
            except (FileNotFoundError, NotADirectoryError):
                continue
            for entry in entries:
                if entry.is_dir():
                    pending.append(entry.path)
                elif not entry.name.endswith(".lock"):
                    yield os.path.relpath(entry.path, self.path)

    def _packed(self) -> dict[str, CommitId]:
        """The refs in ``packed-refs``, which is replaced as a whole: the same inode and time, the same content."""
        try:
            with open(os.path.join(self.path, "packed-refs"), encoding="utf-8", errors="surrogateescape") as file:
                status = os.fstat(file.fileno())
                key = (status.st_ino, status.st_mtime_ns, status.st_size)
                if key == self._packed_key:
                    return self._packed_refs
                text = file.read()
        except FileNotFoundError:
            return {}
        if text and not text.endswith("\n"):
            raise RefDamagedError("'packed-refs' is cut short")
        found = {}
        for line in text.split("\n"):
            if line and line[0] not in "#^":
                id, _, name = line.partition(" ")
                found[name] = self._id(name, id)
        self._packed_key, self._packed_refs = key, found
        return found

    @staticmethod
    def _id(name: str, value: str) -> CommitId:
        try:
            return CommitId(value)
        except ValueError as error:
            raise RefDamagedError(f"ref '{name}' holds '{value[:60]}', which is no id") from error

    def _log_path(self, name: str) -> str:
        return os.path.join(self.path, "logs", name)

    def _write(self, name: str, value: str) -> None:
        """Write a loose ref as git does: through ``<name>.lock``, which git's own writers respect."""
        path = os.path.join(self.path, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if os.path.isdir(path):
            _remove_empty_directories(path)
        # we hold the lock that every writer of ours takes: a lock file here was left by a crash
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{path}.lock")
        # no ref can end so, so a reader knows it for what it is
        atomic.write_file(path, f"{value}\n".encode(), durable=self._durable, temporary=f"{path}.lock")

    def _remove(self, gone: set[str]) -> None:
        """Remove refs, the packed ones first and all at once: a loose file that goes must uncover nothing."""
        if gone & self._packed().keys():
            self._rewrite_packed(gone)
        for name in gone:
            for path in (os.path.join(self.path, name), self._log_path(name)):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)

    def _rewrite_packed(self, dropped: set[str]) -> None:
        path = os.path.join(self.path, "packed-refs")
        names_gone = {name.encode(errors="surrogateescape") for name in dropped}
        with open(path, "rb") as file:
            lines = file.read().split(b"\n")[:-1]  # other line ends can be part of a name
        kept, dropping = [], False
        for line in lines:
            if line[:1] not in {b"#", b"^"}:
                dropping = line.partition(b" ")[2] in names_gone
            if line[:1] == b"#" or not dropping:
                kept.append(line + b"\n")
        atomic.write_file(path, b"".join(kept), durable=self._durable)

    def _append_log(self, name: str, old: str, new: str, reason: str) -> None:
        path = self._log_path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if os.path.isdir(path):
            _remove_empty_directories(path)
        words = " ".join(reason.split())
        line = f"{old} {new} {self._identity} {int(self._clock())} +0000\t{words}\n"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        with open(fd, "r+b") as file:
            _cut_unfinished_line(file)
            file.write(line.encode(errors="replace"))
            file.flush()
            if self._durable:
                os.fsync(fd)


class Transaction:
    """Moves that are checked together and then made."""

    def __init__(self, database: RefDatabase, reason: str) -> None:
        self._database = database
        self._reason = reason
        self._moves: list[tuple[str, str, str | None]] = []

    def update(self, name: str, new: CommitId, *, old: CommitId | None) -> None:
        """Move `name` from `old` (None: not there) to `new`; raises `RefMovedError`."""
        names.check_ref_name(name)
        found = self._database.get(name)
        if found != old:
            raise RefMovedError(
                f"'{names.short_name(name)}' has moved: it is at {found or 'nothing'}, not at {old or 'nothing'}",
                hint="look at it and try again",
            )
        if found is None:
            self._check_room(name)
        self._moves.append((name, new, found))

    def set(self, name: str, new: CommitId) -> None:
        """Move `name` to `new` from wherever it is."""
        self.update(name, new, old=self._database.get(name))

    def point(self, name: str, target: str) -> None:
        """Make `name` a symbolic ref to the ref `target`."""
        self._moves.append((name, _SYMBOLIC + target, self._database.get(name)))

    def detach(self, name: str, new: CommitId) -> None:
        """Make `name` hold the commit itself, even if it was a symbolic ref."""
        self._moves.append((name, new, self._database.get(name)))

    def delete(self, name: str, *, old: CommitId) -> None:
        """Remove `name`, which is at `old`, with its reflog; raises `RefMovedError`."""
        if self._database.get(name) != old:
            raise RefMovedError(f"'{names.short_name(name)}' has moved", hint="look at it and try again")
        self._moves.append((name, ZERO, old))

    def _check_room(self, name: str) -> None:
        parts = name.split("/")
        parents = ["/".join(parts[:count]) for count in range(2, len(parts))]
        clash = next((parent for parent in parents if self._database.get(parent)), None)
        clash = clash or next(iter(self._database.all(f"{name}/")), None)
        if clash:
            raise ConflictError(
                f"'{names.short_name(name)}' cannot be beside '{names.short_name(clash)}'", hint="choose another name"
            )

    def _apply(self) -> None:
        database = self._database
        for name, new, old in self._moves:
            if new == ZERO:
                continue
            database._write(name, new)  # noqa: SLF001 - the two are one
            target = database.get(name) or ZERO if new.startswith(_SYMBOLIC) else new
            database._append_log(name, old or ZERO, target, self._reason)  # noqa: SLF001
        # last, so that what remembers them is there first
        database._remove({name for name, new, _ in self._moves if new == ZERO})  # noqa: SLF001


def _cut_unfinished_line(file: BinaryIO) -> None:
    """Stand at the end of a reflog, without what a crash left behind its last line end."""
    end = file.seek(0, os.SEEK_END)
    if end:
        file.seek(max(0, end - _LONGEST_LINE))
        tail = file.read()
        if not tail.endswith(b"\n"):
            end -= len(tail) - (tail.rfind(b"\n") + 1)
            file.truncate(end)
        file.seek(end)


def _remove_empty_directories(path: str) -> None:
    for folder, _, _ in os.walk(path, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(folder)
