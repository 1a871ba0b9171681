"""What an interrupted build has already enrolled, sealed, so that the next one goes on from there.

A file beside the one that is to be written, under a key of its own in the keyring that lives a day at most and is
destroyed when the build is done: no vector is ever on the disk in the clear, and what an abandoned build has left opens
for nobody. A record is found by the hash of the image, its box and the models, so that a manifest may be corrected, or
an image replaced, between two attempts.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import struct
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from overt.messages import Box
from overt.ports import Clock, NotAuthentic
from overt.runtime.keys.key import SealingKey
from overt.runtime.keys.keyring import Keyring
from overt.watchlist.enrol import Template, Templates, Unusable

LIFE_US = 24 * 3_600_000_000
"""For so long an interrupted build can be gone on with."""
_LENGTH = struct.Struct(">I")
_LARGEST = 1 << 22
_FORMAT = "overt build journal 1"


class JournalTaken(RuntimeError):
    """Another build writes the same file."""


class BuildJournal:
    """Use it in a `with` block; `finished` removes it, and so does the block's end while it is empty. Raises OSError,
    Unavailable (of the keyring), JournalTaken."""

    def __init__(self, path: Path, keyring: Keyring, clock: Clock) -> None:
        self.path = path
        self._keyring = keyring
        self._clock = clock
        self._file = -1
        self._owner = ""
        self._key: SealingKey | None = None
        self._known: dict[bytes, Template | Unusable] = {}
        self._records = 0

    def __enter__(self) -> Self:
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise JournalTaken(
                f"{self.path}: another build is at work on it; wait for it, or write elsewhere"
            ) from None
        with open(self._file, "rb", closefd=False) as file:
            self._read(file.readline(1000), file)
        if self._key is None:
            self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._owner and not self._known:
            self.finished()
        os.close(self._file)

    def __len__(self) -> int:
        """Images that are known."""
        return len(self._known)

    def remembering(self, templates: Templates, models: Mapping[str, str]) -> Templates:
        """The same templates; an image that is known is not looked at again."""
        made_by = json.dumps(sorted(models.items())).encode()

        def remembered(data: bytes, box: Box | None) -> Template | Unusable:
            name = hashlib.sha256(made_by + repr(box).encode() + hashlib.sha256(data).digest()).digest()
            if name not in self._known:
                self._known[name] = templates(data, box)
                self._append(name, self._known[name])
            return self._known[name]

        return remembered

    def finished(self) -> None:
        """Removes the file and destroys its key: the list is written, or nobody will go on with it."""
        self._known.clear()
        self.path.unlink(missing_ok=True)
        self._keyring.destroy(self._owner)
        self._owner = ""

    def _begin(self) -> None:
        """A new journal under a new key; what was there cannot be opened, or was none."""
        self._owner = f"build:{uuid.uuid4()}"
        self._key = self._keyring.create(self._owner, self._clock() + LIFE_US).key
        os.ftruncate(self._file, 0)
        os.lseek(self._file, 0, os.SEEK_SET)
        _write(self._file, json.dumps({"format": _FORMAT, "owner": self._owner}).encode() + b"\n")

    def _read(self, header: bytes, file: Any) -> None:
        """Takes in what can be opened, and cuts off what a crash left half written."""
        try:
            said = json.loads(header)
            owner = str(said["owner"]) if said["format"] == _FORMAT else ""
        except (ValueError, KeyError, TypeError):
            return
        held = self._keyring.get(owner) if owner.startswith("build:") else None
        if held is None or held.expired(self._clock()):
            return
        self._owner, self._key = owner, held.key
        whole = len(header)
        while (record := self._next(file)) is not None:
            name, outcome = record
            self._known[name] = outcome
            self._records += 1
            whole = file.tell()
        os.ftruncate(self._file, whole)
        os.lseek(self._file, whole, os.SEEK_SET)

    def _next(self, file: Any) -> tuple[bytes, Template | Unusable] | None:
        length = file.read(_LENGTH.size)
        if len(length) < _LENGTH.size or (size := _LENGTH.unpack(length)[0]) > _LARGEST:
            return None
        assert self._key is not None
        try:
            return _decoded(self._key.open(file.read(size), self._associated()))
        except NotAuthentic:
            return None

    def _append(self, name: bytes, outcome: Template | Unusable) -> None:
        assert self._key is not None
        sealed = self._key.seal(_encoded(name, outcome), self._associated())
        _write(self._file, _LENGTH.pack(len(sealed)) + sealed)
        self._records += 1

    def _associated(self) -> bytes:
        """Binds a record to its journal and to its place in it."""
        return f"{self._owner}\x1f{self._records}".encode()


def _encoded(name: bytes, outcome: Template | Unusable) -> bytes:
    if isinstance(outcome, Unusable):
        return name + json.dumps({"why": outcome.why}).encode() + b"\n"
    said = {
        "numbers": len(outcome.vector),
        "eye_distance_px": outcome.eye_distance_px,
        "quality": outcome.quality,
        "warnings": outcome.warnings,
    }
    vector = np.ascontiguousarray(outcome.vector, "<f4").tobytes()
    return name + json.dumps(said).encode() + b"\n" + vector + outcome.thumbnail


def _decoded(plain: bytes) -> tuple[bytes, Template | Unusable]:
    name, (header, _, content) = plain[:32], plain[32:].partition(b"\n")
    said = json.loads(header)
    if "why" in said:
        return name, Unusable(said["why"])
    end = 4 * said["numbers"]
    vector = np.frombuffer(content[:end], "<f4").astype(np.float32)
    warnings = tuple(said["warnings"])
    return name, Template(vector, content[end:], said["eye_distance_px"], said["quality"], warnings)


def _write(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]
