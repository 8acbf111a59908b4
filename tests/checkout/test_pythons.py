"""Prefixes of Pythons from 3.9 to 3.14, of Debian and others."""

import hashlib
import os
import subprocess
import sys
import textwrap

import pytest
from pythons import VERSIONS
from support import make_wheel

from hashdist.checkout.switch import Checkout
from hashdist.objects.spec import read_spec
from hashdist.workflow import checkout as checkouts
from hashdist.workflow.commit import commit_file
from hashdist.workflow.environments import make_environment
from hashdist.workflow.prefixes import find_prefix
from hashdist.workflow.profile import find, read_profile

#: Each Python takes the same ways; what they cover, test_python.py covers.
pytestmark = pytest.mark.no_cover

GREET = """\
import sys, words, ns.one, ns.two
def main():
    print(words.HELLO, ns.one.NUMBER + ns.two.NUMBER, *sys.argv[1:])
    return 7
"""
NAMES = ("greet", "words", "ns-one", "ns-two")


@pytest.fixture(params=[*VERSIONS, "Debian"])
def made(request, python_of, session, write, tmp_path):
    """A prefix with a Python and wheels: the version, its path, the session."""
    if request.param == "Debian":
        if not os.path.exists("/usr/lib/python3/dist-packages"):
            pytest.skip("this is no Debian")
        python = "/usr/bin/python3"
    else:
        python = python_of(request.param)
    wheels = tmp_path / "wheels"
    make_wheel(
        wheels,
        "greet",
        {
            "greet/__init__.py": GREET,
            "greet/slow.py": "X = 1\n",
            "greet.pth": "greet-more\n",
            "greet-more/more.py": "Y = 2\n",
        },
        "[console_scripts]\ngreet = greet:main\n",
    )
    make_wheel(wheels, "words", {"words.py": "HELLO = 'hello'\n"})
    make_wheel(wheels, "ns_one", {"ns/one.py": "NUMBER = 1\n"})
    make_wheel(wheels, "ns_two", {"ns/two.py": "NUMBER = 2\n"})
    env = {**session.env, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
    session = type(session)(session.store, env, session.directory, jobs=2)
    text = f'[host]\npython = "path:{python}"\n' + "".join(
        f'[packages.{name}]\nversion = "1.0"\nsource = {{ pypi = "{name}" }}\nbuilder = "wheel"\nrequires = ["python"]\n'
        for name in NAMES
    )
    commit_file(session, write("stack.toml", text), message="m")
    target = checkouts.choose(session, Checkout(session.store), None)
    path = checkouts.ready(session, target.commit)
    Checkout(session.store).switch(target.commit, path, branch=target.branch, reason="x")
    return session, path, wheels


def run(*command, env=None):
    done = subprocess.run(command, env=env or {}, cwd="/", capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout.split(), done.stderr


def python(prefix, code, *options, env=None):
    status, words, error = run(f"{prefix}/bin/python", *options, "-c", textwrap.dedent(code), env=env)
    assert status == 0, error
    return words


def fingerprint(session):
    """Everything in all artifacts: names, modes and content."""
    found = []
    lock = read_profile(session.store.objects, find(session.store, "HEAD")).lock
    for name in NAMES:
        root = session.store.artifacts.path(read_spec(session.store.objects, lock.specs[name]).artifact)
        for folder, folders, files in os.walk(root):
            found += [(folder, sorted(folders), sorted(files))]
            for file in files:
                with open(os.path.join(folder, file), "rb") as opened:
                    found.append((file, hashlib.sha256(opened.read()).hexdigest()))
    return sorted(map(str, found))


def test_every_python(made, tmp_path):
    """One prefix, all that Python people do in it; the artifacts stay as they are."""
    session, prefix, _ = made
    before = fingerprint(session)
    # by path alone, and through the checkout
    for place in (prefix, session.store.inside("current")):
        words = python(place, "import sys, greet, more; print(sys.prefix, sys.base_prefix, greet.__file__, more.Y)")
        assert words[:2] == [place, place]
        assert words[2].startswith(f"{place}/lib/")
        assert words[3] == "2"
    # console scripts: directly, through a link outside, while the checkout moves on
    (tmp_path / "outside").symlink_to(f"{session.store.inside('current')}/bin/greet")
    for script in (f"{prefix}/bin/greet", str(tmp_path / "outside")):
        assert run(script, "a b")[:2] == (7, ["hello", "3", "a", "b"])
    # packages are folded where one wheel alone has them, and merged where several do
    site = os.path.dirname(python(prefix, "import words; print(words.__file__)")[0])
    assert os.path.islink(f"{site}/greet")
    assert not os.path.islink(f"{site}/ns")
    # the user site is off, also for its .pth files
    version = python(prefix, "import sys; print('%d.%d' % sys.version_info[:2])")[0]
    user = tmp_path / "home" / ".local" / "lib" / f"python{version}" / "site-packages"
    user.mkdir(parents=True)
    (user / "evil.pth").write_text("import sys; print('evil')\n")
    assert python(prefix, "import site; print(site.ENABLE_USER_SITE)", env={"HOME": str(tmp_path / "home")}) == [
        "False"
    ]
    # no bytecode into the artifacts, not even by root; elsewhere as ever
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "own.py").write_text("")
    code = f"import sys; sys.path.insert(0, {str(tmp_path / 'mine')!r}); import own, greet.slow, ns.one"
    python(prefix, code, "-O")
    assert len(list((tmp_path / "mine" / "__pycache__").iterdir())) == 1
    # nor where they are reached by their own paths
    inside = os.path.dirname(os.path.realpath(f"{site}/greet"))
    python(
        prefix,
        f"import sys; sys.path.insert(0, {inside!r}); import greet.slow; assert greet.slow.__file__.startswith({inside!r})",
        "-OO",
    )
    assert fingerprint(session) == before
    # what the Python says of its standard library is there
    status, words, _ = run(
        f"{prefix}/bin/python",
        "-c",
        "import sysconfig, os; p = sysconfig.get_paths(); print(p['stdlib'], os.path.exists(p['stdlib'] + '/os.py'))",
    )
    assert (status, words[1]) == (0, "True")
    assert words[0].startswith(prefix)
    with open(f"{words[0]}/EXTERNALLY-MANAGED") as file:
        assert "hdist venv DIR" in file.read()


def test_pip_and_uv_refuse(made, tmp_path):
    """Neither pip nor uv installs into or uninstalls from a prefix, nor with their flags from an artifact."""
    session, prefix, wheels = made
    before = fingerprint(session)
    tools = os.path.dirname(sys.executable)
    version = python(prefix, "import sys; print(*sys.version_info[:2])")
    make_wheel(wheels, "further", {"further.py": ""})
    env = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
    index = ["--no-index", "--find-links", str(wheels), "--offline", "--python", f"{prefix}/bin/python"]
    commands = [
        [f"{tools}/uv", "pip", "install", *index, "further"],
        [f"{tools}/uv", "pip", "uninstall", *index[3:], "words"],
    ]
    if int(version[1]) >= 10:  # which pip of ours runs under
        commands += [
            [sys.executable, "-m", "pip", "--python", f"{prefix}/bin/python", "install", "further"],
            [sys.executable, "-m", "pip", "--python", f"{prefix}/bin/python", "uninstall", "-y", "words"],
        ]
    for command in commands:
        status, _, error = run(*command, env=env)
        assert status != 0, command
        assert "hdist venv DIR" in error, error
    for command in commands:
        if "uninstall" in command:
            # told to do it all the same, they find no list of files to remove (or, for Debian's, no package)
            _, _, error = run(*command, "--break-system-packages", env=env)
            assert "RECORD" in error or "not installed" in error, error
    assert fingerprint(session) == before
    assert python(prefix, "import words; print(words.HELLO)") == ["hello"]


def test_environment_on_top(made, tmp_path):
    """A virtual environment sees the packages of the prefix, takes more, runs its scripts, and is a root."""
    session, prefix, wheels = made
    make_wheel(wheels, "further", {"further.py": "import words\n"}, "[console_scripts]\nfurther = words:HELLO.title\n")
    place = make_environment(session, str(tmp_path / "an env"), find_prefix(session, None))
    words = python(place, "import sys, greet, more, ns.one; print(sys.prefix, greet.__file__, sep='\\n')")
    assert " ".join(words[:2]) == place
    assert words[-1].startswith(f"{prefix}/lib/")
    env = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "HOME": str(tmp_path)}
    status, _, error = run(f"{place}/bin/pip", "install", "further", env=env)
    assert status == 0, error
    assert python(place, "import further") == []
    assert run(f"{place}/bin/greet", "x")[:2] == (7, ["hello", "3", "x"])
    assert Checkout(session.store, f"{place}/.hashdist").commit == find(session.store, "HEAD")
    # again: what was installed stays
    make_environment(session, place, find_prefix(session, None))
    assert python(place, "import further, greet") == []
