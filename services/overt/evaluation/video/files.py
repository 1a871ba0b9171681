"""The results as files: result.json, passes.csv, plots and a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from overt.evaluation.openset import TargetPoint
from overt.evaluation.results import Made, as_csv, document
from overt.evaluation.tables import Table
from overt.evaluation.unmeasurable import NotMeasurable
from overt.evaluation.video.certifiable import of_passes
from overt.evaluation.video.evaluated import Evaluated
from overt.evaluation.video.measures import PIPELINE, Summary
from overt.evaluation.video.records import PassRecord


def video_document(made: Made, evaluated: Evaluated, summary: Summary, told: Mapping[str, Any]) -> dict[str, Any]:
    """The content of result.json. `told`: what the source says of itself, such as the conditions."""
    parts = {
        "data": evaluated.data,
        **told,
        "models": evaluated.models,
        "recognition": evaluated.deployment.recognition.model_dump(mode="json"),
        "enrolled": {
            "people": len(evaluated.enrolled.of_person),
            "images": len(evaluated.enrolled.entries),
            "of_images": evaluated.enrolled.images,
            "failures": evaluated.enrolled.failures,
        },
        "thresholds": {"match": evaluated.threshold, **asdict(evaluated.confirming)},
        "measures": summary,
        "certifiable": of_passes(evaluated, summary, composed="conditions" in told),
    }
    return document("video", made, parts)


def video_files(
    made: Made, evaluated: Evaluated, summary: Summary, tables: Sequence[Table], title: str
) -> dict[str, str]:
    """By file name, the text. The last of `tables` says what the result was made with. Needs matplotlib."""
    from overt.evaluation.page import Page, Tile, render
    from overt.evaluation.video.drawn import drawn

    plots = list(drawn(evaluated, summary))
    page = Page(
        title=title,
        summary="How many listed people are found as they walk past, and how many others raise a false alert.",
        tiles=[Tile(*each) for each in _tiles(summary)],
        plots=plots,
        tables=tables[:-1],
        settings=tables[-1],
        made=made,
        data=evaluated.data,
    )
    files = {"index.html": render(page), "passes.csv": passes_csv(evaluated)}
    return files | {f"{plot.name}.svg": plot.file() for plot in plots}


def passes_csv(evaluated: Evaluated) -> str:
    """One row for each pass, so that whoever asks why can look."""
    return as_csv(_row(each) for stretch in evaluated.stretches for each in stretch.passes)


def _tiles(summary: Summary) -> list[tuple[str, str]]:
    from overt.evaluation.identify_words import between, share
    from overt.evaluation.wording import percent

    tiles = []
    targets: tuple[TargetPoint, ...] = ()
    for each in summary.rules:
        if each.rule == PIPELINE:
            targets = each.identification.targets
    for target in targets:
        if not isinstance(target.point, NotMeasurable) and not isinstance(target.point.tpir, NotMeasurable):
            interval = target.tpir_interval or target.point.tpir.interval
            words = f"of listed people found {between(interval)} at FPIR {share(target.target)}"
            tiles.append((percent(target.point.tpir.value), words))
    tiles.append((f"{summary.cost.crops:.1f}", "crops a pass"))
    tiles.append((f"{summary.listed_passes:,} + {summary.unlisted_passes:,}", "passes of listed and of other people"))
    return tiles


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
