"""`make soak`: a site at a load that it keeps up with, for an hour: flat in memory, handles, threads and latency.

Every five seconds each service and Redis are looked at. A line is laid through what was read after the warm-up (a fifth
of the time, a minute at least), and what it rises over the rest must stay below a limit: 5 % of the mean for memory, 1
for handles and for threads, 100 ms for the p95 of capture to alert in each minute. All five services must still be the
processes they were, no minute may be without an alert, and there may be no dead letter.

    python -m tests.faults.soak
    python -m tests.faults.soak --minutes 5 --readings readings.csv
"""

from __future__ import annotations

import csv
import os
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from tests.support.cluster import SERVICES, Cluster, deployment
from tests.support.growth import MEASURES, Growth, Trend, trend
from tests.support.kafka_broker import KafkaBroker
from tests.support.ordeal import COOLDOWN_S, KEY_LIFE_S, LISTED, S, street
from tests.support.process import Service
from tests.support.redis_server import RedisServer
from tests.support.reliability import REPOSITORY
from tests.support.scenes import Scenes

_EVERY_S = 5.0
_WARM_SHARE, _WARM_S = 0.2, 60.0
_MEMORY_SHARE = 0.05
_MOST = {"handles": 1.0, "threads": 1.0}
_LATENCY_S = 0.1
_BATCH = 4
_HELD_UP_S = 12.0
"""The embedder's memory goes with the largest batch it has had: a step, whenever the machine was held up, that looks
like a leak. So its batches are bounded (faces), and at the beginning it is held up until full ones wait for it."""


@dataclass(frozen=True)
class Soaked:
    """What an hour has left."""

    growth: Growth
    latencies: list[tuple[float, float]]
    """Of each alert: seconds since the beginning, and from its capture to its topic."""
    seconds: float
    ended: list[str]
    """Services that are not the processes they were."""
    deadletters: int
    frames: int
    shed: int


@click.command(help=__doc__.replace("\n\n    python", "\n\n\b\nExamples:\n    python"))
@click.option("--minutes", type=click.FloatRange(2), default=60.0, show_default=True)
@click.option("--readings", type=click.Path(dir_okay=False, path_type=Path), help="Keeps every reading, as CSV.")
def main(minutes: float, readings: Path | None) -> None:
    """See the module."""
    data = Path(os.environ.get("OVERT_TEST_DATA") or REPOSITORY.parent / "shared" / "data")
    if not data.is_dir():
        raise click.ClickException(f"test data is missing: {data} is no folder; set OVERT_TEST_DATA to one that has it")
    warm_s = max(_WARM_S, _WARM_SHARE * minutes * 60)
    with tempfile.TemporaryDirectory(prefix="overt-soak-") as folder:
        soaked = _run(Path(folder), data, minutes * 60)
    if readings is not None:
        _keep(soaked, readings)
    held = _tell_growth(soaked.growth, warm_s)
    held &= _tell_latency(soaked.latencies, warm_s)
    held &= _tell_work(soaked)
    click.echo("flat" if held else "NOT flat")
    raise SystemExit(0 if held else 1)


def _run(folder: Path, data: Path, seconds: float) -> Soaked:
    scenes = Scenes(data, REPOSITORY / ".pytest_cache" / "d" / "scenes")
    content = deployment(
        street(scenes),
        scenes.watchlist(LISTED, folder / "list"),
        name="soak",
        loop=True,
        hours=seconds / 3600 + 1,
        recognition={"cooldown_s": COOLDOWN_S},
    )
    with (
        KafkaBroker(folder / "kafka") as broker,
        RedisServer(folder / "redis") as redis,
        Cluster(
            folder / "cluster",
            broker,
            redis,
            content,
            realtime=True,
            models_dir=data / "models",
            settings={"transient_key_life_s": str(KEY_LIFE_S), "embedder_batch": str(_BATCH)},
        ) as cluster,
    ):
        cluster.prepare()
        cluster.start()
        return _look(cluster, redis, seconds)


