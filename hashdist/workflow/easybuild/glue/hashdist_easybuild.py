"""What hashdist's naming scheme and hooks for EasyBuild share: specs of easyconfigs, and calls of ``hdist --json``.

It runs inside EasyBuild: any Python 3.6 or newer, the standard library alone. See docs/how-to/easybuild.md.
"""

import hashlib
import json
import os
import subprocess

#: The name of who installs, in specs.
RUNNER = "easybuild"
#: Where in an installation its modules are kept: by hash, and as users see it.
HIDDEN = os.path.join("easybuild", "hashdist")
VISIBLE = os.path.join("easybuild", "modules")
#: Digits of the hash in the names of modules.
DIGITS = 8
#: Where the store's description of itself is kept for the processes that EasyBuild starts.
SESSION = "HDIST_EASYBUILD_SESSION"

#: Parameters of easyconfigs that change nothing of what is installed, or that inputs stand for.
_SILENT = frozenset(
    "bitbucket_account buildstats citing description docurls docpaths examples github_account hidden homepage "
    "modaliases moduleclass site_contacts software_license software_license_urls source_urls upstream_contacts usage "
    "whatis dependencies builddependencies hiddendependencies osdependencies allow_system_deps name version "
    "versionsuffix toolchain parallel maxparallel max_parallel parsed".split()
)
#: Settings of EasyBuild that change what is installed.
_OPTIONS = ("optarch", "rpath", "filter_env_vars", "filter_deps", "hide_deps", "minimal_toolchains", "lib64_lib_symlink")

_specs = {}


class HashdistError(Exception):
    """What hdist said no to, or cannot be hashed."""


def call(*arguments, **options):
    """The document that an ``hdist`` command prints; None where its exit code is among `none`."""
    none = options.get("none", ())
    command = [os.environ.get("HDIST_PROGRAM", "hdist")] + list(arguments) + ["--json"]
    pipe = subprocess.PIPE
    try:
        done = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=outside_environment())
    except OSError as error:
        raise HashdistError("'%s' cannot be run: %s; set HDIST_PROGRAM" % (command[0], error.strerror))
    output, said = done.communicate(options.get("stdin", b""))
    try:
        document = json.loads(output.decode("utf-8")) if output.strip() else {}
    except ValueError:
        document = {}
    if done.returncode in none and "error" not in document:
        return document
    if done.returncode in none:
        return None
    if done.returncode != 0:
        error = document.get("error") or {"message": said.decode("utf-8", "replace").strip(), "hint": None}
        hint = "; %s" % error["hint"] if error.get("hint") else ""
        raise HashdistError("hdist %s: %s%s" % (arguments[0], error["message"], hint))
    return document


