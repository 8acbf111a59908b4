"""Packages as others write them down: requirements files, explicit lists of conda, easyconfigs."""

import contextlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import zipfile

import pytest
import zstandard
from easybuild.framework.easyconfig.templates import TEMPLATE_CONSTANTS
from hypothesis import given, strategies as st
from support import make_wheel, package

import hashdist
from hashdist.errors import HashdistError, InvalidError, NotFoundError
from hashdist.sources.download import HashMismatchError
from hashdist.stack.file import parse_stack
from hashdist.workflow.checkout import ready
from hashdist.workflow.commit import commit_file
from hashdist.workflow.importing import easyconfig_file
from hashdist.workflow.importing.conda import import_explicit, read_explicit, without_cycles
from hashdist.workflow.importing.easyconfig import import_easyconfigs, read_easyconfig
from hashdist.workflow.importing.requirements import UnlistedHashError, import_requirements, read_requirements
from hashdist.workflow.profile import find, read_profile

SCRIPT = str(pathlib.Path(hashdist.__file__).parent / "stack/scripts/install-conda.py")
PREFIX = "/opt/placehold_" + "placehold_" * 20


def sha256_of(path):
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


# requirements files


@pytest.fixture
def index(session, tmp_path, monkeypatch):
    """A few wheels, which pip's configuration finds; a session that sees it."""
    import dataclasses

    wheels = tmp_path / "wheels"
    make_wheel(wheels, "greet", {"greet.py": "import words\nTEXT = words.TEXT"}, requires="Requires-Dist: words\n")
    make_wheel(wheels, "words", {"words.py": "TEXT = 'old'"})
    make_wheel(wheels, "words", {"words.py": "TEXT = 'new'"}, version="2.0")
    env = {**session.env, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
    env["PATH"] = f"{os.path.dirname(sys.executable)}:{env['PATH']}"
    return dataclasses.replace(session, env=env)


def test_a_requirements_file_begins_a_profile_that_runs(index, write):
    write("more.txt", "# by hand\nwords<2  # not yet\n")
    path = write(
        "requirements.txt", "-c more.txt\ngreet \\\n  >=1.0\nnowhere; python_version < '3'\n--index-url https://a.b\n"
    )
    _, added, read = import_requirements(index, path, message="m", profile="science")
    assert [(one.name, one.version) for one in added] == [("greet", "1.0"), ("words", "1.0")]
    assert read.passed_over == ["--index-url https://a.b"]
    prefix = ready(index, find(index.store, "science"))
    code = "import greet; print(greet.TEXT)"
    assert subprocess.check_output([f"{prefix}/bin/python3", "-c", code], env={}) == b"old\n"


def test_hashes_that_are_listed_must_fit(index, write, tmp_path):
    digest = sha256_of(tmp_path / "wheels/words-2.0-py3-none-any.whl")
    path = write("requirements.txt", f"words==2.0 --hash=sha256:{'0' * 64} \\\n  --hash=sha256:{digest}\n")
    import_requirements(index, path, message="m")
    path = write("other.txt", f"words==2.0 --hash sha256:{'0' * 64}\n")
    with pytest.raises(UnlistedHashError, match=digest):
        import_requirements(index, path, message="m", profile="other")
    assert index.store.refs.get("refs/heads/other") is None, "nothing is recorded"


def test_what_is_wrong_in_a_requirements_file_is_told_by_line(write):
    write("round.txt", "-r requirements.txt\n")
    path = write("requirements.txt", "a==1\n-e .\nb @ https://x.y/b.zip\n!!\n-r gone.txt\n--frob\n-rround.txt\n")
    with pytest.raises(InvalidError) as caught:
        read_requirements(path)
    assert [problem.split("requirements.txt")[1][:3] for problem in caught.value.problems[:5]] == [
        ":2:",
        ":3:",
        ":4:",
        ":5:",
        ":6:",
    ]
    assert "again and again" in caught.value.message
    with pytest.raises(NotFoundError):
        read_requirements(path + "x")
    with pytest.raises(InvalidError, match="UTF-8"):
        read_requirements(write("binary.txt", b"\xff\xfe"))


@given(st.text(max_size=200))
def test_any_text_is_requirements_or_invalid(text):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/r.txt"
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        with contextlib.suppress(HashdistError):
            read_requirements(path)


def test_a_line_that_goes_on_to_the_end_counts(write):
    assert [str(one) for one in read_requirements(write("r.txt", "idna\nsix==1.16.0 \\")).wanted] == [
        "idna",
        "six==1.16.0",
    ]


@pytest.mark.parametrize(
    "line", ["a==1 --hash=md5:abc", "a==1 --hash='sha256:8", 'a --config-settings="a=b', "--pre", "# x"]
)
def test_lines_that_cannot_be_kept_are_refused(write, line):
    with pytest.raises(InvalidError):
        read_requirements(write("r.txt", line + "\n"))


def test_with_hashes_all_that_comes_in_must_have_them(index, write, tmp_path):
    digest = sha256_of(tmp_path / "wheels/greet-1.0-py3-none-any.whl")
    with pytest.raises(UnlistedHashError, match="words"):
        import_requirements(index, write("r.txt", f"greet==1.0 --hash=sha256:{digest}\n"), message="m")
    with pytest.raises(UnlistedHashError, match="words"):
        import_requirements(index, write("r.txt", "--require-hashes\nwords\n"), message="m")


# conda


def conda_package(
    folder, name, files, *, depends=(), version="1.0", noarch=False, placeholders=(), link=None, old=False
):
    """Write a package as conda's tools do: of format 2, or with `old` of format 1. `files` are paths to bytes."""
    paths = [
        {
            "_path": path,
            "path_type": "hardlink",
            **(
                {"prefix_placeholder": PREFIX, "file_mode": dict(placeholders)[path]}
                if path in dict(placeholders)
                else {}
            ),
        }
        for path in files
    ]
    info = {
        "info/index.json": json.dumps(
            {
                "name": name,
                "version": version,
                "build": "0",
                "depends": list(depends),
                **({"noarch": "python"} if noarch else {}),
            }
        ).encode(),
        "info/paths.json": json.dumps({"paths": paths, "paths_version": 1}).encode(),
        **({"info/link.json": json.dumps(link).encode()} if link else {}),
    }

    def tar(contents, mode="w"):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode=mode) as made:
            for path, data in contents.items():
                entry = tarfile.TarInfo(path)
                entry.size, entry.mode = len(data), 0o755 if path.startswith("bin/") else 0o644
                made.addfile(entry, io.BytesIO(data))
        return out.getvalue()

    folder.mkdir(exist_ok=True)
    if old:
        path = folder / f"{name}-{version}-0.tar.bz2"
        path.write_bytes(tar({**info, **files}, "w:bz2"))
        return path
    path = folder / f"{name}-{version}-0.conda"
    compress = zstandard.ZstdCompressor().compress
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as made:
        made.writestr("metadata.json", json.dumps({"conda_pkg_format_version": 2}))
        made.writestr(f"info-{name}-{version}-0.tar.zst", compress(tar(info)))
        made.writestr(f"pkg-{name}-{version}-0.tar.zst", compress(tar(files)))
    return path


