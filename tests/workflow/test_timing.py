"""Timing a command under two environments in turn."""

import os
import sys
import time

import pytest

from hashdist.process import ProgramMissingError
from hashdist.workflow.timing import RunFailedError, compare


def test_pairs_in_turn(tmp_path):
    """Both run equally often, who is first changes each time, and the first runs do not count."""
    log = tmp_path / "log"
    words = ["sh", "-c", f"echo $SIDE >> {log}"]
    found = compare(words, ({**os.environ, "SIDE": "a"}, {**os.environ, "SIDE": "b"}), runs=3)
    assert log.read_text().split() == ["b", "a", "a", "b", "b", "a", "a", "b"]
    assert len(found.pairs) == 3
    assert found.median(0, lambda sample: sample.seconds) > 0
    assert found.ratio(lambda sample: sample.seconds) == pytest.approx(1, abs=5)
    assert found.ratio(lambda _: 0.0) is None


def test_cpu_is_the_command_s():
    """The CPU is that of the command and what it waits for."""
    busy = [sys.executable, "-c", "import time\nwhile time.process_time() < 0.2: pass"]
    found = compare(busy, (dict(os.environ), dict(os.environ)), runs=1, warm_up=0)
    assert 0.2 <= found.median(1, lambda sample: sample.cpu) < 5


def test_failures():
    """A run that fails ends it with its last words and its status; a signal counts as shells count it."""
    env = (dict(os.environ), dict(os.environ))
    with pytest.raises(RunFailedError, match="'sh' failed with status 9: worse") as error:
        compare(["sh", "-c", "echo bad >&2; echo worse >&2; exit 9"], env, runs=1)
    assert error.value.exit_code == 9
    with pytest.raises(RunFailedError, match="it said nothing") as error:
        compare(["sh", "-c", "kill -TERM $$"], env, runs=1)
    assert error.value.exit_code == 143
    with pytest.raises(ProgramMissingError):
        compare(["/no/such/program"], env, runs=1)


def test_the_background_is_not_waited_for():
    """What a command leaves running neither counts nor holds it up."""
    started = time.monotonic()
    compare(["sh", "-c", "sleep 20 & exit 0"], (dict(os.environ), dict(os.environ)), runs=1, warm_up=0)
    assert time.monotonic() - started < 15
