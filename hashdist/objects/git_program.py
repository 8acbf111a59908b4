"""The git program on a repository of ours: for what libgit2 cannot do, or only with all of it in memory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence


def has_git(search_path: str) -> bool:
    """Whether the git program is installed."""
    return shutil.which("git", path=search_path) is not None


def git_env(repository: str, search_path: str, *, besides: Sequence[str] = ()) -> dict[str, str]:
    """The environment for the git program: this repository, nobody's settings.

    Objects are also read from the repositories at the paths `besides`.
    """
    others = ":".join(os.path.join(path, "objects") for path in besides)
    return {
        "PATH": search_path,
        "GIT_DIR": repository,
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "LC_ALL": "C",
        **({"GIT_ALTERNATE_OBJECT_DIRECTORIES": others} if others else {}),
    }
