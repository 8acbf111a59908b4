"""Merge, cherry-pick and revert profiles, package by package, and resolve them anew."""

import pytest
from support import package

from hashdist.errors import ConflictError, DamagedError, InvalidError, NotFoundError
from hashdist.gc import sweeping
from hashdist.gc.policy import Policy
from hashdist.objects.ids import TreeId
from hashdist.refs import names
from hashdist.stack.editing import add_package, remove_package, set_key, unset_key
from hashdist.stack.file import StackError
from hashdist.stack.units import Unit, units
from hashdist.workflow import branching, building
from hashdist.workflow.commit import commit_file, edit, update
from hashdist.workflow.merging import choosing, verbs
from hashdist.workflow.merging.state import MergeInProgressError, NoMergeError
from hashdist.workflow.pinning import Moving
from hashdist.workflow.profile import find, read_profile
from hashdist.workflow.recording import NothingChangedError
from hashdist.workflow.undoing import undo

HOST = '[host]\ntrue = { find = "path:/bin/true", identity = "version" }\n'


@pytest.fixture
def stack(session, write):
    """Two profiles that began as one: main and exp."""
    text = HOST + package("a") + "# about b\n" + package("b", inputs='["a"]') + package("c")
    commit_file(session, write("stack.toml", text), message="first")
    branching.create_branch(session.store, "exp", None)
    return text


def change(session, key, value, profile=None):
    return edit(session, lambda text: set_key(text, key, value), message=f"{key}={value}", profile=profile).commit


def read(session, revision="main"):
    return read_profile(session.store.objects, find(session.store, revision))


def test_fast_forward(session, stack):
    """A profile with nothing of its own just moves on; one that has all is left alone."""
    tip = change(session, "packages.a.env.X", "1", "exp")
    assert verbs.merge(session, "main", profile="exp").how == "nothing"
    done = verbs.merge(session, "exp")
    assert (done.how, done.commit, find(session.store, "main")) == ("fast-forward", tip, tip)
    undo(session)
    with_commit = verbs.merge(session, "exp", fast_forward="no")
    commit = session.store.objects.commit(with_commit.commit)
    assert commit.parents == (done.before, tip)
    assert commit.subject == "merge exp into main"


def test_merge(session, stack, git):
    """Both sides' changes are in a commit with both parents, resolved: what follows from them has new specs."""
    ours = change(session, "packages.c.version", "2")
    theirs = change(session, "packages.a.env.X", "1", "exp")
    done = verbs.merge(session, "exp", message="both")
    commit = session.store.objects.commit(done.commit)
    assert (commit.parents, commit.message, done.how) == ((ours, theirs), "both\n", "recorded")
    found = read(session)
    assert "# about b\n[packages.b]" in found.text
    specs = {name: found.lock.specs[name] for name in "abc"}
    assert specs["a"] == read(session, "exp").lock.specs["a"]
    assert specs["b"] == read(session, "exp").lock.specs["b"]
    assert specs["c"] == read(session, ours).lock.specs["c"]
    assert "error" not in git("fsck", "--full", "--strict")
    assert git("log", "--format=%s", "--first-parent", "main").splitlines()[0] == "both"
    assert building.build_commit(session, done.commit).total == 3
    undo(session)
    undo(session)
    assert find(session.store, "main") == done.commit
    with pytest.raises(ConflictError, match="no fast-forward"):
        change(session, "packages.b.env.X", "2", "exp")
        verbs.merge(session, "exp", fast_forward="only")


