"""An identification result in tables of words."""

from __future__ import annotations

from collections.abc import Iterator

from overt.evaluation.identify import Growth, IdentifyResult, RuleGain
from overt.evaluation.intervals import Interval
from overt.evaluation.listsize import FpirAtSize
from overt.evaluation.openset import OperatingPoint, TargetPoint
from overt.evaluation.protocol import MIN_EYES_PX
from overt.evaluation.results import Data
from overt.evaluation.tables import Table
from overt.evaluation.unmeasurable import NotMeasurable
from overt.evaluation.wording import percent, rate_in_words


def identify_tables(data: Data, result: IdentifyResult) -> list[Table]:
    """All that is told of a result, the most wanted first."""
    return [
        Table(
            "Of listed people, how many are found (TPIR), when so many unlisted people raise an alert (FPIR)",
            ("FPIR", "threshold", "TPIR, 95 % interval", "found"),
            tuple(_target_row(target) for target in result.identification.targets),
            tuple(target.claim + "." for target in result.identification.targets),
        ),
        *_given(result),
        _claimed(result),
        _overall(data, result),
        _pairs(result),
        *_growth(result.growth),
        _planner(result),
        *_rules(result.rules),
    ]


def _target_row(target: TargetPoint) -> tuple[str, ...]:
    if isinstance(target.point, NotMeasurable):
        return share(target.target), "", str(target.point), ""
    tpir = target.point.tpir
    if isinstance(tpir, NotMeasurable):
        return share(target.target), f"{target.point.threshold:.4f}", str(tpir), ""
    interval = target.tpir_interval or tpir.interval
    found = f"{tpir.rate.count:,} of {tpir.rate.trials:,} searches, {tpir.people:,} people"
    return share(target.target), _threshold(target), f"{percent(tpir.value)} {between(interval)}", found


def _threshold(target: TargetPoint) -> str:
    assert not isinstance(target.point, NotMeasurable)
    span = target.threshold_interval
    return f"{target.point.threshold:.4f}" + (f" ({span.low:.4f} to {span.high:.4f})" if span else "")


def _given(result: IdentifyResult) -> Iterator[Table]:
    if result.named:
        rows = tuple(
            (f"{named.threshold:.4f}", named.origin, *_point(point))
            for named, point in zip(result.named, result.identification.given, strict=True)
        )
        header = ("threshold", "from", "TPIR", "FPIR", "listed, taken for another")
        yield Table("At thresholds that were given", header, rows)


def _point(point: OperatingPoint) -> tuple[str, ...]:
    return rate_in_words(point.tpir), rate_in_words(point.fpir), rate_in_words(point.misidentified)


def _claimed(result: IdentifyResult) -> Table:
    rows = tuple(
        (share(c.target), str(c.point), "", "")
        if isinstance(c.point, NotMeasurable)
        else (share(c.target), f"{c.point.threshold:.4f}", rate_in_words(c.point.tpir), rate_in_words(c.point.fpir))
        for c in result.claimed
    )
    header = ("FPIR at most", "threshold", "TPIR", "FPIR measured")
    return Table("Where FPIR can be claimed at 95 %: its upper bound is within the target", header, rows)


def _overall(data: Data, result: IdentifyResult) -> Table:
    answers = result.identification
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in data.failures.items()) or "none"
    return Table(
        "Whatever the threshold",
        ("", ""),
        (
            (
                "on the list",
                f"{result.list_size:,} people, {result.protocol.enrol} image(s) each; {answers.splits} split(s)",
            ),
            (
                "searches",
                f"{answers.mated_searches:,} of {answers.mated_people:,} listed people, "
                f"{answers.non_mated_searches:,} of {answers.non_mated_people:,} unlisted people",
            ),
            ("first candidate is right (rank 1)", rate_in_words(answers.rank1)),
            ("searches without template (FTA)", rate_in_words(answers.fta)),
            ("images not enrolled (FTE)", rate_in_words(result.fte)),
            ("people not enrolled", rate_in_words(result.fte_people)),
        ),
        (
            f"Of {data.images:,} images give no template: {reasons}.",
            f"Not enrolled: no template, or fewer than {MIN_EYES_PX:.0f} px between the eyes.",
        ),
    )


