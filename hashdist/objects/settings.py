"""A repository's own settings, ``config`` in git's format: by the git program, or libgit2 where there is none."""

from __future__ import annotations

from dataclasses import dataclass

from hashdist import process

from . import libgit2
from .git_program import git_env, has_git


@dataclass(frozen=True, slots=True)
class RepositorySettings:
    """The settings in one file."""

    path: str
    """The file."""
    search_path: str
    """Where the git program is looked for."""

    def read(self, *sections: str) -> dict[str, str]:
        """What is set in some sections, by full key: ``remote.origin.url``."""
        if not has_git(self.search_path):
            return {key: value for key, value in libgit2.settings(self.path) if key.startswith(_begins(sections))}
        try:
            output = self._git("-z", "--get-regexp", rf"^({'|'.join(sections)})\.")
        except process.ProgramFailedError as error:
            if error.status == 1:  # there are none
                return {}
            raise
        pairs = (entry.partition("\n") for entry in output.decode(errors="surrogateescape").split("\0") if entry)
        return {key: value for key, _, value in pairs}

    def set(self, key: str, value: str) -> None:
        """Give a key one value."""
        if has_git(self.search_path):
            self._git("--replace-all", key, value)
        else:
            libgit2.change_setting(self.path, key, value)

    def remove(self, section: str) -> None:
        """Forget a section, such as ``remote.origin``, with all that is set in it."""
        if has_git(self.search_path):
            self._git("--remove-section", section)
            return
        for key in self.read(section.partition(".")[0]):
            if key.rpartition(".")[0] == section:
                libgit2.change_setting(self.path, key, None)

    def _git(self, *arguments: str) -> bytes:
        return process.run(
            ["git", "config", "--file", self.path, *arguments], env=git_env("/dev/null", self.search_path)
        )


def _begins(sections: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{section}." for section in sections)
