"""From capture to the alert on its topic, with every service a process of its own, at a load that they keep up with."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from scaling.ahead import ahead
from scaling.cost import cpu_s, machine_s
from tests.support.cluster import Cluster, deployment
from tests.support.kafka_broker import KafkaBroker
from tests.support.redis_server import RedisServer
from tests.support.scenes import PEOPLE, Scenes

_COOLDOWN_S = 5
_WARM_S = 15.0  # models opened, groups joined, first tracks begun
_S = 1_000_000
_SERVICES = ("frame", "detector", "embedder", "matcher", "alerter")
Models = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Load:
    """What the cameras show."""

    cameras: int = 2
    fps: float = 8.0
    size: tuple[int, int] = (640, 360)
    every_s: float = 3.0
    """Somebody who is listed begins to pass."""


@dataclass(frozen=True, slots=True)
class Latency:
    """What was measured. Each alert once, by the broker's clock at its arrival."""

    seconds: Sequence[float]
    frames: int
    faces: int
    shed: int
    dropped: int
    cpu_per_frame_s: dict[str, float]
    others_cores: float


def measure(
    folder: Path,
    broker: KafkaBroker,
    redis: RedisServer,
    data: Path,
    models: tuple[str, str],
    load: Load,
    seconds: float,
    *,
    first: bool = False,
) -> Latency:
    """Runs the five services for so long. data: the folder of test data, for its photographs; first: they, the broker
    and Redis go ahead of all else on the machine."""
    scenes = Scenes(data, folder.parent / "scenes")
    walk = {
        f"c{number}": scenes.walk(
            PEOPLE[number:] + PEOPLE[:number], every_s=load.every_s, fps=load.fps, size=load.size, seed=number + 3
        )
        for number in range(load.cameras)
    }
    content = deployment(
        walk,
        scenes.watchlist(PEOPLE, folder / "list"),
        name="latency",
        models={"detector": models[0], "embedder": models[1]},
        loop=True,
        recognition={"cooldown_s": _COOLDOWN_S},
    )
    with Cluster(folder / "cluster", broker, redis, content, realtime=True, models_dir=data / "models") as cluster:
        cluster.prepare()
        cluster.start()
        pids = {service: [replica.child.pid for replica in cluster.replicas(service)] for service in _SERVICES}
        pids |= {"kafka": [broker.child.pid], "redis": [redis.child.pid]}
        with ahead(chain(*pids.values())) if first else nullcontext():
            time.sleep(_WARM_S)
            return _measured(cluster, pids, seconds)


def _measured(cluster: Cluster, pids: Mapping[str, Sequence[int]], seconds: float) -> Latency:

    def reading() -> list[float]:
        counted = [
            cluster.total("overt_records_total", "detector"),
            cluster.total("overt_records_total", "embedder"),
            cluster.total("overt_frames_shed_total", "detector"),
            cluster.total("overt_frames_dropped_total", "frame"),
        ]
        return [*counted, machine_s(), *(cpu_s(group) for group in pids.values())]

    from_us, before, began = time.time_ns() // 1000, reading(), time.monotonic()
    time.sleep(seconds)
    until_us, after, took = time.time_ns() // 1000, reading(), time.monotonic() - began
    frames, faces, shed, dropped, machine, *cpu = (b - a for a, b in zip(before, after, strict=True))
    time.sleep(2.0)
    return Latency(
        _latencies(cluster, from_us, until_us),
        int(frames),
        int(faces),
        int(shed),
        int(dropped),
        {name: used / max(1.0, frames) for name, used in zip(pids, cpu, strict=True)},
        max(0.0, machine - sum(cpu)) / took,
    )


def _latencies(cluster: Cluster, from_us: int, until_us: int) -> list[float]:
    assert cluster.world.peek is not None
    first: dict[str, float] = {}
    for record in cluster.records("alerts"):
        alert = cluster.world.peek(record)
        if from_us <= alert["captured_at_us"] < until_us:
            first.setdefault(alert["alert_id"], (record.timestamp_us - alert["captured_at_us"]) / _S)
    return sorted(first.values())
