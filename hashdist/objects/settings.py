"""A repository's own settings, ``config`` in git's format: by the git program, or libgit2 where there is none."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

from hashdist import process
from hashdist.fsutil.atomic import publish, unique_suffix

from . import libgit2
from .git_program import git_env, has_git


@dataclass(frozen=True, slots=True)
class RepositorySettings:
    """The settings in one file. Who changes them keeps others from it meanwhile."""

    path: str
    """The file."""
    scratch: str
    """A directory for the changed file until it is whole."""
    search_path: str
    """Where the git program is looked for."""

    def read(self, *sections: str) -> dict[str, str]:
        """What is set in some sections, by full key: ``remote.origin.url``."""
        return self._read(self.path, sections)

    def change(self, settings: dict[str, str]) -> None:
        """Give some keys one value each."""
        with self._changing() as path:
            for key, value in settings.items():
                if has_git(self.search_path):
                    self._git(path, "--replace-all", key, value)
                else:
                    libgit2.change_setting(path, key, value)

    def remove(self, *sections: str) -> None:
        """Forget some sections, such as ``remote.origin``, with all that is set in them."""
        with self._changing() as path:
            for section in sections:
                known = [key for key in self._read(path, (section.partition(".")[0],)) if _section(key) == section]
                if has_git(self.search_path):
                    if known:
                        self._git(path, "--remove-section", section)
                    continue
                for key in known:
                    libgit2.change_setting(path, key, None)

    @contextlib.contextmanager
    def _changing(self) -> Iterator[str]:
        """A copy to change, which takes the file's place in the end.

        The program that changes it locks the copy: of a lock beside the file itself nobody would know whose it was.
        """
        place = os.path.join(self.scratch, f"config.tmp-{unique_suffix()}")
        shutil.copy(self.path, place)
        try:
            yield place
            with open(place, "rb+") as file:
                os.fchmod(file.fileno(), os.stat(self.path).st_mode & 0o777)
                os.fsync(file.fileno())
            publish(place, self.path)
        finally:
            for path in (place, f"{place}.lock"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)

    def _read(self, path: str, sections: tuple[str, ...]) -> dict[str, str]:
        if not has_git(self.search_path):
            begins = tuple(f"{section}." for section in sections)
            return {key: value for key, value in libgit2.settings(path) if key.startswith(begins)}
        try:
            output = self._git(path, "-z", "--get-regexp", rf"^({'|'.join(sections)})\.")
        except process.ProgramFailedError as error:
            if error.status == 1:  # there are none
                return {}
            raise
        pairs = (entry.partition("\n") for entry in output.decode(errors="surrogateescape").split("\0") if entry)
        return {key: value for key, _, value in pairs}

    def _git(self, path: str, *arguments: str) -> bytes:
        env = git_env(os.devnull, self.search_path)
        return process.run(["git", "config", "--file", path, *arguments], env=env)


def _section(key: str) -> str:
    return key.rpartition(".")[0]
