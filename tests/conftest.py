"""Fixtures: a home that is nobody's, real stores in temporary directories, a pinned identity and clock."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
from collections.abc import Callable, Iterator

import pytest
import support  # remembers the environment before any test changes it
from hypothesis import HealthCheck, settings
from warm import Warm, run_cold

from hashdist import Store
from hashdist.fsutil.removal import remove_tree
from hashdist.stack.packages import HostEntry
from hashdist.stack.presets import BASE, BASE_NUMBER
from hashdist.store.making import init_store
from hashdist.workflow.hosts import scan_host
from hashdist.workflow.session import Session

settings.register_profile("hashdist", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
settings.load_profile("hashdist")

pytest_plugins = ["hosts", "jails", "modules", "pythons", "git_servers", "upstream"]

IDENTITY = "Ada <ada@example.org>"
START = 1_700_000_000


class Clock:
    """A clock that stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def nobodys_home(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test sees the real home, a user's git settings, or a store that was set from outside."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name in list(os.environ):
        if name.startswith(("HDIST_", "XDG_", "PIP_")) or name in {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    for kind in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{kind}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{kind}_EMAIL", "ada@example.org")
    yield
    # sealed directories have no write bit, and pytest's own removal does not expect that
    remove_tree(str(tmp_path / "store"))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store to copy, which knows the usual tools of this host: to scan them takes longer than most tests."""
    path = str(tmp_path_factory.mktemp("scanned") / "store")
    init_store(path, durability="fast")
    store = Store.open(path, identity=IDENTITY, clock=Clock(), search_path=support.ORIGINAL_ENV["PATH"])
    for _ in range(2):  # the second time it is remembered how all looks
        session = Session(store, dict(support.ORIGINAL_ENV), "/")
        scan_host(session, [HostEntry(BASE, (f"{BASE}@{BASE_NUMBER}",), "version")], anew=False)
    return path


def make_store(path: str, scanned: str) -> None:
    """A store that knows what another has scanned, unless there is a store."""
    if not init_store(path, durability="fast"):
        return
    for name in ("git", "artifacts", "index"):
        shutil.copytree(os.path.join(scanned, name), os.path.join(path, name), symlinks=True, dirs_exist_ok=True)


@pytest.fixture
def store(tmp_path: pathlib.Path, clock: Clock, scanned: str) -> Store:
    """A fresh store."""
    path = str(tmp_path / "store")
    make_store(path, scanned)
    return Store.open(path, identity=IDENTITY, clock=clock, search_path=os.environ["PATH"])


@pytest.fixture
def empty_store(tmp_path: pathlib.Path) -> str:
    """A fresh store that knows nothing at all, to be asked for before `store` and `hdist`."""
    path = str(tmp_path / "store")
    init_store(path, durability="fast")
    return path


@pytest.fixture
def session(store: Store, tmp_path: pathlib.Path) -> Session:
    """The store with this process's environment; relative paths are relative to ``work``."""
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    return Session(store, dict(os.environ), str(work), jobs=2)


@pytest.fixture
def write(tmp_path: pathlib.Path) -> Callable[[str, str | bytes], str]:
    """Write a file below ``work`` and return its path."""

    def write_file(name: str, content: str | bytes) -> str:
        path = tmp_path / "work" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return write_file


@pytest.fixture
def git(store: Store) -> Callable[..., str]:
    """Run the real git on the store's repository and return what it prints; it must succeed."""

    def run(*arguments: str, stdin: str = "") -> str:
        command = ["git", "-C", store.git, *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    """What starts commands quickly."""
    runner = Warm(support.ORIGINAL_ENV)
    yield runner
    runner.close()


@pytest.fixture
def hdist(tmp_path: pathlib.Path, warm: Warm, scanned: str) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the real command in ``work``, on the store of `store` (made if the test did not)."""
    (tmp_path / "work").mkdir(exist_ok=True)
    path = str(tmp_path / "store")
    make_store(path, scanned)

    cold = True

    def run(
        *arguments: str, expect: int | None = 0, env: dict[str, str] | None = None, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        words = {**os.environ, "HDIST_STORE": path, **(env or {})}
        nonlocal cold
        # each test's first command starts as users start it: with its own imports, and a hash seed of its own
        done = (run_cold if cold else warm.run)(arguments, env=words, cwd=str(tmp_path / "work"), stdin=stdin)
        cold = False
        assert expect is None or done.returncode == expect, (
            f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        assert "Traceback" not in done.stderr
        return done

    return run
