"""The results as files: result.json and passes.csv."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from overt.evaluation.results import Made, as_csv, as_json, document, write_text
from overt.evaluation.video.measures import PIPELINE, Summary
from overt.evaluation.video.records import PassRecord
from overt.evaluation.video.runs import Evaluated, Plan


def write_files(folder: Path, made: Made, plan: Plan, evaluated: Evaluated, summary: Summary) -> dict[str, Any]:
    """Writes both; returns what is in result.json. Raises OSError."""
    parts = {
        "data": {
            "name": plan.dataset.source.resolve().name,
            "images_of_a_person": plan.dataset.images_of_a_person(),
            "parts": asdict(plan.parts),
            "enrolled_images": len(evaluated.enrolled.entries),
            "refused_images": evaluated.enrolled.failures,
        },
        "conditions": asdict(plan.conditions),
        "models": evaluated.models,
        "recognition": evaluated.deployment.recognition.model_dump(mode="json"),
        "thresholds": {"match": evaluated.threshold, **asdict(evaluated.confirming)},
        "realtime": plan.realtime,
        "summary": summary,
    }
    result = document("video", made, parts)
    write_text(folder / "result.json", as_json(result))
    write_text(folder / "passes.csv", as_csv(_row(each) for s in evaluated.stretches for each in s.passes))
    return result


def _row(each: PassRecord) -> dict[str, Any]:
    scored = each.scores.get(PIPELINE)
    first = min(each.alerts, key=lambda alert: alert.at_s, default=None)
    return {
        "pass": each.number,
        "person": each.person,
        "listed": int(each.listed),
        "image": each.image,
        "enrolled": each.enrolled,
        "visible_frames": each.visible_frames,
        "detected_frames": each.detected_frames,
        "largest_px": each.largest_px,
        "tracks": each.tracks,
        "switches": each.switches,
        "failure": each.failure or "",
        "crops": len(each.crops),
        "embeddings": each.embeddings,
        "best_quality": max((crop.quality for crop in each.crops), default=""),
        "mate": "" if scored is None or scored.mate is None else scored.mate,
        "other": "" if scored is None else scored.other,
        "alerted": first.subject if first else "",
        "right": int(first.right) if first else "",
        "similarity": first.similarity if first else "",
        "sight_to_alert_s": first.at_s if first else "",
    }
