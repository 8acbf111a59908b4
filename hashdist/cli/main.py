"""Dispatch by the table, and the one place where errors become lines and exit codes."""

from __future__ import annotations

import errno
import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from hashdist.errors import HashdistError, UsageError
from hashdist.version import __version__

from . import quick
from .errors import error_json
from .interruptions import Terminated, terminable
from .table import SUMMARIES, help_text

if TYPE_CHECKING:
    from collections.abc import Sequence

_INTERRUPTED = 130
_TERMINATED = 143
_GROUPS = ("source", "artifact")
_VALUE_OPTIONS = ("--store",)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in arguments
    try:
        if not arguments or arguments[0] in {"-h", "--help", "help"}:
            return _say(help_text())
        if arguments == ["--version"]:
            return _say(f"hdist {__version__}\n")
        if quick.answer(arguments, os.environ):
            return 0
        return _dispatch(arguments)
    except HashdistError as error:
        return _report(error, as_json=as_json)
    except (KeyboardInterrupt, Terminated) as stop:
        sys.stderr.write("hdist: interrupted\n")
        return _TERMINATED if isinstance(stop, Terminated) else _INTERRUPTED
    except BrokenPipeError:
        # the reader has gone: say nothing, and keep Python from complaining when it closes stdout
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except OSError as error:
        return _report(_of_system(error), as_json=as_json)
    except Exception as error:  # the last resort: one line for every failure
        if os.environ.get("HDIST_DEBUG"):
            raise
        words = f"this should not have happened: {type(error).__name__}: {error}"
        return _report(
            HashdistError(words, hint="please report it, with what HDIST_DEBUG=1 shows"), as_json="--json" in arguments
        )


def _say(text: str) -> int:
    sys.stdout.write(text)
    sys.stdout.flush()
    return 0


def _dispatch(arguments: list[str]) -> int:
    import click  # noqa: PLC0415 - not needed for the quick answers above

    terminable()
    name, rest = _split(arguments)
    if name not in SUMMARIES:
        import difflib  # noqa: PLC0415 - only for the mistaken

        close = difflib.get_close_matches(name, SUMMARIES, n=1)
        hint = f"did you mean 'hdist {close[0]}'?" if close else "hdist --help lists the commands"
        raise UsageError(f"no command '{name}'", hint=hint)
    command = load(name)
    try:
        result = command.main(args=rest, prog_name=f"hdist {name}", standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.exceptions.Abort:
        raise KeyboardInterrupt from None
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else f"hdist {name}"
        raise UsageError(error.format_message(), hint=f"{where} --help") from error
    return result if isinstance(result, int) else 0


def load(name: str) -> Any:
    """The click command of a name in the table."""
    import importlib  # noqa: PLC0415 - not needed for the quick answers

    module = importlib.import_module(f".commands.{name.replace('-', '_')}", __package__)
    return module.command


def _split(arguments: list[str]) -> tuple[str, list[str]]:
    """The command's name, and its arguments with the options that stood before it put behind it."""
    leading = []
    position = 0
    while position < len(arguments) and arguments[position].startswith("-"):
        leading.append(arguments[position])
        if arguments[position] in _VALUE_OPTIONS and position + 1 < len(arguments):
            position += 1
            leading.append(arguments[position])
        position += 1
    if position == len(arguments):
        return " ".join(leading), []
    name, rest = arguments[position], arguments[position + 1 :]
    if name in _GROUPS and rest and not rest[0].startswith("-"):
        return name, [rest[0], *leading, *rest[1:]]
    return name, [*leading, *rest]


def _of_system(error: OSError) -> HashdistError:
    where = f"'{os.fsdecode(error.filename)}': " if isinstance(error.filename, (str, bytes)) else ""
    full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
    hint = "make room where the store lies: hdist gc -n --now tells what could go" if full else None
    return HashdistError(f"{where}{error.strerror or error}", hint=hint)


def _report(error: HashdistError, *, as_json: bool) -> int:
    if as_json:
        import json  # noqa: PLC0415 - not needed for the quick answers

        sys.stdout.write(json.dumps({"version": 1, "error": error_json(error)}) + "\n")
        return error.exit_code
    for line in error.message.split("\n"):
        sys.stderr.write(f"hdist: {_shown(line)}\n" if not line.startswith("  ") else f"{_shown(line)}\n")
    if error.hint:
        sys.stderr.write(f"hint: {_shown(error.hint)}\n")
    return error.exit_code


def _shown(text: str) -> str:
    """Names come from anywhere: nothing in them may steer a terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def run() -> NoReturn:
    """The entry point of the ``hdist`` program."""
    sys.exit(main())
