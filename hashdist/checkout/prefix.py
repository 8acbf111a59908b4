"""Make prefixes: one directory of links for each set of artifacts, named by what it is made of, never changed."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hashdist.environment.activation import SCRIPTS, scripts
from hashdist.errors import HashdistError
from hashdist.fsutil.locks import locked
from hashdist.fsutil.modes import sealed_directory_mode
from hashdist.fsutil.staging import staged_directory
from hashdist.objects import canonical
from hashdist.objects.workers import spread
from hashdist.progress import SILENT, Progress
from hashdist.stack.linking import Rule
from hashdist.store.artifacts import NotBuiltError

from .interpreter import Interpreter, Known, ask
from .links import LinkPlan, Member, one_line, union, walk
from .python import CONFIG, MARKER, check_prefix, own_files, script_for
from .rules import DEFAULTS, Rulebook
from .switch import FORMAT, find_by_name

if TYPE_CHECKING:
    from hashdist.store.store import Store

#: Digits of a prefix's name.
DIGITS = 32
DOCUMENT = ".hashdist.json"
_PYTHON = "bin/python3"
_AT_START = re.compile(r"[^/]*\.pth\Z|(?:sitecustomize|usercustomize)\b")
#: From so many trees on other cores link some.
_SHARED_OUT = 8


@dataclass(frozen=True, slots=True)
class PrefixPlan:
    """A prefix that is wanted."""

    name: str
    """Its directory's name: the hash of its members and of the rules of linking."""
    path: str
    """Where it lies, or will."""
    members: tuple[Member, ...]
    """The artifacts, sorted by name."""
    rules: tuple[Rule, ...]
    """The rules of linking that the stack gives."""
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    """The paths of artifacts that lie upstream: its links lead there, and it is another prefix when they do not."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What a prefix will hold."""

    links: LinkPlan
    """Directories, links and copies of artifacts' files."""
    own_files: Mapping[str, bytes]
    """Its own files that are known before it is made: path to content."""
    own_links: Mapping[str, str]
    """Its own links: path to path, both in the prefix."""
    scripts: Mapping[str, bytes]
    """Scripts that get its own interpreter: path to content."""
    python: Interpreter | None
    """Its Python, if it has one."""
    known: Known | None
    """Where to remember that it was checked."""
    started: str
    """What of the artifacts its Python runs when it starts: prefixes with the same are alike in that."""

    def paths(self) -> Iterator[str]:
        """Everything that is there by its path; below trees that are linked file by file only their tops."""
        yield from self.links.directories
        yield from (path for path, _ in (*self.links.links, *self.links.each, *self.links.copies))
        yield from (*self.scripts, *self.own_links, *self.own_files)

    def lines(self) -> Iterator[str]:
        """What is where, for people: a line for each directory, link, copy and own file; sorted by path."""
        found = [(path, f"directory {path}") for path in self.links.directories]
        found += [(path, f"link {path} -> {target}") for path, target in self.links.links]
        found += [(path, f"each {path} -> {target}") for path, target in self.links.each]
        found += [(path, f"copy {path} <- {source}") for path, source in self.links.copies]
        found += [(path, f"script {path}") for path in self.scripts]
        found += [(path, f"link {path} -> {to}") for path, to in self.own_links.items()]
        found += [(path, f"file {path}") for path in (*self.own_files, *SCRIPTS)]
        return (one_line(line) for _, line in sorted(found))


def plan(store: Store, members: Sequence[Member], rules: Sequence[Rule] = ()) -> PrefixPlan:
    """Name the prefix of these artifacts; nothing is read.

    Where all of them lie upstream and there is such a prefix there, it is that one.
    """
    ordered = tuple(sorted(members, key=lambda member: member.artifact))
    own = os.path.join(store.config.path, "artifacts") + "/"
    elsewhere = {str(member.artifact): member.path for member in ordered if not member.path.startswith(own)}
    name = _name(_document(ordered, rules, {}))
    there = find_by_name(store, name) if elsewhere else None
    if there is None or not all(member.path.startswith(_artifacts(there)) for member in ordered):
        name = _name(_document(ordered, rules, elsewhere))
        there = os.path.join(store.config.path, "prefixes", name)
    else:
        elsewhere = {}
    return PrefixPlan(name, there, ordered, tuple(rules), elsewhere)


def _name(document: bytes) -> str:
    return hashlib.sha256(document).hexdigest()[:DIGITS]


