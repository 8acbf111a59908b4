"""Profiles for machines without hashdist: archives, images, recipes and bills of materials, of real programs."""

import dataclasses
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile

import pytest
import zstandard
from hypothesis import example, given, strategies as st
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
from support import package

from hashdist import Store
from hashdist.errors import ConflictError, HashdistError, InvalidError, NotFoundError
from hashdist.fsutil.removal import remove_tree
from hashdist.store.making import init_store
from hashdist.workflow import building
from hashdist.workflow.commit import commit_file
from hashdist.workflow.export import archive, sbom
from hashdist.workflow.export.archive import export_squashfs, export_tar
from hashdist.workflow.export.closure import closure_of
from hashdist.workflow.export.containers import base_image, export_recipe
from hashdist.workflow.export.contents import HostChangedError
from hashdist.workflow.export.licences import declared
from hashdist.workflow.prefixes import NotBuiltYetError
from hashdist.workflow.session import Session

HELLO = "int main(void) { extern int answer(void); return answer(); }"
COMMANDS = (
    "mkdir -p $PREFIX/lib $PREFIX/bin; echo 'int answer(void) { return 42; }' > a.c; "
    "gcc -shared -fPIC a.c -o $PREFIX/lib/libanswer.so; "
    "info=$PREFIX/lib/python3.12/site-packages/answer-1.dist-info; mkdir -p $info; "
    "printf 'Metadata-Version: 2.4\\nName: answer\\nVersion: 1\\nLicense-Expression: MIT\\n' > $info/METADATA"
)
USING = (
    f"mkdir -p $PREFIX/bin; echo '{HELLO}' > m.c; gcc m.c -L$ANSWER_DIR/lib -Wl,-rpath,$ANSWER_DIR/lib -lanswer "
    "-o $PREFIX/bin/hello; printf '#!/bin/sh\\necho from a script\\n' > $PREFIX/bin/script; chmod 755 $PREFIX/bin/script"
)
STACK = (
    f'[host]\ngcc = "path:gcc"\npython = "path:{sys.executable}"\n'
    + package("answer", COMMANDS, inputs='["gcc"]', source='{ path = "src" }')
    + package("hello", USING, inputs='["gcc", "answer"]', requires='["python"]', source='{ path = "src" }')
)


