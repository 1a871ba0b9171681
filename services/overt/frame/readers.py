"""Opens a camera's source with the reader that its kind needs."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from overt.frame.folder import FolderReader
from overt.frame.reader import Reader
from overt.frame.source import CameraSource, SourceKind
from overt.frame.video import open_rtsp, open_usb, open_video
from overt.ports import Clock

FOLDER_FPS = 10.0
"""Images of a folder for each second, where nobody says otherwise."""


class OpenReader(Protocol):
    """`open_reader`, or what stands in for it where images do not come from a camera: composed scenes."""

    def __call__(
        self, source: CameraSource, *, clock: Clock, folder_fps: float, open_s: float, read_s: float
    ) -> Reader: ...


def open_reader(
    source: CameraSource, *, clock: Clock, folder_fps: float = FOLDER_FPS, open_s: float = 5.0, read_s: float = 5.0
) -> Reader:
    """Opens a source; may block for as long as a live camera takes to answer. Raises CameraError.

    `clock` gives a live camera's images their times, from any beginning, and should not jump as the wall clock does; a
    file's times come from the file. `open_s` and `read_s` are how long FFmpeg waits for a network camera.
    """
    match source.kind:
        case SourceKind.VIDEO:
            return open_video(Path(source.target))
        case SourceKind.FOLDER:
            return FolderReader(Path(source.target), fps=folder_fps)
        case SourceKind.RTSP:
            return open_rtsp(source.target, source.name, clock=clock, open_s=open_s, read_s=read_s)
        case SourceKind.USB:
            return open_usb(int(source.target), clock=clock)
