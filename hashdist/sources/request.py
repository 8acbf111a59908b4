"""A source that is wanted: what was said of it, or what was pinned of it before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .declaration import Declaration, GitSource, PypiSource, UrlSource, parse, to_json
from .pin import Pin
from .pypi import PythonTarget


@dataclass(frozen=True, slots=True)
class Request:
    """A source that is wanted."""

    declaration: Declaration
    """What was said of it."""
    target: PythonTarget | None = None
    """The Python that wheels must fit."""


def wanted(declaration: Declaration, target: PythonTarget | None) -> dict[str, Any]:
    """What a pin must say to fit: the declaration, and for a wheel the Python that it was picked for."""
    document = to_json(declaration)
    if isinstance(declaration, PypiSource) and declaration.wheel and target is not None:
        document["python"] = target.abi
    return document


def request_again(pin: Pin) -> Request:
    """What must be asked for so that the same comes: by hash where there is one."""
    declaration = pin.declaration
    subdir = declaration.get("subdir")
    if pin.url is not None and pin.sha256 is not None:
        origin = declaration.get("url", pin.url)
        places = [place for place in (pin.url, *declaration.get("mirrors", ())) if place != origin]
        return Request(UrlSource(origin, tuple(places), pin.sha256, subdir))
    if pin.url is not None and pin.commit is not None:
        return Request(GitSource(pin.url, pin.commit, declaration.get("submodules", True), subdir))
    known = {key: value for key, value in declaration.items() if key in {"path", "subdir"}}
    return Request(parse(known, version="", wheel=False))
