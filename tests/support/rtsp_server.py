"""A real RTSP server process (GStreamer's) that plays a video in a loop like a camera, to be killed and frozen."""

from __future__ import annotations

import functools
import shutil
import subprocess
from pathlib import Path

from tests.support.child import Child, ChildFailed, Started
from tests.support.ports import accepts, free_port

# Debian's bindings of GStreamer belong to its own Python, not to a virtual environment's.
PYTHON = "/usr/bin/python3"
SCRIPT = Path(__file__).with_name("rtsp_process.py")


@functools.cache
def rtsp_unavailable() -> str | None:
    """None when a server can be started here, else why not."""
    if shutil.which("ffmpeg") is None:
        return "ffmpeg is missing: install it (infra/test-deps.sh does on Debian)"
    if not Path(PYTHON).exists():
        return f"{PYTHON} is missing, which runs GStreamer's RTSP server"
    done = subprocess.run([PYTHON, str(SCRIPT), "--check"], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode == 0:
        return None
    said = (done.stderr.strip().splitlines() or ["no message"])[-1]
    return f"GStreamer's RTSP server is missing ({said}): infra/test-deps.sh installs it on Debian"


def encode(video: Path, stream: Path, *, frames_per_s: int, width: int) -> None:
    """The video as `rtsp_process.py` plays it: H.264, no sound. ChildFailed when ffmpeg cannot."""
    # A key picture every half second: a client that joins anywhere sees something soon.
    filters = f"fps={frames_per_s},scale={width}:-2"
    coder = f"-an -pix_fmt yuv420p -c:v libx264 -preset veryfast -crf 20 -bf 0 -g {max(1, frames_per_s // 2)}"
    target = "-bsf:v h264_metadata=aud=insert -f h264"
    words = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", str(video), "-vf", filters]
    command = [*words, *coder.split(), *target.split(), str(stream)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        stream.unlink(missing_ok=True)
        raise ChildFailed(f"ffmpeg could not encode {video}: {done.stderr.strip()}")


class RtspServer(Started):
    """A camera at `url` that shows `video` in a loop, `frames_per_s` pictures a second, on a port that stays its own.

    The picture that a client sees first is wherever the loop is. `start` after `kill` or `stop` serves the same URL
    from the loop's first picture. Nothing runs before `start`, which re-encodes the video once (H.264, no sound).
    """

    def __init__(
        self, video: Path, folder: Path, *, port: int | None = None, frames_per_s: int = 15, width: int = 640
    ) -> None:
        self.video = video
        self.folder = folder
        self.port = port or free_port()
        self.frames_per_s = frames_per_s
        self.width = width
        self.log_path = folder / "rtsp.log"
        self._stream = folder / "stream.h264"
        words = [PYTHON, str(SCRIPT), str(self.port), str(self._stream), str(frames_per_s)]
        self.child = Child(words, log_path=self.log_path)

    @property
    def url(self) -> str:
        """Where the camera is."""
        return f"rtsp://127.0.0.1:{self.port}/cam"

    def start(self, timeout_s: float = 30.0) -> float:
        """Start and wait until it accepts connections; returns the seconds. ChildFailed when it does not."""
        if not self._stream.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            encode(self.video, self._stream, frames_per_s=self.frames_per_s, width=self.width)
        self.child.spawn()
        try:
            return self.child.wait_until(lambda: accepts(self.port), timeout_s)
        except ChildFailed:
            self.kill()
            raise

    def stop(self) -> float:
        """SIGTERM; returns the seconds."""
        return self.child.terminate()

    def kill(self) -> None:
        """SIGKILL: clients' connections are reset. Harmless when it does not run."""
        self.child.kill()

    def restart(self) -> float:
        """`kill` and `start`, as when a camera loses its power for a moment."""
        self.kill()
        return self.start()

    def freeze(self) -> None:
        """SIGSTOP: connections stay open, new ones are accepted by the kernel, and no picture comes."""
        self.child.freeze()

    def thaw(self) -> None:
        """SIGCONT after `freeze`."""
        self.child.thaw()
