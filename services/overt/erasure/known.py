"""Finds pieces of known contents in bytes, however many contents there are, in one pass.

As rsync and deduplicating stores do it: every 8-byte window of the contents is known, and the bytes searched are looked
at every 16 bytes only. Whatever has `SHORTEST` bytes in a row of a content holds such a place, wherever it begins.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from overt.messages import Vector

_WINDOW = 8
_STRIDE = 16
SHORTEST = 2 * _STRIDE - 1
"""So many bytes of a content in a row are found for certain."""

_MOST_BITS = 26
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 by the golden ratio
_LEAST_DISTINCT = 4  # bytes of a window: files are full of zeros and of short patterns, which are nobody's


class KnownContents:
    """Contents by name, ready to be looked for. Raises ValueError when one is shorter than `SHORTEST`."""

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        self.names = tuple(contents)
        self._contents = tuple(contents.values())
        for name, content in contents.items():
            if len(content) < SHORTEST:
                raise ValueError(f"{name} has {len(content)} bytes; fewer than {SHORTEST} cannot be told from chance")
        windows = [_windows(content) for content in self._contents]
        every = np.concatenate([np.empty(0, "<u8"), *windows])
        owners = np.repeat(np.arange(len(windows)), [len(w) for w in windows])
        self._windows, first = np.unique(every, return_index=True)
        self._owners = owners[first]
        bits = min(_MOST_BITS, (16 * len(self._windows)).bit_length())
        self._shift = np.uint64(64 - bits)
        self._table = np.zeros(1 << bits, np.bool_)
        self._table[self._slots(self._windows)] = True

    def find(self, data: bytes) -> Iterator[tuple[int, str]]:
        """For each content of which `data` holds a piece: one place, and its name."""
        samples = np.frombuffer(data, "<u8", count=len(data) // _WINDOW)[:: _STRIDE // _WINDOW]
        if not len(self._windows) or not len(samples):
            return
        hits = np.flatnonzero(self._table[self._slots(samples)])  # all but a few are left out here, without a search
        at = np.minimum(np.searchsorted(self._windows, samples[hits]), len(self._windows) - 1)
        sure = self._windows[at] == samples[hits]
        hits, owners = hits[sure], self._owners[at[sure]]
        for owner in np.unique(owners):
            content = self._contents[owner]
            for place in (hits[owners == owner] * _STRIDE).tolist():
                piece = data[place : place + _STRIDE]
                if len(piece) == _STRIDE and piece in content:  # 8 bytes alone may be chance
                    yield place, self.names[owner]
                    break

    def _slots(self, windows: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Where each window stands in the table: the upper bits of a product (Knuth, TAOCP 3, 6.4)."""
        slots: NDArray[np.uint64] = (windows * _MULTIPLIER) >> self._shift
        return slots


def _windows(content: bytes) -> NDArray[np.uint64]:
    """Every 8 bytes in a row of `content` that are not a mere pattern, uint64 [N]."""
    rows = np.lib.stride_tricks.sliding_window_view(np.frombuffer(content, np.uint8), _WINDOW)
    distinct = 1 + np.count_nonzero(np.diff(np.sort(rows, axis=1), axis=1), axis=1)
    return np.ascontiguousarray(rows[distinct >= _LEAST_DISTINCT]).view("<u8").ravel()


def as_text(name: str, content: bytes) -> dict[str, bytes]:
    """The content as bytes and as it would stand in a log or in JSON: hexadecimal, base64, Python's own."""
    forms = {name: content, f"{name} in hexadecimal": content.hex().encode(), f"{name}, printed": _printed(content)}
    for skip in range(3):  # base64 reads three bytes at a time, from wherever what surrounds the content began
        forms[f"{name} in base64 ({skip})"] = base64.b64encode(content[skip:]).rstrip(b"=")[:-1]
    return forms


def vector_as_text(name: str, vector: Vector) -> dict[str, bytes]:
    """A float32 vector's bytes in all forms of `as_text`, and its numbers as Python and NumPy print them."""
    numbers = {f"{name} as a list": str(vector.tolist()).encode(), f"{name} as NumPy prints it": str(vector).encode()}
    return as_text(name, vector.astype("<f4").tobytes()) | numbers


def _printed(content: bytes) -> bytes:
    return repr(content)[2:-1].encode()
