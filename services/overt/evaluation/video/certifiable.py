"""What an evaluation of passes measured, in the form that a certificate is made from."""

from __future__ import annotations

from overt.evaluation.certifiable import OF_COMPOSED, Certifiable, NamedModel, Point
from overt.evaluation.tail import score_tail
from overt.evaluation.video.evaluated import Evaluated
from overt.evaluation.video.measures import Summary, searches
from overt.evaluation.video.records import NOT_COMPOSED

SIMILARITY = "pipeline, any embedding"
"""What an alert shows as its similarity is that of one embedding."""


def of_passes(evaluated: Evaluated, summary: Summary, *, composed: bool) -> Certifiable:
    """One point: the deployment's own rule, counted from the alerts that came out of the pipeline."""
    models, confirming = evaluated.models, evaluated.confirming
    passes = [each for s in evaluated.stretches for each in s.passes if each.failure != NOT_COMPOSED]
    _, non_mated = searches(SIMILARITY, [], [each for each in passes if not each.listed])
    point = Point(
        match=evaluated.threshold,
        tpir=summary.alerting.tpir,
        fpir=summary.alerting.fpir,
        strong=evaluated.threshold + confirming.strong_by,
        confirmations=confirming.matches,
        within_s=confirming.within_us / 1e6,
    )
    return Certifiable(
        unit="pass",
        detector=NamedModel(models["detector"], models["detector_sha256"]),
        embedder=NamedModel(models["embedder"], models["embedder_sha256"]),
        space_id=models["space_id"],
        list_size=len(evaluated.enrolled.of_person),
        points=(point,),
        fta=summary.fta,
        tail=score_tail(non_mated),
        quality_policy_sha256=models["quality_policy_sha256"],
        limits=(OF_COMPOSED,) if composed else (),
    )
