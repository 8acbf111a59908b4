"""Ask web servers: proxies, netrc and certificates as users have them, retries, and no way out of https."""

from __future__ import annotations

import contextlib
import os
import random
import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from hashdist.errors import HashdistError, NetworkError
from hashdist.progress import SILENT, Progress

from .declaration import without_credentials
from .settings import FetchSettings

if TYPE_CHECKING:
    from typing import BinaryIO

    import requests

_CHUNK = 1 << 18
_NOT_FOUND = (404, 410)
_TEMPORARY = (429, 500, 502, 503, 504)
_CONNECT_SECONDS = 15
#: The longest that a server can make us wait between two tries.
_LONGEST_WAIT = 30.0
#: The largest page of an index.
_PAGE = 256 << 20


class UrlNotFoundError(NetworkError):
    """A URL that leads to nothing."""

    code = "url_not_found"


class OfflineError(NetworkError):
    """Something would have to be fetched, and ``--offline`` forbids it."""

    code = "offline"


class TooSlowError(NetworkError):
    """A server that sends next to nothing."""

    code = "too_slow"


class TruncatedError(NetworkError):
    """A body that ended before its end."""

    code = "truncated"


class RedirectError(NetworkError):
    """A redirect that leaves http and https, or gives up encryption."""

    code = "redirect"


class CancelledError(HashdistError):
    """A download that nobody waits for any more."""

    code = "cancelled"


@dataclass(frozen=True, slots=True)
class Network:
    """How to reach others: what users have configured for pip and their other tools."""

    settings: FetchSettings = field(default_factory=FetchSettings)
    """Offline or not, how patient, how large."""
    certificates: str | None = None
    """A file of authorities, for servers the system does not know."""
    credentials: Mapping[str, str] = field(default_factory=dict)
    """Host to ``user:password``, for URLs that were recorded without."""
    progress: Progress = SILENT
    """Told of bytes as they come."""
    cancelled: threading.Event = field(default_factory=threading.Event)
    """Set when nobody waits any more."""

    def check(self) -> None:
        """Raise `CancelledError` when nobody waits any more."""
        if self.cancelled.is_set():
            raise CancelledError("cancelled")


def check_allowed(url: str, network: Network) -> None:
    """See whether a repository may be talked to, and is there as far as that can be known; a path counts as a URL.

    Raises `OfflineError` or `UrlNotFoundError`.
    """
    path = url if url.startswith("/") else local_path(url) if urlsplit(url).scheme == "file" else None
    if path is None and network.settings.offline:
        raise OfflineError(f"'{url}' would have to be fetched", hint="leave out --offline")
    if path is not None and not os.path.exists(path):
        raise UrlNotFoundError(f"nothing at '{url}'")


def read_url(url: str, network: Network, *, accept: str | None = None) -> tuple[bytes, str]:
    """The bytes behind a small URL and their content type.

    Raises `UrlNotFoundError`, `OfflineError` or another `NetworkError`.
    """
    if urlsplit(url).scheme == "file":
        path = local_path(url)
        if os.path.isdir(path):
            path = os.path.join(path, "index.html")
        with reading(path, url) as file:
            return file.read(), "text/html"
    with asking(url, network, {"Accept": accept} if accept else {}) as response:
        parts, size = [], 0
        for chunk in response.iter_content(_CHUNK):
            parts.append(chunk)
            size += len(chunk)
            if size > _PAGE:
                raise NetworkError(f"'{without_credentials(url)}' is a page of more than {_PAGE} bytes")
        return b"".join(parts), response.headers.get("Content-Type", "")


