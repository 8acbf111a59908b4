"""The stack file: what a person writes, read and checked.

Every fault is reported with its line, all of them at once.
"""

from __future__ import annotations

import graphlib
import re
import tomllib
from typing import Any

from hashdist.errors import InvalidError
from hashdist.objects.artifact_id import check_name, check_version
from hashdist.objects.ids import HEX_DIGITS, SpecId, is_hex
from hashdist.sources import declaration
from hashdist.sources.declaration import Declaration

from .finders import finder_fault
from .linking import RULE_KINDS, Rule, RuleKind, glob_fault, split_owner
from .packages import JAIL_CHOICES, HostEntry, JailChoice, Package, Stack, run_closure
from .positions import KeyPath, key_lines, line_of
from .presets import BASE, BASE_NUMBER, COMPILE_VARIABLES, PRESETS, find_preset
from .values import ValueReader

IDENTITIES = ("content", "version", "abi")
#: Variables that the runner sets, which a stack must not.
RUNNER_VARIABLES = frozenset(
    {
        "PATH",
        "HOME",
        "TMPDIR",
        "PREFIX",
        "FILES",
        "HDIST_JOBS",
        "MAKEFLAGS",
        "SOURCE_DATE_EPOCH",
        "LANG",
        "LC_ALL",
        "TZ",
    }
)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
#: What a commit of a profile consists of.
_OWN_PATHS = frozenset({"stack.toml", "lock.json", "specs"})
_BARE = re.compile(r"[A-Za-z0-9_-]{1,60}\Z")
_PATCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*(/[A-Za-z0-9][A-Za-z0-9._+-]*)*\Z")


class StackError(InvalidError):
    """A stack file that breaks its rules; each problem is ``file:line: key: fault``."""


