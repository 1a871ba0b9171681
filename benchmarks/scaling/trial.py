"""One trial: so many replicas, so many cameras, for so many seconds after everything runs."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from scaling.ahead import ahead
from scaling.cost import cpu_s, machine_s, stolen_s
from scaling.feed import feed
from scaling.replica import Shared, replicate
from scaling.site import Site
from scaling.timed import PARTS

_JOIN_S = 180.0
_SETTLE_S = 2.0
_EACH_WAITS_FOR = 12  # frames for each replica, three batches: one in hand, two fetched
_ENDS_S = 30.0


class TrialFailed(RuntimeError):
    """A replica ended, or the group was not complete in time."""


@dataclass(frozen=True, slots=True)
class Frames:
    """What the cameras show: JPEG files and their width and height in pixels."""

    images: Sequence[bytes]
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Servers:
    """Processes of the broker and of Redis, whose CPU time is counted; none where they are elsewhere."""

    kafka: Sequence[int] = ()
    redis: Sequence[int] = ()
    ahead: bool = False
    """Whether a trial, and these with it, goes ahead of all else while it is measured."""


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured. CPU in seconds for each frame."""

    replicas: int
    cameras: int
    frames: int
    seconds: float
    model_s: float | None
    """For each frame, as it was asked for; None where the real stage ran."""
    parts_s: Mapping[str, float]
    """For each frame, what replicas spent in each of `PARTS`; the stage is the sleep with what the machine added to
    it, or the model."""
    batch: float
    """Frames worked off together, on average."""
    replica_cpu_s: float
    feed_cpu_s: float
    kafka_cpu_s: float
    redis_cpu_s: float
    others_cores: float
    """Cores that processes outside the trial kept busy meanwhile."""
    stolen_cores: float
    """Cores that the machine's hypervisor gave to other machines while something here wanted them."""

    @property
    def stage_s(self) -> float:
        """For each frame."""
        return self.parts_s["stage"]

    @property
    def frames_per_s(self) -> float:
        """Of all replicas together."""
        return self.frames / self.seconds

    @property
    def efficiency(self) -> float:
        """The share of the replicas' time that went into the model; the rest is the bus and the loop."""
        return self.frames_per_s * (self.model_s or self.stage_s) / self.replicas

    @property
    def loop_s(self) -> float:
        """For each frame, what is left of a replica's time: opening, sealing, and the loop itself."""
        return self.replicas / self.frames_per_s - sum(self.parts_s.values())


def run_trial(
    site: Site, cameras: int, replicas: int, model_s: float | None, frames: Frames, seconds: float, servers: Servers
) -> Result:
    """Starts everything, waits until each replica has partitions and works, measures. Raises TrialFailed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["scaling.replica", "scaling.feed"])
    stop = context.Value("b", 0)
    shared = Shared(
        context.Array("q", cameras, lock=False),
        context.Array("d", replicas * len(PARTS), lock=False),
        context.Array("q", replicas, lock=False),
        context.Array("i", replicas, lock=False),
    )
    workers = [
        context.Process(target=replicate, args=(site, number, model_s, shared, stop), daemon=True)
        for number in range(replicas)
    ]
    depth = max(2, -(-_EACH_WAITS_FOR * replicas // cameras))
    words = (site, frames.images, frames.size, depth, shared.done, stop)
    feeder = context.Process(target=feed, args=words, daemon=True)
    with _running(stop, [*workers, feeder]):
        _until_joined(workers, shared, cameras)
        feeder.start()
        own = [process.pid for process in (*workers, feeder) if process.pid is not None]
        pids = [*own, *servers.kafka, *servers.redis]
        with ahead(pids) if servers.ahead else nullcontext():
            _until_moving(workers, feeder, shared)
            return _measure(workers, feeder, shared, model_s, seconds, servers)


@contextmanager
def _running(stop: Any, processes: Sequence[Any]) -> Iterator[None]:
    try:
        for process in processes[:-1]:
            process.start()
        yield
    finally:
        stop.value = 1
        for process in processes:
            if process.pid is not None:
                process.join(_ENDS_S)
                process.kill()
                process.join()


def _until_joined(workers: Sequence[Any], shared: Shared, cameras: int) -> None:
    deadline = time.monotonic() + _JOIN_S
    while sum(shared.assigned) != cameras or min(shared.assigned) == 0:
        _alive(workers)
        if time.monotonic() > deadline:
            raise TrialFailed(
                f"after {_JOIN_S:.0f} s the replicas hold {list(shared.assigned)} of {cameras} partitions"
            )
        time.sleep(0.1)


def _until_moving(workers: Sequence[Any], feeder: Any, shared: Shared) -> None:
    deadline = time.monotonic() + _JOIN_S
    while min(shared.done) == 0:
        _alive([*workers, feeder])
        if time.monotonic() > deadline:
            raise TrialFailed(f"after {_JOIN_S:.0f} s some cameras' frames have not been worked off")
        time.sleep(0.1)
    time.sleep(_SETTLE_S)


def _alive(processes: Sequence[Any]) -> None:
    if any(process.exitcode is not None for process in processes):
        raise TrialFailed("a process of the trial has ended: what it said stands above")


def _measure(
    workers: Sequence[Any], feeder: Any, shared: Shared, model_s: float | None, seconds: float, servers: Servers
) -> Result:
    groups = ([w.pid for w in workers], [feeder.pid], servers.kafka, servers.redis)

    def reading() -> list[float]:
        parts_s = [sum(shared.parts_s[part :: len(PARTS)]) for part in range(len(PARTS))]
        counted = [float(sum(shared.done)), sum(shared.batches), *parts_s]
        return [time.monotonic(), *counted, stolen_s(), machine_s(), *(cpu_s(group) for group in groups)]

    before = reading()
    time.sleep(seconds)
    _alive([*workers, feeder])
    took, frames, batches, *rest = (b - a for a, b in zip(before, reading(), strict=True))
    parts_s, (stolen, machine, *cpu) = rest[: len(PARTS)], rest[len(PARTS) :]
    if not frames:
        raise TrialFailed(f"not one frame was worked off in {seconds:.0f} s")
    replica_cpu_s, feed_cpu_s, kafka_cpu_s, redis_cpu_s = (used / frames for used in cpu)
    return Result(
        len(workers),
        len(shared.done),
        int(frames),
        took,
        model_s,
        {part: spent_s / frames for part, spent_s in zip(PARTS, parts_s, strict=True)},
        frames / max(1.0, batches),
        replica_cpu_s,
        feed_cpu_s,
        kafka_cpu_s,
        redis_cpu_s,
        max(0.0, machine - sum(cpu)) / took,
        stolen / took,
    )
