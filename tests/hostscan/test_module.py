"""Environment modules, with the real Lmod and the real Environment Modules."""

import hashlib
import os
import subprocess
import sys

import pytest
from hosts import capture, lay_out, run
from modules import LMOD

from hashdist.hostscan.errors import HostNotFoundError
from hashdist.objects import manifest


@pytest.fixture
def tree(tmp_path):
    """A hierarchical tree: an MPI, with a library that it finds by LD_LIBRARY_PATH, is seen after its compiler only."""
    apps, modules = tmp_path / "apps", tmp_path / "modules"
    for folder in ("Comp/1.0/bin", "MPI/4.1/bin", "MPI/4.1/lib", "MPI/4.1/include"):
        (apps / folder).mkdir(parents=True)
    comp, mpi = apps / "Comp/1.0", apps / "MPI/4.1"
    (comp / "bin/comp").write_text("#!/bin/sh\necho comp 1.0\n")
    (comp / "bin/comp").chmod(0o755)
    (mpi / "include/greet.h").write_text("const char *greet(void);\n")
    (tmp_path / "lib.c").write_text('const char *greet(void) { return "hello"; }\n')
    (tmp_path / "main.c").write_text("#include <stdio.h>\n#include <greet.h>\nint main(void) { puts(greet()); }\n")
    library = mpi / "lib/libgreet.so.4"
    run("gcc", "-shared", "-fPIC", "-Wl,-soname,libgreet.so.4", "-o", str(library), str(tmp_path / "lib.c"))
    (mpi / "lib/libgreet.so").symlink_to("libgreet.so.4")
    run("gcc", f"-I{mpi}/include", "-o", f"{mpi}/bin/greet", f"{tmp_path}/main.c", f"-L{mpi}/lib", "-lgreet")
    (modules / "Core/Comp").mkdir(parents=True)
    (modules / "Comp/1.0/MPI").mkdir(parents=True)
    (modules / "Core/Comp/1.0").write_text(
        f"#%Module1.0\nprepend-path PATH {comp}/bin\nsetenv EBROOTCOMP {comp}\nsetenv COMP_LICENSE 1999@license\n"
        f"prepend-path MODULEPATH {modules}/Comp/1.0\n"
    )
    (modules / "Comp/1.0/MPI/4.1").write_text(
        f"#%Module1.0\nprepend-path PATH {mpi}/bin\nprepend-path LD_LIBRARY_PATH {mpi}/lib\n"
        f"prepend-path LIBRARY_PATH {mpi}/lib\nprepend-path CPATH {mpi}/include\nsetenv I_MPI_ROOT {mpi}\n"
        "prepend-path PATH /usr/bin\n"
    )
    return tmp_path


def env_of(module_system, tree):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("LMOD", "MODULE", "BASH_"))}
    return {**clean, **module_system, "MODULEPATH": str(tree / "modules/Core")}


def test_modules_in_loading_order(module_system, tree):
    """What modules add and set is captured: programs, variables, lists; LD_LIBRARY_PATH becomes run paths."""
    found = capture("module:Comp/1.0,MPI/4.1", env=env_of(module_system, tree))
    mpi = f"{tree}/apps/MPI/4.1"
    assert found.links == {"bin/comp": f"{tree}/apps/Comp/1.0/bin/comp", "bin/greet": f"{mpi}/bin/greet"}
    host = found.spec.host
    assert (found.version, host.identity) == ("4.1", "content")
    assert host.environment == {
        "COMP_LICENSE": "1999@license",
        "EBROOTCOMP": f"{tree}/apps/Comp/1.0",
        "I_MPI_ROOT": mpi,
    }
    assert host.paths["LD_RUN_PATH"] == (f"{mpi}/lib",)
    assert host.paths["LD_LIBRARY_PATH"] == (f"{mpi}/lib",), "greet itself does not run without"
    assert host.paths["CPATH"] == (f"{mpi}/include",)
    assert "/usr/bin" not in host.paths["PATH"]
    captured = {os.fsdecode(entry.path) for entry in manifest.decode(found.spec.manifest)}
    assert f"{mpi}/include/greet.h" in captured and f"{tree}/modules/Comp/1.0/MPI/4.1" in captured


