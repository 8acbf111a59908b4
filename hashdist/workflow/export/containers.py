"""Recipes of container images: a Dockerfile or an Apptainer definition, with the archive that it unpacks beside it."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hashdist.errors import InvalidError, NotFoundError
from hashdist.fsutil.atomic import publish, unique_suffix, write_file
from hashdist.fsutil.removal import remove_tree
from hashdist.hostscan.capture import PackageLine
from hashdist.workflow.session import Session

from .archive import check_free, export_tar
from .closure import Closure
from .contents import HostFiles

#: Operating systems, as ``/etc/os-release`` has them, whose images are called otherwise.
_IMAGES = {"rocky": "rockylinux", "opensuse-leap": "opensuse/leap", "ol": "oraclelinux"}
_ARCHIVE = "profile.tar.gz"
_SCRATCH = "scratch"
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]*\Z")
Kind = Literal["dockerfile", "apptainer"]
_FILES: dict[Kind, str] = {"dockerfile": "Dockerfile", "apptainer": "profile.def"}


@dataclass(frozen=True, slots=True)
class Recipe:
    """A directory to make an image from."""

    path: str
    """Where it is."""
    file: str
    """The recipe in it."""
    image: str
    """What it starts from."""
    size: int
    """Bytes of the archive in it."""


def export_recipe(
    session: Session, revision: str | None, path: str, *, kind: Kind, image: str | None, host: HostFiles
) -> Recipe:
    """Make a directory with a recipe and an archive, which is there wholly or not at all.

    With all files of the host it starts from nothing; else from `image` (None: the system that the host was, when
    that was captured), with the packages of the host installed there. Raises as `export_tar` does, and
    `NotFoundError` where it is not known what to start from.
    """
    check_free(path)
    if image is not None and not _IMAGE.match(image):
        raise InvalidError(f"'{image}' is not the name of an image", hint="such as debian:12")
    start = _SCRATCH if host == "all" else image or base_image(session.where.host_class)
    temporary = f"{path}.tmp-{unique_suffix()}"
    os.mkdir(temporary)
    try:
        done = export_tar(session, revision, os.path.join(temporary, _ARCHIVE), host=host)
        packages = [] if host == "all" else done.closure.packages
        text = (_dockerfile if kind == "dockerfile" else _definition)(done.closure, start, packages)
        write_file(os.path.join(temporary, _FILES[kind]), text.encode(), durable=False)
        publish(temporary, path, durable=False)
    except BaseException:
        remove_tree(temporary)
        raise
    return Recipe(path, os.path.join(path, _FILES[kind]), start, done.size)


def base_image(host_class: str) -> str:
    """The image of an operating system: ``debian:12`` for ``debian-12-x86_64``; raises `NotFoundError`."""
    system, _, rest = host_class.partition("-")
    if rest.startswith("leap-"):
        system, rest = f"{system}-leap", rest.removeprefix("leap-")
    version = rest.rpartition("-")[0]
    if not version:
        raise NotFoundError(f"no image is known for hosts of class '{host_class}'", hint="say it: --from IMAGE")
    return f"{_IMAGES.get(system, system)}:{version}"


def _installing(packages: Sequence[PackageLine]) -> str:
    """A shell line that installs packages; empty where there are none."""
    names = shlex.join(sorted({line.name for line in packages}))
    if not packages:
        return ""
    if packages[0].manager == "dpkg":
        return f"apt-get update && apt-get install -y --no-install-recommends {names} && rm -rf /var/lib/apt/lists/*"
    return f"dnf install -y {names} && dnf clean all"


def _comments(closure: Closure, packages: Sequence[PackageLine]) -> list[str]:
    lines = [f"# The profile {closure.name} at commit {closure.commit}."]
    if packages:
        lines.append("# Packages of the host it was built on, in the versions it had there:")
        lines += [f"#   {line.name} {line.version}" for line in packages]
    return lines


def _dockerfile(closure: Closure, image: str, packages: Sequence[PackageLine]) -> str:
    lines = [*_comments(closure, packages), f"FROM {image}"]
    if install := _installing(packages):
        lines.append(f"RUN {install}")
    lines += [
        f"ADD {_ARCHIVE} /",
        f"LABEL org.opencontainers.image.title={shlex.quote(closure.name)} \\",
        f"      org.opencontainers.image.revision={closure.commit}",
        f'ENV PATH="{closure.link}/bin:/usr/local/bin:/usr/bin:/bin"',
        'CMD ["/bin/sh"]',
    ]
    return "\n".join(lines) + "\n"


def _definition(closure: Closure, image: str, packages: Sequence[PackageLine]) -> str:
    lines = _comments(closure, packages)
    if image == _SCRATCH:
        lines += ["Bootstrap: scratch", "", "%setup", f'    tar -C "$APPTAINER_ROOTFS" -xzf {_ARCHIVE}']
    else:
        lines += ["Bootstrap: docker", f"From: {image}", "", "%files", f"    {_ARCHIVE} /{_ARCHIVE}", "", "%post"]
        if install := _installing(packages):
            lines.append(f"    {install}")
        lines += [f"    tar -C / -xzf /{_ARCHIVE}", f"    rm /{_ARCHIVE}"]
    lines += [
        "",
        "%labels",
        f"    org.opencontainers.image.title {closure.name}",
        f"    org.opencontainers.image.revision {closure.commit}",
        "",
        "%environment",
        f'    export PATH="{closure.link}/bin:$PATH"',
        "",
        "%runscript",
        '    exec "$@"',
    ]
    return "\n".join(lines) + "\n"
