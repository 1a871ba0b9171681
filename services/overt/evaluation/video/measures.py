"""From the records of passes to TPIR, FPIR and FTA with their intervals, and what a pass costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from overt.evaluation.estimate import Estimate, estimate
from overt.evaluation.openset import NO_MATED, NO_NON_MATED, Identification, identification
from overt.evaluation.searches import MatedSearches, NonMatedSearches
from overt.evaluation.unmeasurable import NotMeasurable
from overt.evaluation.video.misses import misses
from overt.evaluation.video.records import NOT_COMPOSED, PassRecord, StretchRecord

Measured = Estimate | NotMeasurable
PIPELINE = "pipeline, alert rule"
"""The rule that the deployment itself follows."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Seconds, or whatever was spread."""

    count: int
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Alerting:
    """What the deployment's own thresholds gave, counted from the alerts that came out of the pipeline."""

    tpir: Measured
    """Listed people's passes that raised an alert for themselves."""
    misidentified: Measured
    """Listed people's passes that raised an alert for somebody else."""
    fpir: Measured
    """Unlisted people's passes that raised any alert."""
    agreement: Measured
    """Passes for which the rule of `overt.evaluation.video.rules` says at the same threshold what the alerter did."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a pass costs, on average."""

    crops: float
    embeddings: float
    """That travelled to the matcher."""
    tracks: float
    split: Measured
    """Passes that were cut into several tracks."""
    switched: Measured
    """Passes that took over another's track."""
    cpu_ms: float
    """CPU of the pipeline, all its threads; without what composing the pictures costs."""
    composing_ms: float
    frames: int
    frames_dropped: int
    wall_s: float
    ghosts: int
    """Tracks where nobody was."""
    ghost_alerts: int


@dataclass(frozen=True, slots=True)
class ByRule:
    """The passes judged by one rule, its threshold chosen on the passes of unlisted people."""

    rule: str
    identification: Identification


@dataclass(frozen=True, slots=True)
class Missed:
    """Why listed people's passes were missed at a threshold of the pipeline's rule."""

    threshold: float
    of: str
    """What the threshold is."""
    reasons: dict[str, int]


@dataclass(frozen=True, slots=True)
class Summary:
    """All that is measured."""

    listed_passes: int
    unlisted_passes: int
    left_out: int
    """Passes that could not be composed, since no face was found in the photograph; in no denominator."""
    alerting: Alerting
    fta: Measured
    fta_listed: Measured
    fta_reasons: dict[str, int]
    rules: tuple[ByRule, ...]
    missed: tuple[Missed, ...]
    capture_to_alert_s: Spread | NotMeasurable
    """By the wall clock, from the alert's picture to the alert."""
    sight_to_alert_s: Spread | NotMeasurable
    """Capture time from first sight to the alert's picture."""
    cost: Cost

    def rule(self, name: str) -> ByRule:
        """Raises KeyError."""
        for each in self.rules:
            if each.rule == name:
                return each
        raise KeyError(name)


def summarise(stretches: Sequence[StretchRecord], *, threshold: float, realtime: bool) -> Summary:
    """Measures everything. `threshold` is the deployment's own for a match."""
    whole = [each for stretch in stretches for each in stretch.passes]
    passes = [each for each in whole if each.failure != NOT_COMPOSED]
    listed = [each for each in passes if each.listed]
    unlisted = [each for each in passes if not each.listed]
    names = sorted({rule for each in passes for rule in each.scores}, key=_order)
    rules = tuple(ByRule(rule, _by_rule(rule, listed, unlisted)) for rule in names)
    no_clock = NotMeasurable("the run did not keep to real time")
    first = [min(p.alerts, key=lambda alert: alert.at_s) for p in passes if p.alerts]
    right = [min((a for a in p.alerts if a.right), key=lambda alert: alert.at_s) for p in listed if _found(p)]
    return Summary(
        listed_passes=len(listed),
        unlisted_passes=len(unlisted),
        left_out=len(whole) - len(passes),
        alerting=_alerting(listed, unlisted, threshold),
        fta=_share(passes, lambda each: not each.acquired, NO_MATED),
        fta_listed=_share(listed, lambda each: not each.acquired, NO_MATED),
        fta_reasons=dict(Counter(each.failure for each in passes if each.failure is not None)),
        rules=rules,
        missed=tuple(_missed(listed, rules, threshold)),
        capture_to_alert_s=_spread([a.latency_s for a in first if a.latency_s is not None]) if realtime else no_clock,
        sight_to_alert_s=_spread([alert.at_s for alert in right]),
        cost=_cost(stretches, passes),
    )


