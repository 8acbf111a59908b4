"""What may come next: options, and profiles, packages, ids and so on, as the command at hand takes them.

``options.json`` beside this file says what each command takes; it is made with the reference from the commands
themselves, so that none of them has to be loaded while somebody types.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hashdist.cli.identity import store_path
from hashdist.cli.table import SUMMARIES
from hashdist.refs import names

if TYPE_CHECKING:
    from hashdist.store.store import Store

#: Stands for files, which the shell completes itself.
FILES = ":files"
_SHORTEST = 3


def candidates(words: Sequence[str], env: Mapping[str, str]) -> Iterator[str]:
    """What the last of `words` may become; a tab and a description may follow. Nothing is said of what went wrong."""
    *before, current = words or [""]
    store_option, before = _without_store(before)
    if not before:
        yield from (f"{name}\t{summary}" for name, summary in SUMMARIES.items() if name.startswith(current))
        return
    if "--" in before:
        yield FILES
        return
    known = _commands()
    name, rest = before[0], before[1:]
    if f"{name} " in known:
        if not rest:
            yield from (member for member in known[f"{name} "] if member.startswith(current))
            return
        name, rest = f"{name} {rest[0]}", rest[1:]
    command = known.get(name)
    if command is None:
        return
    options = command["options"]
    kind = None
    if rest and rest[-1] in options and options[rest[-1]] is not None:
        kind = options[rest[-1]]
    elif current.startswith("-"):
        yield from (option for option in options if option.startswith(current))
        return
    else:
        count = _count_arguments(rest, options)
        arguments = command["arguments"]
        if arguments and (count < len(arguments) or command["more"]):
            kind = arguments[min(count, len(arguments) - 1)]
    if isinstance(kind, list):
        yield from (word for word in kind if word.startswith(current))
    elif kind:
        yield from _of_kind(kind, current, store_path(store_option, env))


def _without_store(words: Sequence[str]) -> tuple[str | None, list[str]]:
    found: str | None = None
    left: list[str] = []
    position = 0
    while position < len(words):
        if words[position] == "--store" and position + 1 < len(words):
            found = words[position + 1]
            position += 1
        elif not left and words[position].startswith("-"):
            pass
        else:
            left.append(words[position])
        position += 1
    return found, left


def _commands() -> dict[str, Any]:
    with open(os.path.join(os.path.dirname(__file__), "options.json"), encoding="utf-8") as file:
        found: dict[str, Any] = json.load(file)
    return found


def _count_arguments(words: Sequence[str], options: Mapping[str, Any]) -> int:
    count, takes = 0, False
    for word in words:
        if takes:
            takes = False
        elif word.startswith("-"):
            takes = options.get(word) is not None
        else:
            count += 1
    return count


def _of_kind(kind: str, current: str, path: str) -> Iterator[str]:
    kinds = kind.split()
    if "files" in kinds or current.startswith(("/", "./", "../", "~")):
        yield FILES
    if not os.path.isfile(os.path.join(path, "format")):
        return
    from hashdist.store.store import Store  # noqa: PLC0415 - files and options need none

    store = Store.open(path)
    seen: set[str] = set()
    for one in kinds:
        for word in _FINDERS.get(one, _nothing)(store, current):
            if word.startswith(current) and word not in seen:
                seen.add(word)
                yield word


def _nothing(store: Store, current: str) -> Iterator[str]:
    del store, current
    return iter(())


def _refs(store: Store, current: str) -> Iterator[str]:
    del current
    yield from sorted(store.refs.all())


def _profiles(store: Store, current: str) -> Iterator[str]:
    del current
    yield from sorted(names.below(names.HEADS, store.refs.all(names.HEADS)))


def _revisions(store: Store, current: str) -> Iterator[str]:
    yield from _profiles(store, current)
    yield from sorted(names.below(names.TAGS, store.refs.all(names.TAGS)))
    remote = "refs/remotes/"
    for ref in sorted(store.refs.all(remote)):
        owner, _, rest = ref[len(remote) :].partition("/")
        if rest.startswith("heads/"):
            yield f"{owner}/{rest[len('heads/') :]}"


def _packages(store: Store, current: str) -> Iterator[str]:
    """Of the profile that HEAD names; what stands before a colon is another revision."""
    from hashdist.refs.revision import resolve  # noqa: PLC0415 - see above

    revision, colon, _ = current.rpartition(":")
    commit = resolve(store.refs, lambda: store.objects, revision or "HEAD")
    found = store.objects.find(store.objects.commit(commit).tree, "lock.json")
    if found is not None:
        lock = json.loads(store.objects.blob(found.id))
        yield from (f"{revision}{colon}{name}" for name in sorted(lock.get("packages", {})))


def _artifacts(store: Store, current: str) -> Iterator[str]:
    """By the parts of their paths, as files are completed; and by ids, once some digits are there."""
    from hashdist.objects.layout import DEFAULT_PATTERN  # noqa: PLC0415 - see above

    if len(current) >= _SHORTEST:
        yield from names.below(names.ARTIFACTS, store.refs.all(names.ARTIFACTS))
    if store.config.layout.pattern != DEFAULT_PATTERN:
        return
    folder = current.rpartition("/")[0]
    depth = current.count("/")
    place = os.path.join(store.config.path, "artifacts", folder)
    if depth <= DEFAULT_PATTERN.count("/") and os.path.isdir(place):
        end = "/" if depth < DEFAULT_PATTERN.count("/") else ""
        yield from (os.path.join(folder, name) + end for name in sorted(os.listdir(place)))


def _sources(store: Store, current: str) -> Iterator[str]:
    del current
    yield from sorted(names.below(names.SOURCES, store.refs.all(names.SOURCES)))


def _hosts(store: Store, current: str) -> Iterator[str]:
    del current
    found = {ref.rpartition("/")[2] for ref in store.refs.all(names.HOSTS)}
    yield from sorted(found)


def _remotes(store: Store, current: str) -> Iterator[str]:
    del current
    from hashdist.remote.remotes import remotes  # noqa: PLC0415 - see above

    yield from sorted(remotes(store))


_FINDERS: dict[str, Callable[[Store, str], Iterator[str]]] = {
    "refs": _refs,
    "profiles": _profiles,
    "revisions": _revisions,
    "packages": _packages,
    "artifacts": _artifacts,
    "sources": _sources,
    "hosts": _hosts,
    "remotes": _remotes,
}
