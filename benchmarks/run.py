"""Run all benchmarks; each prints its own figures. None of them is a test: machines differ."""

from __future__ import annotations

import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
for name in ("startup", "importing", "nothing_to_do", "hosts", "jail", "prefixes", "promises"):
    print(f"\n# {name}", flush=True)
    subprocess.run([sys.executable, os.path.join(HERE, f"{name}.py")], check=True)
