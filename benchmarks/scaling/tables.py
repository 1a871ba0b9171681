"""The tables of `benchmarks/scale.py`."""

from __future__ import annotations

import numpy as np

from scaling.latency import Latency
from scaling.timed import PARTS
from scaling.trial import Result

_TIME = ("late", *PARTS[1:], "loop")
_CPU = ("replica", "feeder", "Kafka", "Redis")
HEADER = (
    f"{'replicas':>8} {'cameras':>7} {'frames/s':>8} {'batch':>5} {'efficiency':>10} {'scaling':>7}   "
    f"ms a frame: {'stage':>5} {' '.join(f'{part:>6}' for part in _TIME)}   "
    f"CPU: {' '.join(f'{who:>7}' for who in _CPU)}   {'others':>6} {'stolen':>6}"
)


def row(one: Result, first: Result) -> str:
    """`scaling`: frames a second of each replica, against those of the table's first row."""
    scaling = (one.frames_per_s / one.replicas) / (first.frames_per_s / first.replicas)
    late_s = 0.0 if one.model_s is None else one.stage_s - one.model_s
    time_s = (late_s, *(one.parts_s[part] for part in PARTS[1:]), one.loop_s)
    cpu_s = (one.replica_cpu_s, one.feed_cpu_s, one.kafka_cpu_s, one.redis_cpu_s)
    return (
        f"{one.replicas:>8} {one.cameras:>7} {one.frames_per_s:>8.1f} {one.batch:>5.1f} {one.efficiency:>10.2f} "
        f"{scaling:>7.2f}               {(one.model_s or one.stage_s) * 1000:>5.1f} "
        f"{' '.join(f'{part_s * 1000:>6.2f}' for part_s in time_s)}        "
        f"{' '.join(f'{used_s * 1000:>7.2f}' for used_s in cpu_s)}   {one.others_cores:>6.1f} {one.stolen_cores:>6.2f}"
    )


def alert_lines(found: Latency) -> list[str]:
    used = ", ".join(f"{name} {seconds * 1000:.1f}" for name, seconds in found.cpu_per_frame_s.items())
    counted = f"{found.frames} frames, {found.faces} faces, {found.shed} shed, {found.dropped} dropped"
    others = f"others {found.others_cores:.1f} cores"
    if not found.seconds:
        return [f"no alert; {counted}; {others}"]
    after_s = sum(found.cpu_per_frame_s[service] for service in ("embedder", "matcher", "alerter"))
    by_face_s = after_s * found.frames / max(1, found.faces)
    p50, p95, p99 = np.percentile(found.seconds, [50, 95, 99]) * 1000
    return [
        f"capture to alert: p50 {p50:.0f} ms, p95 {p95:.0f} ms, p99 {p99:.0f} ms of {len(found.seconds)} alerts",
        f"{counted}; {others}",
        f"CPU ms a frame: {used}",
        f"of embedder, matcher and alerter, ms a face: {by_face_s * 1000:.1f}",
    ]
