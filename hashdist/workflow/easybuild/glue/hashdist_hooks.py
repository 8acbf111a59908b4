"""Hooks for EasyBuild: sources from and to the store, build steps in the jail, what was installed sealed as artifacts.

See docs/how-to/easybuild.md.
"""

import json
import os
import shlex
import sys
import tempfile
import threading
import time

from easybuild.framework.easyconfig.easyconfig import letter_dir_for
from easybuild.tools.build_log import EasyBuildError, print_msg
from easybuild.tools.config import build_option, get_module_naming_scheme, install_path

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import hashdist_easybuild as glue  # noqa: E402 - found by the line above
import hashdist_modules as modules  # noqa: E402
import hashdist_specs  # noqa: E402

#: Seconds between two signs of life.
_HEARTBEAT = 600
#: Steps whose commands are run in the jail.
_JAILED = ("configure", "build", "install")
_state = {"step": None, "block": None, "began": {}, "reports": {}, "finished": set(), "pending": {}}


def start_hook():
    """See that EasyBuild is set up as ``hdist easybuild config`` says."""
    if get_module_naming_scheme() != "HashDistMNS":
        raise EasyBuildError("hashdist: the hooks need module-naming-scheme = HashDistMNS: see hdist easybuild config")
    if build_option("fixed_installdir_naming_scheme", default=False):
        raise EasyBuildError("hashdist: fixed-installdir-naming-scheme must be off: see hdist easybuild config")
    state = _call(glue.session)
    software = os.path.realpath(install_path())
    if software != os.path.realpath(state["artifacts"]):
        raise EasyBuildError(
            "hashdist: installpath-software is %s, the store's artifacts are in %s: see hdist easybuild config",
            software,
            state["artifacts"],
        )


def pre_easyblock_hook(block):
    """Have the installation's directory, which nobody else may have meanwhile."""
    _state["step"] = None
    if _looks_only() or _fetches_only():
        return
    _seal_pending()
    described = _described(block)
    if described.unchecked:
        raise EasyBuildError(
            "hashdist: not every source and patch of %s has a checksum, so that nothing says what is installed; "
            "eb --inject-checksums writes them",
            block.name,
        )
    if build_option("module_only", default=False):
        raise EasyBuildError("hashdist: modules by hash are written when something is installed, not with --module-only")
    _state["block"], _state["began"][described.id] = block, time.time()
    folder = tempfile.mkdtemp(prefix="hashdist-")
    options = []
    for name, data in described.files.items():
        options += ["--file", _write(folder, name, data)]
    document = _write(folder, "build.json", hashdist_specs.encode(described.document))
    keep = ["--keep"] if build_option("skip", default=False) else []
    words = ["stage-artifact", document, "--pid", str(os.getpid())]
    told = _call(glue.call, *(words + options + keep), none=(0, 1))
    if told["spec"] != described.id:
        raise EasyBuildError("hashdist: the store calls the spec of %s %s, and not %s", block.name, told["spec"], described.id)
    if told["sealed"]:
        _mark(described)
        modules.restore_module(described, os.path.join(install_path("mod"), "all"))
        raise EasyBuildError(
            "hashdist: %s is installed and sealed, and its module is there: to build it again, have no profile name it, "
            "and hdist gc --now",
            told["artifact"],
        )
    if os.path.realpath(told["path"]) != os.path.realpath(block.installdir):
        raise EasyBuildError("hashdist: EasyBuild installs into %s, the store wants %s", block.installdir, told["path"])
    if os.path.exists(described.mark):
        os.unlink(described.mark)  # of one that gc took
    root = os.path.join(glue.session()["store"], "roots", "stage-%s" % described.id)
    heart = threading.Thread(target=_beat, args=(root,))
    heart.daemon = True
    heart.start()


def _beat(root):
    """Let other machines know that we still build, until what is at the path is gone."""
    while os.path.exists(root):
        try:
            os.utime(root, None)
        except OSError:
            return
        time.sleep(_HEARTBEAT)