def build(folder, profile=None):
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "LICENSE").write_text("free")
    (folder / "stack.toml").write_text(STACK)
    path = str(folder / "store")
    init_store(path, durability="fast")
    session = Session(Store.open(path, search_path=os.environ["PATH"]), dict(os.environ), str(folder), jobs=2)
    building.build_commit(
        session, commit_file(session, str(folder / "stack.toml"), message="first", profile=profile).commit
    )
    return session


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A store with the profile, which the tests only read."""
    folder = tmp_path_factory.mktemp("exporting")
    yield build(folder / "x")
    remove_tree(str(folder))


@pytest.fixture
def own(tmp_path):
    """Likewise, for one test."""
    return build(tmp_path / "own")


def unpacked(path, root):
    os.makedirs(root)
    with open(path, "rb") as raw, zstandard.ZstdDecompressor().stream_reader(raw) as stream:
        data = stream.read()
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        tar.extractall(root, filter="tar")
    return root


needs_root = pytest.mark.skipif(os.getuid() != 0, reason="chroot needs root")


@needs_root
@pytest.mark.no_cover
def test_an_archive_with_all_of_the_host_runs_in_an_empty_root(built, tmp_path):
    done = export_tar(built, "main", str(tmp_path / "all.tar.zst"), host="all")
    root = unpacked(done.path, str(tmp_path / "root"))
    run = ["/usr/sbin/chroot", root]
    program = done.closure.link + "/bin/"
    assert subprocess.run([*run, program + "hello"], env={}).returncode == 42
    assert subprocess.run([*run, program + "script"], env={}, capture_output=True).stdout == b"from a script\n"
    python = subprocess.run(
        [*run, program + "python3", "-c", "import json, ssl; print(6*7)"], env={}, capture_output=True
    )
    assert python.stdout == b"42\n", python.stderr


def test_an_archive_unpacked_where_the_store_was_runs(own, tmp_path):
    done = export_tar(own, "main", str(tmp_path / "some.tar.zst"), host="none")
    remove_tree(own.store.path)
    names = []
    with (
        open(done.path, "rb") as raw,
        zstandard.ZstdDecompressor().stream_reader(raw) as stream,
        tarfile.open(fileobj=stream, mode="r|") as tar,
    ):
        for member in tar:
            names.append(member.name)
            assert member.name.startswith(own.store.path.lstrip("/")), "nothing of the host"
            tar.extract(member, "/", filter="tar")
    assert sorted(os.listdir(own.store.path)) == ["artifacts", "exported", "prefixes"]
    assert subprocess.run([done.closure.link + "/bin/hello"]).returncode == 42
    assert done.files == len(names)


def test_the_same_profile_gives_the_same_bytes(built, tmp_path):
    one = export_tar(built, "main", str(tmp_path / "one.tar.zst"), host="none")
    two = export_tar(built, "main", str(tmp_path / "two.tar.zst"), host="none")
    with open(one.path, "rb") as first, open(two.path, "rb") as second:
        assert first.read() == second.read()


@needs_root
@pytest.mark.skipif(not shutil.which("g++"), reason="no g++ here")
def test_libraries_of_the_compiler_come_along(session, write, tmp_path):
    """Nothing in a program names the directory of libgomp and libstdc++: the loader finds them in the system's own."""
    text = '[host]\ngcc = "path:g++"\n' + package(
        "sum",
        "mkdir -p $PREFIX/bin; printf '#include <iostream>\n#include <omp.h>\nint main() { std::cout << "
        "(omp_get_max_threads() > 0) << std::endl; }' > s.cc; g++ -fopenmp s.cc -o $PREFIX/bin/sum",
        inputs='["gcc"]',
    )
    commit = commit_file(session, write("stack.toml", text), message="first").commit
    building.build_commit(session, commit)
    done = export_tar(session, "main", str(tmp_path / "all.tar.zst"), host="all")
    root = unpacked(done.path, str(tmp_path / "root"))
    run = ["/usr/sbin/chroot", root, done.closure.link + "/bin/sum"]
    assert subprocess.run(run, env={}, capture_output=True).stdout == b"1\n"
    if shutil.which("dpkg"):
        assert {"libgomp1", "libstdc++6", "libc6"} <= {line.name for line in done.closure.packages}


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tgz"])
def test_other_compressions_hold_the_same(built, tmp_path, ending):
    done = export_tar(built, "main", str(tmp_path / f"x{ending}"), host="none")
    with tarfile.open(done.path) as tar:
        assert len(tar.getmembers()) == done.files


def test_what_nobody_owns_comes_along_by_default_and_configuration_does_not(built, tmp_path):
    done = export_tar(built, "main", str(tmp_path / "x.tar"), host="unowned")
    with tarfile.open(done.path) as tar:
        names = tar.getnames()
    outside = [name for name in names if not name.startswith(built.store.path.lstrip("/"))]
    assert not [name for name in outside if name.startswith("etc/") or "/" not in name]
    assert not [name for name in outside if name.endswith("libc.so.6")], "a package owns it"
    real = os.path.realpath(sys.executable).lstrip("/")
    owned = subprocess.run(["dpkg", "-S", "/" + real], capture_output=True).returncode == 0
    assert (real in names) != owned


@pytest.mark.skipif(not shutil.which("mksquashfs"), reason="no mksquashfs here")
def test_a_squashfs_image_is_what_lies_below_the_store(own, tmp_path):
    done = export_squashfs(own, "main", str(tmp_path / "x.squashfs"), host="none")
    assert done.root == own.store.path
    remove_tree(own.store.path)
    subprocess.run(
        ["unsquashfs", "-q", "-no-progress", "-d", done.root, done.path], check=True, stdout=subprocess.DEVNULL
    )
    assert subprocess.run([done.closure.link + "/bin/hello"]).returncode == 42


