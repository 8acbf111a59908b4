"""Spack itself: our externals in its environments, its installs in our profiles, its builds in our jail.

Needs a Spack of 1.0 or newer that can concretize and build what it has no caches of: ``spack`` on the path, or the
program that HDIST_TEST_SPACK names.
"""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import tarfile

import pytest

SPACK = os.environ.get("HDIST_TEST_SPACK") or shutil.which("spack")
pytestmark = pytest.mark.skipif(not SPACK, reason="no Spack here: HDIST_TEST_SPACK=.../bin/spack names one")

LIBRARY = {
    "words.c": 'const char *word(void) { return "hello"; }\n',
    "Makefile": "all:\n\t$(CC) -shared -fPIC -Wl,-soname,libwords.so -o libwords.so words.c\n"
    "install:\n\tmkdir -p $(PREFIX)/lib\n\tcp libwords.so $(PREFIX)/lib\n",
}
PROGRAM = {
    "hello.c": "#include <stdio.h>\nconst char *word(void);\nint main(void) { puts(word()); return 0; }\n",
    "Makefile": "all:\n\t$(CC) -o hello hello.c -lwords\ninstall:\n\tmkdir -p $(PREFIX)/bin\n\tcp hello $(PREFIX)/bin\n",
}
RECIPE = """\
from spack_repo.builtin.build_systems.makefile import MakefilePackage
from spack.package import *


class {title}(MakefilePackage):
    url = "file://{archive}"
    version("1.0", sha256="{digest}")
    depends_on("c", type="build")
{more}
    def install(self, spec, prefix):
        make("install", "PREFIX=" + prefix)
"""


class Spack:
    """A Spack with an install tree and packages of its own."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        self.environment = root / "environment"
        self.tree = root / "opt"
        self.recipes = root / "spack_repo" / "words_site"
        (self.recipes / "packages").mkdir(parents=True)
        (self.recipes / "repo.yaml").write_text("repo:\n  namespace: words_site\n  api: v2.0\n")
        self.environment.mkdir()
        scope = root / "scope"
        scope.mkdir()
        (scope / "repos.yaml").write_text(f"repos:\n  words_site: {self.recipes}\n")
        (scope / "config.yaml").write_text(
            f"config:\n  install_tree:\n    root: {self.tree}\n  build_stage: [{root}/stage]\n"
        )
        self.env = {**os.environ, "SPACK_DISABLE_LOCAL_CONFIG": "1", "SPACK_USER_CACHE_PATH": str(root / "cache")}

    def add(self, name: str, files: dict[str, str], more: str = "") -> None:
        """Write a package with these sources."""
        place = self.root / "sources" / f"{name}-1.0"
        place.mkdir(parents=True)
        for file, text in files.items():
            (place / file).write_text(text)
        archive = self.root / f"{name}-1.0.tar.gz"
        with tarfile.open(archive, "w:gz") as written:
            written.add(place, place.name)
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        folder = self.recipes / "packages" / name
        folder.mkdir()
        text = RECIPE.format(title=name.title(), archive=archive, digest=digest, more=more)
        (folder / "package.py").write_text(text)

    def write(self, packages: str, *specs: str) -> None:
        """Write the environment, with the packages of the host that are told."""
        head = f"spack:\n  specs: [{', '.join(specs)}]\n  view: true\n"
        text = "".join(f"  {line}\n" for line in packages.splitlines())
        (self.environment / "spack.yaml").write_text(head + text)

    def words(self, *words: str) -> list[str]:
        return [str(SPACK), "-C", str(self.root / "scope"), "-e", str(self.environment), *words]

    def __call__(self, *words: str) -> str:
        done = subprocess.run(self.words(*words), env=self.env, capture_output=True, text=True)
        assert done.returncode == 0, f"{words}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout


@pytest.fixture
def spack(tmp_path):
    return Spack(tmp_path / "spack")


def test_externals_installs_and_profiles(spack, hdist, tmp_path):
    """From captured host software to a profile of what Spack built with it; another gcc of one version is another hash."""
    spack.add("words", LIBRARY)
    spack.add("hello", PROGRAM, '    depends_on("words")\n')
    hdist("host", "scan", "gcc=path:gcc", "gmake=path:make")
    spack.write(hdist("spack", "config", "gcc", "gmake").stdout, "hello")
    spack("concretize")
    assert "not installed" in hdist("commit", "--from-spack", str(spack.environment), "-m", "m", expect=3).stderr
    spack("install")
    hdist("commit", "--from-spack", str(spack.environment), "-m", "one", "-b", "science")
    hdist("checkout", "science")
    hello = tmp_path / "store/current/bin/hello"
    assert subprocess.run([hello], env={}, capture_output=True, text=True).stdout == "hello\n"
    # by its lockfile and tree, and by its view, it is the same
    for place in (["spack.lock"], [".spack-env/view"]):
        where = [str(spack.environment / place[0])]
        tree = ["--tree", str(spack.tree)] if place == ["spack.lock"] else []
        said = hdist("commit", "--from-spack", *where, *tree, "-m", "m", "-b", "science", expect=1).stderr
        assert "nothing changed" in said

    # the host's gcc becomes another one, which says that it is of the same version
    other = tmp_path / "other"
    other.mkdir()
    for name in ("gcc", "g++"):
        if shutil.which(name):
            (other / name).write_text(f'#!/bin/sh\nexec {shutil.which(name)} "$@"\n')
            (other / name).chmod(0o755)
    env = {"PATH": f"{other}:{os.environ['PATH']}"}
    hdist("host", "scan", "gcc=path:gcc", env=env)
    spack.write(hdist("spack", "config", "gcc", "gmake").stdout, "hello")
    before = {path.name for path in spack.tree.rglob("hello-1.0-*")}
    spack("concretize", "--force", "--fresh")
    spack("install")
    assert len({path.name for path in spack.tree.rglob("hello-1.0-*")} - before) == 1
    hdist("commit", "--from-spack", str(spack.environment), "-m", "two", "-b", "science")
    said = hdist("explain", "science~1", "science").stdout
    assert "/gcc/" in said
    for state in ("science", "science~1"):
        hdist("checkout", state)
        assert subprocess.run([hello], env={}, capture_output=True, text=True).stdout == "hello\n"
    hdist("gc", "--now")
    assert len(list((tmp_path / "store/artifacts/gcc").glob("*/*"))) == 2


def test_its_builds_in_the_jail(spack, hdist, tmp_path):
    """What a build takes without saying so is told."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "word.h").write_text('#define WORD "sly"\n')
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    sly = {**LIBRARY, "words.c": f'#include "{outside}/word.h"\nconst char *word(void) {{ return WORD; }}\n'}
    spack.add("words", sly)
    hdist("host", "scan", "gcc=path:gcc", "gmake=path:make")
    spack.write(hdist("spack", "config", "gcc", "gmake").stdout, "words")
    spack("concretize")
    top = pathlib.Path(str(SPACK)).resolve().parents[1]
    allowed = [word for path in (top, spack.root) for word in ("--allow", str(path))]
    written = [word for path in (top, spack.root) for word in ("--write", str(path))]
    jail = ["jail", *allowed, *written, "--host", "path:gcc", "--report", str(tmp_path / "report.json")]
    env = {**spack.env, "TMPDIR": str(temporary)}
    hdist(*jail, "--", *spack.words("install", "--dirty"), env=env)
    used = [one["path"] for one in json.loads((tmp_path / "report.json").read_text())["accesses"]]
    assert f"{outside}/word.h" in used
    assert list(spack.tree.rglob("libwords.so"))
