"""Reads tables of a FlatBuffer file without generated code: offsets, vectors and scalars, each within the file.

The format is FlatBuffers' own (https://flatbuffers.dev/internals): a table begins with the distance to its vtable,
which tells where each field lies; a field that is absent has its default.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A table at `position` of `data`. Every method raises ValueError for what lies outside the file."""

    data: bytes
    position: int

    @classmethod
    def root(cls, data: bytes) -> Table:
        """The file's first table."""
        return cls(data, _read(data, "<I", 0))

    def integer(self, field: int, form: str, default: int = 0) -> int:
        """A scalar field, `form` as in `struct` ("<i", "<b", ...)."""
        at = self._place(field)
        return default if at is None else _read(self.data, form, at)

    def table(self, field: int) -> Table | None:
        """A field that is a table; None where it is absent."""
        at = self._place(field)
        return None if at is None else self._follow(at)

    def tables(self, field: int) -> list[Table]:
        """A field that is a vector of tables; empty where it is absent."""
        start, count = self._vector(field)
        return [self._follow(start + 4 * i) for i in range(count)]

    def integers(self, field: int) -> list[int]:
        """A field that is a vector of 32-bit integers; empty where it is absent."""
        start, count = self._vector(field)
        return [_read(self.data, "<i", start + 4 * i) for i in range(count)]

    def raw(self, field: int) -> bytes:
        """A field that is a vector of bytes; empty where it is absent."""
        start, count = self._vector(field)
        if start + count > len(self.data):
            raise ValueError(f"a vector of {count} bytes at {start} ends outside the file")
        return self.data[start : start + count]

    def _follow(self, at: int) -> Table:
        return Table(self.data, at + _read(self.data, "<I", at))

    def _vector(self, field: int) -> tuple[int, int]:
        """Where the first element lies, and how many there are; never more than the file has bytes."""
        at = self._place(field)
        if at is None:
            return 0, 0
        start = at + _read(self.data, "<I", at)
        count = _read(self.data, "<I", start)
        if count > len(self.data):
            raise ValueError(f"a vector at {start} claims {count} elements")
        return start + 4, count

    def _place(self, field: int) -> int | None:
        vtable = self.position - _read(self.data, "<i", self.position)
        entry = 4 + 2 * field
        if entry + 2 > _read(self.data, "<H", vtable):
            return None
        offset = _read(self.data, "<H", vtable + entry)
        return self.position + offset if offset else None


def _read(data: bytes, form: str, at: int) -> int:
    if at < 0 or at + struct.calcsize(form) > len(data):
        raise ValueError(f"byte {at} lies outside the file")
    value = struct.unpack_from(form, data, at)[0]
    return int(value)
