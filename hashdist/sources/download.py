"""Bring the bytes behind a URL into ``downloads/``: verified before anything looks at them.

A file in ``downloads/`` is named by its SHA-256 and appears there whole, so one that is there need not be
fetched again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from hashdist.errors import HashdistError, NetworkError
from hashdist.fsutil.atomic import sync_directory, unique_suffix
from hashdist.objects.manifest import file_sha256
from hashdist.progress import SILENT, Progress

from .declaration import without_credentials

if TYPE_CHECKING:
    from typing import BinaryIO

    import requests

    from hashdist.store.store import Store

_CHUNK = 1 << 18
_TRIES = 3
_NOT_FOUND = (404, 410)
_TEMPORARY = (429, 500, 502, 503, 504)
_CONNECT_SECONDS, _READ_SECONDS = 15, 60


class HashMismatchError(HashdistError):
    """Bytes that are not those that were pinned."""

    code = "hash_mismatch"


class UrlNotFoundError(NetworkError):
    """A URL that leads to nothing."""

    code = "url_not_found"


class OfflineError(NetworkError):
    """Something would have to be fetched, and ``--offline`` forbids it."""

    code = "offline"


@dataclass(frozen=True, slots=True)
class Network:
    """How to reach others: what users have configured for pip and their other tools."""

    offline: bool = False
    """Fetch nothing over the network."""
    certificates: str | None = None
    """A file of authorities, for servers the system does not know."""
    credentials: Mapping[str, str] = field(default_factory=dict)
    """Host to ``user:password``, for URLs that were recorded without."""
    progress: Progress = SILENT
    """Told of bytes as they come."""


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


def download(store: Store, urls: list[str], *, sha256: str | None, network: Network) -> Download:
    """Bring the file that any of `urls` has, tried in turn; with `sha256` a copy that is here serves.

    Raises `HashMismatchError`, `UrlNotFoundError`, `OfflineError` or `NetworkError`; nothing is kept then.
    """
    if sha256 is not None:
        path = store.inside("downloads", sha256)
        if os.path.exists(path):
            if file_sha256(path) == sha256:
                return Download(path, sha256, os.path.getsize(path), without_credentials(urls[-1]))
            os.unlink(path)
    failures: list[HashdistError] = []
    for url in urls:
        try:
            return _download_one(store, url, sha256, network)
        except (NetworkError, HashMismatchError) as error:
            failures.append(error)
    mismatch = next((error for error in failures if isinstance(error, HashMismatchError)), None)
    raise mismatch or failures[-1]


def read_url(url: str, network: Network, *, accept: str | None = None) -> tuple[bytes, str]:
    """The bytes behind a small URL and their content type; raises as `download` does."""
    if urlsplit(url).scheme == "file":
        path = _local_path(url)
        if os.path.isdir(path):
            path = os.path.join(path, "index.html")
        with _reading(path, url) as file:
            return file.read(), "text/html"
    with _response(url, network, {"Accept": accept} if accept else {}) as response:
        return response.content, response.headers.get("Content-Type", "")


def _download_one(store: Store, url: str, sha256: str | None, network: Network) -> Download:
    temporary = store.inside("downloads", f"tmp-{unique_suffix()}")
    try:
        with open(temporary, "xb") as file:
            digest, size = hashlib.sha256(), 0
            for chunk in _chunks(url, network):
                file.write(chunk)
                digest.update(chunk)
                size += len(chunk)
            file.flush()
            if store.durable:
                os.fsync(file.fileno())
        found = digest.hexdigest()
        if sha256 is not None and found != sha256:
            raise _mismatch(temporary, url, sha256, found)
        path = store.inside("downloads", found)
        os.chmod(temporary, 0o644)
        os.rename(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
    sync_directory(store.inside("downloads"))
    return Download(path, found, size, without_credentials(url))


def _mismatch(path: str, url: str, wanted: str, found: str) -> HashMismatchError:
    shown = without_credentials(url)
    if looks_like_html(path):
        return HashMismatchError(f"'{shown}' gave a web page instead of the archive", hint="check the URL in a browser")
    return HashMismatchError(
        f"'{shown}' has another hash than was pinned: {found} instead of {wanted}",
        hint="if upstream replaced the file on purpose, change sha256 in the stack file",
    )


def looks_like_html(path: str) -> bool:
    """Whether a file begins like a web page."""
    with open(path, "rb") as file:
        head = file.read(512).lstrip().lower()
    return head.startswith((b"<!doctype html", b"<html"))


def _chunks(url: str, network: Network) -> Iterator[bytes]:
    label = os.path.basename(urlsplit(url).path) or url
    if urlsplit(url).scheme == "file":
        with (
            _reading(_local_path(url), url) as file,
            network.progress.task(label, os.fstat(file.fileno()).st_size, "B") as task,
        ):
            while chunk := file.read(_CHUNK):
                task.advance(len(chunk))
                yield chunk
        return
    with _response(url, network, {"Accept-Encoding": "identity"}) as response:
        length = response.headers.get("Content-Length", "")
        total, received = int(length) if length.isdigit() else None, 0
        with network.progress.task(label, total, "B") as task:
            for chunk in _body(response, url):
                received += len(chunk)
                task.advance(len(chunk))
                yield chunk
        received = response.raw.tell()  # before any Content-Encoding was undone
        if total is not None and received != total:
            raise NetworkError(
                f"'{without_credentials(url)}' was cut short: {received} of {total} bytes", hint="try again"
            )


def _body(response: requests.Response, url: str) -> Iterator[bytes]:
    import requests  # noqa: PLC0415 - takes 100 ms, and many commands fetch nothing

    try:
        yield from response.iter_content(_CHUNK)
    except requests.RequestException as error:
        raise NetworkError(f"'{without_credentials(url)}' broke off: {_reason(error)}", hint="try again") from error


@contextlib.contextmanager
def _reading(path: str, url: str) -> Iterator[BinaryIO]:
    try:
        file = open(path, "rb")  # noqa: SIM115 - closed below
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UrlNotFoundError(f"nothing at '{url}'") from error
    except OSError as error:
        raise NetworkError(f"'{url}' cannot be read: {error.strerror}") from error
    with file:
        yield file


def _local_path(url: str) -> str:
    return unquote(urlsplit(url).path)


@contextlib.contextmanager
def _response(url: str, network: Network, headers: dict[str, str]) -> Iterator[requests.Response]:
    """A good answer of a server, after a few tries; redirects only to https, or from http to http."""
    import requests  # noqa: PLC0415 - see above

    shown = without_credentials(url)
    if network.offline:
        raise OfflineError(f"'{shown}' would have to be fetched", hint="leave out --offline")
    with requests.Session() as session:
        if network.certificates:
            session.verify = network.certificates
        session.max_redirects = 10
        session.rebuild_auth = _check_redirect  # type: ignore[method-assign]
        authentication = _credentials(url, network)
        failure = NetworkError(f"'{shown}' cannot be reached")
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(0.5 * 2**attempt)
            try:
                response = session.get(
                    url, headers=headers, stream=True, auth=authentication, timeout=(_CONNECT_SECONDS, _READ_SECONDS)
                )
            except requests.RequestException as error:
                failure = NetworkError(
                    f"'{shown}' cannot be reached: {_reason(error)}", hint="check the network and try again"
                )
                failure.__cause__ = error
                continue
            with response:
                if response.status_code in _NOT_FOUND:
                    raise UrlNotFoundError(f"nothing at '{shown}' (status {response.status_code})")
                if response.ok:
                    yield response
                    return
            failure = NetworkError(f"'{shown}' answered with status {response.status_code} {response.reason}")
            if response.status_code not in _TEMPORARY:
                break
        raise failure


def _check_redirect(request: requests.PreparedRequest, response: requests.Response) -> None:
    """Refuse a redirect that leaves http(s) or gives up encryption; never carry credentials to another host."""
    before, after = urlsplit(response.url), urlsplit(request.url or "")
    if after.scheme not in {"http", "https"} or (before.scheme == "https" and after.scheme == "http"):
        raise NetworkError(
            f"'{without_credentials(response.url)}' redirects from {before.scheme} to {after.scheme}: refused"
        )
    if before.hostname != after.hostname:
        request.headers.pop("Authorization", None)


def _credentials(url: str, network: Network) -> tuple[str, str] | None:
    parts = urlsplit(url)
    if parts.username or not parts.hostname or parts.hostname not in network.credentials:
        return None
    user, _, password = network.credentials[parts.hostname].partition(":")
    return unquote(user), unquote(password)


def _reason(error: Exception) -> str:
    return str(error.args[0] if error.args else error).split("\n")[0][:200]
