"""Spack's environments for tests: lockfiles in the forms of all versions, and an install tree with real programs."""

import json
import subprocess

TARGET = {"name": "icelake", "vendor": "GenuineIntel", "features": ["avx2", "avx512f"], "generation": 0, "parents": []}
ARCH = {"platform": "linux", "platform_os": "rocky8", "target": TARGET}
LIBRARY, TOOL, GCC, CMAKE = (letter * 32 for letter in "abgc")


def library(shared=True, digits=LIBRARY):
    return {
        "name": "answer",
        "version": "1.0",
        "arch": ARCH,
        "namespace": "builtin",
        "parameters": {"build_system": "generic", "shared": shared, "cflags": []},
        "dependencies": [
            {"name": "gcc", "hash": GCC, "parameters": {"deptypes": ["build"], "virtuals": ["c"]}},
        ],
        "hash": digits,
    }


def nodes(shared=True, digits=LIBRARY, tool=TOOL):
    """Concrete specs as Spack has them in lockfiles of version 6."""
    using = {
        "name": "tool",
        "version": "2.0",
        "arch": ARCH,
        "namespace": "builtin",
        "parameters": {"build_system": "generic"},
        "dependencies": [
            {"name": "answer", "hash": digits, "parameters": {"deptypes": ["build", "link"], "virtuals": []}},
            {"name": "cmake", "hash": CMAKE, "parameters": {"deptypes": ["build"], "virtuals": []}},
            {"name": "zlib", "hash": "z" * 32, "parameters": {"deptypes": ["link"], "virtuals": []}},
        ],
        "hash": tool,
    }
    zlib = {
        "name": "zlib",
        "version": "1.3",
        "arch": ARCH,
        "external": {"path": "/usr", "module": None},
        "hash": "z" * 32,
    }
    cmake = {"name": "cmake", "version": "3.27", "arch": ARCH, "dependencies": [], "hash": CMAKE}
    gcc = {"name": "gcc", "version": "12", "arch": ARCH, "external": {"path": "/usr"}, "hash": GCC}
    return [using, library(shared, digits), zlib, cmake, gcc]


def lockfile(version, found):
    """The same as lockfiles of other versions have it."""

    def dependency(one):
        kinds = one["parameters"]["deptypes"]
        if version == 3:
            return {"name": one["name"], "build_hash": one["hash"], "type": kinds}
        return {"name": one["name"], "hash": one["hash"], "type": kinds} if version == 4 else one

    specs = {}
    for node in found:
        given = [dependency(one) for one in node.get("dependencies", [])]
        plain = {**node, "dependencies": given}
        if version < 3:
            inner = {key: value for key, value in plain.items() if key != "name"}
            inner["dependencies"] = {
                one["name"]: {"hash": one["hash"], "type": one["parameters"]["deptypes"]} for one in given
            }
            plain = {node["name"]: inner}
        specs[node["hash"]] = plain
    meta = {"file-type": "spack-lockfile", "lockfile-version": version}
    return {"_meta": meta, "roots": [{"hash": found[0]["hash"], "spec": "tool"}], "concrete_specs": specs}


def install_tree(tmp_path):
    """An install tree: gives a function that adds a library and a program that is linked with it at its path."""
    root = tmp_path / "spack" / "opt" / "spack"
    places = {}

    def install(node, found):
        place = root / "linux-icelake" / f"{node['name']}-{node['version']}-{node['hash']}"
        (place / ".spack").mkdir(parents=True)
        graph = [node, *(one for one in found if one is not node)]
        (place / ".spack/spec.json").write_text(json.dumps({"spec": {"_meta": {"version": 5}, "nodes": graph}}))
        places[node["hash"]] = str(place)
        installs = {digits: {"path": path, "installed": True, "explicit": True} for digits, path in places.items()}
        (root / ".spack-db").mkdir(exist_ok=True)
        (root / ".spack-db/index.json").write_text(json.dumps({"database": {"version": "8", "installs": installs}}))
        return place

    def add(found, answer=42):
        using, one = found[:2]
        lib = install(one, found)
        (lib / "lib").mkdir()
        (lib / "a.c").write_text(f"int answer(void) {{ return {answer}; }}")
        subprocess.run(["gcc", "-shared", "-fPIC", "a.c", "-o", "lib/libanswer.so.1"], cwd=lib, check=True)
        (lib / "lib/libanswer.so").symlink_to("libanswer.so.1")
        (lib / "a.c").unlink()
        place = install(using, found)
        (place / "bin").mkdir()
        (place / "m.c").write_text("int answer(void); int main(void) { return answer(); }")
        link = ["gcc", "m.c", f"-L{lib}/lib", "-l:libanswer.so.1", f"-Wl,-rpath,{lib}/lib", "-o", "bin/tool"]
        subprocess.run(link, cwd=place, check=True)
        (place / "m.c").unlink()
        return lib, place

    add.root = str(root)
    return add


def environment(tmp_path, found, version=6):
    folder = tmp_path / "env"
    folder.mkdir(exist_ok=True)
    (folder / "spack.lock").write_text(json.dumps(lockfile(version, found)))
    return str(folder)
