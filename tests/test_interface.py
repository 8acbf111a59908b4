"""The stable interface: every name of it is there, documented, and cheap to import."""

import pathlib
import re
import subprocess
import sys
import warnings

import pytest

import hashdist

PAGE = pathlib.Path(__file__).parent.parent / "docs/reference/api.md"


def test_every_name_is_there_and_documented():
    documented = set(re.findall(r":: hashdist\.(\w+)", PAGE.read_text(encoding="utf-8")))
    assert documented == set(hashdist.__all__) - {"__version__"}
    for name in hashdist.__all__:
        assert getattr(hashdist, name).__doc__
    assert set(hashdist.__all__) <= set(dir(hashdist))


def test_no_name_is_that_of_a_folder():
    """Importing the folder would put it in place of the name."""
    folders = {path.parent.name for path in pathlib.Path(hashdist.__file__).parent.glob("*/__init__.py")}
    modules = {path.stem for path in pathlib.Path(hashdist.__file__).parent.glob("*.py")}
    assert not set(hashdist.__all__) & (folders | modules)


def test_to_import_it_loads_nothing():
    code = "import hashdist, sys; print(sorted(name for name in sys.modules if name.startswith('hashdist')))"
    assert (
        subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "['hashdist', 'hashdist.version']"
    )


def test_a_deprecated_name_works_and_warns(monkeypatch):
    monkeypatch.setitem(hashdist._DEPRECATED, "make_prefix", ("prefix_of", "0.9"))
    with pytest.warns(DeprecationWarning, match=r"deprecated since 0\.9: use hashdist\.prefix_of"):
        assert hashdist.make_prefix is hashdist.prefix_of
    with warnings.catch_warnings(), pytest.raises(AttributeError):
        hashdist.nothing  # noqa: B018
