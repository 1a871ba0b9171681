"""A result's plots. Importing this module needs matplotlib."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes

from overt.evaluation import plots
from overt.evaluation.det import det_curve
from overt.evaluation.estimate import Estimate
from overt.evaluation.plots import Plot
from overt.evaluation.unmeasurable import NotMeasurable
from overt.evaluation.video.evaluated import Evaluated
from overt.evaluation.video.measures import PIPELINE, Summary, searches
from overt.evaluation.video.records import NOT_COMPOSED, PassRecord
from overt.evaluation.video.words import RULES

_FPIR = 0.01


def drawn(evaluated: Evaluated, summary: Summary) -> Iterator[Plot]:
    """What can be drawn of it."""
    passes = [p for stretch in evaluated.stretches for p in stretch.passes if p.failure != NOT_COMPOSED]
    listed, unlisted = [p for p in passes if p.listed], [p for p in passes if not p.listed]
    mated, non_mated = searches(PIPELINE, listed, unlisted)
    curve = det_curve(mated, non_mated)
    tpir, fpir = summary.alerting.tpir, summary.alerting.fpir
    if not isinstance(curve, NotMeasurable) and ((curve.fpir > 0) & (curve.fpir < 1)).any():
        marks = []
        if isinstance(tpir, Estimate) and isinstance(fpir, Estimate):
            marks = [(f"as deployed ({evaluated.threshold:.3f})", fpir.value, 1 - tpir.value)]
        yield plots.det(curve, marks)
    if rules := _by_rule(summary):
        yield rules
    series = {"listed people, for themselves": mated.mate, "unlisted people, for anybody": non_mated.top}
    seen = {words: scores for words, scores in series.items() if len(scores)}
    yield plots.histogram(seen, {"threshold": evaluated.threshold})
    if isinstance(tpir, Estimate) and tpir.rate.count:
        yield _by_time(listed)


def _by_rule(summary: Summary) -> Plot | None:
    """TPIR of each rule at one FPIR."""
    found = {}
    for each in summary.rules:
        for target in each.identification.targets:
            point = target.point
            if target.target == _FPIR and not isinstance(point, NotMeasurable) and isinstance(point.tpir, Estimate):
                found[each.rule] = (point.tpir.value, target.tpir_interval or point.tpir.interval)
    if not found:
        return None
    order = [rule for rule in RULES if rule in found][::-1]
    colour = plots.COLOURS[0]

    def draw(axes: Axes) -> None:
        for row, rule in enumerate(order):
            value, span = found[rule]
            axes.plot([100 * span.low, 100 * span.high], [row, row], color=colour, linewidth=2)
            axes.plot([100 * value], [row], "o", color=colour)
        axes.set_yticks(range(len(order)), [RULES[rule] for rule in order])
        axes.set_ylim(-0.6, len(order) - 0.4)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("listed people's passes found at FPIR 1 % (%)")

    return Plot(
        "rules",
        "What a track adds to a single frame",
        "Points are measured on the same passes, lines are 95 % intervals.",
        plots.svg(draw, "rules", height=0.9 + 0.36 * len(order)),
    )


def _by_time(listed: Sequence[PassRecord]) -> Plot:
    """Listed people's passes that have raised their alert, by time since first sight."""
    times = np.sort([min(a.at_s for a in p.alerts if a.right) for p in listed if any(a.right for a in p.alerts)])
    colour = plots.COLOURS[0]

    def draw(axes: Axes) -> None:
        share = 100 * np.arange(1, len(times) + 1) / len(listed)
        axes.step([0, *times, times[-1] + 0.5], [0, *share, share[-1]], where="post", color=colour, linewidth=1.8)
        axes.set_xlabel("capture time since the face was first visible (s)")
        axes.set_ylabel("passes that have raised their alert (%)")
        axes.set_ylim(0, 100)

    return Plot(
        "time-to-alert",
        "When the alert comes",
        "Of all listed people's passes; what is missing at the right end was never found.",
        plots.svg(draw, "time-to-alert"),
    )
