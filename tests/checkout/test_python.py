"""Python in a prefix: wheels, console scripts, sys.prefix."""

import os
import subprocess
import sys

import pytest
from support import make_wheel

from hashdist.checkout import prefix as prefixes
from hashdist.checkout.links import Member
from hashdist.checkout.python import check_prefix, script_for, shebang
from hashdist.checkout.switch import Checkout
from hashdist.objects.spec import read_spec
from hashdist.workflow import checkout as checkouts
from hashdist.workflow.commit import commit_file
from hashdist.workflow.profile import find, read_profile


@pytest.fixture
def prefix(session, write, tmp_path, monkeypatch):
    """A prefix with a host Python and two wheels, one of which uses the other."""
    make_wheel(
        tmp_path / "wheels",
        "greet",
        {
            "greet/__init__.py": "import words, sys\ndef main():\n    print(words.HELLO, *sys.argv[1:])\n    return 7\n",
            "greet-1.0.data/scripts/old-style": "#!python\nimport words\nprint('old', words.HELLO)\n",
            "greet-1.0.data/data/share/greet.txt": "data\n",
        },
        "[console_scripts]\ngreet = greet:main\n",
    )
    make_wheel(tmp_path / "wheels", "words", {"words.py": "HELLO = 'hello'\n"})
    env = {**session.env, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "wheels")}
    session = type(session)(session.store, env, session.directory, jobs=2)
    text = f'[host]\npython = "path:{sys.executable}"\n' + "".join(
        f'[packages.{name}]\nversion = "1.0"\nsource = {{ pypi = "{name}" }}\nbuilder = "wheel"\nrequires = ["python"]\n'
        for name in ("greet", "words")
    )
    commit_file(session, write("stack.toml", text), message="m")
    target = checkouts.choose(session, Checkout(session.store), None)
    path = checkouts.ready(session, target.commit)
    Checkout(session.store).switch(target.commit, path, branch=target.branch, reason="x")
    return path


def run(*command, cwd="/"):
    done = subprocess.run(command, env={}, cwd=cwd, capture_output=True, text=True)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout.split()


def test_by_path_alone(prefix, store, tmp_path):
    """The prefix's Python finds its packages with an empty environment, from anywhere, also through the checkout."""
    for place in (prefix, store.inside("current")):
        status, words = run(f"{place}/bin/python", "-c", "import greet, sys; print(sys.prefix, greet.__file__)")
        assert status == 0
        assert words[0] == place
        assert words[1].startswith(place)


def test_scripts(prefix, tmp_path):
    """Console scripts run under the prefix's Python: directly, through a link outside, with arguments and status."""
    (tmp_path / "outside").symlink_to(f"{prefix}/bin/greet")
    for script in (f"{prefix}/bin/greet", str(tmp_path / "outside")):
        assert run(script, "a b", "c") == (7, ["hello", "a", "b", "c"])
    assert run(f"{prefix}/bin/old-style") == (0, ["old", "hello"])
    with open(f"{prefix}/share/greet.txt") as file:
        assert file.read() == "data\n"


def test_nothing_is_written_into_artifacts(prefix, session):
    """Running Python writes no bytecode anywhere: it is there already."""
    lock = read_profile(session.store.objects, find(session.store, "HEAD")).lock
    artifact = session.store.artifacts.path(read_spec(session.store.objects, lock.specs["words"]).artifact)

    def listing():
        return sorted((folder, tuple(sorted(files))) for folder, _, files in os.walk(artifact))

    before = listing()
    assert any("__pycache__" in folder for folder, _ in before)
    run(f"{prefix}/bin/python", "-c", "import greet")
    assert listing() == before


