"""A whole deployment as real processes: services of `overt serve` over a real broker and a real Redis.

with Cluster(tmp_path, kafka, redis_server, deployment({"c1": scene}, watchlist)) as cluster:
    cluster.prepare()
    cluster.start({"frame": 1, "detector": 3, "embedder": 1, "matcher": 1, "alerter": 1})
    cluster.wait_done()
    cluster.alerts()
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import cv2
import yaml

from overt.governance.loading import load_deployment
from overt.ports import Record
from overt.runtime.cluster import cluster_world, kafka_settings
from overt.runtime.kafka import KafkaBacklog
from overt.runtime.settings import Settings
from overt.runtime.world import World, partition_count
from tests.support.kafka_broker import KafkaBroker
from tests.support.process import Service, overt
from tests.support.redis_server import RedisServer
from tests.support.scenes import TestScene
from tests.support.typed import typed

CHAIN = (("detector", "frames"), ("embedder", "faces"), ("matcher", "embeddings"), ("alerter", "matches"))
"""Services and the topic that each reads, in the order of a message's way."""
SERVICES = ("frame", *(service for service, _ in CHAIN))
ONE_OF_EACH = dict.fromkeys(SERVICES, 1)
FAST_MODELS = {"detector": "yunet-s", "embedder": "mobilefacenet-192"}
"""Models of the test data that cost a fifth of the default ones; they are no part of the product."""

_prefixes = itertools.count()


def deployment(
    cameras: Mapping[str, TestScene],
    watchlist: Path,
    *,
    name: str = "trial",
    models: Mapping[str, str] = FAST_MODELS,
    loop: bool = False,
    recognition: Mapping[str, Any] | None = None,
    hours: float = 1.0,
    **more: Any,
) -> dict[str, Any]:
    """A deployment file's content: each camera shows its scene on a partition of its own. Its window began an hour ago
    and has `hours` to go."""
    now = datetime.now(UTC).replace(microsecond=0)
    return {
        "deployment": name,
        "purpose": "A test of the pipeline over Kafka",
        "site": {"id": "somewhere", "place": "Here and there", "reason": "A test"},
        "authority": {"officer": "Nobody at all", "reason": "A test"},
        "window": {"start": (now - timedelta(hours=1)).isoformat(), "end": (now + timedelta(hours=hours)).isoformat()},
        "cameras": [
            {
                "id": camera,
                "source": str(scene.video),
                "partition": number,
                "loop": loop,
                "zone": {"id": "pavement", "polygon": [list(corner) for corner in scene.zone]},
            }
            for number, (camera, scene) in enumerate(cameras.items())
        ],
        "watchlist": {
            "source": str(watchlist),
            "categories": [{"id": "listed-for-the-test", "kind": "wanted", "basis": "A test"}],
        },
        "models": dict(models),
        "recognition": dict(recognition or {}),
        **more,
    }


