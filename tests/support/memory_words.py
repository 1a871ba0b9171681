"""Looking for a vector in the memory of a child process, in whatever order its numbers may stand there.

A library may hold a vector's numbers interleaved with others', so single numbers are looked for: the float32 words at
any address that is a multiple of four, and the same numbers as float64. A few stand there by chance.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overt.messages import Vector

_AT_ONCE = 1 << 20


def numbers_of(pid: int, vectors: Vector) -> list[float]:
    """For each row of `vectors`, float32 [n, D], the share of its numbers that stand in the writable memory of a
    process, as float32 or as float64, whichever is larger. Raises PermissionError where nobody may look."""
    singles = np.ascontiguousarray(vectors, np.float32)
    forms: list[tuple[NDArray[Any], int]] = [
        (singles.view(np.uint32), 0),
        (singles.astype(np.float64).view(np.uint64), 32),
    ]
    found = [[np.zeros(0, form.dtype)] for form, _ in forms]
    for piece in _pieces(pid):
        for (form, shift), seen in zip(forms, found, strict=True):
            seen.append(_present(piece.view(form.dtype), form, shift))
    shares = [np.isin(form, np.concatenate(seen)).mean(axis=1) for (form, _), seen in zip(forms, found, strict=True)]
    return [float(share) for share in np.maximum(*shares)]


def _present(words: NDArray[Any], wanted: NDArray[Any], shift: int) -> NDArray[Any]:
    """Those of `words` that are wanted; first by 16 bits of each, which leaves few to compare."""
    some = np.zeros(1 << 16, np.bool_)
    some[((wanted >> shift) & 0xFFFF).astype(np.intp)] = True
    few = words[some[((words >> shift) & 0xFFFF).astype(np.uint16)]]
    return np.unique(few[np.isin(few, wanted)])


def _pieces(pid: int) -> Iterator[NDArray[np.uint8]]:
    maps = Path(f"/proc/{pid}/maps").read_text(encoding="ascii").splitlines()
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in maps:
            span, rights, *_ = line.split()
            if not rights.startswith("rw") or line.endswith(("[vvar]", "[vsyscall]")):
                continue
            start, end = (int(part, 16) for part in span.split("-"))
            while start < end:
                memory.seek(start)
                try:
                    data = memory.read(min(_AT_ONCE, end - start))
                except OSError:  # a guard page, or gone since
                    break
                if not data:
                    break
                if data.strip(b"\0"):  # most of what is reserved was never touched
                    yield np.frombuffer(data[: len(data) // 8 * 8], np.uint8)
                start += len(data)
