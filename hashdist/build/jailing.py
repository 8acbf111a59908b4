"""The jail of a build: what its inputs allow, its own directories, and what came of it."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hashdist.errors import HashdistError
from hashdist.fsutil.removal import remove_tree
from hashdist.objects import manifest
from hashdist.objects.ids import SpecId
from hashdist.objects.record import ArtifactRecord
from hashdist.preload.base import base_rules
from hashdist.preload.captured import allow_captured
from hashdist.preload.jail import VARIABLE, Jail, make_jail
from hashdist.preload.library import JailInactiveError
from hashdist.preload.report import Owners, Report
from hashdist.preload.rules import Rules
from hashdist.progress import SILENT, Progress
from hashdist.stack.packages import JailChoice

from .environment import Input, Workplace

if TYPE_CHECKING:
    from hashdist.store.store import Store


#: How many files a message names.
_NAMED = 3


class ImpureInputError(HashdistError):
    """An input that was built with undeclared accesses, or without a jail, where the jail is enforced."""

    exit_code = 6
    code = "jail_violation"


def _nobody(paths: object) -> Mapping[str, str]:  # noqa: ARG001 - an `Owners`
    return {}


@dataclass(frozen=True, slots=True)
class Jailing:
    """How the builds of a plan are jailed."""

    default: JailChoice = "report"
    """Where a package has no choice of its own."""
    packages: Mapping[str, JailChoice] = field(default_factory=dict)
    """The choice for packages, by name."""
    owners: Owners = _nobody
    """Tells whose files are; it may be called from several threads."""

    def choice(self, package: str) -> JailChoice:
        """How a package is built."""
        return self.packages.get(package, self.default)


def build_rules(store: Store, inputs: Sequence[Input], place: Workplace) -> Rules:
    """What a build may use: its inputs, what captured inputs reach, and its own directories."""
    rules = base_rules()
    for one in inputs:
        rules.allow_tree(one.path)
        if one.spec.host is not None:
            rules.add(_captured_rules(store, one.spec.id))
    rules.allow_writing(place.root, place.prefix)
    return rules


def _captured_rules(store: Store, id: SpecId) -> Rules:
    return _rules_of_manifest(store.artifacts.record(id).manifest)


@functools.lru_cache(maxsize=32)
def _rules_of_manifest(text: bytes) -> Rules:
    rules = Rules()
    allow_captured(rules, manifest.decode(text))
    return rules


@contextlib.contextmanager
def jailed(
    store: Store,
    choice: JailChoice,
    inputs: Sequence[Input],
    place: Workplace,
    *,
    env: Mapping[str, str],
    progress: Progress = SILENT,
) -> Iterator[Jail | None]:
    """The jail for one build; None where it is off. Its files are removed in the end.

    `env` is the user's environment, which tells whether there is a jail around us already.

    Enforced, it raises `JailInactiveError` where there can be none; else that is only told.
    """
    if choice == "off":
        yield None
        return
    directory = place.inside("jail")
    around = {VARIABLE: env[VARIABLE]} if VARIABLE in env else {}
    os.mkdir(directory, 0o700)
    try:
        try:
            jail = make_jail(directory, build_rules(store, inputs, place), choice, env=around)
        except JailInactiveError as error:
            if choice == "enforce":
                raise
            progress.note(f"built without a jail: {error.message}")
            jail = None
        yield jail
    finally:
        remove_tree(directory)


def refuse_impure(store: Store, package: str, specs: Mapping[str, SpecId]) -> None:
    """Raise `ImpureInputError` for those of these built specs that are not known to be pure."""
    problems = []
    impure = []
    for name, id in sorted(specs.items()):
        record = store.artifacts.record(id)
        if record.spec.host is None and not record.pure:
            impure.append(name)
            subject = f"'{name}'" if name == package else f"'{package}' needs '{name}', which"
            problems.append(f"{subject} {_why_impure(record)}")
    if problems:
        raise ImpureInputError(
            "\n".join(problems),
            hint=f"declare what it used: hdist learn {impure[0]}; or make it another artifact, which is built anew: "
            f"hdist set packages.{impure[0]}.env.BUILT=anew",
        )


def _why_impure(record: ArtifactRecord) -> str:
    if record.jail is None:
        return "was built without a jail"
    report = Report.of_document(record.jail)
    if used := [access.path for access in report.undeclared]:
        return f"used {', '.join(used[:_NAMED])}{' …' if len(used) > _NAMED else ''}"
    if report.made_unseen:
        return f"ran what nobody can look into: {report.made_unseen[0]}"
    return f"used more than was logged ({report.dropped} lines)"
