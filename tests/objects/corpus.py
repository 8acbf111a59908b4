"""Make hostile and odd archives: each with the verdict that it must get.

A verdict is a text (the words of the refusal) or a dictionary (path to content, and what must be there: bytes for
a file, ``("link", target)``, ``("exec", bytes)``, or None for an empty directory). Run it to write the archives
out: ``python tests/objects/corpus.py DIR``.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import struct
import sys
import tarfile
import zipfile
import zlib

import zstandard

BLOCK = 512
END = b"\0" * 1024


def header(
    name=b"file",
    kind=b"0",
    size=0,
    *,
    target=b"",
    mode=0o644,
    magic=b"ustar\x0000",
    prefix=b"",
    checksum=None,
    sizefield=None,
):
    """One header block, by hand."""
    block = bytearray(BLOCK)
    block[0:100] = name[:100].ljust(100, b"\0")
    block[100:108] = b"%07o\0" % mode
    block[108:124] = b"0000000\x000000000\0"
    block[124:136] = sizefield if sizefield is not None else b"%011o\0" % size
    block[136:148] = b"00000000000\0"
    block[148:156] = b"        "
    block[156:157] = kind
    block[157:257] = target[:100].ljust(100, b"\0")
    block[257:265] = magic
    block[345:500] = prefix.ljust(155, b"\0")
    block[148:156] = checksum or b"%06o\0 " % sum(block)
    return bytes(block)


def entry(name=b"file", data=b"", kind=b"0", **rest):
    return header(name, kind, rest.pop("size", len(data)), **rest) + data + b"\0" * (-len(data) % BLOCK)


def pax(records, kind=b"x"):
    if isinstance(records, dict):
        out = b""
        for key, value in records.items():
            line = b" %b=%b\n" % (key, value)
            length = len(line) + 1
            while len(str(length)) + len(line) != length:
                length += 1
            out += b"%d%b" % (length, line)
        records = out
    return entry(b"pax", records, kind)


def gnu(text, kind=b"L"):
    return entry(b"././@LongLink", text + b"\0", kind, magic=b"ustar  \0")


def deep(levels):
    return pax({b"path": b"d/" * levels + b"f"}) + entry(b"x", b"x")


def zipped(*members, comment=b"", **options):
    """A zip archive; members are (name or ZipInfo, data)."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", options.get("method", zipfile.ZIP_DEFLATED)) as archive:
        for name, data in members:
            archive.writestr(name, data)
        archive.comment = comment
    return out.getvalue()


def info(name, mode, *, system=3):
    made = zipfile.ZipInfo(name)
    made.create_system, made.external_attr = system, mode << 16
    return made


def patched(data, old, new, *, last=False):
    place = data.rindex(old) if last else data.index(old)
    return data[:place] + new + data[place + len(old) :]


def zip_with(local=None, central=None, *, name=b"file", data=b"data"):
    """A stored zip of one file, with fields of the one or the other table changed: (offset, bytes)."""
    crc = zlib.crc32(data)
    head = bytearray(struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 20, 0, 0, 0, 33, crc, len(data), len(data), len(name), 0))
    table = bytearray(
        struct.pack(
            "<4sBBHHHHHIIIHHHHHII",
            b"PK\1\2",
            20,
            3,
            20,
            0,
            0,
            0,
            33,
            crc,
            len(data),
            len(data),
            len(name),
            0,
            0,
            0,
            0,
            0o100644 << 16,
            0,
        )
    )
    for block, changes in ((head, local), (table, central)):
        for offset, value in changes or ():
            block[offset : offset + len(value)] = value
    body = bytes(head) + name + data
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 1, 1, len(table) + len(name), len(body), 0)
    return body + bytes(table) + name + end


def flipped(data, place):
    return data[:place] + bytes((data[place] ^ 1,)) + data[place + 1 :]


