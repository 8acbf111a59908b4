"""One build: stage, run, seal; or, when it fails, keep what is needed to see why."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hashdist.errors import HashdistError
from hashdist.fsutil.atomic import publish
from hashdist.fsutil.holders import WORK
from hashdist.fsutil.locks import locked
from hashdist.fsutil.modes import make_directories, make_directory
from hashdist.fsutil.removal import discard, remove_tree
from hashdist.objects import canonical
from hashdist.objects.exporting import export_tree
from hashdist.objects.ids import SpecId
from hashdist.objects.spec import Spec
from hashdist.preload.library import JailInactiveError
from hashdist.preload.report import Report
from hashdist.process import kill_by_environment
from hashdist.progress import SILENT, Progress
from hashdist.refs.edges import EdgeReader
from hashdist.store.artifacts import NotBuiltError

from .environment import EPOCH, RUNNER, Input, Workplace, environment, in_order
from .jailing import Jailing, jailed, refuse_impure
from .jobserver import Jobserver
from .running import last_lines, missing_command_hint, run_commands
from .runpath import fix_run_paths
from .sealing import Outcome, UnfitResultError, seal, take_over

if TYPE_CHECKING:
    from hashdist.store.store import Store


class BuildFailedError(HashdistError):
    """A build that failed; ``log`` and ``directory`` say where to look."""

    exit_code = 5
    code = "build_failed"

    def __init__(self, spec: Spec, reason: str, place: Workplace) -> None:
        self.log = place.inside("log")
        self.directory = place.root
        lines = last_lines(self.log)
        shown = "".join(f"\n  | {line}" for line in lines)
        hint = (
            missing_command_hint(lines) or f"look around in {place.root}/src, and try: env -i sh {place.root}/build.sh"
        )
        super().__init__(f"'{spec.name}' {spec.version} {reason}; its log ends:{shown}\n  log: {self.log}", hint=hint)


class NotInstalledError(NotBuiltError):
    """An artifact that something else has to make, and has not made."""

    code = "not_installed"

    def __init__(self, *specs: Spec) -> None:
        by: dict[str, list[str]] = {}
        for spec in specs:
            by.setdefault(str(spec.runner), []).append(f"{spec.name} {spec.version} {spec.id[:12]}")
        lines = [f"not here, and {runner} has to install it: {', '.join(names)}" for runner, names in by.items()]
        super().__init__("\n".join(lines), hint="take it with hdist artifact import, or hdist build --from")


class JailViolationError(BuildFailedError):
    """A build that failed where undeclared files were hidden from it: perhaps for want of them."""

    exit_code = 6
    code = "jail_violation"

    def __init__(self, spec: Spec, reason: str, place: Workplace, report: Report) -> None:
        super().__init__(spec, reason, place)
        self.report = report
        shown = [f"{one.path}{f' of {one.owner}' if one.owner else ''}" for one in report.hidden]
        more = f"\n  and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
        self.message += "\n  undeclared, so hidden from it:" + "".join(f"\n    {one}" for one in shown[:_SHOWN]) + more
        self.hint = f"if it failed for want of these: hdist learn {spec.name}; else {self.hint}"
        self.args = (self.message,)


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a job."""

    built: bool
    """Whether it was built here and now."""
    jail: Report | None = None
    """What the jail saw; None: there was none."""


#: What the jail saw of a build that failed, in its directory.
REPORT = "jail.json"
#: How many hidden files a message lists.
_SHOWN = 10


