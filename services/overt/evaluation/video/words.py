"""What was measured, in words: one line each, for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Iterator

from overt.evaluation.openset import Identification, TargetPoint
from overt.evaluation.unmeasurable import NotMeasurable
from overt.evaluation.video.measures import Spread, Summary
from overt.evaluation.video.runs import Evaluated
from overt.evaluation.wording import percent, rate_in_words


def in_words(evaluated: Evaluated, summary: Summary) -> list[str]:
    """Everything that matters, most important first."""
    return [*_setting(evaluated, summary), *_alerting(summary), *_rules(summary), *_costs(summary)]


def _setting(evaluated: Evaluated, summary: Summary) -> Iterator[str]:
    enrolled, models = evaluated.enrolled, evaluated.deployment.models
    yield f"{models.detector} and {models.embedder}"
    yield (
        f"watchlist: {len(enrolled.entries)} of {enrolled.images} images of {len(enrolled.of_person)} people; "
        f"passes: {summary.listed_passes} of listed people, {summary.unlisted_passes} of others"
    )
    if summary.left_out:
        yield f"left out, since no face was found in their photograph: {summary.left_out}"


def _alerting(summary: Summary) -> Iterator[str]:
    alerting = summary.alerting
    yield "at the deployment's own thresholds, through the alerter:"
    yield f"  TPIR: {rate_in_words(alerting.tpir)}"
    yield f"  FPIR: {rate_in_words(alerting.fpir)}"
    yield f"  listed people taken for somebody else: {rate_in_words(alerting.misidentified)}"
    reasons = ", ".join(f"{reason} {many}" for reason, many in summary.fta_reasons.items())
    yield f"  failures to acquire: {rate_in_words(summary.fta)}{': ' + reasons if reasons else ''}"


def _rules(summary: Summary) -> Iterator[str]:
    yield "TPIR at an FPIR, with the threshold found on the same passes:"
    for each in summary.rules:
        yield f"  {each.rule}: {'; '.join(target_in_words(target) for target in each.identification.targets)}"


def target_in_words(target: TargetPoint) -> str:
    """`at 1 %: 95.1 % (92.0 to 97.0), threshold 0.512`."""
    if isinstance(target.point, NotMeasurable):
        return f"at {percent(target.target)}: {target.point}"
    tpir = target.point.tpir
    if isinstance(tpir, NotMeasurable):
        return f"at {percent(target.target)}: {tpir}"
    interval = target.tpir_interval or tpir.interval
    low, high = percent(interval.low).removesuffix(" %"), percent(interval.high).removesuffix(" %")
    return (
        f"at {percent(target.target)}: {percent(tpir.value)} ({low} to {high}), threshold {target.point.threshold:.3f}"
    )


def _costs(summary: Summary) -> Iterator[str]:
    cost = summary.cost
    yield (
        f"a pass: {cost.crops:.2f} crops, {cost.embeddings:.2f} embeddings, {cost.cpu_ms:.0f} ms of CPU "
        f"(composing it {cost.composing_ms:.0f} ms), {cost.tracks:.2f} tracks"
    )
    yield f"passes in several tracks: {rate_in_words(cost.split)}"
    yield f"passes that took over another's track: {rate_in_words(cost.switched)}"
    yield f"tracks where nobody was: {cost.ghosts}, with {cost.ghost_alerts} alerts"
    yield f"first sight to alert, capture time: {_spread(summary.sight_to_alert_s)}"
    yield f"capture to alert: {_spread(summary.capture_to_alert_s)}"
    yield f"frames: {cost.frames}, {cost.frames_dropped} dropped"


def _spread(spread: Spread | NotMeasurable) -> str:
    if isinstance(spread, NotMeasurable):
        return str(spread)
    return f"p50 {spread.p50:.2f} s, p95 {spread.p95:.2f} s, p99 {spread.p99:.2f} s ({spread.count} alerts)"


def tpir_at(identification: Identification, fpir: float) -> float:
    """TPIR at an FPIR that was asked for; NaN where it cannot be measured."""
    for target in identification.targets:
        if target.target == fpir and not isinstance(target.point, NotMeasurable):
            tpir = target.point.tpir
            return float("nan") if isinstance(tpir, NotMeasurable) else tpir.value
    return float("nan")
