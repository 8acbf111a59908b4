"""Install an unpacked conda package into a prefix: install-conda.py PREFIX [PYTHON].

Runs under any Python 3, with the standard library only. Follows conda's package metadata: ``info/paths.json`` or
``info/has_prefix`` say in which files the place of installation stands, as text or padded with NUL bytes; of packages
without a platform (``noarch: python``) the modules go to the site-packages of PYTHON, an installation prefix.
What a package would run after it is installed is not run.
"""

import json
import os
import re
import shutil
import subprocess
import sys

DEFAULT_PLACEHOLDER = "/opt/anaconda1anaconda2anaconda3"
SCRIPT = """\
#!{python}
import sys
from {module} import {first}
if __name__ == "__main__":
    sys.exit({call}())
"""


def main(prefix, python=None):
    # a package of nothing but metadata loses its only directory when it is unpacked
    info = "info" if os.path.isdir("info") else "."
    index = load(info, "index.json")
    noarch = index.get("noarch") == "python" or os.path.isdir("site-packages")
    if noarch and python is None:
        sys.exit("%s has no platform and needs a Python among its inputs" % index.get("name"))
    site = find_site(python) if noarch else None
    placeholders = read_placeholders(info)
    if info == "info":
        paths = list_files(".")
        # links last: nothing is written through them
        for path in sorted(paths, key=os.path.islink):
            target = target_of(prefix, place_of(path, site))
            install(path, target, prefix, placeholders.get(path))
    # as conda does, so that tools see what is there; and of packages that are nothing else something is left
    words = [str(index.get(key, "")).replace("/", "_") for key in ("name", "version", "build")]
    shutil.copyfile(os.path.join(info, "index.json"), target_of(prefix, "conda-meta/%s.json" % "-".join(words)))
    if noarch:
        make_scripts(info, prefix, python)
        compile_all(os.path.join(prefix, site), python)
    for path in list_files(prefix):
        if re.search(r"(^|/)\.[^/]*-(post|pre)-(link|unlink)\.sh$", path):
            print("not run: %s" % path)


def target_of(prefix, path):
    """Where a file goes, with the directories that are wanted; never outside of the prefix, or through a link."""
    target = os.path.normpath(os.path.join(prefix, path))
    folder = os.path.dirname(target)
    os.makedirs(folder, exist_ok=True)
    inside = os.path.realpath(prefix)
    if not (os.path.realpath(folder) + "/").startswith(inside + "/") or os.path.lexists(target):
        sys.exit("%s: it lies elsewhere, or is there already" % path)
    return target


def load(info, name):
    path = os.path.join(info, name)
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def list_files(top):
    found = []
    for folder, folders, files in os.walk(top):
        if folder == top and top == ".":
            folders[:] = [name for name in folders if name != "info"]
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        found += [os.path.relpath(os.path.join(folder, name), top) for name in files + links]
    return sorted(found)


def read_placeholders(info):
    """Files in which a placeholder stands: path to (placeholder, mode)."""
    found = {}
    for entry in load(info, "paths.json").get("paths", []):
        if entry.get("prefix_placeholder"):
            found[entry["_path"]] = entry["prefix_placeholder"], entry.get("file_mode", "text")
    path = os.path.join(info, "has_prefix")
    if not found and os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            for line in file:
                fields = [field.strip('"') for field in re.findall(r'"[^"]*"|\S+', line)]
                if len(fields) == 3:
                    found[fields[2]] = fields[0], fields[1]
                elif fields:
                    found[fields[0]] = DEFAULT_PLACEHOLDER, "text"
    return found


def find_site(python):
    lib = os.path.join(python, "lib")
    names = [name for name in os.listdir(lib) if re.match(r"python3\.\d+t?$", name)]
    # conda's own have a link python3.1 for software that cannot count to ten
    names = [name for name in names if os.path.isfile(os.path.join(lib, name, "os.py")) and not is_alias(lib, name)]
    if len(names) != 1:
        sys.exit("%s is not the prefix of a Python: it has %d lib/python3.*" % (python, len(names)))
    return "lib/%s/site-packages" % names[0]


def is_alias(lib, name):
    return name == "python3.1" and os.path.basename(os.path.realpath(os.path.join(lib, name))) != name


def place_of(path, site):
    if site is None:
        return path
    first, _, rest = path.partition("/")
    if first == "site-packages":
        return "%s/%s" % (site, rest)
    return "bin/%s" % rest if first == "python-scripts" else path


def install(source, target, prefix, placeholder):
    if os.path.islink(source):
        os.symlink(os.readlink(source), target)
        return
    shutil.copyfile(source, target)
    shutil.copymode(source, target)
    if placeholder is None:
        return
    with open(target, "rb") as file:
        data = file.read()
    old, mode = placeholder
    change = in_binary if mode == "binary" else in_text
    with open(target, "wb") as file:
        file.write(change(data, old.encode(), prefix.encode(), target))


def in_text(data, old, new, target):
    return data.replace(old, new)


def in_binary(data, old, new, target):
    if len(new) > len(old):
        sys.exit("%s: the path %s is longer than the %d bytes that are kept for it" % (target, new.decode(), len(old)))

    def padded(match):
        whole = match.group()
        changed = whole.replace(old, new)
        return changed + b"\0" * (len(whole) - len(changed))

    return re.sub(re.escape(old) + rb"[^\0]*", padded, data)


def make_scripts(info, prefix, python):
    points = load(info, "link.json").get("noarch", {}).get("entry_points", [])
    for point in points:
        name, _, target = (part.strip() for part in point.partition("="))
        module, _, call = (part.strip() for part in target.partition(":"))
        if not re.match(r"[A-Za-z0-9._+-]+$", name) or not re.match(r"[\w.]+$", module) or not re.match(r"[\w.]+$", call):
            sys.exit("not an entry point: %r" % point)
        path = target_of(prefix, "bin/%s" % name)
        with open(path, "w") as file:
            values = {"module": module, "call": call, "first": call.partition(".")[0]}
            file.write(SCRIPT.format(python=os.path.join(python, "bin", "python"), **values))
        os.chmod(path, 0o755)


def compile_all(site, python):
    """Compile modules, by the Python that will run them; what cannot be compiled is found out when it is run."""
    program = os.path.join(python, "bin", "python")
    if os.path.isdir(site) and os.path.exists(program):
        arguments = ["-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", site]
        subprocess.call([program, *arguments], stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main(*sys.argv[1:])
