"""A store that an older hdist made is refused with what to do, and works after it was upgraded."""

import os
import pathlib
import re
import subprocess
import tarfile

import pytest

from hashdist import Store
from hashdist.store.store import UnsupportedFormatError
from hashdist.verify.verifying import verify

VECTORS = pathlib.Path(__file__).parents[1] / "vectors"


@pytest.fixture
def old(tmp_path):
    """A store of format 1, as the hdist of that time made it, where it says that it was made."""
    with tarfile.open(VECTORS / "store-format-1.tar.xz") as tar:
        tar.extractall(tmp_path, filter="fully_trusted")
    config = tmp_path / "store/config.toml"
    config.write_text(re.sub(r"(?m)^path = .*$", f'path = "{tmp_path}/store"', config.read_text()))
    return tmp_path / "store"


def test_upgrade(old, hdist):
    """It is refused by name; after the upgrade its profile, artifact and checkout are what they were."""
    with pytest.raises(UnsupportedFormatError) as caught:
        Store.open(str(old))
    assert caught.value.hint == f"hdist --store {old} upgrade-store"
    assert "upgrade-store" in hdist("status", expect=1).stderr
    shown = os.readlink(old / "current")
    (old / "roots/left").write_text('{"host": "x", "boot": "", "pid": 1, "since": 1, "specs": []}')
    assert "format 1 is format 2 now" in hdist("upgrade-store").stderr
    assert "already" in hdist("upgrade-store").stderr
    assert os.readlink(old / "current") == shown
    assert (old / "current/file").read_text() == "content\n"
    assert verify(Store.open(str(old))).damage == []
    assert "other" in hdist("branch").stdout
    assert "paper" in hdist("tag").stdout
    hdist("gc", "--now")
    hdist("checkout", "main")
    assert (old / "current/file").read_text() == "content\n"
    subprocess.run(["git", "-C", old / "git", "fsck", "--full", "--strict"], check=True)


def test_an_old_command_at_work(old, hdist):
    """While a command of the older hdist works on it, it is not upgraded."""
    (old / "roots/x").write_text("{}")
    with open(old / "roots/x") as file:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)
        assert "older hdist" in hdist("upgrade-store", expect=75).stderr
    hdist("upgrade-store")


def test_newer(old, hdist):
    """A format that is not known yet is left alone."""
    (old / "format").write_text("9\n")
    assert "newer" in hdist("upgrade-store", expect=1).stderr
    assert (old / "format").read_text() == "9\n"


def test_in_one_process(old):
    """The library does the same, and tells each step."""
    from hashdist.store.upgrading import upgrade_store

    assert list(upgrade_store(str(old))) == [("1", "2")]
    assert list(upgrade_store(str(old))) == []
    assert Store.open(str(old)).read_format() == "2"
