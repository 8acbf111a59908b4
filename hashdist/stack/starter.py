"""The stack file that ``hdist new`` writes."""

from __future__ import annotations

import shutil
from collections.abc import Mapping

_TEXT = """\
# A software stack. Record it:    hdist commit stack.toml -m "what it is for"
# Build it and switch to it:       hdist checkout --build

# Software of this machine that packages are built with. It is captured by hash: when the compiler
# changes, what was built with it gets a new hash too, and the old install stays beside the new one.
[host]
{host}
# Goes into the environment of every package that compiles.
[defaults]
env = {{ CFLAGS = "-O2" }}

# A package from the Python package index, compiled here with the host's compiler.
[packages.lz4]
version = "4.4.4"
source = {{ pypi = "lz4", subdir = "lz4libs" }}
commands = [
  "gcc $CFLAGS -fPIC -shared -Wl,-soname,liblz4.so.1 -o liblz4.so.1 lz4.c lz4hc.c lz4frame.c xxhash.c",
  "mkdir -p $PREFIX/lib $PREFIX/include",
  "cp liblz4.so.1 $PREFIX/lib && ln -s liblz4.so.1 $PREFIX/lib/liblz4.so",
  "cp lz4.h lz4hc.h lz4frame.h $PREFIX/include",
]
inputs = ["gcc"]

# A wheel: nothing is compiled, and no code of the package runs to install it.
# [packages.numpy]
# version = "2.3.5"
# source = {{ pypi = "numpy" }}
# builder = "wheel"
# requires = ["python"]
"""


def starter(env: Mapping[str, str]) -> str:
    """A stack file for this host; `env` says where programs are."""
    found = {name: shutil.which(name, path=env.get("PATH", "")) for name in ("gcc", "python3")}
    gcc, python = found["gcc"] or "gcc", found["python3"] or "python3"
    return _TEXT.format(host=f'gcc = "path:{gcc}"\npython = "path:{python}"\n')
