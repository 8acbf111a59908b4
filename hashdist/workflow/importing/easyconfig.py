"""Easyconfigs of EasyBuild: each becomes a package that hashdist builds, where its easyblock is a plain one."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hashdist.errors import InvalidError, NotFoundError
from hashdist.stack.editing import declare, put_package
from hashdist.stack.file import parse_stack
from hashdist.workflow.commit import edit
from hashdist.workflow.recording import Recorded
from hashdist.workflow.session import Session

from .easyconfig_file import PYPI, filled, read_assignments, templates
from .reading import read_text

#: What is taken over, or changes nothing of what is built.
_FIELDS = frozenset(
    "name version versionsuffix versionprefix easyblock homepage description docurls toolchain toolchainopts "
    "source_urls sources checksums patches dependencies builddependencies configopts preconfigopts buildopts "
    "prebuildopts installopts preinstallopts sanity_check_paths sanity_check_commands moduleclass osdependencies "
    "github_account bitbucket_account parallel maxparallel separate_build_dir modextrapaths modextravars modaliases "
    "modloadmsg whatis citing runtest testopts software_license software_license_urls usage site_contacts "
    "upstream_contacts use_pip download_dep_fail sanity_pip_check options".split()
)
#: Easyblocks by name, to the preset that does the same.
_EASYBLOCKS = {
    "ConfigureMake": "autotools",
    "CMakeMake": "cmake",
    "CMakeNinja": "cmake",
    "MesonNinja": "meson",
    "MakeCp": "make",
    "PythonPackage": "python",
    "Tarball": "copy",
}
#: What presets run, which easyconfigs need not name.
_RUNS = {"cmake": ("cmake",), "meson": ("meson", "ninja")}
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
    """Its patches, by file name."""


def read_easyconfig(path: str) -> Easyconfig:
    """Read an easyconfig; nothing of it is run.

    Raises `InvalidError` for what hashdist cannot build as it stands, with a line for every reason, `NotFoundError`.
    """
    values = read_assignments(read_text(path, "easyconfig"), path)
    for name in ("name", "version"):
        if not isinstance(values.get(name), str):
            raise InvalidError(f"{path}: no '{name}'")
    try:
        values = filled(values, templates(values))
    except InvalidError as error:
        raise InvalidError(f"{path}: {error.message}") from error
    problems = [
        f"{path}: '{name}' is not taken over"
        for name in values
        if name not in _FIELDS and not name.startswith("local_") and values[name] not in (None, [], "", False)
    ]
    easyblock = str(values.get("easyblock") or f"EB_{values['name']}")
    builder = _EASYBLOCKS.get(easyblock)
    if builder is None:
        problems.append(f"{path}: easyblock '{easyblock}' is code of EasyBuild's: let it build that, on this store")
    source, patches = _source(values, path, problems)
    if problems:
        raise InvalidError(*problems, hint="hdist easybuild config")
    fields: dict[str, Any] = {"version": values["version"] + str(values.get("versionsuffix", "")), "source": source}
    fields |= _building(values, builder or "")
    fields["patches"] = list(patches)
    depends = _dependencies(values.get("dependencies", []), path)
    tools = (*_dependencies(values.get("builddependencies", []), path), *_RUNS.get(builder or "", ()))
    return Easyconfig(stack_name(values["name"]), fields, depends, tools, _toolchain(values.get("toolchain")), patches)


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


def import_easyconfigs(
    session: Session, paths: Sequence[str], *, message: str, profile: str | None = None
) -> tuple[Recorded, Imported]:
    """Have a profile, which begins if there is none, hold the packages of easyconfigs, built by the host's toolchain.

    What they depend on must be among them or in the profile; what only builds need may be on the host. Raises as
    `read_easyconfig` does, and `NotFoundError` for dependencies that are nowhere.
    """
    packages = [read_easyconfig(path) for path in paths]
    tools: dict[str, str] = {}

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
            fields = {**one.fields, "inputs": ["gcc", *one.inputs, *used], "requires": list(one.inputs)}
            text = put_package(text, one.name, fields)
        return text

    patches = {name: data for one in packages for name, data in one.patches.items()}
    recorded = edit(session, change, message=message, profile=profile, begin=True, files=patches)
    return recorded, Imported(tuple(packages), tuple(sorted(tools)))


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
_ROOT = re.compile(r"\$\{?EBROOT(\w+)\}?")


def _building(values: Mapping[str, Any], builder: str) -> dict[str, Any]:
    """How it is built: by a preset, or by its commands with what the easyconfig puts around them."""
    around = []
    for step in ("config", "build", "install"):
        for place in ("pre", ""):
            text = values.get(f"{place}{step}opts") or ""
            if not isinstance(text, str):
                raise InvalidError(f"'{place}{step}opts' is no text: the package would be built several times")
            around.append(_ROOT.sub(lambda match: f"${match[1]}_DIR", text).strip())
    options = around.pop(1)
    if not any(around) and "$" not in options and "`" not in options:
        return {"builder": builder, "options": shlex.split(options)}
    if builder not in _STEPS:
        raise InvalidError(f"options around the steps of '{builder}' are not taken over")
    pairs = ((around[0], options), (around[1], around[2]), (around[3], around[4]))
    steps = zip(pairs, _STEPS[builder], strict=True)
    return {"commands": [" ".join(filter(None, (before, step, after))) for (before, after), step in steps]}


def _source(values: Mapping[str, Any], path: str, problems: list[str]) -> tuple[dict[str, str], dict[str, bytes]]:
    """The source, and the patches beside the file; what is wrong with them is added to `problems`."""
    sources = values.get("sources", [])
    if len(sources) != 1:
        problems.append(f"{path}: it has {len(sources)} sources, and one is taken over")
        return {}, {}
    checksums = list(values.get("checksums", []))
    one = sources[0]
    if isinstance(one, tuple) and one:
        one = one[0]
    more = one if isinstance(one, dict) else {"filename": one}
    urls = more.get("source_urls", values.get("source_urls", []))
    name = str(more.get("download_filename", more.get("filename", "")))
    patches = _patches(values.get("patches", []), checksums[1:], path, problems)
    if "git_config" in more:
        git = more["git_config"]
        revision = git.get("tag") or git.get("commit")
        return {"git": f"{str(git['url']).rstrip('/')}/{git['repo_name']}.git", "rev": str(revision)}, patches
    if not urls:
        problems.append(f"{path}: no 'source_urls'")
        return {}, patches
    first = str(urls[0])
    if first.startswith(PYPI):
        return {"pypi": values["name"]}, patches
    sha256 = _sha256(checksums[0] if checksums else None, str(more.get("filename", name)))
    if checksums and sha256 is None:
        problems.append(f"{path}: the checksum of its source is no SHA-256")
    return {"url": f"{first.rstrip('/')}/{name}", **({"sha256": sha256} if sha256 else {})}, patches


def _patches(patches: Sequence[Any], checksums: Sequence[Any], path: str, problems: list[str]) -> dict[str, bytes]:
    found = {}
    for number, patch in enumerate(patches):
        name = patch.get("name") if isinstance(patch, dict) else patch
        if not isinstance(name, str) or (isinstance(patch, dict) and patch.get("level", 1) != 1):
            problems.append(f"{path}: patch {patch!r} is applied in a way that is not taken over")
            continue
        place = os.path.join(os.path.dirname(path), name)
        try:
            with open(place, "rb") as file:
                data = file.read()
        except OSError as error:
            problems.append(f"{path}: patch '{name}' cannot be read: {error.strerror}")
            continue
        wanted = _sha256(checksums[number], name) if number < len(checksums) else None
        if wanted is not None and hashlib.sha256(data).hexdigest() != wanted:
            problems.append(f"{path}: patch '{name}' has another SHA-256 than the easyconfig says")
        found[name] = data
    return found


def _sha256(checksum: Any, name: str) -> str | None:
    """The SHA-256 that a checksum gives for a file, in one of the ways that easyconfigs have."""
    if isinstance(checksum, dict):
        return _sha256(checksum.get(name), name)
    if isinstance(checksum, tuple) and len(checksum) == 2 and checksum[0] == "sha256":  # noqa: PLR2004 - kind and value
        return _sha256(checksum[1], name)
    return checksum if isinstance(checksum, str) and _SHA256.match(checksum) else None


def _dependencies(given: Any, path: str) -> tuple[str, ...]:
    """Names of packages; versions are those that the easyconfigs of these have."""
    names = []
    for one in given:
        name = one.get("name") if isinstance(one, dict) else one[0] if isinstance(one, tuple) and one else one
        if not isinstance(name, str):
            raise InvalidError(f"{path}: {one!r} is no dependency")
        names.append(stack_name(name.split("/")[0]))
    return tuple(dict.fromkeys(names))


def _toolchain(given: Any) -> str:
    if isinstance(given, dict) and given.get("name") not in {None, "system"}:
        return f"{given['name']} {given.get('version', '')}".strip()
    return "system"
