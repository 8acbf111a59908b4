"""What the documentation shows is run, and what it links to is there."""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile

import pytest
import spack_environments
from support import ORIGINAL_ENV, make_wheel, package

ROOT = pathlib.Path(__file__).parent.parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def blocks(page, language, *, marked=""):
    """The fenced blocks of a page in a language; with `marked` only those below that comment."""
    pattern = (re.escape(marked) + r"\n" if marked else "") + rf"```{language}\n(.*?)```"
    return re.findall(pattern, (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)


def steps(block):
    """Commands of a console block, with the output that is expected of each."""
    found = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append(([line[2:]], []))
        elif line.startswith("> ") or line == ">":
            found[-1][0].append(line[2:])
        else:
            found[-1][1].append(line)
    return [("\n".join(command), expected) for command, expected in found]


def matches(expected, text):
    """Whether the text is what was expected: '...' stands for anything in a line, or for any lines."""
    pattern = "".join(
        r"(?:.*\n)*" if line == "..." else ".*".join(map(re.escape, line.split("..."))) + r"\n" for line in expected
    )
    return re.fullmatch(pattern, text) is not None


@pytest.fixture
def shell(tmp_path):
    """Run a command as a person would: in a directory of their own, with hdist on the PATH."""
    work = tmp_path / "person"
    work.mkdir()
    env = {**os.environ, "PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}", "HOME": str(work)}

    def run(command, extra=None):
        return subprocess.run(
            ["bash", "-c", command],
            cwd=work,
            env={**env, **(extra or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    yield run
    subprocess.run(["chmod", "-R", "u+w", work], check=False)


def test_the_tutorial(shell):
    """Every command of the tutorial does what it says and prints what it shows."""
    for block in blocks("docs/tutorial/first-profile.md", "console"):
        for command, expected in steps(block):
            done = shell(command)
            assert done.returncode == 0, f"{command}\n{done.stdout}"
            if expected or "hdist" not in command:
                assert matches(expected, done.stdout), f"{command}\n{done.stdout}"


def test_the_readme(shell):
    """The tour of the README runs as it stands, on the package index that pip is configured with."""
    extra = {name: value for name, value in ORIGINAL_ENV.items() if name.startswith("PIP_")}
    extra |= {"PIP_CONFIG_FILE": ORIGINAL_ENV.get("PIP_CONFIG_FILE", ""), "PIP_NO_INDEX": ""}
    probe = shell("hdist source add pypi:lz4==4.4.4", extra)
    if probe.returncode == 7 or "no source distribution" in probe.stdout:
        pytest.skip(f"no package index can be reached: {probe.stdout.strip().splitlines()[-1]}")
    for block in blocks("README.md", "console", marked="<!-- tour -->"):
        for command, _ in steps(block):
            done = shell(command, extra)
            assert done.returncode == 0, f"{command}\n{done.stdout}"
            if "numpy.__version__" in command:
                assert done.stdout == "2.3.5\n"


def test_how_to_build_from_a_script(shell, tmp_path, upstream):
    """The shell and Python examples run, with a store, a stack and an archive of the test's own."""
    work = tmp_path / "person"
    (work / "stack.toml").write_text(package("zlib"))
    (work / "a.txt").write_text("x")
    with tarfile.open(work / "z.tar.gz", "w:gz") as archive:
        archive.add(work / "a.txt", "zlib/a.txt")
    digest = hashlib.sha256((work / "z.tar.gz").read_bytes()).hexdigest()
    first, second, third = blocks("docs/how-to/from-a-script.md", "sh")
    done = shell(first.replace("/scratch/me/store", f"{work}/store"))
    assert done.returncode == 0, done.stdout
    second = re.sub(r"https://\S+", f"file://{work}/z.tar.gz", second)
    done = shell("set -e\n" + re.sub(r"[0-9a-f]{64}", digest, second), {"HDIST_STORE": f"{work}/store"})
    assert done.returncode == 0, done.stdout
    assert (work / "zlib-src/a.txt").read_text() == "x"
    shutil.rmtree(work / "zlib-src")
    shutil.copytree(upstream("zlib"), work / "zlib-src")
    own = {"HDIST_STORE": f"{work}/store"}
    for _ in range(2):  # the second time there is nothing to do
        done = shell(third, own)
        assert done.returncode == 0, done.stdout
        assert "libz.a" in done.stdout.split()
    (stack,) = blocks("docs/how-to/from-a-script.md", "toml")
    (work / "own.toml").write_text(
        stack.replace("the id that hash-spec printed", shell("hdist hash-spec zlib.json", own).stdout.strip())
    )
    done = shell("hdist commit own.toml -m own -b own && hdist checkout own --to prefix && ls prefix/lib", own)
    assert "libz.a" in done.stdout.split(), done.stdout
    (python,) = blocks("docs/how-to/from-a-script.md", "python")
    (work / "script.py").write_text(python)
    assert shell(f"hdist --store {work}/.hashdist init && {sys.executable} script.py").returncode == 0


def test_how_to_use_the_source_store(shell, tmp_path):
    """The shell, Python and mirror examples run; real EasyBuild finds the archive and checks it."""
    work, page = tmp_path / "person", "docs/how-to/source-store.md"
    (work / "a.txt").write_text("x")
    (work / "web").mkdir()  # not where EasyBuild would look by itself
    with tarfile.open(work / "web/zlib-1.3.1.tar.gz", "w:gz") as archive:
        archive.add(work / "a.txt", "zlib/a.txt")
    digest = hashlib.sha256((work / "web/zlib-1.3.1.tar.gz").read_bytes()).hexdigest()
    (work / "zlib.eb").write_text(
        "easyblock = 'Tarball'\nname = 'zlib'\nversion = '1.3.1'\nhomepage = 'https://example.org'\ndescription = 'zlib'\n"
        f"toolchain = SYSTEM\nsources = [SOURCELOWER_TAR_GZ]\nchecksums = ['{digest}']\nmoduleclass = 'lib'\n"
    )
    root = {"EASYBUILD_ALLOW_USE_AS_ROOT_AND_ACCEPT_CONSEQUENCES": "1"} if os.getuid() == 0 else {}
    env = {"HDIST_STORE": f"{work}/store", "EASYBUILD_PREFIX": f"{work}/easybuild", **root}
    assert shell("hdist init", env).returncode == 0
    for block in blocks(page, "sh"):
        here = re.sub(r"https://\S+", f"file://{work}/web/zlib-1.3.1.tar.gz", block)
        done = shell(re.sub(r"[0-9a-f]{64}", digest, here).replace("/srv/www", str(work)), env)
        assert done.returncode == 0, done.stdout
        if "eb zlib.eb" in block:
            wrapped = "".join(done.stdout.split())
            assert f"{work}/sources/z/zlib/zlib-1.3.1.tar.gz[SHA256:{digest}]" in wrapped
    assert (work / "zlib-src/a.txt").read_text() == "x"
    assert os.stat(work / "zlib-ro/a.txt").st_nlink == 2
    assert (work / f"hdist-sources/archives/{digest[:2]}/{digest}").exists()
    (python,) = blocks(page, "python")
    python = re.sub(r"https://[^\"]+", f"file://{work}/web/zlib-1.3.1.tar.gz", python)
    (work / "script.py").write_text(re.sub(r"[0-9a-f]{64}", digest, python))
    done = shell(f"{sys.executable} script.py", env)
    assert done.returncode == 0, done.stdout
    assert (work / "zlib-from-python/a.txt").read_text() == "x"


def test_the_settings_of_the_how_to(shell, tmp_path):
    """The file of settings that is shown is one that is read."""
    (toml,) = blocks("docs/how-to/source-store.md", "toml")
    place = tmp_path / "person/.config/hashdist/config.toml"
    place.parent.mkdir(parents=True)
    place.write_text(toml)
    assert "pinned on first use" in shell("hdist source add https://example.org/x.tar.gz").stdout


CONFIGURE = """#!/bin/sh
for word in "$@"; do case $word in --prefix=*) prefix=${word#--prefix=};; esac; done
printf '#include <zlib.h>\\nint main(void) { return zlibVersion() == 0; }\\n' > conftest.c
if gcc conftest.c -lz -o conftest 2>/dev/null; then libs="-DHAVE_ZLIB -lz"; echo "checking for zlib... yes"
else libs=; echo "checking for zlib... no"; fi
printf 'all:\\n\\tgcc -o tool tool.c %s\\ninstall:\\n\\tmkdir -p %s/bin\\n\\tcp tool %s/bin\\n' "$libs" "$prefix" "$prefix" > Makefile
"""
TOOL = """#include <stdio.h>
#ifdef HAVE_ZLIB
#include <zlib.h>
#else
#define zlibVersion() "none"
#endif
int main(void) { printf("zlib %s\\n", zlibVersion()); return 0; }
"""
has_zlib = shutil.which("dpkg") and os.path.exists("/usr/include/zlib.h") and os.path.exists("/usr/bin/gcc")
needs_zlib = pytest.mark.skipif(not has_zlib, reason="no Debian with gcc and zlib1g-dev here")
UNDECLARED = "docs/how-to/undeclared-dependencies.md"


def lay_out_tool(folder):
    folder.mkdir(exist_ok=True)
    (folder / "configure").write_text(CONFIGURE)
    (folder / "configure").chmod(0o755)
    (folder / "tool.c").write_text(TOOL)


@needs_zlib
def test_how_to_find_undeclared_dependencies(shell, tmp_path):
    """A configure script takes the system's zlib, is found out, kept from it, and given it."""
    lay_out_tool(tmp_path / "person")
    system = {"PATH": f"{os.path.dirname(sys.executable)}:/usr/bin:/bin"}
    for block in blocks(UNDECLARED, "console", marked="<!-- make -->"):
        for command, expected in steps(block):
            done = shell(command, system)
            assert done.returncode == 0, f"{command}\n{done.stdout}"
            assert matches(expected, done.stdout), f"{command}\n{done.stdout}"


@needs_zlib
@pytest.mark.skipif(not os.path.exists("/usr/share/lmod/lmod/libexec/lmod"), reason="no Lmod here")
def test_how_to_run_easybuild_in_the_jail(shell, tmp_path):
    """Real EasyBuild installs a program with the system's zlib, which is told; enforced, it installs one without."""
    work = tmp_path / "person"
    lay_out_tool(work / "tool-1.0")
    with tarfile.open(work / "tool-1.0.tar.gz", "w:gz") as archive:
        archive.add(work / "tool-1.0", "tool-1.0")
    digest = hashlib.sha256((work / "tool-1.0.tar.gz").read_bytes()).hexdigest()
    (work / "tool-1.0.eb").write_text(
        "easyblock = 'ConfigureMake'\nname = 'tool'\nversion = '1.0'\nhomepage = 'https://example.org'\n"
        "description = 'tool'\ntoolchain = SYSTEM\nsources = [SOURCELOWER_TAR_GZ]\n"
        f"checksums = ['{digest}']\nsanity_check_paths = {{'files': ['bin/tool'], 'dirs': []}}\nmoduleclass = 'tools'\n"
    )
    (work / "tmp").mkdir()
    env = {
        "EASYBUILD_PREFIX": f"{work}/easybuild",
        "EASYBUILD_SOURCEPATH": str(work),
        "EB_ENVIRONMENT": sys.prefix,
        "LMOD_CMD": "/usr/share/lmod/lmod/libexec/lmod",
        "TMPDIR": f"{work}/tmp",
        "PATH": f"{os.path.dirname(sys.executable)}:/usr/bin:/bin",
        **({"EASYBUILD_ALLOW_USE_AS_ROOT_AND_ACCEPT_CONSEQUENCES": "1"} if os.getuid() == 0 else {}),
    }
    told, enforced = blocks(UNDECLARED, "sh", marked="<!-- easybuild -->")
    python = f'--allow "{sys.base_prefix}" --allow "$EB_ENVIRONMENT"'
    done = shell(told.replace('--allow "$EB_ENVIRONMENT"', python), env)
    assert done.returncode == 0, done.stdout
    assert 'zlib1g-dev = "dpkg:zlib1g-dev"' in done.stdout
    tool = f"{work}/easybuild/software/tool/1.0/bin/tool"
    assert shell(tool).stdout.startswith("zlib 1.")
    done = shell(enforced.replace('--allow "$EB_ENVIRONMENT"', python), env)
    assert done.returncode == 0, done.stdout
    assert shell(tool).stdout == "zlib none\n"


@pytest.mark.skipif(not (shutil.which("dpkg") and shutil.which("pkg-config")), reason="no Debian with pkg-config here")
@needs_zlib
@pytest.mark.skipif(not os.path.exists("/usr/share/lmod/lmod/libexec/lmod"), reason="no Lmod here")
def test_how_to_put_easybuild_on_a_store(shell, tmp_path):
    """EasyBuild, set up as the page says, installs into the store, and users load what the profile names."""
    work = tmp_path / "person"
    lay_out_tool(work / "tool-1.0")
    (work / "sources").mkdir()
    (work / "tmp").mkdir()
    with tarfile.open(work / "sources" / "tool-1.0.tar.gz", "w:gz") as archive:
        archive.add(work / "tool-1.0", "tool-1.0")
    digest = hashlib.sha256((work / "sources" / "tool-1.0.tar.gz").read_bytes()).hexdigest()
    (work / "tool-1.0.eb").write_text(
        "easyblock = 'ConfigureMake'\nname = 'tool'\nversion = '1.0'\nhomepage = 'https://example.org'\n"
        "description = 'tool'\ntoolchain = SYSTEM\nsources = [SOURCELOWER_TAR_GZ]\n"
        f"checksums = ['{digest}']\nsanity_check_paths = {{'files': ['bin/tool'], 'dirs': []}}\nmoduleclass = 'tools'\n"
    )
    env = {
        "EASYBUILD_PREFIX": f"{work}/easybuild",
        "EASYBUILD_SOURCEPATH": f"{work}/sources",
        "LMOD_CMD": "/usr/share/lmod/lmod/libexec/lmod",
        "TMPDIR": f"{work}/tmp",
        "PATH": f"{os.path.dirname(sys.executable)}:/usr/bin:/bin",
        **({"EASYBUILD_ALLOW_USE_AS_ROOT_AND_ACCEPT_CONSEQUENCES": "1"} if os.getuid() == 0 else {}),
    }
    said = []
    for block in blocks("docs/how-to/easybuild.md", "sh"):
        done = shell(f". /usr/share/lmod/lmod/init/bash\nset -e\n{block}", env)
        assert done.returncode == 0, done.stdout[-3000:]
        said.append(done.stdout)
    assert "hashdist: sealed tool/1.0/" in said[1]
    assert re.search(r"tool/1\.0-[0-9a-f]{8}", said[3])
    assert re.search(r"^tool +1\.0 .* built$", said[4], re.MULTILINE)


@pytest.mark.skipif(not shutil.which("mksquashfs"), reason="no mksquashfs here")
def test_how_to_export(shell, tmp_path):
    """Each way of exporting a profile writes what the page says."""
    lay_out_profiles(shell, tmp_path / "person")
    for block in blocks("docs/how-to/export.md", "sh"):
        done = shell(f"set -e\n{block}")
        assert done.returncode == 0, done.stdout
    found = {name for name in os.listdir(tmp_path / "person") if not name.startswith(".")}
    assert found >= {
        "main.tar.zst",
        "small.tar.gz",
        "main.squashfs",
        "main-dockerfile",
        "main-apptainer",
        "main.spdx.json",
    }
    assert "/exported/main" in (tmp_path / "person/files").read_text()


def test_how_to_import(shell, tmp_path):
    """Requirements and easyconfigs come in as the page says, with wheels and archives of the test's own."""
    work = tmp_path / "person"
    make_wheel(work / "wheels", "greet", {"greet.py": "import words"}, requires="Requires-Dist: words\n")
    make_wheel(work / "wheels", "words", {"words.py": ""})
    (work / "requirements.txt").write_text("greet>=1\n")
    env = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(work / "wheels")}
    page = "docs/how-to/import.md"
    (text,) = blocks(page, "sh", marked="<!-- requirements -->")
    done = shell(f"set -e\n{text}\nenv -i .hashdist/current/bin/python3 -c 'import greet'", env)
    assert done.returncode == 0, done.stdout
    for name, more in (("Library", ""), ("Tool", "dependencies = [('Library', '1.0')]\n")):
        (work / name).write_text("x")
        text = f"easyblock = 'Tarball'\nname = '{name}'\nversion = '1.0'\ntoolchain = SYSTEM\n{more}"
        text += f"source_urls = ['file://{work}']\nsources = ['%(name)s']\n"
        (work / f"{name}-1.0.eb").write_text(text)
    (text,) = blocks(page, "sh", marked="<!-- easyconfig -->")
    done = shell(f"set -e\n{text}\nhdist list tools", env)
    assert done.returncode == 0, done.stdout
    assert "library" in done.stdout


def test_how_to_use_spack(shell, tmp_path):
    """Host software becomes externals, and an environment with real programs a profile."""
    page = "docs/how-to/spack.md"
    (text,) = blocks(page, "sh", marked="<!-- externals -->")
    done = shell(f"set -e\nhdist init\n{text}\ncat packages.yaml")
    assert done.returncode == 0, done.stdout
    assert "buildable: false" in done.stdout
    tree = spack_environments.install_tree(tmp_path)
    tree(spack_environments.nodes())
    place = spack_environments.environment(tmp_path, spack_environments.nodes())
    (text,) = blocks(page, "sh", marked="<!-- environment -->")
    text = text.replace("ENVIRONMENT", place)
    done = shell(f"set -e\n{text}\n.hashdist/current/bin/tool", {"SPACK_ROOT": f"{tmp_path}/spack"})
    assert done.returncode == 42, done.stdout


def test_how_to_migrate_from_modules(shell, tmp_path):
    """The page's command writes modules of profiles."""
    lay_out_profiles(shell, tmp_path / "person")
    (text,) = blocks("docs/how-to/migrate-from-modules.md", "sh", marked="<!-- modules -->")
    done = shell(f"set -e\n{text}")
    assert done.returncode == 0, done.stdout
    assert "main" in done.stdout


def test_the_screens_of_the_readme():
    """README.md shows what commands print, but for hashes and times."""
    done = subprocess.run([sys.executable, ROOT / "docs/screens.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_how_to_capture_host_software(shell, tmp_path):
    """The commands run on this machine and say what is shown; the settings are ones that are read."""
    page = "docs/how-to/host-software.md"
    for block in blocks(page, "console"):
        for command, expected in steps(block):
            done = shell(command)
            assert done.returncode == 0, done.stdout
            assert matches(expected, done.stdout), done.stdout
    place = tmp_path / "person/.config/hashdist/config.toml"
    place.parent.mkdir(parents=True)
    place.write_text(blocks(page, "toml")[0])
    assert '"class": "gpu"' in shell("hdist host list --json").stdout


TOOL_SCRIPT = (
    "mkdir -p $PREFIX/bin && printf '#!/bin/sh\\necho {0}\\n' > $PREFIX/bin/tool && chmod 755 $PREFIX/bin/tool"
)


def lay_out_profiles(shell, folder):
    """A profile main of two commits, checked out, and another; `tool` says which it is."""
    for number in ("1", "2"):
        (folder / "stack.toml").write_text(package("tool", TOOL_SCRIPT.format(number), version=f'"{number}"'))
        done = shell(f"hdist commit stack.toml -m {number} && hdist checkout --build")
        assert done.returncode == 0, done.stdout
    assert shell("hdist branch experiment main~1 && hdist checkout experiment && hdist checkout main").returncode == 0


def test_how_to_use_an_environment(shell, tmp_path):
    """The lines run one after the other in one shell, and leave it as it was."""
    lay_out_profiles(shell, tmp_path / "person")
    text = "\n".join(blocks("docs/how-to/environment.md", "sh"))
    text = text.replace("hdist shell main", "SHELL=/bin/true hdist shell main")
    show = "env | grep -v '^_=' | sort"
    done = shell(f"set -e\n{show} > before\n{text}\nprefix=\n{show} | diff before - && sh job.sh")
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1] == "2"
    assert "B / A" in done.stdout
    assert [line.split()[0] for line in done.stdout.splitlines()[:2]] == ["experiment", "main"]


def test_how_to_work_with_python(shell, tmp_path):
    """Packages are added, an environment is made and forgotten, with wheels of the test's own."""
    work = tmp_path / "person"
    make_wheel(work / "wheels", "greet", {"greet.py": "import words"}, requires="Requires-Dist: words\n")
    make_wheel(work / "wheels", "words", {"words.py": ""})
    make_wheel(work / "wheels", "further", {"further.py": ""})
    (work / "stack.toml").write_text(f'[host]\npython = "path:{sys.executable}"\n')
    env = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(work / "wheels")}
    assert shell("hdist commit stack.toml -m m", env).returncode == 0
    for name in ("add", "venv", "forget"):
        (text,) = blocks("docs/how-to/python.md", "sh", marked=f"<!-- {name} -->")
        done = shell(f"set -e\n{text}", env)
        assert done.returncode == 0, done.stdout
    assert shell("hdist checkout --forget try", env).returncode == 3


def test_how_to_offer_modules(shell, tmp_path):
    """The commands write and print what is shown."""
    lay_out_profiles(shell, tmp_path / "person")
    assert shell("hdist branch -D experiment").returncode == 0
    for block in blocks("docs/how-to/modules.md", "console"):
        for command, expected in steps(block):
            done = shell(command)
            assert done.returncode == 0, done.stdout
            assert matches(expected, done.stdout), done.stdout


def test_the_search_paths_of_the_explanation():
    """The table has every variable with its directories."""
    from hashdist.environment.variables import VARIABLES

    text = (ROOT / "docs/explanation/prefixes.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    for variable in VARIABLES:
        name = "fpath" if variable.name == "FPATH" else variable.name
        (row,) = (row for row in rows if f"`{name}`" in row)
        assert all(f"`{folder}`" in row for folder in variable.directories if folder), row


def test_the_limits_of_the_reference():
    """Every limit is in the table, with its default."""
    import dataclasses

    from hashdist.objects.importing import Limits

    text = (ROOT / "docs/reference/sources.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"\| `(\w+)` \| (\d+[MG]?) \|", text))
    assert Limits.parse([f"{name}={value}" for name, value in told.items()]) == Limits()
    assert set(told) == {field.name for field in dataclasses.fields(Limits)}


def test_the_stack_file_reference():
    """The example of the reference is a stack, and it names every key there is."""
    from hashdist.stack.file import StackError, parse_stack
    from hashdist.stack.presets import PRESETS

    example, hosts, rules = blocks("docs/reference/stack-file.md", "toml")
    assert {rule.kind for rule in parse_stack(rules).link_rules} == {"exclude", "prefer", "copy", "link"}
    assert len(parse_stack(hosts).host) == 4
    assert set(parse_stack(example).packages) == {"zlib", "numpy"}
    with pytest.raises(StackError) as caught:
        parse_stack(package("a", bogus="1"))
    known = re.search(r"known: (.*)\)", str(caught.value))[1].split(", ")
    text = (ROOT / "docs/reference/stack-file.md").read_text(encoding="utf-8")
    assert all(f"`{key}`" in text for key in known)
    assert all(f"`{preset}`" in text for preset in PRESETS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links(page):
    """Every link between pages leads somewhere."""
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_the_page_of_commands_is_up_to_date():
    """docs/reference/cli.md is what the table and the commands say."""
    subprocess.run([sys.executable, ROOT / "docs/generate.py", "--check"], check=True)


def test_all_code_has_a_room():
    """The architecture page names every folder of the package."""
    text = (ROOT / "docs/explanation/architecture.md").read_text(encoding="utf-8")
    for entry in (ROOT / "hashdist").iterdir():
        if entry.is_dir() and entry.name != "__pycache__":
            assert f"`{entry.name}/`" in text


def test_how_to_free_space_and_mend_damage(shell, tmp_path):
    """What the pages about space and damage show works as it stands."""
    text = package("zlib") + package("tool", build_only="true")
    (tmp_path / "person/stack.toml").write_text(text)
    (tmp_path / "person/old.toml").write_text(package("old"))
    setting_up = (
        "hdist commit -m first; hdist checkout --build; hdist commit old.toml -m old -b old-experiment;"
        "hdist build old-experiment; hdist tag paper-2019 old-experiment"
    )
    assert shell(setting_up).returncode == 0
    for page in ("docs/how-to/free-space.md", "docs/how-to/damage.md"):
        for block in blocks(page, "console"):
            for command, _ in steps(block):
                done = shell(command)
                assert done.returncode == 0, f"{command}\n{done.stdout}"


def test_how_to_share_a_store(shell, tmp_path):
    """What the page about shared stores shows works as it stands, but for the names of the site."""
    import grp

    work = tmp_path / "person"
    (work / "stack.toml").write_text(package("a"))
    above = f"{tmp_path}/apps"
    made = shell(
        f"hdist --store {above} init; hdist --store {above} commit -m m; hdist --store {above} checkout --build"
    )
    assert made.returncode == 0, made.stdout
    group = grp.getgrgid(os.getegid()).gr_name
    for number, block in enumerate(blocks("docs/how-to/shared-store.md", "console")):
        for command, _ in steps(block):
            words = command.replace("/apps/hashdist", above).replace("--group hpc", f"--group {group}")
            store = {"HDIST_STORE": f"{tmp_path}/own" if "group" not in command else f"{tmp_path}/group"}
            done = shell(words, store)
            assert done.returncode == 0, f"{number} {words}\n{done.stdout}"
    from hashdist.fsutil.removal import remove_tree

    for name in ("own", "group", "apps"):
        remove_tree(str(tmp_path / name))


def test_how_to_use_history_and_share(shell, tmp_path):
    """What the pages about history and sharing show works as it stands."""
    tool = "mkdir -p $PREFIX/bin && printf '#!/bin/sh\\n' > $PREFIX/bin/tool && chmod 755 $PREFIX/bin/tool"
    (tmp_path / "person/stack.toml").write_text(package("zlib") + package("tool", tool, inputs='["zlib"]'))
    (tmp_path / "person/src").mkdir()
    (tmp_path / "person/src/file").write_text("mine")
    assert shell("hdist commit -m first; hdist checkout --build").returncode == 0
    for page in ("docs/how-to/history.md", "docs/how-to/other-repositories.md"):
        assert shell("hdist checkout --build main").returncode == 0
        for block in blocks(page, "console"):
            for command, expected in steps(block):
                done = shell(command)
                assert done.returncode == 0, f"{command}\n{done.stdout}"
                assert not expected or matches(expected, done.stdout), f"{command}\n{done.stdout}"
    from hashdist.fsutil.removal import remove_tree

    remove_tree(str(tmp_path / "person/second"))
