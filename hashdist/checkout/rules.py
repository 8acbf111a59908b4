"""What the rules of linking say of a path, and below which directories they say anything."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hashdist.stack.linking import Rule, RuleKind, translate

#: Rules of every prefix, behind those of the stack: what people edit is copied, and what every package
#: writes for itself, as an index of what is installed beside it, is left out.
DEFAULTS: tuple[Rule, ...] = (
    Rule("copy", "etc/**"),
    Rule("copy", "var/**"),
    Rule("exclude", "share/info/dir"),
    Rule("exclude", "share/icons/*/icon-theme.cache"),
    Rule("exclude", "share/mime/mime.cache"),
    Rule("exclude", "share/applications/mimeinfo.cache"),
    Rule("exclude", "share/glib-2.0/schemas/gschemas.compiled"),
    Rule("exclude", "lib/gio/modules/giomodule.cache"),
    Rule("exclude", "lib/perl5/**/perllocal.pod"),
)
_SPECIAL = re.compile(r"[*?\[]")


class Rulebook:
    """The rules of a prefix, ready to be asked."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules: dict[RuleKind, list[tuple[re.Pattern[str], str | None]]] = {}
        self._ways: list[tuple[RuleKind, str, tuple[re.Pattern[str], ...], str | None]] = []
        for rule in rules:
            self._rules.setdefault(rule.kind, []).append((re.compile(translate(rule.glob)), rule.package))
            if rule.kind != "prefer":
                self._ways.append((rule.kind, _lead(rule.glob), _way(rule.glob), rule.package))

    def says(self, kind: RuleKind, path: str, package: str) -> bool:
        """Whether a rule of this kind holds for the file of this package at `path`."""
        return any(
            owner in {None, package} and pattern.match(path) is not None for pattern, owner in self._rules.get(kind, ())
        )

    def preferred(self, path: str) -> list[str]:
        """The packages that rules prefer at `path`, the most preferred first."""
        return [package for pattern, package in self._rules.get("prefer", ()) if package and pattern.match(path)]

    def reach_below(self, directory: str, package: str, *, but: RuleKind | None = None) -> bool:
        """Whether a rule, not of the kind `but`, may hold for something of this package below `directory`.

        No is certain.
        """
        inside = f"{directory}/"
        for kind, lead, way, owner in self._ways:
            if kind != but and owner in {None, package} and (lead.startswith(inside) or inside.startswith(lead)):
                names = directory.split("/")
                if all(pattern.match(name) for pattern, name in zip(way, names, strict=False)):
                    return True
        return False


def _lead(glob: str) -> str:
    """The directories that a glob names without special characters, each with its slash."""
    parts = glob.split("/")
    plain = 0
    while plain < len(parts) and not _SPECIAL.search(parts[plain]):
        plain += 1
    return "".join(f"{part}/" for part in parts[:plain])


def _way(glob: str) -> tuple[re.Pattern[str], ...]:
    """What the names of directories must fit, one after the other, until any will do."""
    parts = glob.split("/")
    stop = parts.index("**") if "**" in parts else len(parts)
    return tuple(re.compile(translate(part)) for part in parts[:stop])
