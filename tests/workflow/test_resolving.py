"""``hdist add --pip`` and what Python packages lack: the real resolver, wheels of the test's own."""

import sys

import pytest
from support import make_wheel

STACK = f'[host]\npython = "path:{sys.executable}"\n'


@pytest.fixture
def index(hdist, write, tmp_path):
    """Run hdist where the package index is a directory of wheels, on a profile that has a Python only."""
    wheels = tmp_path / "wheels"
    requires = (
        'Requires-Dist: ground>=1\nRequires-Dist: extra; extra == "more"\nRequires-Dist: old; python_version < "3"\n'
    )
    make_wheel(wheels, "top", {"top.py": "import ground"}, requires=requires)
    make_wheel(wheels, "ground", {"ground.py": "VERSION = 1"})
    make_wheel(wheels, "ground", {"ground.py": "VERSION = 2"}, version="2.0", requires="Requires-Python: >=3.9\n")
    make_wheel(wheels, "ground", {"ground.py": "VERSION = 9"}, version="9.0", requires="Requires-Python: >=99\n")
    make_wheel(wheels, "extra", {"extra.py": ""})
    make_wheel(wheels, "strict", {"strict.py": ""}, requires="Requires-Dist: ground<2\n")
    (wheels / "sdist-1.0.tar.gz").write_bytes(b"nobody unpacks this")
    write("stack.toml", STACK)
    hdist("commit", "stack.toml", "-m", "python")
    env = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}

    def run(*words, expect=0):
        return hdist(*words, expect=expect, env=env)

    return run


def test_add(index):
    """A requirement becomes packages for it and all it needs, each with what it requires; what is there stays."""
    said = index("add", "--pip", "top[more]", "-m", "the top").stderr
    assert [line for line in said.splitlines() if line.startswith("+")] == ["+ top 1.0", "+ extra 1.0", "+ ground 2.0"]
    text = index("show", "main:stack.toml").stdout
    assert '[packages.top]\nversion = "1.0"\nsource = {pypi = "top"}\nbuilder = "wheel"\n' in text
    assert 'requires = ["python", "extra", "ground"]' in text
    assert "the top" in index("log").stdout
    index("checkout", "--build")
    done = index("run", "main", "--", "python", "-c", "import top, ground; print(ground.VERSION)")
    assert done.stdout == "2\n"
    assert "has all of that already" in index("add", "--pip", "ground>=1", expect=1).stderr


def test_what_is_there_decides(index):
    """Versions that the stack has are kept, and what cannot go with them is refused in the resolver's words."""
    index("add", "ground==1.0", "--requires", "python")
    assert "+ strict 1.0" in index("add", "--pip", "strict").stderr
    index("set", "packages.ground.version=2.0")
    error = index("add", "--pip", "strict>=1.0", "--pip", "ground", expect=4).stderr
    assert "because all versions of strict depend on ground<2" in error
    assert len(error.splitlines()) == 2
    index("remove", "strict")
    error = index("add", "--pip", "strict", expect=4).stderr
    assert "ground" in error
    assert "Traceback" not in error
    assert "strict" not in index("show", "main:stack.toml").stdout


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["sdist"], 4, "sdist"),
        (["nobody"], 3, "no index has a project 'nobody'"),
        (["top; python_version < '3'"], 1, "none of that is for this Python"),
        (["a b c", "@x"], 1, "is no requirement"),
        (["top @ https://example.org/top-1.0-py3-none-any.whl"], 1, "names a URL"),
    ],
)
def test_what_cannot_be_added(index, words, code, text):
    """Sources alone, unknown names, nonsense and URLs are refused in words; nothing is recorded and no code is run."""
    before = index("rev-parse", "main").stdout
    options = [option for word in words for option in ("--pip", word)]
    error = index("add", *options, expect=code).stderr
    assert text in error
    assert index("rev-parse", "main").stdout == before
    index("add", "--pip", "top", "--url", "x", expect=2)
    index("add", expect=2)


