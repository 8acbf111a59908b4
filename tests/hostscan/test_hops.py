"""Following links one by one, and where files stand in prefixes."""

import os
import pathlib
import tempfile

import pytest
from hypothesis import given, strategies as st

from hashdist.hostscan.errors import HostNotFoundError
from hashdist.hostscan.hops import Ways
from hashdist.hostscan.layout import is_documentation, prefix_path

_NAMES = st.sampled_from(["a", "b", "c"])
_TARGETS = st.lists(st.sampled_from(["a", "b", "c", "..", "."]), min_size=1, max_size=4).map("/".join)


@given(
    st.lists(st.tuples(_NAMES, _NAMES, st.booleans(), _TARGETS), max_size=8), st.lists(_NAMES, min_size=1, max_size=4)
)
def test_as_the_system_does(links, path):
    """Wherever links lead, the end is where the kernel would end, and each hop is a link that says so."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(os.path.realpath(folder))
        for name in "abc":
            (root / name).mkdir()
        for first, second, deep, target in links:
            place = root / first / second if deep else root / first / f"{second}x"
            if not os.path.lexists(place):
                place.symlink_to(target)
        wanted = os.path.join(root, *path)
        try:
            way = Ways().follow(wanted)
        except HostNotFoundError:
            with pytest.raises(OSError, match="Too many levels|No such file"):
                os.stat(wanted)
            return
        assert way.place == os.path.join(os.path.realpath(os.path.dirname(wanted)), os.path.basename(wanted))
        if os.path.exists(wanted):
            assert way.final == os.path.realpath(wanted)
        for place, target in way.hops:
            assert os.readlink(place) == target


def test_loops(tmp_path):
    """Links that lead in circles are refused, in directories too."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    for path in (tmp_path / "a", tmp_path / "a/file"):
        with pytest.raises(HostNotFoundError, match="circles"):
            Ways().follow(str(path))


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/usr/bin/gcc", "bin/gcc"),
        ("/usr/lib/x86_64-linux-gnu/libz.so", "lib/libz.so"),
        ("/usr/lib64/libz.so", "lib/libz.so"),
        ("/usr/include/aarch64-linux-gnu/zconf.h", "include/zconf.h"),
        ("/usr/lib/gcc/x86_64-linux-gnu/12/cc1", "lib/gcc/x86_64-linux-gnu/12/cc1"),
        ("/opt/rh/gcc-toolset-12/root/usr/bin/gcc", "bin/gcc"),
        ("/opt/vendor/data", "opt/vendor/data"),
        ("/usr/games/nethack", "bin/nethack"),
        ("/usr/share/lib/x", "share/lib/x"),
    ],
)
def test_places_in_prefixes(path, place):
    """The first directory that prefixes have counts; machine names and lib64 go."""
    assert prefix_path(path) == place


def test_documentation():
    """Documentation is told from data."""
    assert is_documentation("/usr/share/doc/x/README") and is_documentation("/opt/x/share/man/man1/x.1")
    assert not is_documentation("/usr/share/docbook/x")
