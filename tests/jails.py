"""Fixtures: a jail around programs, and programs made for it."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import subprocess

import pytest

from hashdist.preload.base import base_rules
from hashdist.preload.jail import make_jail
from hashdist.preload.report import Report
from hashdist.preload.rules import Rules


@dataclasses.dataclass
class Inside:
    """A jail to run programs in."""

    jail: object

    def run(self, *command: str, env: dict[str, str] | None = None, **options) -> subprocess.CompletedProcess[str]:
        inside = self.jail.environment(os.environ if env is None else env)
        return subprocess.run(command, env=inside, capture_output=True, text=True, **options)

    def ok(self, *command: str, **options) -> str:
        done = self.run(*command, **options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def report(self) -> Report:
        return self.jail.report()

    def used(self) -> dict[str, tuple[str, ...]]:
        """Path to uses, of what was logged."""
        return {access.path: access.uses for access in self.report.accesses}


@pytest.fixture
def around(tmp_path: pathlib.Path):
    """Make a jail: `around("enforce", rules)`; without rules what every program may use, and the system's programs."""
    made = []

    def make(mode: str = "enforce", rules: Rules | None = None, **options) -> Inside:
        place = tmp_path / f"jail-{len(made)}"
        place.mkdir()
        made.append(place)
        return Inside(make_jail(str(place), rules or system_rules(), mode, env=dict(os.environ), **options))

    return make


def system_rules() -> Rules:
    """The programs and libraries of the system, but none of its headers."""
    rules = base_rules()
    rules.allow_tree("/usr/bin", "/usr/sbin", "/usr/lib", "/usr/libexec", "/usr/share", "/etc/alternatives")
    return rules


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory):
    """Compile a C program once: `compiled(name, text, *flags)` gives its path."""
    folder = tmp_path_factory.mktemp("programs")

    def compile_(name: str, text: str, *flags: str) -> str:
        program = str(folder / name)
        if not os.path.exists(program):
            (folder / f"{name}.c").write_text(text)
            subprocess.run(["cc", "-O1", "-w", "-o", program, f"{program}.c", *flags], check=True)
        return program

    return compile_
