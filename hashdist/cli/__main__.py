"""``python -m hashdist.cli``."""

from .main import run

run()
