"""Install a wheel (a file, or its unpacked tree) into a prefix: install-wheel-2.py WHEEL PREFIX.

Runs under the stack's own Python, with the standard library only. Follows the binary distribution format
(PEP 427): the root goes to site-packages, ``*.data`` to its places, ``entry_points.txt`` makes scripts.
Bytecode is compiled with unchecked hashes, so that it is the same everywhere and nobody writes it again.
"""

import compileall
import configparser
import os
import py_compile
import shutil
import sys
import zipfile

SCRIPT = """\
#!{python}
import sys
from {module} import {first}
if __name__ == "__main__":
    sys.argv[0] = sys.argv[0].removesuffix(".exe")
    sys.exit({call}())
"""


def main(wheel, prefix):
    if os.path.isfile(wheel):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall("unpacked-hdist")
        wheel = "unpacked-hdist"
    site = os.path.join(prefix, "lib", "python%d.%d" % sys.version_info[:2], "site-packages")
    os.makedirs(site)
    infos = [name for name in os.listdir(wheel) if name.endswith(".dist-info")]
    if len(infos) != 1:
        sys.exit("not a wheel: it must have one *.dist-info directory, it has %d" % len(infos))
    for name in sorted(os.listdir(wheel)):
        source = os.path.join(wheel, name)
        if name.endswith(".data") and os.path.isdir(source):
            install_data(source, prefix, site)
        else:
            merge(source, os.path.join(site, name))
    info = os.path.join(site, infos[0])
    with open(os.path.join(info, "INSTALLER"), "w") as file:
        file.write("hashdist\n")
    # without it nothing uninstalls what is ours, whoever may write there ("Recording installed projects")
    for name in ("RECORD", "RECORD.jws", "RECORD.p7s"):
        if os.path.exists(os.path.join(info, name)):
            os.unlink(os.path.join(info, name))
    make_scripts(info, prefix)
    compile_all(site, prefix)


def install_data(data, prefix, site):
    name = os.path.basename(data).partition("-")[0]
    places = {
        "purelib": site,
        "platlib": site,
        "data": prefix,
        "headers": os.path.join(prefix, "include", name),
        "scripts": os.path.join(prefix, "bin"),
    }
    for kind in sorted(os.listdir(data)):
        if kind not in places:
            sys.exit("not a wheel: unknown part %r of %s" % (kind, data))
        merge(os.path.join(data, kind), places[kind])
        if kind == "scripts":
            for script in os.listdir(os.path.join(data, kind)):
                fix_script(os.path.join(places[kind], script))


def merge(source, target):
    if os.path.islink(source) or not os.path.isdir(source):
        shutil.copy2(source, target, follow_symlinks=False)
        return
    os.makedirs(target, exist_ok=True)
    for name in os.listdir(source):
        merge(os.path.join(source, name), os.path.join(target, name))


def fix_script(path):
    with open(path, "rb") as file:
        first, rest = file.readline(), file.read()
    if first.startswith(b"#!python"):
        with open(path, "wb") as file:
            file.write(b"#!" + sys.executable.encode() + b"\n" + rest)
    os.chmod(path, 0o755)


def make_scripts(info, prefix):
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str
    parser.read(os.path.join(info, "entry_points.txt"), encoding="utf-8")
    for section in ("console_scripts", "gui_scripts"):
        for name, value in parser.items(section) if parser.has_section(section) else ():
            module, _, call = value.partition("[")[0].strip().partition(":")
            if "/" in name or name.startswith("."):
                sys.exit("not a wheel: bad script name %r" % name)
            os.makedirs(os.path.join(prefix, "bin"), exist_ok=True)
            path = os.path.join(prefix, "bin", name)
            with open(path, "w") as file:
                file.write(SCRIPT.format(python=sys.executable, module=module, first=call.partition(".")[0], call=call))
            os.chmod(path, 0o755)


def compile_all(site, prefix):
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    # equal sources have equal bytecode, whose they are: the import system sets the path when it loads them
    options = {"quiet": 2, "invalidation_mode": mode, "stripdir": prefix}
    jobs = int(os.environ.get("HDIST_JOBS", "1"))
    # what cannot be compiled (templates, code of other versions) is left as it is
    try:
        compileall.compile_dir(site, workers=jobs, **options)
    except (OSError, ImportError, NotImplementedError):
        # without /dev/shm there are no semaphores, and so no workers
        compileall.compile_dir(site, **options)


# what compiles beside it may import it
if __name__ == "__main__":
    main(*sys.argv[1:])
