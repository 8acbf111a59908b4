"""Dispatch by the table, and the one place where errors become lines and exit codes."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from hashdist.errors import HashdistError, UsageError
from hashdist.version import __version__

from . import owner, quick
from .errors import error_json
from .interruptions import Terminated, terminable
from .table import SUMMARIES, help_text

if TYPE_CHECKING:
    from collections.abc import Sequence

#: So many new objects, and Python looks for cycles among them.
_OBJECTS_BEFORE_CYCLES = 200_000
_INTERRUPTED = 130
_TERMINATED = 143
_GROUPS = ("source", "artifact", "host", "bisect", "remote", "easybuild", "export", "import", "spack")
_VALUE_OPTIONS = ("--store",)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    # behind '--' it is another command's
    as_json = "--json" in arguments[: arguments.index("--") if "--" in arguments else None]
    try:
        code = _answer(arguments)
        sys.stdout.flush()
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
        return _report(HashdistError(words, hint="please report it, with what HDIST_DEBUG=1 shows"), as_json=as_json)
    return code


def _answer(arguments: list[str]) -> int:
    if not arguments or arguments[0] in {"-h", "--help", "help"}:
        sys.stdout.write(help_text())
        return 0
    if arguments == ["--version"]:
        sys.stdout.write(f"hdist {__version__}\n")
        return 0
    if arguments[0] == "--complete":
        return _complete(arguments[1:])
    return 0 if quick.answer(arguments, os.environ) else _dispatch(arguments)


def _complete(words: list[str]) -> int:
    """Tell a shell what may come next; what goes wrong is no concern of somebody who types."""
    from .completion.words import candidates  # noqa: PLC0415 - only for shells

    with contextlib.suppress(HashdistError, OSError, ValueError, LookupError):
        for word in candidates(words, os.environ):
            if word.isprintable() or "\t" in word:
                sys.stdout.write(f"{word}\n")
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
    except click.ClickException as error:  # an editor that cannot be run
        raise HashdistError(error.format_message()) from error
    return result if isinstance(result, int) else 0


def load(name: str) -> Any:
    """The click command of a name in the table."""
    import importlib  # noqa: PLC0415 - not needed for the quick answers
    import keyword  # noqa: PLC0415

    plain = name.replace("-", "_") + ("_" if keyword.iskeyword(name) else "")
    module = importlib.import_module(f".commands.{plain}", __package__)
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
    # of links and renames the second is what was to be made
    name = error.filename if error.filename2 is None else error.filename2
    where = f"'{os.fsdecode(name)}': " if isinstance(name, (str, bytes)) else ""
    full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
    hint = "make room where the store lies: hdist gc -n --now tells what could go" if full else None
    if error.errno == errno.EACCES and owner.acted_as() is not None:
        hint = f"hdist acts as the owner of the store, uid {owner.acted_as()}, who may not do that"
    return HashdistError(f"{where}{error.strerror or error}", hint=hint)


def _report(error: HashdistError, *, as_json: bool) -> int:
    if as_json:
        import json  # noqa: PLC0415 - not needed for the quick answers

        sys.stdout.write(json.dumps({"version": 1, "error": error_json(error)}) + "\n")
        return error.exit_code
    with contextlib.suppress(OSError):  # there is no room even for that: the code tells
        for line in error.message.split("\n"):
            sys.stderr.write(f"hdist: {_shown(line)}\n" if not line.startswith("  ") else f"{_shown(line)}\n")
        if error.hint:
            sys.stderr.write(f"hint: {_shown(error.hint)}\n")
        sys.stderr.flush()
    return error.exit_code


def _shown(text: str) -> str:
    """Names come from anywhere: nothing in them may steer a terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _open_standard_streams() -> None:
    """Whoever closed them means that nobody listens; a file of the store must not come to stand in their place."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
            setattr(sys, name, open(number, mode, encoding="utf-8"))  # noqa: SIM115 - open to the end


def run() -> NoReturn:
    """The entry point of the ``hdist`` program."""
    _open_standard_streams()
    # what a command makes it mostly keeps: to look for cycles among millions of ids takes a fifth of the time
    gc.set_threshold(_OBJECTS_BEFORE_CYCLES, 50, 50)
    code = main()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # it was told, if there was anybody to tell
            stream.flush()
    # all that has to be closed is closed: to take the interpreter apart takes a sixth of a small command's time
    os._exit(code)
