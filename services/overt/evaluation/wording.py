"""Statements: numbers in the words that they can carry."""

from __future__ import annotations

from overt.evaluation.estimate import Estimate
from overt.evaluation.intervals import LEVEL, Rate
from overt.evaluation.planner import passes_needed
from overt.evaluation.spelling import one_in as one_in
from overt.evaluation.spelling import percent as percent
from overt.evaluation.unmeasurable import NotMeasurable


def rate_in_words(measured: Rate | Estimate | NotMeasurable) -> str:
    """`95.1 % (92.5 to 97.0 %), 388 of 408`; with no error, `none in 812: at most 0.37 % at 95 %`."""
    if isinstance(measured, NotMeasurable):
        return str(measured)
    rate = measured if isinstance(measured, Rate) else measured.rate
    if not rate.trials:
        return str(NotMeasurable("there were no trials"))
    most = measured.at_most() if isinstance(measured, Rate) else measured.at_most
    interval = measured.clopper_pearson() if isinstance(measured, Rate) else measured.interval
    if rate.count == 0:
        return f"none in {_trials(measured)}: at most {percent(most)} at {100 * interval.level:g} %"
    low, high = percent(interval.low).removesuffix(" %"), percent(interval.high)
    return f"{percent(rate.value)} ({low} to {high}), {rate.count:,} of {rate.trials:,}"


def claim_in_words(measured: Rate | Estimate | NotMeasurable, target: float, what: str) -> str:
    """Whether `what` (such as "FPIR") is at most `target` can be claimed from this sample, and what can be instead."""
    wanted = f"{what} at most {percent(target)}"
    if isinstance(measured, NotMeasurable):
        return f"{wanted}: {measured}"
    rate = measured if isinstance(measured, Rate) else measured.rate
    most = measured.at_most() if isinstance(measured, Rate) else measured.at_most
    units = rate.trials if isinstance(measured, Rate) else measured.people
    seen, level = f"{rate.count:,} in {_trials(measured)}", f"{100 * LEVEL:g} %"
    if most <= target:
        return f"{wanted} can be claimed at {level}: {seen}, so at most {percent(most)}"
    text = f"{wanted} cannot be claimed at {level} from {seen}: it is at most {percent(most)}"
    if units < (needed := passes_needed(target)):
        return f"{text}; it needs {needed:,} people without a single one"
    return text


def _trials(measured: Rate | Estimate) -> str:
    """How many trials, and of how many people or independent ones where these are fewer."""
    if isinstance(measured, Rate) or measured.people >= measured.rate.trials:
        return f"{measured.trials if isinstance(measured, Rate) else measured.rate.trials:,}"
    if not measured.of_people:
        return f"{measured.rate.trials:,} ({measured.people:,} of them surely independent)"
    return f"{measured.rate.trials:,} of {measured.people:,} people"


def value_in_words(value: float | NotMeasurable, digits: int = 3) -> str:
    """A number, or why there is none."""
    return str(value) if isinstance(value, NotMeasurable) else f"{value:.{digits}f}"
