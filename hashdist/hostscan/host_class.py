"""What hosts that are alike have in common."""

from __future__ import annotations

import os


def host_class() -> str:
    """Operating system release and machine, such as 'debian-12-x86_64': what hosts that are alike share."""
    fields = {}
    for path in ("/etc/os-release", "/usr/lib/os-release"):
        if os.path.exists(path):
            with open(path, encoding="utf-8", errors="replace") as file:
                fields = dict(line.strip().split("=", 1) for line in file if "=" in line)
            break
    words = [fields.get("ID", "linux"), fields.get("VERSION_ID", ""), os.uname().machine]
    return "-".join(word.strip("\"'") for word in words if word.strip("\"'"))
