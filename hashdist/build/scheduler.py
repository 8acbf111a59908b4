"""Run a plan: in dependency order, as many builds at once as there are job slots."""

from __future__ import annotations

import functools
import graphlib
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hashdist.errors import HashdistError
from hashdist.fsutil.holders import renew
from hashdist.objects.spec import Spec
from hashdist.preload.report import Report
from hashdist.progress import SILENT, Progress
from hashdist.store.roots import in_use

from .jailing import Jailing
from .job import Done, build
from .jobserver import Jobserver
from .plan import BuildPlan

if TYPE_CHECKING:
    from hashdist.store.store import Store


#: Seconds between two times that running builds say to other machines that they are still there.
_RENEWAL = 600


class BuildsFailedError(HashdistError):
    """One or more builds failed; ``failures`` has an error for each package, ``report`` what was done."""

    exit_code = 5
    code = "build_failed"

    def __init__(self, failures: Mapping[str, HashdistError], skipped: int, report: BuildReport) -> None:
        self.failures = dict(failures)
        self.report = report
        several = len(failures) > 1
        words = []
        for error in failures.values():
            words += [error.message, *([f"  hint: {error.hint}"] if several and error.hint else [])]
        if skipped:
            words.append(f"{skipped} more not tried, for want of the above")
        hint = "mend these and build again" if several else next(iter(failures.values())).hint
        super().__init__("\n".join(words), hint=hint)
        self.exit_code = max(error.exit_code for error in failures.values())


@dataclass(slots=True)
class BuildReport:
    """What running a plan did."""

    built: list[str] = field(default_factory=list)
    """Packages that were built."""
    reused: list[str] = field(default_factory=list)
    """Packages that somebody else had built meanwhile."""
    jail: dict[str, Report] = field(default_factory=dict)
    """What the jail saw of those that were built in one."""


def run(
    store: Store,
    plan: BuildPlan,
    *,
    jobs: int,
    env: Mapping[str, str],
    keep_going: bool = False,
    jailing: Jailing | None = None,
    progress: Progress = SILENT,
) -> BuildReport:
    """Build everything in `plan`, `jobs` cores in all, jailed as `jailing` says (None: as the defaults are).

    Raises `BuildsFailedError` when no more can be built (with `keep_going`: when all that does not depend on
    a failure is). After an interruption the running builds are stopped and leave nothing.
    """
    report = BuildReport()
    if not plan.jobs:
        return report
    specs = {spec.name: spec for spec in plan.jobs}
    sorter = graphlib.TopologicalSorter(
        {name: [one for one in spec.inputs if one in specs] for name, spec in specs.items()}
    )
    sorter.prepare()
    failures: dict[str, HashdistError] = {}
    running: dict[Future[Done], Spec] = {}
    begin = functools.partial(build, store, env=env, jailing=jailing, progress=progress)
    with (
        in_use(store, plan.specs.values(), purpose="build"),
        progress.task("building", len(specs), "package") as task,
        Jobserver(jobs) as jobserver,
        ThreadPoolExecutor(max_workers=jobs) as pool,
    ):
        try:
            while sorter.is_active():
                if not failures or keep_going:
                    for name in sorter.get_ready():
                        running[pool.submit(begin, specs[name], jobserver=jobserver)] = specs[name]
                if not running:
                    break
                task.tell(", ".join(sorted(spec.name for spec in running.values())))
                done = wait(running, timeout=_RENEWAL, return_when=FIRST_COMPLETED).done
                renew()
                for future in done:
                    spec = running.pop(future)
                    _collect(future, spec, report, failures, progress)
                    task.advance()
                    if spec.name not in failures:
                        sorter.done(spec.name)
        except BaseException:
            jobserver.cancel()
            raise
    if failures:
        left = len(specs) - len(failures) - len(report.built) - len(report.reused)
        raise BuildsFailedError(failures, left, report)
    return report


def _collect(
    future: Future[Done],
    spec: Spec,
    report: BuildReport,
    failures: dict[str, HashdistError],
    progress: Progress,
) -> None:
    try:
        done = future.result()
    except HashdistError as error:
        failures[spec.name] = error
        return
    except OSError as error:
        failures[spec.name] = HashdistError(f"'{spec.name}' {spec.version} could not be begun: {error}")
        return
    if done.jail is not None:
        report.jail[spec.name] = done.jail
    (report.built if done.built else report.reused).append(spec.name)
    progress.note(f"{'built' if done.built else 'found'} {spec.name} {spec.version} {spec.id[:12]}")