def build(
    store: Store,
    spec: Spec,
    *,
    jobserver: Jobserver,
    env: Mapping[str, str],
    jailing: Jailing | None = None,
    progress: Progress = SILENT,
) -> Done:
    """Build one spec whose inputs and sources are here, unless somebody else built it meanwhile.

    It is jailed as `jailing` says (None: as the defaults are). `env` is the user's environment, for our own helpers
    only. Raises `BuildFailedError`, `ImpureInputError`, `JailInactiveError` or `Cancelled`.
    """
    jailing = jailing or Jailing()
    if spec.is_foreign:
        raise NotInstalledError(spec)
    if spec.runner != RUNNER:
        raise HashdistError(
            f"'{spec.name}' wants runner {spec.runner}, this hdist has runner {RUNNER}", hint="use a newer hdist"
        )
    lock = locked(
        store.lock_path(f"spec-{spec.id}"),
        timeout=None,
        purpose=f"build of {spec.name}",
        lease=WORK,
        waiting=store.waiting,
        give_up=jobserver.check,
    )
    with lock:
        if spec.artifact in store.artifacts:
            if jailing.choice(spec.name) == "enforce":
                refuse_impure(store, spec.name, {spec.name: spec.id})
            return Done(built=False)
        inputs = find_inputs(store, spec)
        if jailing.choice(spec.name) == "enforce":
            refuse_impure(store, spec.name, spec.inputs)
        with staged(store, spec) as place, jobserver.slot():
            try:
                return _make(Job(store, spec, place, inputs, jobserver, env, jailing, progress))
            except (BuildFailedError, JailInactiveError):
                raise
            except UnfitResultError as error:
                raise BuildFailedError(spec, str(error), place) from error
            except (HashdistError, OSError) as error:
                raise BuildFailedError(spec, f"could not be finished: {error}", place) from error


@dataclass(frozen=True, slots=True)
class Job:
    """A build, with all it needs."""

    store: Store
    """Where its inputs and sources are."""
    spec: Spec
    """What is built."""
    place: Workplace
    """Its directories."""
    inputs: list[Input]
    """What it is built with."""
    jobserver: Jobserver
    """Shares out the cores."""
    env: Mapping[str, str]
    """The user's environment, for our own helpers."""
    jailing: Jailing
    """How it is jailed."""
    progress: Progress
    """Told what happens."""


def _make(job: Job) -> Done:
    outcome = perform(job)
    own = os.path.join(job.store.config.path, "artifacts") + "/"
    paths = {one.spec.id: one.path for one in job.inputs if not one.path.startswith(own)}
    seal(job.store, job.spec, job.place.prefix, outcome, closure=hash_parts(job.store, job.inputs), paths=paths)
    return Done(built=True, jail=outcome.jail)


def perform(job: Job) -> Outcome:
    """Lay out the sources, run the commands, and have the result as it will be sealed; its directories are there."""
    store, spec, place, inputs, env = job.store, job.spec, job.place, job.inputs, job.env
    started = time.monotonic()
    _fill(store, spec, place)
    variables = environment(spec, inputs, place, jobs=job.jobserver.jobs)
    with jailed(store, job.jailing.choice(spec.name), inputs, place, env=env, progress=job.progress) as jail:
        status = run_commands(spec.commands, env=variables, place=place, jobserver=job.jobserver, jail=jail)
        report = jail.report().owned(job.jailing.owners) if jail else None
    if status != 0 and report is not None:
        # where the disk is full the build's own words count
        with contextlib.suppress(OSError), open(place.inside(REPORT), "wb") as file:
            file.write(canonical.dumps(report.document()))
    if status != 0:
        reason = f"failed with status {status}"
        if report is not None and report.hidden:
            raise JailViolationError(spec, reason, place, report)
        raise BuildFailedError(spec, reason, place)
    if os.path.islink(place.prefix) or not os.path.isdir(place.prefix):
        raise UnfitResultError("left a PREFIX that is no directory any more")
    take_over(place.prefix)
    libraries = [path for one in in_order(inputs) for path in one.library_directories]
    unresolved = fix_run_paths(place.prefix, libraries, env=env)
    with open(place.inside("log"), "rb") as file:
        return Outcome(file.read(), tuple(unresolved), round(time.monotonic() - started), report)


