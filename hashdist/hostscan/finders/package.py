"""``dpkg:NAME`` and ``rpm:NAME``: a package, with all that it depends on."""

from __future__ import annotations

import os
from dataclasses import replace

from hashdist.hostscan.found import Found
from hashdist.hostscan.live import LiveHost
from hashdist.hostscan.packages import Package, PackageDatabase, abi_version, is_by_abi, upstream_version

from .linking import links_for
from .mpi import find_mpi, is_mpi_wrapper
from .python import find_python, is_python
from .toolchain import find_toolchain, is_compiler


def find_dpkg(name: str, host: LiveHost) -> Found:
    """Find a package of Debian, with those parts of it that it depends on; raises `HostNotFoundError`."""
    return find_package(host.dpkg, host.dpkg.find(name), host)


def find_rpm(name: str, host: LiveHost) -> Found:
    """Find a package of rpm, likewise; raises `HostNotFoundError`."""
    return find_package(host.rpm, host.rpm.find(name), host)


def find_package(database: PackageDatabase, package: Package, host: LiveHost) -> Found:
    """An installed package with those parts of it that it depends on; raises `HostNotFoundError`."""
    parts = [package]
    for one in database.closure([package]):
        database.files(one)  # whose they are is asked soon, and known then
        if one.source == package.source and one != package and not is_by_abi(package):
            parts.append(one)
    files = [path for part in parts for path in database.files(part)]
    owned = {host.ways.follow(path).final for path in files}
    files += [host.ways.place(link) for link, target in host.alternatives().items() if target in owned]
    links = links_for(files, host)
    version = upstream_version(package.version)
    facts = {package.name: package.version}
    identity = "content"
    if is_by_abi(package):
        identity, facts = "abi", {package.source: abi_version(package)}
    found = Found(package.manager, package.version, version, identity, links, tuple(parts), facts=facts)
    return _with_what_it_uses(found, package, host)


def _with_what_it_uses(found: Found, package: Package, host: LiveHost) -> Found:
    """Programs that can be asked what they use are asked: compilers, MPI's wrappers, Python."""
    programs = {os.path.basename(link): target for link, target in found.links.items() if link.startswith("bin/")}
    python = next((path for name, path in sorted(programs.items()) if is_python(name)), None)
    if python is not None and package.name.startswith("python"):
        own = find_python(python, host)
        return replace(own, finder=found.finder, packages=found.packages, links={**own.links, **found.links})
    wrappers = sorted(name for name in programs if is_mpi_wrapper(name))
    wrapper = programs["mpicc" if "mpicc" in wrappers else wrappers[0]] if wrappers else None
    compiler = next((path for _, path in sorted(programs.items()) if is_compiler(path)), None)
    asked = find_mpi(wrapper, host) if wrapper else find_toolchain(compiler, host, siblings=False) if compiler else None
    if asked is None:
        return found
    return replace(
        found,
        links={**asked.links, **found.links},
        files=asked.files,
        recorded=asked.recorded,
        abi=asked.abi,
        watched=asked.watched,
    )
