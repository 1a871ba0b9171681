"""What was measured, in tables of words: for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Iterator

from overt.evaluation.identify_words import between, share
from overt.evaluation.openset import TargetPoint
from overt.evaluation.results import Made
from overt.evaluation.tables import Table
from overt.evaluation.unmeasurable import NotMeasurable
from overt.evaluation.video.evaluated import Evaluated
from overt.evaluation.video.measures import PIPELINE, ByRule, Spread, Summary
from overt.evaluation.video.misses import GOOD_QUALITY, REASONS
from overt.evaluation.wording import percent, rate_in_words

RULES = {
    "first crop": "single frame: the first crop",
    "random crop": "single frame: a crop drawn at random",
    "best crop": "single frame: the crop of best quality",
    "any crop": "the best of all crops",
    "alert rule on single crops": "the alert rule on crops one by one",
    "mean of crops": "all crops fused: the mean",
    "mean by quality": "all crops fused: the mean, weighted by quality",
    "pipeline, any embedding": "the pipeline's embeddings, the best of them",
    PIPELINE: "the pipeline: its embeddings, its alert rule",
}
"""What each rule is, from what one frame tells to what the product does."""


def video_tables(evaluated: Evaluated, summary: Summary) -> list[Table]:
    """All that is told of a result, the most wanted first."""
    return [_alerting(evaluated, summary), *_ablation(summary), *_missed(summary), _cost(summary)]


def _alerting(evaluated: Evaluated, summary: Summary) -> Table:
    alerting, enrolled = summary.alerting, evaluated.enrolled
    reasons = ", ".join(f"{many} {reason}" for reason, many in summary.fta_reasons.items()) or "none"
    notes = [f"Failures to acquire: {reasons}."]
    if enrolled.failures:
        refused = ", ".join(f"{many} {reason}" for reason, many in enrolled.failures.items())
        notes.append(f"Images that were not enrolled: {refused}.")
    if summary.left_out:
        notes.append(
            f"Left out of every count, since no face was found in the photograph to compose with: {summary.left_out}."
        )
    return Table(
        "What became of each pass, at the deployment's own thresholds and through its alerter",
        ("", ""),
        (
            ("listed people who raised an alert for themselves (TPIR)", rate_in_words(alerting.tpir)),
            ("other people who raised an alert (FPIR)", rate_in_words(alerting.fpir)),
            ("listed people taken for somebody else", rate_in_words(alerting.misidentified)),
            ("passes without a usable crop (FTA)", rate_in_words(summary.fta)),
            ("of listed people alone", rate_in_words(summary.fta_listed)),
            ("on the list", f"{len(enrolled.of_person):,} people, {len(enrolled.entries):,} images"),
            (
                "thresholds",
                f"one match from {evaluated.threshold + evaluated.confirming.strong_by:.3f}, "
                f"{evaluated.confirming.matches} matches of a track from {evaluated.threshold:.3f}",
            ),
            ("first sight to alert, capture time", _spread(summary.sight_to_alert_s)),
            ("capture to alert", _spread(summary.capture_to_alert_s)),
        ),
        tuple(notes),
    )


def _ablation(summary: Summary) -> Iterator[Table]:
    if not summary.rules:
        return
    targets = [target.target for target in summary.rules[0].identification.targets]
    ordered = sorted(summary.rules, key=lambda each: list(RULES).index(each.rule) if each.rule in RULES else len(RULES))
    yield Table(
        "Of listed people's passes, how many are found (TPIR), when so many others' raise an alert (FPIR)",
        ("decided by", *(f"FPIR {share(target)}" for target in targets)),
        tuple(_rule_row(each) for each in ordered),
        (
            "Each rule has a threshold of its own, found on the passes of unlisted people; intervals carry that "
            "threshold's uncertainty too.",
            f"The last rule says what the alerter did in {rate_in_words(summary.alerting.agreement)} of passes at its "
            "own threshold.",
            *(f"{target.claim}." for target in summary.rules[-1].identification.targets),
        ),
    )


def _rule_row(each: ByRule) -> tuple[str, ...]:
    return RULES.get(each.rule, each.rule), *(cell(target) for target in each.identification.targets)


def cell(target: TargetPoint) -> str:
    """`95.1 % (92.0 to 97.0 %) at 0.512`."""
    if isinstance(target.point, NotMeasurable):
        return "not measurable here"
    tpir = target.point.tpir
    if isinstance(tpir, NotMeasurable):
        return "not measurable here"
    interval = target.tpir_interval or tpir.interval
    return f"{percent(tpir.value)} {between(interval)} at {target.point.threshold:.3f}"


def _missed(summary: Summary) -> Iterator[Table]:
    seen = [reason for reason in REASONS if any(reason in each.reasons for each in summary.missed)]
    if seen:
        yield Table(
            "Why listed people's passes were missed",
            ("", *(f"{each.of} ({each.threshold:.3f})" for each in summary.missed)),
            tuple((reason, *(f"{each.reasons.get(reason, 0):,}" for each in summary.missed)) for reason in seen),
            (f"Of {summary.listed_passes:,} passes; a good crop has a quality of at least {GOOD_QUALITY:g}.",),
        )


def _cost(summary: Summary) -> Table:
    cost = summary.cost
    return Table(
        "What a pass costs, and how tracks hold",
        ("", ""),
        (
            ("crops sent on, a pass", f"{cost.crops:.2f}"),
            ("embeddings, a pass", f"{cost.embeddings:.2f}"),
            ("CPU of the pipeline, a pass", f"{cost.cpu_ms:.0f} ms; composing the pictures {cost.composing_ms:.0f} ms"),
            ("tracks, a pass", f"{cost.tracks:.2f}"),
            ("passes that were cut into several tracks", rate_in_words(cost.split)),
            ("passes that took over another's track", rate_in_words(cost.switched)),
            ("tracks where nobody was", f"{cost.ghosts:,}, with {cost.ghost_alerts:,} alerts"),
            ("frames", f"{cost.frames:,}, {cost.frames_dropped:,} of them dropped; {cost.wall_s:.0f} s"),
        ),
        ("CPU is of this machine while other work ran on it: compare runs, not machines.",),
    )


def settings_table(evaluated: Evaluated, conditions: str, made: Made) -> Table:
    """What is needed to make a result again."""
    models, recognition, data = evaluated.models, evaluated.deployment.recognition, evaluated.data
    shas = {role: models[f"{role}_sha256"][:16] for role in ("detector", "embedder")}
    return Table(
        "What it was made with",
        ("", ""),
        (
            ("detector", f"{models['detector']} (sha256 {shas['detector']}...)"),
            ("embedder", f"{models['embedder']} (sha256 {shas['embedder']}...), space {models['space_id']}"),
            ("recognition", f"faces from {recognition.min_face_px} px, {recognition.crops_per_track} crops a track"),
            ("cool-down", "none, so that nobody's alert is hidden behind another's"),
            ("passes", conditions),
            ("data", f"{data.name}: {data.images:,} images, {data.people:,} people (sha256 {data.sha256[:16]}...)"),
            ("command", " ".join(made.command)),
        ),
    )


def _spread(spread: Spread | NotMeasurable) -> str:
    if isinstance(spread, NotMeasurable):
        return str(spread)
    return f"p50 {spread.p50:.2f} s, p95 {spread.p95:.2f} s, p99 {spread.p99:.2f} s ({spread.count:,} alerts)"