class Cluster:
    """One deployment on a broker and a Redis that others may use too: its topics have a prefix of its own.

    Its file is `folder/deployment.yaml`, logs are `folder/SERVICE-N.log`. `settings` are OVERT_ settings of every
    process, by lower-case name. Nothing runs before `start`; leaving the context kills what still runs.
    """

    def __init__(
        self,
        folder: Path,
        broker: KafkaBroker,
        redis: RedisServer,
        content: Mapping[str, Any],
        *,
        realtime: bool = False,
        settings: Mapping[str, str | Path] | None = None,
        models_dir: Path | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.broker = broker
        self.redis = redis
        self.realtime = realtime
        self.file = folder / "deployment.yaml"
        self.file.write_text(yaml.safe_dump(dict(content), sort_keys=False))
        self.services: dict[tuple[str, int], Service] = {}
        self.planted: set[bytes] = set()
        """Values of records that a test has put on the topics itself: no alerts and no passes."""
        self.settings: dict[str, str | Path] = {
            "kafka_bootstrap": broker.bootstrap,
            "redis_url": redis.url,
            "deployment_key_file": folder / "deployment.key",
            "keyring_file": folder / "keyring",
            "topic_prefix": f"t{os.getpid()}-{next(_prefixes)}.",
            **({"models_dir": models_dir} if models_dir else {}),
            **(settings or {}),
        }

    # Before it runs

    def prepare(self) -> Self:
        """A deployment key, the topics, and the watchlist enrolled and published: by the commands a user types."""
        self.make_topics()
        self._type("watchlist", "publish", "-d", self.file)
        return self

    def make_topics(self) -> None:
        """`prepare` without the watchlist: enough for a frame service."""
        if not Path(self.settings["deployment_key_file"]).exists():
            self._type("keys", "create", self.settings["deployment_key_file"])
        self._type("topics", "apply", "-d", self.file)

    def _type(self, *arguments: str | Path) -> None:
        done = typed(*arguments, **{"cache": os.environ.get("OVERT_CACHE", ""), **self.settings})
        assert done.returncode == 0, f"overt {' '.join(map(str, arguments))}: {done.returncode}\n{done.stderr}"

    def cli(self, *arguments: str | Path, timeout_s: float = 120.0) -> str:
        """What `overt ARGUMENTS` prints with this cluster's settings. AssertionError when it fails."""
        done = subprocess.run(
            overt(*arguments), env=self._env(), capture_output=True, text=True, timeout=timeout_s, check=False
        )
        assert done.returncode == 0, f"overt {' '.join(map(str, arguments))}: {done.returncode}\n{done.stderr}"
        return done.stdout

    def _env(self) -> Mapping[str, str]:
        return Service(["none"], self.folder, settings=self.settings).env

    # Services

    def start(self, replicas: Mapping[str, int] | None = None, *, timeout_s: float = 120.0) -> None:
        """So many more of each service (one, without `replicas`), all at once, and waits until all are ready.

        The frame service comes last, so that nothing waits for a service that is still loading its model.
        """
        wanted = ONE_OF_EACH if replicas is None else replicas
        later = {service: count for service, count in wanted.items() if service == "frame"}
        for group in ({s: n for s, n in wanted.items() if s not in later}, later):
            spawned = [self.add(service, wait=False) for service, count in group.items() for _ in range(count)]
            for service in spawned:
                service.wait_ready(timeout_s)

    def add(
        self,
        service: str,
        *,
        wait: bool = True,
        timeout_s: float = 120.0,
        settings: Mapping[str, str | Path] | None = None,
    ) -> Service:
        """One more replica, numbered from 0 within its service; ready, unless `wait` is False. `settings` are its own,
        over those of the cluster."""
        number = sum(name == service for name, _ in self.services)
        argv = overt("serve", service, "-d", self.file, "--realtime" if self.realtime else "--no-realtime")
        replica = Service(argv, self.folder, settings={**self.settings, **(settings or {})}, name=f"{service}-{number}")
        self.services[service, number] = replica
        replica.spawn()
        if wait:
            replica.wait_ready(timeout_s)
        return replica

    def service(self, name: str, number: int = 0) -> Service:
        """A replica, running or not. `start`, `terminate`, `kill`, `freeze`, `thaw`, `scrape` are its own."""
        return self.services[name, number]

    def replicas(self, name: str | None = None) -> list[Service]:
        """Replicas of a service (of all) that run, frozen ones too."""
        return [s for (of, _), s in self.services.items() if name in (None, of) and s.child.running]

    def stop(self, *names: str, timeout_s: float = 30.0) -> float:
        """SIGTERM to every replica of the services (of all), all at once; seconds until the last has ended."""
        running = [s for name in names or (None,) for s in self.replicas(name)]
        began = time.monotonic()
        for service in running:
            service.child.signal(signal.SIGTERM)
        for service in running:
            service.terminate(timeout_s)
        return time.monotonic() - began

    def total(self, metric: str, service: str | None = None, **labels: str) -> float:
        """Sum of a metric over the replicas that run and answer. What ended replicas had counted is gone."""
        total = 0.0
        for replica in self.replicas(service):
            if replica.status("/healthz") is not None:
                total += replica.scrape().total(metric, **labels)
        return total

    # What is on the topics

    @cached_property
    def world(self) -> World:
        """The cluster as a service sees it, in this process: `world.log`, `world.codec`, `world.leases`, ..."""
        return cluster_world(self.deployment, self._settings, realtime=self.realtime, client="test")

    @cached_property
    def deployment(self) -> Any:
        return load_deployment(self.file, check_files=True)

    @cached_property
    def _settings(self) -> Settings:
        return Settings.model_validate({name: str(value) for name, value in self.settings.items()})

    def records(self, topic: str) -> list[Record]:
        """All records of a topic (named without prefix), as they are."""
        return list(self.world.log.read(self.world.topic(topic)))

    def alerts(self) -> list[dict[str, Any]]:
        """The topic's alerts without what is sealed, repeats included, in order; `offset` is added."""
        return self._plain("alerts")

    def passes(self) -> list[dict[str, Any]]:
        """The topic's passes, repeats included."""
        return self._plain("passes")

    def deadletters(self) -> list[Mapping[str, str]]:
        """Headers of the dead letters: stage, reason, topic, partition, offset."""
        return [record.headers for record in self.records("deadletters")]

    def _plain(self, topic: str) -> list[dict[str, Any]]:
        assert self.world.peek is not None
        mine = [record for record in self.records(topic) if record.value not in self.planted]
        return [{**self.world.peek(record), "offset": record.offset} for record in mine]

    # Waiting

    def lag(self, service: str) -> int:
        """Records that a service has not committed, whether it runs or not."""
        return sum(self._backlogs[service].unconsumed(n) for n in range(partition_count(self.deployment)))

    @cached_property
    def _backlogs(self) -> dict[str, KafkaBacklog]:
        kafka, world = kafka_settings(self._settings, "test"), self.world
        return {s: KafkaBacklog(kafka, world.topic(t), world.group(s)) for s, t in CHAIN}

    def wait_alerts(self, count: int, timeout_s: float = 90.0) -> float:
        """Until so many different alerts are on the topic; the seconds."""
        return self.wait_until(
            lambda: len({a["alert_id"] for a in self.alerts()}) >= count, timeout_s, f"{count} alerts"
        )

    def wait_read(self, frames: int, timeout_s: float = 90.0) -> float:
        """Until the frame service has sent so many frames in all and Redis was told; the seconds."""
        return self.wait_until(lambda: self._sent() >= frames, timeout_s, f"{frames} frames sent")

    def wait_done(self, timeout_s: float = 120.0) -> float:
        """Until every camera's file was sent to its end and all services have worked off what came; the seconds.

        For files that do not loop, and as long as Redis has not lost how far they were read.
        """
        sent = self.wait_until(lambda: self.unread() == 0, timeout_s, "all files sent")
        return sent + self.wait_quiet(max(1.0, timeout_s - sent))

    def unread(self) -> int:
        """Images that all cameras' files still have; each file's end counts as one."""
        return sum(self.frames.values()) + len(self.frames) - self._sent()

    @cached_property
    def frames(self) -> dict[str, int]:
        """How many images each camera's file has."""
        return {camera.camera_id: _frame_count(camera.source or "") for camera in self.deployment.cameras}

    def _sent(self) -> int:
        """Progress is the position of the last image, and that of a file's end is how many images it has."""
        return sum(position + 1 for position in self._progress().values())

    def wait_quiet(self, timeout_s: float = 60.0) -> float:
        """Until all services have worked off what is on their topics; the seconds. Frames may come again later."""
        return sum(
            self.wait_until(lambda s=service: self.lag(s) == 0, timeout_s, f"{service} worked off {topic}")  # type: ignore[misc]
            for service, topic in CHAIN
        )

    def _progress(self) -> dict[str, int]:
        found = {c.camera_id: self.world.leases.read_progress(c.camera_id) for c in self.deployment.cameras}
        return {camera: position for camera, position in found.items() if position is not None}

    def wait_until(self, reached: Callable[[], bool], timeout_s: float, what: str) -> float:
        """Until `reached`; the seconds. AssertionError with where everything stands when it takes longer or a service
        has ended by itself."""
        began = time.monotonic()
        while not reached():
            ended = [s for s in self.services.values() if s.child.exit_code not in (None, 0, -9)]
            assert not ended, f"{ended[0].name} ended with {ended[0].child.exit_code}:\n{ended[0].child.tail(40)}"
            assert time.monotonic() - began < timeout_s, f"not within {timeout_s} s: {what}\n{self.describe()}"
            time.sleep(0.1)
        return time.monotonic() - began

    def describe(self) -> str:
        """Where everything stands, for the message of a failed test."""
        lags = {service: self.lag(service) for service, _ in CHAIN}
        lines = [f"sent {self._progress()}; lag {lags}"]
        lines += [f"{len(self.alerts())} alerts, {len(self.deadletters())} dead letters"]
        for service in self.services.values():
            lines += [f"--- {service.name} exit={service.child.exit_code}", service.child.tail(12)]
        return "\n".join(lines)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for service in self.services.values():
            service.kill()
        for backlog in self.__dict__.get("_backlogs", {}).values():
            backlog.close()


def distinct(records: Sequence[Mapping[str, Any]], field: str) -> set[Any]:
    """The different values of a field."""
    return {record[field] for record in records}


def _frame_count(source: str) -> int:
    video = cv2.VideoCapture(source)
    try:
        return int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    finally:
        video.release()
