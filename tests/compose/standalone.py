"""Tries to get out of each container of a running stack; root, Linux.

python -m tests.compose.standalone PROJECT

A network namespace stands for the world outside: it answers HTTP, names and echoes, and notes every packet that comes.
A container on an ordinary network reaches it, which shows that the test can fail. Then each container of the project
tries: from its network namespace as root, which no container is, and once more as itself where it is Overt's. A
camera's place is taken by a container on the cameras' network; only who reads cameras may reach it. Who has a route, by
a profile of its own, must get out: else that profile serves nothing. It also tries each port on which another container
of the project listens, and must reach those that HAS_ROUTE names and no other.
Exit code 0: nobody got out who may not; 1: somebody did.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
NAMESPACE, LINK, ORDINARY = "overt-outside", "overt-out", "overt-ordinary"
HOST, OUTSIDE = "198.51.100.1", "198.51.100.2"  # TEST-NET-2 (RFC 5737): nobody's
READS_CAMERAS = {"frame", "van"}
PUBLISHED = {"prometheus", "grafana"}
ON_THE_BUS = {"kafka", "redis", "registry", "frame", "detector", "embedder", "matcher", "alerter", "statistics"}
# Each a profile of its own that starts with no other; and what of the project it may reach.
HAS_ROUTE = {"models-pull": set[str](), "webhook": ON_THE_BUS | {"prometheus"}, "alertmanager": {"prometheus"}}
_LISTENS, _LOOPBACK = "0A", ("7F", "01000000")  # 127.0.0.0/8, ::1, as the kernel writes them
_AT_ONCE = 4  # containers; most of a probe is waiting
_PATIENCE_S = 120.0  # for what this test starts itself: on a busy machine a Python needs seconds


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
        is_overt=any(setting.startswith("OVERT_METRICS_PORT=") for setting in content["Config"]["Env"] or ()),
    )


def wait_until(what: str, holds: Callable[[], bool]) -> None:
    until_s = time.monotonic() + _PATIENCE_S
    while not holds():
        if time.monotonic() > until_s:
            raise SystemExit(f"not within {_PATIENCE_S:.0f} s: {what}")
        time.sleep(0.2)


def listens(host: str, port: int, *within: str) -> bool:
    asking = f"import socket; socket.create_connection(({host!r}, {port}), 2)"
    command = [*within, sys.executable, "-c", asking]
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0


def remove_leftovers() -> None:
    """Of a run that was killed."""
    for words in (("ip", "netns", "delete", NAMESPACE), ("docker", "network", "rm", ORDINARY)):
        subprocess.run(words, capture_output=True, timeout=60, check=False)


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
                wait_until("the world outside answers", lambda: listens(OUTSIDE, 80))
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
        yield inspected(name)
    finally:
        told("docker", "rm", "--force", name)


@contextmanager
def ordinary_network() -> Iterator[str]:
    told("docker", "network", "create", ORDINARY)
    try:
        yield ORDINARY
    finally:
        told("docker", "network", "rm", ORDINARY)


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


def listening(pid: int) -> set[int]:
    """The ports on which somebody listens for others, in the network namespace of a process (proc(5), net/tcp)."""
    ports = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            local, state = line.split()[1:4:2]
            address, port = local.split(":")
            if state == _LISTENS and not address.endswith(_LOOPBACK):
                ports.add(int(port, 16))
    return ports


def reached(one: Container, others: list[Container]) -> tuple[set[str], list[str]]:
    """The services of which some port answers a container that has a route, and what of it is wrong."""
    doors = {
        f"{address}:{port}": other.service
        for other in others
        if other.service != one.service
        for address in other.addresses
        for port in listening(other.pid)
    }
    within = ("nsenter", "-t", str(one.pid), "-n")
    found = {doors[door] for door in told(*within, sys.executable, str(HERE / "reach.py"), *doors).split()}
    may = HAS_ROUTE[one.service] & set(doors.values())
    faults = [f"{one.service}: reaches {service}" for service in sorted(found - may)]
    return found, faults + [f"{one.service}: does not reach {service}" for service in sorted(may - found)]


def faults_of(one: Container, found: dict[str, bool | str]) -> list[str]:
    ways = {way: answer for way, answer in found.items() if way != "camera"}
    if one.service in HAS_ROUTE:
        faults = [] if ways["HTTP"] else [f"{one.service}: has no way out, and is for that"]
    else:
        faults = [f"{one.service}: {way} got out" for way, answer in ways.items() if answer is True]
    if found["camera"] is not (one.service in READS_CAMERAS):
        faults.append(f"{one.service}: {'reaches' if found['camera'] else 'does not reach'} the cameras' network")
    return faults


def tried(one: Container, camera: str, others: list[Container]) -> tuple[str, list[str]]:
    """What one container could reach, in words, and what of it is wrong."""
    found = probed(one, camera)
    faults = faults_of(one, found)
    if one.is_overt:
        own = probed_as_itself(one, camera)
        if own["raw socket"] != "not allowed":
            faults.append(f"{one.service}: may open a raw socket")
        faults += faults_of(one, own)
    words = ", ".join(way for way, answer in found.items() if answer is True) or "nothing of it"
    if one.service in HAS_ROUTE:
        services, wrong = reached(one, others)
        faults += wrong
        words += f"; of the others {', '.join(sorted(services)) or 'none'}"
    return f"{one.service}: reaches {words}", faults


def check_control(free: Container, camera: str) -> None:
    control = probed(free, camera)
    if control.pop("camera") or not all(answer is True for answer in control.values()):
        raise SystemExit(f"an ordinary container should reach all but the camera, else this proves nothing: {control}")
    print(f"an ordinary container: reaches {', '.join(control)}")


def arrivals(running: list[Container], arrived: set[str]) -> list[str]:
    """Whose packets came outside, whether or not an answer came back."""
    faults: list[str] = []
    for one in running:
        if not one.addresses & arrived or one.service in HAS_ROUTE:
            continue
        way = f"{one.service}: packets arrived outside, no answer came back"
        if one.service in PUBLISHED:
            print(f"{way}: it is on the edge network (docs/deploying.md says how to forbid it)")
        else:
            faults.append(way)
    return faults


def main(project: str) -> int:
    label = f"label=com.docker.compose.project={project}"
    running = [inspected(name) for name in told("docker", "ps", "--quiet", "--filter", label).split()]
    overt = next((one for one in running if one.is_overt), None)
    if overt is None:
        raise SystemExit(f"no container of the project {project} runs Overt: start the stack first")
    image = told("docker", "inspect", "--format", "{{.Config.Image}}", overt.name)
    remove_leftovers()
    faults: list[str] = []
    with ExitStack() as stack:
        seen = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "seen"
        stack.enter_context(world_outside(seen))
        watching = stack.enter_context(container(image, f"{project}_cameras", program="-m http.server 8000 -d /tmp"))
        camera = next(iter(watching.addresses))
        within = ("nsenter", "-t", str(watching.pid), "-n")
        wait_until("the camera's place answers", lambda: listens(camera, 8000, *within))
        network = stack.enter_context(ordinary_network())
        asleep = "-c __import__('time').sleep(3600)"
        free = stack.enter_context(container(image, network, "--dns", OUTSIDE, program=asleep))
        check_control(free, camera)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            running.sort(key=lambda one: one.service)
            for words, wrong in pool.map(lambda one: tried(one, camera, running), running):
                print(words)
                faults += wrong
        check_control(free, camera)  # else who came late found nobody there
        arrived = set(seen.read_text().split())
    faults += arrivals(running, arrived)
    free_to_go = sum(one.service in HAS_ROUTE for one in running)
    print("\n".join(faults) or f"{len(running)} containers: {free_to_go} may get out and did, of the others none did")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
