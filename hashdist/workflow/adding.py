"""Add Python packages with all they need to a stack file, in versions that a resolver chooses."""

from __future__ import annotations

from collections.abc import Sequence

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from hashdist.checkout.distributions import distributions
from hashdist.errors import HashdistError
from hashdist.objects.spec import read_spec
from hashdist.sources.declaration import PypiSource
from hashdist.stack.editing import add_package, declare, set_key
from hashdist.stack.file import parse_stack
from hashdist.stack.lock import Lock
from hashdist.stack.packages import HostEntry, Stack
from hashdist.stack.presets import BASE

from .hosts import scan_host
from .resolving import Provided, Resolved, resolve
from .session import Session


class NothingToAddError(HashdistError):
    """Requirements that the stack meets as it is."""

    code = "nothing_to_add"


def add_to(
    session: Session,
    text: str,
    lock: Lock,
    requirements: Sequence[Requirement],
    *,
    constraints: Sequence[Requirement] = (),
) -> tuple[str, list[Resolved]]:
    """The text of a stack file with packages for these requirements and all they need; and which are new or changed.

    What the stack has already stays as it is, but for what is asked for in another version; `constraints` hold of what
    comes in. Raises as `resolve` does, and `NothingToAddError`.
    """
    version = _python_version(lock)
    if version is None:
        text = declare(text, {"python": "path:python3"}, {})
        (python,) = scan_host(session, [HostEntry("python", ("path:python3",), "abi")])
        version = python.capture.version
    stack = parse_stack(text)
    local = _local(session, stack, lock)
    names = {**_projects(stack), **{one.name: package for package, one in local}}
    there = {project: stack.packages[name].version for project, name in _projects(stack).items()}
    for requirement in requirements:
        # who asks for another version of what is there means it
        project = canonicalize_name(requirement.name)
        if project in there and not requirement.specifier.contains(there[project], prereleases=True):
            del there[project]
    found = resolve(
        session,
        requirements,
        python=".".join(version.split(".")[:2]),
        there=there,
        local=[one for _, one in local],
        constraints=constraints,
    )
    if not found:
        raise NothingToAddError("none of that is for this Python and system")
    # a project may have a name that means something else in a stack
    taken = {BASE, "python", *stack.host, *stack.packages}
    for one in found:
        names.setdefault(one.name, f"py-{one.name}" if one.name in taken else one.name)
    changed = []
    for one in found:
        package = names[one.name]
        if package not in stack.packages:
            requires = ["python", *(names[other] for other in one.requires)]
            fields = {"version": one.version, "source": {"pypi": one.name}, "builder": "wheel", "requires": requires}
            text = add_package(text, package, fields)
        elif one.name in {other.name for _, other in local} or stack.packages[package].version == one.version:
            continue
        else:
            text = set_key(text, f'packages."{package}".version', f'"{one.version}"')
        changed.append(one)
    if not changed:
        raise NothingToAddError("the stack has all of that already", hint="hdist list")
    return text, changed


def _local(session: Session, stack: Stack, lock: Lock) -> list[tuple[str, Provided]]:
    """Packages from paths and URLs with their projects: as the metadata says once they are built, else by name."""
    found: list[tuple[str, Provided]] = []
    for name, package in stack.packages.items():
        python = package.builder is not None and package.builder.startswith(("wheel@", "python@"))
        if not python or any(isinstance(source, PypiSource) for source in package.sources.values()):
            continue
        artifact = read_spec(session.store.objects, lock.specs[name]).artifact if name in lock.packages else None
        if artifact is not None and artifact in session.store.artifacts:
            found += [
                (name, Provided(canonicalize_name(one.name), one.version, one.requires))
                for one in distributions(session.store, artifact)
            ]
        else:
            found.append((name, Provided(canonicalize_name(name), package.version, ())))
    return found


def _python_version(lock: Lock) -> str | None:
    pin = lock.packages.get("python") or lock.host.get("python")
    return pin.version if pin else None


def _projects(stack: Stack) -> dict[str, str]:
    """The projects of a package index that a stack has: their normal names to the packages."""
    return {
        canonicalize_name(source.project): name
        for name, package in stack.packages.items()
        for source in package.sources.values()
        if isinstance(source, PypiSource)
    }
