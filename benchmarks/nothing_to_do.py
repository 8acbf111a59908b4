"""``hdist build`` with nothing to do on generated graphs, against ``nix-build`` on the same graph.

Needs nix-build (Debian: nix-bin); without it only our own times are told.
"""

from __future__ import annotations

import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile

from paired import command, paired, seconds

from hashdist.fsutil.removal import remove_tree

LIMIT = 2
SIZES = (250, 1_000, 2_000)
#: Beyond this the environment of the last derivation is too long for the kernel.
PEER_LIMIT = 1_000


def graph(size: int) -> dict[int, list[int]]:
    """Each node has up to three inputs among those before it; the same for every run."""
    chance = random.Random(size)
    return {node: sorted(chance.sample(range(max(0, node - 50), node), min(node, 3))) for node in range(size)}


def hdist_stack(edges: dict[int, list[int]]) -> str:
    """The graph as a stack file."""
    packages = []
    for node, inputs in edges.items():
        names = ", ".join(f'"p{one}"' for one in inputs)
        packages.append(
            f'[packages.p{node}]\nversion = "1"\ncommands = ["mkdir -p $PREFIX/p && echo {node} > $PREFIX/p/{node}"]\ninputs = [{names}]\n'
        )
    return "\n".join(packages)


def nix_expression(edges: dict[int, list[int]]) -> str:
    """The graph as derivations."""
    lines = ["let"]
    for node, inputs in edges.items():
        names = " ".join(f"p{one}" for one in inputs)
        lines.append(
            f'p{node} = derivation {{ name = "p{node}"; system = builtins.currentSystem; builder = "/bin/sh"; '
            f'args = ["-c" "echo {node} > $out"]; inputs = [{names}]; }};'
        )
    everything = " ".join(f"p{node}" for node in edges)
    lines.append(
        f'in derivation {{ name = "all"; system = builtins.currentSystem; builder = "/bin/sh"; args = ["-c" "echo > $out"]; all = [{everything}]; }}'
    )
    return "\n".join(lines)


def nix_env(folder: str) -> dict[str, str]:
    """A store of its own for nix, without a daemon or a sandbox."""
    places = {name: os.path.join(folder, f"nix-{name.lower()}") for name in ("store", "state", "log", "conf")}
    os.makedirs(places["conf"], exist_ok=True)
    with open(os.path.join(places["conf"], "nix.conf"), "w", encoding="utf-8") as file:
        file.write("sandbox = false\nbuild-users-group =\nsubstitute = false\nsubstituters =\n")
    return {
        "NIX_STORE_DIR": places["store"],
        "NIX_STATE_DIR": places["state"],
        "NIX_LOG_DIR": places["log"],
        "NIX_CONF_DIR": places["conf"],
        "NIX_REMOTE": "",
        "HOME": folder,
    }


def main() -> None:
    """Measure."""
    folder = tempfile.mkdtemp(prefix="hdist-bench-")
    hdist = os.path.join(os.path.dirname(sys.executable), "hdist")
    times = {}
    for size in SIZES:
        place = os.path.join(folder, str(size))
        os.mkdir(place)
        env = {"HDIST_STORE": os.path.join(place, "store")}
        edges = graph(size)
        with open(os.path.join(place, "stack.toml"), "w", encoding="utf-8") as file:
            file.write(hdist_stack(edges))
        command([hdist, "init", "--durability", "fast"], env=env, cwd=place)()
        took = seconds(command([hdist, "commit", "-m", "graph"], env=env, cwd=place))
        print(f"hdist commit of {size} packages{'':<20} {took * 1000:8.1f} ms", flush=True)
        took = seconds(command([hdist, "build"], env=env, cwd=place))
        print(f"hdist build of {size} packages{'':<21} {took * 1000:8.1f} ms", flush=True)
        ours = command([hdist, "build"], env=env, cwd=place)
        title = f"hdist build, nothing to do, {size} packages"
        if shutil.which("nix-build") and size <= PEER_LIMIT:
            with open(os.path.join(place, "graph.nix"), "w", encoding="utf-8") as file:
                file.write(nix_expression(edges))
            theirs = command(["nix-build", "--no-out-link", "graph.nix"], env=nix_env(place), cwd=place)
            theirs()
            paired(title, ours, theirs, limit=LIMIT, peer="nix-build", runs=11)
        elif size <= PEER_LIMIT:
            print("no nix-build here: only our own times are told (Debian: apt-get install nix-bin)")
        times[size] = statistics.median(seconds(ours) for _ in range(9))
        print(f"{title:<52} {times[size] * 1000:8.1f} ms")
        subprocess.run(["chmod", "-R", "u+w", place], check=False)
        remove_tree(place)
    first, last = SIZES[0], SIZES[-1]
    print(f"{last // first} times the graph took {times[last] / times[first]:.1f} times as long")
    remove_tree(folder)


main()
