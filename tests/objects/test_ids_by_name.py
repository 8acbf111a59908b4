"""Trees of ours, read quickly."""

import pytest
from hypothesis import given, reject, strategies as st

from hashdist.objects.ids import BlobId
from hashdist.objects.tree import Entry, InvalidTreeError, Mode, encode, ids_by_name

NAMES = st.binary(min_size=1, max_size=8).filter(
    lambda name: b"/" not in name and b"\0" not in name and b"." not in name
)


@given(st.dictionaries(NAMES, st.binary(min_size=20, max_size=20)))
def test_as_the_careful_reader(entries):
    """Whatever bytes names and ids have, it gives what was written."""
    try:
        data = encode(Entry(name, Mode.FILE, BlobId(id.hex())) for name, id in entries.items())
    except InvalidTreeError:
        reject()  # a name that no tree of ours has
    assert ids_by_name(data) == entries


@pytest.mark.parametrize(
    "data",
    [
        b"x",
        b"100644 a\0short",
        b"100644 a\0" + b"1" * 20 + b"rest",
        b"100644 a\0" + b"1" * 20 + b"100644 a\0" + b"2" * 20,
    ],
)
def test_malformed(data):
    """What is no tree, or has a name twice, is refused."""
    with pytest.raises(InvalidTreeError):
        ids_by_name(data)