@pytest.fixture
def channel(tmp_path):
    """Real programs: a library, one that uses it as conda links them, and a script with the placeholder in it."""
    folder = tmp_path / "channel"
    work = tmp_path / "c"
    work.mkdir()
    (work / "a.c").write_text(f'const char *where(void) {{ return "{PREFIX}/share/answer"; }}')
    (work / "m.c").write_text(
        "#include <stdio.h>\nextern const char *where(void); int main(void) { return !puts(where()); }"
    )
    subprocess.run(["gcc", "-shared", "-fPIC", "a.c", "-o", "libanswer.so"], cwd=work, check=True)
    subprocess.run(["gcc", "m.c", "-L.", "-lanswer", "-Wl,-rpath,$ORIGIN/../lib", "-o", "ask"], cwd=work, check=True)
    library = {"lib/libanswer.so": (work / "libanswer.so").read_bytes(), "share/answer": b"42"}
    one = conda_package(folder, "_answer", library, placeholders=[("lib/libanswer.so", "binary")])
    script = f"#!/bin/sh\ncat {PREFIX}/share/text\n".encode()
    two = conda_package(
        folder,
        "ask",
        {
            "bin/ask": (work / "ask").read_bytes(),
            "bin/tell": script,
            "share/text": b"text\n",
            "bin/.ask-post-link.sh": b"",
        },
        depends=["_answer >=1.0,<2.0a0", "__glibc >=2.17"],
        placeholders=[("bin/tell", "text")],
        old=True,
    )
    three = conda_package(folder, "nothing", {}, depends=["gone 1.*"], old=True)
    return [one, two, three]


