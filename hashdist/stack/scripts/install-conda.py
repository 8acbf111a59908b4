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
        for path in list_files("."):
            target = os.path.join(prefix, place_of(path, site))
            os.makedirs(os.path.dirname(target), exist_ok=True)
            install(path, target, prefix, placeholders.get(path))
    # as conda does, so that tools see what is there; and of packages that are nothing else something is left
    meta = os.path.join(prefix, "conda-meta")
    os.makedirs(meta, exist_ok=True)
    shutil.copyfile(os.path.join(info, "index.json"), os.path.join(meta, "%(name)s-%(version)s-%(build)s.json" % index))
    if noarch:
        make_scripts(info, prefix, python)
        compile_all(os.path.join(prefix, site), python)
    for path in list_files(prefix):
        if re.search(r"(^|/)\.[^/]*-(post|pre)-(link|unlink)\.sh$", path):
            print("not run: %s" % path)


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
    names = [name for name in os.listdir(os.path.join(python, "lib")) if re.match(r"python3\.\d+$", name)]
    if len(names) != 1:
        sys.exit("%s is not the prefix of a Python: it has %d lib/python3.*" % (python, len(names)))
    return "lib/%s/site-packages" % names[0]


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
        path = os.path.join(prefix, "bin", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
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
