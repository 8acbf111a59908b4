"""What every command gets: the options all have, the store, a way to print."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from hashdist.errors import NotFoundError
from hashdist.progress import SILENT, Progress

from .changed import UNDO
from .identity import cache_path, default_path, full_identity, store_path
from .owner import act_as_owner

if TYPE_CHECKING:
    from hashdist.errors import HashdistError
    from hashdist.sources.settings import FetchSettings
    from hashdist.store.store import Store
    from hashdist.workflow.session import Session


class App:
    """One run of a command."""

    def __init__(
        self,
        *,
        store: str | None,
        offline: bool,
        quiet: bool,
        no_progress: bool,
        as_json: bool,
        creates: bool,
        fetching: Mapping[str, Any],
        runs: bool = False,
        trust: bool = False,
    ) -> None:
        self.env = dict(os.environ)
        self.path = store_path(store, self.env)
        self._fetching = {"offline": offline, **fetching}
        self.quiet = quiet
        #: Whether what comes from elsewhere is trusted.
        self.trust = trust
        self.as_json = as_json
        #: What the command line says of the jail.
        self.jail: str | None = None
        self._no_progress = no_progress
        self._creates = creates
        self._runs = runs

    @functools.cached_property
    def store(self) -> Store:
        """The store; the default one makes itself when something is to be written."""
        from hashdist.store.store import NotAStoreError, Store  # noqa: PLC0415 - each command loads what it uses

        def open_store() -> Store:
            act_as_owner(self.path, for_good=not self._runs)
            path = self.env.get("PATH") or os.defpath
            store = Store.open(
                self.path,
                identity=full_identity(self.env),
                waiting=self._waiting,
                search_path=path,
                cache=cache_path(self.path, self.env),
            )
            store.refs.begin_operation()
            return store

        try:
            return open_store()
        except NotAStoreError:
            if not self._creates or self.path != default_path(self.env):
                raise
        from hashdist.store.making import init_store  # noqa: PLC0415 - see above

        init_store(self.path)
        self.say(f"made the store {self.path}")
        return open_store()

    @functools.cached_property
    def session(self) -> Session:
        """The store with the user's environment."""
        from hashdist.hostscan.scans import Where  # noqa: PLC0415 - see above
        from hashdist.objects.signing import Signer  # noqa: PLC0415
        from hashdist.workflow.session import Session  # noqa: PLC0415

        from .configuration import jail_choice, named_class, trust_paths  # noqa: PLC0415

        where = Where.here(named_class(self.env))
        jail, default_jail = jail_choice(self.env, self.jail)
        signers, key = trust_paths(self.env)
        return Session(
            self.store,
            self.env,
            here()[0],
            self.settings,
            cores(),
            self.progress,
            where=where,
            jail=jail,
            default_jail=default_jail,
            trust=self.trust,
            signers=signers,
            signer=Signer(key, self.env) if key is not None else None,
        )

    @functools.cached_property
    def settings(self) -> FetchSettings:
        """How sources are fetched."""
        from .settings import FetchOptions, fetch_settings  # noqa: PLC0415 - see above

        return fetch_settings(self.env, FetchOptions(**self._fetching))

    @functools.cached_property
    def progress(self) -> Progress:
        """Bars on a terminal, notes on stderr."""
        if self.quiet:
            return SILENT
        from .bars import Bars  # noqa: PLC0415 - see above

        return Bars(bars=sys.stderr.isatty() and not self._no_progress)

    def say(self, text: str) -> None:
        """Talk: on stderr, and not with ``--quiet``."""
        if not self.quiet:
            click.echo(_printable(text, sys.stderr), err=True)

    def say_done(self, text: str) -> None:
        """Say what was done, and in the same line how to undo it."""
        self.say(text + (UNDO if self.store.refs.undoable else ""))

    def put(self, text: str, *, null: bool = False) -> None:
        """A result: on stdout; with `null`, for programs that take any name."""
        if null:
            self.put_bytes(text.encode(errors="surrogateescape") + b"\0")
        else:
            click.echo(_printable(text, sys.stdout))

    def complain(self, error: HashdistError) -> None:
        """Tell of an error besides the one that ends the command."""
        click.echo(f"hdist: {_printable(error.message, sys.stderr)}", err=True)

    def put_bytes(self, data: bytes) -> None:
        """A result that is a file's bytes."""
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def emit(self, document: dict[str, Any], text: Callable[[], Iterator[str]]) -> None:
        """A result: the document with ``--json``, else the lines."""
        if self.as_json:
            text_of = json.dumps({"version": 1, **document}, ensure_ascii=False)
            if not _is_text(text_of):  # a path; others read it from escapes as Python writes them
                text_of = json.dumps({"version": 1, **document})
            click.echo(text_of)
        else:
            for line in text():
                self.put(line)

    def _waiting(self, holder: str) -> None:
        self.say(f"waiting for {holder}")


