"""Looks for compressed record batches in Kafka's log segments: a byte search does not see into them."""

from __future__ import annotations

import struct
from pathlib import Path

# baseOffset, batchLength, partitionLeaderEpoch, magic, crc, attributes (Kafka's documentation, "Record Batch")
_HEADER = struct.Struct(">qiibIh")
_NOT_COUNTED_IN_LENGTH = 12
_CODEC = 0x07  # bits of the attributes; 0 is none
_MAGIC = 2


def compressed_batches(folder: Path, topic_prefix: str) -> list[str]:
    """Log segments below `folder`, of topics with this prefix, that hold a compressed batch. What vanishes meanwhile is
    passed over; what cannot be read is the search's to tell."""
    segments = [p for p in folder.rglob("*.log*") if p.parent.name.startswith(topic_prefix)]
    return [str(path) for path in sorted(segments) if _has_compressed(path)]


def _has_compressed(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            while len(header := file.read(_HEADER.size)) == _HEADER.size:
                _, length, _, magic, _, attributes = _HEADER.unpack(header)
                if magic != _MAGIC or length < _HEADER.size - _NOT_COUNTED_IN_LENGTH:
                    return False  # no segment, or the unwritten rest of one
                if attributes & _CODEC:
                    return True
                file.seek(length - (_HEADER.size - _NOT_COUNTED_IN_LENGTH), 1)
    except OSError:
        return False
    return False