def explicit(write, packages, *, digests=True):
    import hashlib

    lines = [
        f"file://{path}" + (f"#{hashlib.md5(path.read_bytes()).hexdigest()}" if digests else "") for path in packages
    ]
    return write("explicit.txt", "# platform: linux-64\n@EXPLICIT\n" + "\n".join(lines) + "\n")


def test_an_explicit_list_becomes_a_profile_whose_programs_run(session, write, channel):
    recorded, done = import_explicit(session, explicit(write, channel), message="m")
    assert done.missing == (("nothing", "gone"),)
    stack = parse_stack(read_profile(session.store.objects, recorded.commit).text)
    assert stack.packages["ask"].requires == ("conda_answer",)
    prefix = ready(session, recorded.commit)
    said = subprocess.check_output([f"{prefix}/bin/ask"], env={}, text=True).strip()
    assert said.endswith("/share/answer")
    with open(said, encoding="utf-8") as file:
        assert file.read() == "42", "it leads to where it is installed"
    assert subprocess.check_output([f"{prefix}/bin/tell"]) == b"text\n"


def test_a_list_that_is_imported_again_changes_what_is_new(session, write, channel, tmp_path):
    first, _ = import_explicit(session, explicit(write, channel), message="m")
    newer = conda_package(tmp_path / "channel", "nothing", {"share/x": b"x"}, version="2.0")
    second, _ = import_explicit(session, explicit(write, [*channel[:2], newer]), message="m")
    old, new = (read_profile(session.store.objects, one.commit).lock.packages for one in (first, second))
    assert old["ask"].spec == new["ask"].spec
    assert new["nothing"].version == "2.0"


def test_an_archive_with_another_md5_is_refused(session, write, channel):
    path = explicit(write, channel)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    digest = text.strip()[-32:]
    write("explicit.txt", text.replace(digest, "0" * 32))
    with pytest.raises(HashMismatchError, match="MD5"):
        import_explicit(session, path, message="m")
    assert session.store.refs.get("refs/heads/main") is None


def test_modules_without_a_platform_go_to_the_python_of_the_list(session, write, tmp_path):
    folder = tmp_path / "channel"
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    program = f'#!/bin/sh\nPYTHONPATH={PREFIX}/lib/python{version}/site-packages exec {sys.executable} "$@"\n'.encode()
    python = conda_package(
        folder,
        "python",
        {"bin/python": program, f"lib/python{version}/os.py": b""},
        placeholders=[("bin/python", "text")],
    )
    link = {"noarch": {"type": "python", "entry_points": ["greet = greet:main"]}}
    greet = conda_package(
        folder,
        "greet",
        {"site-packages/greet.py": b"def main(): print('hello')"},
        depends=["python"],
        noarch=True,
        link=link,
    )
    recorded, _ = import_explicit(session, explicit(write, [python, greet], digests=False), message="m")
    from hashdist.objects.spec import read_spec
    from hashdist.workflow import building

    building.build_commit(session, recorded.commit)
    lock = read_profile(session.store.objects, recorded.commit).lock
    path = session.store.artifacts.path(read_spec(session.store.objects, lock.packages["greet"].spec).artifact)
    assert os.path.isfile(f"{path}/lib/python{version}/site-packages/greet.py")
    env = {"PYTHONPATH": f"{path}/lib/python{version}/site-packages"}
    assert subprocess.check_output([sys.executable, f"{path}/bin/greet"], env=env) == b"hello\n"


