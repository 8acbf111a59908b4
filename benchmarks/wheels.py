"""Eighty real wheels as artifacts of a store: the ground of the benchmarks of prefixes."""

from __future__ import annotations

import glob
import hashlib
import os
import subprocess
import sys
import zipfile

from hashdist.checkout.links import Member
from hashdist.objects.artifact_id import ArtifactId
from hashdist.objects.ids import SpecId
from hashdist.store.making import init_store
from hashdist.store.store import Store

NAMES = """
numpy scipy matplotlib pandas scikit-learn sympy networkx jupyterlab notebook ipython bokeh plotly dask distributed
xarray statsmodels numba llvmlite pillow sphinx babel django sqlalchemy botocore boto3 cryptography fonttools jedi
pytest hypothesis mypy ruff pylint astroid black nltk gensim spacy thinc pygments docutils setuptools pip wheel
requests urllib3 idna certifi charset-normalizer aiohttp yarl multidict frozenlist attrs jsonschema pydantic
pydantic-core fastapi starlette uvicorn click rich typer tqdm joblib threadpoolctl contourpy kiwisolver cycler
pyparsing python-dateutil pytz tzdata six packaging h5py tables astropy scikit-image shapely
""".split()


def download(folder: str) -> list[str]:
    """The wheels, from the package index that pip knows."""
    if not glob.glob(os.path.join(folder, "*.whl")):
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:", "-d", folder]
        subprocess.run([*command, *NAMES], check=True)
    return sorted(glob.glob(os.path.join(folder, "*.whl")))


def unpack(wheel: str, place: str) -> int:
    """Lay a wheel out as it is installed, scripts apart; how many files it has."""
    site = os.path.join(place, "lib", f"python{sys.version_info[0]}.{sys.version_info[1]}", "site-packages")
    os.makedirs(site)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
        return len([name for name in archive.namelist() if not name.endswith("/")])


def make_store(folder: str, wheels: list[str]) -> tuple[Store, list[Member]]:
    """A store with an artifact for each wheel; their directories are all that prefixes look at."""
    path = os.path.join(folder, "store")
    init_store(path)
    store = Store.open(path)
    members = []
    files = 0
    for wheel in wheels:
        name, version = os.path.basename(wheel).split("-")[:2]
        spec = SpecId(hashlib.sha1(wheel.encode(), usedforsecurity=False).hexdigest())
        artifact = ArtifactId(name, version, spec)
        members.append(Member(artifact, store.artifacts.path(artifact)))
        files += unpack(wheel, members[-1].path)
    print(f"{len(members)} wheels, {files} files")
    return store, members