def quine_zip():
    """Two directory entries for one and the same file: overlapping, as bombs have it."""
    one = zip_with(name=b"a")
    start = one.index(b"PK\1\2")
    table = one[start : one.index(b"PK\5\6")]
    second = table[:-1] + b"b"
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 2, 2, 2 * len(table), start, 0)
    return one[:start] + table + second + end


def xz_with_large_dictionary():
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 30}]
    return lzma.compress(entry(data=b"x") + END, filters=filters)


def zst_with_large_window():
    parameters = zstandard.ZstdCompressionParameters(window_log=30, enable_ldm=False)
    # of unknown size, so that the frame tells its window
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return compressor.compress(entry(data=b"x") + END) + compressor.flush()


def bomb(pack, size):
    chunk = entry(b"zeros", b"\0" * size)
    return pack(chunk + END)


def made_by_tarfile(format):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as archive:
        long = tarfile.TarInfo("x" * 90 + "/" + "y" * 90)
        long.size = 1
        archive.addfile(long, io.BytesIO(b"z"))
    return out.getvalue()


def corpus():
    """Name to (bytes, verdict)."""
    ok = {b"file": b"x"}
    one = entry(data=b"x")
    many_headers = pax({b"comment": b"c"}, b"g") * 5
    tars = {
        # names
        "absolute": (entry(b"/etc/passwd", b"x"), "absolute name"),
        "absolute-by-pax": (pax({b"path": b"/etc/passwd"}) + one, "absolute name"),
        "absolute-by-prefix": (entry(b"passwd", b"x", prefix=b"/etc"), "absolute name"),
        "dot-dot": (entry(b"../file", b"x"), "leads out"),
        "dot-dot-inside": (entry(b"a/../../file", b"x"), "leads out"),
        "dot-dot-harmless": (entry(b"a/../file", b"x"), "leads out"),
        "dot-dot-directory": (entry(b"../", kind=b"5"), "leads out"),
        "dot-dot-at-end": (entry(b"a/..", b"x"), "leads out"),
        "dots": (entry(b"./a/./b", b"x"), {b"a/b": b"x"}),
        "no-name": (entry(b"", b"x"), "has no name"),
        "only-dot-file": (entry(b".", b"x"), "has no name"),
        "name-with-newline": (entry(b"a\nb", b"x"), {b"a\nb": b"x"}),
        "name-with-escape": (entry(b"\x1b]0;evil\x07", b"x"), {b"\x1b]0;evil\x07": b"x"}),
        "name-with-backslash": (entry(b"a\\b", b"x"), {b"a\\b": b"x"}),
        "name-not-utf8": (entry(b"caf\xe9", b"x"), {b"caf\xe9": b"x"}),
        "name-like-option": (entry(b"-rf", b"x"), {b"-rf": b"x"}),
        "name-with-nul-by-pax": (pax({b"path": b"a\0b"}) + one, "not a file name"),
        "name-of-256-bytes": (pax({b"path": b"n" * 256}) + one, "longer than 255"),
        "name-of-255-bytes": (pax({b"path": b"n" * 255}) + one, {b"n" * 255: b"x"}),
        "10000-deep": (deep(10_000), "limit: depth"),
        "1000-deep": (deep(1000), {b"d/" * 1000 + b"f": b"x"}),
        # what git keeps for itself
        "dot-git-directory": (entry(b".git/config", b"x"), "git keeps"),
        "dot-git-upper": (entry(b"sub/.GIT/config", b"x"), "git keeps"),
        "dot-git-ntfs-short": (entry(b"GIT~1/config", b"x"), "git keeps"),
        "dot-git-ntfs-stream": (entry(b".git::$INDEX_ALLOCATION/config", b"x"), "git keeps"),
        "dot-git-trailing-dot": (entry(b".git. ./config", b"x"), "git keeps"),
        "dot-git-hfs": (entry(".g\u200cit/config".encode(), b"x"), "git keeps"),
        "dot-git-backslash": (entry(b"a\\.git\\config", b"x"), "git keeps"),
        "dot-git-link": (entry(b".git", kind=b"2", target=b"elsewhere"), "git keeps"),
        "dot-git-submodule-leftover": (entry(b".git", b"gitdir: ../x\n") + one, ok),
        # links
        "write-through-link": (entry(b"l", kind=b"2", target=b"/tmp") + entry(b"l/x", b"x"), "below something"),
        "link-over-directory": (entry(b"d/x", b"x") + entry(b"d", kind=b"2", target=b"/tmp"), "two entries"),
        "directory-over-link": (
            entry(b"d", kind=b"2", target=b"/tmp") + entry(b"d/", kind=b"5"),
            "below something|two entries",
        ),
        "link-outside-is-data": (entry(b"l", kind=b"2", target=b"/etc/passwd"), {b"l": ("link", b"/etc/passwd")}),
        "link-up-is-data": (entry(b"a/l", kind=b"2", target=b"../../.."), {b"a/l": ("link", b"../../..")}),
        "link-without-target": (entry(b"l", kind=b"2"), "no link can have"),
        "link-long-by-gnu": (gnu(b"t" * 300, b"K") + entry(b"l", kind=b"2"), {b"l": ("link", b"t" * 300)}),
        "hard-link": (one + entry(b"two", kind=b"1", target=b"file"), {**ok, b"two": b"x"}),
        "hard-link-with-size": (one + entry(b"two", kind=b"1", target=b"file", size=1), "has content"),
        "hard-link-outside": (entry(b"two", kind=b"1", target=b"/etc/passwd"), "absolute name"),
        "hard-link-to-nothing": (
            entry(b"two", kind=b"1", target=b"later") + entry(b"later", b"x"),
            "hard link to something outside",
        ),
        "hard-link-dot-dot": (entry(b"two", kind=b"1", target=b"../x"), "leads out"),
        "hard-link-to-directory": (
            entry(b"d/", kind=b"5") + entry(b"two", kind=b"1", target=b"d"),
            "hard link to something outside",
        ),
        "hard-link-of-symlink": (
            entry(b"l", kind=b"2", target=b"t") + entry(b"m", kind=b"1", target=b"l"),
            {b"l": ("link", b"t"), b"m": ("link", b"t")},
        ),
        # kinds
        "character-device": (entry(b"null", kind=b"3"), "device or a pipe"),
        "block-device": (entry(b"sda", kind=b"4"), "device or a pipe"),
        "fifo": (entry(b"pipe", kind=b"6"), "device or a pipe"),
        "sparse-gnu": (entry(b"s", kind=b"S", magic=b"ustar  \0"), "sparse"),
        "sparse-pax": (pax({b"GNU.sparse.major": b"1"}) + one, "sparse"),
        "unknown-kind": (entry(b"x", kind=b"Z"), "not known"),
        "multi-volume": (entry(b"x", kind=b"M"), "not known"),
        "link-with-size": (entry(b"l", kind=b"2", target=b"t", size=512) + one, "has content"),
        "volume-label-with-content": (entry(b"label", b"x", kind=b"V") + one, "not known"),
        "number-after-nul": (header(sizefield=b"\0" + b"0000002000\0"), "a number that is none"),
        "pax-empty-path": (pax({b"path": b""}) + one, "takes a name away"),
        "file-called-dot": (entry(b"x/.", b"x"), "has no name"),
        "unknown-magic-with-prefix": (entry(b"x", b"x", magic=b"ustar 00", prefix=b"p"), "not known"),
        "pax-size-huge-and-smuggled": (pax({b"size": b"%d" % (9 << 30)}) + entry(data=b"x" * 10), "two sizes"),
        "volume-label": (entry(b"label", kind=b"V") + one, ok),
        "contiguous": (entry(b"file", b"x", kind=b"7"), ok),
        "v7": (entry(b"file", b"x", kind=b"\0", magic=b"\0" * 8), ok),
        "v7-directory": (entry(b"d/", kind=b"\0", magic=b"\0" * 8), {b"d": None}),
        "file-with-slash": (entry(b"d/", b"x"), "has content"),
        "setuid-is-dropped": (entry(b"file", b"x", mode=0o4755), {b"file": ("exec", b"x")}),
        "empty-directory": (entry(b"d/e/", kind=b"5"), {b"d/e": None}),
        # two of a name
        "duplicate-that-differs": (one + entry(data=b"y"), "two entries"),
        "duplicate-in-mode": (one + entry(data=b"x", mode=0o755), "two entries"),
        "duplicate-that-is-the-same": (one + one, ok),
        "file-over-directory": (entry(b"a/b", b"x") + entry(b"a", b"x"), "two entries"),
        "directory-over-file": (entry(b"a", b"x") + entry(b"a/b", b"x"), "below something"),
        "directory-twice": (entry(b"d/", kind=b"5") * 2, {b"d": None}),
        # what two programs read in two ways
        "pax-size-smuggled": (pax({b"size": b"1024"}) + entry(data=b"x" * 10), "two sizes"),
        "pax-size-same": (pax({b"size": b"1"}) + one, ok),
        "pax-size-no-number": (pax({b"size": b"-1"}) + one, "no number"),
        "pax-malformed": (pax(b"garbage") + one, "malformed"),
        "pax-length-lies": (pax(b"99 path=x\n") + one, "malformed"),
        "pax-length-zero": (pax(b"0 path=x\n") + one, "malformed"),
        "pax-no-newline": (pax(b"9 path=xy") + one, "malformed"),
        "pax-twice-in-one": (pax(b"10 path=a\n10 path=b\n") + one, "twice"),
        "pax-two-headers": (pax({b"path": b"a"}) + pax({b"path": b"a"}) + one, "two extended headers"),
        "pax-and-gnu-names": (pax({b"path": b"a"}) + gnu(b"b") + one, "two names"),
        "pax-global-path": (pax({b"path": b"a"}, b"g") + one, "for all entries"),
        "pax-global-comment": (many_headers + one, ok),
        "pax-without-entry": (one + pax({b"path": b"a"}), "ends after an extended header"),
        "gnu-name-with-tail": (gnu(b"a\0b") + one, "bytes after its end"),
        "gnu-long-name": (gnu(b"d/" * 100 + b"f") + one, {b"d/" * 100 + b"f": b"x"}),
        "header-bomb": (header(b"pax", b"x", 1 << 40), "limit: header"),
        "header-long-name-bomb": (
            header(b"L", b"L", 1 << 33, sizefield=b"\x80" + (1 << 33).to_bytes(11, "big")),
            "limit: header",
        ),
        "size-negative": (header(sizefield=b"\xff" * 12), "negative"),
        "size-no-number": (header(sizefield=b"zzzzzzzzzzz\0"), "a number that is none"),
        "size-binary": (header(size=1, sizefield=b"\x80" + b"\0" * 10 + b"\1") + b"x".ljust(512, b"\0"), ok),
        "size-beyond-the-end": (header(size=100_000) + b"x" * 512, "ends in the middle"),
        "size-of-terabytes": (header(size=0, sizefield=b"\x80" + (1 << 50).to_bytes(11, "big")), "limit: size"),
        "wrong-checksum": (header(checksum=b"000001\0 "), "not an archive|checksum"),
        "wrong-checksum-later": (one + header(checksum=b"000001\0 "), "checksum"),
        "after-the-end": (one + END + entry(b"hidden", b"y"), "after its end"),
        "after-a-lone-zero-block": (one + b"\0" * 512 + entry(b"hidden", b"y"), "after its end"),
        "without-end": (one, ok),
        "made-by-tarfile-pax": (made_by_tarfile(tarfile.PAX_FORMAT), {b"x" * 90 + b"/" + b"y" * 90: b"z"}),
        "made-by-tarfile-gnu": (made_by_tarfile(tarfile.GNU_FORMAT), {b"x" * 90 + b"/" + b"y" * 90: b"z"}),
        "made-by-tarfile-ustar": (made_by_tarfile(tarfile.USTAR_FORMAT), {b"x" * 90 + b"/" + b"y" * 90: b"z"}),
    }
    ended = {"after-the-end", "without-end", "after-a-lone-zero-block"}
    found = {f"{name}.tar": (data if name in ended else data + END, verdict) for name, (data, verdict) in tars.items()}
    whole = one + END
    packed = {
        "truncated.tar.gz": (gzip.compress(os.urandom(100) + whole)[:-20], "not an archive|broken"),
        "truncated-in-tar.tar": (entry(data=b"x" * 2000)[:1000], "ends in the middle"),
        "garbage.tar.gz": (b"\x1f\x8b\x08" + b"garbage" * 10, "broken"),
        "garbage.tar.bz2": (b"BZh9" + b"garbage" * 10, "broken"),
        "garbage.tar.xz": (b"\xfd7zXZ\0" + b"garbage" * 10, "broken"),
        "garbage.tar.zst": (b"\x28\xb5\x2f\xfd" + b"garbage" * 10, "broken"),
        "wrong-crc.tar.gz": (gzip.compress(whole)[:-8] + b"\0" * 8, "broken"),
        "two-members.tar.gz": (gzip.compress(whole[:700]) + gzip.compress(whole[700:]), ok),
        "two-streams.tar.xz": (lzma.compress(whole[:700]) + lzma.compress(whole[700:]), ok),
        "two-streams.tar.bz2": (bz2.compress(whole[:700]) + bz2.compress(whole[700:]), ok),
        "two-frames.tar.zst": (zstandard.compress(whole[:700]) + zstandard.compress(whole[700:]), ok),
        "truncated.tar.zst": (
            zstandard.compress(os.urandom(1000) + whole)[:-100],
            "ends in the middle|not an archive|wrong checksum",
        ),
        "truncated-frame.tar.zst": (
            zstandard.compress(whole[:1024]) + zstandard.compress(whole)[:-3],
            "ends in the middle",
        ),
        "rubbish-behind.tar.zst": (zstandard.compress(whole) + b"rubbish!", "behind its end"),
        "skippable-first.tar.zst": (struct.pack("<II", 0x184D2A50, 4) + b"skip" + zstandard.compress(whole), ok),
        "broken-second.tar.bz2": (bz2.compress(whole[:1024]) + flipped(bz2.compress(whole[1024:]), 20), "broken"),
        "rubbish-behind.tar.bz2": (bz2.compress(whole) + b"rubbish", "broken"),
        "zeros-between.tar.xz": (lzma.compress(whole[:1024]) + b"\0" * (1 << 20) + lzma.compress(whole[1024:]), ok),
        "odd-padding.tar.xz": (lzma.compress(whole) + b"\0" * 3, "odd length"),
        "empty.tar.gz": (gzip.compress(b""), "nothing is in it"),
        "large-dictionary.tar.xz": (xz_with_large_dictionary(), "limit: memory"),
        "large-window.tar.zst": (zst_with_large_window(), "limit: memory"),
        "bomb.tar.gz": (bomb(lambda data: gzip.compress(data, 9), 300 << 20), "limit: ratio"),
        "bomb.tar.zst": (bomb(lambda data: zstandard.compress(data, 1), 300 << 20), "limit: ratio"),
        "bomb-after-the-end.tar.gz": (gzip.compress(whole + b"\0" * (80 << 20)), "limit: trailer"),
        "nothing-but-zeros.tar.gz": (gzip.compress(END), {}),
    }
    zips = {
        "plain": (zip_with(), {b"file": b"data"}),
        "absolute": (zipped(("/etc/passwd", "x")), "absolute name"),
        "dot-dot": (zipped(("../x", "x")), "leads out"),
        "dot-git": (zipped((".git/config", "x")), "git keeps"),
        "executable": (zipped((info("run", 0o100755), "x")), {b"run": ("exec", b"x")}),
        "link": (zipped((info("l", 0o120777), "target")), {b"l": ("link", b"target")}),
        "write-through-link": (zipped((info("l", 0o120777), "/tmp"), ("l/x", "x")), "below something"),
        "device": (zipped((info("d", 0o020644), "")), "device or a pipe"),
        "long-link": (zipped((info("l", 0o120777), "t" * 5000)), "target of more"),
        "backslash": (zip_with(name=b"a\\b"), {b"a\\b": b"data"}),
        "dot-git-by-backslash": (zip_with(name=b"a\\.git\\x"), "git keeps"),
        "nul-in-name": (zip_with(name=b"a\0b"), "not a file name|two things"),
        "duplicate-that-differs": (quine_zip()[:0] + _duplicate_zip(b"x", b"y"), "two entries"),
        "duplicate-that-is-the-same": (_duplicate_zip(b"x", b"x"), {b"a": b"x"}),
        "overlapping": (quine_zip(), "belong to no file"),
        "local-name-differs": (patched(zip_with(), b"file", b"evil"), "two things"),
        "local-size-differs": (zip_with(local=[(22, b"\3\0\0\0")]), "two things"),
        "local-packed-size-differs": (zip_with(local=[(18, b"\3\0\0\0")]), "two things"),
        "local-crc-differs": (zip_with(local=[(14, b"\0\0\0\0")]), "two things"),
        "local-method-differs": (zip_with(local=[(8, b"\x08\0")]), "two things"),
        "encrypted": (zip_with(local=[(6, b"\1\0")], central=[(8, b"\1\0")]), "encrypted"),
        "unknown-method": (zip_with(local=[(8, b"\x63\0")], central=[(10, b"\x63\0")]), "method"),
        "wrong-crc": (zip_with(local=[(14, b"\1\1\1\1")], central=[(16, b"\1\1\1\1")]), "broken"),
        "offset-beyond": (zip_with(central=[(42, b"\xff\xff\0\0")]), "before 'file' that belong"),
        "before-the-first": (b"#!/bin/sh\n" + zip_with(), "not an archive|before its first"),
        "after-the-end": (zip_with() + b"more", "no directory at the end"),
        "two-ends": (zipped(("a", "x"), comment=b"PK\5\6" + b"\0" * 18), "two ends"),
        "comment": (zipped(("a", "x"), comment=b"hello"), {b"a": b"x"}),
        "count-lies": (_count_lies(), "several parts|entries"),
        "truncated": (zip_with()[:-30], "no directory|broken"),
        "hidden-file": (_hidden_zip(), "belong to no file"),
        "file-called-directory": (zipped((info("d/", 0o040755), "x")), "has content"),
        "directory": (zipped((info("d/", 0o040755), "")), {b"d": None}),
        "directory-by-mode": (zipped((info("d", 0o040755), "")), "a directory by its mode"),
        "bomb": (_zip_bomb(), "limit: ratio|limit: size"),
        "empty": (zipped(), {}),
        "stored": (zipped(("a", "x"), method=zipfile.ZIP_STORED), {b"a": b"x"}),
        "bzip2": (zipped(("a", "x"), method=zipfile.ZIP_BZIP2), {b"a": b"x"}),
        "lzma": (zipped(("a", "x"), method=zipfile.ZIP_LZMA), "method"),
        "bzip2-bomb": (_lying_zip(zipfile.ZIP_BZIP2), "more content"),
        "deflate-bomb": (_lying_zip(zipfile.ZIP_DEFLATED), "more content"),
        "link-bomb": (_lying_zip(zipfile.ZIP_DEFLATED, mode=0o120777), "more content"),
        "deflate-ends-early": (_lying_zip(zipfile.ZIP_DEFLATED, size=200 << 10), "less content"),
        "bytes-after-deflate": (_tailed_zip(), "bytes after its content"),
        "directory-with-data": (_tailed_zip(name=b"d/"), "bytes after its content|more content"),
        "descriptor-lies": (
            _lying_descriptor(),
            "two things|belong to no file|not where",
        ),
        "zip64-offset-huge": (_zip64_end(1 << 63), "not there|before its first"),
        "zip64-differs": (_zip64_end(None), "two things of its directory"),
        "unicode-path-of-windows": (_unicode_path_zip(b"caf\x82", "caf\u00e9".encode()), {"caf\u00e9".encode(): b"x"}),
        "streamed": (_streamed_zip(), {b"a": b"x" * 1000, b"b": b"y"}),
        "unicode-path-differs": (_unicode_path_zip(), "second name"),
    }
    return found | packed | {f"{name}.zip": pair for name, pair in zips.items()}


