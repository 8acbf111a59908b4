"""MPI by its compiler wrapper: the wrapper is asked which compiler, headers and libraries it stands for."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import replace

from hashdist import process
from hashdist.hostscan.errors import HostNotFoundError
from hashdist.hostscan.found import Found
from hashdist.hostscan.live import LiveHost
from hashdist.hostscan.trees import folders_of, is_shared, tree_files

from .asking import command_version
from .toolchain import find_toolchain, is_compiler

_WRAPPER = re.compile(r"mpi(?:cc|cxx|c\+\+|CC|fort|f77|f90|icc|icx|gcc)\Z")
_COMMANDS = tuple(
    """
    mpicc mpicxx mpic++ mpiCC mpifort mpif77 mpif90 mpirun mpiexec mpiexec.hydra orterun orted prterun prted prte
    ompi_info mpichversion hydra_pmi_proxy hydra_bstrap_proxy opal_wrapper
    """.split()
)


def is_mpi_wrapper(path: str) -> bool:
    """Whether a program's name is that of MPI's compiler wrappers."""
    return _WRAPPER.match(os.path.basename(path)) is not None


def find_mpi(path: str, host: LiveHost, *, folders: Sequence[str] = ()) -> Found:
    """Ask the wrapper at `path` for all it uses; raises `HostNotFoundError` when it does not work.

    The compiler that it names is looked for in `folders` and beside it, then in the system or, for a wrapper that no
    package knows, on the PATH.
    """
    place = host.ways.place(path)
    words = _show(place, host)
    owned = bool(host.owners([os.path.realpath(place)]))
    compiler = _find_compiler(words[0], [*folders, os.path.dirname(place)], host, owned=owned) if words else None
    if compiler is None or not is_compiler(compiler):
        raise HostNotFoundError(f"'{path}' is not an MPI wrapper that works", hint=f"try it by hand: {path} -show")
    # the wrappers for other languages need a compiler of theirs, which is asked for by itself
    beneath = find_toolchain(compiler, host, siblings=False, folders=folders)
    folder = os.path.dirname(place)
    links = {
        f"bin/{name}": os.path.join(folder, name)
        for name in _COMMANDS
        if os.access(os.path.join(folder, name), os.X_OK)
    }
    root = os.path.dirname(os.path.dirname(os.path.realpath(place)))
    by_answer = owned or is_shared(root)
    files = [*_headers(words), *_libraries(words)] if by_answer else list(tree_files(root))
    version = command_version(os.path.join(folder, "mpirun"), host.env, otherwise=beneath.version)
    return replace(
        beneath,
        finder="mpi",
        artifact_version=version,
        version=version,
        links={**beneath.links, **links},
        files=sorted({*beneath.files, *files}),
        watched=(*beneath.watched, *(() if by_answer else folders_of(files))),
    )


def _find_compiler(name: str, folders: Sequence[str], host: LiveHost, *, owned: bool) -> str | None:
    if os.path.isabs(name):
        return name if os.access(name, os.X_OK) else None
    near = shutil.which(name, path=":".join(folders))
    return near or (host.which_in_system(name) if owned else host.which(name))


def _show(path: str, host: LiveHost) -> list[str]:
    for question in ("-show", "--showme"):
        try:
            said = process.run([path, question], env={**host.env, "LC_ALL": "C"}, timeout=60).decode()
        except (process.ProgramFailedError, process.ProgramMissingError, UnicodeDecodeError):
            continue
        try:
            return shlex.split(said)
        except ValueError:
            continue
    return []


def _headers(words: list[str]) -> list[str]:
    """All below its include directories, for as far as those are its own; else the one header that leads to them."""
    found = []
    for folder in (os.path.realpath(word[2:]) for word in words if word.startswith("-I")):
        if is_shared(folder):
            found += [os.path.join(folder, "mpi.h")]
        elif os.path.isdir(folder):
            found += [one for one in tree_files(folder) if os.path.isfile(one)]
    return [one for one in found if os.path.isfile(one)]


def _libraries(words: list[str]) -> list[str]:
    folders = [word[2:] for word in words if word.startswith("-L")]
    names = [f"lib{word[2:]}.so" for word in words if word.startswith("-l")]
    places = (os.path.join(folder, name) for folder in folders for name in names)
    return [place for place in places if os.path.isfile(place)]
