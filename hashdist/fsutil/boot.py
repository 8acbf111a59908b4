"""Which start of which machine this is."""

from __future__ import annotations


def boot_id() -> str:
    """A text that no other machine has, nor this one after it is started anew; empty where the kernel has none."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""