def outside_environment():
    """Our environment without what EasyBuild and modules set for builds: hdist has a Python of its own."""
    dropped = ("PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "PYTHONNOUSERSITE", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if name not in dropped}


def session():
    """The store, the platform and the host software that stands for the system's toolchain; asked once a run."""
    if SESSION not in os.environ:
        os.environ[SESSION] = json.dumps(call("easybuild", "session"))
    return json.loads(os.environ[SESSION])


def encode(document):
    """Canonical JSON, as hashdist's specs are encoded."""
    text = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8") + b"\n"


def git_id(kind, data):
    """The name that git gives an object."""
    return hashlib.sha1(("%s %d\0" % (kind, len(data))).encode("ascii") + data).hexdigest()


def _tree_id(entries):
    """The id of a tree of (mode, name, id), where directories sort as if they ended in a slash."""
    ordered = sorted(entries, key=lambda entry: entry[1] + ("/" if entry[0] == "40000" else ""))
    data = b"".join(
        ("%s %s" % (mode, name)).encode("utf-8") + b"\0" + bytes(bytearray.fromhex(id)) for mode, name, id in ordered
    )
    return git_id("tree", data)


def spec_id(document, files):
    """The id of the spec with this ``build.json`` and these files."""
    entries = [("100644", "build.json", git_id("blob", encode(document)))]
    if files:
        inner = [("100644", name, git_id("blob", data)) for name, data in files.items()]
        entries.append(("40000", "files", _tree_id(inner)))
    return _tree_id(entries)


class Described(object):
    """An easyconfig as a spec."""

    def __init__(self, document, files, ec):
        self.ec = ec
        """The easyconfig."""
        self.document = document
        """The spec's ``build.json``."""
        self.files = files
        """Its files."""
        self.id = spec_id(document, files)
        """Its id."""

    @property
    def path(self):
        """Where it lies."""
        return os.path.join(session()["artifacts"], self.subdirectory)

    @property
    def sealed(self):
        """Whether it is installed, and cannot be changed any more."""
        return os.path.isdir(self.path) and not os.stat(self.path).st_mode & 0o200

    @property
    def module_version(self):
        """The version in the names of modules."""
        return "%s-%s" % (self.document["version"], self.id[:DIGITS])

    @property
    def subdirectory(self):
        """Where it lies below the store's artifacts."""
        pattern = session()["pattern"]
        fields = {"name": self.document["name"], "version": self.document["version"]}
        for name, value in fields.items():
            pattern = pattern.replace("{%s}" % name, value)
        start = pattern.index("{hash:")
        end = pattern.index("}", start)
        return pattern[:start] + self.id[: int(pattern[start + 6 : end])] + pattern[end + 1 :]


def describe(ec):
    """The spec of a parsed easyconfig.

    It is made once: EasyBuild changes easyconfigs while it builds. Templates stay as they are written, since one of them
    is the directory it is installed in.
    """
    from easybuild.tools.module_naming_scheme.utilities import det_full_ec_version

    found = getattr(ec, "hashdist_described", None)
    if found is not None:
        return found
    key = (ec["name"], det_full_ec_version(ec), getattr(ec, "path", None))
    if key in _specs:
        return _specs[key]
    state = session()
    inputs = dict(state["host"])
    for name, other in _dependencies(ec):
        _add(inputs, name, other.id, other.document["version"])
        for below, id in other.document["inputs"].items():
            _add(inputs, below, id, id[:DIGITS])
    document = {
        "format": 1,
        "name": ec["name"],
        "version": det_full_ec_version(ec),
        "platform": state["platform"],
        "runner": RUNNER,
        "commands": [],
        "env": _options(),
        "sources": {},
        "inputs": inputs,
    }
    parameters = json.dumps(_parameters(ec), ensure_ascii=False, sort_keys=True, indent=1, separators=(",", ": "))
    found = Described(document, {"easyconfig.json": parameters.encode("utf-8") + b"\n"}, ec)
    _specs[key] = found
    try:
        ec.hashdist_described = found
    except AttributeError:
        pass
    return found


def restore_module(found, modules):
    """Have the link to a module again where EasyBuild looks for modules, if what it is of is installed and sealed."""
    kept = os.path.join(found.path, HIDDEN)
    if not found.sealed or not os.path.isdir(kept):
        return
    for name in os.listdir(kept):
        path = os.path.join(modules, found.document["name"], name)
        if name.startswith(found.module_version) and not os.path.lexists(path):
            if not os.path.isdir(os.path.dirname(path)):
                os.makedirs(os.path.dirname(path))
            link(path, os.path.join(kept, name))


def link(path, target):
    """Have a link at a path in place of whatever is there."""
    temporary = "%s.hashdist-%d" % (path, os.getpid())
    os.symlink(target, temporary)
    os.rename(temporary, path)


def described():
    """All that was described in this process."""
    return list(_specs.values())


def _add(inputs, name, id, otherwise):
    """Put an input among others; of two of one name the second is told apart by its version."""
    if inputs.get(name, id) != id:
        name = "%s-%s" % (name, otherwise)
    inputs[name] = id


def _dependencies(ec):
    """The specs of what an easyconfig is built with, by name; modules of the system's own stand in `_parameters`."""
    from easybuild.framework.easyconfig.easyconfig import ActiveMNS

    wanted = [dep for dep in list(ec.dependencies()) if not dep.get("external_module")]
    toolchain = ec["toolchain"]
    if toolchain["name"] not in ("system", "dummy"):
        wanted.append(toolchain_dependency(toolchain))
    for dep in wanted:
        full = ActiveMNS().check_ec_type(dep)
        yield dep["name"], describe(full)


def toolchain_dependency(toolchain):
    """A toolchain as EasyBuild has dependencies."""
    return {
        "name": toolchain["name"],
        "version": toolchain["version"],
        "versionsuffix": "",
        "toolchain": {"name": "system", "version": "system"},
        "hidden": False,
    }


def _parameters(ec):
    """All parameters that were set and count, as plain values; raises `HashdistError` for what has no checksum."""
    from easybuild.framework.easyconfig.default import DEFAULT_CONFIG

    found = {}
    for name, entry in ec._config.items():
        if name in _SILENT or name.startswith("_"):
            continue
        if entry[0] != (DEFAULT_CONFIG[name][0] if name in DEFAULT_CONFIG else None):
            found[name] = _plain(entry[0])
    external = sorted(dep["full_mod_name"] for dep in ec.dependencies() if dep.get("external_module"))
    if external:
        found["external modules"] = external
    _check_checksums(ec, found)
    return found


def _check_checksums(ec, found):
    """Refuse sources and patches that nothing says the content of."""
    named = list(ec["sources"] or []) + list(ec["patches"] or [])
    checksums = ec["checksums"] or []
    if not checksums and getattr(ec, "path", None):
        path = os.path.join(os.path.dirname(ec.path), "checksums.json")
        if os.path.exists(path):
            with open(path) as file:
                known = json.load(file)
            checksums = [known.get(_filename(one)) for one in named]
            found["checksums"] = _plain(checksums)
    if len(checksums) < len(named) or not all(checksums[: len(named)]):
        raise HashdistError(
            "%s: not every source and patch has a checksum, so that nothing says what is installed; "
            "eb --inject-checksums writes them" % (getattr(ec, "path", None) or ec["name"])
        )


def _filename(source):
    if isinstance(source, dict):
        return source.get("filename") or source.get("name")
    return source[0] if isinstance(source, (list, tuple)) else source


def _options():
    """The settings of EasyBuild that count and are set, as texts."""
    from easybuild.tools.config import build_option

    found = {}
    for name in _OPTIONS:
        try:
            value = build_option(name)
        except Exception:  # an older EasyBuild, which has not got it
            continue
        if value not in (None, False, [], (), {}, ""):
            found["EASYBUILD_%s" % name.upper()] = value if isinstance(value, str) else json.dumps(_plain(value))
    return found


def _plain(value):
    """A value of an easyconfig as JSON has it."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, dict):
        return {str(key): _plain(value[key]) for key in value}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, (set, frozenset)):
        return sorted(_plain(one) for one in value)
    return repr(value)