@pytest.mark.parametrize(
    ("files", "link"),
    [
        ({"site-packages/x.py": b""}, {"noarch": {"entry_points": ["/tmp/evil = a:b"]}}),
        ({"site-packages/x.py": b""}, {"noarch": {"entry_points": ["x = a:b(evil)"]}}),
        ({"site-packages/x.py": b"", "python-scripts/../../../evil": b"x"}, None),
    ],
)
def test_a_hostile_package_writes_nothing_elsewhere(tmp_path, files, link):
    """The script itself is asked, with a tree as no archive can have it."""
    work, prefix, python = tmp_path / "work", tmp_path / "prefix", tmp_path / "python"
    for path in (work / "info", prefix, python / "lib/python3.11"):
        path.mkdir(parents=True)
    (python / "lib/python3.11/os.py").write_text("")
    (python / "lib/python3.1").symlink_to("python3.11")
    (work / "info/index.json").write_text(json.dumps({"name": "../evil", "noarch": "python"}))
    if link:
        (work / "info/link.json").write_text(json.dumps(link))
    for name, data in files.items():
        path = pathlib.Path(os.path.normpath(work / name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (work / "bin").symlink_to(tmp_path)
    (work / "python-scripts").mkdir(exist_ok=True)
    (work / "python-scripts/evil").write_text("x")
    before = sorted(os.listdir(tmp_path))
    command = [sys.executable, SCRIPT, str(prefix), str(python)]
    assert subprocess.run(command, cwd=work, capture_output=True).returncode != 0
    assert sorted(os.listdir(tmp_path)) == before


def test_what_is_wrong_in_an_explicit_list_is_told_by_line(write):
    url = "https://x.y/linux-64/zlib-1.3-h0_0.conda"
    path = write("list.txt", f"@EXPLICIT\n{url}#{'0' * 31}\nzlib\n{url}\n{url}#sha256:{'0' * 64}\n")
    with pytest.raises(InvalidError) as caught:
        read_explicit(path)
    assert [
        "neither an MD5" in one or "not the URL" in one or "second time" in one for one in caught.value.problems
    ] == [True] * 3
    with pytest.raises(InvalidError, match="@EXPLICIT"):
        read_explicit(write("list.txt", url))
    (one,) = read_explicit(write("list.txt", f"@EXPLICIT\n{url}#{'a' * 64}\n"))
    assert (one.name, one.version, one.build, one.sha256) == ("zlib", "1.3", "h0_0", "a" * 64)


def test_what_is_no_conda_package_is_refused(session, write, tmp_path):
    with tarfile.open(tmp_path / "x-1-0.tar.bz2", "w:bz2") as made:
        made.add(write("a", "a"), "a")
        made.add(write("b", "b"), "b")
    with pytest.raises(InvalidError, match=r"info/index\.json"):
        import_explicit(session, write("list.txt", f"@EXPLICIT\nfile://{tmp_path}/x-1-0.tar.bz2\n"), message="m")


@given(st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdef"), max_size=4)))
def test_cycles_are_cut_and_nothing_else_is_lost(depends):
    depends = {name: [one for one in depends.get(name, []) if one != name] for name in "abcdef"}
    found = without_cycles(depends)
    assert all(set(found[name]) <= set(depends[name]) for name in depends)
    order, left = [], dict(found)
    while left:
        free = [name for name in left if not set(left[name]) & left.keys()]
        assert free, "a cycle is left"
        order += free
        for name in free:
            del left[name]
    import graphlib

    try:
        graphlib.TopologicalSorter(depends).prepare()
    except graphlib.CycleError:
        return
    assert all(set(found[name]) == set(depends[name]) for name in depends)


# easyconfigs


EASYCONFIG = """
easyblock = 'ConfigureMake'
name = 'Tool'
version = '1.2.3'
local_base = 'https://example.org/%(namelower)s'
homepage = local_base
description = "A tool" + ' of ours'
toolchain = {'name': 'GCC', 'version': '13.2.0'}
source_urls = [local_base + '/%(version_major_minor)s/']
sources = [SOURCELOWER_TAR_GZ]
checksums = ['HASH', {'fix.patch': 'PATCHED'}]
patches = ['fix.patch']
builddependencies = [('binutils', '2.40')]
dependencies = [('Library', '1.0', '', SYSTEM)]
preconfigopts = "CFLAGS=-O1 "
configopts = "--with-library=$EBROOTLIBRARY " % ()
sanity_check_paths = {'files': ['bin/tool'], 'dirs': []}
moduleclass = 'tools'
""".replace(" % ()", "")


def test_an_easyconfig_becomes_a_package(write):
    import hashlib

    patch = "--- a/x\n+++ b/x\n"
    write("fix.patch", patch)
    text = EASYCONFIG.replace("HASH", "a" * 64).replace("PATCHED", hashlib.sha256(patch.encode()).hexdigest())
    one = read_easyconfig(write("tool.eb", text))
    assert one.name == "tool"
    assert one.fields["source"] == {"url": "https://example.org/tool/1.2/tool-1.2.3.tar.gz", "sha256": "a" * 64}
    assert one.fields["commands"] == [
        'CFLAGS=-O1 ./configure --prefix="$PREFIX" --with-library=$LIBRARY_DIR',
        "make",
        "make install",
    ]
    assert (one.inputs, one.tools, one.toolchain) == (("library",), ("binutils",), "GCC 13.2.0")
    assert one.patches == {"tool-fix.patch": patch.encode()}
    write("fix.patch", "another")
    with pytest.raises(InvalidError, match="another SHA-256"):
        read_easyconfig(write("tool.eb", text))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("import os", "have to be run"),
        ("name = os.environ['HOME']", "have to be run"),
        ("version = open('/etc/passwd').read()", "have to be run"),
        ("name = [x for x in 'abc']", "have to be run"),
        ("sources = [NOTHING]", "'NOTHING' is not known"),
        ("configopts = '%(nothing)s'", "nothing"),
        ("easyblock = 'Bundle'", "easyblock 'Bundle'"),
        ("components = [('a', '1')]", "'components'"),
        ("exts_list = ['x']", "'exts_list'"),
        ("sources = ['a', 'b']", "not one source"),
        ("sources = None", "not one source"),
        ("checksums = ['0' + '1']", "no SHA-256"),
        ("sources = {'a': 1}", "not one source"),
        ("sources = [{'filename': 'a', 'extract_cmd': 'x'}]", "extract_cmd"),
        ("sources = [{'git_config': {}}]", "not as easyconfigs are"),
        ("dependencies = 3", "not as easyconfigs are"),
        ("configopts = '--a=\\''", "not as easyconfigs are"),
        ("configopts = '$EBROOTNOTHING'", "of no dependency"),
        ("name = ''", "no 'name'"),
        ("foo = {[]: 1}", "unhashable"),
        ("toolchainopts = {'cstd': 'c++17'}", "cstd"),
        ("patches = ['/dev/zero']", "no file beside"),
        ("\n".join(["local_a = 'a'", *["local_a = local_a + local_a"] * 40]), "have to be computed"),
        ("patches = ['gone.patch']", "no file beside"),
        ("configopts = ['a', 'b']", "several times"),
        ("name = (", "not an easyconfig"),
        ("name = 'x' * 10**9", "have to be run"),
    ],
)
def test_what_an_easyconfig_says_beyond_that_is_told_and_never_run(write, line, words):
    text = "easyblock = 'ConfigureMake'\nname = 'a'\nversion = '1'\nsource_urls = ['https://x.y']\nsources = ['a']\n"
    with pytest.raises(InvalidError, match=words):
        read_easyconfig(write("a.eb", text + line + "\n"))


def test_constants_are_those_of_easybuild():
    for name, (text, _) in TEMPLATE_CONSTANTS.items():
        if name in easyconfig_file.CONSTANTS and easyconfig_file.CONSTANTS[name] != easyconfig_file.PYPI:
            assert easyconfig_file.CONSTANTS[name] == text, name
    assert TEMPLATE_CONSTANTS.keys() <= easyconfig_file.CONSTANTS.keys()


def test_easyconfigs_are_built_by_the_host_toolchain(session, write, tmp_path, hdist):
    """A library and a program, with a patch, by their own configure scripts."""
    import hashlib

    def archive(name, files):
        path = tmp_path / f"{name}-1.0.tar.gz"
        with tarfile.open(path, "w:gz") as made:
            for inside, (text, mode) in files.items():
                entry = tarfile.TarInfo(f"{name}-1.0/{inside}")
                entry.size, entry.mode = len(text), mode
                made.addfile(entry, io.BytesIO(text.encode()))
        return path

    configure = '#!/bin/sh\nsed "s,@P@,${1#--prefix=},g" Makefile.in > Makefile\n'
    library = archive(
        "Library",
        {
            "configure": (configure, 0o755),
            "l.c": ("int n(void) { return 1; }\n", 0o644),
            "Makefile.in": (
                "all:\n\tgcc -shared -fPIC l.c -o liblibrary.so\ninstall:\n\tmkdir -p @P@/lib; cp *.so @P@/lib\n",
                0o644,
            ),
        },
    )
    tool = archive(
        "Tool",
        {
            "configure": (configure, 0o755),
            "t.c": ("int n(void);\nint main(void) { return n(); }\n", 0o644),
            "Makefile.in": (
                "all:\n\tgcc t.c -llibrary -o tool\ninstall:\n\tmkdir -p @P@/bin; cp tool @P@/bin\n",
                0o644,
            ),
        },
    )
    write("fix.patch", "--- a/l.c\n+++ b/l.c\n@@ -1 +1 @@\n-int n(void) { return 1; }\n+int n(void) { return 7; }\n")
    common = "easyblock = 'ConfigureMake'\nversion = '1.0'\nsources = [SOURCE_TAR_GZ]\ntoolchain = SYSTEM\n"
    common += f"source_urls = ['file://{tmp_path}']\n"
    digests = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in (library, tool)}
    one = write("l.eb", f"{common}name = 'Library'\npatches = ['fix.patch']\nchecksums = ['{digests[library]}']\n")
    two = write(
        "t.eb", f"{common}name = 'Tool'\ndependencies = [('Library', '1.0')]\nchecksums = ['{digests[tool]}']\n"
    )
    with pytest.raises(NotFoundError, match="library"):
        import_easyconfigs(session, [two], message="m")
    recorded, _ = import_easyconfigs(session, [two, one], message="m")
    prefix = ready(session, recorded.commit)
    assert subprocess.run([f"{prefix}/bin/tool"], env={}).returncode == 7


