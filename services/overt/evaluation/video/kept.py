"""Composed stretches on disk, for whoever runs other models or rules over the very same pictures.

A stretch is one file: for each picture its length (4 bytes, big endian) and its encoded bytes, the same that a reader
of the scene decodes; its truth lies beside it as JSON. They show the people of the data set; deleting the folder
deletes them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import cv2

from overt.demo.film import VERSION
from overt.demo.walk import Walker
from overt.evaluation.video.conditions import Conditions
from overt.evaluation.video.truth import TrueFace
from overt.output.private import for_few

Faces = tuple[TrueFace, ...]


def name_of(walkers: Sequence[Walker], conditions: Conditions) -> str:
    """Equal where every pixel is: by the timetable, the photographs' names and sizes, and the conditions."""
    said = hashlib.sha256(repr((VERSION, cv2.__version__, conditions)).encode())
    for walker in walkers:
        path = walker.photo.path
        said.update(repr((walker, path.stat().st_size)).encode())
    return said.hexdigest()[:20]


class Keeping:
    """Writes a stretch as it is made. It appears when it is complete."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._pictures, self._truth = _paths(folder, name)
        self._partial = self._pictures.with_name(f".{name}.{os.getpid()}")
        self._file: BinaryIO | None = os.fdopen(for_few(self._partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb")
        self._faces: list[Faces] = []

    def add(self, encoded: bytes, faces: Faces) -> None:
        """The next picture. Raises OSError."""
        assert self._file is not None
        self._file.write(len(encoded).to_bytes(4, "big") + encoded)
        self._faces.append(faces)

    def finish(self) -> None:
        """All pictures were added. Raises OSError."""
        assert self._file is not None
        self._file.close()
        self._file = None
        said = [[(face.passer, face.xyxy, face.clear) for face in faces] for faces in self._faces]
        os.replace(self._partial, self._pictures)
        partial = self._truth.with_name(f".{self._truth.name}.{os.getpid()}")
        partial.write_text(json.dumps(said), encoding="utf-8")
        os.replace(partial, self._truth)

    def abandon(self) -> None:
        """Not all were made. Harmless after `finish`."""
        if self._file is not None:
            self._file.close()
            self._file = None
            self._partial.unlink(missing_ok=True)


class Kept:
    """A stretch that was kept."""

    def __init__(self, pictures: Path, faces: list[Faces]) -> None:
        self._file = pictures.open("rb")
        self.faces = faces

    def next(self) -> bytes | None:
        """The next picture's bytes; None at the end."""
        length = self._file.read(4)
        return self._file.read(int.from_bytes(length, "big")) if len(length) == 4 else None

    def close(self) -> None:
        self._file.close()


def find(folder: Path, name: str) -> Kept | None:
    """The stretch of that name; None where it was not kept, or not wholly."""
    pictures, truth = _paths(folder, name)
    try:
        said = json.loads(truth.read_text(encoding="utf-8"))
        faces = [tuple(TrueFace(passer, tuple(xyxy), clear) for passer, xyxy, clear in each) for each in said]
        return Kept(pictures, faces)
    except (OSError, ValueError, TypeError):
        return None


def _paths(folder: Path, name: str) -> tuple[Path, Path]:
    return folder / f"{name}.pictures", folder / f"{name}.truth.json"
