"""What a service is built in: a bus, a codec, state and leases. One for a single process, one for a cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from overt.governance.deployment import Deployment
from overt.messages import TOPIC_OF, Alert, Fact, Message, SiteStats, Vector
from overt.ports import Backlog, Codec, Leases, Log, Record, Sink, Source, State
from overt.runtime.codec import PassingCodec
from overt.runtime.frame.lease import MemoryLeases
from overt.runtime.memory import MemoryBus
from overt.runtime.state_codec import StateCodec
from overt.runtime.tracing import NO_TRACING, Tracing
from overt.runtime.watchlist.following import Attendance, leave


def now_us() -> int:
    """The wall clock, in microseconds since the Unix epoch."""
    return time.time_ns() // 1000


@dataclass(frozen=True, slots=True)
class World:
    """The parts behind the ports. `store`, `state_codec` and `peek` are None where one process holds everything."""

    deployment: Deployment
    prefix: str
    source: Callable[[str], Source]
    """A member of the named group."""
    sink: Callable[[], Sink]
    log: Log
    frames_waiting: Backlog
    """What the camera service leaves room for."""
    codec: Codec
    leases: Leases
    store: State | None
    state_codec: StateCodec | None
    peek: Callable[[Record], dict[str, Any]] | None
    refresh: Callable[[], None] = lambda: None
    """Brings gauges up to date when somebody asks for the metrics."""
    attendance: Attendance | None = None
    """By which whoever changes the watchlist knows this process, where it is a matcher."""
    entry_removed: Callable[[str], bool] = lambda _entry_id: False
    """Whether a watchlist entry's key was destroyed: nothing more may be said of it. Raises Unavailable."""
    spend: Callable[[Vector], None] = leave
    """What becomes of a watchlist vector that was copied into the gallery."""
    may_capture: Callable[[], bool] = lambda: True
    """Whether the site is not paused by its guard. In one process nobody adjudicates, and it never is."""
    chores: Callable[[], None] = lambda: None
    """What must be done now and then while a service runs: keys whose time is over are destroyed."""
    tracing: Tracing = NO_TRACING
    """By which a frame is followed through the services. In one process there is no way between them."""
    _partitions: Mapping[str, int] = field(init=False, repr=False)
    """By camera; looked at for every message, with a thousand cameras too."""

    def __post_init__(self) -> None:
        partitions = {camera.camera_id: camera.partition for camera in self.deployment.cameras}
        object.__setattr__(self, "_partitions", partitions)

    def topic(self, name: str) -> str:
        """A topic's full name."""
        return self.prefix + name

    def group(self, service: str) -> str:
        """The consumer group of a service."""
        return group_name(self.prefix, self.deployment.deployment_id, service)

    def route(self, message: Message) -> tuple[str, int | None]:
        """The topic of a message, and its camera's partition; None where the key is hashed."""
        topic = self.topic(TOPIC_OF[type(message)])
        camera = None if isinstance(message, Alert | Fact | SiteStats) else getattr(message, "camera_id", None)
        return topic, self._partitions.get(camera) if camera is not None else None


def group_name(prefix: str, deployment_id: str, service: str) -> str:
    """The consumer group of a service; the cluster's access control lists name it too."""
    return f"{prefix}{deployment_id}.{service}"


SEALED_ON_THE_WAY = (("frames", "detector"), ("faces", "embedder"), ("embeddings", "matcher"))
"""Topics whose records can be read for seconds only, and the service that reads each."""


class Slowest:
    """The longest of several backlogs (`overt.ports.Backlog`): so that reading keeps to the pace of the slowest service
    and nothing piles up on the way until its key has gone."""

    def __init__(self, backlogs: Sequence[Backlog]) -> None:
        self._backlogs = backlogs

    def unconsumed(self, partition: int) -> int:
        """Raises Unavailable."""
        return max(backlog.unconsumed(partition) for backlog in self._backlogs)


def partition_count(deployment: Deployment) -> int:
    """Partitions of the topics that are cut by camera."""
    return max(camera.partition for camera in deployment.cameras) + 1


_FORGETFUL: dict[str, int | None] = {"frames": None, "faces": 64, "embeddings": 64, "matches": 64, "alerts": None}
"""Topics that forget what was worked off, and how many records may wait in them before their producer does: where the
embedder falls behind, the detector slows down, and frames are shed instead of faces waiting for ever. The camera
service has its own count of frames; an alert waits for nobody."""
_LAST_KEPT = 10_000
"""Of the topics that nobody reads in this process."""


def memory_world(deployment: Deployment) -> tuple[World, MemoryBus]:
    """The world of one process. Pixels are handed over as they are and forgotten when the last stage is done."""
    bus = MemoryBus(now_us)
    cut_by_camera = {"frames", "faces", "embeddings", "matches", "passes"}
    for name in [*TOPIC_OF.values(), "deadletters"]:
        count = partition_count(deployment) if name in cut_by_camera else 1
        if name in _FORGETFUL:
            bus.create(name, count, keep=False, most=_FORGETFUL[name])
        else:
            bus.create(name, count, most=None if name == "watchlist" else _LAST_KEPT)
    world = World(
        deployment=deployment,
        prefix="",
        source=bus.source,
        sink=bus.sink,
        log=bus.log(),
        frames_waiting=bus.backlog("frames", f"{deployment.deployment_id}.detector"),
        codec=PassingCodec(),
        leases=MemoryLeases(),
        store=None,
        state_codec=None,
        peek=None,
    )
    return world, bus
