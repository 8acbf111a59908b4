"""Whether every Python package of a prefix has what its metadata says it requires."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName, default_environment
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from hashdist.checkout.distributions import Distribution, distributions
from hashdist.checkout.interpreter import Interpreter, Known, PrefixPythonError, ask
from hashdist.checkout.links import Member
from hashdist.checkout.prefix import python_owner
from hashdist.checkout.rules import Rulebook
from hashdist.stack.linking import Rule

from .session import Session


@dataclass(frozen=True, slots=True)
class Missing:
    """A requirement that nothing in the prefix meets."""

    by: str
    """Whose it is: name and version."""
    requirement: str
    """Such as ``numpy>=1.23``, without markers."""
    found: str | None
    """The version that is there instead."""

    @property
    def line(self) -> str:
        """What to type."""
        requirement = Requirement(self.requirement)
        if requirement.url:
            return f"hdist add {requirement.name}==VERSION --url {shlex.quote(requirement.url)}"
        return f"hdist add --pip {shlex.quote(self.requirement)}"


def missing_requirements(session: Session, members: Sequence[Member], rules: Sequence[Rule] = ()) -> list[Missing]:
    """What the Python packages of a prefix of these artifacts require and is not in it, or in another version."""
    python = interpreter_of(session, members, rules)
    if python is None:
        return []
    installed: dict[str, Distribution] = {}
    for member in members:
        for one in distributions(session.store, member.artifact):
            if one.python == python.version:
                installed.setdefault(canonicalize_name(one.name), one)
    environment = marker_environment(python)
    found: dict[tuple[str, str], Missing] = {}
    pending = [(name, "") for name in sorted(installed)]
    seen = set(pending)
    while pending:
        name, extra = pending.pop(0)
        owner = installed[name]
        for text in owner.requires:
            requirement = _applies(text, environment, extra)
            if requirement is None:
                continue
            wanted = canonicalize_name(requirement.name)
            if not _met(requirement, installed.get(wanted)):
                there = installed[wanted].version if wanted in installed else None
                by = f"{owner.name} {owner.version}"
                lack = Missing(by, _without_marker(requirement), there)
                found.setdefault((lack.by, lack.requirement), lack)
            for more in requirement.extras if wanted in installed else ():
                if (wanted, more) not in seen:
                    seen.add((wanted, more))
                    pending.append((wanted, more))
    return list(found.values())


def interpreter_of(session: Session, members: Sequence[Member], rules: Sequence[Rule] = ()) -> Interpreter | None:
    """The Python of a prefix of these artifacts, if there is one that runs."""
    owner = python_owner(members, Rulebook(rules))
    if owner is None:
        return None
    program = os.path.join(owner.path, "bin", "python3")
    try:
        return Known(session.store, str(owner.artifact), program).read() or ask(program, env=session.env)
    except PrefixPythonError:
        return None


def marker_environment(python: Interpreter) -> dict[str, str]:
    """What environment markers mean under a Python of this machine (PEP 508)."""
    found = {str(name): str(value) for name, value in default_environment().items()}
    full = python.full_version
    return found | {"python_version": python.version, "python_full_version": full, "implementation_version": full}


def _applies(text: str, environment: Mapping[str, str], extra: str) -> Requirement | None:
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return None  # old metadata that no tool reads any more
    marker = requirement.marker
    if marker is None:
        return requirement if not extra else None
    try:
        if not marker.evaluate({**environment, "extra": extra}):
            return None
        # with an extra only what that brings: the rest was looked at without
        return requirement if not extra or not marker.evaluate({**environment, "extra": ""}) else None
    except (UndefinedComparison, UndefinedEnvironmentName, InvalidVersion):
        return None  # a marker that means nothing


def _met(requirement: Requirement, there: Distribution | None) -> bool:
    if there is None:
        return False
    try:
        return requirement.specifier.contains(Version(there.version), prereleases=True)
    except InvalidVersion:
        return True


def _without_marker(requirement: Requirement) -> str:
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return f"{requirement.name}{extras}{f' @ {requirement.url}' if requirement.url else requirement.specifier}"
