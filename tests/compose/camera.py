"""A camera in the cameras' network of a stack: a real RTSP server, of which only that network knows."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.compose.stack import PROJECT, WORK, Stack, say
from tests.support.rtsp_server import PYTHON, SCRIPT, encode, rtsp_unavailable

NAME, PORT = "camera", 8554
_FRAMES_PER_S = 10


@contextmanager
def camera_in_network(stack: Stack, video: Path) -> Iterator[None]:
    """rtsp://camera:8554/cam shows the video in a loop. A container holds the place and the name; the server, which no
    image here has, is the host's, in that container's network. Root."""
    if os.geteuid() != 0 or (missing := rtsp_unavailable()):
        raise SystemExit(f"smoke: the van's camera: {missing if os.geteuid() == 0 else 'only root can place it'}")
    stream = WORK / "camera.h264"
    encode(video, stream, frames_per_s=_FRAMES_PER_S, width=640)
    image = stack.run("docker", "inspect", "--format", "{{.Config.Image}}", stack.containers("van")[0].name).strip()
    words = ("docker", "run", "--detach", "--rm", "--network", f"{PROJECT}_cameras", "--network-alias", NAME)
    place = stack.run(*words, "--entrypoint", "sleep", image, "7200").strip()
    try:
        pid = stack.run("docker", "inspect", "--format", "{{.State.Pid}}", place).strip()
        serving = [
            "nsenter",
            "-t",
            pid,
            "-n",
            PYTHON,
            str(SCRIPT),
            str(PORT),
            str(stream),
            str(_FRAMES_PER_S),
            "0.0.0.0",
        ]
        with subprocess.Popen(serving) as server:
            try:
                say("a camera is in the cameras' network")
                yield
            finally:
                server.kill()
    finally:
        stack.run("docker", "rm", "--force", place)