def test_without_mksquashfs_that_is_told(built, tmp_path):
    with pytest.raises(NotFoundError, match="no 'mksquashfs'") as caught:
        export_squashfs(
            dataclasses.replace(built, env={"PATH": "/nowhere"}), "main", str(tmp_path / "x.squashfs"), host="none"
        )
    assert "export tar" in caught.value.hint


def test_a_program_that_fails_leaves_nothing(built, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "mksquashfs").write_text("#!/bin/sh\necho no room >&2; exit 1\n")
    (tmp_path / "bin" / "mksquashfs").chmod(0o755)
    with pytest.raises(HashdistError, match="no room"):
        export_squashfs(
            dataclasses.replace(built, env={"PATH": str(tmp_path / "bin")}),
            "main",
            str(tmp_path / "x.squashfs"),
            host="none",
        )
    assert not [name for name in os.listdir(tmp_path) if name.startswith("x.")]


def test_nothing_is_overwritten_and_endings_are_known(built, tmp_path):
    place = tmp_path / "x.tar.zst"
    place.write_text("mine")
    with pytest.raises(ConflictError):
        export_tar(built, "main", str(place), host="none")
    assert place.read_text() == "mine"
    with pytest.raises(HashdistError, match="says nothing of compression"):
        export_tar(built, "main", str(tmp_path / "x.rar"), host="none")
    with pytest.raises(NotFoundError, match="no directory"):
        export_tar(built, "main", str(tmp_path / "nowhere" / "x.tar"), host="none")
    assert sorted(name for name in os.listdir(tmp_path) if name.startswith("x")) == ["x.tar.zst"]


def test_what_is_not_built_is_not_exported(session, write, tmp_path):
    commit_file(session, write("stack.toml", package("a")), message="first")
    with pytest.raises(NotBuiltYetError):
        export_tar(session, "main", str(tmp_path / "x.tar"), host="none")
    assert not (tmp_path / "x.tar").exists()


def test_files_of_the_host_are_those_that_were_captured(session, write, tmp_path):
    tool = tmp_path / "tool"
    tool.mkdir()
    (tool / "run").write_text("#!/bin/sh\necho one\n")
    (tool / "run").chmod(0o755)
    text = f'[host]\ntool = {{ find = "path:{tool}/run", identity = "content" }}\n' + package(
        "a", "mkdir -p $PREFIX/bin; cp $TOOL_DIR/bin/run $PREFIX/bin/", inputs='["tool"]', requires='["tool"]'
    )
    commit = commit_file(session, write("stack.toml", text), message="first").commit
    building.build_commit(session, commit)
    done = export_tar(session, "main", str(tmp_path / "x.tar"), host="unowned")
    with tarfile.open(done.path) as tar:
        assert tar.extractfile(f"{tool}/run".lstrip("/")).read() == b"#!/bin/sh\necho one\n"
    (tool / "run").write_text("#!/bin/sh\necho two\n")
    with pytest.raises(HostChangedError, match="tool/run"):
        export_tar(session, "main", str(tmp_path / "y.tar"), host="unowned")
    assert not [name for name in os.listdir(tmp_path) if name.startswith("y.")]


@pytest.mark.skipif(not shutil.which("buildah") or os.getuid() != 0, reason="no buildah here, or not root")
def test_a_dockerfile_makes_an_image_that_runs(built, tmp_path):
    done = export_recipe(built, "main", str(tmp_path / "image"), kind="dockerfile", image=None, host="all")
    env = {**os.environ, "HOME": str(tmp_path)}
    buildah = [
        "buildah",
        "--root",
        str(tmp_path / "root"),
        "--runroot",
        str(tmp_path / "run"),
        "--storage-driver",
        "vfs",
    ]

    def run(*arguments):
        return subprocess.run([*buildah, *arguments], env=env, check=True, capture_output=True, text=True).stdout

    run("build", "--isolation", "chroot", "-t", "exported", done.path)
    container = run("from", "exported").strip()
    said = run(
        "run", "--isolation", "chroot", container, "--", "sh", "-c", "hello || echo $?; script; python3 -c 'print(1)'"
    )
    assert said.split("\n") == ["42", "from a script", "1", ""]


