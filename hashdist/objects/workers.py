"""Use the other cores: forked processes that work through batches.

Threads would not do: with files this small each system call gives Python's lock away, and what is gained is lost
in waiting for it. What is large in a result (a `pickle.PickleBuffer`) crosses in shared memory, since a pipe
would copy it many times and keep the child waiting. Nothing is forked from a process that has threads (a lock
that another thread holds would stay locked for ever in the child); the work is then done where it is.
"""

from __future__ import annotations

import mmap
import os
import pickle
import signal
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from hashdist.errors import HashdistError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

#: As many processes as deleting is worth on a disk or a network file system, where it is mostly waiting.
WAITING = 8

Batch = TypeVar("Batch")
Result = TypeVar("Result")

#: More than these do not help: one process feeds them all.
_MOST = 4
#: Batches that a process has at a time, so that it need not wait for the next.
_AHEAD = 3
#: One place more for results than there can be batches: what was taken may be in use until the next is given.
_PLACES = _AHEAD + 1
#: Bytes of a place; what is larger goes through the pipe.
_PLACE = 2 << 20
#: Bytes of a batch that a pipe surely has room for.
_FITS = 32 << 10
_SIZE = struct.Struct("<I")


class WorkerDiedError(HashdistError):
    """A forked process was killed: most often there was no memory left."""

    code = "worker_died"


class _Shared:
    """Memory that parent and child see, with a place for each result in turn."""

    def __init__(self) -> None:
        self._memory = memoryview(mmap.mmap(-1, _PLACES * _PLACE))
        self._turn = -1

    def put(self, result: object) -> bytes:
        """Pickle a result; the one buffer in it goes to its place, if it has room."""
        buffers: list[pickle.PickleBuffer] = []
        data = pickle.dumps(result, 5, buffer_callback=buffers.append)
        place = self._next()
        if not buffers:
            return _SIZE.pack(0) + data
        raw = buffers[0].raw()
        if len(buffers) > 1 or len(raw) > _PLACE:
            return _SIZE.pack(0) + pickle.dumps(result, 5)
        place[: len(raw)] = raw
        return _SIZE.pack(len(raw)) + data

    def take(self, data: bytes) -> Any:
        """The result; its buffer is good until as many more were given as there can be at a time."""
        place = self._next()
        (size,) = _SIZE.unpack_from(data)
        return pickle.loads(memoryview(data)[_SIZE.size :], buffers=[place[:size]])  # noqa: S301 - our own bytes

    def _next(self) -> memoryview:
        self._turn = (self._turn + 1) % _PLACES
        return self._memory[self._turn * _PLACE : (self._turn + 1) * _PLACE]


class _Worker:
    def __init__(self, pid: int, pipe: Connection, shared: _Shared) -> None:
        self.pid = pid
        self.pipe = pipe
        self.shared = shared
        self.outstanding = 0


class Workers(Generic[Batch, Result]):
    """Processes that call `work` on batches; results come back in whatever order they are done."""

    def __init__(self, work: Callable[[Batch], Result], processes: int | None = None) -> None:
        """Start so many, and by default one on each core but ours: more where `work` mostly waits for storage."""
        self._work = work
        self._workers: list[_Worker] = []
        try:
            for _ in range(_spare_cores() if processes is None or _has_threads() else processes):
                self._start()
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise

    def __enter__(self) -> Workers[Batch, Result]:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all processes; after an error at once."""
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.pipe.close()
            if error is not None:
                os.kill(worker.pid, signal.SIGKILL)
        for worker in workers:
            os.waitpid(worker.pid, 0)

    def give(self, batch: Batch) -> bool:
        """Hand a batch to a process that has room for it; False if none has."""
        free = min(self._workers, key=lambda worker: worker.outstanding, default=None)
        if free is None or free.outstanding >= _AHEAD:
            return False
        data = pickle.dumps(batch)
        if free.outstanding and len(data) > _FITS:
            return False  # while it waits for us to take its result, we would wait for it to take this
        try:
            free.pipe.send_bytes(data)
        except OSError as error:
            raise WorkerDiedError("a process of ours was killed", hint="is there memory left?") from error
        free.outstanding += 1
        return True

    def results(self, *, all: bool = False) -> list[Result]:
        """What is done by now; with `all`, wait until everything is. Raises what `work` raised.

        Buffers in results are good until more is given.
        """
        from multiprocessing.connection import wait  # noqa: PLC0415 - takes longer than a small import

        found: list[Result] = []
        while busy := [worker for worker in self._workers if worker.outstanding]:
            ready = wait([worker.pipe for worker in busy], None if all else 0)
            if not ready:
                break
            found += [self._receive(worker) for worker in busy if worker.pipe in ready]
        return found

    def _receive(self, worker: _Worker) -> Result:
        try:
            data = worker.pipe.recv_bytes()
        except (EOFError, OSError) as error:
            raise WorkerDiedError("a process of ours was killed", hint="is there memory left?") from error
        worker.outstanding -= 1
        fine, result = worker.shared.take(data)
        if not fine:
            raise result
        return result  # type: ignore[no-any-return]

    def _start(self) -> None:
        from multiprocessing.connection import Pipe  # noqa: PLC0415 - see above

        ours, theirs = Pipe()
        shared = _Shared()
        # a signal in the child must not find the caller's code to unwind
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = os.fork()
            if pid == 0:
                _serve(theirs, shared, self._work, [ours, *(worker.pipe for worker in self._workers)], before)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        self._workers.append(_Worker(pid, ours, shared))


def spread(
    work: Callable[[Batch], Result], batches: Iterable[Batch], *, processes: int | None = None
) -> Iterator[Result]:
    """Work through batches here and in other processes; results come in whatever order they are done."""
    with Workers(work, processes) as workers:
        for batch in batches:
            yield from workers.results()
            if not workers.give(batch):
                yield work(batch)
        yield from workers.results(all=True)


def _spare_cores() -> int:
    if _has_threads():
        return 0
    return min(_MOST, len(os.sched_getaffinity(0))) - 1


def _has_threads() -> bool:
    return threading.active_count() > 1


def _serve(
    pipe: Connection,
    shared: _Shared,
    work: Callable[[Batch], Result],
    others: list[Connection],
    mask: set[int | signal.Signals],
) -> NoReturn:
    """Work until the other end is closed; never returns, and leaves alone what the parent must clean up."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it goes to the whole group, and the parent ends us
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for other in others:  # or those would never see the end of theirs
            other.close()
        while True:
            batch = pipe.recv()
            try:
                result: tuple[bool, object] = (True, work(batch))
            except Exception as error:  # noqa: BLE001 - it is raised again in the parent
                result = (False, _portable(error))
            pipe.send_bytes(shared.put(result))
    finally:
        os._exit(0)  # also when the parent has gone, or ended


def _portable(error: Exception) -> Exception:
    """The error, if it can cross a pipe; else one that says and means the same to a person."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    except Exception:  # noqa: BLE001 - whatever its class demands
        told = HashdistError(str(error), hint=getattr(error, "hint", None))
        told.exit_code = getattr(error, "exit_code", HashdistError.exit_code)
        told.code = getattr(error, "code", HashdistError.code)
        return told
    return error
