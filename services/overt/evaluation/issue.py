"""From what an evaluation said to the body of a certificate."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from overt.evaluation.canonical import canonical
from overt.evaluation.certificate import (
    Certificate,
    CertificateError,
    Data,
    GroupMeasured,
    ListSize,
    Measured,
    Operating,
    Rule,
    TailPoint,
)
from overt.evaluation.fit import SIZE_CLASSES, Bound, rule_in_words, size_class
from overt.evaluation.odds import grown
from overt.evaluation.said import (
    Result,
    SaidCertifiable,
    SaidEstimate,
    SaidNot,
    SaidPoint,
    SaidTail,
    read_document,
)
from overt.evaluation.spelling import percent

_ALIKE = 1e-9


def issued(
    result: Result, bound: Bound, groups: tuple[GroupMeasured, ...], description: str, now: datetime
) -> Certificate:
    """The certificate of what was measured, for a deployment's rules. Raises CertificateError where a rule was not
    measured, or cannot be from this sample. Whether it fits the deployment is for `fit.misfits` to say.

    Where single images were searched no quality policy was exercised; it is then bound to the deployment's.
    """
    said = result.certifiable
    if said.list_size > SIZE_CLASSES[-1]:
        raise CertificateError(f"list_size: {said.list_size:,} subjects are more than any class holds")
    limit = size_class(said.list_size)
    operating = tuple(_operating(said, rule, limit / said.list_size) for rule in dict.fromkeys(bound.rules.values()))
    policy_sha256 = said.quality_policy_sha256 or bound.quality_policy_sha256
    if policy_sha256 != bound.quality_policy_sha256:
        raise CertificateError(
            "quality_policy: the evaluation was made with another one than the deployment has;"
            " evaluate again with --deployment"
        )
    return Certificate(
        made_at=now.isoformat(timespec="seconds"),
        measured_at=result.made.date,
        overt=result.made.overt,
        unit="pass" if said.unit == "pass" else "image",
        detector=said.detector,
        embedder=said.embedder,
        space_id=said.space_id,
        quality_policy_sha256=policy_sha256,
        quality_policy=json.loads(canonical(dict(bound.quality_policy))),
        list_size=ListSize(up_to=limit, measured_with=said.list_size),
        operating=operating,
        fta=None if isinstance(said.fta, SaidNot) else _measured(said.fta),
        groups=groups,
        tail=tuple(_tail(said.tail)),
        data=Data(
            description=description or f"data set {result.data.name}",
            images=result.data.images,
            people=result.data.people,
            sha256=result.data.sha256,
            result_sha256=result.sha256,
        ),
        limits=tuple(_limits(said, limit, operating, groups)),
    )


def _operating(said: SaidCertifiable, rule: Rule, longer: float) -> Operating:
    for point in said.points:
        if _is_of(point, rule):
            break
    else:
        measured = ", ".join(f"{point.match:g}" for point in said.points) or "nothing"
        raise CertificateError(
            f"threshold: the deployment alerts at {rule_in_words(rule)}, and that was not measured (measured:"
            f" {measured}); evaluate again with --deployment"
        )
    if isinstance(point.tpir, SaidNot) or isinstance(point.fpir, SaidNot):
        what = "TPIR" if isinstance(point.tpir, SaidNot) else "FPIR"
        why = point.tpir.not_measurable if isinstance(point.tpir, SaidNot) else point.fpir.not_measurable  # type: ignore[union-attr]  # one of the two is
        raise CertificateError(f"{what} was not measurable: {why}; a certificate states both")
    fpir = _measured(point.fpir)
    return Operating(rule=rule, tpir=_measured(point.tpir), fpir=fpir, fpir_in_class=grown(fpir.high, longer))


def _is_of(point: SaidPoint, rule: Rule) -> bool:
    """Images know a threshold alone."""
    if abs(point.match - rule.match) > _ALIKE:
        return False
    if point.strong is None or point.confirmations is None or point.within_s is None:
        return True
    if point.confirmations != rule.confirmations:
        return False
    alone = rule.confirmations == 1
    return alone or (abs(point.strong - rule.strong) <= _ALIKE and abs(point.within_s - rule.within_s) <= _ALIKE)


def _measured(estimate: SaidEstimate) -> Measured:
    interval = estimate.interval
    return Measured(
        count=estimate.count,
        trials=estimate.trials,
        people=estimate.people,
        low=interval.low,
        high=interval.high,
    )


def _tail(tail: SaidTail | SaidNot) -> Iterator[TailPoint]:
    if isinstance(tail, SaidNot):
        return
    for cosine, fpir, high in zip(tail.cosine, tail.fpir, tail.high, strict=True):
        yield TailPoint(cosine=cosine, fpir=fpir, high=high)


def _limits(
    said: SaidCertifiable, limit: int, operating: tuple[Operating, ...], groups: tuple[GroupMeasured, ...]
) -> Iterator[str]:
    yield from said.limits
    if limit > said.list_size:
        worst = max(each.fpir_in_class for each in operating)
        yield (
            f"FPIR was measured with {said.list_size:,} subjects on the list; with {limit:,} it may reach"
            f" {percent(worst)} (upper bound)."
        )
    if not groups:
        yield "Errors by group were not measured."


def groups_of(path: Path, said: Result, rules: Mapping[str, Rule]) -> tuple[GroupMeasured, ...]:
    """The groups' errors from a result.json of `overt evaluate groups` with the same models, at a threshold of the
    deployment. Raises CertificateError."""
    document, _ = read_document(path)
    if document.get("kind") != "groups":
        raise CertificateError(f"{path}: expected a result of `overt evaluate groups`")
    models, labels = document["models"], document["measures"]["labels"]
    for role, model in (("detector", said.certifiable.detector), ("embedder", said.certifiable.embedder)):
        if models.get(f"{role}_sha256") != model.sha256:
            raise CertificateError(f"{path}: {role}: another model than {model.name} of the evaluation was used")
    found: dict[tuple[str, str, str], GroupMeasured] = {}
    for label in labels:
        for part in ("searches", "pairs"):
            answers = label[part]
            for each in _groups(path, answers, rules) if "groups" in answers else ():
                key = (each.label, each.group, each.error)
                if key not in found or found[key].measured is None:
                    found[key] = each
    return tuple(found.values())


def _groups(path: Path, answers: Mapping[str, Any], rules: Mapping[str, Rule]) -> Iterator[GroupMeasured]:
    """Each error of each group; what one kind of trial cannot tell the other may."""
    if not any(abs(answers["threshold"] - rule.match) <= _ALIKE for rule in rules.values()):
        raise CertificateError(
            f"{path}: groups were compared at {answers['threshold']:g}, where the deployment has no threshold; evaluate"
            " again with --threshold"
        )
    for group in answers["groups"]:
        for error in ("fnir", "fpir", "fmr", "fta"):
            said, reason = group[error], group[error].get("not_measurable")
            measured = None if reason is not None else _measured(SaidEstimate.model_validate(said))
            if measured is not None and error == "fmr":  # pairs are of two people each
                measured = measured.model_copy(update={"people": None})
            yield GroupMeasured(
                label=answers["label"],
                group=group["group"],
                error=error,
                measured=measured,
                not_measurable=None if measured is not None or reason is None else str(reason),
            )