def test_conflict(session, stack):
    """What both changed is a choice, told as one; settled one by one, then recorded; meanwhile nothing moved."""
    ours = change(session, "packages.a.version", "2")
    change(session, "packages.c.version", "2")
    change(session, "packages.a.version", "3", "exp")
    change(session, "packages.c.version", "3", "exp")
    theirs = change(session, "packages.b.env.Y", "1", "exp")
    before = find(session.store, "main")
    with pytest.raises(choosing.MergeConflictError) as error:
        verbs.merge(session, "exp")
    assert str(error.value).splitlines() == [
        "merge into 'main': 2 to choose",
        '  a: version ours "2", theirs "3", before "1"',
        '  c: version ours "2", theirs "3", before "1"',
    ]
    assert "hdist merge --ours a" in error.value.hint
    assert find(session.store, "main") == before != ours
    with pytest.raises(MergeInProgressError):
        verbs.merge(session, "exp")
    with pytest.raises(NotFoundError, match="'b' is not to be chosen"):
        choosing.settle(session, {"b": "ours"})
    assert [str(one.unit) for one in choosing.settle(session, {"a": "ours"}).choices] == ["c"]
    with pytest.raises(choosing.MergeConflictError):
        verbs.proceed(session)
    assert choosing.settle(session, {"?": "theirs", "a": "ours"}).choices == ()
    done = verbs.proceed(session)
    assert session.store.objects.commit(done.commit).parents == (before, theirs)
    found = read(session).lock.packages
    assert (found["a"].version, found["c"].version) == ("2", "3")
    with pytest.raises(NoMergeError):
        choosing.waiting(session)
    undo(session)
    assert choosing.waiting(session).choices == ()
    assert verbs.proceed(session).how == "recorded"


def test_choices_at_once(session, stack):
    """Choices can be said with the merge; one that nothing is to be chosen of is refused."""
    change(session, "packages.a.version", "2")
    change(session, "packages.a.version", "3", "exp")
    with pytest.raises(NotFoundError, match="'c' is not to be chosen"):
        verbs.merge(session, "exp", choices={"c": "ours"})
    done = verbs.merge(session, "exp", choices={"*": "theirs"})
    assert read(session, done.commit).lock.packages["a"].version == "3"


def test_abort_and_gc(session, stack, clock):
    """What is being merged outlives its branch; after --abort the profile is as it was, and undo goes back to it."""
    store = session.store
    before = change(session, "packages.a.version", "2")
    theirs = change(session, "packages.a.version", "3", "exp")
    with pytest.raises(choosing.MergeConflictError):
        verbs.merge(session, "exp")
    branching.delete_branch(store, "exp", force=True)
    clock.now += 100 * 86400
    sweeping.collect(store, Policy(grace=0))
    assert theirs in store.fresh_objects()
    assert len(choosing.waiting(session).choices) == 1
    given_up = verbs.abort(session)
    assert (given_up.kind, given_up.commit, given_up.moved, find(store, "main")) == ("merge", before, False, before)
    assert store.refs.all(names.MERGING) == {}
    undo(session)
    assert len(choosing.waiting(session).choices) == 1
    change(session, "packages.c.version", "9")
    with pytest.raises(ConflictError, match="has moved since"):
        choosing.settle(session, {"a": "ours"})
        verbs.proceed(session)


def test_edit(session, stack):
    """An editor gets git's markers; what it leaves must be a stack, and is what is recorded."""
    change(session, "packages.a.version", "2")
    change(session, "packages.a.version", "3", "exp")
    with pytest.raises(choosing.MergeConflictError):
        verbs.merge(session, "exp")
    with pytest.raises(StackError):
        choosing.edit_choices(session, lambda text: text)
    seen = []

    def mend(text):
        seen.append(text)
        head, _, rest = text.partition("<<<<<<< main\n")
        return f'{head}version = "4"  # neither\n{rest.partition(">>>>>>> ")[2].partition(chr(10))[2]}'

    assert choosing.edit_choices(session, mend).choices == ()
    assert 'version = "2"\n=======\nversion = "3"' in seen[0]
    verbs.proceed(session)
    assert read(session).lock.packages["a"].version == "4"
    assert "# neither" in read(session).text


def test_pins(session, stack, write, monkeypatch):
    """Pins that one side moved come along; nothing is scanned or fetched; both moved apart is a choice."""
    write("src/file", "one")
    tables = {"version": "1", "source": {"path": "src"}, "commands": ["cp -R . $PREFIX"]}
    edit(session, lambda text: add_package(text, "d", tables), message="d")
    branching.create_branch(session.store, "other", None)
    branching.create_branch(session.store, "third", None)
    pinned = read(session).lock.sources["d"]
    change(session, "packages.c.version", "2")
    write("src/file", "two")
    update(session, Moving(all_sources=True), message="update", profile="other")
    moved = read(session, "other").lock.sources["d"]
    assert moved != pinned
    write("src/file", "three")
    done = verbs.merge(session, "other")
    assert read(session, done.commit).lock.sources["d"] == moved
    update(session, Moving(all_sources=True), message="update", profile="third")
    with pytest.raises(choosing.MergeConflictError, match="d: pin ours"):
        verbs.merge(session, "third")
    choosing.settle(session, {"d": "theirs"})
    assert read(session, verbs.proceed(session).commit).lock.sources["d"] == read(session, "third").lock.sources["d"]