def searches(
    rule: str, listed: Sequence[PassRecord], unlisted: Sequence[PassRecord]
) -> tuple[MatedSearches, NonMatedSearches]:
    """Passes as searches by one rule: NaN where nothing was acquired, -inf where the person could not be enrolled."""
    mates, others = [], []
    for each in listed:
        scored = each.scores.get(rule)
        mate = None if scored is None else scored.mate
        mates.append(np.nan if mate is None else (mate if each.enrolled else -np.inf))
        others.append(np.nan if scored is None or mate is None else scored.other)
    tops = [each.scores[rule].other if rule in each.scores else np.nan for each in unlisted]
    mated = MatedSearches(np.array([each.person for each in listed], np.str_), np.array(mates), np.array(others))
    return mated, NonMatedSearches(np.array([each.person for each in unlisted], np.str_), np.array(tops))


def _by_rule(rule: str, listed: Sequence[PassRecord], unlisted: Sequence[PassRecord]) -> Identification:
    return identification(*searches(rule, listed, unlisted))


def _missed(listed: Sequence[PassRecord], rules: Sequence[ByRule], threshold: float) -> Iterator[Missed]:
    yield Missed(threshold, "as deployed", misses(listed, PIPELINE, threshold))
    for target in (target for each in rules if each.rule == PIPELINE for target in each.identification.targets):
        if not isinstance(target.point, NotMeasurable):
            at = target.point.threshold
            yield Missed(at, f"FPIR {100 * target.target:g} %", misses(listed, PIPELINE, at))


def _found(each: PassRecord) -> bool:
    return any(alert.right for alert in each.alerts)


def _alerting(listed: Sequence[PassRecord], unlisted: Sequence[PassRecord], threshold: float) -> Alerting:
    return Alerting(
        tpir=_share(listed, _found, NO_MATED),
        misidentified=_share(listed, lambda each: any(not alert.right for alert in each.alerts), NO_MATED),
        fpir=_share(unlisted, lambda each: bool(each.alerts), NO_NON_MATED),
        agreement=_share([*listed, *unlisted], lambda each: _agrees(each, threshold), NO_MATED),
    )


def _agrees(each: PassRecord, threshold: float) -> bool:
    scored = each.scores.get(PIPELINE)
    if scored is None:
        return not each.alerts
    best = max(scored.other, -1.0 if scored.mate is None else scored.mate)
    return bool(each.alerts) == (best >= threshold)


def _cost(stretches: Sequence[StretchRecord], passes: Sequence[PassRecord]) -> Cost:
    many = max(len(passes), 1)
    return Cost(
        crops=sum(len(each.crops) for each in passes) / many,
        embeddings=sum(each.embeddings for each in passes) / many,
        tracks=sum(each.tracks for each in passes) / many,
        split=_share(passes, lambda each: each.tracks > 1, NO_MATED),
        switched=_share(passes, lambda each: each.switches > 0, NO_MATED),
        cpu_ms=1000 * sum(stretch.pipeline_cpu_s for stretch in stretches) / many,
        composing_ms=1000 * sum(stretch.composing_cpu_s for stretch in stretches) / many,
        frames=sum(stretch.frames for stretch in stretches),
        frames_dropped=sum(stretch.frames - stretch.frames_seen for stretch in stretches),
        wall_s=sum(stretch.wall_s for stretch in stretches),
        ghosts=sum(stretch.ghosts for stretch in stretches),
        ghost_alerts=sum(stretch.ghost_alerts for stretch in stretches),
    )


def _share(passes: Sequence[PassRecord], success: Callable[[PassRecord], bool], otherwise: NotMeasurable) -> Measured:
    if not passes:
        return otherwise
    return estimate([success(each) for each in passes], [each.person for each in passes])


def _spread(values: Sequence[float]) -> Spread | NotMeasurable:
    if not values:
        return NotMeasurable("no alert was right")
    p50, p95, p99 = (float(v) for v in np.quantile(values, [0.5, 0.95, 0.99]))
    return Spread(len(values), p50, p95, p99)


def _order(rule: str) -> tuple[bool, str]:
    """What the pipeline did comes last, under the ablation."""
    return rule.startswith("pipeline"), rule
