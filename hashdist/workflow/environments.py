"""Virtual environments on top of prefixes: they see what is there, take more, and keep it alive."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import sys
import tempfile

from hashdist import process
from hashdist.checkout.interpreter import Interpreter, PrefixPythonError, ask
from hashdist.checkout.python import script_for
from hashdist.checkout.switch import Checkout
from hashdist.errors import ConflictError, HashdistError, InvalidError, NotFoundError
from hashdist.fsutil.removal import remove_tree

from .checkout import keep_upstream
from .prefixes import Named
from .session import Session

#: The link in an environment by which it is registered: a checkout like others.
LINK = ".hashdist"
#: Another, while it moves to another prefix.
_NEXT = ".hashdist-next"
_SCRIPTS = ".hashdist-scripts.json"


class EnvironmentFailedError(HashdistError):
    """An environment that could not be made."""

    code = "environment_failed"


def make_environment(session: Session, place: str, base: Named) -> str:
    """Make a virtual environment at `place` on top of a prefix, or move one of ours to it; return its path.

    Packages that were installed into it stay. It is a checkout: gc keeps its prefix. Raises `ConflictError` when
    something else is there, `NotFoundError` for a prefix without Python or of no known commit, `InvalidError` for a
    path that no script can name; and then nothing is left of it.
    """
    place = _place(place)
    python = os.path.join(base.path, "bin", "python3")
    if not os.path.lexists(python):
        raise NotFoundError(f"there is no Python in '{base.name}'", hint="hdist add --pip NAME")
    if base.commit is None:
        raise NotFoundError(f"nobody knows what '{base.path}' was made from", hint="hdist venv DIR --of PROFILE")
    link = os.path.join(place, LINK)
    ours, existed = os.path.islink(link), os.path.isdir(place)
    if os.path.lexists(place) and not ours and (not os.path.isdir(place) or os.listdir(place)):
        raise ConflictError(f"there is a '{place}' already, not an environment of ours", hint="choose another DIR")
    interpreter = ask(python, env=session.env)
    site = interpreter.site_packages
    if not os.path.isdir(os.path.join(base.path, site)):
        raise PrefixPythonError(
            f"the Python of '{base.name}' is {interpreter.version} now, and its packages are not for that",
            hint="hdist update --host",
        )
    if os.path.isdir(os.path.join(place, "lib")) and not os.path.isdir(os.path.join(place, site)):
        raise ConflictError(
            f"'{place}' was made for another Python than {interpreter.version}", hint="choose another DIR"
        )
    # registered first: from here on gc knows of it; of one that moves both prefixes stay until it is done
    new = Checkout(session.store, os.path.join(place, _NEXT) if ours else link)
    try:
        os.makedirs(place, exist_ok=True)
        new.switch(base.commit, base.path, branch=None, reason=f"venv: on {base.name}")
        if base.commit is not None:
            keep_upstream(session, new, base.commit)
        with session.progress.task("venv", None, "step"):
            _make(session, place, python)
        with open(os.path.join(place, site, "hashdist-prefix.pth"), "w", encoding="utf-8") as file:
            file.write(f"import site; site.addsitedir({os.path.join(base.path, site)!r})\n")
        _add_scripts(place, base.path, interpreter)
        _check(session, place)
    except BaseException:
        if not ours:
            # there was nothing, and nothing is left
            with contextlib.suppress(OSError, HashdistError):
                new.forget()
            remove_tree(place)
            if existed:
                os.mkdir(place)
        raise
    if ours:
        moved = Checkout(session.store, link)
        moved.switch(base.commit, base.path, branch=None, reason=f"venv: on {base.name}")
        if base.commit is not None:
            keep_upstream(session, moved, base.commit)
        new.forget()
        os.unlink(new.path)
    return place


def forget_environment(session: Session, place: str) -> bool:
    """Keep nothing alive for an environment any more; False if there is none of ours, or it was forgotten."""
    found = [Checkout(session.store, os.path.join(place, name)) for name in (LINK, _NEXT)]
    registered = [checkout for checkout in found if checkout.is_registered]
    for checkout in registered:
        checkout.forget()
    return bool(registered)


def _place(text: str) -> str:
    """The whole path of a directory, which both sh and Python can read in a script; raises `InvalidError`."""
    place = os.path.abspath(text)
    if not text or place == "/" or re.search(r"[\\\"'$`\x00-\x1f\udc80-\udcff]", place):
        raise InvalidError(
            f"no environment can lie at '{text}'", hint="its path must be free of quotes, $, \\ and control characters"
        )
    return os.path.join(os.path.realpath(os.path.dirname(place)), os.path.basename(place))


def _make(session: Session, place: str, python: str) -> None:
    """Have virtualenv make it: it brings a pip that suits the Python, without a network."""
    with tempfile.TemporaryDirectory(prefix="hdist-venv-") as data:
        command = [sys.executable, "-m", "virtualenv", "--quiet", "--no-download", "--no-periodic-update"]
        # none of the user's settings: what is made is what is said here
        env = {name: value for name, value in session.env.items() if not name.startswith(("VIRTUALENV_", "PYTHON"))}
        env["VIRTUALENV_CONFIG_FILE"] = os.devnull
        try:
            process.run([*command, "--app-data", data, "--python", python, place], env=env)
        except process.ProgramFailedError as error:
            raise EnvironmentFailedError(f"virtualenv could not make '{place}': {error.message}") from error


def _add_scripts(place: str, prefix: str, interpreter: Interpreter) -> None:
    """The prefix's Python scripts, run by the environment's Python, instead of those of the prefix before.

    What was installed into the environment stays.
    """
    folder = os.path.join(place, "bin")
    written = _read_scripts(place)
    for name, digest in written.items():
        with contextlib.suppress(OSError):
            if _digest(os.path.join(folder, name)) == digest:
                os.unlink(os.path.join(folder, name))
    written = {}
    for name in sorted(os.listdir(os.path.join(prefix, "bin"))):
        source, target = os.path.join(prefix, "bin", name), os.path.join(folder, name)
        script = script_for(source, os.path.join(folder, "python"), interpreter.version)
        if script is not None and not os.path.lexists(target):
            with open(target, "xb") as file:
                file.write(script)
                os.fchmod(file.fileno(), 0o755)
            written[name] = hashlib.sha256(script).hexdigest()
    with open(os.path.join(place, _SCRIPTS), "w", encoding="utf-8") as file:
        json.dump(written, file)


def _read_scripts(place: str) -> dict[str, str]:
    """The scripts that we wrote: name to SHA-256."""
    try:
        with open(os.path.join(place, _SCRIPTS), encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return {}
    return (
        {str(name): str(digest) for name, digest in found.items() if "/" not in name} if isinstance(found, dict) else {}
    )


def _digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def _check(session: Session, place: str) -> None:
    python = os.path.join(place, "bin", "python")
    found = process.run([python, "-I", "-c", "import sys; print(sys.prefix)"], env=session.env, timeout=60)
    if os.path.realpath(os.fsdecode(found.strip())) != os.path.realpath(place):
        raise PrefixPythonError(f"the environment's Python has sys.prefix '{os.fsdecode(found.strip())}'")