def pre_fetch_hook(block):
    """Have the archives that the store keeps where EasyBuild looks for them."""
    if _looks_only():
        return
    for name, sha256 in _archives(block):
        place = os.path.join(_sourcepath(), letter_dir_for(block.name), block.name, name)
        if os.path.exists(place):
            continue
        try:
            modules.make_directory(os.path.dirname(place))
        except OSError:  # EasyBuild has a place of its own to download to
            return
        got = _call(glue.call, "source", "get", "sha256:%s" % sha256, "--archive", "--to", place, none=(3,))
        if got is not None:
            print_msg("hashdist: %s is in the store", name)


def post_fetch_hook(block):
    """Keep in the store what was downloaded."""
    if _looks_only():
        return
    wanted = dict(_archives(block))
    for source in list(block.src) + list(block.patches):
        path = source.get("path")
        name = os.path.basename(path or "")
        if path and name in wanted and os.path.isfile(path):
            _call(glue.call, "source", "add", "file://%s" % path, "--sha256", wanted[name], "--quiet")


def _step(name):
    def begin(block):
        _state["step"], _state["block"] = name, block

    def end(block):
        _state["step"] = None

    return begin, end


pre_configure_hook, post_configure_hook = _step("configure")
pre_build_hook, post_build_hook = _step("build")
pre_install_hook, post_install_hook = _step("install")


def pre_run_shell_cmd_hook(cmd, *args, **kwargs):
    """Run commands of these steps in the jail, with the dependencies declared."""
    mode = os.environ.get("HDIST_EASYBUILD_JAIL", "report")
    if _state["step"] not in _JAILED or mode == "off" or kwargs.get("interactive") or _looks_only():
        return None
    block = _state["block"]
    reports = _state["reports"].setdefault(_described(block).id, [])
    report = os.path.join(tempfile.mkdtemp(prefix="hashdist-jail-"), "report.json")
    reports.append(report)
    jail = [os.environ.get("HDIST_PROGRAM", "hdist"), "--quiet", "jail", "--report", report]
    if mode == "enforce":
        jail.append("--enforce")
    for finder in glue.session()["finders"]:
        jail += ["--host", finder]
    for path in _allowed(block):
        jail += ["--allow", path]
    for path in (block.installdir, block.builddir, tempfile.gettempdir()):
        jail += ["--write", path]
    jail.append("--")
    if isinstance(cmd, (list, tuple)):
        return jail + list(cmd)
    return " ".join(shlex.quote(word) for word in jail + ["bash", "-c", cmd])


def post_testcases_hook(block):
    """Have its module, and the one that users will see, in what was installed: that was the last step."""
    _finished(block)


def post_package_hook(block):
    """Likewise where no tests follow."""
    if build_option("skip_test_cases", default=False) or not block.cfg["tests"]:
        _finished(block)


def _finished(block):
    if _looks_only():
        return
    described = _described(block)
    if os.path.isdir(block.installdir) and os.path.isfile(block.mod_filepath):
        modules.keep_module(described, block.mod_filepath)
        _state["finished"].add(described.id)


def post_easyblock_hook(block):
    """See what became of it; EasyBuild still writes its report there, so that it is sealed later."""
    if _looks_only() or _fetches_only():
        return
    described = _described(block)
    _state["step"] = None
    if described.id in _state["finished"]:
        _state["pending"][described.id] = int(time.time() - _state["began"].get(described.id, time.time()))
    elif described.id in _state["began"]:
        for module in modules.modules_of(described):  # of what failed later on: it must not count as installed
            os.unlink(module)
    _tell_of_jail(block, _state["reports"].pop(described.id, []))


def post_build_and_install_loop_hook(ecs):
    """Seal the last one."""
    _seal_pending()


def end_hook():
    """Seal what is left, and remember what this run was about."""
    _finish()


def fail_hook(error):
    """Likewise: what was installed before something failed is installed."""
    _finish()


cancel_hook = crash_hook = fail_hook


