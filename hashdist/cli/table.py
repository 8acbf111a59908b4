"""The table of commands: it drives dispatch, help, completion, the reference page and a test of the docs."""

from __future__ import annotations

#: Category, then (name, summary) in the order people meet them; the module is the name in `commands`.
COMMANDS: dict[str, tuple[tuple[str, str], ...]] = {
    "Start": (
        ("init", "make a store"),
        ("new", "write a starter stack file"),
        ("config", "look at settings and change them"),
        ("doctor", "tell what is here and what is missing"),
        ("completion", "print the completion script of a shell"),
    ),
    "Profiles": (
        ("commit", "record a stack file on a profile"),
        ("add", "add a package to the profile's stack file"),
        ("remove", "remove a package from it"),
        ("set", "set a key in it"),
        ("unset", "remove a key from it"),
        ("edit", "change it in an editor"),
        ("update", "move pins to what upstream and the host have now"),
        ("branch", "list, make or delete profiles"),
        ("tag", "list, make or delete tags"),
        ("merge", "bring what another profile has into this one"),
        ("cherry-pick", "do again what a commit did elsewhere"),
        ("revert", "take back what a commit did"),
        ("reset", "move a profile to another commit"),
    ),
    "Use": (
        ("build", "build what a profile names"),
        ("checkout", "switch to a profile"),
        ("status", "what is checked out, built and missing"),
        ("list", "list the packages of a profile"),
    ),
    "Environment": (
        ("run", "run a command with a prefix"),
        ("compare", "time a command under two prefixes"),
        ("shell", "start a shell with prefixes in it"),
        ("load", "put a prefix into this shell"),
        ("unload", "take it out again"),
        ("loaded", "list what is loaded"),
        ("env", "print what puts prefixes into an environment"),
        ("init-shell", "print what gives a shell load and unload"),
        ("modulefile", "modulefiles for Environment Modules and Lmod"),
        ("venv", "make a virtual environment on top of a prefix"),
    ),
    "History": (
        ("log", "list the commits of a profile"),
        ("show", "show a commit, a package or the stack file of a profile"),
        ("diff", "what differs between two profiles"),
        ("explain", "why packages differ between two profiles"),
        ("blame", "who brought each line of a stack file"),
        ("bisect", "find the commit, and the packages, with which something began to go wrong"),
        ("reflog", "where a profile was"),
        ("undo", "undo what a command did"),
    ),
    "Sharing": (
        ("clone", "take over a profile of another repository"),
        ("remote", "other repositories"),
        ("fetch", "bring what a remote has"),
        ("pull", "fetch, and merge"),
        ("push", "send profiles to a remote"),
        ("bundle", "write profiles with all their sources into one file"),
    ),
    "Store": (
        ("source", "add, get and list sources"),
        ("artifact", "list, show, export and import artifacts"),
        ("host", "capture host software, and see when it changes"),
        ("jail", "run a command, and see what it uses undeclared"),
        ("learn", "what to declare, after builds or a command in the jail"),
        ("gc", "delete what nothing uses"),
        ("pin", "keep something from gc"),
        ("verify", "look for damage"),
        ("du", "how much each profile takes"),
        ("upgrade-store", "bring a store to the present format"),
    ),
    "Other systems": (
        ("import", "packages from a requirements file, an explicit list of conda, an easyconfig"),
        ("export", "a profile as archive, image, container recipe or bill of materials"),
        ("spack", "host software as externals of Spack's"),
        ("easybuild", "EasyBuild on top of this store"),
    ),
    "Plumbing": (
        ("hash-source", "print the id of a directory or archive"),
        ("hash-spec", "print the id of a spec"),
        ("cat-spec", "print the document of a spec"),
        ("artifact-path", "print where an artifact lies"),
        ("stage-artifact", "make the directory that a script builds an artifact into"),
        ("seal-artifact", "make what it built an artifact"),
        ("make-prefix", "make a prefix of artifacts"),
        ("rev-parse", "print the id that a revision means"),
        ("rev-list", "print the commits that revisions lead to"),
        ("update-ref", "move a ref"),
    ),
}
SUMMARIES = {name: summary for commands in COMMANDS.values() for name, summary in commands}


def help_text() -> str:
    """What ``hdist --help`` prints; made without loading any command."""
    lines = [
        "usage: hdist [--store PATH] COMMAND [OPTION]... [ARGUMENT]...",
        "",
        "Software stacks as branches, installs by hash, prefixes of links.",
    ]
    for category, commands in COMMANDS.items():
        lines += ["", f"{category}:", *(f"  {name:<14} {summary}" for name, summary in commands)]
    lines += [
        "",
        "Options for every command:",
        "  --store PATH   the store (HDIST_STORE; ~/.hashdist)",
        "  --offline      fetch nothing over the network (HDIST_OFFLINE)",
        "  -q, --quiet    say nothing but results and errors",
        "  --no-progress  no progress bars",
        "  --json         for commands that read: one JSON document",
        "  -h, --help     what a command does: hdist COMMAND --help",
        "  --version      print the version",
        "",
        "First steps: hdist new; hdist commit stack.toml -m first; hdist checkout --build main",
    ]
    return "\n".join(lines) + "\n"