def test_patches(session, stack, write):
    """Patches come along with the packages; lines of one patch merge, or are a choice."""
    lines = "".join(f"line {number}\n" for number in range(20))
    write("fix.patch", lines)
    write("src/file", "x")
    text = stack + package("p", "cp -R . $PREFIX", source='{ path = "src" }', patches='["fix.patch"]')
    path = write("stack.toml", text)
    commit_file(session, path, message="patched")
    branching.create_branch(session.store, "other", None)
    write("fix.patch", lines.replace("line 1\n", "line one\n"))
    commit_file(session, path, message="ours")
    write("fix.patch", lines.replace("line 18\n", "line eighteen\n"))
    commit_file(session, path, message="theirs", profile="other", force=True)
    done = verbs.merge(session, "other")
    merged = read(session, done.commit).files["fix.patch"].decode()
    assert "line one\n" in merged
    assert "line eighteen\n" in merged
    write("fix.patch", merged.replace("line eighteen\n", "line 18th\n"))
    commit_file(session, path, message="ours again")
    write("fix.patch", lines.replace("line 18\n", "line XVIII\n"))
    commit_file(session, path, message="again", profile="other", force=True)
    with pytest.raises(choosing.MergeConflictError, match=r"file:fix.patch: lines"):
        verbs.merge(session, "other")
    choosing.settle(session, {"file:fix.patch": "theirs"})
    assert b"XVIII" in read(session, verbs.proceed(session).commit).files["fix.patch"]


def test_cherry_pick_and_revert(session, stack):
    """A commit's change is done again elsewhere under its author's name, and taken back; a merge needs a parent."""
    store = session.store
    change(session, "packages.a.version", "2", "exp")
    picked = change(session, "packages.c.env.Z", "1", "exp")
    done = verbs.cherry_pick(session, ["exp"])
    commit = store.objects.commit(done.commit)
    assert commit.subject == "packages.c.env.Z=1"
    assert f"(cherry picked from commit {picked})" in commit.message
    assert (commit.author, commit.authored) == ("Ada <ada@example.org>", store.objects.commit(picked).authored)
    found = read(session).lock.packages
    assert (found["a"].version, found["c"].spec) == ("1", read(session, "exp").lock.specs["c"])
    with pytest.raises(NothingChangedError):
        verbs.cherry_pick(session, ["exp"])
    back = verbs.revert(session, ["HEAD"])
    assert store.objects.commit(back.commit).message == (
        f'revert "packages.c.env.Z=1"\n\nThis reverts commit {done.commit}.\n'
    )
    assert store.objects.commit(back.commit).tree == store.objects.commit(find(store, "main~2")).tree
    with pytest.raises(InvalidError, match="first commit"):
        verbs.revert(session, ["main~2"])
    merged = verbs.merge(session, "exp")
    with pytest.raises(InvalidError, match="is a merge"):
        verbs.revert(session, ["HEAD"])
    with pytest.raises(InvalidError, match="has 2 parents"):
        verbs.revert(session, ["HEAD"], mainline=3)
    undone = verbs.revert(session, [merged.commit], mainline=1)
    assert store.objects.commit(undone.commit).tree == store.objects.commit(back.commit).tree


def test_several(session, stack):
    """Several commits are taken one by one; after a choice the rest follows."""
    for number in (2, 3, 4):
        change(session, "packages.c.version", str(number), "exp")
    change(session, "packages.b.version", "7", "exp")
    done = verbs.cherry_pick(session, ["exp~3", "exp~2"])
    assert read(session).lock.packages["c"].version == "3"
    assert session.store.objects.commit(done.commit).subject == "packages.c.version=3"
    change(session, "packages.c.version", "5")
    with pytest.raises(choosing.MergeConflictError):
        verbs.cherry_pick(session, ["exp~1", "exp"])
    choosing.settle(session, {"c": "theirs"})
    last = verbs.proceed(session)
    assert session.store.objects.commit(last.commit).subject == "packages.b.version=7"
    found = read(session).lock.packages
    assert (found["c"].version, found["b"].version) == ("4", "7")