def _duplicate_zip(*contents):
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return zipped(*(("a", data) for data in contents))


def _count_lies():
    data = zip_with()
    return data[:-22] + struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 2, 2, 50, 38, 0)


def _hidden_zip():
    """A second file, which only programs see that read from the beginning."""
    one, two = zip_with(name=b"seen"), zip_with(name=b"hide")
    start = one.index(b"PK\1\2")
    hidden = two[: two.index(b"PK\1\2")]
    table = bytearray(one[start : one.index(b"PK\5\6")])
    table[42:46] = struct.pack("<I", len(hidden))
    body = hidden + one[:start]
    return body + bytes(table) + struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 1, 1, len(table), len(body), 0)


def _zip_bomb():
    return zipped(*((f"{number}", b"\0" * (32 << 20)) for number in range(12)))


def _streamed_zip():
    """Written to a pipe: sizes come after the files."""

    class Pipe(io.RawIOBase):
        def __init__(self):
            self.data = b""

        def writable(self):
            return True

        def write(self, data):
            self.data += bytes(data)
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", b"x" * 1000)
        archive.writestr("b", b"y")
    return pipe.data


def _unicode_path_zip(name=b"a", told=b"evil"):
    made = zipfile.ZipInfo("n" * len(name))
    made.extra = struct.pack("<HHBI", 0x7075, 5 + len(told), 1, zlib.crc32(name)) + told
    return zipped((made, "x")).replace(b"n" * len(name), name)


