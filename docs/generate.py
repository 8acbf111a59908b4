"""Write the reference of commands, man pages and words of completion from the table of commands; or --check them."""

from __future__ import annotations

import inspect
import json
import os
import re
import sys
from collections.abc import Iterable

import click

from hashdist.cli.main import load
from hashdist.cli.table import COMMANDS

HERE = os.path.dirname(os.path.abspath(__file__))
PAGE = os.path.join("reference", "cli.md")


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
    options = _options(command)
    if options:
        lines += ["", "| option | meaning |", "|---|---|"]
        for option in options:
            names = ", ".join(f"`{name}`" for name in option.opts)
            lines.append(f"| {names} | {option.help} |")
    return lines


def _options(command: click.Command) -> list[click.Option]:
    """Those that not every command has."""
    return [
        parameter
        for parameter in command.params
        if isinstance(parameter, click.Option) and not COMMON & set(parameter.opts)
    ]


def man_pages() -> dict[str, str]:
    """All man pages: path below docs to text."""
    entries = "".join(
        f".TP\n.BR hdist\\-{_roff(name)} (1)\n{_roff(summary)}\n"
        for commands in COMMANDS.values()
        for name, summary in commands
    )
    overview = (
        _man_head("hdist", "software stacks as branches, installs by hash, prefixes of links")
        + ".SH SYNOPSIS\n.B hdist\n[\\-\\-store PATH] COMMAND [OPTION]... [ARGUMENT]...\n"
        + f".SH COMMANDS\n{entries}"
        + f".SH OPTIONS OF EVERY COMMAND\n{_man_options(EVERYWHERE)}"
        + ".SH FILES\n.TP\n~/.hashdist\nthe store, unless HDIST_STORE names another\n"
        + ".TP\n~/.config/hashdist/config.toml\nthe user's settings: hdist config\n"
    )
    pages = {os.path.join("man", "hdist.1"): overview}
    for commands in COMMANDS.values():
        for name, summary in commands:
            pages[os.path.join("man", f"hdist-{name}.1")] = _man_page(name, summary)
    return pages


EVERYWHERE = (
    ("--store PATH", "The store (HDIST_STORE; ~/.hashdist)."),
    ("--offline", "Fetch nothing over the network (HDIST_OFFLINE)."),
    ("-q, --quiet", "Say nothing but results and errors."),
    ("--no-progress", "No progress bars."),
    ("--json", "For commands that read: one JSON document."),
    ("-h, --help", "What a command does."),
)


def _man_page(name: str, summary: str) -> str:
    command = load(name)
    text = _man_head(f"hdist-{name}", summary)
    members: list[tuple[str, click.Command]] = [(f"hdist {name}", command)]
    if isinstance(command, click.Group):
        context = click.Context(command)
        found = {sub: command.get_command(context, sub) for sub in command.list_commands(context)}
        members = [(f"hdist {name} {sub}", one) for sub, one in found.items() if one is not None]
    text += ".SH SYNOPSIS\n"
    for path, one in members:
        words = " ".join(one.collect_usage_pieces(click.Context(one, info_name=path)))
        text += f".B {_roff(path)}\n{_roff(words)}\n.br\n"
    text += ".SH DESCRIPTION\n"
    for path, one in members:
        text += f".SS {_roff(path)}\n" if len(members) > 1 else ""
        paragraphs = inspect.cleandoc(one.help or "").split("\n\n")
        text += "".join(f".PP\n{_roff(' '.join(paragraph.split()))}\n" for paragraph in paragraphs)
        text += _man_options([(", ".join(option.opts), option.help or "") for option in _options(one)])
    return text + ".SH SEE ALSO\n.BR hdist (1)\n"


def _man_head(name: str, summary: str) -> str:
    title = _roff(name.upper())
    return f'.TH "{title}" 1 "" "hashdist" "hashdist"\n.SH NAME\n{_roff(name)} \\- {_roff(summary)}\n'


def _man_options(options: Iterable[tuple[str, str]]) -> str:
    return "".join(f".TP\n.B {_roff(names)}\n{_roff(help)}\n" for names, help in options)