def _artifacts(prefix: str) -> str:
    """The directory of artifacts of the store that a prefix lies in."""
    return os.path.join(os.path.dirname(os.path.dirname(prefix)), "artifacts") + "/"


def layout(store: Store, plan: PrefixPlan, *, env: Mapping[str, str]) -> Layout:
    """Read the artifacts and find what goes where; nothing is written.

    Raises `NotBuiltError`, `PathConflictError`, `OwnPathError` or `PrefixPythonError`. `env` is for running its Python.
    """
    gone = [str(member.artifact) for member in plan.members if not os.path.isdir(member.path)]
    if gone:
        raise NotBuiltError(f"not there: {', '.join(gone)}", hint="hdist build")
    rulebook = Rulebook(plan.rules)
    members = list(plan.members)
    files: dict[str, bytes] = {DOCUMENT: _document(plan.members, plan.rules, plan.elsewhere)}
    links: dict[str, str] = {}
    owner = python_owner(members, rulebook)
    python, known, more = None, None, []
    if owner is not None:
        program = os.path.join(owner.path, _PYTHON)
        known = Known(store, str(owner.artifact), program)
        python = known.read() or ask(program, env=env)
        files |= own_files(python, plan.path)
        stdlib = python.inside(python.stdlib)
        more.append(Rule("exclude", f"{stdlib}/{MARKER}"))
        if not os.path.lexists(os.path.join(owner.path, "bin", "python")):
            links["bin/python"] = _PYTHON
        if not os.path.isdir(os.path.join(owner.path, stdlib)):
            members += _of_host(owner, python)
    rulebook = Rulebook([*plan.rules, *DEFAULTS, *more])
    # with this file in it any Python beside would be another one
    found = union(members, rulebook, own={*files, *links, *SCRIPTS, CONFIG})
    copied = _scripts(found, f"{plan.path}/{_PYTHON}", python) if python else {}
    started = _started(found, python) if python else ""
    return Layout(found, files, links, copied, python, known, started)


class ReadOnlyStoreError(HashdistError):
    """A prefix that is wanted in a store that we may not write to."""

    code = "read_only"


def make(store: Store, plan: PrefixPlan, *, env: Mapping[str, str], progress: Progress = SILENT) -> str:
    """Make the prefix if it is not there, and return its path; raises as `layout` does, and then there is none."""
    if os.path.isdir(plan.path):
        return plan.path
    if not os.access(os.path.dirname(plan.path), os.W_OK):
        raise ReadOnlyStoreError(
            f"its prefix is not made yet, and you may not write to the store at '{store.path}'",
            hint=f"hdist --store OTHER init --upstream {store.path} makes one of yours that uses it",
        )
    wanted = layout(store, plan, env=env)
    with locked(store.lock_path("prefixes"), purpose="make a prefix", waiting=store.waiting):
        if not os.path.isdir(plan.path):
            with staged_directory(plan.path, mode=0o755, durable=store.durable) as staging:
                _fill(staging, plan, wanted, progress)
                if wanted.known is not None and wanted.python is not None and not wanted.known.is_good(wanted.started):
                    check_prefix(staging, env=env)
                    wanted.known.write(wanted.python, wanted.started)
                _freeze(staging, wanted.links, sealed_directory_mode(plan.path))
    return plan.path


def _document(members: Sequence[Member], rules: Sequence[Rule], elsewhere: Mapping[str, str]) -> bytes:
    return canonical.dumps(
        {
            "format": FORMAT,
            "artifacts": [str(member.artifact) for member in members],
            "rules": [[rule.kind, rule.glob, rule.package] for rule in rules],
            **({"elsewhere": dict(elsewhere)} if elsewhere else {}),
        }
    )


def _started(found: LinkPlan, python: Interpreter) -> str:
    """The files that a Python runs when it starts, as text: ``.pth`` files and the modules that site imports."""
    folder = f"{python.site_packages}/"
    inside = ((path[len(folder) :], target) for path, target in found.all_entries() if path.startswith(folder))
    special = (f"{name} {target}" for name, target in inside if _AT_START.match(name))
    return hashlib.sha256(os.fsencode("\n".join(sorted(special)))).hexdigest()


