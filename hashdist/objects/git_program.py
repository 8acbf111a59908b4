"""The git program on a repository of ours: for what libgit2 cannot do, or only with all of it in memory."""

from __future__ import annotations


def git_env(repository: str, search_path: str) -> dict[str, str]:
    """The environment for the git program: this repository, nobody's settings."""
    return {
        "PATH": search_path,
        "GIT_DIR": repository,
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "LC_ALL": "C",
    }