def test_without_python(hdist, write, tmp_path):
    """A stack that has no Python gets the one on PATH."""
    make_wheel(tmp_path / "wheels", "ground", {"ground.py": ""})
    write("stack.toml", "")
    hdist("commit", "stack.toml", "-m", "empty")
    env = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "wheels")}
    hdist("add", "--pip", "ground", env=env)
    assert 'python = "path:python3"' in hdist("show", "main:stack.toml").stdout


def test_what_is_lacking_is_told(index):
    """A checkout tells which requirement is not met, with the line that mends it; doctor too, and exits 1."""
    index("add", "top==1.0", "--requires", "python")
    said = index("checkout", "--build").stderr
    assert "top 1.0 needs ground>=1: hdist add --pip 'ground>=1'" in said
    assert "extra" not in said
    assert "needs old" not in said
    found = index("doctor", "main", expect=1).stdout
    assert "requires   top 1.0: top 1.0 needs ground>=1" in found
    index("add", "--pip", "ground>=1")
    assert "needs" not in index("checkout", "--build").stderr
    assert "needs" not in index("doctor", "main", expect=None).stdout


def test_a_version_that_does_not_fit(index):
    """What is there in another version than required is told with both."""
    index("add", "ground==2.0", "--requires", "python")
    index("add", "strict==1.0", "--requires", "python")
    said = index("checkout", "--build").stderr
    assert "strict 1.0 needs ground<2, 2.0 is there: hdist add --pip 'ground<2'" in said
    assert "+ ground 1.0" in index("add", "--pip", "ground<2").stderr
    assert "needs" not in index("checkout", "--build").stderr


def test_names_of_packages_and_projects(index):
    """What counts is the project, whatever the stack calls the package; a package of another kind is no project."""
    index("add", "mine==1.0", "--pypi", "ground", "--requires", "python")
    index("add", "extra==3", "--run", "mkdir -p $PREFIX", "--path", ".")
    said = index("add", "--pip", "top[more]").stderr
    assert "+ top 1.0" in said
    assert "+ ground" not in said
    text = index("show", "main:stack.toml").stdout
    assert '[packages.py-extra]\nversion = "1.0"\nsource = {pypi = "extra"}' in text
    assert 'requires = ["python", "py-extra", "mine"]' in text


def test_an_index_that_cannot_be_reached(hdist, write):
    """That is told as what it is."""
    write("stack.toml", STACK)
    hdist("commit", "stack.toml", "-m", "python")
    env = {"PIP_NO_INDEX": "", "PIP_INDEX_URL": "http://127.0.0.1:9/simple"}
    assert "reachable" in hdist("add", "--pip", "top", env=env, expect=7).stderr


def test_metadata_that_means_nothing(index, tmp_path):
    """Requirements that nobody can read are passed over, and a URL stays one."""
    requires = (
        'Requires-Dist: t; os_name ~= "x"\nRequires-Dist: (((\nRequires-Dist: far @ https://example.org/far.whl\n'
    )
    make_wheel(tmp_path / "wheels", "odd", {"odd.py": ""}, requires=requires)
    index("add", "odd==1.0", "--requires", "python")
    said = index("checkout", "--build").stderr
    assert "hdist add far==VERSION --url https://example.org/far.whl" in said
    assert said.count("needs") == 1


def test_local_projects_count(index, write, tmp_path):
    """A project that the stack has from a path is there, with its version and what it requires; built or not."""
    make_wheel(tmp_path / "mine", "ground", {"ground.py": ""}, version="1.5rc1", requires="Requires-Dist: extra\n")
    wheel = str(next((tmp_path / "mine").iterdir()))
    index("add", "ground==1.5rc1", "--path", wheel, "--requires", "python")
    assert "+ ground" not in index("add", "--pip", "top", "-b", "main").stderr
    index("build")
    said = index("add", "--pip", "top[more]").stderr
    assert [line for line in said.splitlines() if line.startswith("+")] == ["+ extra 1.0"]
