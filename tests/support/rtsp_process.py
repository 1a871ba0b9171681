"""A live RTSP camera made from a file: run with the system's Python, which has GStreamer's bindings.

    python3 rtsp_process.py PORT STREAM FRAMES_PER_S [ADDRESS]

STREAM is H.264 in Annex B with an access unit delimiter before each picture. It plays round and round from the start of
the process, watched or not, and a client joins wherever it is, as with a camera. `--check` only says what is missing.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

_DELIMITER = b"\x00\x00\x00\x01\x09"
_PIPELINE = (
    "( appsrc name=camera is-live=true format=time do-timestamp=true caps=video/x-h264,stream-format=byte-stream,"
    "alignment=au,framerate={rate}/1 ! h264parse ! rtph264pay config-interval=-1 name=pay0 pt=96 )"
)


def _gstreamer() -> tuple[Any, Any, Any]:
    import gi  # type: ignore[import-untyped, import-not-found, unused-ignore]  # outside the locked environment

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtspServer  # type: ignore[import-untyped, import-not-found, unused-ignore]

    Gst.init(None)
    absent = [name for name in ("appsrc", "h264parse", "rtph264pay") if Gst.ElementFactory.find(name) is None]
    if absent:
        raise ImportError(f"GStreamer has no element {', '.join(absent)}")
    return GLib, Gst, GstRtspServer


class Camera:
    """Pushes the pictures of a looped stream to whoever watches, at its pace."""

    def __init__(self, gst: Any, pictures: list[bytes]) -> None:
        self._gst = gst
        self._pictures = pictures
        self._next = 0
        self._sources: list[Any] = []

    def watch(self, _factory: Any, media: Any) -> None:
        """A client asked for the stream: its pipeline gets the pictures from now on."""
        source = media.get_element().get_by_name("camera")
        self._sources.append(source)
        media.connect("unprepared", lambda _media: self._sources.remove(source))

    def tick(self) -> bool:
        """One picture further."""
        picture = self._pictures[self._next]
        self._next = (self._next + 1) % len(self._pictures)
        for source in self._sources:
            source.emit("push-buffer", self._gst.Buffer.new_wrapped(picture))
        return True


def serve(port: int, stream: Path, frames_per_s: int, address: str = "127.0.0.1") -> None:
    """Serve rtsp://ADDRESS:PORT/cam until a signal ends the process."""
    glib, gst, rtsp = _gstreamer()
    parts = stream.read_bytes().split(_DELIMITER)
    camera = Camera(gst, [_DELIMITER + part for part in parts if part])
    factory = rtsp.RTSPMediaFactory()
    factory.set_launch(_PIPELINE.format(rate=frames_per_s))
    factory.set_shared(True)
    factory.connect("media-configure", camera.watch)
    server = rtsp.RTSPServer()
    server.set_address(address)
    server.set_service(str(port))
    server.get_mount_points().add_factory("/cam", factory)
    if server.attach(None) == 0:
        raise SystemExit(f"cannot listen on {address}:{port}")
    glib.timeout_add(round(1000 / frames_per_s), camera.tick)
    glib.MainLoop().run()


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        _gstreamer()
    else:
        serve(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
