"""Tries to get out of each container of a running stack; root, Linux.

python -m tests.compose.standalone PROJECT

A network namespace stands for the world outside: it answers HTTP, names and echoes, and notes every packet that comes.
A container on an ordinary network reaches it, which shows that the test can fail. Then each container of the project
tries: from its network namespace as root, which no container is, and once more as itself where it has a Python. A
camera's place is taken by a container on the cameras' network; only who reads cameras may reach it.
Exit code 0: nobody got out; 1: somebody did.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
NAMESPACE, LINK = "overt-outside", "overt-out"
HOST, OUTSIDE = "198.51.100.1", "198.51.100.2"  # TEST-NET-2 (RFC 5737): nobody's
READS_CAMERAS = {"frame", "van"}
PUBLISHED = {"prometheus", "grafana"}


@dataclass(frozen=True)
class Container:
    name: str
    service: str
    pid: int
    addresses: frozenset[str]
    is_overt: bool


def told(*command: str, stdin: str | None = None, timeout: float = 120) -> str:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def inspected(name: str) -> Container:
    content: dict[str, Any] = json.loads(told("docker", "inspect", name))[0]
    return Container(
        name=name,
        service=content["Config"]["Labels"].get("com.docker.compose.service", name),
        pid=content["State"]["Pid"],
        addresses=frozenset(each["IPAddress"] for each in content["NetworkSettings"]["Networks"].values()) - {""},
        is_overt=content["Config"]["Entrypoint"] == ["overt"],
    )


@contextmanager
def world_outside(seen: Path) -> Iterator[None]:
    told("ip", "netns", "add", NAMESPACE)
    try:
        told("ip", "link", "add", LINK, "type", "veth", "peer", "name", "eth0", "netns", NAMESPACE)
        told("ip", "address", "add", f"{HOST}/30", "dev", LINK)
        told("ip", "link", "set", LINK, "up")
        for words in (f"address add {OUTSIDE}/30 dev eth0", "link set eth0 up", "link set lo up"):
            told("ip", "-n", NAMESPACE, *words.split())
        serving = ["ip", "netns", "exec", NAMESPACE, sys.executable, str(HERE / "outside.py"), OUTSIDE, str(seen)]
        with subprocess.Popen(serving, stderr=subprocess.DEVNULL) as server:
            try:
                time.sleep(1)
                yield
            finally:
                server.terminate()
    finally:
        told("ip", "netns", "delete", NAMESPACE)  # the link goes with it


@contextmanager
def container(image: str, network: str, *options: str, program: str) -> Iterator[Container]:
    words = ["docker", "run", "--detach", "--rm", "--network", network, *options, "--entrypoint", "python3", image]
    name = told(*words, *program.split())
    try:
        time.sleep(1)
        yield inspected(name)
    finally:
        told("docker", "kill", name)


@contextmanager
def ordinary_network() -> Iterator[str]:
    told("docker", "network", "create", "overt-ordinary")
    try:
        yield "overt-ordinary"
    finally:
        told("docker", "network", "rm", "overt-ordinary")


def probed(one: Container, camera: str) -> dict[str, bool | str]:
    probe = str(HERE / "probe.py")
    found: dict[str, bool | str] = json.loads(
        told("nsenter", "-t", str(one.pid), "-n", sys.executable, probe, OUTSIDE, camera)
    )
    return found


def probed_as_itself(one: Container, camera: str) -> dict[str, bool | str]:
    text = (HERE / "probe.py").read_text()
    command = ("docker", "exec", "-i", one.name, "python3", "-", OUTSIDE, camera)
    found: dict[str, bool | str] = json.loads(told(*command, stdin=text))
    return found


def faults_of(one: Container, found: dict[str, bool | str]) -> list[str]:
    camera = found.pop("camera")
    faults = [f"{one.service}: {way} got out" for way, answer in found.items() if answer is True]
    if camera is not (one.service in READS_CAMERAS):
        faults.append(f"{one.service}: {'reaches' if camera else 'does not reach'} the cameras' network")
    return faults


def main(project: str) -> int:
    label = f"label=com.docker.compose.project={project}"
    running = [inspected(name) for name in told("docker", "ps", "--quiet", "--filter", label).split()]
    overt = next((one for one in running if one.is_overt), None)
    if overt is None:
        raise SystemExit(f"no container of the project {project} runs Overt: start the stack first")
    image = told("docker", "inspect", "--format", "{{.Config.Image}}", overt.name)
    faults: list[str] = []
    with ExitStack() as stack:
        seen = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "seen"
        stack.enter_context(world_outside(seen))
        watching = stack.enter_context(container(image, f"{project}_cameras", program="-m http.server 8000 -d /tmp"))
        camera = next(iter(watching.addresses))
        network = stack.enter_context(ordinary_network())
        free = stack.enter_context(
            container(image, network, "--dns", OUTSIDE, program="-c __import__('time').sleep(600)")
        )
        control = probed(free, camera)
        print(f"an ordinary container: {control}")
        if control.pop("camera") or not all(answer is True for answer in control.values()):
            raise SystemExit("the ordinary container should reach everything but the camera: this test proves nothing")
        for one in sorted(running, key=lambda one: one.service):
            found = probed(one, camera)
            print(f"{one.service}: {found}")
            faults += faults_of(one, found)
            if one.is_overt:
                own = probed_as_itself(one, camera)
                if own["raw socket"] != "not allowed":
                    faults.append(f"{one.service}: may open a raw socket")
                faults += faults_of(one, own)
        arrived = set(seen.read_text().split())
    for one in running:
        if one.addresses & arrived:
            way = f"{one.service}: packets arrived outside, no answer came back"
            if one.service in PUBLISHED:
                print(f"{way}: it is on the edge network (docs/deploying.md says how to forbid it)")
            else:
                faults.append(way)
    print("\n".join(faults) or f"{len(running)} containers, none got out")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
