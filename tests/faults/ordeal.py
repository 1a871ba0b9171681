"""`make faults`: a site over three brokers and a Redis suffers one fault after the other while people pass.

After each fault it waits until everything has caught up, then lets people pass undisturbed. In the end every alert that
the faces on the bus had promised is computed again without a fault and compared with what was made; alerts belong to
the fault after which they were captured. A row for each fault is printed and written into docs/reliability.md.

    python -m tests.faults.ordeal
    python -m tests.faults.ordeal --only "kill -9 Redis, empty after" --only "a broker cut off" --no-write
    python -m tests.faults.ordeal --list
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
from confluent_kafka import KafkaException
from confluent_kafka import admin as kafka_admin

from overt.ports import Unavailable
from tests.support.child import ChildFailed
from tests.support.cluster import Cluster, deployment
from tests.support.faults import FAULTS
from tests.support.faults_by_records import FLOODED
from tests.support.judgement import Judgement, judge
from tests.support.kafka_cluster import KafkaCluster
from tests.support.ordeal import COOLDOWN_S, KEY_LIFE_S, LISTED, Ordeal, recognised, street
from tests.support.redis_server import RedisServer
from tests.support.reliability import REPOSITORY, Row, write
from tests.support.scenes import Scenes
from tests.support.victim import Fault, Victim
from tests.support.witness import Witness

_SETTLE_S = 90.0
_EXPLAINED = frozenset({"undecodable"})
"""Dead letters that poison explains."""


@dataclass
class Suffered:
    """What was seen while a fault was on; the rest is judged at the end."""

    fault: Fault
    shed: int
    memory_mb: tuple[float, float]


@click.command(help=__doc__.replace("\n\n    python", "\n\n\b\nExamples:\n    python"))
@click.option("--only", multiple=True, metavar="FAULT", help="Only this fault; may be given several times.")
@click.option("--list", "listing", is_flag=True, help="Names the faults and ends.")
@click.option("--write/--no-write", "writing", default=True, show_default=True, help="Into docs/reliability.md.")
def main(only: Sequence[str], listing: bool, writing: bool) -> None:
    """See the module."""
    names = [fault.name for fault in FAULTS]
    if listing:
        click.echo("\n".join(names))
        return
    if unknown := sorted(set(only) - set(names)):
        raise click.BadParameter(f"no such fault: {unknown[0]}; --list names them", param_hint="--only")
    data = Path(os.environ.get("OVERT_TEST_DATA") or REPOSITORY.parent / "shared" / "data")
    if not data.is_dir():
        raise click.ClickException(f"test data is missing: {data} is no folder; set OVERT_TEST_DATA to one that has it")
    chosen = [fault for fault in FAULTS if not only or fault.name in only]
    with tempfile.TemporaryDirectory(prefix="overt-faults-") as folder:
        rows, held = _run(Path(folder), data, chosen)
    if writing:
        write(rows, names)
    raise SystemExit(0 if held else 1)


def _run(folder: Path, data: Path, faults: Sequence[Fault]) -> tuple[list[Row], bool]:
    scenes = Scenes(data, REPOSITORY / ".pytest_cache" / "d" / "scenes")
    cameras = street(scenes)
    shown = {**cameras, FLOODED: scenes.walk([], until_s=0.5, fps=8.0)}
    content = deployment(
        shown,
        scenes.watchlist(LISTED, folder / "list"),
        name="ordeal",
        loop=True,
        hours=3.0,
        recognition={"cooldown_s": COOLDOWN_S},
    )
    content["cameras"][-1]["loop"] = False
    with (
        KafkaCluster(folder / "kafka") as kafka,
        RedisServer(folder / "redis", more_hosts=[kafka.outpost.redis_host] if kafka.outpost else []) as redis,
        Cluster(
            folder / "cluster",
            kafka.brokers[0],
            redis,
            content,
            realtime=True,
            models_dir=data / "models",
            settings={
                "kafka_bootstrap": kafka.bootstrap,
                "kafka_replication": "3",
                "transient_key_life_s": str(KEY_LIFE_S),
            },
        ) as cluster,
    ):
        cluster.prepare()
        _keep(kafka, cluster.world.topic("embeddings"))
        can_be_seen = recognised(cluster, data, cameras)
        ordeal = Ordeal(cluster, Witness(cluster.world))
        ordeal.witness.start()
        cluster.start()
        ordeal.settle(_SETTLE_S)
        ordeal.calm()
        suffered, whole = _suffer(Victim(ordeal, kafka, redis, cameras["north"]), faults)
        cluster.stop("frame")
        cluster.wait_quiet()
        ordeal.witness.stop()
        rows, held = _told(ordeal, suffered, judge(ordeal, cameras, can_be_seen))
        return rows, held and whole


def _suffer(victim: Victim, faults: Sequence[Fault]) -> tuple[list[Suffered], bool]:
    """All that were suffered, and whether that is all: after a fault that is not recovered from, no other would say
    anything."""
    ordeal = victim.ordeal
    suffered: list[Suffered] = []
    for fault in faults:
        why_not = fault.why_not(victim)
        if why_not is not None:
            click.echo(f"{fault.name}: left out: {why_not}")
            continue
        shed, before_mb = ordeal.shed, _memory_mb(ordeal.cluster)
        try:
            ordeal.suffer(fault.name, partial(fault.strike, victim), partial(fault.mend, victim), _SETTLE_S)
        except (AssertionError, ChildFailed, Unavailable, KafkaException) as error:
            click.echo(f"{fault.name}: NOT recovered from: {error}")
            ordeal.outages[-1].until_us, ordeal.outages[-1].recovered_s = 1 << 62, math.inf
            suffered.append(Suffered(fault, ordeal.shed - shed, (before_mb, _memory_mb(ordeal.cluster))))
            with suppress(OSError):  # so that what was promised before can be judged
                fault.mend(victim)
            victim.kafka.revive()
            return suffered, False
        suffered.append(Suffered(fault, ordeal.shed - shed, (before_mb, _memory_mb(ordeal.cluster))))
    return suffered, True


def _told(ordeal: Ordeal, suffered: Sequence[Suffered], judged: Judgement) -> tuple[list[Row], bool]:
    click.echo(str(judged))
    for unseen in judged.passes.unseen:
        click.echo(f"not alerted on: {unseen}")
    other = [letter for letter in judged.other if letter["reason"] not in _EXPLAINED]
    for letter in other:
        click.echo(f"dead letter: {dict(letter)}")
    rows = []
    for number, one in enumerate(suffered):
        rows.append(_row(ordeal, number, one, judged))
        click.echo(f"{rows[-1]} |")
    held = not (judged.missing or judged.doubled or judged.late or judged.passes.unseen or other)
    click.echo("all promises held" if held else "NOT all promises held")
    return rows, held


def _row(ordeal: Ordeal, number: int, one: Suffered, judged: Judgement) -> Row:
    """Alerts and expired records between the beginning of this fault and that of the next."""
    began = ordeal.outages[number].from_us
    ended = ordeal.outages[number + 1].from_us if number + 1 < len(ordeal.outages) else 1 << 62
    missing = [judged.promised[alert_id] for alert_id in judged.missing]
    return Row(
        fault=one.fault.name,
        promised=sum(began <= alert.captured_at_us < ended for alert in judged.promised.values()),
        made=sum(began <= alert["captured_at_us"] < ended for alert in judged.made.values()),
        missing=sum(began <= alert.captured_at_us < ended for alert in missing),
        doubled=sum(began <= second["captured_at_us"] < ended for _, second in judged.doubled),
        expired=sum(began <= at_us < ended for at_us in judged.expired_us),
        shed=one.shed,
        memory_mb=one.memory_mb,
        recovered_s=ordeal.outages[number].recovered_s,
    )


def _memory_mb(cluster: Cluster) -> float:
    """Resident, of all services."""
    found = 0.0
    for replica in cluster.replicas():
        for line in Path(f"/proc/{replica.child.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                found += float(line.split()[1]) / 1024
    return found


def _keep(kafka: KafkaCluster, topic: str) -> None:
    """So that it can be told at the end whose records had expired."""
    entry = kafka_admin.ConfigEntry(  # type: ignore[attr-defined]  # its stub does not export it
        "retention.ms",
        "86400000",
        incremental_operation=kafka_admin.AlterConfigOpType.SET,  # type: ignore[attr-defined]  # likewise
    )
    kind = kafka_admin.ResourceType.TOPIC  # type: ignore[attr-defined]  # likewise
    resource = kafka_admin.ConfigResource(kind, topic, incremental_configs=[entry])  # type: ignore[attr-defined]  # likewise
    admin = kafka_admin.AdminClient({"bootstrap.servers": kafka.bootstrap})
    for done in admin.incremental_alter_configs([resource]).values():
        done.result(30)


if __name__ == "__main__":
    main()
