"""Why packages differ: the causes, what follows from them, and what people wrote."""

import pytest
from support import package

from hashdist.errors import NotFoundError
from hashdist.stack.editing import set_key
from hashdist.workflow import branching, building
from hashdist.workflow.blaming import blame
from hashdist.workflow.commit import commit_file, edit, update
from hashdist.workflow.comparing import compare
from hashdist.workflow.explaining import explain, explain_artifact, reasons_to_build
from hashdist.workflow.history import graph, touching
from hashdist.workflow.merging import verbs
from hashdist.workflow.naming import find_spec
from hashdist.workflow.patches import patch
from hashdist.workflow.pinning import Moving
from hashdist.workflow.profile import read_profile

#: Each is built with the one before only: what reaches the last does so from far.
CHAIN = (
    package("a", env='{ CFLAGS = "-O2 -g -Wall" }')
    + package("b", inputs='["a"]')
    + package("c", inputs='["b"]')
    + package("d", inputs='["c"]')
    + package("z")
)


@pytest.fixture
def first(session, write):
    return commit_file(session, write("stack.toml", CHAIN), message="first").commit


def change(session, key, value, **options):
    return edit(session, lambda text: set_key(text, key, value), message=f"{key}={value}", **options).commit


def details(session, old, new, name):
    return next(one.details for one in compare(session.store.objects, old, new) if one.name == name)


def test_causes_and_followers(session, first):
    """What was changed itself is told apart from what follows, however far away that is."""
    second = change(session, "packages.a.env.CFLAGS", "-O3 -g -Wall")
    found = explain(session.store, first, second)
    assert [(one.name, one.details) for one in found.causes] == [("a", ("env CFLAGS: -O2 → -O3",))]
    assert [(one.change.name, one.causes) for one in found.packages] == [("b", ("a",)), ("c", ("a",)), ("d", ("a",))]
    third = change(session, "packages.c.version", "2")
    found = explain(session.store, first, third)
    assert [one.name for one in found.causes] == ["a", "c"]
    assert [(one.change.name, one.causes) for one in found.packages] == [
        ("b", ("a",)),
        ("c", ("a",)),
        ("d", ("a", "c")),
    ]
    only = explain(session.store, first, third, "b")
    assert ([one.name for one in only.causes], [one.change.name for one in only.packages]) == (["a"], ["b"])
    assert explain(session.store, third, third).causes == ()
    with pytest.raises(NotFoundError):
        explain(session.store, first, third, "nobody")


def test_requirements(session, first):
    """A requirement that reaches others is the cause, and an input that was declared is one too."""
    second = change(session, "packages.a.requires", '["z"]')
    found = explain(session.store, first, second)
    assert [(one.name, one.details) for one in found.causes] == [("a", ("requires + z",))]
    assert [(one.change.name, one.causes) for one in found.packages] == [("b", ("a",)), ("c", ("a",)), ("d", ("a",))]
    third = change(session, "packages.c.inputs", '["b", "z"]')
    found = explain(session.store, first, third)
    assert ("c", ("input z: added",)) in [(one.name, one.details) for one in found.causes]
    fourth = change(session, "packages.c.inputs", "[]")
    assert "input b: removed" in details(session, third, fourth, "c")


def test_needs_in_a_circle(session, first):
    """Packages that need each other to run do not hide which of them was written down."""
    change(session, "packages.z.requires", '["a"]')
    second = change(session, "packages.a.requires", '["z"]')
    third = change(session, "packages.d.inputs", '["c", "z"]')
    found = explain(session.store, second, third)
    assert [(one.name, one.details) for one in found.causes] == [("d", ("input a: added",))]
    fourth = change(session, "packages.z.build-only", "true")
    assert details(session, third, fourth, "z") == ("build-only",)


def test_patches_and_sources(session, write):
    """A patch is told with its line, a source with its files, and many files by their number."""
    write("fix.patch", "one\ntwo\nthree\n")
    write("src/main.c", "int main;\nint x = 1;\n")
    write("src/data", b"\0\1")
    text = package("p", "cp -R . $PREFIX", source='{ path = "src" }', patches='["fix.patch"]')
    path = write("stack.toml", text)
    old = commit_file(session, path, message="old").commit
    write("fix.patch", "one\ntwo!\nthree\n")
    write("src/main.c", "int main;\nint x = 2;\n")
    write("src/data", b"\0\2")
    write("src/new", "n")
    commit_file(session, path, message="patch")
    new = update(session, Moving(all_sources=True), message="sources").commit
    found = details(session, old, new, "p")
    assert "file fix.patch:2: two → two!" in found
    assert "source . main.c:2: int x = 1; → int x = 2;" in found
    assert "source . data" in found
    assert "source . + new" in found
    written = list(patch(session.store.objects, old, new))
    assert written == ["--- a/fix.patch", "+++ b/fix.patch", "@@ -1,3 +1,3 @@", " one", "-two", "+two!", " three"]
    for number in range(9):
        write(f"src/many/{number}", str(number))
    last = update(session, Moving(all_sources=True), message="many").commit
    assert "source .: 9 files differ" in details(session, new, last, "p")
    assert next(iter(patch(session.store.objects, None, old))) == "--- /dev/null"


def test_options(session, write):
    """Of a long command only the words that changed are told."""
    write("src/configure", "")
    text = package("p", builder='"autotools"', source='{ path = "src" }', options='["--with-x", "--enable-y"]')
    old = commit_file(session, write("stack.toml", text), message="old").commit
    new = change(session, "packages.p.options", '["--with-x", "--enable-z"]')
    assert details(session, old, new, "p") == ("command ./configure: --enable-y → --enable-z",)