def _scripts(found: LinkPlan, interpreter: str, python: Interpreter) -> dict[str, bytes]:
    """Take the scripts of this Python out of the links, and give them the prefix's interpreter."""
    copied: dict[str, bytes] = {}
    for path, target in (*found.links, *found.copies):
        if path.startswith("bin/"):
            # also where it is a link to one, such as pip3 to pip
            script = script_for(os.path.realpath(target), interpreter, python.version)
            if script is not None:
                copied[path] = script
    found.links = [link for link in found.links if link[0] not in copied]
    found.copies = [copy for copy in found.copies if copy[0] not in copied]
    return copied


def python_owner(members: Sequence[Member], rules: Rulebook) -> Member | None:
    """Whose Python it will be; where several have one, the preferred one or the first."""
    owners = {
        member.name: member
        for member in reversed(members)
        if os.path.lexists(os.path.join(member.path, _PYTHON)) and not rules.says("exclude", _PYTHON, member.name)
    }
    for name in rules.preferred(_PYTHON):
        if name in owners:
            return owners[name]
    return list(owners.values())[-1] if owners else None


def _of_host(owner: Member, python: Interpreter) -> list[Member]:
    """The standard library and headers of a Python of the host, for programs that ask a prefix for them."""
    found = []
    for path in (python.stdlib, python.include):
        if os.path.isdir(path):
            without = frozenset({"site-packages", "dist-packages", "__pycache__", MARKER})
            found.append(Member(owner.artifact, path, python.inside(path), without))
    return found


def _fill(staging: str, plan: PrefixPlan, wanted: Layout, progress: Progress) -> None:
    for directory in wanted.links.directories:
        os.mkdir(f"{staging}/{directory}")
    _link(staging, plan, wanted)
    store = os.path.dirname(os.path.dirname(plan.path)) + "/"
    with progress.task("prefix", len(wanted.links.each) or None, "directory") as task:
        trees, mode = wanted.links.each, sealed_directory_mode(plan.path)
        many = spread if len(trees) >= _SHARED_OUT else map
        for _ in many(lambda one: _link_each(staging, store, mode, *one), trees):
            task.advance()
    for path, data in wanted.scripts.items():
        _write(f"{staging}/{path}", data, 0o555)
    for path, source in wanted.links.copies:
        shutil.copyfile(source, f"{staging}/{path}", follow_symlinks=False)
        if not os.path.islink(source):
            os.chmod(f"{staging}/{path}", 0o555 if os.access(source, os.X_OK) else 0o444)
    for path, to in wanted.own_links.items():
        os.symlink(os.path.relpath(to, os.path.dirname(path)), f"{staging}/{path}")
    for path, data in {**wanted.own_files, **scripts(staging, plan.path)}.items():
        _write(f"{staging}/{path}", data, 0o444)


def _link(staging: str, plan: PrefixPlan, wanted: Layout) -> None:
    """Make the links, directory by directory."""
    # both lie in the store, two levels down: relative targets are short
    store = os.path.dirname(os.path.dirname(plan.path)) + "/"
    inside = len(store)
    folder, fd, up = None, -1, ""
    try:
        for path, target in wanted.links.links:
            here, _, name = path.rpartition("/")
            if here != folder:
                # by the directory's descriptor: on network file systems each part of a path costs
                if fd >= 0:
                    os.close(fd)
                folder, up = here, "../" * (path.count("/") + 2)
                fd = os.open(f"{staging}/{here}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            os.symlink(up + target[inside:] if target.startswith(store) else target, name, dir_fd=fd)
    finally:
        if fd >= 0:
            os.close(fd)


def _link_each(staging: str, store: str, mode: int, path: str, folder: str) -> None:
    """Make a link for each file below a directory of an artifact."""
    os.mkdir(f"{staging}/{path}")
    for here, origin, directories, names in walk(path, folder):
        fd = os.open(f"{staging}/{here}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in directories:
                os.mkdir(name, dir_fd=fd)
            start = "../" * (here.count("/") + 3) + origin[len(store) :] if origin.startswith(store) else origin
            for name in names:
                os.symlink(f"{start}/{name}", name, dir_fd=fd)
            os.fchmod(fd, mode)
        except OSError as error:
            raise OSError(
                error.errno or errno.EIO, error.strerror, os.path.join(here, str(error.filename2 or ""))
            ) from error
        finally:
            os.close(fd)


def _write(path: str, data: bytes, mode: int) -> None:
    with open(path, "xb") as file:
        file.write(data)
        os.fchmod(file.fileno(), mode)


def _freeze(staging: str, links: LinkPlan, mode: int) -> None:
    for directory in reversed(links.directories):
        os.chmod(f"{staging}/{directory}", mode)
    os.chmod(staging, mode)
