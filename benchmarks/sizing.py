"""How much of everything a number of cameras needs, from figures that benchmarks/scale.py measures.

docs/sizing.md explains each line and says where the figures that stand here come from. Give your own: measure on the
machine that will run it, with the models and the pictures that it will see.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields

import click

_TOPICS_BY_CAMERA = 5  # frames, faces, embeddings, matches, passes
_SHORT_TOPICS, _SEGMENT_S = 3, 10  # of them, those of which a camera's partition begins a segment every 10 s
_ON_DISK_S = 81  # schemas/topics.yaml: until ciphertext has left the disk, at the latest
_PARTITIONS_A_BROKER = 4000  # replicas of partitions; a convention of Kafka's operators, not measured here


def _figure(default: float, means: str) -> float:
    return field(default=default, metadata={"means": means})


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured, and what a site is like."""

    fps: float = _figure(5.0, "Frames a second that a camera sends on while somebody is in its zone.")
    frame_kb: float = _figure(90.0, "A sealed frame.")
    people_per_s: float = _figure(0.2, "Passers-by a second, at each camera.")
    crops: float = _figure(4.0, "Faces sent on for each of them, at most.")
    face_kb: float = _figure(32.0, "A sealed face: crop and thumbnail.")
    frame_ms: float = _figure(8.2, "CPU of the frame service for each frame: reading, zone, JPEG, sealing.")
    detect_ms: float = _figure(58.3, "CPU of the detector for each frame: model, opening, decoding.")
    loop_ms: float = _figure(1.0, "CPU of bus and loop in a detector, for each frame.")
    face_ms: float = _figure(23.0, "CPU of embedder, matcher and alerter for each face.")
    kafka_ms: float = _figure(1.4, "CPU of a broker for each frame, at replication 1.")
    roll_ms: float = _figure(6.0, "CPU of a broker to begin a partition's new segment.")
    redis_ms: float = _figure(0.1, "CPU of Redis for each frame.")
    busy: float = _figure(0.6, "The share of a core that is planned for; the rest is for bursts and takeovers.")
    replication: float = _figure(3.0, "Copies of each partition.")
    broker_mb_s: float = _figure(100.0, "What a broker may write to its disk and network, each.")


@dataclass(frozen=True, slots=True)
class Size:
    """What so many cameras need."""

    cameras: int
    frames_s: float
    frame_cores: float
    detector_cores: float
    face_cores: float
    kafka_cores: float
    redis_cores: float
    partitions: int
    brokers: int
    into_kafka_mb_s: float
    out_of_kafka_mb_s: float
    on_disks_gb: float

    @property
    def cameras_a_core(self) -> float:
        """Of the five services; Kafka and Redis have machines of their own."""
        return self.cameras / (self.frame_cores + self.detector_cores + self.face_cores)


def size(cameras: int, f: Figures) -> Size:
    """The formulas of docs/sizing.md."""
    frames_s = cameras * f.fps
    faces_s = cameras * f.people_per_s * f.crops
    rolls_s = cameras * _SHORT_TOPICS / _SEGMENT_S
    into = (
        frames_s * f.frame_kb + 2 * faces_s * f.face_kb
    ) / 1000  # a face goes on as embedding, its thumbnail with it
    written = into * f.replication
    partitions = cameras * _TOPICS_BY_CAMERA
    brokers = max(3, written / f.broker_mb_s, partitions * f.replication / _PARTITIONS_A_BROKER)

    def cores(per_s: float, cpu_ms: float) -> float:
        return per_s * cpu_ms / 1000 / f.busy

    return Size(
        cameras=cameras,
        frames_s=frames_s,
        frame_cores=cores(frames_s, f.frame_ms),
        detector_cores=cores(frames_s, f.detect_ms + f.loop_ms),
        face_cores=cores(faces_s, f.face_ms),
        kafka_cores=f.replication * (cores(frames_s, f.kafka_ms) + cores(rolls_s, f.roll_ms)),
        redis_cores=cores(frames_s, f.redis_ms),
        partitions=partitions,
        brokers=math.ceil(brokers),
        into_kafka_mb_s=into,
        out_of_kafka_mb_s=into * f.replication,  # to its reader once, and to each follower
        on_disks_gb=written * _ON_DISK_S / 1000,
    )


_LINES: tuple[tuple[str, Callable[[Size], float], str], ...] = (
    ("frames a second", lambda s: s.frames_s, ",.0f"),
    ("cores: frame", lambda s: s.frame_cores, ",.1f"),
    ("cores: detector", lambda s: s.detector_cores, ",.1f"),
    ("cores: embedder, matcher, alerter", lambda s: s.face_cores, ",.1f"),
    ("cameras for each of these cores", lambda s: s.cameras_a_core, ",.1f"),
    ("cores: Kafka, all brokers", lambda s: s.kafka_cores, ",.1f"),
    ("cores: Redis", lambda s: s.redis_cores, ",.2f"),
    ("partitions, of five topics", lambda s: s.partitions, ",.0f"),
    ("brokers", lambda s: s.brokers, ",.0f"),
    ("into Kafka, MB/s", lambda s: s.into_kafka_mb_s, ",.1f"),
    ("out of Kafka, MB/s", lambda s: s.out_of_kafka_mb_s, ",.1f"),
    ("on all brokers' disks, GB", lambda s: s.on_disks_gb, ",.1f"),
)


def table(cameras: Sequence[int], figures: Figures) -> list[str]:
    """As Markdown."""
    sizes = [size(count, figures) for count in cameras]
    head = ["cameras", *(f"{count:,}" for count in cameras)]
    rows = [[name, *(format(of(one), form) for one in sizes)] for name, of, form in _LINES]
    return ["| " + " | ".join(row) + " |" for row in (head, ["---"] + ["--:"] * len(cameras), *rows)]


@click.command(
    help=f"{__doc__}\n\n\b\nExamples:\n  python benchmarks/sizing.py\n"
    "  python benchmarks/sizing.py --cameras 24 --fps 8 --detect-ms 12"
)
@click.option("--cameras", type=click.IntRange(1), multiple=True, default=(10, 100, 1000), show_default=True)
def main(cameras: tuple[int, ...], **figures: float) -> None:
    """See the module."""
    click.echo("\n".join(table(cameras, Figures(**figures))))


for _field in fields(Figures):
    main = click.option(
        f"--{_field.name.replace('_', '-')}",
        type=click.FloatRange(0, min_open=_field.name in ("busy", "broker_mb_s")),
        default=_field.default,
        show_default=True,
        help=_field.metadata["means"],
    )(main)


if __name__ == "__main__":
    main()
