"""`make soak`: a site at a load that it keeps up with, for an hour: flat in memory, handles, threads and latency.

Every five seconds each service is looked at. A line is laid through what was read after the warm-up (a fifth of the
time, a minute at least), and what it rises over the rest must stay below a limit: 5 % of the mean for memory, 1 for
handles and for threads, 100 ms for the p95 of capture to alert in each minute.

    python -m tests.faults.soak
    python -m tests.faults.soak --minutes 5
"""

from __future__ import annotations

import os
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import click
import numpy as np

from tests.support.cluster import Cluster, deployment
from tests.support.growth import MEASURES, Growth, Trend, trend
from tests.support.kafka_broker import KafkaBroker
from tests.support.ordeal import COOLDOWN_S, KEY_LIFE_S, LISTED, S, street
from tests.support.redis_server import RedisServer
from tests.support.reliability import REPOSITORY
from tests.support.scenes import Scenes

_EVERY_S = 5.0
_WARM_SHARE, _WARM_S = 0.2, 60.0
_MEMORY_SHARE = 0.05
_MOST = {"handles": 1.0, "threads": 1.0}
_LATENCY_S = 0.1


@click.command(help=__doc__.replace("\n\n    python", "\n\n\b\nExamples:\n    python"))
@click.option("--minutes", type=click.FloatRange(2), default=60.0, show_default=True)
def main(minutes: float) -> None:
    """See the module."""
    data = Path(os.environ.get("OVERT_TEST_DATA") or REPOSITORY.parent / "shared" / "data")
    if not data.is_dir():
        raise click.ClickException(f"test data is missing: {data} is no folder; set OVERT_TEST_DATA to one that has it")
    warm_s = max(_WARM_S, _WARM_SHARE * minutes * 60)
    with tempfile.TemporaryDirectory(prefix="overt-soak-") as folder:
        growth, latencies = _run(Path(folder), data, minutes * 60)
    held = _tell_growth(growth, warm_s)
    held &= _tell_latency(latencies, warm_s)
    click.echo("flat" if held else "NOT flat")
    raise SystemExit(0 if held else 1)


def _run(folder: Path, data: Path, seconds: float) -> tuple[Growth, list[tuple[float, float]]]:
    """What was read, and (seconds since the beginning, seconds from capture to the topic) of each alert."""
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
            settings={"transient_key_life_s": str(KEY_LIFE_S)},
        ) as cluster,
    ):
        cluster.prepare()
        cluster.start()
        began, began_us = time.monotonic(), time.time_ns() // 1000
        growth = Growth()
        while time.monotonic() - began < seconds:
            growth.look(cluster.replicas())
            time.sleep(_EVERY_S)
        assert cluster.world.peek is not None
        alerts = [(record.timestamp_us, cluster.world.peek(record)) for record in cluster.records("alerts")]
        latencies = [((at - began_us) / S, (at - alert["captured_at_us"]) / S) for at, alert in alerts]
        return growth, latencies


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
    return _tell("p95 of capture to alert (ms)", trend(readings, warm_s), _LATENCY_S * 1000)


def _tell(what: str, found: Trend, most: float) -> bool:
    flat = found.grown <= most
    click.echo(
        f"{what:<30} mean {found.mean:8.1f}   rose {found.grown:+7.2f} in {found.seconds:.0f} s, at most {most:.1f}"
        f"   {'flat' if flat else 'RISES'}"
    )
    return flat


if __name__ == "__main__":
    main()
