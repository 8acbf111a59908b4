"""``hdist jail`` and ``hdist learn`` from the command line, on a Debian of the test's own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

SYSTEM = ["--no-base", *(word for path in ("/usr/bin", "/usr/lib", "/usr/share") for word in ("--allow", path))]


@pytest.fixture
def debian_with_libs(debian):
    """Packages: a library with headers, and the tool that needs it."""
    debian.install("libsmall", "1.0-1", {"usr/lib/small/libsmall.dat": "data\n"})
    debian.install("small-dev", "1.0-1", {"usr/include/small.h": "header\n"}, Depends="libsmall")
    debian.install("other-dev", "2.0-1", {"usr/include/other.h": "other\n"})
    return debian


@pytest.fixture
def jail(hdist, debian_with_libs, tmp_path):
    """Run ``hdist jail``, with the system's programs declared; what the test makes is not below TMPDIR."""
    (tmp_path / "temporary").mkdir()
    own = {"DPKG_ROOT": str(debian_with_libs.root), "TMPDIR": str(tmp_path / "temporary")}

    def run(*words, expect=0, **env):
        return hdist("jail", *SYSTEM, *words, expect=expect, env={**own, **env})

    return run


@pytest.fixture
def header(debian_with_libs):
    return f"{debian_with_libs.root}/usr/include/small.h"


def test_it_tells(jail, header):
    """The command runs as ever; what it used undeclared is told on stderr, by its owner and the program."""
    done = jail("--", "cat", header)
    assert done.stdout == "header\n"
    first, second, third = done.stderr.splitlines()
    assert first == "jail: used undeclared: 1 file of dpkg:small-dev"
    assert second.split() == ["used", "dpkg:small-dev", header, "(read", "by", "cat)"]
    assert third == "jail: the lines that declare it: with --report FILE, then hdist learn --report FILE"
    assert jail("--", "true").stderr == "jail: nothing undeclared was used by 1 program\n"
    assert jail("-q", "--", "cat", header).stderr == ""


def test_it_hides(jail, header):
    """With --enforce the file is not there, unless it is declared by a path, or as host software."""
    done = jail("--enforce", "--", "cat", header, expect=1)
    assert "No such file or directory" in done.stderr
    assert "jail: undeclared and hidden: 1 file of dpkg:small-dev" in done.stderr
    for words in (["--allow", header], ["--host", "dpkg:small-dev"], ["--host", "x=dpkg:small-dev"]):
        done = jail("--enforce", *words, "--", "cat", header)
        assert (done.stdout, done.stderr) == ("header\n", "jail: nothing undeclared was used by 1 program\n")


def test_where_it_may_write(jail, tmp_path, header):
    """In the directory it is run in, in TMPDIR, and where --write says; nowhere else."""
    (tmp_path / "more").mkdir()
    script = f"echo x > here; echo x > {tmp_path}/temporary/t; echo x > {tmp_path}/more/m"
    jail("--enforce", "--write", str(tmp_path / "more"), "--", "sh", "-c", script)
    done = jail("--enforce", "--", "sh", "-c", script, expect=2)
    assert "Permission denied" in done.stderr


def test_its_code_is_the_commands(jail):
    """The exit code of the command, and of shells for what a signal ends; 127 for none."""
    jail("--", "sh", "-c", "exit 7", expect=7)
    jail("--", "sh", "-c", "kill -TERM $$", expect=143)
    assert "no command 'nonesuch'" in jail("--", "nonesuch", expect=127).stderr
    assert "is not declared, so it is hidden" in jail("--enforce", "--", sys.executable, "-c", "1", expect=127).stderr


def test_all_behind_the_command_is_its(jail):
    """Options behind the command are not ours, with and without two dashes; so is --json."""
    assert jail("--", "echo", "--json", "-q", "--help").stdout == "--json -q --help\n"
    assert jail("echo", "--enforce").stdout == "--enforce\n"


def test_reports_for_programs(jail, header, tmp_path):
    """--json gives the report as the last line of stderr; --report FILE writes it, and never over another."""
    report = json.loads(jail("--json", "--", "cat", header).stderr.splitlines()[-1])
    assert (report["version"], report["mode"], report["pure"], report["dropped"]) == (1, "report", False, 0)
    (access,) = report["accesses"]
    assert access == {
        "path": header,
        "uses": ["read"],
        "programs": [os.path.realpath("/usr/bin/cat")],
        "hidden": False,
        "owner": "dpkg:small-dev",
    }
    odd = tmp_path / os.fsdecode(b"\xff odd")
    odd.write_text("")
    told = json.loads(jail("--json", "--", "cat", str(odd)).stderr.splitlines()[-1])
    assert told["accesses"][0]["path"] == f'"{tmp_path}/\\377 odd"', "as git quotes it"
    jail("--report", "r.json", "--", "cat", header)
    assert json.loads((tmp_path / "work" / "r.json").read_text())["accesses"] == [access]
    done = jail("--report", "r.json", "--", "touch", "ran", expect=4)
    assert "there is a 'r.json' already" in done.stderr
    assert not (tmp_path / "work" / "ran").exists()


