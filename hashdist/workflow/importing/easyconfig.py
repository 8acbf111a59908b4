"""Easyconfigs of EasyBuild: each becomes a package that hashdist builds, where its easyblock is a plain one."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hashdist.build.environment import directory_variable
from hashdist.errors import InvalidError, NotFoundError
from hashdist.sources.download import HashMismatchError
from hashdist.stack.editing import declare, put_package
from hashdist.stack.file import parse_stack
from hashdist.stack.lock import Lock
from hashdist.workflow.commit import edit
from hashdist.workflow.reading import read_bytes, read_text
from hashdist.workflow.recording import Recorded
from hashdist.workflow.session import Session

from .easyconfig_file import PYPI, filled, read_assignments, templates

#: What changes nothing of what is built.
_IGNORED = frozenset(
    "homepage description docurls sanity_check_paths sanity_check_commands moduleclass osdependencies parallel "
    "maxparallel separate_build_dir modextrapaths modextravars modaliases modloadmsg whatis citing runtest testopts "
    "software_license software_license_urls usage site_contacts upstream_contacts use_pip download_dep_fail "
    "sanity_pip_check options".split()
)
#: What is taken over.
_FIELDS = _IGNORED | frozenset(
    "name version versionsuffix versionprefix easyblock toolchain toolchainopts source_urls sources checksums patches "
    "dependencies builddependencies configopts preconfigopts buildopts prebuildopts installopts preinstallopts "
    "github_account bitbucket_account".split()
)
#: Easyblocks by name, to the preset that does the same.
_EASYBLOCKS = {
    "ConfigureMake": "autotools",
    "CMakeMake": "cmake",
    "CMakeNinja": "cmake",
    "MesonNinja": "meson",
    "PythonPackage": "python",
    "Tarball": "copy",
}
#: What presets run, which easyconfigs need not name.
_RUNS = {"cmake": ("cmake",), "meson": ("meson", "ninja")}
_OF_SOURCES = frozenset({"filename", "download_filename", "source_urls", "git_config"})
_OF_GIT = frozenset({"url", "repo_name", "tag", "commit"})
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_NAME = re.compile(r"[^A-Za-z0-9._+-]+")


@dataclass(frozen=True, slots=True)
class Easyconfig:
    """An easyconfig as a package."""

    name: str
    """What the package is called in a stack: lower case."""
    fields: Mapping[str, Any]
    """Keys of its table, without what it is built with."""
    inputs: tuple[str, ...]
    """What it is built with and needs to run, by name."""
    tools: tuple[str, ...]
    """What it is built with and does not need to run."""
    toolchain: str
    """Name and version of the toolchain, or 'system'."""
    patches: Mapping[str, bytes]
    """Its patches, by what they are called in the stack."""
    sha256: str | None
    """Of its source, if it says that."""


def read_easyconfig(path: str) -> Easyconfig:
    """Read an easyconfig; nothing of it is run.

    Raises `InvalidError` for what hashdist cannot build as it stands, with a line for every reason, `NotFoundError`.
    """
    values = read_assignments(read_text(path, "easyconfig"), path, ignored=_IGNORED)
    for name in ("name", "version"):
        if not isinstance(values.get(name), str) or not values[name]:
            raise InvalidError(f"{path}: no '{name}'")
    try:
        known = templates(values)
        values = {name: filled(value, known) for name, value in values.items() if name not in _IGNORED}
        return _read(values, path)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
        if isinstance(error, InvalidError):
            raise
        raise InvalidError(f"{path}: not as easyconfigs are: {error!r}") from error


def _read(values: Mapping[str, Any], path: str) -> Easyconfig:
    problems = [
        f"{path}: '{name}' is not taken over"
        for name in values
        if name not in _FIELDS and not name.startswith("local_") and values[name] not in (None, [], "", False)
    ]
    easyblock = str(values.get("easyblock") or f"EB_{values['name']}")
    builder = _EASYBLOCKS.get(easyblock)
    if builder is None:
        problems.append(f"{path}: easyblock '{easyblock}' is code of EasyBuild's")
    options = {name: value for name, value in (values.get("toolchainopts") or {}).items() if value is not False}
    problems += [f"{path}: toolchainopts '{name}' is not taken over" for name in options if name != "pic"]
    source, sha256 = _source(values, path, problems)
    patches = _patches(values, path, problems)
    if problems:
        raise InvalidError(*problems, hint="let EasyBuild build it, on this store: hdist easybuild config")
    given = [*(values.get("dependencies") or []), *(values.get("builddependencies") or [])]
    fields: dict[str, Any] = {"version": values["version"], "source": source}
    if "pypi" not in source:
        fields["version"] += str(values.get("versionsuffix", ""))
    fields |= _building(values, builder or "", {_root(name): stack_name(name) for name in _names(given, path)})
    if options.get("pic"):
        fields["env"] = {"CFLAGS": "-O2 -fPIC", "CXXFLAGS": "-O2 -fPIC", "FFLAGS": "-O2 -fPIC"}
    fields["patches"] = list(patches)
    depends = _packages(values.get("dependencies") or [], path)
    tools = (*_packages(values.get("builddependencies") or [], path), *_RUNS.get(builder or "", ()))
    name = stack_name(values["name"])
    return Easyconfig(name, fields, depends, tools, _toolchain(values.get("toolchain")), patches, sha256)


def stack_name(name: str) -> str:
    """What a package of EasyBuild is called in a stack."""
    return _NAME.sub("-", name).lower()


@dataclass(frozen=True, slots=True)
class Imported:
    """What easyconfigs came to."""

    packages: tuple[Easyconfig, ...]
    """All of them."""
    tools: tuple[str, ...]
    """What is taken from the host instead of being built."""
    dropped: tuple[str, ...]
    """What builds would have and nobody has."""


def import_easyconfigs(
    session: Session, paths: Sequence[str], *, message: str, profile: str | None = None
) -> tuple[Recorded, Imported]:
    """Have a profile, which begins if there is none, hold the packages of easyconfigs, built by the host's toolchain.

    What they depend on must be among them or in the profile; what only builds need may be on the host. Raises as
    `read_easyconfig` does, and `NotFoundError` for dependencies that are nowhere.
    """
    packages = [read_easyconfig(path) for path in paths]
    if twice := sorted(name for name, count in Counter(one.name for one in packages).items() if count > 1):
        raise InvalidError(f"several easyconfigs of one package: {', '.join(twice)}", hint="import one of each")
    tools: dict[str, str] = {}
    dropped: set[str] = set()

    def change(text: str) -> str:
        stack = parse_stack(text)
        there = {*stack.packages, *stack.host, *(one.name for one in packages)}
        missing = {name for one in packages for name in one.inputs if name not in there}
        if missing:
            raise NotFoundError(
                f"easyconfigs depend on what is not there: {', '.join(sorted(missing))}",
                hint="give their easyconfigs too, or put them under [host] in the stack file",
            )
        tools.update(_of_host(session, (name for one in packages for name in one.tools), there))
        text = declare(text, {"gcc": "path:gcc", **tools}, {})
        for one in packages:
            used = [name for name in one.tools if name in there or name in tools]
            dropped.update(set(one.tools) - set(used))
            fields = {**one.fields, "inputs": ["gcc", *one.inputs, *used], "requires": list(one.inputs)}
            text = put_package(text, one.name, fields)
        return text

    def check(lock: Lock) -> None:
        for one in packages:
            pins = lock.sources.get(one.name, {}).values()
            if one.sha256 is not None and any(pin.sha256 != one.sha256 for pin in pins):
                raise HashMismatchError(f"the source of '{one.name}' has another SHA-256 than the easyconfig says")

    patches = {name: data for one in packages for name, data in one.patches.items()}
    recorded = edit(session, change, message=message, profile=profile, begin=True, files=patches, check=check)
    return recorded, Imported(tuple(packages), tuple(sorted(tools)), tuple(sorted(dropped)))


def _of_host(session: Session, names: Iterable[str], there: set[str]) -> dict[str, str]:
    """Finders of the tools that the host has a program of that name for; the compiler brings the others."""
    found = {}
    for name in names:
        if name not in there and shutil.which(name, path=session.env.get("PATH", os.defpath)):
            found[name] = f"path:{name}"
    return found


#: Configure, build and install, for easyconfigs that put something around them.
_CMAKE = "cmake -S . -B build-hdist -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_LIBDIR=lib"
_STEPS = {
    "autotools": ('./configure --prefix="$PREFIX"', "make", "make install"),
    "cmake": (_CMAKE + ' -DCMAKE_INSTALL_PREFIX="$PREFIX"', "make -C build-hdist", "make -C build-hdist install"),
}
_ROOT = re.compile(r"\$\{?EB(ROOT|VERSION|DEVEL)(\w+)\}?")


def _building(values: Mapping[str, Any], builder: str, roots: Mapping[str, str]) -> dict[str, Any]:
    """How it is built: by a preset, or by its commands with what the easyconfig puts around them.

    `roots` says which package the variable stands for that EasyBuild makes of a name.
    """

    def directory(match: re.Match[str]) -> str:
        if match[1] != "ROOT" or match[2] not in roots:
            raise InvalidError(f"the variable '{match[0]}' is of no dependency, or not of its directory")
        return f"${directory_variable(roots[match[2]])}"

    around = []
    for step in ("config", "build", "install"):
        for place in ("pre", ""):
            text = values.get(f"{place}{step}opts") or ""
            if not isinstance(text, str):
                raise InvalidError(f"'{place}{step}opts' is no text: the package would be built several times")
            around.append(_ROOT.sub(directory, text).strip())
    options = around.pop(1)
    if not any(around) and "$" not in options and "`" not in options:
        return {"builder": builder, "options": shlex.split(options)}
    if builder not in _STEPS:
        raise InvalidError(f"options around the steps of '{builder}' are not taken over")
    pairs = ((around[0], options), (around[1], around[2]), (around[3], around[4]))
    steps = zip(pairs, _STEPS[builder], strict=True)
    return {"commands": [" ".join(filter(None, (before, step, after))) for (before, after), step in steps]}


def _root(name: str) -> str:
    """What EasyBuild makes of a name in variables."""
    return name.replace("+", "plus").replace("-", "min").replace(".", "").upper()


def _source(values: Mapping[str, Any], path: str, problems: list[str]) -> tuple[dict[str, str], str | None]:
    """The source and its SHA-256; what is wrong with it is added to `problems`."""
    sources = values.get("sources") or []
    if not isinstance(sources, (list, tuple)) or len(sources) != 1:
        problems.append(f"{path}: it has not one source")
        return {}, None
    one = sources[0][0] if isinstance(sources[0], tuple) else sources[0]
    more = one if isinstance(one, dict) else {"filename": one}
    problems += [f"{path}: '{name}' of its source is not taken over" for name in more.keys() - _OF_SOURCES]
    name = str(more.get("download_filename", more.get("filename", "")))
    urls = more.get("source_urls", values.get("source_urls")) or []
    checksums = list(values.get("checksums") or [])
    if "git_config" in more:
        git = more["git_config"]
        problems += [f"{path}: '{key}' of git_config is not taken over" for key in git.keys() - _OF_GIT]
        revision = git.get("tag") or git.get("commit")
        return {"git": f"{str(git['url']).rstrip('/')}/{git['repo_name']}.git", "rev": str(revision)}, None
    if not isinstance(urls, (list, tuple)) or not urls:
        problems.append(f"{path}: no list 'source_urls'")
        return {}, None
    sha256 = _sha256(checksums[0] if checksums else None, str(more.get("filename", name)))
    if checksums and sha256 is None:
        problems.append(f"{path}: the checksum of its source is no SHA-256")
    first = str(urls[0])
    if first.startswith(PYPI):
        return {"pypi": values["name"]}, sha256
    return {"url": f"{first.rstrip('/')}/{name}", **({"sha256": sha256} if sha256 else {})}, sha256


def _patches(values: Mapping[str, Any], path: str, problems: list[str]) -> dict[str, bytes]:
    """The patches beside the file, by names that other packages' patches do not have."""
    found = {}
    checksums = list(values.get("checksums") or [])[1:]
    for number, patch in enumerate(values.get("patches") or []):
        name = patch.get("name") if isinstance(patch, dict) else patch
        if not isinstance(name, str) or (isinstance(patch, dict) and patch.get("level", 1) != 1):
            problems.append(f"{path}: patch {patch!r} is applied in a way that is not taken over")
            continue
        place = os.path.join(os.path.dirname(path), name)
        if os.path.basename(name) != name or not os.path.isfile(place):
            problems.append(f"{path}: patch '{name}' cannot be read: it is no file beside the easyconfig")
            continue
        data = read_bytes(place, "patch")
        wanted = _sha256(checksums[number], name) if number < len(checksums) else None
        if wanted is not None and hashlib.sha256(data).hexdigest() != wanted:
            problems.append(f"{path}: patch '{name}' has another SHA-256 than the easyconfig says")
        package = stack_name(values["name"])
        found[name if name.lower().startswith(f"{package}-") else f"{package}-{name}"] = data
    return found


def _sha256(checksum: Any, name: str) -> str | None:
    """The SHA-256 that a checksum gives for a file, in one of the ways that easyconfigs have."""
    if isinstance(checksum, dict):
        return _sha256(checksum.get(name), name)
    if isinstance(checksum, tuple) and len(checksum) == 2 and checksum[0] == "sha256":  # noqa: PLR2004 - kind and value
        return _sha256(checksum[1], name)
    return checksum if isinstance(checksum, str) and _SHA256.match(checksum) else None


def _names(given: Any, path: str) -> list[str]:
    """Names of dependencies as EasyBuild has them; versions are those that the easyconfigs of these have."""
    names = []
    for one in given:
        name = one.get("name") if isinstance(one, dict) else one[0] if isinstance(one, tuple) and one else one
        if not isinstance(name, str):
            raise InvalidError(f"{path}: {one!r} is no dependency")
        names.append(name.split("/")[0])
    return names


def _packages(given: Any, path: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(stack_name, _names(given, path))))


def _toolchain(given: Any) -> str:
    if isinstance(given, dict) and given.get("name") not in {None, "system"}:
        return f"{given['name']} {given.get('version', '')}".strip()
    return "system"
