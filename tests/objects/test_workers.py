"""Work on several cores: results, errors, and processes that are killed."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from hashdist.objects.directory import import_directory
from hashdist.objects.exporting import export_tree


def run(program, *arguments):
    """Run a program with a single thread, as commands have; the test runner has more."""
    command = [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_results_and_errors():
    """Every batch is worked on once, and an error comes out as itself."""
    done = run("""
        from hashdist.errors import InvalidError
        from hashdist.objects.workers import Workers
        import os
        def work(batch):
            if batch < 0:
                raise InvalidError("one", "two", hint="hint")
            return batch, os.getpid()
        with Workers(work) as workers:
            given = [number for number in range(100) if workers.give(number) or workers.results(all=True) and workers.give(number)]
            found = workers.results(all=True)
        print(len(given) > 10, all(pid != os.getpid() for _, pid in found))
        try:
            with Workers(work) as workers:
                workers.give(-1)
                workers.results(all=True)
        except InvalidError as error:
            print(error, error.hint)
        try:
            os.wait()
        except ChildProcessError:
            print("no child is left")
    """)
    assert done.stdout.splitlines() == ["True True", "one", "two hint", "no child is left"], done.stderr


def test_large_results():
    """Buffers come through whole, in every place and beyond the size of one."""
    done = run("""
        import pickle
        from hashdist.objects.workers import Workers
        sizes = [0, 1, 2 << 20, (2 << 20) + 1, 5 << 20] * 3
        def work(batch):
            return batch, pickle.PickleBuffer(bytes([batch]) * sizes[batch])
        seen = []
        with Workers(work) as workers:
            for number in range(len(sizes)):
                while not workers.give(number):
                    seen += [(one, bytes(data) == bytes([one]) * sizes[one]) for one, data in workers.results()]
            seen += [(one, bytes(data) == bytes([one]) * sizes[one]) for one, data in workers.results(all=True)]
        print(sorted(seen) == [(number, True) for number in range(len(sizes))])
    """)
    assert done.stdout == "True\n", done.stderr


def test_a_killed_worker_is_an_error():
    """When a process of ours is killed the others end, and the error says what happened."""
    done = run("""
        import os, signal
        from hashdist.objects.workers import Workers, WorkerDiedError
        def work(batch):
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            with Workers(work) as workers:
                workers.give(1)
                workers.results(all=True)
        except WorkerDiedError as error:
            print(error, error.hint)
    """)
    assert "was killed" in done.stdout, done.stderr


def test_none_where_there_are_threads():
    """In a process with threads everything is done where it is."""
    done = run("""
        import threading, time
        from hashdist.objects.workers import Workers
        threading.Thread(target=time.sleep, args=(1,)).start()
        with Workers(lambda batch: batch) as workers:
            print(workers.give(1), workers.results(all=True))
    """)
    assert done.stdout == "False []\n", done.stderr


def test_more_than_cores():
    """What mostly waits for storage is spread over more processes than there are cores, when that is asked."""
    done = run("""
        from hashdist.objects.workers import spread
        import os, time
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
        def work(batch):
            time.sleep(0.05)
            return os.getpid()
        print(len(set(spread(work, range(40)))), len(set(spread(work, range(40), processes=5))))
    """)
    assert done.stdout == "1 6\n", done.stderr


@pytest.fixture
def many(tmp_path):
    """Enough files for several processes, two of them large."""
    made = tmp_path / "many"
    for number in range(2000):
        place = made / f"{number % 50}"
        place.mkdir(parents=True, exist_ok=True)
        (place / str(number)).write_bytes(b"%d\n" % number * (number % 300))
    (made / "large").write_bytes(os.urandom(1000) * 20_000)
    (made / "text").write_bytes(b"text" * 5_000_000)
    return made


def test_the_same_id_on_all_cores(store, many, tmp_path, git):
    """Import and export with several processes give what one process gives, and git finds nothing to say."""
    program = """
        import sys
        from hashdist import Store
        from hashdist.objects.directory import import_directory
        from hashdist.objects.exporting import export_tree
        store = Store.open(sys.argv[1])
        tree = import_directory(store.objects, sys.argv[2])
        export_tree(store.objects, tree, sys.argv[3], mtime=7)
        print(tree)
    """
    done = run(program, store.path, many, tmp_path / "out")
    assert done.stdout.strip() == import_directory(store.objects, str(many)), done.stderr
    assert subprocess.run(["diff", "-r", many, tmp_path / "out"]).returncode == 0
    assert os.stat(tmp_path / "out/7").st_mtime == 7
    git("fsck", "--full", "--strict")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupted(store, many, number):
    """An import that is interrupted leaves no processes and nothing that counts."""
    program = """
        import os, signal, sys
        from hashdist import Store
        from hashdist.objects import packing
        from hashdist.objects.directory import import_directory
        store = Store.open(sys.argv[1])
        real = packing.Packing._write
        def slow(self, *rest):
            if self._workers is not None:
                print(" ".join(str(worker.pid) for worker in self._workers._workers), flush=True)
                os.kill(os.getpid(), int(sys.argv[3]))
            return real(self, *rest)
        packing.Packing._write = slow
        import_directory(store.objects, sys.argv[2])
    """
    done = run(program, store.path, many, int(number))
    assert done.returncode != 0
    pids = {int(word) for line in done.stdout.splitlines() for word in line.split()}
    assert pids
    for pid in pids:
        for _ in range(100):
            if not os.path.exists(f"/proc/{pid}"):
                break
            import time

            time.sleep(0.05)
        assert not os.path.exists(f"/proc/{pid}")
    assert not [name for name in os.listdir(os.path.join(store.git, "objects/pack")) if name.startswith("pack")]


def test_damage_is_seen(store, many, tmp_path):
    """A flipped bit in a pack is an error of that object, not other bytes in a file."""
    from hashdist.errors import DamagedError

    tree = import_directory(store.objects, str(many))
    packs = os.path.join(store.git, "objects/pack")
    (pack,) = (name for name in os.listdir(packs) if name.endswith(".pack"))
    path = os.path.join(packs, pack)
    os.chmod(path, 0o644)
    with open(path, "r+b") as file:
        file.seek(os.path.getsize(path) // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes((byte[0] ^ 1,)))
    with pytest.raises(DamagedError):
        export_tree(store.objects, tree, str(tmp_path / "out"), mtime=1)


@pytest.mark.parametrize("cores", [1, 2, 4])
def test_any_number_of_cores(store, many, tmp_path, cores):
    """Whatever the number of processes, they all end; also with paths and results that fill every pipe."""
    program = """
        import os, sys
        from hashdist import Store
        from hashdist.objects import workers
        from hashdist.objects.directory import import_directory
        from hashdist.objects.exporting import export_tree
        workers._spare_cores = lambda: int(sys.argv[4])
        store = Store.open(sys.argv[1])
        deep = os.path.join(sys.argv[2], *["d" * 200] * 15)
        os.makedirs(deep)
        for number in range(600):
            with open(os.path.join(deep, f"{number}"), "wb") as file:
                file.write(os.urandom(30_000))
        tree = import_directory(store.objects, sys.argv[2])
        export_tree(store.objects, tree, sys.argv[3], mtime=7)
        print(tree)
    """
    done = run(program, store.path, many, tmp_path / "out", cores)
    assert done.stdout.strip() == import_directory(store.objects, str(tmp_path / "out")), done.stderr