@contextlib.contextmanager
def reading(path: str, url: str) -> Iterator[BinaryIO]:
    """The file that a ``file:`` URL leads to; raises `UrlNotFoundError`."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise NetworkError(f"'{url}' is not a file")
    try:
        file = open(path, "rb")  # noqa: SIM115 - closed below
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UrlNotFoundError(f"nothing at '{url}'") from error
    except OSError as error:
        raise NetworkError(f"'{url}' cannot be read: {error.strerror}") from error
    with file:
        yield file


def local_path(url: str) -> str:
    """The path that a ``file:`` URL means."""
    return os.fsdecode(unquote_to_bytes(urlsplit(url).path))


@contextlib.contextmanager
def asking(url: str, network: Network, headers: Mapping[str, str]) -> Iterator[requests.Response]:
    """A good answer of a server (any 2xx, or 416), after a few tries."""
    import requests  # noqa: PLC0415 - takes 100 ms, and many commands fetch nothing
    import urllib3  # noqa: PLC0415 - comes with it

    shown = without_credentials(url)
    if network.settings.offline:
        raise OfflineError(f"'{shown}' would have to be fetched", hint="leave out --offline")
    with requests.Session() as session:
        if network.certificates:
            session.verify = network.certificates
        session.max_redirects = 10
        session.rebuild_auth = _check_redirect  # type: ignore[method-assign]
        authentication = _credentials(url, network)
        failure = NetworkError(f"'{shown}' cannot be reached")
        delay = 0.0
        for attempt in range(network.settings.tries):
            if attempt:
                pause(network, max(delay, back_off(network, attempt)))
            delay = 0.0
            try:
                response = session.get(
                    url,
                    headers=headers,
                    stream=True,
                    auth=authentication,
                    timeout=(_CONNECT_SECONDS, network.settings.patience),
                )
            except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
                failure = NetworkError(
                    f"'{shown}' cannot be reached: {reason(error)}", hint="check the network and try again"
                )
                failure.__cause__ = error
                continue
            with response:
                if response.status_code in _NOT_FOUND:
                    raise UrlNotFoundError(f"nothing at '{shown}' (status {response.status_code})")
                if response.ok or response.status_code == requests.codes.requested_range_not_satisfiable:
                    yield response
                    return
            failure = NetworkError(f"'{shown}' answered with status {response.status_code} {response.reason}")
            if response.status_code not in _TEMPORARY:
                break
            delay = _retry_after(response)
        raise failure


def back_off(network: Network, attempt: int) -> float:
    """Seconds to wait before the next try; not the same for all who wait."""
    return network.settings.first_wait * float(2 ** max(0, attempt - 1)) * random.uniform(0.7, 1.3)  # noqa: S311 - not a secret


def pause(network: Network, seconds: float) -> None:
    """Wait, unless nobody waits for us."""
    if network.cancelled.wait(min(seconds, _LONGEST_WAIT)):
        raise CancelledError("cancelled")


def _retry_after(response: requests.Response) -> float:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else 0.0


def body(response: requests.Response, url: str, network: Network) -> Iterator[bytes]:
    """The bytes of an answer, as they are sent; a server that is too slow is given up."""
    import requests  # noqa: PLC0415 - see above
    import urllib3  # noqa: PLC0415 - comes with it

    settings, shown = network.settings, without_credentials(url)
    since, received = time.monotonic(), 0
    while True:
        if network.cancelled.is_set():
            raise CancelledError("cancelled")
        try:
            chunk = response.raw.read1(_CHUNK, decode_content=False)
        except (urllib3.exceptions.ReadTimeoutError, TimeoutError) as error:
            raise _too_slow(shown, settings) from error
        except (urllib3.exceptions.HTTPError, requests.RequestException, OSError) as error:
            raise TruncatedError(f"'{shown}' broke off: {reason(error)}", hint="try again") from error
        if not chunk:
            return
        yield chunk
        received += len(chunk)
        now = time.monotonic()
        if now - since >= settings.patience:
            if received < settings.minimum_rate * (now - since):
                raise _too_slow(shown, settings)
            since, received = now, 0


def _too_slow(shown: str, settings: FetchSettings) -> TooSlowError:
    return TooSlowError(
        f"'{shown}' is too slow: less than {settings.minimum_rate} bytes a second for {settings.patience:g} seconds",
        hint="try again: what came is kept where the server lets us go on",
    )


def _check_redirect(request: requests.PreparedRequest, response: requests.Response) -> None:
    """Refuse a redirect that leaves http(s) or gives up encryption; never carry credentials to another host."""
    before, after = urlsplit(response.url), urlsplit(request.url or "")
    if after.scheme not in {"http", "https"} or (before.scheme == "https" and after.scheme == "http"):
        raise RedirectError(
            f"'{without_credentials(response.url)}' redirects from {before.scheme} to {after.scheme}: refused",
            hint="if you trust it, declare the URL that it leads to",
        )
    if (before.hostname, before.port) != (after.hostname, after.port):
        request.headers.pop("Authorization", None)


def _credentials(url: str, network: Network) -> tuple[str, str] | None:
    parts = urlsplit(url)
    if parts.username or not parts.hostname or parts.hostname not in network.credentials:
        return None
    user, _, password = network.credentials[parts.hostname].partition(":")
    return unquote(user), unquote(password)


def reason(error: BaseException) -> str:
    """What is at the bottom of an error of the web library: what is above repeats the URL, with its secrets."""
    seen = {id(error)}
    while True:
        below = getattr(error, "reason", None) or next((one for one in error.args if isinstance(one, Exception)), None)
        if not isinstance(below, Exception) or id(below) in seen:
            break
        seen.add(id(below))
        error = below
    words = str(error.args[-1] if error.args else error).split("\n")[0]
    return re.sub(r"\S*(://|url: )\S*", "…", words)[:200]