def test_what_makes_no_sense(jail, hdist, tmp_path):
    """Paths that are not there, finders that are none, Landlock that only tells: refused, and nothing is run."""
    assert "there is no '/nonexistent'" in jail("--allow", "/nonexistent", "--", "touch", "ran", expect=3).stderr
    assert "no package 'nonesuch'" in jail("--host", "dpkg:nonesuch", "--", "touch", "ran", expect=3).stderr
    assert "'gcc' is no finder" in jail("--host", "gcc", "--", "touch", "ran", expect=1).stderr
    assert "--landlock can only hide" in jail("--landlock", "--", "touch", "ran", expect=2).stderr
    hdist("jail", expect=2)
    assert os.listdir(tmp_path / "work") == []


def test_static_programs_are_refused(jail, compiled, tmp_path):
    """A command that nothing can be preloaded into is not run: it would be outside."""
    static = compiled("static-true", "int main(void) { return 0; }", "-static")
    (tmp_path / "work" / "script").write_text(f"#!{static}\n")
    (tmp_path / "work" / "script").chmod(0o755)
    for command in (static, "./script"):
        done = jail("--", command, expect=126)
        assert f"'{static}' is linked statically" in done.stderr
        assert "--landlock" in done.stderr


def test_scripts_that_cannot_be_run(jail, tmp_path):
    """Without an interpreter, or with one that is not there, without the right: one line, and what shells say."""
    for name, text, mode in (
        ("empty", "#!\n", 0o755),
        ("bad", "#!/nonexistent\n", 0o755),
        ("closed", "#!/bin/sh\n", 0o644),
    ):
        (tmp_path / "work" / name).write_text(text)
        (tmp_path / "work" / name).chmod(mode)
    for name, words in (("bad", "its interpreter is missing"), ("closed", "cannot be executed"), ("empty", "executed")):
        assert words in jail("--", f"./{name}", expect=126).stderr


def test_a_report_that_cannot_be_written(jail, tmp_path):
    """That is said before the command runs, not after hours."""
    done = jail("--report", "no/r.json", "--", "touch", "ran", expect=1)
    assert "no/r.json" in done.stderr
    assert not (tmp_path / "work" / "ran").exists()
    jail("--report", "r.json", "--", "nonesuch", expect=127)
    assert not (tmp_path / "work" / "r.json").exists(), "of nothing there is no report"


def test_a_directory_reached_through_a_link(jail, tmp_path):
    """Where one stands may be used by the name the shell has for it."""
    (tmp_path / "link").symlink_to("work")
    (tmp_path / "work" / "file").write_text("x")
    done = jail("--enforce", "--", "cat", f"{tmp_path}/link/file", PWD=f"{tmp_path}/link")
    assert done.stdout == "x"


def test_leftovers_of_a_killed_jail(jail, tmp_path):
    """What one left whose process was killed is removed by the next; another host's, and a living one's, stay."""
    node = os.uname().nodename
    for name in (f"hdist-jail-{node}-99999999-x", f"hdist-jail-{node}-{os.getpid()}-x", "hdist-jail-other-99999999-x"):
        (tmp_path / "temporary" / name).mkdir()
    jail("--", "true")
    assert sorted(os.listdir(tmp_path / "temporary")) == sorted(
        ["hdist-jail-other-99999999-x", f"hdist-jail-{node}-{os.getpid()}-x"]
    )


def test_no_store_is_needed_or_made(jail, tmp_path, header):
    """Somebody who uses nothing else of hashdist can use it."""
    jail("--", "cat", header, HDIST_STORE=str(tmp_path / "nowhere"))
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_an_interruption_is_the_commands(debian, tmp_path, number):
    """A signal to hdist is handed on to the command, whose end it waits for; the report is told all the same."""
    script = "trap 'echo stopped; exit 5' TERM INT HUP; echo ready; while :; do sleep 0.05; done"
    env = {**os.environ, "DPKG_ROOT": str(debian.root)}
    command = [sys.executable, "-m", "hashdist.cli", "jail", *SYSTEM, "--", "sh", "-c", script]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # a session of its own has no terminal, so that SIGINT is nobody else's to send
    process = subprocess.Popen(command, env=env, cwd=tmp_path, start_new_session=True, **pipes)
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.1)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (5, "stopped\n")
    assert "jail: nothing undeclared" in err