def test_patches_of_one_name_stay_those_of_their_packages(write):
    common = "easyblock = 'ConfigureMake'\nversion = '1'\nsource_urls = ['https://x.y']\nsources = ['a']\n"
    found = {}
    for name in ("A", "B"):
        write(f"{name}/fix.patch", name)
        path = write(f"{name}/{name}.eb", f"{common}name = '{name}'\npatches = ['fix.patch']\n")
        found |= read_easyconfig(path).patches
    assert found == {"a-fix.patch": b"A", "b-fix.patch": b"B"}


def test_variables_of_dependencies_are_those_of_the_stack(write):
    text = "easyblock = 'ConfigureMake'\nname = 'a'\nversion = '1'\nsource_urls = ['https://x.y']\nsources = ['a']\n"
    text += "dependencies = [('libjpeg-turbo', '3')]\nconfigopts = '--with-jpeg=$EBROOTLIBJPEGMINTURBO'\n"
    text += "osdependencies = [OS_PKG_OPENSSL_DEV]\ntoolchainopts = {'pic': True}\n"
    one = read_easyconfig(write("a.eb", text))
    assert "--with-jpeg=$LIBJPEG_TURBO_DIR" in one.fields["commands"][0]
    assert "-fPIC" in one.fields["env"]["CFLAGS"]


