"""A Python that the stack builds from its source release, with real wheels on top."""

import os
import subprocess

import pytest
import support

from hashdist.checkout.switch import Checkout
from hashdist.workflow import checkout as checkouts
from hashdist.workflow.commit import commit_file
from hashdist.workflow.environments import make_environment
from hashdist.workflow.health import look
from hashdist.workflow.prefixes import find_prefix

STACK = """
[host]
gcc = "dpkg:gcc"
zlib = "dpkg:zlib1g-dev"
ffi = "dpkg:libffi-dev"
[packages.python]
version = "3.13.5"
source = {{ path = "{source}" }}
builder = "autotools"
options = ["--disable-test-modules", "--without-ensurepip", "--without-static-libpython"]
env = {{ CFLAGS = "-O0" }}
inputs = ["gcc", "zlib", "ffi"]
[packages.six]
version = "1.17.0"
source = {{ pypi = "six" }}
builder = "wheel"
requires = ["python"]
[packages.numpy]
version = "2.3.5"
source = {{ pypi = "numpy" }}
builder = "wheel"
requires = ["python"]
"""


def test_a_built_python(session, write, upstream, tmp_path):
    """Its prefix works by path alone with an extension module, and an environment on top of it sees that."""
    for name in ("zlib1g-dev", "libffi-dev"):
        if subprocess.run(["dpkg-query", "-W", name], capture_output=True).returncode != 0:
            pytest.skip(f"no {name} here")
    source = upstream("python3.13", suite="trixie")
    session = type(session)(session.store, dict(support.ORIGINAL_ENV), session.directory, jobs=2)
    commit_file(session, write("stack.toml", STACK.format(source=source)), message="m")
    target = checkouts.choose(session, Checkout(session.store), None)
    prefix = checkouts.ready(session, target.commit)
    Checkout(session.store).switch(target.commit, prefix, branch=target.branch, reason="x")
    code = (
        "import sys, numpy, six, ctypes, zlib; print(sys.prefix, sys.base_prefix, numpy.__file__, sys.version_info[1])"
    )

    def run(place):
        done = subprocess.run([f"{place}/bin/python", "-c", code], env={}, capture_output=True, text=True, cwd="/")
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    current = session.store.inside("current")
    assert run(prefix)[:2] == [prefix, prefix]
    assert run(current) == [current, current, f"{current}/lib/python3.13/site-packages/numpy/__init__.py", "13"]
    place = make_environment(session, str(tmp_path / "env"), find_prefix(session, None))
    assert run(place)[0] == place
    health = look(session, prefix)
    assert health.programs > 50
    assert {problem.kind for problem in health.problems} <= {"uncaptured"}
    assert os.path.islink(f"{prefix}/lib/python3.13/email")
