"""`overt run` is linked to nothing: every network call of its process is seen by the kernel's tracer.

What a library does behind Python's back counts too, and what it does after a while: ONNX Runtime's official builds
looked for their maker's host ten seconds after the start until they were told not to.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from overt.models import silent
from tests.support import runs, walks
from tests.support.child import Child
from tests.support.models import CACHE, real_model
from tests.support.process import overt
from tests.support.rtsp_server import RtspServer

AUDIT_S = 20.0
PACKAGE = Path(__file__).resolve().parents[2] / "services" / "overt"
_ADDRESS = re.compile(r'sin6?_port=htons\((\d+)\).*?(?:inet_addr\(|inet_pton\(AF_INET6, )"([^"]+)"')


@dataclass(frozen=True)
class Audit:
    """What the tracer has seen of a process and all its threads and children."""

    calls: Sequence[str]
    log: str
    code: int | None

    @property
    def sockets(self) -> list[str]:
        """Calls that make a socket that could reach anybody outside the process."""
        return [call for call in self.calls if re.search(r"\bsocket\(", call)]

    @property
    def addresses(self) -> set[tuple[str, int]]:
        """Every internet address that was connected to, sent to or listened on."""
        return {(found[2], int(found[1])) for call in self.calls if (found := _ADDRESS.search(call))}


def _tracer_unavailable() -> str | None:
    if shutil.which("strace") is None:
        return "strace is missing: install it to audit the network calls of a run (apt-get install strace)"
    done = subprocess.run(["strace", "-f", "-e", "trace=network", "true"], capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"strace may trace nothing here: {done.stderr.strip().splitlines()[-1]}"


@pytest.fixture
def audited(tmp_path: Path) -> Callable[..., Audit]:
    """Runs a deployment under the tracer, in a home of its own, for so long and until its first alert; then ends it."""
    if (reason := _tracer_unavailable()) is not None:
        pytest.skip(reason)
    home = tmp_path / "home"
    home.mkdir()
    env = runs.environment(cache=CACHE) | {"HOME": str(home), "TMPDIR": str(home)}
    env.pop("XDG_CACHE_HOME", None)
    env.pop("ORT_DISABLE_TELEMETRY", None)  # the product has to see to that itself

    def run(content: dict[str, Any], seconds: float = 0.0) -> Audit:
        file = runs.write(tmp_path / "deployment.yaml", content)
        trace = tmp_path / "trace.txt"
        tracer = ["strace", "-f", "--seccomp-bpf", "-qq", "-s", "64", "-e", "trace=network", "-o", str(trace)]
        with Child(
            [*tracer, *overt("run", file, "--out", tmp_path / "out")], log_path=tmp_path / "log", env=env
        ) as child:
            child.spawn()
            began = time.monotonic()
            child.wait_until(
                lambda: "possible match" in child.log_text() and time.monotonic() - began > seconds,
                180,
                what="through its audit",
            )
            for process in psutil.Process(child.pid).children():  # the tracer would not hand the signal on
                process.terminate()
            child.wait(60)
            assert list(home.rglob("*")) == [], "something was left in the user's folders"
            return Audit(trace.read_text("utf-8").splitlines(), child.log_text(), child.exit_code)

    return run


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A video of a listed person, and the list."""
    for name in ("centerface", "dlib-resnet-v1"):
        real_model(name)
    folder = tmp_path_factory.mktemp("street")
    scene = walks.walk(folder, ("obama3", 0.45, 0.35))
    return scene.video, walks.watchlist(folder / "people", {"s-1": ("obama", "obama3")})


@pytest.mark.slow
def test_a_run_over_files_makes_no_socket_at_all(street: tuple[Path, Path], audited: Callable[..., Audit]) -> None:
    """So it connects to nobody, listens for nobody, and asks for no name."""
    video, people = street
    audit = audited(runs.deployment([runs.camera("one", video, loop=True)], people), AUDIT_S)
    assert audit.code == 0, audit.log
    assert audit.sockets == []
    assert audit.addresses == set()


def test_a_run_over_a_network_camera_connects_to_it_and_to_nothing_else(
    street: tuple[Path, Path],
    rtsp_factory: Callable[..., RtspServer],
    audited: Callable[..., Audit],
) -> None:
    video, people = street
    server = rtsp_factory(video, frames_per_s=8)
    audit = audited(runs.deployment([runs.camera("one", server.url)], people))
    assert audit.code == 0, audit.log
    assert audit.addresses == {("127.0.0.1", server.port)}
    assert [call for call in audit.sockets if "AF_INET, SOCK_STREAM" not in call] == []


def test_the_tracer_sees_a_connection_and_a_question_for_a_name(tmp_path: Path) -> None:
    """Else the audits above would prove nothing."""
    if (reason := _tracer_unavailable()) is not None:
        pytest.skip(reason)
    script = (
        "import socket\n"
        "with socket.socket() as one: one.connect_ex(('127.0.0.1', 9))\n"
        "with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as two: two.sendto(b'x', ('::1', 53))\n"
    )
    trace = tmp_path / "trace.txt"
    subprocess.run(
        ["strace", "-f", "--seccomp-bpf", "-e", "trace=network", "-o", str(trace), sys.executable, "-c", script],
        check=False,
        capture_output=True,
    )
    audit = Audit(trace.read_text("utf-8").splitlines(), "", 0)
    assert ("127.0.0.1", 9) in audit.addresses
    assert len(audit.sockets) == 2


def test_the_model_runtime_is_loaded_in_one_place_that_keeps_it_silent() -> None:
    """A variable that is set after the library was loaded has no effect."""
    loaded = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if re.search(r"^\s*(import onnxruntime|from onnxruntime)\b", path.read_text("utf-8"), re.MULTILINE)
    }
    assert loaded == {"models/silent.py"}
    text = Path(silent.__file__).read_text("utf-8")
    assert text.index('os.environ["ORT_DISABLE_TELEMETRY"] = "1"') < text.index("import onnxruntime")
