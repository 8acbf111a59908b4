"""Bring the bytes behind a URL into ``downloads/``: verified before anything looks at them.

A file in ``downloads/`` is named by its SHA-256 and appears there whole, so one that is there need not be
fetched again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hashdist.errors import HashdistError, NetworkError
from hashdist.fsutil.atomic import sync_directory
from hashdist.objects.importing import LimitError
from hashdist.objects.manifest import file_sha256

from .declaration import without_credentials
from .downloads import cached, folders
from .network import Network, TruncatedError, asking, back_off, body, local_path, pause, reading
from .partial import Partial, Version, partial_file

if TYPE_CHECKING:
    import requests

    from hashdist.progress import Task
    from hashdist.store.store import Store

_CHUNK = 1 << 18
_PARTIAL_CONTENT, _RANGE_NOT_SATISFIABLE = 206, 416
#: How often a download that makes headway is taken up again.
_MOST_RESUMES = 20


class HashMismatchError(HashdistError):
    """Bytes that are not those that were pinned."""

    code = "hash_mismatch"


class WebPageError(HashMismatchError):
    """A web page in place of what was asked for."""

    code = "web_page"


@dataclass(frozen=True, slots=True)
class Download:
    """A file in ``downloads/``."""

    path: str
    """Where it lies."""
    sha256: str
    """What it is."""
    size: int
    """Its bytes."""
    url: str
    """Where it came from, without credentials."""
    etag: str | None = None
    """As the server sent it; None when it was here already."""
    modified: str | None = None
    """Likewise: ``Last-Modified``."""
    fetched: bool = False
    """Whether it came just now, and was not here already."""


Judge = Callable[[Download], bool]
"""Told of a file with another hash than was pinned; whether it is to be taken. May raise a better error."""


def _refuse(_: Download) -> bool:
    return False


def download(
    store: Store, urls: Sequence[str], *, sha256: str | None, network: Network, judge: Judge = _refuse
) -> Download:
    """Bring the file that any of `urls` has, tried in turn; with `sha256` a copy that is here serves.

    Raises `HashMismatchError`, `UrlNotFoundError`, `OfflineError`, `TruncatedError`, `TooSlowError`,
    `LimitError` or another `NetworkError`; what came is never taken for the whole file then.
    """
    if sha256 is not None and (found := cached(store, sha256, network.settings)) is not None:
        return Download(found, sha256, os.path.getsize(found), without_credentials(urls[-1]))
    failures: list[HashdistError] = []
    for url in urls:
        try:
            return _download_one(store, url, sha256, network, judge)
        except (NetworkError, HashMismatchError, LimitError) as error:
            failures.append(error)
    raise _together(failures)


def _together(failures: list[HashdistError]) -> HashdistError:
    """One error for all places; a wrong hash is worth more than a place that is not there."""
    worst = next((error for error in failures if isinstance(error, HashMismatchError)), failures[-1])
    others = [error.message for error in failures if error is not worst]
    if others:
        worst.message = "\n".join([worst.message, *others])
        worst.args = (worst.message,)
    return worst


def _download_one(store: Store, url: str, sha256: str | None, network: Network, judge: Judge) -> Download:
    folder = folders(store, network.settings)[0]
    # two files that are pinned differently never mix, whatever a server says of their versions
    key = f"{without_credentials(url)} {sha256 or ''}".strip()
    # in a directory that several people share each has their own
    place = os.path.join(folder, "partial" if folder == store.inside("downloads") else f"partial-{os.getuid()}")
    with partial_file(place, key, durable=store.durable, waiting=store.waiting, give_up=network.check) as partial:
        if sha256 is not None and (found := cached(store, sha256, network.settings)) is not None:
            return Download(found, sha256, os.path.getsize(found), without_credentials(url))
        if urlsplit(url).scheme == "file":
            _copy(url, partial, network)
        else:
            _fetch(url, partial, network)
            if partial.resumed and sha256 not in {None, partial.digest.hexdigest()}:
                partial.forget()  # what the earlier download left was not what this server has
                _fetch(url, partial, network)
        return _take(partial, folder, url, sha256, judge)


def _take(partial: Partial, folder: str, url: str, sha256: str | None, judge: Judge) -> Download:
    """Publish what came if it is what was wanted."""
    version = partial.version
    found = Download(
        partial.path,
        partial.digest.hexdigest(),
        partial.size,
        without_credentials(url),
        version.etag if version else None,
        version.modified if version else None,
    )
    if sha256 not in {None, found.sha256}:
        try:
            taken = judge(found)
        except BaseException:
            partial.forget()
            raise
        if not taken:
            error = _mismatch(found, sha256 or "")
            partial.forget()
            raise error
    path = os.path.join(folder, found.sha256)
    try:
        partial.publish(path)
    except PermissionError:
        # somebody else's, in a directory where that cannot be replaced
        if file_sha256(path) != found.sha256:
            raise
        partial.forget()
        partial.leave()
    sync_directory(folder)
    return Download(path, found.sha256, found.size, found.url, found.etag, found.modified, fetched=True)


def _mismatch(found: Download, wanted: str) -> HashMismatchError:
    if looks_like_html(found.path):
        return WebPageError(
            f"'{found.url}' gave a web page instead of the archive", hint="look at the URL in a browser"
        )
    return HashMismatchError(
        f"'{found.url}' has another hash than was pinned: {found.sha256} instead of {wanted}",
        hint="if upstream replaced the file on purpose, change sha256 in the stack file",
    )


def looks_like_html(path: str) -> bool:
    """Whether a file begins like a web page."""
    with open(path, "rb") as file:
        head = file.read(512).lstrip().lower()
    return head.startswith((b"<!doctype html", b"<html"))


def _label(url: str) -> str:
    return os.path.basename(urlsplit(url).path) or without_credentials(url)


def _check_size(size: int, url: str, network: Network) -> None:
    limit = network.settings.limits.download
    if size > limit:
        raise LimitError(
            f"'{without_credentials(url)}' has more than {limit} bytes (limit: download)",
            hint="for a source that is what it should be: --limit download=NUMBER",
        )


def _copy(url: str, partial: Partial, network: Network) -> None:
    partial.forget()
    with reading(local_path(url), url) as file:
        total = os.fstat(file.fileno()).st_size
        _check_size(total, url, network)
        with network.progress.task(_label(url), total, "B") as task:
            while chunk := file.read(_CHUNK):
                partial.write(chunk)
                task.advance(len(chunk))


def _fetch(url: str, partial: Partial, network: Network) -> None:
    """Fetch all of it, taken up again where it breaks off as long as there is headway."""
    with network.progress.task(_label(url), None, "B") as task:
        if partial.size:
            task.advance(partial.size)
        failures = 0
        for _ in range(_MOST_RESUMES):
            before = partial.size
            try:
                _fetch_rest(url, partial, network, task)
            except TruncatedError:
                resumable = partial.version is not None and partial.version.validator is not None
                failures = 0 if resumable and partial.size > before else failures + 1
                if failures >= network.settings.tries:
                    raise
                pause(network, back_off(network, failures))
            else:
                return
        raise TruncatedError(f"'{without_credentials(url)}' breaks off again and again", hint="try another mirror")


def _fetch_rest(url: str, partial: Partial, network: Network, task: Task) -> None:
    headers = {"Accept-Encoding": "identity"}
    version = partial.version
    if partial.size and version is not None and version.validator is not None:
        if partial.size == version.total:
            return
        headers |= {"Range": f"bytes={partial.size}-", "If-Range": version.validator}
    with asking(url, network, headers) as response:
        if response.status_code == _RANGE_NOT_SATISFIABLE or not _fits(response, partial):
            partial.forget()
            raise TruncatedError(f"'{without_credentials(url)}' cannot be gone on with", hint="try again")
        if response.status_code == _PARTIAL_CONTENT:
            partial.resumed = True
        else:
            partial.begin(Version.of(response.headers))
        total = partial.version.total if partial.version else None
        task.expect(total)
        _check_size(total or 0, url, network)
        for chunk in body(response, url, network):
            partial.write(chunk)
            task.advance(len(chunk))
            _check_size(partial.size, url, network)
    if total is not None and partial.size != total:
        received = partial.size
        if received > total:
            partial.forget()
        raise TruncatedError(
            f"'{without_credentials(url)}' was cut short: {received} of {total} bytes", hint="try again"
        )


def _fits(response: requests.Response, partial: Partial) -> bool:
    """Whether a part goes on where we are, in the same version of the file."""
    if response.status_code != _PARTIAL_CONTENT:
        return True
    version = partial.version
    unit, _, given = response.headers.get("Content-Range", "").partition(" ")
    part, _, total = given.partition("/")
    if version is None or unit != "bytes" or part.partition("-")[0] != str(partial.size):
        return False
    etag, modified = response.headers.get("ETag"), response.headers.get("Last-Modified")
    same = etag in {None, version.etag} and modified in {None, version.modified}
    return same and (version.total is None or total in {"*", str(version.total)})
