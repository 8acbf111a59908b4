"""What hashdist's naming scheme and hooks for EasyBuild share: specs of easyconfigs, and calls of ``hdist --json``.

It runs inside EasyBuild: any Python 3.6 or newer, the standard library alone. See docs/how-to/easybuild.md.
"""

import json
import os
import subprocess

from hashdist_specs import git_id, spec_id

#: The name of who installs, in specs.
RUNNER = "easybuild"
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
_OPTIONS = (
    "optarch default_opt_level rpath rpath_filter rpath_override_dirs sysroot cuda_compute_capabilities "
    "amdgcn_capabilities filter_env_vars filter_deps hide_deps minimal_toolchains lib64_lib_symlink skip_extensions "
    "search_path_cpp_headers search_path_linker module_syntax module_depends_on module_extensions"
).split()

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
    here = os.uname()[1]
    known = json.loads(os.environ.get(SESSION) or "{}")
    if known.get("machine") != here:  # none, or that of another machine, from where a batch system brought it
        known = dict(call("easybuild", "session"), machine=here)
        os.environ[SESSION] = json.dumps(known)
    return known


class Described(object):
    """An easyconfig as a spec."""

    def __init__(self, document, files, ec, unchecked):
        self.unchecked = unchecked
        """Whether something has no checksum, so that it may not be built."""
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
        """Whether it is known here that it is installed, and cannot be changed any more."""
        return os.path.isdir(self.path) and os.path.exists(self.mark)

    @property
    def mark(self):
        """The file that says so."""
        return os.path.join(session()["store"], "easybuild", "sealed", self.id)

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
    options = _options(ec)
    # copies that EasyBuild makes, for extensions and components, have no path
    key = json.dumps([_name(ec), det_full_ec_version(ec), git_id("blob", ec.rawtxt.encode("utf-8")), options])
    if key in _specs:
        return _specs[key]
    state = session()
    inputs = dict(state["host"])
    roles = {"dependencies": [], "builddependencies": [], "toolchain": []}
    for role, name, other in _dependencies(ec):
        roles[role].append([name, other.id])
        _add(inputs, name, other.id)
        for below, id in other.document["inputs"].items():
            _add(inputs, below, id)
    found, unchecked = _parameters(ec)
    found.update({role: named for role, named in roles.items() if named})
    document = {
        "format": 1,
        "name": _name(ec),
        "version": det_full_ec_version(ec),
        "platform": state["platform"],
        "runner": RUNNER,
        "commands": [],
        "env": options,
        "sources": {},
        "inputs": inputs,
    }
    parameters = json.dumps(found, ensure_ascii=False, sort_keys=True, indent=1, separators=(",", ": "))
    found = Described(document, {"easyconfig.json": parameters.encode("utf-8") + b"\n"}, ec, unchecked)
    _specs[key] = found
    try:
        ec.hashdist_described = found
    except AttributeError:
        pass
    return found


def described():
    """All that was described in this process."""
    return list(_specs.values())


def _name(ec):
    """The software's own name, whatever its module is called."""
    return getattr(ec, "software_name", None) or ec["name"]


def _add(inputs, name, id):
    """Put an input among others; of two of one name the second is told apart by its hash."""
    if inputs.get(name, id) != id:
        name = "%s-%s" % (name, id[: DIGITS * 2])
    inputs[name] = id


def _dependencies(ec):
    """What an easyconfig is built with: in which role, the name, the spec; modules of the system's own are no specs."""
    from easybuild.framework.easyconfig.easyconfig import ActiveMNS

    build = list(ec.dependencies(build_only=True))
    wanted = [("builddependencies" if dep in build else "dependencies", dep) for dep in ec.dependencies()]
    toolchain = ec["toolchain"]
    if toolchain["name"] not in ("system", "dummy"):
        wanted.append(("toolchain", toolchain_dependency(toolchain)))
    for role, dep in wanted:
        if not dep.get("external_module"):
            yield role, dep["name"], describe(ActiveMNS().check_ec_type(dep))


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
    """All parameters that were set and count, as plain values; and whether something has no checksum."""
    from easybuild.framework.easyconfig.default import DEFAULT_CONFIG

    found = {}
    for name, entry in ec._config.items():
        if name in _SILENT or name.startswith("_"):
            continue
        default = (ec.extra_options or {}).get(name) or DEFAULT_CONFIG.get(name) or [None]
        if entry[0] != default[0]:
            found[name] = _plain(entry[0])
    external = sorted(dep["full_mod_name"] for dep in ec.dependencies() if dep.get("external_module"))
    if external:
        found["external modules"] = external
    return found, not _all_checked(ec, found)


def _all_checked(ec, found):
    """Whether something says what each source and patch holds."""
    named = list(ec["sources"] or []) + list(ec["patches"] or [])
    checksums = ec["checksums"] or []
    if not checksums and getattr(ec, "path", None):
        path = os.path.join(os.path.dirname(ec.path), "checksums.json")
        if os.path.exists(path):
            with open(path) as file:
                known = json.load(file)
            checksums = [known.get(_filename(one)) for one in named]
            found["checksums"] = _plain(checksums)
    pairs = list(zip(named, list(checksums) + [None] * len(named)))
    return all(checksum or _is_commit(source) for source, checksum in pairs)


def _is_commit(source):
    """Whether a source is a commit of a git repository, named by its id."""
    config = source.get("git_config") if isinstance(source, dict) else None
    return bool(config) and len(str((config or {}).get("commit") or "")) == 40


def _filename(source):
    if isinstance(source, dict):
        return source.get("filename") or source.get("name")
    return source[0] if isinstance(source, (list, tuple)) else source


def _options(ec):
    """The settings of EasyBuild that count and are set, as texts."""
    from easybuild.tools.config import build_option

    found = {}
    if os.environ.get("HDIST_EASYBUILD_SCHEME"):
        found["HDIST_EASYBUILD_SCHEME"] = os.environ["HDIST_EASYBUILD_SCHEME"]
    if ec["toolchain"]["name"] not in ("system", "dummy"):
        found["EASYBUILD_OPTARCH"] = "native: %s" % _processor()  # unless it is set, below
    for name in _OPTIONS:
        try:
            value = build_option(name)
        except Exception:  # an older EasyBuild, which has not got it
            continue
        if value not in (None, False, [], (), {}, ""):
            found["EASYBUILD_%s" % name.upper()] = value if isinstance(value, str) else json.dumps(_plain(value))
    return found


def _processor():
    """What compilers take for this machine's processor."""
    from easybuild.tools import systemtools

    name = systemtools.get_cpu_arch_name() if hasattr(systemtools, "get_cpu_arch_name") else None
    if name and name != "UNKNOWN":
        return name
    return git_id("blob", " ".join(sorted(systemtools.get_cpu_features())).encode("ascii"))[: DIGITS * 2]


def _plain(value):
    """A value of an easyconfig as JSON has it."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, dict):
        return {str(key): _plain(value[key]) for key in value}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, (set, frozenset)):
        return sorted((_plain(one) for one in value), key=repr)
    if isinstance(value, float):
        return repr(value)
    name = getattr(value, "__name__", None)
    if name is None:
        raise HashdistError("a value of type %s in an easyconfig cannot be hashed" % type(value).__name__)
    return name