def _lying_zip(method, *, mode=0o100644, size=10):
    """A file of 100 KiB that says it is shorter, or longer."""
    true = struct.pack("<I", 100 << 10)
    made = info("a", mode)
    made.compress_type = method
    return zipped((made, b"\0" * (100 << 10))).replace(true, struct.pack("<I", size))


def _lying_descriptor():
    data = bytearray(_streamed_zip())
    data[data.index(b"PK\7\x08") + 4] ^= 1
    return bytes(data)


def _tailed_zip(name=b"a"):
    """Compressed data that ends before it should: what is behind it some programs see."""
    packer = zlib.compressobj(wbits=-15)
    data = packer.compress(b"" if name.endswith(b"/") else b"good") + packer.flush()
    packed = data + b"hidden"
    content = b"" if name.endswith(b"/") else b"good"
    made = zip_with(name=name, data=packed)
    numbers = struct.pack("<III", zlib.crc32(packed), len(packed), len(packed))
    made = made.replace(numbers, struct.pack("<III", zlib.crc32(content), len(packed), len(content)))
    return made.replace(b"\x14\0\0\0\0\0", b"\x14\0\0\0\x08\0")


def _zip64_end(offset):
    """A second end, for large archives, that is elsewhere (`offset`) or tells another number of files (None)."""
    made = zip_with()
    body, end = made[:-22], made[-22:]
    _, _, _, _, _, length, start, _ = struct.unpack("<4sHHHHIIH", end)
    record = struct.pack(
        "<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, 1 if offset else 2, 1 if offset else 2, length, start
    )
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, offset or len(body), 1)
    return body + record + locator + end


if __name__ == "__main__":
    os.makedirs(sys.argv[1], exist_ok=True)
    for name, (data, _) in corpus().items():
        with open(os.path.join(sys.argv[1], name), "wb") as file:
            file.write(data)
