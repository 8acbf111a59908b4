"""Canonical JSON."""

import json
import pathlib

import pytest
from hypothesis import given, strategies as st

from hashdist.objects import canonical

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)


@given(VALUES)
def test_round_trip(value):
    """What is written is read back, and its bytes are the only ones for it."""
    data = canonical.dumps(value)
    assert canonical.loads(data) == value
    assert canonical.dumps(canonical.loads(data)) == data


@given(st.dictionaries(TEXT, st.integers(0, 9), min_size=2))
def test_order_of_keys_does_not_count(value):
    """Two dictionaries that are equal have equal bytes."""
    assert canonical.dumps(dict(reversed(value.items()))) == canonical.dumps(value)


@pytest.mark.parametrize("value", [1.5, {1: 2}, 2**60, {"a": [0.1]}, "\ud800", b"x", float("nan")])
def test_refused_values(value):
    """Floats, keys that are not text, huge integers and lone surrogates have no encoding."""
    with pytest.raises(canonical.NotCanonicalError):
        canonical.dumps(value)


@pytest.mark.parametrize(
    "data", [b'{"b":1,"a":2}\n', b"{}", b'{"a": 1}\n', b"[1,]\n", b'"\\u0061"\n', b"1.0\n", b"[" * 9999]
)
def test_refused_bytes(data):
    """Bytes that are not the canonical form are not read."""
    with pytest.raises(canonical.NotCanonicalError):
        canonical.loads(data)


def test_golden_vectors():
    """The encoding never changes: these bytes were written once and for all."""
    for line in (
        (pathlib.Path(__file__).parent.parent / "vectors/canonical.jsonl").read_text(encoding="utf-8").splitlines()
    ):
        vector = json.loads(line)
        assert canonical.dumps(vector["value"]) == vector["bytes"].encode()
