"""A folder of images read as if it were a video."""

from __future__ import annotations

import re
from pathlib import Path

from overt.frame.reader import BadImage, EndOfSource, Fault, Grabbed, Reading
from overt.frame.source import CameraError
from overt.picture import MAX_PIXELS, BadPicture, Bgr, declared_size, decode

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})


class FolderReader(Reading):
    """The JPEG and PNG files of a folder, in the order of their names with numbers read as numbers (2 before 10).

    Image n is at n / `fps` seconds. The list is made once, when the folder is opened; subfolders and hidden files are
    left out. Raises CameraError when there is no image, or the folder cannot be listed.
    """

    def __init__(self, folder: Path, *, fps: float) -> None:
        if not fps > 0:
            raise CameraError(f"{folder}: a folder of images needs a frame rate above 0, and {fps} is given")
        try:
            found = [path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()]
        except OSError as error:
            raise CameraError(f"{folder}: it cannot be listed ({error.strerror}); check path and rights") from None
        self._files = sorted((path for path in found if not path.name.startswith(".")), key=natural_order)
        if not self._files:
            raise CameraError(f"{folder}: no image in this folder; expected files that end in .jpg, .jpeg or .png")
        self._fps = fps
        self._next = 0

    def grab(self) -> Grabbed | EndOfSource:
        if self._next >= len(self._files):
            return EndOfSource(len(self._files), self._time_us(len(self._files)))
        self._next += 1
        return Grabbed(self._next - 1, self._time_us(self._next - 1))

    def retrieve(self) -> Bgr | BadImage:
        number = self._next - 1
        try:
            encoded = self._files[number].read_bytes()
        except OSError:
            return BadImage(number, Fault.UNREADABLE)
        try:
            width, height = declared_size(encoded)
            if width * height > MAX_PIXELS:
                return BadImage(number, Fault.TOO_LARGE)
            return decode(encoded)
        except BadPicture:
            return BadImage(number, Fault.UNDECODABLE)

    def close(self) -> None:
        """Nothing is held open."""

    def _time_us(self, number: int) -> int:
        return round(number * 1_000_000 / self._fps)


def natural_order(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Sorts frame-2 before frame-10; equal but for leading zeros: by name."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part.casefold()) for part in parts], path.name
