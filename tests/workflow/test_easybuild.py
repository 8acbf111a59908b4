"""Real EasyBuild installs real packages into a store, by hash; with Lmod and with Environment Modules."""

import glob
import hashlib
import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import pytest
from hypothesis import given, strategies as st
from modules import LMOD

from hashdist import Store
from hashdist.objects.spec import Platform, Spec
from hashdist.verify.verifying import verify
from hashdist.workflow.easybuild.installed import with_packages
from hashdist.workflow.easybuild.setup import GLUE

EB = os.path.join(os.path.dirname(sys.executable), "eb")
needs_easybuild = pytest.mark.skipif(not os.path.exists(EB), reason="no EasyBuild here: pip install easybuild")
PATCH = """--- zlib/zlib.h.orig
+++ zlib/zlib.h
@@ -1 +1,2 @@
+/* patched */
 /* zlib.h -- interface of the 'zlib' general purpose compression library
"""


def load_glue():
    spec = importlib.util.spec_from_file_location("hashdist_specs", os.path.join(GLUE, "hashdist_specs.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,10}", fullmatch=True).filter(lambda name: name.lower() != "git~1")


@given(
    env=st.dictionaries(names, st.text(max_size=20)),
    inputs=st.dictionaries(names, st.integers(0, 2**160 - 1).map("{:040x}".format)),
    files=st.dictionaries(names, st.binary(max_size=30)),
)
def test_glue_names_specs_as_hashdist_does(env, inputs, files):
    """The id that the naming scheme finds with the standard library alone is the spec's."""
    try:
        spec = Spec(
            "a", "1", Platform("linux", "x86_64", "x86-64"), runner="easybuild", env=env, inputs=inputs, files=files
        )
        id = spec.id
    except ValueError:  # such as lone surrogates, which neither of them takes
        return
    assert load_glue().spec_id(spec.to_json(), files) == id


@pytest.mark.parametrize("name", sorted(os.listdir(GLUE)) if os.path.isdir(GLUE) else [])
def test_glue_is_for_old_pythons(name):
    """What runs inside EasyBuild is Python 3.6, and imports nothing but its library and EasyBuild."""
    import ast

    if not name.endswith(".py"):
        return
    tree = ast.parse(pathlib.Path(GLUE, name).read_text(), feature_version=(3, 6))
    for node in ast.walk(tree):
        found = [one.name for one in node.names] if isinstance(node, ast.Import) else []
        found += [node.module] if isinstance(node, ast.ImportFrom) else []
        for module in found:
            top = module.partition(".")[0]
            assert top in sys.stdlib_module_names or top in {
                "easybuild",
                "hashdist_easybuild",
                "hashdist_modules",
                "hashdist_specs",
            }, module


def test_several_versions():
    """Of several versions each package stands under its own name; what else is written stays."""
    platform = Platform("linux", "x86_64", "x86-64")
    one, two, other = (
        Spec(name, version, platform, runner="easybuild")
        for name, version in (("Java", "11"), ("Java", "17"), ("zlib", "1"))
    )
    text = with_packages("", [one, two, other])
    assert "[packages.Java-11]" in text.replace('"', "")
    assert "[packages.zlib]" in text
    text = text.replace("[packages.zlib]", "# ours\n[packages.zlib]\nbuild-only = true")
    newer = Spec("zlib", "2", platform, runner="easybuild")
    fewer = with_packages(text, [two, other], {str(one.id), str(two.id), str(other.id)})
    assert "[packages.Java]" in fewer
    assert "Java-1" not in fewer
    again = with_packages(text, [one, two, newer])
    assert "# ours" in again
    assert "build-only = true" in again
    assert f'spec = "{newer.id}"' in again
    assert str(other.id) not in again


class Site:
    """A site with EasyBuild, set up as ``hdist easybuild config`` says."""

    def __init__(self, folder, hdist, tool, env):
        self.folder, self.hdist = folder, hdist
        for name in ("ecs", "sources", "tmp"):
            (folder / name).mkdir()
        hdist("init", "-q")
        self.store = hdist("doctor", "--json") and str(folder / "store")
        config = hdist("easybuild", "config").stdout
        config += f"prefix = {folder}/eb\nsourcepath = {folder}/sources\nrobot-paths = {folder}/ecs\n"
        config += f"buildpath = {folder}/build\nmodules-tool = {tool}\n"
        config += "module-syntax = Tcl\n" if tool != "Lmod" else ""
        (folder / "site.cfg").write_text(config)
        self.env = {
            "PATH": f"{os.path.dirname(sys.executable)}:/usr/bin:/bin",
            "HOME": os.environ["HOME"],
            "HDIST_STORE": self.store,
            "HDIST_PROGRAM": os.path.join(os.path.dirname(sys.executable), "hdist"),
            "TMPDIR": f"{folder}/tmp",
            "USER": "ada",
            **({"EASYBUILD_ALLOW_USE_AS_ROOT_AND_ACCEPT_CONSEQUENCES": "1"} if os.getuid() == 0 else {}),
            **env,
        }

    def easyconfig(self, name, version, archive, *, deps=(), patches=(), easyblock="ConfigureMake", more=""):
        """Write one; its sources and patches are in ``sources``."""
        files = [archive, *patches]
        sums = [hashlib.sha256((self.folder / "sources" / file).read_bytes()).hexdigest() for file in files]
        (self.folder / "ecs" / f"{name}-{version}.eb").write_text(
            f"easyblock = {easyblock!r}\nname = {name!r}\nversion = {version!r}\nhomepage = 'https://example.org'\n"
            f"description = 'Real software'\ntoolchain = SYSTEM\nsources = [{archive!r}]\npatches = {list(patches)!r}\n"
            f"checksums = {sums!r}\ndependencies = {list(deps)!r}\nmoduleclass = 'lib'\n{more}"
        )

    def eb(self, *arguments, fails=False, **env):
        done = subprocess.run(
            [EB, f"--configfiles={self.folder}/site.cfg", *arguments],
            cwd=self.folder,
            env={**self.env, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert (done.returncode != 0) == fails, done.stdout[-3000:]
        return done.stdout

    def run(self, command):
        """What a shell with modules prints, which ends well."""
        home = self.env["MODULESHOME"]
        script = f". {home}/init/bash\nset -e\n{command}"
        done = subprocess.run(["bash", "-c", script], env=self.env, capture_output=True, text=True, cwd=self.folder)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def artifacts(self, name):
        return sorted(glob.glob(f"{self.store}/artifacts/{name}/*/*"))


@pytest.fixture
def site(tmp_path, hdist, module_system):
    home = module_system["MODULESHOME"]
    if home == LMOD:
        return Site(tmp_path, hdist, "Lmod", {"LMOD_CMD": f"{LMOD}/libexec/lmod", **module_system})
    command = next(iter(glob.glob(f"{home.removesuffix('/usr/share/modules')}/usr/lib/*/modulecmd.tcl")))
    return Site(tmp_path, hdist, "EnvironmentModules", {"MODULES_CMD": command, **module_system})


@pytest.fixture
def packages(site, upstream):
    """zlib, lz4, and squashfs-tools, which needs both: sources as their authors released them."""
    found = {}
    for name in ("zlib", "lz4", "squashfs-tools"):
        (archive,) = glob.glob(os.path.join(os.path.dirname(upstream(name)), "*.orig.tar.*[!c]"))
        version = os.path.basename(archive).split("_")[1].split(".orig")[0].removesuffix(".dfsg")
        os.link(archive, site.folder / "sources" / os.path.basename(archive))
        found[name] = (version, os.path.basename(archive))

    def write(patches=()):
        zlib, lz4, squashfs = found["zlib"], found["lz4"], found["squashfs-tools"]
        static = "configopts = '--static'\nbuildopts = 'libz.a'\n"
        checked = static + "sanity_check_paths = {'files': ['include/zlib.h'], 'dirs': ['lib']}\n"
        site.easyconfig("zlib", *zlib, patches=patches, more=checked)
        site.easyconfig(
            "lz4",
            *lz4,
            easyblock="ConfigureMake",
            more="skipsteps = ['configure']\nbuildopts = '-C lib'\ninstallopts = '-C lib PREFIX=%(installdir)s'\n"
            "sanity_check_paths = {'files': ['include/lz4.h'], 'dirs': ['lib']}\n",
        )
        site.easyconfig(
            "squashfs-tools",
            *squashfs,
            easyblock="MakeCp",
            deps=[("zlib", zlib[0]), ("lz4", lz4[0])],
            more="start_dir = 'squashfs-tools'\nbuildopts = 'LZ4_SUPPORT=1 XATTR_SUPPORT=0'\n"
            "files_to_copy = [(['mksquashfs', 'unsquashfs'], 'bin')]\n"
            "sanity_check_paths = {'files': ['bin/mksquashfs'], 'dirs': []}\n",
        )
        return f"ecs/squashfs-tools-{squashfs[0]}.eb"

    return write


@needs_easybuild
def test_a_stack(site, packages, hdist, tmp_path):
    """Installed by hash, skipped when nothing changed, changed with a patch and all that follows, side by side."""
    target = packages()
    said = site.eb(target, "--robot")
    assert said.count("hashdist: sealed") == 3
    store = Store.open(site.store, search_path=os.environ["PATH"])
    assert verify(store).damage == []
    assert "make" in hdist("artifact", "log", "squashfs-tools").stdout
    assert "already installed" in site.eb(target, "--robot")
    assert hdist("commit", "--from-easybuild", "-m", "first").stdout
    hdist("checkout")
    use = f"module use {site.store}/current/easybuild/modules\n"
    show = use + "module load squashfs-tools\nwhich mksquashfs\nldd $(which mksquashfs) | grep -c artifacts/lz4"
    (first,) = site.artifacts("squashfs-tools")
    assert site.run(show).split() == [f"{first}/bin/mksquashfs", "1"]

    (site.folder / "sources" / "fix.patch").write_text(PATCH)
    target = packages(patches=["fix.patch"])
    for path in (site.folder / "sources").glob("?/*/*"):
        path.unlink()  # what the store has need not be there
    said = site.eb(target, "--robot")
    assert said.count("hashdist: sealed") == 2
    assert [len(site.artifacts(name)) for name in ("zlib", "lz4", "squashfs-tools")] == [2, 1, 2]
    hdist("commit", "--from-easybuild", "-m", "patched")
    told = hdist("explain", "main~1", "main").stdout
    assert "easyconfig.json" in told
    assert "squashfs-tools changed because of zlib" in told
    assert site.run(show).split()[0] == f"{first}/bin/mksquashfs"
    hdist("checkout")
    (second,) = (path for path in site.artifacts("squashfs-tools") if path != first)
    assert site.run(show).split()[0] == f"{second}/bin/mksquashfs"
    both = f"module use {site.store}/easybuild/modules/all\n"
    for path in (first, second):
        name = f"squashfs-tools/{os.path.basename(os.path.dirname(path))}-{os.path.basename(path)[:8]}"
        assert site.run(f"{both}module load {name}\nwhich mksquashfs").strip() == f"{path}/bin/mksquashfs"

    hdist("reset", "main~1")
    hdist("checkout")
    hdist("gc", "--now")
    assert site.artifacts("squashfs-tools") == [first]
    left = [path for path in pathlib.Path(site.store, "easybuild/modules/all").rglob("*") if path.is_symlink()]
    assert len(left) == 3
    assert all(path.exists() for path in left)
    assert verify(store).damage == []


@needs_easybuild
@pytest.mark.parametrize("module_system", ["lmod"], indirect=True)
def test_what_enters_the_hash(site, packages, hdist, tmp_path):
    """A description does not; the host's compiler does, options of the build do; what has no checksum is refused."""
    target = packages()

    def wanted(**env):
        said = site.eb(target, "--robot", "--dry-run-short", **env)
        return sorted(line.rpartition("module: ")[2].rstrip(")") for line in said.split("\n") if "module: " in line)

    before = wanted()
    assert len(before) == 3
    path = site.folder / target
    path.write_text(path.read_text().replace("Real software", "Other words"))
    assert wanted() == before
    path.write_text(path.read_text().replace("LZ4_SUPPORT=1", "LZ4_SUPPORT=1 GZIP_SUPPORT=1"))
    after = wanted()
    assert len(set(before) & set(after)) == 2
    tools = tmp_path / "other"
    tools.mkdir()
    (tools / "gcc").write_text('#!/bin/sh\nexec /usr/bin/gcc -O1 "$@"\n')
    (tools / "gcc").chmod(0o755)
    other = wanted(PATH=f"{tools}:{site.env['PATH']}")
    assert not set(other) & set(after)
    text = path.read_text()
    path.write_text(text.replace("dependencies = [", "builddependencies = ["))
    assert len(set(wanted()) & set(after)) == 2  # what it needs to run is another thing, though the closure is the same
    path.write_text("\n".join(line for line in text.split("\n") if not line.startswith("checksums")))
    zlib = next(site.folder.glob("ecs/zlib-*"))
    zlib.write_text("\n".join(line for line in zlib.read_text().split("\n") if not line.startswith("checksums")))
    said = site.eb(f"ecs/{zlib.name}", fails=True, EASYBUILD_ENFORCE_CHECKSUMS="0").replace("\n", " ")
    assert "eb --inject-checksums" in said
    site.eb(f"ecs/{zlib.name}", "--inject-checksums")
    assert "checksums" in zlib.read_text()
    assert site.artifacts("zlib") == []


@needs_easybuild
@pytest.mark.parametrize("module_system", ["lmod"], indirect=True)
def test_what_failed_is_not_sealed(site, hdist):
    """A test that fails after everything was installed, and a module without software, leave no artifact."""
    tool(site, "date > made")
    path = site.folder / "ecs" / "tool-1.eb"
    text = path.read_text()
    (site.folder / "fails").write_text("#!/bin/sh\nexit 1\n")
    (site.folder / "fails").chmod(0o755)
    path.write_text(text + f"tests = ['{site.folder}/fails']\n")
    said = site.eb("ecs/tool-1.eb", fails=True)
    assert "hashdist: sealed" not in said.replace("\n", " ")
    path.write_text(text)
    site.eb("ecs/tool-1.eb", "--module-only", "--force", fails=True)
    assert hdist("artifact", "list").stdout.count("tool/1") == 0
    site.eb("ecs/tool-1.eb", "--fetch")
    assert "hashdist: sealed" in site.eb("ecs/tool-1.eb", "--read-only-installdir").replace("\n", " ")
    assert hdist("artifact", "list").stdout.count("tool") == 1
    hdist("commit", "--from-easybuild", "-m", "tool")
    hdist("easybuild", "forget", "tool")
    hdist("easybuild", "forget", "tool", expect=3)


def tool(site, command, toolchain="SYSTEM"):
    """A package that one command makes."""
    work = site.folder / "tool"
    work.mkdir()
    (work / "Makefile").write_text(
        f"all:\n\t{command}\ninstall:\n\tmkdir -p $(PREFIX)/bin\n\tcp made $(PREFIX)/bin\n\tchmod +x $(PREFIX)/bin/made\n"
    )
    subprocess.run(["tar", "cf", site.folder / "sources" / "tool.tar", "-C", site.folder, "tool"], check=True)
    more = (
        "skipsteps = ['configure']\ninstallopts = 'PREFIX=%(installdir)s'\n"
        "sanity_check_paths = {'files': ['bin/made'], 'dirs': []}\n"
    )
    site.easyconfig("tool", "1", "tool.tar", more=more + f"toolchain = {toolchain}\n")


@needs_easybuild
def test_a_hierarchy(site, hdist, tmp_path):
    """With a hierarchical scheme of the site's a compiler's module brings along those of what is built with it."""
    tool(site, "$(CC) --version > made", toolchain="{'name': 'GCC', 'version': 'system'}")
    (site.folder / "ecs" / "tool-1.eb").rename(site.folder / "ecs" / "tool-1-GCC-system.eb")
    (site.folder / "ecs" / "GCC-system.eb").write_text(
        "easyblock = 'SystemCompiler'\nname = 'GCC'\nversion = 'system'\nhomepage = 'https://example.org'\n"
        "description = 'of the system'\ntoolchain = SYSTEM\nmoduleclass = 'compiler'\n"
    )
    said = site.eb("ecs/tool-1-GCC-system.eb", "--robot", HDIST_EASYBUILD_SCHEME="HierarchicalMNS")
    assert said.count("hashdist: sealed") == 2
    hdist("commit", "--from-easybuild", "-m", "first")
    hdist("checkout")
    tree = f"{site.store}/current/easybuild/modules"
    (made,) = site.artifacts("tool")
    load = f"module use {tree}/Core\nmodule load GCC\nmodule load tool/1\nwhich made\nmodule list 2>&1"
    told = site.run(load)
    assert told.split()[0] == f"{made}/bin/made"
    assert "GCC/system" in told


@needs_easybuild
@pytest.mark.parametrize("module_system", ["lmod"], indirect=True)
def test_interruptions(site, hdist):
    """What was installed and not sealed is sealed by the next run; a module that was lost is back; nothing is built twice."""
    tool(site, "date > made")
    program = site.folder / "hdist"
    program.write_text(
        f'#!/bin/sh\n[ "$1" = seal-artifact ] && kill -9 $PPID && exit 1\nexec {site.env["HDIST_PROGRAM"]} "$@"\n'
    )
    program.chmod(0o755)
    site.eb("ecs/tool-1.eb", fails=True, HDIST_PROGRAM=str(program))
    (made,) = site.artifacts("tool")
    first = pathlib.Path(made, "bin/made").read_bytes()
    assert not hdist("artifact", "path", "tool", expect=None).stdout
    said = site.eb("ecs/tool-1.eb")
    assert "already installed" in said
    assert "hashdist: sealed tool/1/" in said.replace("\n", "")
    assert hdist("artifact", "path", "tool").stdout.strip() == made
    (module,) = pathlib.Path(site.store, "easybuild/modules/all/tool").iterdir()
    module.unlink()
    assert "already installed" in site.eb("ecs/tool-1.eb")
    assert module.exists()
    assert "is installed and sealed" in site.eb("ecs/tool-1.eb", "--rebuild", fails=True).replace("\n", " ")
    assert pathlib.Path(made, "bin/made").read_bytes() == first
    assert verify(Store.open(site.store, search_path=os.environ["PATH"])).damage == []


@needs_easybuild
@pytest.mark.parametrize("module_system", ["lmod"], indirect=True)
def test_the_jail(site, hdist, tmp_path):
    """What a build uses undeclared is told, and enforced it is not there."""
    secret = tmp_path / "elsewhere"
    secret.mkdir()
    (secret / "settings").write_text("all: ;\n")
    tool(site, f"cat {secret}/settings > made")
    said = site.eb("ecs/tool-1.eb", fails=True, HDIST_EASYBUILD_JAIL="enforce")
    assert "tool" in said
    assert site.artifacts("tool") == [] or not hdist("artifact", "path", "tool", expect=3).stdout
    said = site.eb("ecs/tool-1.eb")
    assert "undeclared" in said
    assert f"{secret}/settings" in said.replace("\n", "")
    assert hdist("artifact", "path", "tool").stdout


@needs_easybuild
@pytest.mark.parametrize("module_system", ["lmod"], indirect=True)
def test_settings_that_do_not_fit(site, hdist):
    """EasyBuild set up in another way, or for another store, is refused before anything is built."""
    (site.folder / "sources" / "a.tar").write_bytes(b"")
    site.easyconfig("a", "1", "a.tar")
    assert "module-naming-scheme" in site.eb("ecs/a-1.eb", "--module-naming-scheme=EasyBuildMNS", fails=True)
    assert "installpath-software" in site.eb("ecs/a-1.eb", "--installpath-software=/tmp/other", fails=True).replace(
        "\n", ""
    )
    assert "HDIST_PROGRAM" in site.eb("ecs/a-1.eb", fails=True, HDIST_PROGRAM="/nowhere/hdist").replace("\n", " ")
    hdist("commit", "--from-easybuild", "-m", "nothing", expect=3)
    told = json.loads(hdist("easybuild", "config", "--json").stdout)["settings"]
    assert told["hooks"].endswith("hashdist_hooks.py")
    assert "export EASYBUILD_HOOKS=" in hdist("easybuild", "config", "--shell").stdout
