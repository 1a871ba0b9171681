"""Damage to bytes that were whole, and how much of it is tried: little in CI, as much as one wants by hand.

make fuzz EXAMPLES=20000
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

_NUMBERS = [
    *(
        number.to_bytes(size, order)
        for size in (1, 2, 4, 8)
        for number in (0, 1, 2 ** (8 * size) - 1, 2 ** (8 * size - 1))
        for order in ("big", "little")
    ),
    b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # the largest number of Avro
    b"\x01",
    b"\xff" * 10,
]


def examples(in_ci: int) -> settings:
    """So many examples in CI, FUZZ_EXAMPLES by hand."""
    return settings(
        max_examples=int(os.environ.get("FUZZ_EXAMPLES") or in_ci),
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
    )


@st.composite
def damaged(draw: st.DrawFn, whole: bytes, *, words: tuple[bytes, ...] = ()) -> bytes:
    """`whole` after one to six edits: bytes changed, cut out, doubled, cut off, or replaced by numbers and words that
    readers stumble over."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.sampled_from(["change", "word", "insert", "cut", "double", "end"])):
            case "change":
                data[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case "word":
                word = draw(st.sampled_from([*_NUMBERS, *words]))
                data[at : at + len(word)] = word
            case "insert":
                data[at:at] = draw(st.sampled_from([*_NUMBERS, *words]) | st.binary(min_size=1, max_size=16))
            case "cut":
                del data[at : at + draw(st.integers(1, 64))]
            case "double":
                data[at:at] = data[at : at + draw(st.integers(1, 256))]
            case _:
                del data[at:]
    return bytes(data)