def test_both_systems_find_the_same(environment_modules, tree):
    """Lmod and Environment Modules give one id, whatever was loaded before."""
    if not os.path.isdir(LMOD):
        pytest.skip("no Lmod here")
    ids = {
        capture("module:Comp/1.0,MPI/4.1", env=env_of({"MODULESHOME": home}, tree)).spec.id
        for home in (LMOD, environment_modules)
    }
    assert len(ids) == 1


def test_a_change_of_a_modulefile_or_file(module_system, tree):
    """Another modulefile, another header: other ids."""
    env = env_of(module_system, tree)
    first = capture("module:Comp/1.0,MPI/4.1", env=env).spec.id
    header = tree / "apps/MPI/4.1/include/greet.h"
    text = header.read_text()
    header.write_text(text + "\n")
    assert capture("module:Comp/1.0,MPI/4.1", env=env).spec.id != first
    header.write_text(text)
    assert capture("module:Comp/1.0,MPI/4.1", env=env).spec.id == first
    modulefile = tree / "modules/Core/Comp/1.0"
    modulefile.write_text(modulefile.read_text() + "setenv COMP_MORE 1\n")
    assert capture("module:Comp/1.0,MPI/4.1", env=env).spec.id != first


@pytest.mark.parametrize("paper", ["easybuild/MPI-4.1.eb", ".spack/spec.json"])
def test_papers_are_the_identity(module_system, tree, paper):
    """Where EasyBuild or Spack left what it built from, that and the modulefile count, and nothing else is read."""
    root = tree / "apps/MPI/4.1"
    (root / paper).parent.mkdir()
    (root / paper).write_text("name = 'MPI'\n")
    huge = root / "lib/huge"
    with open(huge, "wb") as file:
        file.truncate(1 << 40)  # a sparse file that would take an hour to read
    env = env_of(module_system, tree)
    found = capture("module:Comp/1.0,MPI/4.1", env=env)
    decisive = {os.fsdecode(entry.path) for entry in manifest.decode(found.spec.manifest)}
    assert str(root / paper) in decisive and str(root) in decisive
    assert str(root / "include/greet.h") not in decisive
    (root / "include/greet.h").write_text("changed\n")
    assert capture("module:Comp/1.0,MPI/4.1", env=env).spec.id == found.spec.id
    (root / paper).write_text("name = 'MPI' # patched\n")
    assert capture("module:Comp/1.0,MPI/4.1", env=env).spec.id != found.spec.id


def test_modules_that_cannot_be_loaded(module_system, tree, tmp_path):
    """Unknown modules, and those that want others first: one line that names the module."""
    with pytest.raises(HostNotFoundError, match="module 'nope/1' cannot be loaded: .+"):
        capture("module:Comp/1.0,nope/1", env=env_of(module_system, tree))
    with pytest.raises(HostNotFoundError, match="module 'MPI/4.1' cannot be loaded"):
        capture("module:MPI/4.1", env=env_of(module_system, tree))


def test_no_module_system(tree, tmp_path, monkeypatch):
    """A host without one says so."""
    monkeypatch.setattr("hashdist.hostscan.module_shell._INITS", ())
    with pytest.raises(HostNotFoundError, match="no module system"):
        capture("module:Comp/1.0", env=env_of({}, tree))
    broken = tmp_path / "home-of-modules/init/bash"
    broken.parent.mkdir(parents=True)
    broken.write_text("exit 1\n")
    with pytest.raises(HostNotFoundError, match="does not start"):
        capture("module:Comp/1.0", env=env_of({"MODULESHOME": str(tmp_path / "home-of-modules")}, tree))


