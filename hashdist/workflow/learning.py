"""What to declare: from undeclared accesses to lines of a stack file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hashdist.build.job import REPORT, workplace
from hashdist.errors import HashdistError, InvalidError
from hashdist.hostscan.errors import HostNotFoundError
from hashdist.hostscan.finding import scan
from hashdist.hostscan.live import LiveHost
from hashdist.objects import canonical, manifest
from hashdist.objects.artifact_id import ArtifactId
from hashdist.objects.spec import Spec, read_spec
from hashdist.preload.captured import allow_captured
from hashdist.preload.report import Access, Report
from hashdist.preload.rules import Rules
from hashdist.progress import SILENT, Progress
from hashdist.stack.finders import parse_entry

if TYPE_CHECKING:
    from hashdist.stack.lock import Lock
    from hashdist.store.store import Store


@dataclass(slots=True)
class Lesson:
    """What one package, or a command, should declare."""

    host: dict[str, str] = field(default_factory=dict)
    """New host entries: name to finder."""
    inputs: list[str] = field(default_factory=list)
    """Names to be added to the inputs."""
    unexplained: list[Access] = field(default_factory=list)
    """What nothing that can be declared would cover: files that no package owns, and writes."""


class Learner:
    """Finds what covers accesses; captures of the host are made once for all packages."""

    def __init__(
        self,
        env: Mapping[str, str],
        *,
        store: Store | None = None,
        lock: Lock | None = None,
        progress: Progress = SILENT,
    ) -> None:
        """With `store` and `lock` the entries of a profile are preferred to new ones."""
        self._host = LiveHost(env, progress=progress)
        self._store = store
        self._lock = lock
        self._progress = progress
        self._captured: dict[str, Rules | None] = {}
        self._pinned: dict[str, Rules] = {}
        self.host: dict[str, str] = {}

    def learn(self, report: Report, *, package: str | None = None, known: Iterable[str] = ()) -> Lesson:
        """What a report says should be declared; `known` names the inputs that `package` has already.

        Of a run in which things were hidden also what was hidden.
        """
        lesson = Lesson()
        known = set(known)
        accesses = report.accesses if report.mode == "enforce" else report.undeclared
        left = [access for access in accesses if not os.path.isdir(access.path) or _is_write(access)]
        lesson.unexplained = [access for access in left if _is_write(access)]
        left = [access for access in left if not _is_write(access)]
        left = self._by_artifacts(left, lesson, package)
        lesson.unexplained += self._by_host(left, lesson, known)
        lesson.inputs = [name for name in dict.fromkeys(lesson.inputs) if name not in known]
        return lesson

    def _by_artifacts(self, left: list[Access], lesson: Lesson, package: str | None) -> list[Access]:
        """Files of the store: the packages they belong to, if these can be inputs."""
        rest = []
        for access in left:
            kind, _, id = (access.owner or "").partition(":")
            try:
                artifact = ArtifactId.parse(id) if kind == "artifact" else None
            except InvalidError:
                artifact = None
            if artifact is None:
                rest.append(access)
            elif self._can_be_input(artifact, package):
                lesson.inputs.append(artifact.name)
            else:
                lesson.unexplained.append(access)
        return rest

    def _can_be_input(self, artifact: ArtifactId, package: str | None) -> bool:
        """Whether a package can have this very artifact among its inputs: not itself, nor what needs it."""
        if self._lock is None or self._store is None:
            return True
        spec = self._lock.specs.get(artifact.name)
        if spec is None or not spec.startswith(artifact.spec) or artifact.name == package:
            return False
        return package not in read_spec(self._store.objects, spec).inputs

    def _by_host(self, left: list[Access], lesson: Lesson, known: set[str]) -> list[Access]:
        """Host entries: again and again the one that covers most; the profile's own before new ones."""
        entries = [name for name in self._entries() if name not in known]
        finders = self._candidates(left)
        with self._progress.task("scanning", len(finders), "package") as task:
            for finder in finders:
                task.tell(finder)
                self._rules(finder)
                task.advance()
        while left:
            found = [(name, "", _covered(self._rules_of_entry(name), left)) for name in entries]
            found += [("", finder, _covered(self._rules(finder), left)) for finder in finders]
            name, finder, covered = max(
                found, key=lambda one: (len(one[2]), one[0] != ""), default=("", "", frozenset())
            )
            if not covered:
                return left
            lesson.inputs.append(name or self._new_entry(finder, lesson))
            left = [access for access in left if access.path not in covered]
        return left

    def _entries(self) -> list[str]:
        """Those of the profile, and those that were made for other packages just now."""
        return [*self.host, *(sorted(self._lock.host) if self._lock is not None else [])]

    def _new_entry(self, finder: str, lesson: Lesson) -> str:
        entry = parse_entry(finder)
        assert entry is not None, "candidates are finders"
        taken = {*self._entries(), *(self._lock.packages if self._lock is not None else ())}
        others = (f"{entry.name}-{finder.partition(':')[0]}{number}" for number in ("", *range(2, 1000)))
        name = next(name for name in (entry.name, *others) if name not in taken)
        lesson.host[name] = self.host[name] = finder
        return name

    def _rules_of_entry(self, name: str) -> Rules | None:
        return self._rules(self.host[name]) if name in self.host else self._rules_of_pin(name)

    def _candidates(self, left: Sequence[Access]) -> list[str]:
        """Finders to try: the packages that own files, but for those that others of them need; else paths."""
        finders = []
        owners = {access.owner for access in left if access.owner and not access.owner.startswith("artifact:")}
        for database in self._host.databases:
            names = sorted(owner.partition(":")[2] for owner in owners if owner.startswith(f"{database.manager}:"))
            needed: dict[str, set[str]] = {}
            for name in names:
                try:
                    needed[name] = {one.name for one in database.closure([database.find(name)])}
                except HostNotFoundError:
                    needed[name] = {name}
            finders += [
                f"{database.manager}:{name}"
                for name in names
                if not any(name in needed[other] and other not in needed[name] for other in names if other != name)
            ]
        finders += [
            f"path:{access.path}"
            for access in left
            if access.owner is None and ("execute" in access.uses or ".so" in os.path.basename(access.path))
        ]
        return [finder for finder in dict.fromkeys(finders) if _is_finder(finder)]

    def _rules(self, finder: str) -> Rules | None:
        if finder not in self._captured:
            entry = parse_entry(finder)
            assert entry is not None, "candidates are finders"
            try:
                self._captured[finder] = _granted(scan(entry, self._host).manifest)
            except HashdistError:
                self._captured[finder] = None
        return self._captured[finder]

    def _rules_of_pin(self, name: str) -> Rules | None:
        assert self._store is not None, "it comes with the lock"
        assert self._lock is not None, "names come from there"
        if name not in self._pinned:
            spec = self._lock.host[name].spec
            if self._store.artifacts.record_commit(spec) is None:
                return None
            self._pinned[name] = _granted(self._store.artifacts.record(spec).manifest)
        return self._pinned[name]


