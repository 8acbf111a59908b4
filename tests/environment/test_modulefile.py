"""The text of modulefiles."""

import subprocess

import pytest
from support import make_prefix

from hashdist.environment.modulefile import MARK, Module, modulefile
from hashdist.environment.variables import VARIABLES


def test_text(tmp_path):
    """Every directory of the prefix is put in front, once; nothing of shells alone, no library path."""
    folders = [folder for variable in VARIABLES for folder in variable.directories if folder]
    prefix = make_prefix(tmp_path, "p", folders)
    text = modulefile(Module("main", "ab12", prefix, ["main at ab12", "Packages: x 1"], "stack"))
    assert text.startswith(f"#%Module1.0\n{MARK}{prefix}\n")
    assert "\nconflict main\nfamily stack\n" in text
    assert 'module-whatis "Packages: x 1"\n' in text
    for variable in VARIABLES:
        for folder in variable.directories:
            line = f"prepend-path {variable.name} {prefix}/{folder}".rstrip("/")
            assert text.count(f"{line}\n") == (variable.shells == "all")
    assert text.index(f"PATH {prefix}/sbin") < text.index(f"PATH {prefix}/bin"), "the last put in front is the first"
    assert "if {[info exists env(MANPATH)]} {\n  prepend-path MANPATH" in text
    assert "LD_LIBRARY_PATH" not in text


@pytest.mark.parametrize("word", ["[exit 3]", "$env(HOME)", 'a"b', "a{b", "a\\b", "a}b", "two\nlines", "plain"])
def test_words(tmp_path, word):
    """Whatever a word holds is one word of Tcl, and nothing in it is run."""
    text = modulefile(Module("m", "1", make_prefix(tmp_path, "p", []), [word]))
    lines = [line for line in text.splitlines() if line.startswith("module-whatis")]
    script = f"proc module-whatis {{text}} {{ puts $text }}\n{lines[0]}\n"
    done = subprocess.run(["tclsh"], input=script, capture_output=True, text=True)
    assert done.stdout == word.replace("\n", " ") + "\n", done.stderr
