"""numpy, scipy and matplotlib from the package index, in a prefix of this machine's Python."""

import subprocess
import sys

import pytest
from support import ORIGINAL_ENV

DRAW = """
import sys, io, numpy, scipy.linalg, matplotlib
matplotlib.use("agg")
import matplotlib.pyplot as plt
plt.plot(scipy.linalg.inv(numpy.eye(3) * 2))
out = io.BytesIO()
plt.savefig(out)
assert out.getvalue().startswith(b"\\x89PNG")
print(sys.prefix)
"""


def test_real_wheels(hdist, write, tmp_path):
    """They come with all they need, draw a picture with an empty environment, and follow the checkout wherever it is."""
    env = {name: value for name, value in ORIGINAL_ENV.items() if name.startswith("PIP_")}
    env |= {
        "PIP_CONFIG_FILE": ORIGINAL_ENV.get("PIP_CONFIG_FILE", ""),
        "PIP_NO_INDEX": "",
        "HOME": ORIGINAL_ENV["HOME"],
    }
    write("stack.toml", f'[host]\npython = "path:{sys.executable}"\n')
    hdist("commit", "stack.toml", "-m", "python", env=env)
    done = hdist("add", "--pip", "matplotlib==3.9.4", "--pip", "scipy", "--pip", "numpy", env=env, expect=None)
    if done.returncode != 0:
        pytest.skip(f"no package index can be reached: {done.stderr.strip().splitlines()[0][:120]}")
    hdist("checkout", "--build", "--to", str(tmp_path / "here"), env=env)
    code = tmp_path / "draw.py"
    code.write_text(DRAW)
    home = {"MPLCONFIGDIR": str(tmp_path / "mpl")}

    def draws(place):
        done = subprocess.run([f"{place}/bin/python", code], env=home, cwd="/", capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert draws(tmp_path / "here") == str(tmp_path / "here")
    (tmp_path / "here").rename(tmp_path / "a place")
    assert draws(tmp_path / "a place") == str(tmp_path / "a place")
    (tmp_path / "f2py").symlink_to(tmp_path / "a place" / "bin" / "f2py")
    assert subprocess.run([tmp_path / "f2py", "-v"], env={}, capture_output=True).returncode == 0
    found = hdist("doctor", str(tmp_path / "a place"), expect=None)
    assert not [line for line in found.stdout.splitlines() if line.startswith(("library", "dangling", "requires"))]