def _is_text(text: str) -> bool:
    """Whether a text has no bytes in it that are none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _printable(text: str, stream: Any) -> str:
    """Nothing in a name may steer a terminal."""
    if not stream.isatty():
        return text
    return "".join(
        char if char.isprintable() or char in "\n\t" else char.encode("unicode_escape").decode() for char in text
    )


def here(env: Mapping[str, str] | None = None) -> list[str]:
    """The directory we are in; with `env` also as the shell has it, where that leads through links."""
    try:
        place = os.getcwd()
    except FileNotFoundError as error:
        raise NotFoundError("the directory you are in is gone", hint="cd somewhere else") from error
    shell = env.get("PWD", "") if env else ""
    return [place, shell] if shell.startswith("/") and _is_same(shell, place) else [place]


def _is_same(one: str, two: str) -> bool:
    try:
        return os.path.samefile(one, two)
    except OSError:
        return False


_FETCHING = ("require_hash", "accept_repacked", "limits", "mirrors")


def _fetching_options() -> list[Callable[[Any], Any]]:
    return [
        click.option("--require-hash", is_flag=True, help="Refuse what would be pinned on first use."),
        click.option("--accept-repacked", is_flag=True, help="Take another archive if the files are the very same."),
        click.option(
            "--limit",
            "limits",
            multiple=True,
            metavar="NAME=NUMBER",
            help="Refuse beyond: size, entries, depth, ratio, header, memory, download.",
        ),
        click.option(
            "--trust", is_flag=True, help="Trust what comes from elsewhere, also paths outside of its directory."
        ),
        click.option(
            "--mirror", "mirrors", multiple=True, metavar="URL|DIR", help="Ask this mirror first for what has a hash."
        ),
    ]


def cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0))


def command(
    *,
    creates: bool = False,
    reads: bool = False,
    fetches: bool = False,
    runs: bool = False,
    kind: type[click.Command] = click.Command,
) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a function a command: it gets an `App` first, and every command's options are added.

    `creates`: the default store is made if it is not there. `reads`: there is ``--json``. `fetches`: there are the
    options for sources. `runs`: in the end another program is run. `kind` is the class.
    """

    def decorate(function: Callable[..., Any]) -> click.Command:
        @functools.wraps(function)
        def run(
            store: str | None, offline: bool, quiet: bool, no_progress: bool, as_json: bool = False, **rest: Any
        ) -> Any:
            app = App(
                store=store,
                offline=offline,
                quiet=quiet,
                no_progress=no_progress,
                as_json=as_json,
                creates=creates,
                runs=runs,
                trust=bool(rest.pop("trust", False)) if fetches else False,
                fetching={name: rest.pop(name) for name in _FETCHING} if fetches else {},
            )
            return function(app, **rest)

        options = [
            click.option("--store", metavar="PATH", help="The store (HDIST_STORE; ~/.hashdist)."),
            click.option("--offline", is_flag=True, envvar="HDIST_OFFLINE", help="Fetch nothing over the network."),
            click.option(
                "-q", "--quiet", is_flag=True, envvar="HDIST_QUIET", help="Say nothing but results and errors."
            ),
            click.option("--no-progress", is_flag=True, envvar="HDIST_NO_PROGRESS", help="No progress bars."),
        ]
        if fetches:
            options = [*_fetching_options(), *options]
        if reads:
            options.append(click.option("--json", "as_json", is_flag=True, help="Print one JSON document."))
        decorated: Any = run
        for option in reversed(options):
            decorated = option(decorated)
        name = function.__name__.strip("_").replace("_", "-")
        return click.command(name, cls=kind, context_settings={"help_option_names": ["-h", "--help"]})(decorated)

    return decorate


@contextlib.contextmanager
def writing(path: str) -> Iterator[Any]:
    """A new file for a result, which is removed if there will be none; raises `ConflictError` when there is one."""
    try:
        file = open(path, "x", encoding="utf-8")  # noqa: SIM115 - closed below
    except FileExistsError as error:
        from hashdist.errors import ConflictError  # noqa: PLC0415 - beside its only use

        raise ConflictError(f"there is a '{path}' already", hint="choose another name") from error
    try:
        with file:
            yield file
    except BaseException:
        os.unlink(path)
        raise


def human_size(size: int) -> str:
    """A number of bytes for people."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:  # noqa: PLR2004 - the base of the units
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"
