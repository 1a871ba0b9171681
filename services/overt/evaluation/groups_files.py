"""A comparison of groups as files: CSV, plots and a page. Importing this module needs matplotlib."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from overt.evaluation import plots
from overt.evaluation.estimate import Estimate
from overt.evaluation.groups import GroupAnswers
from overt.evaluation.groups_run import GroupsResult, LabelResult
from overt.evaluation.groups_words import differences_of
from overt.evaluation.page import Page, Tile, render
from overt.evaluation.plots import Plot
from overt.evaluation.results import Data, Made, as_csv
from overt.evaluation.tables import Table
from overt.evaluation.unmeasurable import NotMeasurable

_ERRORS = (("searches", "fnir"), ("searches", "fpir"), ("pairs", "fmr"))


def groups_files(
    described: Data, made: Made, result: GroupsResult, tables: Sequence[Table], warnings: Sequence[str]
) -> dict[str, str]:
    """By file name, the text. The last of `tables` says what the result was made with."""
    drawn = [plot for label in result.labels for plot in _plots(label)]
    page = Page(
        title=f"Groups on {described.name}",
        summary=f"Whether recognition errs more often for some people than for others, by "
        f"{', '.join(label.label for label in result.labels)}.",
        tiles=[tile for label in result.labels for tile in _tiles(label)][:4],
        plots=drawn,
        tables=tables[:-1],
        settings=tables[-1],
        made=made,
        data=described,
        warnings=warnings,
    )
    files = {
        "index.html": render(page),
        "groups.csv": as_csv(_rows(result)),
        "differences.csv": as_csv(_differences(result)),
    }
    return files | {f"{plot.name}.svg": plot.file() for plot in drawn}


def _answers(label: LabelResult, which: str) -> GroupAnswers | NotMeasurable:
    return label.searches if which == "searches" else label.pairs


def _plots(label: LabelResult) -> Iterator[Plot]:
    for which, error in _ERRORS:
        answers = _answers(label, which)
        if not isinstance(answers, NotMeasurable):
            rates = {g.group: g.error(error) for g in answers.groups}
            if any(isinstance(rate, Estimate) for rate in rates.values()):
                yield plots.groups(label.label, error.upper(), rates, answers.threshold)


def _tiles(label: LabelResult) -> Iterator[Tile]:
    for which, error in _ERRORS:
        answers = _answers(label, which)
        ratio = NotMeasurable("") if isinstance(answers, NotMeasurable) else answers.inequity.get(error)
        if isinstance(ratio, float):
            yield Tile(
                f"{ratio:.2f} times", f"the groups' geometric mean is the worst {error.upper()} by {label.label}"
            )


def _rows(result: GroupsResult) -> Iterator[Mapping[str, Any]]:
    for label in result.labels:
        for which, error in _ERRORS:
            answers = _answers(label, which)
            if isinstance(answers, NotMeasurable):
                continue
            for group in answers.groups:
                rate = group.error(error)
                known = isinstance(rate, Estimate)
                yield {
                    "label": label.label,
                    "group": group.group,
                    "error": error,
                    "threshold": answers.threshold,
                    "rate": rate.value if isinstance(rate, Estimate) else "",
                    "low": rate.interval.low if isinstance(rate, Estimate) else "",
                    "high": rate.interval.high if isinstance(rate, Estimate) else "",
                    "count": rate.rate.count if isinstance(rate, Estimate) else "",
                    "trials": rate.rate.trials if isinstance(rate, Estimate) else "",
                    "people": group.people,
                    "not_measurable": "" if known else str(rate),
                }


def _differences(result: GroupsResult) -> Iterator[Mapping[str, Any]]:
    for label in result.labels:
        for d in differences_of(label):
            least = d.smallest_detectable
            yield {
                "label": label.label,
                "error": d.error,
                "a": d.a,
                "b": d.b,
                "difference": d.difference,
                "low": d.interval.low,
                "high": d.interval.high,
                "p": d.p,
                "p_holm": d.p_holm,
                "smallest_detectable": "" if isinstance(least, NotMeasurable) else least,
            }
