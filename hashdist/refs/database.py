"""The refs of a store: read without libgit2, moved by compare-and-swap under one lock, each with a reflog.

The reader is our own because libgit2 passes over a truncated ref in silence, and because it starts in a
millisecond. On disk it is plain git: loose files, ``packed-refs`` and ``logs/``.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING

from hashdist.errors import DamagedError, NotFoundError
from hashdist.fsutil.locks import locked
from hashdist.objects.ids import CommitId

from . import names
from .files import RefFiles
from .transaction import SYMBOLIC, Transaction

if TYPE_CHECKING:
    from .operations import Operation
    from .reflog import ReflogEntry


class RefDamagedError(DamagedError):
    """A ref file that cannot be read."""


class RefDatabase:
    """The refs of the bare repository at `path`.

    `before_move` runs before a ref moves, to make durable what it will point to; `bring` before that, to have it
    here if it is only upstream. `identity` is
    ``Name <address>`` for the reflog; `clock` gives seconds since 1970. With `stamping` it is not the file system's,
    whose times are set by it then. `operations` is the path of the log of operations.
    """

    def __init__(
        self,
        path: str,
        *,
        lock: str,
        operations: str,
        identity: str,
        clock: Callable[[], float],
        stamping: bool = False,
        durable: bool = True,
        before_move: Callable[[], None] = lambda: None,
        bring: Callable[[CommitId], None] = lambda _: None,
        waiting: Callable[[str], None] | None = None,
    ) -> None:
        self.path = path
        self._lock = lock
        self._operations = operations
        self._run: str | None = None
        self.undoable = False
        """Whether something was done through this handle that can be undone."""
        self.files = RefFiles(path, lock=lock, identity=identity, clock=clock, stamping=stamping, durable=durable)
        """Writes them, while the lock is held."""
        self._before_move = before_move
        self._bring = bring
        self._waiting = waiting
        self._packed_key: tuple[int, int, int] | None = None
        self._packed_refs: dict[str, CommitId] = {}

    def get(self, name: str) -> CommitId | None:
        """The commit that a ref leads to, through symbolic refs; None if there is none."""
        for _ in range(5):
            value = self._loose(name)
            if value is None:
                return self._packed().get(name)
            if not value.startswith(SYMBOLIC):
                return self._id(name, value)
            name = value[len(SYMBOLIC) :]
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
        return value[len(SYMBOLIC) :] if value and value.startswith(SYMBOLIC) else None

    def all(self, prefix: str = "refs/") -> dict[str, CommitId]:
        """All refs that begin with `prefix` (which ends in a slash), sorted, symbolic ones followed.

        Raises `RefDamagedError` for any that cannot be read: a reader that passed over it would let gc
        delete what it names.
        """
        found = {name: id for name, id in self._packed().items() if name.startswith(prefix)}
        for name in self._loose_names(prefix):
            value = self._loose(name)
            id = self._id(name, value) if value is not None and not value.startswith(SYMBOLIC) else self.get(name)
            if id is None and not os.path.lexists(os.path.join(self.path, name)):
                continue  # deleted since it was listed
            if id is None and not name.startswith(names.ROOTS):
                continue  # as refs/remotes/origin/HEAD after a prune; it keeps nothing
            if id is None:
                raise RefDamagedError(f"ref '{name}' names a ref that is not there")
            found[name] = id
        return dict(sorted(found.items()))

    def names(self) -> list[str]:
        """The names of all refs, HEAD among them, whether they can be read or not; sorted."""
        return sorted({"HEAD", *self._packed(), *self._loose_names("refs/")})

    def reflog(self, name: str) -> tuple[ReflogEntry, ...]:
        """What a ref was, newest first."""
        from .reflog import parse_reflog  # noqa: PLC0415 - dataclasses would slow every switch of checkouts

        return parse_reflog(self.files.log_path(name))

    def value(self, name: str) -> str | None:
        """What a ref itself holds: a commit, or ``ref: `` and the name of another ref; None if it is not there."""
        return self._loose(name) or self._packed().get(name)

    def operations(self) -> list[Operation]:
        """What commands did to the refs that keep things, the latest first; see `hashdist.refs.operations`."""
        from .operations import parse_operations  # noqa: PLC0415 - see above

        return parse_operations(self._operations)

    @contextlib.contextmanager
    def operation(self) -> Iterator[None]:
        """Have all transactions in the block count as one operation; else each is one by itself."""
        mine = self._run is None
        self.begin_operation()
        try:
            yield
        finally:
            if mine:
                self._run = None

    def begin_operation(self) -> None:
        """Have all transactions from here on count as one operation, as one run of a command is one."""
        self._run = self._run or os.urandom(6).hex()

    def record(self, reason: str, moves: list[tuple[str, str, str]]) -> None:
        """Log what is about to be done; for a transaction, which holds the lock."""
        kept = [move for move in moves if names.is_undoable(move[0]) and move[1] != move[2]]
        if kept:
            self.undoable = True
            self.files.append_operation(self._operations, self._run or os.urandom(6).hex(), reason, kept)

    def last_moved(self, name: str) -> float | None:
        """When a ref last moved, by the file system's clock, in seconds since 1970; None if nothing tells."""
        for path in (self.files.log_path(name), os.path.join(self.path, name), os.path.join(self.path, "packed-refs")):
            with contextlib.suppress(OSError):
                return os.stat(path).st_mtime
        return None

    def reflog_names(self, prefixes: Collection[str] = ("refs/",)) -> list[str]:
        """The names of HEAD and of all refs below `prefixes` that have a reflog, sorted."""
        root = os.path.join(self.path, "logs")
        found = ["HEAD"] if os.path.exists(os.path.join(root, "HEAD")) else []
        for prefix in prefixes:
            for folder, _, files in os.walk(os.path.join(root, prefix.rstrip("/"))):
                below = folder[len(root) + 1 :]
                found += [f"{below}/{file}" for file in files if not file.endswith(".lock")]
        return sorted(found)

    @contextlib.contextmanager
    def still(self, purpose: str) -> Iterator[None]:
        """Keep all refs from moving while another program (git) works on them."""
        with locked(self._lock, purpose=purpose, waiting=self._waiting) as hold:
            if hold.after_crash:
                self.files.remove_lock_files()
            yield

    @contextlib.contextmanager
    def transaction(self, reason: str, *, undoable: bool = True) -> Iterator[Transaction]:
        """Move several refs: all are checked under the lock before the first one moves.

        `reason` goes into the reflogs; what is not `undoable` does not go into the log of operations. Raises
        `RefMovedError` or `ConflictError`, and then nothing moved.
        """
        self._before_move()
        with locked(self._lock, purpose=reason, waiting=self._waiting) as hold:
            if hold.after_crash:
                self.files.remove_lock_files()
            transaction = Transaction(self, reason, undoable=undoable)
            yield transaction
            transaction._apply()  # noqa: SLF001 - the two are one

    def update(self, name: str, new: CommitId, *, old: CommitId | None, reason: str) -> None:
        """Move one ref from `old` (None: it is not there yet) to `new`."""
        with self.transaction(reason) as transaction:
            transaction.update(name, new, old=old)

    def _is_at(self, name: str, id: CommitId) -> bool:
        return self._loose(name) == id

    def drop(self, gone: set[str]) -> None:
        """Remove refs with their reflogs; for a transaction, which holds the lock."""
        self.files.remove(gone, self._packed().keys())

    def _loose(self, name: str) -> str | None:
        try:
            # not open(): there may be very many of them
            fd = os.open(f"{self.path}/{name}", os.O_RDONLY | os.O_CLOEXEC)
            try:
                value = os.read(fd, 1024).decode()
            finally:
                os.close(fd)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise RefDamagedError(f"ref '{name}' cannot be read: {error}") from error
        if not value.endswith("\n"):
            raise RefDamagedError(f"ref '{name}' is cut short", hint=f"see its reflog, {self.files.log_path(name)}")
        return value[:-1]

    def _loose_names(self, prefix: str) -> Iterator[str]:
        pending = [prefix.rstrip("/")]
        while pending:
            folder = pending.pop()
            try:
                entries = list(os.scandir(f"{self.path}/{folder}"))
            except (FileNotFoundError, NotADirectoryError):
                continue
            for entry in entries:
                name = f"{folder}/{entry.name}"
                if entry.is_dir():
                    pending.append(name)
                elif not entry.name.endswith(".lock"):
                    yield name

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

    def pack(self) -> None:
        """Put all loose refs into ``packed-refs``, durable before a loose one goes (git's own does not sync it).

        Hold `still` meanwhile.
        """
        path = os.path.join(self.path, "packed-refs")
        loose = {name: value for name in self._loose_names("refs/") if (value := self._loose(name)) is not None}
        plain = {name: self._id(name, value) for name, value in loose.items() if not value.startswith(SYMBOLIC)}
        if not plain:
            return
        refs = {**self._packed(), **plain}
        lines = [f"{refs[name]} {name}\n" for name in sorted(refs, key=_as_bytes)]
        text = "# pack-refs with: sorted \n" + "".join(lines)
        self.files.replace(path, text.encode(errors="surrogateescape"))
        for name, id in plain.items():
            self.files.drop_loose(name, functools.partial(self._is_at, name, id))

    def trim_operations(self, keep: Callable[[Operation], bool]) -> None:
        """Leave only those lines in the log of operations that `keep` says; hold `still` meanwhile."""
        from .operations import parse_line  # noqa: PLC0415 - see above

        with contextlib.suppress(FileNotFoundError):
            with open(self._operations, "rb") as file:
                lines = file.read().split(b"\n")[:-1]
            kept = [line for line in lines if keep(parse_line(line.decode(errors="replace")))]
            if len(kept) < len(lines):
                self.files.replace(self._operations, b"".join(line + b"\n" for line in kept))

    def trim_reflog(self, name: str, keep: Callable[[ReflogEntry], bool]) -> None:
        """Leave only those moves in a reflog that `keep` says; hold `still` meanwhile. Its age stays what it is."""
        path = self.files.log_path(name)
        with contextlib.suppress(FileNotFoundError):
            with open(path, "rb") as file:
                lines = [line + b"\n" for line in file.read().split(b"\n")[:-1]]
            status = os.stat(path)
            entries = reversed(self.reflog(name))
            kept = [line for line, entry in zip(lines, entries, strict=False) if keep(entry)]
            if len(kept) < len(lines):
                self.files.replace(path, b"".join(kept))
                os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))


def _as_bytes(name: str) -> bytes:
    return name.encode(errors="surrogateescape")