def _look(cluster: Cluster, redis: RedisServer, seconds: float) -> Soaked:
    pids = {service: cluster.service(service).child.pid for service in SERVICES}
    began, began_us = time.monotonic(), time.time_ns() // 1000
    growth = Growth()
    _hold_up(cluster.service("embedder"))
    while (gone_s := time.monotonic() - began) < seconds:
        growth.look({**pids, "redis": redis.child.pid})
        if gone_s % 60 < _EVERY_S:
            _say(f"{gone_s / 60:.0f} min; load of the machine {os.getloadavg()[0]:.1f}")
        time.sleep(_EVERY_S)
    assert cluster.world.peek is not None
    alerts = [(record.timestamp_us, cluster.world.peek(record)) for record in cluster.records("alerts")]
    alive = {service.child.pid for service in cluster.replicas()}
    return Soaked(
        growth,
        [((at - began_us) / S, (at - alert["captured_at_us"]) / S) for at, alert in alerts],
        seconds,
        [service for service, pid in pids.items() if pid not in alive],
        len(cluster.deadletters()),
        int(cluster.total("overt_records_total", "detector")),
        int(cluster.total("overt_frames_shed_total", "detector")),
    )


def _hold_up(service: Service) -> None:
    service.freeze()
    time.sleep(_HELD_UP_S)
    service.thaw()


def _tell_growth(growth: Growth, warm_s: float) -> bool:
    held = True
    for measure in MEASURES:
        for (service, _), found in sorted(growth.trends(measure, skip_s=warm_s, at_least_s=_EVERY_S).items()):
            most = _MOST.get(measure, _MEMORY_SHARE * found.mean)
            held &= _tell(f"{service} {measure}", found, most)
    return held


def _tell_latency(latencies: list[tuple[float, float]], warm_s: float) -> bool:
    by_minute: dict[int, list[float]] = defaultdict(list)
    for at_s, seconds in latencies:
        by_minute[int(at_s // 60)].append(seconds)
    readings = [(minute * 60.0, float(np.percentile(those, 95)) * 1000) for minute, those in by_minute.items()]
    if not latencies:
        click.echo("capture to alert: there is no alert")
        return False
    of_all = np.percentile([seconds for _, seconds in latencies], [50, 95, 99]) * 1000
    click.echo("capture to alert, whole time: p50 {:.0f}, p95 {:.0f}, p99 {:.0f} ms".format(*of_all))
    return _tell("p95 of capture to alert (ms)", trend(readings, warm_s), _LATENCY_S * 1000)


def _tell_work(soaked: Soaked) -> bool:
    """Whether it was at work all the time: what stands still is flat, too."""
    by_minute = [0] * int(soaked.seconds // 60)
    for at_s, _ in soaked.latencies:
        if 0 <= at_s < 60 * len(by_minute):
            by_minute[int(at_s // 60)] += 1
    click.echo(
        f"{soaked.frames} frames, {soaked.shed} shed; {len(soaked.latencies)} alerts, {min(by_minute)} to "
        f"{max(by_minute)} a minute; {soaked.deadletters} dead letters; ended: {', '.join(soaked.ended) or 'none'}"
    )
    return not soaked.ended and not soaked.deadletters and min(by_minute) > 0


def _tell(what: str, found: Trend, most: float) -> bool:
    flat = found.grown <= most
    click.echo(
        f"{what:<30} mean {found.mean:8.1f}   rose {found.grown:+7.2f} in {found.seconds:.0f} s, at most {most:.1f}"
        f"   {'flat' if flat else 'RISES'}"
    )
    return flat


def _keep(soaked: Soaked, file: Path) -> None:
    with file.open("w", newline="", encoding="utf-8") as opened:
        rows = csv.writer(opened)
        rows.writerow(["what", "measure", "seconds", "value"])
        first_s = min(readings[0][0] for readings in soaked.growth.readings.values())
        for (name, _, measure), readings in soaked.growth.readings.items():
            rows.writerows([name, measure, f"{at_s - first_s:.1f}", value] for at_s, value in readings)
        rows.writerows(["alert", "latency (s)", f"{at_s:.1f}", f"{late_s:.3f}"] for at_s, late_s in soaked.latencies)


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