def test_prefix_says_what_it_is_made_of(prefix, session):
    """The same artifacts give the same prefix, and its document names them."""
    lock = read_profile(session.store.objects, find(session.store, "HEAD")).lock
    members = []
    for name in ("greet", "words", "python"):
        artifact = read_spec(session.store.objects, lock.specs[name]).artifact
        members.append(Member(artifact, session.store.artifacts.path(artifact)))
    assert prefixes.plan(session.store, members[::-1]).path == prefix
    with open(f"{prefix}/.hashdist.json") as file:
        assert all(str(member.artifact) in file.read() or file.seek(0) == 0 for member in members[:1])


def test_a_base_python_is_refused(tmp_path):
    """A prefix whose Python would be the base one is not published."""
    (tmp_path / "p/bin").mkdir(parents=True)
    (tmp_path / "p/bin/python3").symlink_to(os.path.realpath(sys.executable))
    from hashdist.checkout.python import PrefixPythonError

    with pytest.raises(PrefixPythonError, match=r"sys\.prefix"):
        check_prefix(str(tmp_path / "p"), env={})


@pytest.mark.parametrize("place", ["short", "long" * 40, "with space"])
def test_shebangs(tmp_path, place):
    """Scripts run under an interpreter whose path is long, or has a space."""
    folder = tmp_path / place
    folder.mkdir()
    (folder / "python3").symlink_to(os.path.realpath(sys.executable))
    script = tmp_path / "script"
    script.write_bytes(shebang(str(folder / "python3")) + b"import sys; print(sys.argv[1:])\n")
    script.chmod(0o755)
    assert subprocess.run([script, "a b"], capture_output=True, text=True, env={}).stdout == "['a b']\n"


@pytest.mark.parametrize(
    ("first", "taken"),
    [
        ("#!/x/bin/python3", True),
        ("#!/usr/bin/env python", True),
        ("#!python3.11", True),
        ("#!/bin/sh", False),
        ("#!/x/python3 -s", True),
        ("#!/usr/bin/env -S python3 -s", True),
        ("#!/x/python3.10", False),
        ("#!/x/python2", False),
        ("ELF", False),
    ],
)
def test_which_scripts_are_copied(tmp_path, first, taken):
    """Only scripts of a plain Python are copied; others stay links."""
    path = tmp_path / "s"
    path.write_text(f"{first}\nbody\n")
    found = script_for(str(path), "/p/bin/python3", "3.11")
    option = b" -s" if first.endswith(" -s") else b""
    assert found == (b"#!/p/bin/python3" + option + b"\nbody\n" if taken else None)


BACKEND = """
import zipfile


def build_wheel(directory, config_settings=None, metadata_directory=None):
    name = "made-1.0-py3-none-any.whl"
    with zipfile.ZipFile(f"{directory}/{name}", "w") as made:
        made.writestr("made.py", "def main(): print('made here')")
        made.writestr("made-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: made\\nVersion: 1.0\\n")
        made.writestr("made-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        made.writestr("made-1.0.dist-info/entry_points.txt", "[console_scripts]\\nmade = made:main\\n")
        made.writestr("made-1.0.dist-info/RECORD", "")
    return name
"""


def test_the_python_preset(session, write):
    """A source with a build backend becomes a wheel by the Python's own pip, without an index, and is installed."""
    base = os.path.join(sys.base_prefix, "bin", "python3")
    if subprocess.run([base, "-m", "pip", "--version"], capture_output=True).returncode:
        pytest.skip(f"{base} has no pip")
    write("src/pyproject.toml", '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n')
    write("src/backend.py", BACKEND)
    text = (
        f'[host]\npython = "path:{sys.executable}"\n[packages.made]\nversion = "1.0"\nsource = {{ path = "src" }}\n'
        'builder = "python"\nrequires = ["python"]\n'
    )
    recorded = commit_file(session, write("stack.toml", text), message="m")
    prefix = checkouts.ready(session, recorded.commit)
    assert run(f"{prefix}/bin/made") == (0, ["made", "here"])