def _roff(text: str) -> str:
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text


#: What words in the names of arguments stand for; see `hashdist.cli.completion.words`.
KINDS = {
    **dict.fromkeys("PROFILE REVISION REVISIONS REV GOOD BAD OLD NEW A B START".split(), "revisions"),
    **dict.fromkeys("FILE PATH DIR PREFIX URL".split(), "files"),
    **dict.fromkeys("PACKAGE PACKAGES".split(), "packages"),
    **dict.fromkeys("ARTIFACT SPEC".split(), "artifacts"),
    "SOURCE": "sources",
    "ENTRY": "hosts",
    "REMOTE": "remotes",
    "REF": "refs",
}
#: Where the name of an argument says less than it means.
MEANT = {
    ("artifact log", "NAME|ID"): "artifacts",
    ("artifact path", "NAME|ID"): "artifacts",
    ("artifact show", "NAME|ID"): "artifacts",
    ("artifact-path", "NAME/VERSION/SPEC"): "artifacts",
    ("branch", "NAME"): "profiles",
    ("cat-spec", "ID"): "artifacts",
    ("host diff", "NEW"): "hosts",
    ("host diff", "OLD"): "hosts",
    ("host list", "[NAME]..."): "hosts",
    ("host log", "NAME"): "hosts",
    ("host scan", "[FINDER|NAME=FINDER|NAME]..."): "hosts",
    ("remote remove", "NAME"): "remotes",
    ("source get", "ID"): "sources",
    ("source log", "ID"): "sources",
    ("source show", "ID"): "sources",
    ("tag", "NAME"): "revisions",
    ("unload", "[NAME|PREFIX]..."): "revisions",
}
WORDS = os.path.join("..", "hashdist", "cli", "completion", "options.json")


def words() -> str:
    """What each command takes, for completion: options to the kind of their values, and kinds of arguments."""
    found: dict[str, object] = {}
    for commands in COMMANDS.values():
        for name, _ in commands:
            command = load(name)
            if isinstance(command, click.Group):
                context = click.Context(command)
                found[f"{name} "] = command.list_commands(context)
                for sub in command.list_commands(context):
                    found[f"{name} {sub}"] = _words(f"{name} {sub}", command.get_command(context, sub))
            else:
                found[name] = _words(name, command)
    return json.dumps(found, indent=1, sort_keys=True) + "\n"


def _words(path: str, command: click.Command) -> dict[str, object]:
    options: dict[str, object] = {}
    arguments = []
    more = False
    for one in command.params:
        if isinstance(one, click.Option):
            value = None if one.is_flag or one.count else _kind(path, one)
            options |= dict.fromkeys((*one.opts, *one.secondary_opts), value)
        else:
            arguments.append(_kind(path, one))
            more = one.nargs == -1
    return {"options": options, "arguments": arguments, "more": more}


def _kind(path: str, one: click.Parameter) -> object:
    if isinstance(one.type, click.Choice):
        return list(one.type.choices)
    shown = one.metavar or (one.name or "").upper()
    found = {KINDS[word]: None for word in re.findall(r"[A-Z]+", shown) if word in KINDS}
    return MEANT.get((path, shown)) or " ".join(found)


def main() -> None:
    """Write the pages, or check them."""
    pages = {PAGE: page(), WORDS: words(), **man_pages()}
    folder = os.path.join(HERE, "man")
    os.makedirs(folder, exist_ok=True)
    stale = {os.path.join("man", name) for name in os.listdir(folder)} - pages.keys()
    if "--check" in sys.argv:
        wrong = stale | {name for name, text in pages.items() if _read(os.path.join(HERE, name)) != text}
        if wrong:
            sys.exit(f"not up to date: {', '.join(sorted(wrong)[:5])}: make docs")
        return
    for name in stale:
        os.unlink(os.path.join(HERE, name))
    for name, text in pages.items():
        with open(os.path.join(HERE, name), "w", encoding="utf-8") as file:
            file.write(text)


def _read(path: str) -> str | None:
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as file:
        return file.read()


main()
