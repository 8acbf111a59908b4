"""The table of wrapped functions, read from the library's source; and a C program that probes each of them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

import hashdist.preload.library

SOURCE = os.path.join(os.path.dirname(hashdist.preload.library.__file__), "hdistjail.c")
_LINE = re.compile(
    r'^(?:WRAP\("(?P<since>[\d.]+)", (?P<type>[^,]+), (?P<failed>[^,]+), (?P<name>\w+), \((?P<parameters>.*?)\), \(.*?\), (?P<refusal>.+)\)'
    r'|OWN\("(?P<since2>[\d.]+)", (?P<type2>[^,]+), (?P<name2>\w+), \((?P<parameters2>.*)\)\))$',
    re.MULTILINE,
)
_PARAMETER = re.compile(r"(?P<type>.*?[\s*])(?P<name>\w+)\Z")
_SPAWN = re.compile(r"(posix|pidfd)_spawnp?\Z")
#: The roles in which a parameter is a path.
PATHS = ("path", "made", "target", "pattern", "paths")


@dataclass(frozen=True)
class Function:
    """A line of the table."""

    name: str
    since: str
    type: str
    parameters: tuple[tuple[str, str], ...]
    refusal: str

    @property
    def variadic(self) -> bool:
        return self.parameters[-1][1] == "..."

    @property
    def paths(self) -> list[str]:
        return [name for _, name in self.parameters if name in PATHS]


def functions() -> list[Function]:
    """All lines."""
    with open(SOURCE, encoding="utf-8") as file:
        text = file.read()
    found = []
    for match in _LINE.finditer(text):
        parameters = match["parameters"] or match["parameters2"]
        found.append(
            Function(
                match["name"] or match["name2"],
                match["since"] or match["since2"],
                match["type"] or match["type2"],
                tuple(_parameter(one) for one in parameters.split(", ")),
                match["refusal"] or "own",
            )
        )
    return found


def _parameter(text: str) -> tuple[str, str]:
    if text == "...":
        return ("...", "...")
    match = _PARAMETER.match(text)
    assert match, text
    return match["type"].strip(), match["name"]


_HEAD = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
static char scratch[1 << 20];
static int seen(const char *path, void *status, int kind, void *more) { return 0; }
static void *null;
static int answer(int failed, int error)
{
    if (failed) printf("failed %d\\n", error); else printf("passed\\n");
    return 0;
}
int main(int count, char **given)
{
    char *name = given[1], *path = given[2], *made = given[3], *target = given[2];
    char *pattern = path, *paths[] = {path, NULL}, *arguments[] = {path, "argument", NULL};
    void *function = dlsym(RTLD_DEFAULT, name);
    extern char **environ;
    int children[2] = {0};
    if (!function) { printf("absent\\n"); return 0; }
"""


def program() -> str:
    """A program: NAME PATH MADE; it calls the function and prints 'passed', 'failed ERRNO' or 'absent'."""
    return _HEAD + "".join(map(_probe, functions())) + '    printf("unknown\\n");\n    return 2;\n}\n'


def _probe(function: Function) -> str:
    types = ", ".join("void *" if "*" in kind else kind for kind, _ in function.parameters)
    values = [_value(function, kind, name) for kind, name in function.parameters if name != "..."]
    if function.variadic:
        values += {"execl": ["NULL"], "execlp": ["NULL"], "execle": ["NULL", "environ"]}.get(function.name, ["0600"])
    returned = "void *" if "*" in function.type else function.type
    call = f"(({returned} (*)({types}))function)({', '.join(values)})"
    if function.type == "void":
        return f'    if (!strcmp(name, "{function.name}")) {{ errno = 0; {call}; return answer(errno != 0, errno); }}\n'
    if _SPAWN.match(function.name):
        test = f"int result = {call}; if (!result) wait(NULL); return answer(result != 0, result);"
    elif function.name.startswith("posix_spawn_file_actions"):
        test = f"int result = {call}; return answer(result != 0, result);"
    elif function.name.startswith("glob"):
        test = f"int result = {call}; return answer(result != 0, ENOENT);"
    elif returned == "void *":
        test = f"void *result = {call}; return answer(!result, errno);"
    else:
        test = f"long result = (long){call}; return answer(result == -1, errno);"
    return f'    if (!strcmp(name, "{function.name}")) {{ errno = 0; {test} }}\n'


def _value(function: Function, kind: str, name: str) -> str:
    known = {
        "path": "path", "made": "made", "target": "target", "pattern": "pattern", "paths": "paths",
        "dir": "AT_FDCWD", "to": "AT_FDCWD", "arguments": "arguments", "variables": "environ",
        "argument": "path", "visit": "seen", "key": '"user.x"', "process": "children", "device": "scratch",
        "count": "8", "mask": "0xfff", "watcher": "inotify_init()", "limit": "0", "id": "1", "size": "sizeof scratch / 2",
        "room": "sizeof scratch", "version": "0", "stream": "stdin", "mount": "(int *)scratch", "actions": "scratch", "bits": "0600", "at": "0",
    }  # fmt: skip
    if name == "mode":
        return '"r"' if "*" in kind else "RTLD_LAZY"
    if name == "device" and "*" not in kind:
        return "0"
    if name == "bits" and function.name.startswith(("mknod", "__xmknod")):
        return "S_IFIFO | 0600"
    if name == "size" and function.name.startswith("truncate"):
        return "1"
    if name == "how" and function.name.startswith(("nftw",)):
        return "1"
    if name in {"actions", "attributes"} and _SPAWN.match(function.name):
        return "NULL"
    if name == "out" and function.name.startswith("realpath"):
        return "NULL"
    if name in known:
        return known[name]
    return "scratch" if name in {"out", "value", "entry"} else "NULL" if "*" in kind else "0"