def _pairs(result: IdentifyResult) -> Table:
    rows = []
    for tar in result.verification:
        if isinstance(tar.point, NotMeasurable):
            rows.append((f"{tar.target:.0e}", "", str(tar.point)))
        else:
            fnmr = tar.point.fnmr
            words = str(fnmr) if isinstance(fnmr, NotMeasurable) else rate_in_words(fnmr.complement)
            rows.append((f"{tar.target:.0e}", f"{tar.point.threshold:.4f}", words))
    compared = result.pairs
    note = (
        f"{len(compared.mated):,} pairs of one person and {len(compared.non_mated):,} of different people, all pairs "
        f"of {compared.images:,} images. Pairs share images and people: the interval counts them as independent and is "
        "too narrow."
    )
    return Table("One to one: pairs of one person that match (TAR)", ("FMR", "threshold", "TAR"), tuple(rows), (note,))


def _growth(growth: tuple[Growth, ...]) -> Iterator[Table]:
    if not growth:
        return
    rows = tuple(
        (f"{at_size[0].subjects:,}", *(_at_size(size) for size in at_size))
        for at_size in zip(*(line.sizes for line in growth), strict=True)
    )
    yield Table(
        "FPIR against list size, by threshold",
        ("people on the list", *(f"{line.threshold:.4f} ({line.origin})" for line in growth)),
        rows,
        (
            "Beyond the list of this evaluation there is only the law 1 - (1 - FMR)^N, which takes comparisons for "
            "independent and so tells too much where many people are alike.",
        ),
    )


def _at_size(size: FpirAtSize) -> str:
    if isinstance(size.measured, NotMeasurable):
        return f"{percent(size.law)} by the law"
    return percent(size.measured) + (f" {between(size.interval)}" if size.interval else "")


def _planner(result: IdentifyResult) -> Table:
    header = ("claim", *(f"{plan.errors} seen" for plan in result.plans[0]))
    rows = tuple((f"FPIR at most {share(p[0].fpir)}", *(f"{plan.passes:,}" for plan in p)) for p in result.plans)
    here = result.identification.non_mated_people
    carried = result.claimable
    note = (
        str(carried)
        if isinstance(carried, NotMeasurable)
        else f"Here {here:,} unlisted people search: without a false alert they carry FPIR at most {percent(carried)}."
    )
    return Table(
        "Passes of unlisted people, each another person, that a claim at 95 % needs, by false alerts seen in them",
        header,
        rows,
        (note,),
    )


def _rules(rules: RuleGain | NotMeasurable) -> Iterator[Table]:
    if isinstance(rules, NotMeasurable):
        return
    better = (
        "no difference that this sample shows"
        if 0 in rules.interval
        else f"better: {rules.other if rules.gain > 0 else rules.rule}"
    )
    yield Table(
        f"Similarity of a subject with several entries: TPIR at FPIR {share(rules.fpir)} by rule",
        (rules.rule, rules.other, "difference, 95 % interval", ""),
        ((percent(rules.tpir), percent(rules.other_tpir), difference(rules.gain, rules.interval), better),),
    )


def share(target: float) -> str:
    """A share that was asked for: `0.1 %`."""
    return f"{100 * target:.6g} %"


def between(interval: Interval) -> str:
    """`(93.2 to 96.6 %)`."""
    return f"({percent(interval.low).removesuffix(' %')} to {percent(interval.high)})"


def difference(gain: float, interval: Interval) -> str:
    """`+1.2 points (+0.4 to +2.0)`."""
    return f"{100 * gain:+.2f} points ({100 * interval.low:+.2f} to {100 * interval.high:+.2f})"