def test_removed_and_needed(session, stack):
    """A package that one side removed and the other began to need is told as the fault of the stack that it is."""
    edit(session, lambda text: remove_package(text, "c"), message="no c")
    change(session, "packages.b.inputs", '["a", "c"]', "exp")
    with pytest.raises(choosing.MergeConflictError, match="'c'") as error:
        verbs.merge(session, "exp")
    assert "hdist merge --edit" in error.value.hint
    assert "'c'" in choosing.waiting(session).problem
    choosing.edit_choices(session, lambda text: text.replace('"c"]', "]").replace('"a", ]', '"a"]'))
    assert set(read(session, verbs.proceed(session).commit).lock.packages) == {"a", "b"}


def test_crossed_histories(session, stack):
    """Where histories have crossed, what one side took back since stays taken back."""
    change(session, "packages.a.version", "2")
    change(session, "packages.b.version", "2", "exp")
    branching.create_branch(session.store, "one", "main")
    branching.create_branch(session.store, "two", "exp")
    verbs.merge(session, "two")
    verbs.merge(session, "one", profile="exp")
    change(session, "packages.a.version", "1")
    change(session, "packages.b.version", "1")
    change(session, "packages.c.version", "2", "exp")
    done = verbs.merge(session, "exp")
    found = read(session, done.commit).lock.packages
    assert [found[name].version for name in "abc"] == ["1", "1", "2"]


def test_a_pin_beside_a_version(session, stack, write):
    """A pin that one side moved comes along though the other changed the version; each source by itself."""
    for name in ("one", "two"):
        write(f"{name}/file", "x")
    tables = {
        "version": "1",
        "sources": {"one": {"path": "one"}, "two": {"path": "two"}},
        "commands": ["cp -R . $PREFIX"],
    }
    edit(session, lambda text: add_package(text, "d", tables), message="d")
    branching.create_branch(session.store, "other", None)
    old = read(session).lock.sources["d"]
    write("one/file", "mine")
    update(session, Moving(all_sources=True), message="one")
    mine = read(session).lock.sources["d"]["one"]
    write("one/file", "x")
    write("two/file", "theirs")
    update(session, Moving(all_sources=True), message="two", profile="other")
    change(session, "packages.d.version", "2")
    done = verbs.merge(session, "other")
    found = read(session, done.commit).lock
    assert found.packages["d"].version == "2"
    assert found.sources["d"]["one"] == mine != old["one"]
    assert found.sources["d"]["two"] == read(session, "other").lock.sources["d"]["two"] != old["two"]


def test_a_patch_that_went(session, stack, write):
    """A patch that one side changed and the other left off, or called otherwise, is a choice."""
    write("fix.patch", "one\n")
    write("src/file", "x")
    text = stack + package("p", "cp -R . $PREFIX", source='{ path = "src" }', patches='["fix.patch"]')
    path = write("stack.toml", text)
    commit_file(session, path, message="patched")
    branching.create_branch(session.store, "other", None)
    write("fix.patch", "two\n")
    commit_file(session, path, message="changed")
    edit(session, lambda text: unset_key(text, "packages.p.patches"), message="no patch", profile="other")
    with pytest.raises(choosing.MergeConflictError, match="  p: "):
        verbs.merge(session, "other")
    choosing.settle(session, {"p": "ours"})
    assert read(session, verbs.proceed(session).commit).files == {"fix.patch": b"two\n"}


def test_names_and_patterns(session, stack):
    """A name counts more than a pattern, in whatever order, and a pattern leaves alone what is chosen."""
    for profile, version in (("main", "2"), ("exp", "3")):
        for name in "abc":
            change(session, f"packages.{name}.version", version, profile)
    with pytest.raises(choosing.MergeConflictError):
        verbs.merge(session, "exp")
    choosing.settle(session, {"a": "ours", "*": "theirs"})
    assert choosing.waiting(session).state.settled == {"a": "ours", "b": "theirs", "c": "theirs"}
    choosing.settle(session, {"b": "ours"})
    verbs.proceed(session)
    assert [read(session).lock.packages[name].version for name in "abc"] == ["2", "2", "3"]


