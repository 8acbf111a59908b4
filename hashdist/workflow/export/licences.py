"""Licences that Python packages declare, in SPDX's words.

https://packaging.python.org/specifications/core-metadata/ .
"""

from __future__ import annotations

import glob
import os

from license_expression import ExpressionError, LicenseExpression, get_spdx_licensing
from packaging.metadata import parse_email

#: What is longer is no expression: whole texts stand there as well.
_LONGEST = 1000
#: Besides its own errors the parser raises these for what is no expression.
_UNREADABLE = (ExpressionError, AssertionError, IndexError, TypeError, ValueError, RecursionError)
_METADATA = "lib*/python3*/site-packages/*.dist-info/METADATA"


def declared(artifact: str) -> LicenseExpression | None:
    """What the Python packages in an artifact at a path declare, all together.

    None where there are none, or one of them says nothing, or nothing that is an SPDX expression.
    """
    found = []
    for path in sorted(glob.glob(os.path.join(glob.escape(artifact), _METADATA))):
        text = _said(path)
        if not text or len(text) > _LONGEST:
            return None
        try:
            found.append(get_spdx_licensing().parse(text, validate=True, strict=True))
        except _UNREADABLE:
            return None
    if not found or None in found:
        return None
    return get_spdx_licensing().parse(" AND ".join(dict.fromkeys(f"({one})" for one in found)))


def _said(path: str) -> str:
    """What the metadata at a path say of the licence; nothing where they cannot be read."""
    try:
        with open(path, "rb") as file:
            raw, _ = parse_email(file.read())
    except OSError:
        return ""
    return raw.get("license_expression") or raw.get("license", "")
