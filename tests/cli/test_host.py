"""``hdist host`` from the command line, on a Debian of the test's own."""

import json
import os
import re

import pytest
from hosts import lay_out

from hashdist.hostscan.host_class import host_class


@pytest.fixture
def host(empty_store, hdist, debian):
    """Run ``hdist host …`` with that Debian's packages."""

    def run(*words, expect=0, **env):
        more = {"DPKG_ROOT": str(debian.root), **env}
        return hdist("host", *words, expect=expect, env=more)

    return run


def tool(debian, version="1.0-1", text="#!/bin/true\n"):
    debian.install("tool", version, {"usr/bin/tool": text, "usr/share/tool/data": version})


def test_scan_list_check_diff_log(host, debian):
    """The life of a capture: scanned, listed, unchanged, changed, scanned again, compared; each as text and JSON."""
    tool(debian)
    said = host("scan", "dpkg:tool")
    name, version, spec, path = said.stdout.split()
    assert (name, version) == ("tool", "1.0-1") and path.endswith(f"/artifacts/tool/1.0/{spec}")
    assert os.readlink(f"{path}/bin/tool") == f"{debian.root}/usr/bin/tool"
    assert re.search(r"tool: new, \d files", said.stderr)
    assert "tool: unchanged" in host("scan", "tool").stderr
    assert re.match(r"tool +1\.0-1 +\w{12} +content +dpkg:tool", host("list").stdout)
    listed = json.loads(host("list", "--json").stdout)
    assert listed["class"] == host_class() and listed["scans"][0]["packages"][0]["name"] == "tool"
    assert "usr/bin/tool" in host("list", "tool", "--files", "--packages").stdout
    assert host("check").stdout == "1 host entry is as before\n"
    assert json.loads(host("check", "--json").stdout)["changed"] is False

    tool(debian, "1.0-2", "#!/bin/false\n")
    said = host("check", expect=1).stdout
    assert "tool 1.0-1 → 1.0-2: a rebuild would differ" in said and "tool 1.0-1 → 1.0-2\n" in said
    assert "hdist host scan" in said
    checked = json.loads(host("check", "--json", expect=1).stdout)
    assert checked["host"][0]["kind"] == "differs"
    assert checked["host"][0]["packages"] == [{"name": "tool", "old": "1.0-1", "new": "1.0-2"}]
    assert host("check", "--run-only").stdout, "it still runs"

    again = host("scan")
    assert again.stdout.split()[3] != path and os.path.isdir(path), "beside the old one"
    assert "builds differ" in again.stderr
    assert "tool 1.0-1 → 1.0-2" in host("diff", "tool").stdout
    assert "tool 1.0-1 → 1.0-2" in host("diff").stdout
    changes = json.loads(host("diff", "tool~1", "tool", "--json").stdout)["changes"]
    assert changes[0]["rebuilds"] is True
    log = host("log", "tool").stdout
    assert len(re.findall(r"^\w{12}  ", log, re.MULTILINE)) == 2 and "    tool 1.0-1 → 1.0-2" in log
    assert [scan["software_version"] for scan in json.loads(host("log", "--json").stdout)["scans"]] == [
        "1.0-2",
        "1.0-1",
    ]

    debian.dpkg("--remove", "tool")
    assert "tool 1.0-2: will not run: " in host("check", expect=1).stdout
    assert host("check", "--run-only", expect=1).stdout


def test_names(host, debian, tmp_path):
    """A capture can have a name of its own; one that is not given is the package's, command's or directory's."""
    tool(debian)
    lay_out(tmp_path / "soft-2.1", {"bin/x": "#!/bin/true\n"})
    said = host("scan", "mine=dpkg:tool", f"path:{tmp_path}/soft-2.1", f"path:{debian.root}/usr/bin/tool").stdout
    assert [line.split()[0] for line in said.splitlines()] == ["mine", "soft-2.1", "tool"]
    assert [line.split()[1] for line in said.splitlines()][1] == "2.1"


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["scan", "nope"], 3, "no host entry 'nope'"),
        (["scan", "dpkg:nope"], 3, "no package 'nope' is installed"),
        (["scan", "rpm:"], 1, "unknown finder 'rpm:'"),
        (["scan", "path:relative/path"], 1, "neither a command nor an absolute path"),
        (["scan", "dpkg:a b"], 1, "is no package's name"),
        (["scan", "module:a;rm"], 1, "are no modules' names"),
        (["scan", "path:/usr"], 3, "holds what many packages brought"),
        (["scan", "bad name=dpkg:tool"], 1, "bad package name"),
        (["scan"], 3, "no host software is known yet"),
        (["list", "nope"], 3, "was never scanned here"),
        (["log", "nope"], 3, "was never scanned here"),
        (["diff", "nope"], 3, "no host entry and no host 'nope'"),
        (["check", "nope"], 3, "nope"),
    ],
)
def test_errors(host, debian, words, code, text):
    """One line that says what, the next command to type, and the code of its class."""
    tool(debian)
    said = host(*words, expect=code).stderr
    assert text in said.splitlines()[0] and len([line for line in said.splitlines() if line.startswith("hdist:")]) == 1


def test_nothing_half(host, debian, git):
    """When one of several cannot be captured nothing is recorded."""
    tool(debian)
    host("scan", "dpkg:tool", "dpkg:nope", expect=3)
    assert git("for-each-ref", "refs/hosts", "refs/artifacts") == ""
    assert host("check").stdout == "nothing to compare: hdist host scan dpkg:gcc\n"


def test_class(host, debian, git, tmp_path):
    """Sites name their classes of hosts, by variable or settings."""
    tool(debian)
    host("scan", "dpkg:tool", HDIST_HOST_CLASS="cpu-nodes")
    (tmp_path / "home/.config/hashdist").mkdir(parents=True)
    (tmp_path / "home/.config/hashdist/config.toml").write_text('[host]\nclass = "gpu"\n')
    host("scan", "dpkg:tool")
    refs = git("for-each-ref", "--format=%(refname)", "refs/hosts").split()
    assert refs == ["refs/hosts/cpu-nodes/tool", "refs/hosts/gpu/tool"]
    assert "has a '/' in it" in host("check", expect=1, HDIST_HOST_CLASS="a/b").stderr
    assert "bad host class name" in host("check", expect=1, HDIST_HOST_CLASS="a..b").stderr


def test_a_read_only_store(host, debian, store):
    """A check neither needs to write nor minds that it cannot."""
    tool(debian)
    host("scan", "dpkg:tool")
    paths = [store.inside(), store.inside("index"), store.inside("index", "hosts")]
    for path in paths:
        os.chmod(path, 0o555)
    try:
        assert host("check").stdout == "1 host entry is as before\n"
    finally:
        for path in paths:
            os.chmod(path, 0o755)