def test_nested_keys(session, stack):
    """What differs is told down to the variable, and what is not in conflict comes along from both."""
    change(session, "packages.a.env.X", "1")
    change(session, "packages.a.env.Y", "1")
    change(session, "packages.a.env.X", "2", "exp")
    change(session, "packages.a.env.Z", "2", "exp")
    with pytest.raises(choosing.MergeConflictError, match=r'a: env.X ours "1", theirs "2"'):
        verbs.merge(session, "exp")
    choosing.settle(session, {"a": "ours"})
    verbs.proceed(session)
    assert units(read(session).text)[Unit("packages", "a")]["env"] == {"X": "1", "Y": "1", "Z": "2"}


def test_markers_of_what_is_left(session, stack):
    """The editor shows just what is still to be chosen; what was saved is kept though it is no stack."""
    for profile, version in (("main", "2"), ("exp", "3")):
        for name in "ab":
            change(session, f"packages.{name}.version", version, profile)
    with pytest.raises(choosing.MergeConflictError):
        verbs.merge(session, "exp")
    choosing.settle(session, {"a": "theirs"})
    seen = []
    with pytest.raises(StackError):
        choosing.edit_choices(session, lambda text: (seen.append(text), text.replace("=======", "[[["))[1])
    assert seen[0].count("<<<<<<< main") == 1
    assert '<<<<<<< main\nversion = "2"\n=======\nversion = "3"\n>>>>>>>' in seen[0]
    with pytest.raises(StackError):
        choosing.edit_choices(session, lambda text: (seen.append(text), text)[1])
    assert "[[[" in seen[1]


def test_host_entries_go_whole(session, stack, write):
    """How host software is found is taken of one side, with its pin: a merge never looks at the host."""
    change(session, "host.true.identity", "content")
    edit(
        session,
        lambda text: set_key(text, "host.true.find", '["path:/bin/true", "path:/bin/false"]'),
        message="find",
        profile="exp",
    )
    with pytest.raises(choosing.MergeConflictError, match="host:true"):
        verbs.merge(session, "exp")
    choosing.settle(session, {"host:true": "theirs"})
    assert read(session, verbs.proceed(session).commit).lock.host["true"] == read(session, "exp").lock.host["true"]


def test_a_sequence_is_given_up_whole(session, stack):
    """Giving up several commits goes back over those that were recorded; with choices of ours a commit is skipped."""
    before = find(session.store, "main")
    change(session, "packages.b.version", "5", "exp")
    change(session, "packages.c.version", "6", "exp")
    start = change(session, "packages.c.version", "2")
    with pytest.raises(choosing.MergeConflictError):
        verbs.cherry_pick(session, ["exp~1", "exp"])
    assert find(session.store, "main") != start
    given_up = verbs.abort(session)
    assert (given_up.commit, given_up.moved) == (start, True)
    assert find(session.store, "main") == start != before
    with pytest.raises(choosing.MergeConflictError):
        verbs.cherry_pick(session, ["exp", "exp~1"])
    choosing.settle(session, {"c": "ours"})
    done = verbs.proceed(session)
    assert done.skipped == (find(session.store, "exp"),)
    assert read(session).lock.packages["b"].version == "5"
    assert verbs.cherry_pick(session, ["exp~1", "main"]).skipped
    with pytest.raises(NoMergeError):
        verbs.abort(session)


def test_a_crash_between_two(session, stack, monkeypatch):
    """After a crash between two commits the rest is not forgotten."""
    change(session, "packages.b.version", "5", "exp")
    change(session, "packages.c.version", "6", "exp")
    real, calls = verbs._one, []

    def dying(*arguments):
        if calls:
            raise KeyboardInterrupt
        calls.append(1)
        return real(*arguments)

    monkeypatch.setattr(verbs, "_one", dying)
    with pytest.raises(KeyboardInterrupt):
        verbs.cherry_pick(session, ["exp~1", "exp"])
    monkeypatch.undo()
    assert read(session).lock.packages["b"].version == "5"
    verbs.proceed(session)
    assert read(session).lock.packages["c"].version == "6"


