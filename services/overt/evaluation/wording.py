"""Statements: numbers in the words that they can carry."""

from __future__ import annotations

import math

from overt.evaluation.estimate import Estimate
from overt.evaluation.intervals import LEVEL, Rate
from overt.evaluation.planner import passes_needed
from overt.evaluation.unmeasurable import NotMeasurable


def percent(share: float) -> str:
    """`0.37 %`, `95.1 %`: two significant digits below 10 %, and as many after the point as tell a share from 100 %."""
    if not math.isfinite(share):
        return "no number"
    value = 100 * share
    rest = min(abs(value), abs(100 - value))
    digits = 0 if rest == 0 else min(6, max(1, 1 - math.floor(math.log10(rest))))
    return f"{value:.{digits}f} %"


def one_in(share: float) -> str:
    """`1 in 270`: rounded to two digits towards the worse, never rarer than it is."""
    if share <= 0:
        return "none"
    many = 1 / min(1.0, share)
    unit = 10 ** max(0, math.floor(math.log10(many) + 1e-9) - 1)
    return f"1 in {int(math.floor(many / unit + 1e-9) * unit):,}"


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
    """How many trials, and of how many people where these are fewer."""
    if isinstance(measured, Rate) or measured.people >= measured.rate.trials:
        return f"{measured.trials if isinstance(measured, Rate) else measured.rate.trials:,}"
    return f"{measured.rate.trials:,} of {measured.people:,} people"


def value_in_words(value: float | NotMeasurable, digits: int = 3) -> str:
    """A number, or why there is none."""
    return str(value) if isinstance(value, NotMeasurable) else f"{value:.{digits}f}"
