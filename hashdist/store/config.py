"""What is fixed when a store is made: where it lies and how artifact paths look."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass

from hashdist.errors import DamagedError, InvalidError
from hashdist.objects.layout import Layout

DURABILITIES = ("full", "fast")


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """The ``config.toml`` of a store."""

    path: str
    """The canonical path: built software has it baked in."""
    layout: Layout
    """Where artifacts lie below ``artifacts/``."""
    durability: str = "full"
    """'full': what exit 0 claimed survives power loss; 'fast': it survives crashes of programs."""
    upstream: str | None = None
    """The path of a store whose artifacts, sources and prefixes are used as if they were here; None: there is none."""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.durability not in DURABILITIES:
            raise InvalidError(f"bad durability '{self.durability}'", hint="'full' or 'fast'")
        for path in (self.path, self.upstream or ""):
            self._check_path(path)

    @staticmethod
    def _check_path(path: str) -> None:
        if any(char in path for char in "\"\\':;$`!*?[]{}()<>|&# ") or not (path.isprintable() or not path):
            raise InvalidError(
                f"a store cannot lie at '{path}'",
                hint="shells and lists must take its path: no spaces, quotes, nor any of : ; $ ` ! * ? [ { ( < | & #",
            )

    def __str__(self) -> str:
        """Give the text of the file."""
        return (
            "# Fixed when this store was made: built software has the path baked in.\n"
            f'path = "{self.path}"\npattern = "{self.layout.pattern}"\n\n'
            "# May be changed: 'full' survives power loss, 'fast' only crashes.\n"
            f'durability = "{self.durability}"\n'
            + (f'\n# What is there is used, and never copied.\nupstream = "{self.upstream}"\n' if self.upstream else "")
        )

    @classmethod
    def parse(cls, text: str) -> StoreConfig:
        """Read the text of the file; raises `DamagedError`."""
        try:
            data = tomllib.loads(text)
            return cls(data["path"], Layout(data["pattern"]), data.get("durability", "full"), data.get("upstream"))
        except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
            raise DamagedError(f"the store's config.toml cannot be read: {error}") from error
