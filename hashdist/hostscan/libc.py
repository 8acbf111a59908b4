"""The C library's run-time files, where no package tells whose they are: they count by the version they define."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from hashdist import elf

_RUNTIME = re.compile(
    r"(?:ld-linux[\w-]*|ld-musl-\w+|libc|libm|libmvec|libpthread|libdl|librt|libutil|libresolv|libanl|libnss_\w+)\.so(?:\.\d+)?\Z"
)


def is_libc_runtime(path: str) -> bool:
    """Whether a file is one of those that the C library gives to running programs."""
    return _RUNTIME.match(os.path.basename(path)) is not None


def libc_version(paths: Iterable[str]) -> dict[str, str]:
    """The newest version that the C library among these files defines, by name; empty if there is none."""
    for path in sorted(paths):
        if os.path.basename(path) == "libc.so.6" and (newest := elf.newest_version(path, "GLIBC_")):
            return {"glibc": newest}
    return {}
