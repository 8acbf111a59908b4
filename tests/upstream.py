"""A pytest plugin: source releases of real C software, from the package index of the distribution that runs the tests."""

from __future__ import annotations

import glob
import os
import pathlib
import re
import shutil
import subprocess
from collections.abc import Callable

import pytest


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory):
    """`upstream(name)` gives the unpacked source of a Debian package's upstream; skips where it cannot be had.

    With `suite` that of another release.
    """
    folder = tmp_path_factory.mktemp("upstream")
    done: dict[str, str] = {}

    def get(name: str, *, suite: str | None = None) -> str:
        if name not in done:
            done[name] = _get(name, folder if suite is None else tmp_path_factory.mktemp(suite), suite)
        return done[name]

    return get


def _get(name: str, folder: pathlib.Path, suite: str | None) -> str:
    if shutil.which("apt-get") is None:
        pytest.skip("no apt-get here, so no sources of a distribution")
    options = _private_apt(folder, suite=suite, kind=_of_sources)
    place = folder / name
    place.mkdir()
    command = ["apt-get", *options, "source", "--download-only", "--tar-only", "-qq", "-y", name]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True)
    archives = glob.glob(str(place / "*.orig.tar.*[!c]"))
    if done.returncode != 0 or not archives:
        pytest.skip(f"the source of {name} cannot be fetched: {(done.stderr.strip().splitlines() or ['?'])[-1][:80]}")
    subprocess.run(["tar", "-x", "-f", archives[0]], cwd=place, check=True)
    (source,) = (str(path) for path in place.iterdir() if path.is_dir())
    return source


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory):
    """`release(suite, package, ...)` unpacks packages of another release of Debian; skips where they cannot be had."""

    def get(suite: str, *packages: str) -> str:
        folder = tmp_path_factory.mktemp(suite)
        if shutil.which("apt-get") is None:
            pytest.skip("no apt-get here, so no packages of another release")
        options = [*_private_apt(folder, suite=suite), "-o", "Dir::State::status=/dev/null"]
        done = subprocess.run(
            ["apt-get", *options, "download", "-qq", *packages], cwd=folder, capture_output=True, text=True
        )
        archives = glob.glob(str(folder / "*.deb"))
        if done.returncode != 0 or not archives:
            pytest.skip(
                f"the packages of {suite} cannot be fetched: {(done.stderr.strip().splitlines() or ['?'])[-1][:80]}"
            )
        for archive in archives:
            subprocess.run(["dpkg-deb", "-x", archive, folder / "root"], check=True)
        return str(folder / "root")

    return get


def _private_apt(folder: pathlib.Path, *, suite: str | None = None, kind: Callable[[str], str] = str) -> list[str]:
    """Options by which apt knows sources, or another release, without touching the system's lists.

    No right is needed for it.
    """
    parts, lists, cache = folder / "parts", folder / "lists", folder / "cache"
    options = {
        "Dir::State::lists": lists,
        "Dir::Cache": cache,
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": parts,
        "APT::Sandbox::User": "",
    }
    flags = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    if not parts.exists():
        for one in (parts, lists / "partial", cache / "archives" / "partial"):
            one.mkdir(parents=True)
        for path in glob.glob("/etc/apt/sources.list.d/*.sources"):
            text = pathlib.Path(path).read_text(encoding="utf-8")
            (parts / os.path.basename(path)).write_text(kind(_of_release(text, suite) if suite else text))
        lines = []
        for path in ["/etc/apt/sources.list", *glob.glob("/etc/apt/sources.list.d/*.list")]:
            if os.path.exists(path) and suite is None:
                lines += [line for line in pathlib.Path(path).read_text().splitlines() if line.startswith("deb ")]
        (folder / "sources.list").write_text("".join(f"deb-src {line[4:]}\n" for line in lines))
        subprocess.run(["apt-get", *flags, "update", "-qq"], capture_output=True)
    return flags


def _of_sources(text: str) -> str:
    return text.replace("Types: deb\n", "Types: deb-src\n")


def _of_release(text: str, suite: str) -> str:
    """The first archive that is named, with another suite; security updates have archives of their own."""
    first = text.strip().split("\n\n")[0]
    return re.sub(r"(?m)^Suites: .*$", f"Suites: {suite}", first) + "\n"