def _finish():
    if _looks_only() or _fetches_only():
        return
    _seal_pending()
    for found in glue.described():  # what an earlier run finished, and did not live to seal
        if os.path.isdir(os.path.join(found.path, modules.HIDDEN)) and not found.sealed:
            try:
                _seal(found, 0)
            except EasyBuildError as error:  # somebody else is at it
                print_msg("%s", error)
    # `hdist commit --from-easybuild` takes it into a profile
    wanted = [found.id for found in glue.described()]
    if wanted:
        _call(glue.call, "easybuild", "remember", *wanted)


def _seal_pending():
    """Seal what was installed, with its log."""
    known = {found.id: found for found in glue.described()}
    for id, seconds in sorted(_state["pending"].items()):
        _seal(known[id], seconds)
    _state["pending"].clear()


def _seal(found, seconds):
    log = _newest_log(found.path)
    words = ["seal-artifact", found.id, "--seconds", str(seconds), "--quiet"]
    told = _call(glue.call, *(words + (["--log", log] if log else [])))
    _mark(found)
    print_msg("hashdist: sealed %s", told["artifact"])


def _mark(found):
    """Have the file that says that it is sealed."""
    modules.make_directory(os.path.dirname(found.mark))
    with open(found.mark, "w"):
        pass


def _archives(block):
    """Names and SHA-256 of sources and patches, in the order of the easyconfig."""
    named = [glue._filename(one) for one in list(block.cfg["sources"] or []) + list(block.cfg["patches"] or [])]
    for name, checksum in zip(named, block.cfg["checksums"] or []):
        while isinstance(checksum, dict):
            checksum = checksum.get(name)
        if isinstance(checksum, (list, tuple)):
            checksum = checksum[-1] if checksum and checksum[0] == "sha256" else None
        if name and isinstance(checksum, str) and len(checksum) == 64:
            yield name, checksum.lower()


def _sourcepath():
    from easybuild.tools.config import source_paths

    return source_paths()[0]


def _allowed(block):
    """What a build may read besides what it writes: its dependencies, and EasyBuild itself."""
    found = [os.path.dirname(os.path.dirname(os.path.realpath(glue.__file__))), sys.prefix, sys.base_prefix]
    pending = [dep for dep in block.cfg.dependencies() if not dep.get("external_module")]
    while pending:  # their modules load others
        full = modules.parsed(pending.pop())
        found.append(_call(glue.describe, full).path)
        pending += [dep for dep in full.dependencies(runtime_only=True) if not dep.get("external_module")]
    return [path for path in found if os.path.exists(path)]


def _tell_of_jail(block, reports):
    """Say how much undeclared the jail saw, once for each package."""
    used, hidden = set(), set()
    for path in reports:
        try:
            with open(path) as file:
                accesses = json.load(file).get("accesses", [])
        except (OSError, ValueError):
            continue
        for one in accesses:
            (hidden if one.get("hidden") else used).add(one.get("path"))
    if used or hidden:
        shown = ", ".join(sorted(used | hidden)[:5])
        print_msg("hashdist: %s used %d undeclared files: %s", block.name, len(used | hidden), shown)


def _newest_log(installdir):
    folder = os.path.join(installdir, "easybuild")
    logs = [os.path.join(folder, name) for name in os.listdir(folder) if ".log" in name] if os.path.isdir(folder) else []
    return max(logs, key=os.path.getmtime) if logs else None


def _described(block):
    """The spec of what is being installed, as it was before easyblocks changed the easyconfig."""
    if not hasattr(block, "hashdist_described"):
        block.hashdist_described = _call(glue.describe, block.cfg)
    return block.hashdist_described


def _fetches_only():
    return build_option("fetch", default=False) or build_option("stop", default=None) == "fetch"


def _looks_only():
    return any(build_option(name, default=False) for name in ("dry_run", "extended_dry_run", "sanity_check_only"))


def _write(folder, name, data):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(data)
    return path


def _call(function, *arguments, **options):
    try:
        return function(*arguments, **options)
    except glue.HashdistError as error:
        raise EasyBuildError("hashdist: %s", error)
