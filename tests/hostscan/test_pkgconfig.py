"""Libraries that pkg-config knows: of packages, and of nobody."""

import os
import shutil

import pytest
from hosts import capture, lay_out

from hashdist.hostscan.errors import HostNotFoundError

pytestmark = pytest.mark.skipif(
    not (shutil.which("pkg-config") or shutil.which("pkgconf")), reason="no pkg-config here"
)


def test_a_library_of_a_package():
    """The package that owns the .pc file is taken as a whole, with its links and identity."""
    found = capture("pkgconfig:zlib")
    assert found.links == capture("dpkg:zlib1g-dev").links
    assert found.spec.host.finder == "pkgconfig"
    assert {line.name for line in found.packages} >= {"zlib1g-dev", "zlib1g"}


@pytest.fixture
def own(tmp_path):
    """A library in a prefix of its own, requiring another."""
    pc = "prefix={0}\nName: {1}\nDescription: x\nVersion: 2.5\nCflags: -I{0}/include/{1}\nLibs: -L{0}/lib -l{1}\n"
    root = tmp_path / "soft"
    for name in ("foo", "bar"):
        lay_out(
            root,
            {
                f"include/{name}/{name}.h": "int x;",
                f"lib/lib{name}.so": ("->", f"lib{name}.so.2"),
                f"lib/lib{name}.so.2": "shared",
                f"lib/lib{name}.a": "static",
                f"lib/pkgconfig/{name}.pc": pc.format(root, name) + ("Requires: bar\n" if name == "foo" else ""),
            },
        )
    return root, {**os.environ, "PKG_CONFIG_PATH": str(root / "lib/pkgconfig")}


def test_a_library_of_nobody(own):
    """Headers, libraries and .pc files are what pkg-config says, with those that are required."""
    root, env = own
    found = capture("pkgconfig:foo", env=env)
    expected = {
        f"{path}"
        for name in ("foo", "bar")
        for path in (
            f"include/{name}/{name}.h",
            f"lib/lib{name}.so",
            f"lib/lib{name}.so.2",
            f"lib/lib{name}.a",
            f"lib/pkgconfig/{name}.pc",
        )
    }
    assert found.links.keys() == expected
    assert found.version == "2.5"
    (root / "include/bar/bar.h").write_text("int y;")
    assert capture("pkgconfig:foo", env=env).spec.id != found.spec.id


def test_bad_answers(own, tmp_path):
    """Unknown names, broken requirements, headers among those of others, and no pkg-config: one line each."""
    root, env = own
    with pytest.raises(HostNotFoundError, match="does not find 'nope'"):
        capture("pkgconfig:nope", env=env)
    (root / "lib/pkgconfig/bar.pc").unlink()
    with pytest.raises(HostNotFoundError, match="'foo': .*bar"):
        capture("pkgconfig:foo", env=env)
    (root / "lib/pkgconfig/wide.pc").write_text("Name: w\nDescription: x\nVersion: 1\nCflags: -I/usr/include\n")
    with pytest.raises(HostNotFoundError, match="among those of others"):
        capture("pkgconfig:wide", env=env)
    with pytest.raises(HostNotFoundError, match="no pkg-config"):
        capture("pkgconfig:zlib", env={**env, "PATH": str(tmp_path)})