def _covered(rules: Rules | None, left: Sequence[Access]) -> frozenset[str]:
    return frozenset(access.path for access in left if rules is not None and rules.allows(access.path))


def _granted(text: bytes) -> Rules:
    rules = Rules()
    allow_captured(rules, manifest.decode(text))
    return rules


def _is_write(access: Access) -> bool:
    return access.uses == ("write",)


def _is_finder(text: str) -> bool:
    try:
        return parse_entry(text) is not None
    except InvalidError:
        return False


@dataclass(slots=True)
class Learned:
    """What the builds of a profile showed."""

    lessons: dict[str, Lesson] = field(default_factory=dict)
    """By package, those that used something undeclared."""
    unknown: list[str] = field(default_factory=list)
    """Of which packages nothing is known, and why."""


def learn_from_builds(
    store: Store, lock: Lock, packages: Sequence[str], env: Mapping[str, str], progress: Progress
) -> Learned:
    """What these packages of a profile should declare, from their records, or from what failed builds left."""
    learner = Learner(env, store=store, lock=lock, progress=progress)
    learned = Learned()
    for name in packages:
        spec = read_spec(store.objects, lock.specs[name])
        report = _report_of(store, spec)
        if isinstance(report, str):
            learned.unknown.append(f"{name}: {report}")
        elif not report.pure or not store.artifacts.record_commit(spec.id):
            learned.lessons[name] = learner.learn(report, package=name, known=spec.inputs)
    return learned


def _report_of(store: Store, spec: Spec) -> Report | str:
    """What the jail saw of a build, or why nothing is known."""
    if store.artifacts.record_commit(spec.id) is not None:
        jail = store.artifacts.record(spec.id).jail
        return Report.of_document(jail) if jail is not None else "built without a jail"
    try:
        with open(os.path.join(workplace(store, spec), REPORT), "rb") as file:
            return Report.of_document(canonical.loads(file.read()))
    except (OSError, InvalidError):
        return "not built"