def test_an_artifact(session, first):
    """Why an artifact is not the one you have, from what is built or only written down; by id, name or path."""
    store = session.store
    building.build_commit(session, first)
    second = change(session, "packages.a.version", "2")
    mine, found = explain_artifact(store, read_profile(store.objects, first).lock.specs["c"])
    assert mine == read_profile(store.objects, second).lock.specs["c"]
    assert [(one.name, one.details) for one in found.causes] == [("a", ("version 2 → 1",))]
    assert [one.change.name for one in found.packages] == ["c"]
    spec = read_profile(store.objects, first).lock.specs["d"]
    assert find_spec(store, spec[:10]) == find_spec(store, "d") == spec
    assert find_spec(store, "main") is None
    (artifact,) = store.artifacts.find("d")
    assert find_spec(store, store.artifacts.path(artifact)) == spec
    # the one you have is the only one
    branching.reset(store, first)
    assert explain_artifact(store, spec) == (None, found.__class__((), ()))


def test_reasons_to_build(session, first):
    """Before a build: what differs from the last commit in which a package was built, or that it never was."""
    store = session.store

    def reasons(commit):
        lock = read_profile(store.objects, commit).lock
        plan = building.plan_lock(session, lock)
        return reasons_to_build(store, lock, [spec.name for spec in plan.jobs], commit)

    assert set(reasons(first).values()) == {()}
    building.build_commit(session, first)
    assert reasons(first) == {}
    change(session, "packages.z.version", "2")
    second = change(session, "packages.b.env.X", "1")
    assert reasons(second) == {
        "z": ("version 1 → 2",),
        "b": ("env X: (none) → 1",),
        "c": ("follows b",),
        "d": ("follows b",),
    }


def test_log_and_graph(session, first):
    """The history of a package has the commits that changed it, and a merge is drawn as git draws it."""
    store = session.store
    branching.create_branch(store, "exp", None)
    second = change(session, "packages.z.version", "2")
    third = change(session, "packages.a.version", "2", profile="exp")
    merged = verbs.merge(session, "exp").commit
    commits = [one.id for one in touching(session.store, merged, ["a"])]
    assert commits == [third, first]
    assert [one.id for one in touching(session.store, merged, ["a", "z"])][-1] == first
    drawn = graph(store, merged)
    assert [one.commit for one in drawn if one.commit] == [merged, third, second, first]
    assert "|\\" in drawn[1].drawing
    assert [one.commit for one in graph(store, merged, packages=["z"]) if one.commit] == [second, first]
    assert [one.commit for one in graph(store, merged, stop=second) if one.commit] == [merged, third]


def test_blame(session, first):
    """Each line is told with the commit that brought it, and why."""
    second = change(session, "packages.z.version", "2")
    found = blame(session.store, second)
    assert "".join(f"{line.text}\n" for line in found) == read_profile(session.store.objects, second).text
    (changed,) = [line for line in found if line.commit == second]
    assert (changed.text, changed.subject) == ('version = "2"', "packages.z.version=2")
    assert changed.author == "Ada <ada@example.org>"
    lines = blame(session.store, second, "z")
    assert [line.number for line in lines] == [line.number for line in found][-3:]
    with pytest.raises(NotFoundError, match="'nobody'"):
        blame(session.store, second, "nobody")


def test_commands(hdist, write):
    """The commands as people type them."""
    write("stack.toml", CHAIN)
    hdist("commit", "-m", "first")
    done = hdist("build", "-n")
    assert done.stdout.count("\n") == 5
    assert "was not built before" in done.stderr
    hdist("build")
    hdist("checkout", "-b", "exp")
    hdist("set", "packages.a.env.CFLAGS=-O3 -g -Wall")
    done = hdist("build", "-n")
    assert done.stdout.splitlines()[0].startswith("a/1/")
    assert "    env CFLAGS: -O2 → -O3\n" in done.stderr
    assert "    follows a\n" in done.stderr
    assert '"why": ["follows a"]' in hdist("build", "-n", "--json").stdout
    said = hdist("explain", "main").stdout.splitlines()
    assert said[0] == "~ a"
    assert said[1] == "    env CFLAGS: -O2 → -O3"
    assert said[-1] == "1 cause, 3 follow"
    assert hdist("explain", "main..exp").stdout.splitlines() == said
    artifact = next(line for line in hdist("artifact", "list").stdout.splitlines() if line.startswith("d"))
    assert "d changed because of a" in hdist("explain", artifact.split()[0]).stdout
    assert "@@" in hdist("diff", "main", "exp", "-p").stdout
    assert "env CFLAGS" in hdist("show", "-p").stdout
    assert "a env CFLAGS: -O2 → -O3, 3 follow" in hdist("log", "--stat", "-n", "1").stdout
    assert '+env = { CFLAGS = "-O3 -g -Wall" }' in hdist("log", "-p", "-n", "1").stdout
    assert hdist("log", "--graph", "--oneline").stdout.startswith("* ")
    assert hdist("log", "--oneline", "--", "z").stdout.count("\n") == 1
    assert '"changes": [' in hdist("log", "--stat", "--json").stdout
    assert "Ada" in hdist("blame", "HEAD", "a").stdout
    assert '"subject": "first"' in hdist("blame", "--json").stdout
