"""A comparison of groups in tables of words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from overt.evaluation.group_thresholds import GroupThreshold
from overt.evaluation.groups import Difference, GroupAnswers
from overt.evaluation.groups_run import GroupsResult, LabelResult, Wanted
from overt.evaluation.identify_words import difference, share
from overt.evaluation.openset import OperatingPoint
from overt.evaluation.results import Data
from overt.evaluation.tables import Table
from overt.evaluation.unmeasurable import NotMeasurable
from overt.evaluation.wording import rate_in_words, value_in_words

MOST_DIFFERENCES = 12
"""Of more, the least likely to be chance are shown; the CSV has all."""


def groups_tables(data: Data, result: GroupsResult) -> list[Table]:
    """All that is told, label by label."""
    return [table for label in result.labels for table in _of_label(data, label, result.wanted)]


def _of_label(data: Data, label: LabelResult, wanted: Wanted) -> Iterator[Table]:
    yield _searches(label)
    yield _pairs(data, label)
    yield from _differences(label.label, differences_of(label))
    yield _indices(label)
    yield _advice(label, wanted)


def differences_of(label: LabelResult) -> list[Difference]:
    """Of searches and of pairs; FTA is told once."""
    found = [] if isinstance(label.searches, NotMeasurable) else list(label.searches.differences)
    told = {difference.error for difference in found}
    if not isinstance(label.pairs, NotMeasurable):
        found += [difference for difference in label.pairs.differences if difference.error not in told]
    return found


def _searches(label: LabelResult) -> Table:
    answers = label.searches
    if isinstance(answers, NotMeasurable):
        return Table(f"By {label.label}: searches (FNIR, FPIR)", ("",), ((str(answers),),))
    rows = tuple(
        (g.group, f"{g.people:,}", rate_in_words(g.fnir), rate_in_words(g.fpir), rate_in_words(g.fta))
        for g in answers.groups
    )
    return Table(
        f"By {label.label}: searches at threshold {answers.threshold:.4f}",
        ("group", "people", "missed though listed (FNIR)", "alert though unlisted (FPIR)", "no template (FTA)"),
        rows,
        _unlabelled(label),
    )


def _pairs(data: Data, label: LabelResult) -> Table:
    answers = label.pairs
    if isinstance(answers, NotMeasurable):
        return Table(f"By {label.label}: pairs (FMR)", ("",), ((str(answers),),))
    rows = tuple((g.group, f"{g.people:,}", rate_in_words(g.fmr), rate_in_words(g.fta)) for g in answers.groups)
    which = (
        "The images have no identities: all pairs are taken to be of different people, and whoever is there twice "
        "counts as a false match."
        if data.people is None
        else "One image of each person, drawn."
    )
    return Table(
        f"By {label.label}: pairs of different people of one group at threshold {answers.threshold:.4f}",
        ("group", "images", "match (FMR)", "no template (FTA)"),
        rows,
        (which, *_unlabelled(label)),
    )


def _unlabelled(label: LabelResult) -> tuple[str, ...]:
    return (f"{label.unlabelled:,} images have no such label and are in no group.",) if label.unlabelled else ()


def _differences(label: str, found: Sequence[Difference]) -> Iterator[Table]:
    if not found:
        return
    shown = sorted(found, key=lambda d: (d.p_holm, d.p))[:MOST_DIFFERENCES]
    rows = tuple(
        (
            d.error.upper(),
            f"{d.a} minus {d.b}",
            difference(d.difference, d.interval),
            f"{d.p_holm:.2g}",
            "shown" if d.significant else "not shown",
            d.smallest_detectable.reason
            if isinstance(d.smallest_detectable, NotMeasurable)
            else f"{100 * d.smallest_detectable:.2g} points",
        )
        for d in shown
    )
    notes = [
        "p is Fisher's (FMR: from resampling images), corrected by Holm over all pairs of groups of an error. Not "
        "shown is not equal: a smaller difference than the last column's would hardly have been seen in this sample.",
    ]
    if len(found) > len(shown):
        notes.append(f"The {len(shown)} of {len(found)} differences that are least likely to be chance.")
    yield Table(
        f"By {label}: differences between groups",
        ("error", "groups", "difference, 95 % interval", "p", "at 5 %", "smallest that could be seen"),
        rows,
        tuple(notes),
    )


def _indices(label: LabelResult) -> Table:
    rows = []
    for name, answers in (("searches", label.searches), ("pairs", label.pairs)):
        if isinstance(answers, NotMeasurable):
            continue
        rows += [
            (f"worst {error.upper()} by geometric mean, {name}", value_in_words(ratio, 2))
            for error, ratio in answers.inequity.items()
            if error != "fta"
        ]
        if name == "searches":
            rows += [("FDR (1 is equal)", value_in_words(answers.fdr)), ("GARBE (0 is equal)", _garbe(answers))]
    if isinstance(label.searches, NotMeasurable):
        rows.append(("FDR, GARBE", str(label.searches)))
    note = "One number hides which group pays: read the rates above."
    return Table(f"By {label.label}: inequality in one number", ("", ""), tuple(rows), (note,))


def _garbe(answers: GroupAnswers) -> str:
    return value_in_words(answers.garbe)


def _advice(label: LabelResult, wanted: Wanted) -> Table:
    rows = [
        *_advised(f"FPIR {share(wanted.fpir)}", label.advice_fpir),
        *_advised(f"FMR {share(wanted.fmr)}", label.advice_fmr),
    ]
    notes = []
    if isinstance(label.pooled, OperatingPoint) and isinstance(label.advised, OperatingPoint):
        before, after = label.pooled, label.advised
        notes.append(
            f"Everybody together: TPIR {rate_in_words(before.tpir)} at {before.threshold:.4f}, "
            f"{rate_in_words(after.tpir)} at {after.threshold:.4f}, where the worst group has FPIR "
            f"{share(wanted.fpir)}."
        )
    return Table(
        f"By {label.label}: the threshold that is right for the worst group",
        ("each group within", "measured", "worst group", "can be claimed of each at 95 %"),
        tuple(rows),
        tuple(notes),
    )


def _advised(target: str, advice: GroupThreshold | NotMeasurable) -> Iterator[tuple[str, ...]]:
    if isinstance(advice, NotMeasurable):
        yield target, str(advice), "", ""
        return
    claimed = value_in_words(advice.by_upper_bound, 4)
    yield target, value_in_words(advice.by_estimate, 4), advice.worst, claimed
