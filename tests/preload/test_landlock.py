"""Landlock below the jail: what nothing can be preloaded into is stopped by the kernel, where it can."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from jails import system_rules

from hashdist.preload import running
from hashdist.preload.landlock import landlock_version
from hashdist.preload.library import JailInactiveError

try:
    landlock_version()
    REASON = ""
except JailInactiveError as error:
    REASON = str(error)
needs_landlock = pytest.mark.skipif(bool(REASON), reason=REASON)
needs_go = pytest.mark.skipif(shutil.which("go") is None, reason="no Go here")

_READER = """
#include <stdio.h>
int main(int count, char **given)
{
    FILE *file = fopen(given[1], "r");
    puts(file ? "seen" : "hidden");
    if (count > 2) puts(fopen(given[2], "w") ? "written" : "closed");
    return 0;
}
"""
_GO = """package main
import "syscall"
func main() {
    path, _ := syscall.Getenv("SECRET")
    _, err := syscall.Open(path, syscall.O_RDONLY, 0)
    if err == nil { syscall.Write(1, []byte("seen\\n")) } else { syscall.Write(1, []byte("hidden\\n")) }
}
"""


@pytest.fixture
def go(tmp_path):
    (tmp_path / "main.go").write_text(_GO)
    env = {
        **os.environ,
        "GOCACHE": str(tmp_path / "cache"),
        "GOPATH": str(tmp_path / "go"),
        "GOFLAGS": "-mod=mod",
        "CGO_ENABLED": "0",
    }
    subprocess.run(["go", "build", "-o", "reader", "main.go"], cwd=tmp_path, env=env, check=True, capture_output=True)
    return str(tmp_path / "reader")


def run(tmp_path, capfd, program, *arguments, landlock, extra=()):
    rules = system_rules()
    rules.allow(program)
    (tmp_path / "work").mkdir(exist_ok=True)
    (tmp_path / "secret").write_text("x")
    rules.allow_writing(str(tmp_path / "work"), *extra)
    command = ["/usr/bin/env", program, *arguments]
    done = running.run(command, rules, "enforce", env=dict(os.environ), directory=str(tmp_path), landlock=landlock)
    assert done.status == 0, capfd.readouterr()
    return capfd.readouterr().out.splitlines(), done.report


@needs_landlock
def test_a_static_program(tmp_path, capfd, compiled):
    """Alone, the preloaded library does not see it: it reads and writes anywhere; with Landlock it is stopped."""
    program = compiled("static-reader", _READER, "-static")
    secret, new = str(tmp_path / "secret"), str(tmp_path / "new")
    said, report = run(tmp_path, capfd, program, secret, new, landlock=False)
    assert said == ["seen", "written"]
    assert report.unseen == (program,)
    said, _ = run(tmp_path, capfd, program, secret, new, landlock=True)
    assert said == ["hidden", "closed"]
    mine = str(tmp_path / "work" / "mine")
    said, _ = run(tmp_path, capfd, program, program, mine, landlock=True)
    assert said == ["seen", "written"]


@needs_landlock
@needs_go
def test_a_go_program(tmp_path, capfd, go, monkeypatch):
    """Programs of Go ask the kernel themselves: so it is with them."""
    monkeypatch.setenv("SECRET", str(tmp_path / "secret"))
    assert run(tmp_path, capfd, go, landlock=False)[0] == ["seen"]
    assert run(tmp_path, capfd, go, landlock=True)[0] == ["hidden"]
    monkeypatch.setenv("SECRET", go)
    assert run(tmp_path, capfd, go, landlock=True)[0] == ["seen"]


@needs_landlock
def test_a_dynamic_program_sees_what_it_saw(tmp_path, capfd, compiled):
    """With both, what the jail hides is still not there, and not merely closed; what is declared can be used."""
    program = compiled("reader", _READER)
    assert run(tmp_path, capfd, program, str(tmp_path / "secret"), landlock=True)[0] == ["hidden"]
    said, report = run(tmp_path, capfd, program, program, str(tmp_path / "work" / "new"), landlock=True)
    assert said == ["seen", "written"]
    assert report.accesses == ()
    script = f"cat {tmp_path}/secret; ls /usr > /dev/null; echo x > work/a; mv work/a work/b; mkdir work/c; rm -r work/c; cat work/b"
    rules = system_rules()
    rules.allow_writing(str(tmp_path / "work"))
    os.chdir(tmp_path)
    done = running.run(
        ["/bin/sh", "-c", script], rules, "enforce", env=dict(os.environ), directory=str(tmp_path), landlock=True
    )
    captured = capfd.readouterr()
    assert (done.status, captured.out) == (0, "x\n")
    assert "No such file" in captured.err


def test_where_the_kernel_has_none(monkeypatch):
    """It says so in a line, with what to do."""
    import errno

    from hashdist.preload import landlock

    def refuse(number, *arguments):
        raise OSError(errno.EOPNOTSUPP, "not supported")

    monkeypatch.setattr(landlock, "_call", refuse)
    with pytest.raises(JailInactiveError, match="no Landlock on this host: it is off") as caught:
        landlock.make_ruleset(system_rules())
    assert caught.value.exit_code == 126


@needs_landlock
def test_a_kernel_that_says_more_than_it_has(monkeypatch):
    """A version that promises rights which the kernel then refuses: fewer are asked for until it agrees."""
    import errno

    from hashdist.preload import landlock

    real, asked = landlock._call, []

    def stricter(number, *arguments):
        if number == landlock._CREATE and arguments[0] is not None:
            handled = int.from_bytes(arguments[0], "little")
            asked.append(handled)
            if handled >> 13:
                raise OSError(errno.EINVAL, "invalid")
        return real(number, *arguments)

    monkeypatch.setattr(landlock, "_call", stricter)
    os.close(landlock._create((1 << 15) - 1))
    assert [one.bit_length() for one in asked] == [15, 14, 13]
