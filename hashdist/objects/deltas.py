"""Apply a delta of a pack: copies from what it is based on, and bytes of its own.

Format: git's ``gitformat-pack``, "Deltified representation".
"""

from __future__ import annotations

_COPY = 0x80
_OFFSET_BYTES, _SIZE_BYTES = 4, 3
#: What a copy of no size copies.
_SIZE_OF_NONE = 1 << 16
_LARGEST_SHIFT = 63


def apply_delta(base: bytes, delta: bytes, *, limit: int) -> bytes:
    """What `delta` makes of `base`; raises `ValueError` for a damaged delta, or if that would be over `limit` bytes."""
    try:
        return _apply(base, delta, limit)
    except IndexError as error:
        raise ValueError("a delta that was cut short") from error


def _apply(base: bytes, delta: bytes, limit: int) -> bytes:
    based_on, position = _size(delta, 0)
    size, position = _size(delta, position)
    if based_on != len(base):
        raise ValueError("a delta of something else")
    if size > limit:
        raise ValueError(f"a delta that makes more than {limit} bytes")
    made = bytearray()
    while position < len(delta):
        command = delta[position]
        position += 1
        if command & _COPY:
            start, position = _number(delta, position, command, _OFFSET_BYTES)
            length, position = _number(delta, position, command >> _OFFSET_BYTES, _SIZE_BYTES)
            piece = base[start : start + (length or _SIZE_OF_NONE)]
            whole = len(piece) == (length or _SIZE_OF_NONE)
        else:
            piece = delta[position : position + command]
            whole = 0 < command == len(piece)
            position += command
        made += piece
        if not whole or len(made) > size:
            raise ValueError("a delta that makes what it does not say")
    if len(made) != size:
        raise ValueError("a delta that makes what it does not say")
    return bytes(made)


def _size(delta: bytes, position: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where it ends."""
    size = shift = 0
    while True:
        byte = delta[position]
        position += 1
        if shift > _LARGEST_SHIFT:
            raise ValueError("a delta of a size that nothing has")
        size |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return size, position


def _number(delta: bytes, position: int, present: int, most: int) -> tuple[int, int]:
    """A number of which only some bytes are written, as the bits of `present` say, and where it ends."""
    number = 0
    for place in range(most):
        if present >> place & 1:
            number |= delta[position] << 8 * place
            position += 1
    return number, position
