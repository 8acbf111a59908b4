"""From a host entry of a stack file to a capture of the live system."""

from __future__ import annotations

import os
from collections.abc import Callable

from hashdist.stack.packages import HostEntry

from .capture import HostCapture, capture
from .errors import HostNotFoundError
from .finders.base import find_base
from .finders.module import find_module
from .finders.package import find_dpkg, find_rpm
from .finders.path import find_path
from .finders.pkgconfig import find_pkgconfig
from .found import Found
from .live import LiveHost

#: What each kind of finder is given: the text after the colon, and the host.
Finder = Callable[[str, LiveHost], Found]
FINDERS: dict[str, Finder] = {
    "base": find_base,
    "dpkg": find_dpkg,
    "module": find_module,
    "path": find_path,
    "pkgconfig": find_pkgconfig,
    "rpm": find_rpm,
}


def scan(entry: HostEntry, host: LiveHost) -> HostCapture:
    """Capture what a host entry names.

    The first finder that fits is taken. Raises `HostNotFoundError` with what each of them said, and
    `HostChangingError` when something was installed or changed meanwhile.
    """
    before = host.state()
    failures = []
    for text in entry.find:
        try:
            found = _find(text, host)
            captured = capture(entry.name, text, found, host, identity=entry.identity)
        except HostNotFoundError as error:
            failures.append(error)
            continue
        except OSError as error:
            where = f"'{os.fsdecode(error.filename)}': " if isinstance(error.filename, (str, bytes)) else ""
            failures.append(HostNotFoundError(f"{where}{error.strerror or error}"))
            continue
        host.refuse_change(before, [(line.manager, line.name, line.version) for line in captured.packages])
        return captured
    words = "; ".join(str(failure) for failure in failures)
    raise HostNotFoundError(f"host entry '{entry.name}': {words}", hint=failures[-1].hint) from failures[-1]


def _find(text: str, host: LiveHost) -> Found:
    kind, separator, rest = text.partition("@" if text.startswith("base@") else ":")
    if not separator or kind not in FINDERS or not rest:
        raise HostNotFoundError(f"unknown finder '{text}'", hint=f"there are {', '.join(sorted(FINDERS))}")
    return FINDERS[kind](rest, host)