def test_artifacts(hdist, write, tmp_path, jail):
    """--artifact lets an artifact of the store be used, by name; without it its files are told as its own."""
    write("stack.toml", '[packages.a]\nversion = "1"\ncommands = ["echo a > $PREFIX/a"]\n')
    hdist("commit", "stack.toml", "-m", "m")
    hdist("build")
    path = hdist("artifact", "path", "a").stdout.strip()
    assert (
        hdist("jail", "--artifact", "a", "--", "cat", f"{path}/a").stderr
        == "jail: nothing undeclared was used by 1 program\n"
    )
    done = jail("--enforce", "--", "cat", f"{path}/a", expect=1)
    assert "No such file" in done.stderr
    assert "undeclared and hidden: 1 file of artifact:a/1/" in done.stderr, "without it its files are told as its own"
    assert "no artifact 'b'" in jail("--artifact", "b", "--", "true", expect=3).stderr


def test_learning_from_a_command(jail, hdist, debian_with_libs, header):
    """The lines name the packages, but for those that others of them bring; a path that nobody owns is told."""
    root = str(debian_with_libs.root)
    data = f"{root}/usr/lib/small/libsmall.dat"
    jail("--report", "r.json", "--", "cat", header, data, __file__)
    done = hdist("learn", "--report", "r.json", env={"DPKG_ROOT": root})
    assert done.stdout == '[host]\nsmall-dev = "dpkg:small-dev"\n\ninputs = ["small-dev"]\n'
    assert f"nothing to declare covers {__file__} (read): no package owns it" in done.stderr
    learned = json.loads(hdist("learn", "--report", "r.json", "--json", env={"DPKG_ROOT": root}).stdout)
    assert learned["host"] == {"small-dev": "dpkg:small-dev"}
    assert learned["packages"][0]["inputs"] == ["small-dev"]


def test_learning_from_builds(hdist, write, debian_with_libs, header):
    """From a build that used two packages undeclared to a profile in which it is pure, by one command."""
    root = str(debian_with_libs.root)
    env = {"DPKG_ROOT": root}
    tools = "".join(f'{name} = "path:/usr/bin/{name}"\n' for name in ("cat", "dash"))
    text = (
        f'# a comment that stays\n[host]\nother = "dpkg:other-dev"\n{tools}'
        '[packages.a]\nversion = "1"\nbase = false\ninputs = ["cat", "dash"]\n'
        f'commands = ["cat {header} {root}/usr/include/other.h > $PREFIX/a"]\n'
        '[packages.b]\nversion = "1"\nbase = false\ninputs = ["other", "cat", "dash"]\n'
        f'commands = ["cat {root}/usr/include/other.h > $PREFIX/b"]\n'
    )
    write("stack.toml", text)
    hdist("commit", "stack.toml", "-m", "m", env=env)
    told = hdist("build", env=env).stderr
    assert "jail: a used undeclared 2 files of dpkg:other-dev, dpkg:small-dev; to declare it: hdist learn" in told
    shown = hdist("artifact", "show", "a", env=env).stdout
    assert "jail        report: used undeclared: 2 files of dpkg:other-dev, dpkg:small-dev" in shown
    assert header in shown
    document = json.loads(hdist("artifact", "show", "a", "--json", env=env).stdout)
    assert document["pure"] is False and len(document["jail"]["accesses"]) == 2
    assert "jail        report: pure" in hdist("artifact", "show", "b", env=env).stdout

    done = hdist("learn", env=env)
    assert done.stdout == (
        '[host]\nsmall-dev = "dpkg:small-dev"\n\n[packages.a]\ninputs = ["other", "small-dev"]  # and those it has\n'
    )
    hdist("build", "--jail", "enforce", expect=6, env=env)
    hdist("learn", "--fix", env=env)
    changed = hdist("show", "HEAD:stack.toml", env=env).stdout
    assert 'inputs = ["cat", "dash", "other", "small-dev"]' in changed
    assert 'small-dev = "dpkg:small-dev"' in changed
    assert "# a comment that stays" in changed
    assert "declare other, small-dev" in hdist("log", env=env).stdout
    assert "jail:" not in hdist("build", "--jail", "enforce", env=env).stderr
    assert "nothing to declare" in hdist("learn", env=env).stderr


