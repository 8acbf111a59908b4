"""Presets: numbered ways to build, as data. They are expanded before hashing, so a number never changes."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

#: Variables that steer a compiler: 'a wheel compiles nothing'.
COMPILE_VARIABLES = frozenset(
    {"CFLAGS", "CXXFLAGS", "CPPFLAGS", "FFLAGS", "FCFLAGS", "LDFLAGS", "CC", "CXX", "FC", "F77"}
)
#: The host artifact of POSIX tools that every build gets unless it says ``base = false``.
BASE = "base"
BASE_NUMBER = 1
#: The host entry of a Python that installs packages which bring their own.
INSTALLER = "installer-python"


@dataclass(frozen=True, slots=True)
class Preset:
    """A way to build; ``{options}`` in a command stands for the package's options."""

    commands: tuple[str, ...]
    """Shell lines."""
    inputs: tuple[str, ...] = ()
    """What it brings beside base, by the names that stacks use."""
    compiles: bool = True
    """Whether compile flags have a meaning."""
    files: tuple[str, ...] = ()
    """Scripts of ours that go into the spec, so that it is whole by itself."""


_CMAKE = (
    'cmake -S . -B build-hdist -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$PREFIX" -DCMAKE_INSTALL_LIBDIR=lib'
)
_INSTALL_WHEEL = 'python3 "$FILES/install-wheel.py"'
PRESETS: dict[str, Preset] = {
    "autotools@1": Preset(('./configure --prefix="$PREFIX" {options}', "make", "make install")),
    "cmake@1": Preset(
        (
            _CMAKE + " {options}",
            "cmake --build build-hdist",
            "cmake --install build-hdist",
        ),
    ),
    "meson@1": Preset(
        (
            'meson setup build-hdist --prefix="$PREFIX" --libdir=lib --buildtype=release {options}',
            'ninja -C build-hdist -j "$HDIST_JOBS"',
            "ninja -C build-hdist install",
        ),
    ),
    "make@1": Preset(("make {options}", 'make install PREFIX="$PREFIX" prefix="$PREFIX" {options}')),
    "python@1": Preset(
        (
            "python3 -m pip wheel --no-deps --no-build-isolation --no-index --wheel-dir dist-hdist {options} .",
            _INSTALL_WHEEL + ' dist-hdist/*.whl "$PREFIX"',
        ),
        inputs=("python",),
        files=("install-wheel.py",),
    ),
    "wheel@1": Preset(
        (_INSTALL_WHEEL + ' . "$PREFIX"',), inputs=("python",), compiles=False, files=("install-wheel.py",)
    ),
    # without the site module: what .pth files of the Python start is nobody's input
    "wheel@2": Preset(
        ('python3 -I -S "$FILES/install-wheel.py" . "$PREFIX"',),
        inputs=("python",),
        compiles=False,
        files=("install-wheel.py",),
    ),
    # without RECORD, so that nothing uninstalls what is ours; and under Pythons whose compileall does not fork
    "python@2": Preset(
        (
            "python3 -m pip wheel --no-deps --no-build-isolation --no-index --wheel-dir dist-hdist {options} .",
            'python3 "$FILES/install-wheel-2.py" dist-hdist/*.whl "$PREFIX"',
        ),
        inputs=("python",),
        files=("install-wheel-2.py",),
    ),
    "wheel@3": Preset(
        ('python3 -I -S "$FILES/install-wheel-2.py" . "$PREFIX"',),
        inputs=("python",),
        compiles=False,
        files=("install-wheel-2.py",),
    ),
    # a Python of the host unpacks it; the one among the inputs, if there is one, is where modules go
    "conda@1": Preset(
        ('"$INSTALLER_PYTHON_DIR/bin/python3" -I -S "$FILES/install-conda.py" "$PREFIX" ${PYTHON_DIR:+"$PYTHON_DIR"}',),
        inputs=(INSTALLER,),
        compiles=False,
        files=("install-conda.py",),
    ),
    "copy@1": Preset(('cp -R -P -p . "$PREFIX"',), compiles=False),
}
#: What a bare name means.
NEWEST = {name.partition("@")[0]: name for name in PRESETS}


def find_preset(builder: str) -> str | None:
    """The full name of a preset, ``autotools`` meaning its newest number; None if there is none."""
    return builder if builder in PRESETS else NEWEST.get(builder)


def expand(preset: Preset, options: Sequence[str]) -> tuple[str, ...]:
    """The preset's commands with the options in their place."""
    words = shlex.join(options)
    return tuple(command.replace("{options}", words).rstrip() for command in preset.commands)


def script(name: str) -> bytes:
    """The bytes of one of our scripts."""
    return resources.files(__package__).joinpath("scripts", name).read_bytes()