def test_what_easybuild_built(module_system, tmp_path):
    """A module that the real EasyBuild made, with its recipe beside the software: that and the modulefile identify it."""
    eb = os.path.join(sys.prefix, "bin", "eb")
    if not (os.path.exists(eb) and os.path.isdir(LMOD)):
        pytest.skip("no EasyBuild here, or no Lmod for it")
    lay_out(tmp_path / "soft-1.2", {"bin/soft": "#!/bin/sh\necho soft 1.2\n", "share/soft": "x"})
    run("tar", "-czf", str(tmp_path / "soft-1.2.tar.gz"), "-C", str(tmp_path), "soft-1.2")
    digest = hashlib.sha256((tmp_path / "soft-1.2.tar.gz").read_bytes()).hexdigest()
    recipe = tmp_path / "soft-1.2.eb"
    recipe.write_text(
        "easyblock = 'Tarball'\nname = 'soft'\nversion = '1.2'\nhomepage = 'https://example.org'\ndescription = 'x'\n"
        f"toolchain = SYSTEM\nsources = [SOURCELOWER_TAR_GZ]\nchecksums = ['{digest}']\nmoduleclass = 'lib'\n"
        "sanity_check_paths = {'files': ['bin/soft'], 'dirs': ['bin']}\n"
    )
    env = env_of(module_system, tmp_path)
    env |= {
        "PATH": f"{os.path.dirname(eb)}:{env['PATH']}",
        "EASYBUILD_PREFIX": str(tmp_path / "easybuild"),
        "EASYBUILD_ALLOW_USE_AS_ROOT_AND_ACCEPT_CONSEQUENCES": "1",
        "LMOD_CMD": f"{LMOD}/libexec/lmod",
        "EASYBUILD_MODULE_SYNTAX": "Tcl",
        "EASYBUILD_SOURCEPATH": str(tmp_path),
    }
    run(eb, str(recipe), env=env, cwd=tmp_path)
    env["MODULEPATH"] = str(tmp_path / "easybuild/modules/all")
    found = capture("module:soft/1.2", env=env)
    root = str(tmp_path / "easybuild/software/soft/1.2")
    assert found.links["bin/soft"] == f"{root}/bin/soft"
    assert found.spec.host.environment["EBROOTSOFT"] == root
    decisive = {os.fsdecode(entry.path) for entry in manifest.decode(found.spec.manifest)}
    assert f"{root}/easybuild/soft-1.2.eb" in decisive and f"{tmp_path}/easybuild/modules/all/soft/1.2" in decisive


def test_who_captures_does_not_matter(module_system, tree):
    """Variables of the user, what is on their PATH already, their name and home do not enter."""
    modulefile = tree / "modules/Core/Comp/1.0"
    modulefile.write_text(
        modulefile.read_text() + "setenv OMP_NUM_THREADS 4\nsetenv SCRATCH /scratch/$env(USER)\nprepend-path PATH .\n"
    )
    env = env_of(module_system, tree)
    first = capture("module:Comp/1.0", env=env)
    more = {
        "OMP_NUM_THREADS": "4",
        "PATH": f"{tree}/apps/Comp/1.0/bin:{env['PATH']}",
        "COMP_LICENSE": "2000@mine",
        "USER": "bob",
        "HOME": str(tree),
    }
    assert capture("module:Comp/1.0", env={**env, **more}).spec.id == first.spec.id
    assert first.spec.host.environment["OMP_NUM_THREADS"] == "4"
    assert "." not in first.spec.host.paths["PATH"]


def test_modules_that_are_loaded_already(tree):
    """What the user has loaded is unloaded first: an MPI is not seen because their compiler is."""
    if not os.path.isdir(LMOD):
        pytest.skip("no Lmod here")
    env = env_of({"MODULESHOME": LMOD}, tree)
    script = f". {LMOD}/init/bash && module load Comp/1.0 >&2 && env -0"
    said = subprocess.run(["bash", "-c", script], env=env, capture_output=True, check=True).stdout
    loaded = dict(one.split("=", 1) for one in said.decode().split("\0") if "=" in one)
    assert "Comp/1.0" in loaded["LOADEDMODULES"] and loaded["MODULEPATH"] != env["MODULEPATH"]
    with pytest.raises(HostNotFoundError, match="MPI/4.1"):
        capture("module:MPI/4.1", env=loaded)
    ids = {capture("module:Comp/1.0", env=one).spec.id for one in (env, loaded)}
    assert len(ids) == 1
