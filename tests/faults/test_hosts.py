"""Scans of the host that are killed, run at once, or find no room."""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

from hashdist.store.making import init_store


@pytest.fixture
def tools(debian):
    """A package with some files."""
    files = {f"usr/share/tool/{number}": f"{number}\n" * 50 for number in range(200)}
    debian.install("tool", "1.0-1", {"usr/bin/tool": "#!/bin/true\n", **files})
    return debian


def command(path, *words):
    return [sys.executable, "-m", "hashdist.cli", "--store", str(path), "host", *words]


def whole(path):
    """The repository is as it should be, and each artifact is whole or not there."""
    fsck = subprocess.run(["git", "-C", f"{path}/git", "fsck", "--full", "--strict"], capture_output=True, text=True)
    assert fsck.returncode == 0, fsck.stderr
    refs = subprocess.run(
        ["git", "-C", f"{path}/git", "for-each-ref", "refs/artifacts"], capture_output=True, text=True
    ).stdout
    for place in pathlib.Path(path, "artifacts").glob("tool/*/*"):
        if refs and ".tmp-" not in place.name:
            assert len(list((place / "share/tool").iterdir())) == 200


def test_killed_at_any_moment(tools, tmp_path):
    """After kill -9 at whatever moment nothing half counts, and the next scan and check just work."""
    rng = random.Random(11)
    first = tmp_path / "first"
    init_store(str(first), durability="fast")
    started = time.monotonic()
    done = subprocess.run(command(first, "scan", "dpkg:tool"), env=tools.env, capture_output=True, check=True)
    taken = time.monotonic() - started
    expected = done.stdout.split()[2]
    for number in range(8):
        path = tmp_path / f"store-{number}"
        init_store(str(path), durability="fast")
        program = subprocess.Popen(
            command(path, "scan", "dpkg:tool"), env=tools.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(taken * rng.uniform(0.4, 1.0))
        program.send_signal(signal.SIGKILL)
        program.wait()
        whole(path)
        again = subprocess.run(command(path, "scan", "dpkg:tool"), env=tools.env, capture_output=True, check=True)
        assert again.stdout.split()[2] == expected
        whole(path)
        subprocess.run(command(path, "check"), env=tools.env, check=True, capture_output=True)
        subprocess.run([*command(path)[:-1], "gc", "--now"], env=tools.env, check=True, capture_output=True)
        assert [place.name for place in (path / "artifacts/tool/1.0").iterdir()] == [expected.decode()]


def test_several_at_once(tools, tmp_path):
    """Of eight that scan at once each ends well, and there is one commit and one artifact."""
    path = tmp_path / "shared"
    init_store(str(path), durability="fast")
    programs = [
        subprocess.Popen(command(path, "scan", "dpkg:tool", "--json"), env=tools.env, stdout=subprocess.PIPE)
        for _ in range(8)
    ]
    found = [json.loads(program.communicate()[0])["scans"][0] for program in programs]
    assert [program.returncode for program in programs] == [0] * 8
    assert len({one["commit"] for one in found}) == 1 and len({one["path"] for one in found}) == 1
    whole(path)


def test_a_full_disk(tools, tmp_path):
    """Without room a scan says so in one line, and records nothing."""
    place = tmp_path / "small"
    place.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "x", place]).returncode:
        pytest.skip("only root mounts a small disk")
    try:
        path = place / "store"
        init_store(str(path), durability="fast")
        (place / "filler").write_bytes(b"")
        with open(place / "filler", "ab", buffering=0) as file:
            try:
                while file.write(b"x" * 4096):
                    pass
            except OSError:
                pass
        done = subprocess.run(command(path, "scan", "dpkg:tool"), env=tools.env, capture_output=True, text=True)
        assert done.returncode == 1 and "No space left" in done.stderr and "Traceback" not in done.stderr
        (place / "filler").unlink()
        refs = subprocess.run(["git", "-C", path / "git", "for-each-ref"], capture_output=True, text=True)
        assert refs.stdout == ""
        subprocess.run(command(path, "scan", "dpkg:tool"), env=tools.env, check=True, capture_output=True)
    finally:
        subprocess.run(["umount", place], check=True)