def test_a_checkout_tells_too(hdist, write, header):
    """Whoever builds by checking out hears of it as well, and not with -q."""
    for name in ("a", "b"):
        write("stack.toml", f'[packages.{name}]\nversion = "1"\ncommands = ["cat {header} > $PREFIX/a"]\n')
        hdist("commit", "stack.toml", "-m", "m")
        if name == "a":
            assert "jail: a used undeclared 1 file" in hdist("checkout", "--build").stderr
        else:
            assert hdist("checkout", "--build", "-q").stderr == ""


def test_packages_of_rpm(hdist, rpms, tmp_path):
    """Owners are found where packages are rpm's, and so are the lines."""
    rpms.install("small-devel", "1.0", {"usr/include/small.h": "header\n"})
    header = f"{rpms.place}/usr/include/small.h"
    (tmp_path / "temporary").mkdir()
    env = {**rpms.env, "TMPDIR": str(tmp_path / "temporary")}
    done = hdist("jail", *SYSTEM, "--report", "r.json", "--", "cat", header, env=env)
    assert "1 file of rpm:small-devel" in done.stderr
    assert 'small-devel = "rpm:small-devel"' in hdist("learn", "--report", "r.json", env=env).stdout


def test_learning_for_one_package(jail, hdist, write, debian_with_libs, header):
    """A report of a command can be for a package: the entry the profile has is taken."""
    env = {"DPKG_ROOT": str(debian_with_libs.root)}
    text = '[host]\nsmall = "dpkg:small-dev"\n[packages.a]\nversion = "1"\nbase = false\ncommands = ["true"]\n'
    write("stack.toml", text)
    hdist("commit", "stack.toml", "-m", "m", env=env)
    hdist("host", "scan", "small=dpkg:small-dev", env=env)
    jail("--report", "r.json", "--", "cat", header)
    assert (
        hdist("learn", "--report", "r.json", "a", env=env).stdout
        == '\n[packages.a]\ninputs = ["small"]  # and those it has\n'
    )
    hdist("learn", "--report", "r.json", "--fix", expect=2, env=env)
    hdist("learn", "--report", "r.json", "--fix", "a", env=env)
    assert 'inputs = ["small"]' in hdist("show", "HEAD:stack.toml", env=env).stdout


def test_reports_that_are_none(hdist, write):
    """A file that is not there, no JSON, or no report: one line each."""
    write("a.json", "{")
    write("b.json", '{"format": 99}')
    assert "no report 'nonesuch'" in hdist("learn", "--report", "nonesuch", expect=3).stderr
    for name in ("a.json", "b.json"):
        assert f"'{name}' is not a report" in hdist("learn", "--report", name, expect=1).stderr


def test_the_settings_decide_too(hdist, write, tmp_path, header):
    """HDIST_JAIL and the file of settings; what they may not say is refused."""
    write("stack.toml", f'[packages.a]\nversion = "1"\ncommands = ["cat {header} > $PREFIX/a || echo > $PREFIX/a"]\n')
    hdist("commit", "stack.toml", "-m", "m")
    config = tmp_path / "home" / ".config" / "hashdist" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('[build]\njail = "sometimes"\n')
    assert "build.jail must be one of off, report, enforce" in hdist("build", expect=1).stderr
    config.unlink()
    hdist("build", env={"HDIST_JAIL": "maybe"}, expect=1)
    write("other.toml", f'[packages.a]\nversion = "2"\ncommands = ["cat {header} > $PREFIX/a"]\n')
    hdist("commit", "other.toml", "-m", "m", "-b", "other")
    hdist("build", "other", "--jail", "report", env={"HDIST_JAIL": "maybe"})
    assert "nothing to do" in hdist("build", "other").stderr
    config.write_text('[build]\njail = "enforce"\n')
    assert "used" in hdist("build", "other", expect=6).stderr, "the quick answer knows of the settings"
    hdist("build", "other", "-n", expect=6)
    hdist("checkout", "--build", "other", expect=6)
    assert "nothing to do" in hdist("build", "other", "--jail", "report").stderr
    hdist("build")
    assert json.loads(hdist("artifact", "show", "a", "--json").stdout)["jail"]["mode"] == "enforce"
    assert "HDIST_JAIL must be one of" in hdist("build", expect=1, env={"HDIST_JAIL": "maybe"}).stderr
    hdist("build", env={"HDIST_JAIL": "enforce"})
