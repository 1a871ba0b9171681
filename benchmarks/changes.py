"""How long a change of the watchlist takes, from the command until the last matcher has applied it, while video runs.

Against the Kafka and the Redis that OVERT_KAFKA_BOOTSTRAP and OVERT_REDIS_URL name, with topics and names of its own:
a list of synthetic entries is published, the five services are started (two matchers), a video is looped through them,
and changes are made one after the other: somebody is added, then updated, then removed. Printed are p50, p95 and the
longest of each kind. Then the commands that a person types are run as processes: what they say it took, how long they
took as a whole, start included, and the CPU time of that, which other processes on the machine change less.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import numpy as np

from overt.governance.deployment import Deployment
from overt.governance.loading import load_deployment
from overt.messages import AuditAction, Kind, WatchlistEntry
from overt.picture import Picture
from overt.runtime.cluster import TopicsAdmin, cluster_world, open_replicas
from overt.runtime.keys.deployment_key import create_deployment_key
from overt.runtime.keys.deployment_keyring import open_keyring
from overt.runtime.loaded import open_registry
from overt.runtime.settings import load_settings
from overt.runtime.watchlist.changes import By, WatchlistChanges
from overt.runtime.world import now_us

_SERVICES = {"detector": 1, "embedder": 1, "matcher": 2, "alerter": 1, "frame": 1}
_FIRST_PORT = 29600


@click.command(help=__doc__)
@click.option("--video", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Is looped.")
@click.option("--entries", default=100_000, show_default=True, help="On the list before the first change.")
@click.option("--changes", default=100, show_default=True, help="How many are made.")
@click.option("--commands", default=5, show_default=True, help="How many of each command are run.")
@click.option("--detector", default="centerface", show_default=True)
@click.option("--embedder", default="dlib-resnet-v1", show_default=True)
def main(video: Path, entries: int, changes: int, commands: int, detector: str, embedder: str) -> None:
    """See the module."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        deployment = _prepared(Path(folder), video, detector, embedder)
        settings = load_settings()
        space, dimension = (lambda card: (card.space_id, card.dimension))(open_registry(settings).embedder(embedder))
        desk = WatchlistChanges(
            cluster_world(deployment, settings, realtime=True, client="benchmark"),
            open_keyring(deployment, settings),
            open_replicas(deployment, settings),
            now_us,
            By("benchmark", "a measurement"),
        )
        stack.callback(desk.close)
        began = time.monotonic()
        people = [_entry(deployment, number, space, dimension) for number in range(entries)]
        desk.publish(people)
        print(f"{entries} entries published in {time.monotonic() - began:.0f} s", flush=True)
        took = _started(Path(folder), stack)
        print(f"services ready after {took:.0f} s, two matchers with the whole list among them", flush=True)
        _change(desk, deployment, space, dimension, range(entries, entries + changes))
        _type(range(min(commands, entries // 2)))


def _prepared(folder: Path, video: Path, detector: str, embedder: str) -> Deployment:
    create_deployment_key(folder / "key")
    os.environ |= {
        "OVERT_DEPLOYMENT_KEY_FILE": str(folder / "key"),
        "OVERT_KEYRING_FILE": str(folder / "keyring"),
        "OVERT_TOPIC_PREFIX": f"changes{os.getpid()}.",
    }
    (folder / "people").mkdir()
    now = datetime.now(UTC).replace(microsecond=0)
    zone = {"id": "all", "polygon": [[0, 0], [1, 0], [1, 1], [0, 1]]}
    camera = {"source": str(video.absolute()), "loop": True, "zone": zone}
    content = {
        "deployment": "changes",
        "purpose": "A measurement",
        "site": {"id": "here", "place": "Nowhere", "reason": "A measurement"},
        "authority": {"officer": "Nobody", "reason": "A measurement"},
        "window": {"start": now.isoformat(), "end": (now + timedelta(hours=2)).isoformat()},
        "cameras": [{"id": f"c{number}", "partition": number, **camera} for number in range(2)],
        "watchlist": {
            "source": "people",
            "categories": [{"id": "listed-for-the-measurement", "kind": "wanted", "basis": "A measurement"}],
        },
        "models": {"detector": detector, "embedder": embedder},
    }
    file = folder / "deployment.yaml"
    file.write_text(json.dumps(content))  # which is YAML, and repeats a zone instead of naming it
    os.environ["OVERT_DEPLOYMENT"] = str(file)
    deployment = load_deployment(file)
    TopicsAdmin(deployment, load_settings()).apply()
    return deployment


def _entry(deployment: Deployment, number: int, space: str, dimension: int) -> WatchlistEntry:
    vector = np.random.default_rng(number).normal(size=dimension)
    return WatchlistEntry(
        entry_id=f"entry-{number}",
        deployment_id=deployment.deployment_id,
        subject_id=f"subject-{number}",
        category="listed-for-the-measurement",
        kind=Kind.WANTED,
        basis="A measurement",
        valid_from_us=deployment.window.start_us,
        valid_until_us=deployment.window.end_us,
        space_id=space,
        enrolled_at_us=now_us(),
        vector=np.asarray(vector / np.linalg.norm(vector), np.float32),
        reference_image=Picture(bgr=np.full((112, 112, 3), number % 256, np.uint8)),
    )


def _started(folder: Path, stack: ExitStack) -> float:
    began = time.monotonic()
    ports = iter(range(_FIRST_PORT, _FIRST_PORT + 100))
    for service, count in _SERVICES.items():
        for _ in range(count):
            port = next(ports)
            log = stack.enter_context((folder / f"{service}-{port}.log").open("wb"))
            argv = [str(Path(sys.executable).with_name("overt")), "serve", service]
            process = subprocess.Popen(argv, env=os.environ | {"OVERT_METRICS_PORT": str(port)}, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.terminate)
            while not _ready(port):
                if process.poll() is not None:
                    raise click.ClickException((folder / f"{service}-{port}.log").read_text())
                time.sleep(0.2)
    return time.monotonic() - began


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _change(desk: WatchlistChanges, deployment: Deployment, space: str, dimension: int, numbers: range) -> None:
    times: dict[str, list[float]] = defaultdict(list)
    for number in numbers[::3]:
        entry = _entry(deployment, number, space, dimension)
        for action in (AuditAction.ENTRY_ADDED, AuditAction.ENTRY_UPDATED, AuditAction.ENTRY_REMOVED):
            began = time.monotonic()
            if action is AuditAction.ENTRY_REMOVED:
                made = desk.remove([entry.entry_id], lambda _: None)
            else:
                made = desk.put([replace(entry, notes=action.value)], action)
            [done] = desk.wait(made, 30)
            if done.replicas != _SERVICES["matcher"] or done.missing:
                raise click.ClickException(f"{action}: {done.replicas} matchers applied it, {done.missing} did not")
            times[action.value].append(time.monotonic() - began)
    times["all"] = [one for those in times.values() for one in those]
    for what, those in times.items():
        _tell(what, those)


def _type(numbers: range) -> None:
    """Updates and removes listed people by the commands that a person types."""
    overt = str(Path(sys.executable).with_name("overt"))
    for command in ("update --notes seen --subject subject-", "remove --subject subject-", "remove entry-"):
        whole, cpu, said = [], [], []
        for number in numbers:
            who = 2 * number + (command == "remove entry-")
            argv = [overt, "watchlist", *f"{command}{who} --reason measured --json --wait 30".split()]
            began, used = time.monotonic(), _cpu_of_children_s()
            done = subprocess.run(argv, check=True, stdout=subprocess.PIPE, env=os.environ)
            whole.append(time.monotonic() - began)
            cpu.append(_cpu_of_children_s() - used)
            said.append(json.loads(done.stdout)["took_ms"] / 1000)
        _tell(command.rsplit(" ", 1)[0], said)
        _tell("  the whole command", whole)
        _tell("  its CPU time", cpu)


def _cpu_of_children_s() -> float:
    """Of those that have ended: the services run on."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _tell(what: str, seconds: list[float]) -> None:
    if seconds:
        p50, p95, longest = np.percentile(seconds, [50, 95, 100]) * 1000
        print(f"{what:<26} {len(seconds):>4}   p50 {p50:5.0f} ms   p95 {p95:5.0f} ms   longest {longest:5.0f} ms")


if __name__ == "__main__":
    main()
