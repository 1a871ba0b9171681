"""The report of an embedded run: one HTML file that needs nothing else, on any device and on paper."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import cv2
import jinja2
import numpy as np

from overt.messages import AcquisitionFailure, Kind
from overt.output.facts import AlertFacts, CameraFacts, ReportFacts
from overt.output.private import write_for_few
from overt.output.wording import KIND, clock, iso, moment
from overt.picture import BadPicture, Picture, encode

THUMBNAIL_PX = 240
SCENE_PX = 640
MOST_SHOWN = 200
"""Alerts that the page shows; it says how many more there are, and where."""
FEW_ALERTS = 20
"""With fewer alerts the 95th percentile is the slowest one, and the report says so."""

FAILURE = {
    AcquisitionFailure.TOO_SMALL: "face too small",
    AcquisitionFailure.TOO_POOR: "face too poor (blurred, turned away, badly lit)",
    AcquisitionFailure.TOO_BRIEF: "seen too briefly",
}


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds from capture to alert."""

    count: int
    p50_s: float
    p95_s: float
    slowest_s: float


def write_report(path: Path, facts: ReportFacts) -> None:
    """Writes the report, replacing an older one at once and whole, for few to read. Raises OSError."""
    write_for_few(path, render(facts).encode())


def render(facts: ReportFacts) -> str:
    """The report as HTML. All text from outside is escaped; it fetches nothing from anywhere."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters.update(iso=iso, clock=clock, moment=moment, data_uri=data_uri, count=_count, decimals=_decimals)
    template = environment.from_string(files("overt.output").joinpath("report.html.j2").read_text(encoding="utf-8"))
    alerts = sorted(facts.alerts, key=lambda a: (a.alert.captured_at_us, a.alert.alert_id))
    return template.render(
        facts=facts,
        deployment=facts.deployment,
        signature=facts.deployment.signature.value,
        alerts=alerts,
        shown=alerts[:MOST_SHOWN],
        scene_px=SCENE_PX,
        groups=_groups(alerts),
        total=_total(facts.cameras),
        failures=[(FAILURE[reason], n) for reason, n in _failures(facts.cameras) if n],
        latency=latency(alerts) if facts.realtime else None,
        few_alerts=FEW_ALERTS,
        kind_words=KIND,
        run_s=(facts.ended_at_us - facts.started_at_us) / 1e6,
        timeline=_timeline(facts, alerts),
    )


def latency(alerts: Sequence[AlertFacts]) -> Latency | None:
    """From capture to alert, nearest-rank percentiles; None without alerts. It means something only in real time."""
    if not alerts:
        return None
    seconds = sorted((a.alert.alerted_at_us - a.alert.captured_at_us) / 1e6 for a in alerts)
    p50, p95 = (seconds[max(0, -(-len(seconds) * percent // 100) - 1)] for percent in (50, 95))
    return Latency(len(seconds), p50, p95, seconds[-1])


def data_uri(picture: Picture | None, longest_px: int = THUMBNAIL_PX) -> str | None:
    """A small JPEG of the picture, in the text of the page; None for one that cannot be decoded."""
    if picture is None:
        return None
    try:
        bgr = picture.bgr()
    except BadPicture:
        return None
    scale = min(1.0, longest_px / max(bgr.shape[:2]))
    if scale < 1:
        size = (max(1, round(bgr.shape[1] * scale)), max(1, round(bgr.shape[0] * scale)))
        bgr = np.asarray(cv2.resize(bgr, size, interpolation=cv2.INTER_AREA), np.uint8)
    return "data:image/jpeg;base64," + base64.b64encode(encode(bgr, "jpeg")).decode("ascii")


def _groups(alerts: Sequence[AlertFacts]) -> list[tuple[str, Kind, int, int]]:
    """Category, kind, alerts and subjects, in the order of the categories' names."""
    count = Counter((a.alert.category, a.alert.kind) for a in alerts)
    subjects = {
        group: len({a.alert.subject_id for a in alerts if (a.alert.category, a.alert.kind) == group}) for group in count
    }
    return [(category, kind, n, subjects[category, kind]) for (category, kind), n in sorted(count.items())]


def _total(cameras: Sequence[CameraFacts]) -> CameraFacts:
    return CameraFacts(
        "all",
        frames_read=sum(c.frames_read for c in cameras),
        frames_dropped=sum(c.frames_dropped for c in cameras),
        frames_shed=sum(c.frames_shed for c in cameras),
        passes=sum(c.passes for c in cameras),
        failures=dict(_failures(cameras)),
        compared=sum(c.compared for c in cameras),
    )


def _failures(cameras: Sequence[CameraFacts]) -> list[tuple[AcquisitionFailure, int]]:
    return [(reason, sum(c.failures.get(reason, 0) for c in cameras)) for reason in AcquisitionFailure]


def _timeline(facts: ReportFacts, alerts: Sequence[AlertFacts]) -> dict[str, Any] | None:
    """Alerts along capture time, a row for each camera; x in percent."""
    times = [a.alert.captured_at_us for a in alerts]
    if len(times) < 2 or max(times) == min(times):
        return None
    first, span = min(times), max(times) - min(times)
    rows = [
        (camera.camera_id, [(2 + 96 * (a.alert.captured_at_us - first) / span, a.alert) for a in of_camera])
        for camera in facts.cameras
        if (of_camera := [a for a in alerts if a.alert.camera_id == camera.camera_id])
    ]
    return {"rows": rows, "first_us": first, "last_us": first + span}


def _count(number: int) -> str:
    return f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def _decimals(number: float | None, places: int = 3) -> str:
    return "none" if number is None else f"{number:.{places}f}"