def parse_stack(text: str, *, name: str = "stack.toml") -> Stack:
    """Read and check a stack file; raises `StackError` with every problem."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message, _, place = str(error).partition(" (at ")
        line = re.search(r"line (\d+)", place)
        raise StackError(f"{name}:{line[1] if line else text.count(chr(10)) + 1}: {message.lower()}") from error
    except ValueError as error:  # an integer of thousands of digits
        raise StackError(f"{name}:1: {str(error).lower()}") from error
    except RecursionError as error:
        raise StackError(f"{name}:1: values are nested too deep") from error
    reader = _Reader()
    stack = reader.read(data)
    if reader.problems or stack is None:
        lines = key_lines(text)
        found = sorted((line_of(lines, path), path, fault) for path, fault in reader.problems)
        raise StackError(*(f"{name}:{line}: {_show(path)}: {fault}" for line, path, fault in found))
    return stack


def _show(path: KeyPath) -> str:
    """A key as one would write it; what is long is cut."""
    parts = (part if _BARE.match(part) else f'"{part[:40]}"' for part in path)
    return ".".join(parts) or "stack"


class _Reader(ValueReader):
    """Reads a stack's tables."""

    def read(self, data: dict[str, Any]) -> Stack | None:
        self._known((), data, {"defaults", "host", "packages", "prefix"})
        defaults = self._table((), data, "defaults")
        self._known(("defaults",), defaults, {"env", "cpu", "jail"})
        default_env = self._env(("defaults",), defaults)
        default_cpu = self._text(("defaults",), defaults, "cpu")
        default_jail = self._jail(("defaults",), defaults)
        host = {}
        for name, value in self._table((), data, "host").items():
            if entry := self._host(name, value):
                host[name] = entry
        packages = {}
        for name, value in self._table((), data, "packages").items():
            if package := self._package(name, value, default_env, default_cpu, default_jail):
                packages[name] = package
        self.problems += [(("packages", name), "is also the name of a host entry") for name in packages if name in host]
        rules = self._rules(("prefix",), self._table((), data, "prefix"))
        return self._connect(host, packages, rules)

    def _host(self, name: str, value: Any) -> HostEntry | None:
        path = ("host", name)
        self._name(path, name)
        table = value if isinstance(value, dict) else {"find": value}
        self._known(path, table, {"find", "identity"})
        find = table.get("find")
        finders = (find,) if isinstance(find, str) else tuple(find) if isinstance(find, list) else ()
        if not finders or not all(isinstance(finder, str) for finder in finders):
            self._fault(path, 'needs a finder such as "path:/usr/bin/gcc", or a list of them')
            return None
        for finder in finders:
            if fault := finder_fault(finder):
                self._fault(path, fault)
        identity = self._text(path, table, "identity")
        if identity is not None and identity not in IDENTITIES:
            self._fault((*path, "identity"), f"must be one of {', '.join(IDENTITIES)}")
        return HostEntry(name, finders, identity)

    def _package(
        self,
        name: str,
        table: Any,
        default_env: dict[str, str],
        default_cpu: str | None,
        default_jail: JailChoice | None,
    ) -> Package | None:
        path = ("packages", name)
        self._name(path, name)
        if not isinstance(table, dict):
            self._fault(path, "must be a table")
            return None
        if "spec" in table:
            return self._given(path, name, table)
        known = {"version", "source", "sources", "builder", "commands", "options", "patches", "env", "inputs"}
        self._known(path, table, known | {"requires", "build-only", "base", "cpu", "description", "jail", "prefix"})
        version = self._version(path, table)
        builder = self._builder(path, table)
        preset = PRESETS[builder] if builder else None
        own_env = self._env(path, table)
        options = self._texts(path, table, "options")
        commands = self._texts(path, table, "commands")
        cpu = self._text(path, table, "cpu") or default_cpu
        if preset is not None and not preset.compiles:
            self.problems += [
                ((*path, "env", key), f"a {builder and builder.partition('@')[0]} compiles nothing")
                for key in own_env
                if key in COMPILE_VARIABLES
            ]
            own_env = {key: value for key, value in own_env.items() if key not in COMPILE_VARIABLES}
        env = own_env if preset is not None and not preset.compiles else {**default_env, **own_env}
        if cpu != "native" and any("-march=native" in text for text in (*env.values(), *options, *commands)):
            self._fault(path, '-march=native means another thing on each machine: set cpu = "native" to allow it')
        inputs = (*self._texts(path, table, "inputs"), *(preset.inputs if preset else ()))
        if self._flag(path, table, "base", default=True):
            inputs = (*inputs, BASE)
        return Package(
            name=name,
            version=version,
            builder=builder,
            commands=commands,
            options=options,
            patches=self._patches(path, table),
            sources=self._sources(path, table, version, builder),
            env=env,
            inputs=tuple(dict.fromkeys(inputs)),
            requires=tuple(dict.fromkeys(self._texts(path, table, "requires"))),
            build_only=self._flag(path, table, "build-only", default=False),
            cpu=cpu,
            jail=self._jail(path, table) or default_jail,
            rules=self._rules((*path, "prefix"), self._table(path, table, "prefix"), package=name),
        )

    def _given(self, path: KeyPath, name: str, table: dict[str, Any]) -> Package | None:
        """A package whose spec something else made."""
        self._known(path, table, {"spec", "version", "requires", "build-only", "description", "prefix"})
        text = self._text(path, table, "spec") or ""
        if len(text) != HEX_DIGITS or not is_hex(text):
            self._fault((*path, "spec"), "must be the id of a spec, 40 hexadecimal digits")
            return None
        return Package(
            name=name,
            version=self._version(path, table) if "version" in table else "",
            spec=SpecId(text),
            requires=tuple(dict.fromkeys(self._texts(path, table, "requires"))),
            build_only=self._flag(path, table, "build-only", default=False),
            rules=self._rules((*path, "prefix"), self._table(path, table, "prefix"), package=name),
        )

    def _rules(self, path: KeyPath, table: dict[str, Any], *, package: str | None = None) -> tuple[Rule, ...]:
        """Rules of linking; those of a package hold for it alone."""
        self._known(path, table, set(RULE_KINDS))
        found = []
        for kind in RULE_KINDS:
            if kind == "prefer" and package is None:
                found += [
                    Rule(kind, glob, winner)
                    for glob, winner in self._table(path, table, kind).items()
                    if self._is_glob((*path, kind, glob), glob) and self._is_text((*path, kind, glob), winner)
                ]
            else:
                globs = self._texts(path, table, kind)
                found += [self._rule(kind, glob, package) for glob in globs if self._is_glob((*path, kind), glob)]
        return tuple(found)

    def _rule(self, kind: RuleKind, glob: str, package: str | None) -> Rule:
        """A rule of the whole stack may name a package: ``numpy:share/doc/**``."""
        owner, rest = split_owner(glob) if package is None else (None, glob)
        return Rule(kind, rest, owner or package)

    def _is_glob(self, path: KeyPath, glob: str) -> bool:
        fault = glob_fault(split_owner(glob)[1])
        if fault:
            self._fault(path, fault)
        return fault is None

    def _is_text(self, path: KeyPath, value: Any) -> bool:
        if not isinstance(value, str):
            self._fault(path, "must be the name of a package")
        return isinstance(value, str)

    def _jail(self, path: KeyPath, table: dict[str, Any]) -> JailChoice | None:
        text = self._text(path, table, "jail")
        found = next((one for one in JAIL_CHOICES if one == text), None)
        if text is not None and found is None:
            self._fault((*path, "jail"), f"must be one of {', '.join(JAIL_CHOICES)}")
        return found

    def _version(self, path: KeyPath, table: dict[str, Any]) -> str:
        if "version" not in table:
            self._fault(path, "needs a version")
            return "0"
        version = table["version"]
        if not isinstance(version, str):
            self._fault((*path, "version"), f'must be text: version = "{version}"')
            return "0"
        self._check((*path, "version"), check_version, version)
        return version

    def _builder(self, path: KeyPath, table: dict[str, Any]) -> str | None:
        builder = self._text(path, table, "builder")
        if (builder is None) == ("commands" not in table):
            self._fault(path, "needs either a builder or commands")
            return None
        if builder is None:
            if "options" in table:
                self._fault((*path, "options"), "has no meaning without a builder")
            return None
        found = find_preset(builder)
        if found is None:
            self._fault((*path, "builder"), f"no preset '{builder[:60]}': there are {', '.join(PRESETS)}")
        return found

    def _sources(
        self, path: KeyPath, table: dict[str, Any], version: str, builder: str | None
    ) -> dict[str, Declaration]:
        tables = dict(self._table(path, table, "sources"))
        if "source" in table:
            tables["."] = table["source"]
        wheel = builder is not None and builder.startswith("wheel@")
        found = {}
        for directory, value in tables.items():
            place = (*path, "source") if directory == "." else (*path, "sources", directory)
            if directory != ".":
                for part in directory.split("/"):
                    self._check(place, check_name, part)
            try:
                found[directory] = declaration.parse(value, version=version, wheel=wheel)
            except InvalidError as error:
                self.problems += [(place, problem) for problem in error.problems]
        if not found and builder is not None:
            self._fault(path, "needs a source")
        return found

    def _patches(self, path: KeyPath, table: dict[str, Any]) -> tuple[str, ...]:
        patches = self._texts(path, table, "patches")
        for patch in patches:
            if not _PATCH.match(patch):
                self._fault((*path, "patches"), f"'{patch[:60]}' is not a plain path beside the stack file")
            elif patch.partition("/")[0] in _OWN_PATHS:
                self._fault((*path, "patches"), f"'{patch[:60]}' has the name of a part of every commit: rename it")
        names = [patch.rpartition("/")[2] for patch in patches]
        if len(set(names)) != len(names):
            self._fault((*path, "patches"), "two patches have one file name")
        return patches

    def _connect(
        self, host: dict[str, HostEntry], packages: dict[str, Package], rules: tuple[Rule, ...]
    ) -> Stack | None:
        """Add what presets bring, check that all names exist, expand inputs, and order the packages."""
        for name in {name for package in packages.values() for name in package.inputs}:
            if name not in host and name not in packages:
                if name == BASE:
                    host[name] = HostEntry(name, (f"base@{BASE_NUMBER}",), "version")
                elif name == "python":
                    host[name] = HostEntry(name, ("path:python3",), "abi")
        for rule in rules:
            if rule.package is not None and rule.package not in packages and rule.package not in host:
                self._fault(("prefix", rule.kind), f"no package or host entry '{rule.package}'")
        for package in packages.values():
            for key, names in (("inputs", package.inputs), ("requires", package.requires)):
                for name in names:
                    if name not in packages and name not in host:
                        self._fault(
                            ("packages", package.name, key),
                            f"no package or host entry '{name}': add it, or under [host]: {name} = \"path:{name}\"",
                        )
        if self.problems:
            return None
        expanded = {name: tuple(sorted(run_closure(packages, list(one.inputs)))) for name, one in packages.items()}
        graph = {name: [one for one in names if one in packages] for name, names in expanded.items()}
        try:
            order = tuple(graphlib.TopologicalSorter(graph).static_order())
        except graphlib.CycleError as error:
            cycle = list(reversed(error.args[1]))
            self._fault(("packages", cycle[0]), f"needs itself to be built: {' → '.join(cycle)}")
            return None
        return Stack(host, packages, order, expanded, rules)

    def _name(self, path: KeyPath, name: str) -> None:
        self._check(path, check_name, name)

    def _env(self, path: KeyPath, table: dict[str, Any]) -> dict[str, str]:
        found = {}
        for name, value in self._table(path, table, "env").items():
            place = (*path, "env", name)
            if not isinstance(value, str) or "\0" in value:
                self._fault(place, "must be text")
            elif not _VARIABLE.match(name):
                self._fault(place, "is not the name of a variable")
            elif name in RUNNER_VARIABLES or name.startswith("LD_"):
                self._fault(place, "is set by the build itself")
            else:
                found[name] = value
        return found
