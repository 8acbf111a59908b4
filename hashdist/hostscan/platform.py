"""What kind of machine this is."""

from __future__ import annotations

import os

from hashdist.objects.spec import Platform

_BASELINE = {"x86_64": "x86-64", "aarch64": "armv8-a"}
#: Flags of /proc/cpuinfo that the x86-64 psABI's levels ask for.
_LEVELS = (
    ("x86-64-v4", "avx512f avx512bw avx512cd avx512dq avx512vl"),
    ("x86-64-v3", "avx avx2 bmi1 bmi2 f16c fma abm movbe xsave"),
    ("x86-64-v2", "cx16 lahf_lm popcnt sse4_1 sse4_2 ssse3"),
)


def this_platform() -> Platform:
    """The platform with its oldest CPU, on which results run everywhere."""
    machine = os.uname().machine
    return Platform("linux", machine, _BASELINE.get(machine, machine))


def native_cpu() -> str:
    """The psABI level of this machine's CPU."""
    machine = os.uname().machine
    flags: set[str] = set()
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("flags"):
                flags = set(line.partition(":")[2].split())
                break
    missing = False
    best = _BASELINE.get(machine, machine)
    for level, words in reversed(_LEVELS):
        missing = missing or not flags >= set(words.split())
        if machine == "x86_64" and not missing:
            best = level
    return best
