"""What ELF files need, also where other tools have moved its parts."""

import os
import shutil
import subprocess

from hashdist.build.runpath import patchelf
from hashdist.elf import read_dynamic


def test_what_patchelf_has_changed(tmp_path):
    """It puts the segment of the loader, and the dynamic section, behind what is loaded."""
    (tmp_path / "a.c").write_text("int main(void) { return 0; }")
    program = str(tmp_path / "a")
    subprocess.run(["cc", "-o", program, "a.c"], cwd=tmp_path, check=True)
    before = read_dynamic(program)
    assert before.interpreter
    assert before.needed
    changed = shutil.copy(program, tmp_path / "b")
    runpath = f"/{'long/' * 200}lib"
    subprocess.run([patchelf(os.environ), "--set-rpath", runpath, changed], check=True)
    after = read_dynamic(changed)
    assert (after.interpreter, after.needed) == (before.interpreter, before.needed)
    assert after.runpath == (runpath,)


def test_what_is_none(tmp_path):
    (tmp_path / "text").write_text("text")
    assert read_dynamic(tmp_path / "text") is None
    (tmp_path / "cut").write_bytes(b"\x7fELF")
    assert read_dynamic(tmp_path / "cut") is None
