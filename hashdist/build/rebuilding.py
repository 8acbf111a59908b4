"""Build again what is built already, and compare: is the build reproducible, and if not, which files differ.

The second build sees the same paths as the first: in a mount namespace where there can be one, else beside the
first at a path of the same length, which is replaced in the files before they are compared.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from hashdist.errors import HashdistError
from hashdist.fsutil.holders import WORK
from hashdist.fsutil.locks import locked
from hashdist.fsutil.removal import discard
from hashdist.objects import manifest
from hashdist.objects.manifest import ManifestEntry
from hashdist.objects.spec import Spec
from hashdist.objects.tree import Mode
from hashdist.progress import SILENT, Progress
from hashdist.store.roots import in_use

from .environment import Workplace
from .jailing import Jailing
from .job import Job, find_inputs, hash_parts, perform, workplace
from .jobserver import Jobserver
from .namespace import lay_over
from .sealing import freeze

if TYPE_CHECKING:
    from hashdist.store.store import Store


@dataclass(frozen=True, slots=True)
class Difference:
    """A file that two builds do not have alike."""

    path: str
    """Relative to the artifact."""
    words: str
    """'differs', 'only in the first' or 'only in the second'."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What building again came to."""

    same_path: bool
    """Whether the second build saw the very paths of the first."""
    files: int
    """How many files, links and directories the first has."""
    differences: tuple[Difference, ...]
    """What differs; none: the build is reproducible."""


def rebuild(
    store: Store, spec: Spec, *, jobs: int, env: Mapping[str, str], namespaces: bool = True, progress: Progress = SILENT
) -> Rebuilt:
    """Build a spec a second time, jailed as it was, and compare with its artifact, which stays as it is.

    Its inputs and sources must be here. Without `namespaces` none is tried. Raises what building raises.
    """
    if not store.artifacts.has_own(spec.artifact):
        raise HashdistError(
            f"'{spec.artifact}' is not in this store but upstream",
            hint=f"hdist build {spec.name} elsewhere, or ask there",
        )
    record = store.artifacts.record(spec.id)
    mode = record.jail["mode"] if record.jail else "off"
    first = manifest.decode(record.manifest)
    final = store.artifacts.own_path(spec.artifact)
    lock = locked(
        store.lock_path(f"spec-{spec.id}"),
        timeout=None,
        purpose=f"build of {spec.name}",
        lease=WORK,
        waiting=store.waiting,
    )
    with in_use(store, [spec.id, *spec.inputs.values()], purpose="verify --rebuild"), lock:
        root = workplace(store, spec)
        scratch = f"{root}.again"
        beside = _beside(final, store.artifacts.hash_part(spec.artifact))
        second: list[ManifestEntry] | None = None
        here = False
        try:
            for here in (True, False) if namespaces else (False,):
                for path in (root, scratch, beside):
                    discard(path, store.inside("trash"))
                os.mkdir(root, 0o755)
                os.mkdir(scratch if here else beside, 0o755)
                place = Workplace(root, final if here else beside)
                job = _Work(store, spec, place, jobs, env, mode, scratch if here else None, progress)
                second = _in_child(job)
                if second is not None:
                    break
            assert second is not None, "beside it can always be built"
            if not here:
                second = _as_if_at(second, beside, final)
            return Rebuilt(here, len(first), tuple(compare(first, second)))
        finally:
            for path in (root, scratch, beside):
                discard(path, store.inside("trash"))


@dataclass(frozen=True, slots=True)
class _Work:
    store: Store
    spec: Spec
    place: Workplace
    jobs: int
    env: Mapping[str, str]
    jail: str
    over: str | None
    """The directory that lies over the artifact; None: there is none."""
    progress: Progress


def _beside(path: str, digits: str) -> str:
    """A path as long as an artifact's where none lies: with other digits in it."""
    other = hashlib.sha256(path.encode()).hexdigest()[: len(digits)]
    head, _, tail = path.rpartition(digits)
    return f"{head}{other}{tail}"


def _in_child(work: _Work) -> list[ManifestEntry] | None:
    """Build in a process of its own; None where that cannot have a namespace."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _child(work, writing)
    os.close(writing)
    try:
        with open(reading, "rb") as pipe:
            data = pipe.read()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        raise
    finally:
        os.waitpid(pid, 0)
    if not data:
        raise HashdistError(f"the second build of '{work.spec.name}' was killed", hint="is there memory left?")
    answer = json.loads(data)
    if "error" in answer:
        error = HashdistError(f"the second build failed: {answer['error']}", hint=answer["hint"])
        error.exit_code = answer["exit_code"]
        raise error
    return list(manifest.decode(answer["manifest"].encode())) if "manifest" in answer else None


def _child(work: _Work, pipe: int) -> NoReturn:
    answer: dict[str, object] = {}
    try:
        answer = _work(work)
    except HashdistError as error:
        answer = {"error": error.message, "hint": error.hint, "exit_code": error.exit_code}
    except OSError as error:
        answer = {"error": str(error), "hint": None, "exit_code": 1}
    finally:
        with open(pipe, "w", encoding="utf-8") as file:
            json.dump(answer, file)
        os._exit(0)


def _work(work: _Work) -> dict[str, object]:
    if work.over is not None:
        try:
            lay_over(work.over, work.place.prefix)
        except OSError:
            return {"refused": True}
    inputs = find_inputs(work.store, work.spec)
    jailing = Jailing(default="enforce" if work.jail == "enforce" else "report" if work.jail == "report" else "off")
    with Jobserver(work.jobs) as jobserver, jobserver.slot():
        job = Job(work.store, work.spec, work.place, inputs, jobserver, work.env, jailing, work.progress)
        perform(job)
    entries, _ = freeze(work.place.prefix, hash_parts(work.store, inputs))
    return {"manifest": manifest.encode(entries).decode()}


def _as_if_at(entries: Iterable[ManifestEntry], path: str, final: str) -> list[ManifestEntry]:
    """The entries as they would be had the build been at `final`."""
    old, new = os.fsencode(path), os.fsencode(final)
    found = []
    for entry in entries:
        target = entry.target.replace(old, new) if entry.target is not None else None
        sha256 = entry.sha256
        if entry.mode in {Mode.FILE, Mode.EXECUTABLE}:
            with open(os.path.join(old, entry.path), "rb") as file:
                sha256 = hashlib.sha256(file.read().replace(old, new)).hexdigest()
        found.append(ManifestEntry(entry.path, entry.mode, entry.size, sha256, target))
    return found


def compare(first: Iterable[ManifestEntry], second: Iterable[ManifestEntry]) -> Iterator[Difference]:
    """What two manifests do not have alike, by path."""
    one = {entry.path: entry for entry in first}
    two = {entry.path: entry for entry in second}
    for path in sorted(one.keys() | two.keys()):
        name = manifest.quote_name(path)
        if path not in two:
            yield Difference(name, "only in the first")
        elif path not in one:
            yield Difference(name, "only in the second")
        elif one[path] != two[path]:
            yield Difference(name, "differs")
