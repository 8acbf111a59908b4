"""Write docs/reference/cli.md from the table of commands; with --check only tell whether it is up to date."""

from __future__ import annotations

import inspect
import os
import sys

import click

from hashdist.cli.main import load
from hashdist.cli.table import COMMANDS

HERE = os.path.dirname(os.path.abspath(__file__))
PAGE = os.path.join(HERE, "reference", "cli.md")


def page() -> str:
    """The whole page."""
    lines = [
        "# Commands",
        "",
        "Made by `make docs` from the table of commands. Options of every command: `--store PATH` (HDIST_STORE,",
        "`~/.hashdist`), `--offline` (HDIST_OFFLINE), `-q`, `--no-progress`. Those that read have `--json`.",
    ]
    for category, commands in COMMANDS.items():
        lines += ["", f"## {category}"]
        for name, summary in commands:
            lines += ["", f"### hdist {name}", "", f"{summary[0].upper()}{summary[1:]}."]
            command = load(name)
            if isinstance(command, click.Group):
                context = click.Context(command)
                for sub in command.list_commands(context):
                    lines += describe(f"hdist {name} {sub}", command.get_command(context, sub))
            else:
                lines += describe(f"hdist {name}", command)
    return "\n".join(lines) + "\n"


COMMON = {"--store", "--offline", "--quiet", "--no-progress", "--json", "--help"}


def describe(path: str, command: click.Command) -> list[str]:
    """Usage, help and options of one command."""
    context = click.Context(command, info_name=path)
    words = " ".join(command.collect_usage_pieces(context))
    lines = ["", f"    {path} {words}"]
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        lines += ["", " ".join(paragraph.split())]
    options = [
        parameter
        for parameter in command.params
        if isinstance(parameter, click.Option) and not COMMON & set(parameter.opts)
    ]
    if options:
        lines += ["", "| option | meaning |", "|---|---|"]
        for option in options:
            names = ", ".join(f"`{name}`" for name in option.opts)
            lines.append(f"| {names} | {option.help} |")
    return lines


def main() -> None:
    """Write the page, or check it."""
    if "--check" in sys.argv:
        with open(PAGE, encoding="utf-8") as file:
            if file.read() != page():
                sys.exit("docs/reference/cli.md is not up to date: make docs")
        return
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(page())


main()
