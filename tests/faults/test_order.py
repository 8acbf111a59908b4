"""The order of sync and rename, read from a trace: what is named is durable before it is named."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
from support import package

import hashdist

CALLS = "fsync,fdatasync,syncfs,rename,renameat,renameat2,link,linkat,openat,write,pwrite64,mkdir,symlink"
_LINE = re.compile(r"^(\d+) +(\w+)\((.*)\) += +(-?\d+)")
_FD = re.compile(r"^\d+<([^>]*)>")


@pytest.fixture
def trace(tmp_path, write):
    """Run a command on a durable store and give its calls in order: name, paths."""
    program = shutil.which("strace")
    if (
        program is None
        or subprocess.run([program, "-o", os.devnull, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("needs strace, and leave to trace")
    write("src/file", "x\n")
    write("stack.toml", package("a", source='{ path = "src" }'))
    env = {**os.environ, "HDIST_STORE": str(tmp_path / "durable")}

    def run(*words, traced=True):
        log = tmp_path / "trace"
        wrapper = [program, "-f", "-y", "-qq", "-s", "0", "-e", f"trace={CALLS}", "-o", log] if traced else []
        command = [*wrapper, sys.executable, "-m", "hashdist.cli", *words]
        subprocess.run(command, cwd=tmp_path / "work", env=env, check=True, capture_output=True)
        found = []
        for line in log.read_text(errors="replace").splitlines() if traced else ():
            match = _LINE.match(line)
            if match and int(match[4]) >= 0:
                fd = _FD.match(match[3])
                paths = re.findall(r'"([^"]*)"', match[3])
                found.append((match[2], fd[1] if fd else "", paths, match[3]))
        return found

    run("init", traced=False)
    yield run
    from hashdist.fsutil.removal import remove_tree

    remove_tree(str(tmp_path / "durable"))


def check(calls, root):
    """Each ref, pack, artifact and prefix that is named was made durable before, and its directory after."""
    git = f"{root}/git"
    refs = [at for at, (name, _, paths, _) in enumerate(calls) if name.startswith("rename") and _is_ref(paths, git)]
    assert refs, "no ref was moved"
    for at in refs:
        source, target = calls[at][2][-2:]
        synced = [
            before for before in range(at) if calls[before][0] in {"fsync", "fdatasync"} and calls[before][1] == source
        ]
        assert synced, f"{target} was named before it was durable"
        after = [n for n in range(at, len(calls)) if calls[n][0] == "fsync" and calls[n][1] == os.path.dirname(target)]
        assert after, f"the name of {target} was never made durable"
        # objects that were written before are durable before the ref is
        written = [n for n in range(at) if calls[n][0].startswith("rename") and "/objects/" in calls[n][2][-1]]
        if written:
            last = max(written)
            whole = any(calls[n][0] == "syncfs" for n in range(last, at))
            packed = all(".pack" in calls[n][2][-1] or ".idx" in calls[n][2][-1] for n in written)
            assert whole or packed, f"{target} names objects that are not durable"
    return refs


def _is_ref(paths, git):
    return len(paths) >= 2 and paths[-1].startswith((f"{git}/refs/", f"{git}/HEAD", f"{git}/packed-refs"))


@pytest.mark.parametrize("words", [("commit", "-m", "m"), ("source", "add", "src"), ("host", "scan", "path:/bin/sh")])
def test_refs(trace, tmp_path, words):
    """Objects, then refs: each durable before what names it."""
    check(trace(*words), str(tmp_path / "durable"))


def test_build_and_checkout(trace, tmp_path):
    """An artifact is durable before its record names it, a prefix before its link does."""
    root = str(tmp_path / "durable")
    trace("commit", "-m", "m", traced=False)
    calls = trace("build", "main")
    refs = check(calls, root)
    record = next(at for at in refs if "/refs/artifacts/" in calls[at][2][-1] and "base" not in calls[at][2][-1])
    files = [
        n
        for n, call in enumerate(calls)
        if call[0] == "openat" and f"{root}/artifacts/a/1/" in call[3] and "O_CREAT" in call[3]
    ]
    assert files
    assert any(calls[n][0] == "syncfs" for n in range(files[-1], max(refs)))
    assert record
    calls = trace("checkout", "main")
    check(calls, root)
    prefix = next(
        n for n, call in enumerate(calls) if call[0].startswith("rename") and f"{root}/prefixes/" in call[2][-1]
    )
    link = next(n for n, call in enumerate(calls) if call[0].startswith("rename") and call[2][-1] == f"{root}/current")
    assert any(calls[n][0] == "syncfs" for n in range(prefix))
    assert any(calls[n][0] == "fsync" and calls[n][1] == f"{root}/prefixes" for n in range(prefix, link))
    assert any(calls[n][0] == "fsync" and calls[n][1] == root for n in range(link, len(calls)))


def test_without_syncfs_each_file_is_synced(trace, tmp_path):
    """Where there is no syncfs, each object is synced by itself before the ref names it."""
    program = shutil.which("strace")
    log = tmp_path / "log"
    subprocess.run(
        [program, "-f", "-y", "-qq", "-s", "0", "-e", f"trace={CALLS}", "-e", "inject=syncfs:error=ENOSYS", "-o", log,
         sys.executable, "-m", "hashdist.cli", "commit", "-m", "m"],
        cwd=tmp_path / "work", env={**os.environ, "HDIST_STORE": str(tmp_path / "durable")}, check=True, capture_output=True,
    )  # fmt: skip
    text = log.read_text(errors="replace")
    made = set(re.findall(r'rename\([^"]*"[^"]*/tmp_obj_[^"]*", "([^"]*)"', text))
    assert made
    synced = set(re.findall(r"fsync\(\d+<([^>]*)>", text))
    assert made <= synced
    assert {os.path.dirname(path) for path in made} <= synced


def test_fast(trace, tmp_path):
    """With durability = "fast" nothing is synced."""
    config = tmp_path / "durable/config.toml"
    config.write_text(config.read_text().replace('"full"', '"fast"'))
    calls = trace("commit", "-m", "m")
    assert not [call for call in calls if call[0] in {"fsync", "fdatasync", "syncfs"} and "/refs" in call[1]]


def test_one_door():
    """What is given its place by a rename is so in one package, which syncs before and after."""
    root = pathlib.Path(hashdist.__file__).parent
    for path in root.rglob("*.py"):
        # what runs without hashdist around it, in a build's Python or inside EasyBuild, has no other door
        if not {"fsutil", "scripts", "glue"} & set(path.parts):
            assert not re.search(r"os\.(rename|replace|renames)\(", path.read_text()), path