@pytest.mark.parametrize(
    "first",
    [
        "#!/usr/bin/env -S python3 -I -u",
        "#!/x/python -W ignore -s",
        "#!/bin/sh\n'''exec' \"/x y/python3\" -I \"$0\" \"$@\"\n' '''",
    ],
)
def test_scripts_with_options_run(tmp_path, first):
    """Scripts keep the options of their interpreter, however they are written."""
    script, copy = tmp_path / "s", tmp_path / "copy"
    script.write_text(f"{first}\nimport sys; print(sys.flags.isolated, sys.flags.no_user_site, sys.argv[1:])\n")
    copy.write_bytes(
        script_for(str(script), os.path.realpath(sys.executable), f"{sys.version_info[0]}.{sys.version_info[1]}")
    )
    copy.chmod(0o755)
    done = subprocess.run([copy, "a b"], capture_output=True, text=True, env={})
    assert done.stdout in {"1 1 ['a b']\n", "0 1 ['a b']\n"}, done.stderr


def test_what_starts_python_is_checked(hdist, write, tmp_path):
    """A package that makes the prefix's Python another one when it starts is found out, also where others were fine."""
    make_wheel(tmp_path / "wheels", "fine", {"fine.py": ""})
    make_wheel(tmp_path / "wheels", "evil", {"sitecustomize.py": "import sys; sys.prefix = '/usr'"})
    env = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "wheels")}
    write("stack.toml", f'[host]\npython = "path:{sys.executable}"\n')
    hdist("commit", "stack.toml", "-m", "m")
    hdist("add", "--pip", "fine", env=env)
    hdist("checkout", "--build", env=env)
    hdist("add", "--pip", "evil", env=env)
    assert "sys.prefix '/usr' instead of" in hdist("checkout", "--build", expect=1, env=env).stderr
    assert len(os.listdir(tmp_path / "store" / "prefixes")) == 1


def test_equal_namespace_packages(hdist, write, tmp_path):
    """Two wheels with the same __init__.py of a namespace are no conflict, though both bring bytecode."""
    init = "__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n"
    for name in ("one", "two"):
        make_wheel(tmp_path / "wheels", name, {"space/__init__.py": init, f"space/{name}.py": ""})
    env = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "wheels")}
    write("stack.toml", f'[host]\npython = "path:{sys.executable}"\n')
    hdist("commit", "stack.toml", "-m", "m")
    hdist("add", "--pip", "one", "--pip", "two", env=env)
    hdist("checkout", "--build", env=env)
    hdist("run", "main", "--", "python", "-c", "import space.one, space.two")


def test_who_asks_for_paths_first(hdist, write, tmp_path):
    """Another .pth file that asks where the library is does not keep installers from being refused."""
    make_wheel(
        tmp_path / "wheels",
        "early",
        {"0.pth": "import sysconfig; sysconfig.get_paths()\n", "Aaa.pth": "import sysconfig\n"},
    )
    env = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "wheels")}
    write("stack.toml", f'[host]\npython = "path:{sys.executable}"\n')
    hdist("commit", "stack.toml", "-m", "m")
    hdist("add", "--pip", "early", env=env)
    hdist("checkout", "--build", env=env)
    done = hdist("run", "main", "--", "python", "-c", "import sysconfig; print(sysconfig.get_path('stdlib'))")
    assert done.stdout.startswith(f"{tmp_path}/store/prefixes/")
    hdist("venv", str(tmp_path / "v"))


def test_copied_scripts(hdist, write, tmp_path):
    """A script that a rule has copied gets the prefix's interpreter all the same."""
    make_wheel(
        tmp_path / "wheels", "tell", {"tell.py": "def main(): print('told')"}, "[console_scripts]\ntell = tell:main\n"
    )
    env = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "wheels")}
    write("stack.toml", f'[prefix]\ncopy = ["**"]\n[host]\npython = "path:{sys.executable}"\n')
    hdist("commit", "stack.toml", "-m", "m")
    hdist("add", "--pip", "tell", env=env)
    hdist("checkout", "--build", env=env)
    assert hdist("run", "main", "--", "tell").stdout == "told\n"
