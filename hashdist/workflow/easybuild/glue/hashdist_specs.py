"""Ids of specs, as hashdist and git find them; with the standard library of Python 3.6 or newer alone."""

import hashlib
import json


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