def test_recipes_start_from_the_system_of_the_host(built, tmp_path):
    done = export_recipe(built, "main", str(tmp_path / "d"), kind="dockerfile", image="debian:12", host="unowned")
    with open(done.file, encoding="utf-8") as file:
        text = file.read()
    assert "\nFROM debian:12\n" in text
    assert "ADD profile.tar.gz /" in text
    names = {line.name for line in closure_of(built, "main").packages}
    if names:
        assert "libc6" in names
        assert "apt-get install -y --no-install-recommends" in text
    done = export_recipe(built, "main", str(tmp_path / "a"), kind="apptainer", image="debian:12", host="unowned")
    with open(done.file, encoding="utf-8") as file:
        text = file.read()
    assert "Bootstrap: docker\nFrom: debian:12\n" in text
    assert sorted(os.listdir(done.path)) == ["profile.def", "profile.tar.gz"]


@pytest.mark.parametrize(
    ("system", "image"),
    [
        ("debian-12-x86_64", "debian:12"),
        ("ubuntu-24.04-aarch64", "ubuntu:24.04"),
        ("rocky-9.4-x86_64", "rockylinux:9.4"),
        ("opensuse-leap-15.6-x86_64", "opensuse/leap:15.6"),
    ],
)
def test_images_of_systems(system, image):
    assert base_image(system) == image


def test_what_is_exported_stays_while_that_goes_on(tmp_path, monkeypatch):
    """Somebody deletes the profile and collects garbage while its archive is written."""
    own = build(tmp_path / "own", "gone")
    write, done = archive._write, []

    def slowly(*arguments):
        env = {**os.environ, "HDIST_STORE": own.store.path}
        for command in (["branch", "-D", "gone"], ["gc", "--now"]):
            run = subprocess.run(
                [sys.executable, "-m", "hashdist.cli", *command], env=env, capture_output=True, text=True
            )
            done.append((command[0], run.returncode))
        write(*arguments)

    monkeypatch.setattr(archive, "_write", slowly)
    folder = tmp_path / "image"
    found = export_recipe(own, "gone", str(folder), kind="dockerfile", image="debian:12", host="none")
    assert done == [("branch", 0), ("gc", 0)]
    with tarfile.open(folder / "profile.tar.gz") as tar:
        assert [name for name in tar.getnames() if name.endswith("/bin/hello")]
    assert found.path == str(folder)
    assert not [name for name in os.listdir(tmp_path) if ".tmp-" in name]


def test_a_class_that_a_site_named_has_no_image(built, tmp_path):
    with pytest.raises(InvalidError, match="not the name of an image"):
        export_recipe(built, "main", str(tmp_path / "d"), kind="dockerfile", image="a b", host="none")
    with pytest.raises(NotFoundError, match="cluster") as caught:
        base_image("cluster")
    assert "--from" in caught.value.hint


def test_a_recipe_that_fails_leaves_nothing(built, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive, "_write", full)
    with pytest.raises(OSError, match="No space"):
        export_recipe(built, "main", str(tmp_path / "d"), kind="dockerfile", image="debian:12", host="none")
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("ending", [".spdx.json", ".spdx", ".spdx.yaml", ".spdx.xml", ".spdx.rdf"])
def test_a_bill_of_materials_is_valid_and_complete(built, tmp_path, ending):
    path = str(tmp_path / f"main{ending}")
    closure, count = sbom.export_sbom(built, "main", path)
    if (
        ending == ".spdx"
    ):  # a process of its own: where it never ran it writes tables beside itself, and leaves them open
        program = [sys.executable, "-m", "spdx_tools.spdx.clitools.pyspdxtools"]
        subprocess.run([*program, "-i", path, "-o", f"{path}.json"], check=True)
        path += ".json"
    document = parse_file(path)
    assert validate_full_spdx_document(document) == []
    assert len(document.packages) == count
    names = {one.name for one in document.packages}
    assert {"main", "hello", "answer", "python"} <= names
    assert "gcc" not in names, "it is needed to build, not to run"
    assert {line.name for line in closure.packages} <= names
    pins = [pin for of in closure.lock.sources.values() for pin in of.values()]
    locators = {one.locator for each in document.packages for one in each.external_references}
    assert {f"swh:1:dir:{pin.tree}" for pin in pins} <= locators
    licences = {one.name: str(one.license_declared) for one in document.packages}
    assert (licences["answer"], licences["hello"]) == ("MIT", "NOASSERTION")


