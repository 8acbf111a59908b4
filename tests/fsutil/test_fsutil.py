"""Files that appear whole, locks that end with their holder, removal that follows no link."""

import os

import pytest

from hashdist import process
from hashdist.fsutil.atomic import replace_symlink, write_file
from hashdist.fsutil.removal import measure_tree, remove_tree
from hashdist.fsutil.staging import staged_directory


def test_write_file(tmp_path):
    """A file is replaced wholly, with its mode; a failure leaves the old one and nothing else."""
    path = str(tmp_path / "f")
    write_file(path, b"one", mode=0o600)
    write_file(path, b"two")
    assert (tmp_path / "f").read_bytes() == b"two"
    (tmp_path / "d").mkdir()
    with pytest.raises(IsADirectoryError):
        write_file(str(tmp_path / "d"), b"x")
    assert sorted(os.listdir(tmp_path)) == ["d", "f", "home"]


def test_replace_symlink(tmp_path):
    """A link is replaced by one rename; a directory in its place is left alone."""
    replace_symlink(str(tmp_path / "l"), "a")
    replace_symlink(str(tmp_path / "l"), "b")
    assert os.readlink(tmp_path / "l") == "b"
    (tmp_path / "d").mkdir()
    with pytest.raises(IsADirectoryError):
        replace_symlink(str(tmp_path / "d"), "a")
    assert sorted(os.listdir(tmp_path)) == ["d", "home", "l"]


def test_staged_directory(tmp_path):
    """A directory appears when the block ends well; theirs stays if somebody was faster; a failure leaves nothing."""
    with staged_directory(str(tmp_path / "a")) as staging:
        with open(f"{staging}/f", "w") as file:
            file.write("x")
        assert not (tmp_path / "a").exists()
    assert (tmp_path / "a/f").exists()
    with staged_directory(str(tmp_path / "a")) as staging, open(f"{staging}/g", "w"):
        pass
    assert os.listdir(tmp_path / "a") == ["f"]
    with pytest.raises(RuntimeError), staged_directory(str(tmp_path / "b")):
        raise RuntimeError
    assert sorted(os.listdir(tmp_path)) == ["a", "home"]


def test_remove_tree(tmp_path):
    """Read-only and very deep directories go; what links lead to stays; what is not there is no error."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/keep").write_text("x")
    root = tmp_path / "t"
    (root / "sealed").mkdir(parents=True)
    (root / "sealed/f").write_text("x")
    (root / "link").symlink_to(tmp_path / "outside")
    (root / "sealed").chmod(0o555)
    here = os.getcwd()
    os.chdir(root)
    try:
        for _ in range(3000):
            os.mkdir("d")
            os.chdir("d")
    finally:
        os.chdir(here)
    remove_tree(str(root))
    remove_tree(str(root))
    assert not root.exists()
    assert (tmp_path / "outside/keep").exists()
    (tmp_path / "file").write_text("x")
    remove_tree(str(tmp_path / "file"))
    assert not (tmp_path / "file").exists()


def test_measure_tree(tmp_path):
    """Bytes and inodes of a tree, links counted as links."""
    (tmp_path / "t/d").mkdir(parents=True)
    (tmp_path / "t/d/f").write_text("x" * 100)
    (tmp_path / "t/l").symlink_to("/")
    size, inodes = measure_tree(str(tmp_path / "t"))
    assert inodes == 4
    assert size >= 100
    assert measure_tree(str(tmp_path / "nothing")) == (0, 0)


def test_process(tmp_path):
    """A program's output comes back; failure, absence and slowness are typed errors."""
    env = {"PATH": os.environ["PATH"]}
    assert process.run(["cat"], env=env, stdin=b"x") == b"x"
    with pytest.raises(process.ProgramFailedError, match="status 3: words") as caught:
        process.run(["sh", "-c", "echo words >&2; exit 3"], env=env)
    assert caught.value.status == 3
    with pytest.raises(process.ProgramMissingError):
        process.run(["no-such-program"], env=env)
    with pytest.raises(process.ProgramFailedError, match="no answer"):
        process.run(["sleep", "5"], env=env, timeout=0.1)
    (tmp_path / "plain").write_text("x")
    with pytest.raises(process.ProgramMissingError):
        process.run([str(tmp_path / "plain")], env=env)
