"""Overwriting what a process held in its memory.

Python frees memory without clearing it, so a decrypted vector would stay readable in the process for as long as nothing
else is put there. What was decrypted is therefore overwritten in place once it has been copied to where it belongs.
"""

from __future__ import annotations

import ctypes

from overt.messages import Vector


def wipe(vector: Vector) -> None:
    """Overwrites a vector's numbers with zeros, whoever owns the memory: nobody may use it afterwards.

    The arrays that the codec makes are views of immutable bytes, which numpy does not write to; the bytes are this
    process's own, and nothing else refers to them.
    """
    if vector.flags.c_contiguous:
        ctypes.memset(vector.ctypes.data, 0, vector.nbytes)