def test_a_bill_says_what_needs_what(built, tmp_path):
    path = str(tmp_path / "main.spdx.json")
    sbom.export_sbom(built, "main", path)
    with open(path, encoding="utf-8") as file:
        document = json.load(file)
    by_name = {one["name"]: one["SPDXID"] for one in document["packages"]}
    found = {
        (one["spdxElementId"], one["relationshipType"], one["relatedSpdxElement"]) for one in document["relationships"]
    }
    assert (by_name["hello"], "DEPENDS_ON", by_name["answer"]) in found
    assert (by_name["main"], "CONTAINS", by_name["hello"]) in found
    with pytest.raises(InvalidError, match="no format of SPDX"):
        sbom.export_sbom(built, "main", str(tmp_path / "main.txt"))
    with pytest.raises(ConflictError):
        sbom.export_sbom(built, "main", path)


def test_the_commands(built, tmp_path, hdist):
    store = built.store.path
    work = tmp_path / "work"
    said = hdist("--store", store, "export", "tar", "main", "--host", "none", "--json")
    document = json.loads(said.stdout)
    assert document["path"] == str(work / "main.tar.zst")
    assert document["link"] == f"{store}/exported/main"
    assert document["packages"]
    said = hdist("--store", store, "export", "sbom", "main")
    assert said.stdout == f"{work}/main.spdx.json\n"
    said = hdist("--store", store, "export", "apptainer", "main", "--from", "debian:12")
    assert said.stdout == f"{work}/main-apptainer/profile.def\n"
    said = hdist("--store", store, "export", "dockerfile", "main", "--host", "all", "-o", "d")
    assert "docker build" in said.stderr
    said = hdist("--store", store, "export", "tar", "main", "-o", "main.tar.zst", expect=ConflictError.exit_code)
    assert "already" in said.stderr


@pytest.mark.parametrize(
    ("lines", "licence"),
    [
        (["License-Expression: BSD-3-Clause AND MIT"], "BSD-3-Clause AND MIT"),
        (["License: mit", "License: MIT"], "MIT"),
        (["License: MIT", "License-Expression: MIT OR Apache-2.0"], "MIT AND (MIT OR Apache-2.0)"),
        (["License: MIT", "Summary: none"], None),
        (["License: BSD-style; see the file"], None),
        (["License: MIT" + " and more" * 1000], None),
        ([], None),
    ],
)
def test_licences_that_python_packages_declare(tmp_path, lines, licence):
    """Each line is of a package of its own."""
    for number, line in enumerate(lines):
        folder = tmp_path / f"lib/python3.12/site-packages/p{number}-1.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.4\nName: p{number}\nVersion: 1\n{line}\n\nText.\n")
    found = declared(str(tmp_path))
    assert (str(found) if found is not None else None) == licence


@given(
    st.lists(st.sampled_from(["MIT", "AND", "OR", "WITH", "(", ")", "+", "x", "", " ", "\0", "\xff"]), max_size=8)
    | st.just(["(MIT AND "] * 80 + [")"])
    | st.just(["("] * 20_000)
)
@example(["(", " ", ")"])
@example(["(", "AND", "MIT"])
def test_whatever_packages_declare_is_read_or_passed_over(tmp_path, words):
    folder = tmp_path / "lib/python3.12/site-packages/p-1.dist-info"
    folder.mkdir(parents=True, exist_ok=True)
    text = "Metadata-Version: 2.4\nName: p\nVersion: 1\nLicense-Expression: " + " ".join(words)
    (folder / "METADATA").write_bytes(text.encode("latin-1"))
    found = declared(str(tmp_path))
    assert found is None or str(found)
    (folder / "METADATA").unlink()
    (folder / "METADATA").symlink_to("gone")
    assert declared(str(tmp_path)) is None
    (folder / "METADATA").unlink()
