"""An identification result as files: CSV, plots and a page. Importing this module needs matplotlib."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from overt.evaluation import plots
from overt.evaluation.datasets import Dataset
from overt.evaluation.estimate import Estimate
from overt.evaluation.identify import IdentifyResult
from overt.evaluation.identify_words import between, share
from overt.evaluation.page import Page, Tile, render
from overt.evaluation.plots import Plot
from overt.evaluation.protocol import SCORE_BINS
from overt.evaluation.results import Data, Made, as_csv
from overt.evaluation.tables import Table
from overt.evaluation.unmeasurable import NotMeasurable
from overt.evaluation.wording import percent


def identify_files(
    data: Dataset,
    described: Data,
    made: Made,
    result: IdentifyResult,
    tables: Sequence[Table],
    warnings: Sequence[str],
) -> dict[str, str]:
    """By file name, the text. The last of `tables` says what the result was made with."""
    drawn = list(_plots(result))
    page = Page(
        title=f"Identification on {described.name}",
        summary="How many people on a watchlist are found, and how many others raise an alert.",
        tiles=list(_tiles(result)),
        plots=drawn,
        tables=tables[:-1],
        settings=tables[-1],
        made=made,
        data=described,
        warnings=warnings,
    )
    files = {"index.html": render(page), "searches.csv": as_csv(_searches(data, result))}
    files["similarities.csv"] = as_csv(_similarities(result))
    files["fpir-by-list-size.csv"] = as_csv(_sizes(result))
    if not isinstance(result.det, NotMeasurable):
        files["det.csv"] = as_csv(result.det.rows())
    return files | {f"{plot.name}.svg": plot.file() for plot in drawn}


def _plots(result: IdentifyResult) -> Iterator[Plot]:
    if not isinstance(result.det, NotMeasurable):
        marks = [
            (f"{point.threshold:.4f} ({named.origin})", point.fpir.value, 1 - point.tpir.value)
            for named, point in zip(result.named, result.identification.given, strict=True)
            if isinstance(point.fpir, Estimate) and isinstance(point.tpir, Estimate)
        ]
        yield plots.det(result.det, marks)
    lines = {f"{named.threshold:.4f} ({named.origin})": named.threshold for named in result.named}
    found = result.searched
    series = {
        "listed people, with their own entry": found.mated.mate,
        "unlisted people, with the nearest of the list": found.non_mated.top,
    }
    yield plots.histogram({words: scores for words, scores in series.items() if len(scores)}, lines)
    if result.growth:
        yield plots.growth(result.growth)


def _tiles(result: IdentifyResult) -> Iterator[Tile]:
    for target in result.identification.targets:
        if isinstance(target.point, NotMeasurable) or isinstance(target.point.tpir, NotMeasurable):
            continue
        interval = target.tpir_interval or target.point.tpir.interval
        words = f"of listed people found {between(interval)} at FPIR {share(target.target)}"
        yield Tile(percent(target.point.tpir.value), words)
    unlisted = f"{result.identification.non_mated_people:,} unlisted people"
    yield Tile(f"{result.list_size:,}", f"people on the list; {unlisted} searched for")


def _searches(data: Dataset, result: IdentifyResult) -> Iterator[Mapping[str, Any]]:
    """Each search, so that whoever asks why can look at the images."""
    found = result.searched
    for number, (sample, mate, other) in enumerate(
        zip(found.mated_sample.tolist(), found.mated.mate.tolist(), found.mated.best_other.tolist(), strict=True)
    ):
        yield _row(data, "mated", int(found.mated.split[number]), sample, mate, other)
    for number, (sample, top) in enumerate(
        zip(found.non_mated_sample.tolist(), found.non_mated.top.tolist(), strict=True)
    ):
        yield _row(data, "non-mated", int(found.non_mated.split[number]), sample, None, top)


def _row(data: Dataset, kind: str, split: int, sample: int, mate: float | None, other: float) -> Mapping[str, Any]:
    def number(value: float | None) -> str:
        return "" if value is None or not np.isfinite(value) else f"{value:.6f}"

    image = data.samples[sample].image
    return {"split": split, "search": kind, "image": image, "mate": number(mate), "best_other": number(other)}


def _similarities(result: IdentifyResult) -> Iterator[Mapping[str, Any]]:
    """Histogram: bins over -1..1."""
    edges = np.linspace(-1, 1, SCORE_BINS + 1)
    found = result.searched
    columns = [
        np.histogram(scores[np.isfinite(scores)], edges)[0] for scores in (found.mated.mate, found.non_mated.top)
    ]
    rows = zip(edges[:-1].tolist(), *(c.tolist() for c in (*columns, found.impostor_histogram)), strict=True)
    for low, mate, top, every in rows:
        yield {"from": f"{low:.2f}", "listed_mate": mate, "unlisted_best": top, "unlisted_each_subject": every}


def _sizes(result: IdentifyResult) -> Iterator[Mapping[str, Any]]:
    for line in result.growth:
        for size in line.sizes:
            here = not isinstance(size.measured, NotMeasurable)
            yield {
                "threshold": line.threshold,
                "from": line.origin,
                "subjects": size.subjects,
                "fpir": size.measured if here else "",
                "low": size.interval.low if size.interval else "",
                "high": size.interval.high if size.interval else "",
                "by_the_law": size.law,
            }