@pytest.mark.parametrize("damage", ["json", "object", "ref"])
def test_a_damaged_state(session, stack, damage):
    """A merge whose state cannot be read says so, and can be given up."""
    store = session.store
    change(session, "packages.a.version", "2")
    change(session, "packages.a.version", "3", "exp")
    with pytest.raises(choosing.MergeConflictError):
        verbs.merge(session, "exp")
    ref = f"{names.MERGING}main"
    if damage == "ref":
        with open(f"{store.git}/{ref}", "w") as file:
            file.write("cut")
    else:
        tree = store.objects.add_files({"state.json": b"{}"}) if damage == "json" else TreeId("1" * 40)
        commit = store.objects.add_commit(tree, identity=store.author, time=1, message="bad")
        store.refs.update(ref, commit, old=store.refs[ref], reason="damage")
    with pytest.raises(DamagedError):
        verbs.proceed(session)
    verbs.abort(session)
    assert store.refs.value(ref) is None
    assert verbs.merge(session, "exp", choices={"a": "ours"}).how == "recorded"


def test_renamed_and_deleted(session, stack):
    """A profile is not renamed while a merge into it waits; when it is deleted the merge goes, and comes back."""
    store = session.store
    change(session, "packages.a.version", "2")
    change(session, "packages.a.version", "3", "exp")
    with pytest.raises(choosing.MergeConflictError):
        verbs.merge(session, "main", profile="exp")
    with pytest.raises(ConflictError, match="is not done"):
        branching.rename_branch(store, "exp", "other")
    branching.delete_branch(store, "exp", force=True)
    assert store.refs.all(names.MERGING) == {}
    undo(session)
    assert len(choosing.waiting(session, "exp").choices) == 1


def test_unrelated(session, stack, write):
    """Stacks that began apart are merged only when that is said."""
    commit_file(session, write("other.toml", package("z")), message="other", profile="other")
    with pytest.raises(ConflictError, match="no history in common"):
        verbs.merge(session, "other")
    done = verbs.merge(session, "other", unrelated=True)
    assert {"a", "b", "c", "z"} <= set(read(session, done.commit).lock.packages)


def test_commands(hdist, write):
    """The commands as people type them, from the conflict to the merge."""
    write("stack.toml", package("a") + package("b"))
    hdist("commit", "-m", "first")
    hdist("branch", "exp")
    hdist("set", "packages.a.version=2")
    hdist("set", "packages.a.version=3", "-b", "exp")
    done = hdist("merge", "exp", expect=4)
    assert 'hdist:   a: version ours "2", theirs "3"' in done.stderr or '  a: version ours "2"' in done.stderr
    assert "a merge is not done: hdist merge" in hdist("status").stdout
    assert '"merge_conflict"' in hdist("merge", "--continue", "--json", expect=4).stdout
    assert hdist("merge").stdout == 'a: version ours "2", theirs "3", before "1"\n'
    assert "all is chosen: hdist merge --continue; undo: hdist undo" in hdist("merge", "--theirs", "a").stderr
    assert hdist("merge", "--continue").stderr.endswith("; undo: hdist undo\n")
    assert "merge exp into main" in hdist("log", "--oneline").stdout
    hdist("merge", "--abort", expect=3)
    hdist("merge", "exp", "--ours", "a", "--theirs", "a", expect=2)
    assert "has all of it already" in hdist("merge", "exp").stderr
    hdist("revert", "HEAD", "--mainline", "1")
    hdist("set", "packages.a.version=9", "-b", "exp")
    hdist("cherry-pick", "exp", expect=4)
    write("mend", "#!/bin/sh\nsed -i '/^[<=>|]/d; 0,/version = .2./{/version = .2./d}' $1\n")
    hdist("merge", "--edit", env={"EDITOR": "sh mend"})
    hdist("cherry-pick", "--continue")
    hdist("set", "packages.a.version=8", "-b", "exp")
    hdist("set", "packages.a.version=7")
    hdist("merge", "exp", expect=4)
    assert "given up" in hdist("merge", "--abort").stderr
    assert "nothing is being merged" in hdist("merge", expect=3).stderr
