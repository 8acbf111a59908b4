"""Licences that Python packages declare, in SPDX's words.

https://packaging.python.org/specifications/core-metadata/ .
"""

from __future__ import annotations

import glob
import os

from license_expression import ExpressionError, LicenseExpression, get_spdx_licensing
from packaging.metadata import parse_email

#: Of what `License` says: whole texts stand there as well.
_LONGEST = 500
_METADATA = "lib*/python3*/site-packages/*.dist-info/METADATA"


def declared(artifact: str) -> LicenseExpression | None:
    """What the Python packages in an artifact at a path declare, all together.

    None where there are none, or one of them says nothing, or nothing that is an SPDX expression.
    """
    found = []
    for path in sorted(glob.glob(os.path.join(glob.escape(artifact), _METADATA))):
        with open(path, "rb") as file:
            raw, _ = parse_email(file.read())
        text = raw.get("license_expression") or raw.get("license", "")[:_LONGEST]
        try:
            found.append(get_spdx_licensing().parse(text, validate=True, strict=True))
        except ExpressionError:
            return None
    if not found or None in found:
        return None
    return get_spdx_licensing().parse(" AND ".join(dict.fromkeys(f"({one})" for one in found)))
