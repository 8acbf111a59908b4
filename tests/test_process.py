"""Programs that we start: all they say comes, and nothing that they left running is waited for."""

import os
import time

import pytest

from hashdist import process
from hashdist.process import ProgramFailedError

ENV = {"PATH": os.environ["PATH"]}


def test_a_program_that_says_much():
    """A pipe full of words on standard error holds up nobody."""
    script = "head -c 300000 /dev/zero | tr '\\0' x >&2; echo out; head -c 300000 /dev/zero | tr '\\0' x >&2"
    assert b"".join(process.stream(["sh", "-c", script], env=ENV)) == b"out\n"
    assert process.listen(["sh", "-c", script], env=ENV) == b"out\n"


def test_what_a_program_left_running_is_not_waited_for():
    """A daemon that keeps the pipes open is none of our affair."""
    started = time.monotonic()
    assert process.listen(["sh", "-c", "sleep 20 & echo out"], env=ENV) == b"out\n"
    assert time.monotonic() - started < 10


def test_words_of_a_failure():
    """The last words and the status are in the error, and every line was told."""
    told = []
    with pytest.raises(ProgramFailedError, match="status 3: two") as caught:
        process.listen(["sh", "-c", "echo one >&2; printf two >&2; exit 3"], env=ENV, told=told.append)
    assert caught.value.status == 3
    assert told == ["one"]


class StopError(Exception):
    pass


def test_nobody_waits_any_more():
    """When the check raises, the program and what it started end; what made itself a daemon goes on."""
    until = time.monotonic() + 0.5

    def check():
        if time.monotonic() > until:
            raise StopError

    script = "setsid sleep 30 & echo $! >&2; sleep 31 & echo $! >&2; wait"
    told = []
    with pytest.raises(StopError):
        process.listen(["sh", "-c", script], env=ENV, told=told.append, check=check)
    daemon, child = map(int, told)
    time.sleep(0.2)
    assert is_running(daemon)
    os.kill(daemon, 9)
    assert not is_running(child)


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
