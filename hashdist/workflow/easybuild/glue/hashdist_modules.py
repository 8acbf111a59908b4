"""Modules of what EasyBuild installs: by hash, and as users see them; kept in the installation, with links to them."""

import os

import hashdist_easybuild as glue
from easybuild.tools.build_log import EasyBuildError
from easybuild.tools.config import install_path
from easybuild.tools.module_naming_scheme.utilities import det_hidden_modname

#: Where in an installation its modules are kept: by hash, and as users see it.
HIDDEN = os.path.join("easybuild", "hashdist")
VISIBLE = os.path.join("easybuild", "modules")


def restore_module(found, modules):
    """Have the link to a module again where EasyBuild looks for modules, if what it is of is installed and sealed."""
    kept = os.path.join(found.path, HIDDEN)
    if not found.sealed or not os.path.isdir(kept):
        return
    for name in os.listdir(kept):
        path = os.path.join(modules, found.document["name"], name)
        if name.lstrip(".").startswith(found.module_version) and not os.path.lexists(path):
            try:
                make_directory(os.path.dirname(path))
                link(path, os.path.join(kept, name))
            except OSError:  # whoever only looks need not be able to
                pass


def make_directory(path):
    """Make a directory, and those above it, that may be there."""
    if not os.path.isdir(path):
        try:
            os.makedirs(path)
        except OSError:
            if not os.path.isdir(path):
                raise


def link(path, target):
    """Have a link at a path in place of whatever is there."""
    temporary = "%s.hashdist-%d" % (path, os.getpid())
    os.symlink(target, temporary)
    os.rename(temporary, path)


def modules_of(found):
    """The files, or links, by which EasyBuild knows that something is installed."""
    folder = os.path.join(install_path("mod"), "all", found.document["name"])
    names = os.listdir(folder) if os.path.isdir(folder) else []
    version = found.module_version
    return [os.path.join(folder, name) for name in names if name.lstrip(".") in (version, version + ".lua")]


def keep_module(described, module):
    """Write the module as users will see it into the installation, and the one by hash, with a link where that was."""
    if os.path.islink(module):
        return
    with open(module) as file:
        text = file.read()
    ec = described.ec
    scheme = _scheme()
    for folder in (described.path, os.path.join(described.path, "easybuild")):
        if os.path.isdir(folder):
            os.chmod(folder, 0o755)  # --read-only-installdir
    names = {}
    for dep in ec.dependencies():
        if not dep.get("external_module"):
            names[dep["full_mod_name"]] = scheme.det_short_module_name(parsed(dep))
    toolchain = ec["toolchain"]
    if toolchain["name"] not in ("system", "dummy"):
        compiler = parsed(glue.toolchain_dependency(toolchain))
        hidden = "%s/%s" % (compiler["name"], glue.describe(compiler).module_version)
        names[hidden] = scheme.det_short_module_name(compiler)
    own = ec["modaltsoftname"] or ec["name"]
    names["%s/%s" % (own, described.module_version)] = scheme.det_short_module_name(ec)
    lua = module.endswith(".lua")
    visible = scheme.det_full_module_name(ec)
    if ec["hidden"] or getattr(ec, "hidden", False):
        visible = det_hidden_modname(visible)
    visible += ".lua" if lua else ""
    kept = os.path.join(described.path, HIDDEN, os.path.basename(module))
    seen = os.path.join(described.path, VISIBLE, visible)
    for path in (kept, seen):
        make_directory(os.path.dirname(path))
    with open(kept, "w") as file:
        file.write(text)
    for hidden in sorted(names, key=len, reverse=True):
        text = text.replace(hidden, names[hidden])
    with open(seen, "w") as file:
        file.write(text + _extensions(scheme.det_modpath_extensions(ec), len(visible), lua))
    link(module, kept)


def _extensions(folders, length, lua):
    """What a module of a hierarchy adds to MODULEPATH, in the tree that it is found in by a name of that length."""
    if not folders:
        return ""
    if lua:
        lines = ["local tree = string.sub(myFileName(), 1, -%d)" % (length + 2)]
        lines += ['prepend_path("MODULEPATH", pathJoin(tree, "%s"))' % folder for folder in folders]
    else:
        lines = ["set tree [string range $ModulesCurrentModulefile 0 end-%d]" % (length + 1)]
        lines += ['module use "$tree/%s"' % folder for folder in folders]
    return "\n" + "\n".join(lines) + "\n"


def _scheme():
    """The site's own module naming scheme."""
    from easybuild.tools.module_naming_scheme.utilities import avail_module_naming_schemes

    known = avail_module_naming_schemes()
    wanted = os.environ.get("HDIST_EASYBUILD_SCHEME", "EasyBuildMNS")
    if wanted not in known:
        raise EasyBuildError("hashdist: no module naming scheme '%s', which HDIST_EASYBUILD_SCHEME names", wanted)
    return known[wanted]()


def parsed(dependency):
    """The parsed easyconfig of a dependency."""
    from easybuild.framework.easyconfig.easyconfig import ActiveMNS

    return ActiveMNS().check_ec_type(dependency)