def test_the_commands(hdist, write, channel, index):
    env = {name: index.env[name] for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS", "PATH")}
    write("requirements.txt", "greet\n")
    said = hdist("import", "requirements", "requirements.txt", "-b", "r", env=env)
    assert "+ words 2.0" in said.stderr
    explicit(write, channel)
    said = hdist("import", "conda", "explicit.txt", "-b", "c")
    assert "3 packages" in said.stderr
    assert "nothing depends on gone" in said.stderr
    write("x-1", "x")
    text = "easyblock = 'Tarball'\nname = 'X'\nversion = '1'\ntoolchain = {'name': 'foss', 'version': '2024a'}\n"
    write("x.eb", text + f"source_urls = ['file://{os.path.dirname(write('x-1', 'x'))}']\nsources = ['x-1']\n")
    said = hdist("import", "easyconfig", "x.eb", "-b", "e")
    assert "not with foss 2024a" in said.stderr
    assert (
        "hdist easybuild config"
        in hdist(
            "import", "easyconfig", write("y.eb", text.replace("Tarball", "EB_X")), expect=InvalidError.exit_code
        ).stderr
    )


def test_what_a_profile_has_already_stays(session, write, channel):
    text = "# mine\n" + package("own")
    commit_file(session, write("stack.toml", text), message="first")
    recorded, _ = import_explicit(session, explicit(write, channel), message="m")
    found = read_profile(session.store.objects, recorded.commit)
    assert found.text.startswith("# mine\n")
    assert {"own", "ask"} <= found.lock.packages.keys()