def find_inputs(store: Store, spec: Spec) -> list[Input]:
    """What a spec is built with, and where that lies."""
    edges = EdgeReader(store.objects)
    found = []
    for name, id in spec.inputs.items():
        below = edges.spec(id)
        found.append(Input(name, store.artifacts.path(below.artifact), below))
    return found


def hash_parts(store: Store, inputs: list[Input]) -> dict[SpecId, str]:
    """The digits in the inputs' paths, by spec."""
    return {one.spec.id: store.artifacts.hash_part(one.spec.artifact) for one in inputs}


def workplace(store: Store, spec: Spec) -> str:
    """Where a spec is built; what a build leaves that failed is found there."""
    return store.inside("builds", f"{spec.name}-{store.artifacts.hash_part(spec.artifact)}")


@contextlib.contextmanager
def staged(store: Store, spec: Spec) -> Iterator[Workplace]:
    """Give a build its directories: work in ``builds/``, and the artifact's final path, which gets baked in.

    What a crash left there is removed first. After a failure the unfinished artifact is moved beside the
    work directory and both are kept; after an interruption nothing is.
    """
    prefix = store.artifacts.claim(spec.artifact)
    place = Workplace(workplace(store, spec), prefix)
    if os.path.lexists(prefix):
        kill_by_environment("PREFIX", prefix)
        discard(prefix, store.inside("trash"))
    if os.path.lexists(place.root):
        discard(place.root, store.inside("trash"))
    make_directory(place.root, 0o755)
    make_place(prefix)
    try:
        yield place
    except BuildFailedError:
        if store.artifacts.has_own(spec.artifact):
            raise  # it was sealed, and only the end of that failed
        if os.path.isdir(prefix) and not os.path.islink(prefix):
            os.chmod(prefix, 0o755)
        if os.path.lexists(prefix):
            publish(prefix, place.inside("prefix"), durable=False)
        raise
    except BaseException:
        if not store.artifacts.has_own(spec.artifact):
            discard(prefix, store.inside("trash"))
        remove_tree(place.root)
        raise
    remove_tree(place.root)


def make_place(path: str) -> None:
    """Make the directory of an artifact, though gc may be removing an empty one above it just now."""
    for _ in range(100):
        make_directories(os.path.dirname(path))
        with contextlib.suppress(FileNotFoundError):
            make_directory(path, 0o755)
            return
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)


def _fill(store: Store, spec: Spec, place: Workplace) -> None:
    """Lay out home, tmp, files and sources."""
    for name in ("home", "tmp", "files"):
        make_directory(place.inside(name))
    for name, data in spec.files.items():
        path = os.path.join(place.inside("files"), name)
        with open(path, "xb") as file:
            file.write(data)
        os.utime(path, (EPOCH, EPOCH))
    source = place.inside("src")
    if "." in spec.sources:
        export_tree(store.objects, spec.sources["."], source, mtime=EPOCH)
    else:
        make_directory(source)
    for directory, id in sorted(spec.sources.items()):
        if directory != ".":
            export_tree(store.objects, id, _make_room(source, directory), mtime=EPOCH)


def _make_room(source: str, directory: str) -> str:
    """The path for a source inside the main one: free, and not below anything that is no real directory.

    Raises `HashdistError`; what the main source brings there could lead anywhere.
    """
    path = source
    *parents, last = directory.split("/")
    for part in parents:
        path = os.path.join(path, part)
        if not os.path.lexists(path):
            os.mkdir(path)
        elif os.path.islink(path) or not os.path.isdir(path):
            raise HashdistError(f"its source '{directory}' has no place: '{part}' is no directory")
    path = os.path.join(path, last)
    if os.path.isdir(path) and not os.path.islink(path) and not os.listdir(path):
        os.rmdir(path)
    if os.path.lexists(path):
        raise HashdistError(f"its source '{directory}' has no place: the main source has something there")
    return path
