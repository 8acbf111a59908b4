"""Find a release on a package index by its simple API; no code of a package is ever run."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from hashdist.errors import InvalidError, NetworkError, NotFoundError

from .declaration import PypiSource
from .network import Network, UrlNotFoundError, read_url
from .pip_settings import PipSettings

if TYPE_CHECKING:
    from packaging.tags import Tag

_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"


class ReleaseNotFoundError(NotFoundError):
    """A release, or a file of it that fits, that no index has."""

    code = "release_not_found"


@dataclass(frozen=True, slots=True)
class PythonTarget:
    """The Python that wheels must fit."""

    version: tuple[int, int]
    """Such as (3, 11)."""
    abi: str
    """Such as 'cp311'."""

    def tags(self) -> list[Tag]:
        """The tags it takes, best first; platforms are those of this machine."""
        from packaging import tags  # noqa: PLC0415 - only where an index is read

        interpreter = f"cp{self.version[0]}{self.version[1]}"
        return [
            *tags.cpython_tags(self.version, [self.abi]),
            *tags.compatible_tags(self.version, interpreter),
        ]


def parse_python(text: str) -> PythonTarget:
    """Read a Python's ABI tag, such as ``cp312``; raises `InvalidError`."""
    found = re.fullmatch(r"cp(\d)(\d+)([a-z]*)", text)
    if not found:
        raise InvalidError(f"'{text}' is not the ABI of a CPython, such as cp312")
    return PythonTarget((int(found[1]), int(found[2])), text)


@dataclass(frozen=True, slots=True)
class ReleaseFile:
    """A file of a release."""

    name: str
    """Its file name."""
    url: str
    """Where it is; may hold credentials."""
    sha256: str | None
    """As the index tells it."""


def find_release(
    source: PypiSource, *, target: PythonTarget | None, settings: PipSettings, network: Network
) -> ReleaseFile:
    """The file of the release that pip would take: the wheel that fits best, or the source distribution.

    Raises `ReleaseNotFoundError`, or `NetworkError` when no index could be asked.
    """
    files, failures, asked = [], [], []
    for index in all_indexes(settings):
        try:
            files += _index_files(index, source.project, network)
            asked.append(index)
        except UrlNotFoundError:
            asked.append(index)
        except NetworkError as error:
            failures.append(error)
    for place in settings.find_links:
        files += _directory_files(place)
    found = _best(source, files, target)
    if found is not None:
        return found
    if failures and not asked:
        raise failures[0]
    kind = "wheel that fits" if source.wheel else "source distribution"
    versions = sorted({version for file in files if (version := _version(file.name, source.project))})
    known = ", ".join(versions[-8:]) or "no release at all"
    raise ReleaseNotFoundError(
        f"no {kind} of '{source.project}' {source.version} on the package index (it has {known})",
        hint="check name and version; 'pip index versions NAME' lists them",
    ) from (failures[0] if failures else None)


def all_indexes(settings: PipSettings) -> tuple[str, ...]:
    """The URLs of all indexes that pip would ask, the public one first where no other takes its place."""
    if not settings.default:
        return settings.indexes
    from pypi_simple import PYPI_SIMPLE_ENDPOINT  # noqa: PLC0415 - takes 250 ms

    return (PYPI_SIMPLE_ENDPOINT, *settings.indexes)


def _index_files(index: str, project: str, network: Network) -> list[ReleaseFile]:
    from packaging.utils import canonicalize_name  # noqa: PLC0415 - see above
    from pypi_simple import ProjectPage  # noqa: PLC0415 - takes 250 ms

    url = f"{index.rstrip('/')}/{canonicalize_name(project)}/"
    data, kind = read_url(url, network, accept=_ACCEPT)
    page: Any
    try:
        if "json" in kind:
            page = ProjectPage.from_json_data(json.loads(data), base_url=url)
        else:
            page = ProjectPage.from_html(project, data, base_url=url)
    except Exception as error:  # the library has no root for its errors, and what it reads comes from anywhere
        raise NetworkError(f"the package index gives no page that can be read for '{project}': {error}") from error
    return [ReleaseFile(file.filename, file.url, (file.digests or {}).get("sha256")) for file in page.packages]


def _directory_files(place: str) -> list[ReleaseFile]:
    path = urlsplit(place).path if place.startswith("file:") else place
    if not os.path.isdir(path):
        return []
    return [
        ReleaseFile(name, f"file://{os.path.join(os.path.abspath(path), name)}", None)
        for name in sorted(os.listdir(path))
    ]


class _Parsed(NamedTuple):
    project: str
    version: Any
    build: tuple[int, str] | tuple[()]
    tags: frozenset[Tag] | None
    """None for source distributions."""


def _version(name: str, project: str) -> str | None:
    parsed = _parse(name)
    if parsed is None:
        return None
    from packaging.utils import canonicalize_name  # noqa: PLC0415 - see above

    return str(parsed.version) if parsed.project == canonicalize_name(project) else None


def _parse(name: str) -> _Parsed | None:
    from packaging import utils  # noqa: PLC0415 - see above

    try:
        if name.endswith(".whl"):
            return _Parsed(*utils.parse_wheel_filename(name))
        if name.endswith((".tar.gz", ".zip")):
            project, version = utils.parse_sdist_filename(name)
            return _Parsed(project, version, (), None)
    except (utils.InvalidWheelFilename, utils.InvalidSdistFilename):
        pass
    return None


def _best(source: PypiSource, files: Sequence[ReleaseFile], target: PythonTarget | None) -> ReleaseFile | None:
    from packaging.utils import canonicalize_name  # noqa: PLC0415 - see above
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415

    try:
        wanted = Version(source.version)
    except InvalidVersion:
        return None
    ranks = {tag: rank for rank, tag in reversed(list(enumerate(target.tags())))} if target else {}
    found: list[tuple[int, int, list[int], int, ReleaseFile]] = []
    for file in files:
        parsed = _parse(file.name)
        if parsed is None or parsed.project != canonicalize_name(source.project) or parsed.version != wanted:
            continue
        if (parsed.tags is not None) != source.wheel:
            continue
        fitting = [ranks[tag] for tag in parsed.tags or () if tag in ranks]
        if fitting or not source.wheel:
            # the best tag first, of those the latest build, as pip does; of several indexes the first
            number, letters = parsed.build or (0, "")
            found.append((min(fitting, default=0), -number, [-ord(letter) for letter in letters], len(found), file))
    return min(found)[-1] if found else None
