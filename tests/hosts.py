"""Hosts of our own: private databases of dpkg and rpm with packages built here, and trees of modules."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from hashdist.hostscan.capture import HostCapture
from hashdist.hostscan.finding import scan
from hashdist.hostscan.live import LiveHost
from hashdist.stack.packages import HostEntry

#: A file's text, or ('->', target) for a link; a text that begins with '#!' may be run.
Content = str | tuple[str, str]


def run(*arguments: str, **more: object) -> str:
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, **more)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{arguments}: {done.stderr}{done.stdout}"
    return str(done.stdout)


def capture(
    *find: str, name: str = "x", identity: str | None = None, env: Mapping[str, str] | None = None
) -> HostCapture:
    return scan(HostEntry(name, find, identity), LiveHost(env or dict(os.environ)))


def needed(found: HostCapture) -> dict[str, str]:
    """Names and versions of what a capture needs, without the C library of this machine, which no test package has."""
    assert found.spec.host is not None
    return {name: version for name, version in found.spec.host.facts.items() if name != "glibc"}


def lay_out(root: pathlib.Path, files: Mapping[str, Content]) -> None:
    for path, content in files.items():
        place = root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, tuple):
            place.symlink_to(content[1])
        else:
            place.write_text(content)
            place.chmod(0o755 if content.startswith("#!") else 0o644)


@dataclass
class Debian:
    """A Debian in a directory: dpkg's own database, and packages that dpkg itself installed there."""

    root: pathlib.Path
    work: pathlib.Path
    env: dict[str, str] = field(default_factory=dict)

    def install(self, name: str, version: str, files: Mapping[str, Content], **fields: str) -> None:
        """Build a package with dpkg-deb and install it with dpkg."""
        place = self.work / f"{name}-{version}-{len(os.listdir(self.work))}"
        lay_out(place, files)
        control = {"Package": name, "Version": version, "Architecture": "all", "Maintainer": "a <a@b.c>", **fields}
        control["Description"] = "a test"
        (place / "DEBIAN").mkdir(parents=True)
        text = "".join(f"{key.replace('_', '-')}: {value}\n" for key, value in control.items())
        (place / "DEBIAN/control").write_text(text)
        package = f"{place}.deb"
        run("dpkg-deb", "--build", "--root-owner-group", str(place), package)
        self.dpkg("-i", package)

    def dpkg(self, *arguments: str) -> None:
        """Run dpkg on this root."""
        forces = "--force-not-root,bad-path,script-chrootless,depends"
        run("dpkg", f"--root={self.root}", forces, f"--log={self.work}/log", *arguments)

    def capture(self, *find: str, **more: object) -> HostCapture:
        """Scan."""
        return capture(*find, env=self.env, **more)  # type: ignore[arg-type]


@pytest.fixture
def debian(tmp_path: pathlib.Path) -> Debian:
    if not shutil.which("dpkg-deb"):
        pytest.skip("no dpkg here")
    root = tmp_path / "debian"
    for folder in ("info", "updates", "alternatives"):
        (root / "var/lib/dpkg" / folder).mkdir(parents=True)
    (root / "var/lib/dpkg/status").touch()
    work = tmp_path / "packages"
    work.mkdir()
    return Debian(root, work, {**os.environ, "DPKG_ROOT": str(root)})


@dataclass
class Rpms:
    """A database of rpm, and packages that rpm itself installed; their files lie below `place`."""

    place: pathlib.Path
    work: pathlib.Path
    env: dict[str, str]

    def install(
        self, name: str, version: str, files: Mapping[str, Content], *, spec: str = "", only_db: bool = False
    ) -> None:
        """Build a package with rpmbuild and install it with rpm; paths of `files` are relative to `place`."""
        self.build(name, version, {f"{self.place}/{path}": content for path, content in files.items()}, spec)
        built = sorted((self.work / "build/RPMS").glob(f"*/{name}-{version}-*.rpm"))
        self.rpm("-U", "--force-debian", *(["--justdb"] if only_db else []), *map(str, built))

    def build(self, name: str, version: str, files: Mapping[str, Content], spec: str) -> None:
        """Build a package of files at absolute paths."""
        buildroot = self.work / "root"
        shutil.rmtree(buildroot, ignore_errors=True)
        lay_out(buildroot, files)
        listed = "\n".join(files)
        text = (
            f"Name: {name}\nVersion: {version}\nRelease: 1\nSummary: x\nLicense: MIT\nBuildArch: noarch\nAutoReqProv: no\n{spec}\n"
            f"%description\nx\n%install\nmkdir -p %{{buildroot}}\ncp -a {buildroot}/. %{{buildroot}}/\n%files\n{listed}\n"
        )
        place = self.work / f"{name}.spec"
        place.write_text(text)
        run("rpmbuild", "-bb", str(place), env=self.env)

    def rpm(self, *arguments: str) -> None:
        """Run rpm on this database."""
        run("rpm", *arguments, env=self.env)

    def capture(self, *find: str, **more: object) -> HostCapture:
        """Scan; what dpkg knows of this machine is out of sight."""
        return capture(*find, env=self.env, **more)  # type: ignore[arg-type]


@pytest.fixture
def rpms(tmp_path: pathlib.Path) -> Rpms:
    if not shutil.which("rpmbuild"):
        pytest.skip("no rpm here")
    home = tmp_path / "home"
    work = tmp_path / "rpms"
    work.mkdir()
    (home / ".rpmmacros").write_text(
        f"%_topdir {work}/build\n%_dbpath {work}/db\n%__os_install_post %{{nil}}\n%debug_package %{{nil}}\n"
        "%_binary_payload w0.ufdio\n%_build_id_links none\n"
    )
    (work / "db").mkdir()
    env = {**os.environ, "HOME": str(home), "DPKG_ADMINDIR": str(tmp_path / "no-dpkg")}
    run("rpm", "--initdb", env=env)
    return Rpms(tmp_path / "system", work, env)
