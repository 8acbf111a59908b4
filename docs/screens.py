"""Run commands on a small stack and put what they print into README.md; with --check compare all but hashes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile

README = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "README.md")
BEGIN, END = "<!-- screens -->\n```console\n", "```\n<!-- end of screens -->"
STACK = """\
[host]
gcc = "path:gcc"

[defaults]
env = { CFLAGS = "-O2" }

[packages.vector]
version = "1.4"
source = { path = "vector" }
commands = ["mkdir -p $PREFIX/lib", "gcc $CFLAGS -shared -fPIC vector.c -o $PREFIX/lib/libvector.so"]
inputs = ["gcc"]

[packages.solver]
version = "0.9"
source = { path = "solver" }
commands = ["mkdir -p $PREFIX/bin", "gcc $CFLAGS solver.c -lvector -o $PREFIX/bin/solver"]
inputs = ["gcc", "vector"]
"""
FILES = {
    "stack.toml": STACK,
    "vector/vector.c": "double norm(double x) { return x * x; }\n",
    "solver/solver.c": "double norm(double); int main(void) { return norm(3) != 9; }\n",
}
BEFORE = (
    "hdist commit stack.toml -m 'vector and solver' -q",
    "hdist checkout --build -q",
    "hdist checkout -b fast -q",
    "hdist set packages.vector.env.CFLAGS=-O3 -m 'vector with -O3' -q",
)
SHOWN = (
    "hdist checkout --build",
    "solver; echo $?",
    "hdist explain main fast",
    "hdist log",
    "hdist checkout main",
    "hdist status",
    "hdist undo",
)


def run() -> str:
    """The block: commands with what they print."""
    lines = []
    with tempfile.TemporaryDirectory() as home:
        for name, text in FILES.items():
            os.makedirs(os.path.join(home, os.path.dirname(name)), exist_ok=True)
            with open(os.path.join(home, name), "w", encoding="utf-8") as file:
                file.write(text)
        kept = {name: os.environ[name] for name in ("LANG", "TMPDIR") if name in os.environ}
        path = f"{os.path.dirname(sys.executable)}:{home}/.hashdist/current/bin:/usr/bin:/bin"
        env = {**kept, "HOME": home, "PATH": path, "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.org"}
        for command in (*BEFORE, *SHOWN):
            done = subprocess.run(
                ["sh", "-c", command], cwd=home, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                check=False,
            )  # fmt: skip
            if done.returncode:
                sys.exit(f"{command}: {done.stdout}")
            if command in SHOWN:
                lines += [f"$ {command}", *done.stdout.replace(home, "~").rstrip("\n").split("\n")]
        subprocess.run(["chmod", "-R", "u+w", home], check=False)
    return "\n".join(lines) + "\n"


def plain(text: str) -> str:
    """The same without what differs from run to run: hashes, and times."""
    text = re.sub(r"\b[0-9a-f]{7,64}\b", "HASH", text)
    text = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?( ?[+-]\d{4}|Z)?", "TIME", text)
    text = re.sub(r"gcc [\d.]+", "gcc VERSION", text)
    return re.sub(r"\d+(\.\d+)? (s|ms|seconds?|B|KiB|MiB)\b", "SOME", text)


def main() -> None:
    """Write the block, or compare it."""
    with open(README, encoding="utf-8") as file:
        text = file.read()
    before, _, rest = text.partition(BEGIN)
    old, _, after = rest.partition(END)
    new = run()
    if "--check" in sys.argv:
        if plain(old) != plain(new):
            sys.exit(f"README.md does not show what commands print: make screens\n{new}")
        return
    with open(README, "w", encoding="utf-8") as file:
        file.write(f"{before}{BEGIN}{new}{END}{after}")


main()
