"""Whether a site's false alerts leave their bound: Wald's sequential probability ratio test.

Every pass is a trial that ends in a false alert or does not. H0: the rate is at most `ceiling`; H1: it is at least
`detectable` times that. After each minute of capture time the logarithm of the likelihood ratio is compared with two
bounds (A. Wald, "Sequential Tests of Statistical Hypotheses", Ann. Math. Statist. 16, 1945, and its chapter on the
binomial case):

    pause at        ln((1 - beta) / alpha)
    begin again at  ln(beta / (1 - alpha)): what was seen speaks for H0, and must not make the guard slow later

One run from 0 to either bound pauses a site whose rate is at the ceiling with a probability of at most
alpha / (1 - beta), and lets one at H1 pass with at most beta / (1 - alpha) (Wald's inequalities). A site that stays at
H1 is paused in the end.

Passes prove nothing before the alerts among them are judged. So a minute's passes count up to the first alert, in
capture time, that nobody has judged; a false alert counts wherever it is. Whoever does not judge can only bring the
pause nearer. The result depends on the counts and on nothing else: not on the order in which they came.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Minute:
    """What was counted of a site in one minute of capture time."""

    start_us: int
    passes: int
    false_alerts: int
    unjudged_alerts: int


@dataclass(frozen=True, slots=True)
class Bound:
    """The test. Rates are false alerts for each pass; 0 < ceiling < detectable * ceiling < 1."""

    ceiling: float
    detectable: float
    alpha: float
    beta: float

    @property
    def upper(self) -> float:
        """Log likelihood ratio at which a site is paused."""
        return math.log((1 - self.beta) / self.alpha)

    @property
    def lower(self) -> float:
        """Log likelihood ratio at which the test begins again."""
        return math.log(self.beta / (1 - self.alpha))

    def evidence(self, passes: int, false_alerts: int) -> float:
        """Log likelihood ratio of H1 to H0."""
        worse = self.ceiling * self.detectable
        right = max(0, passes - false_alerts)
        return false_alerts * math.log(worse / self.ceiling) + right * math.log((1 - worse) / (1 - self.ceiling))


@dataclass(frozen=True, slots=True)
class Weighed:
    """What became of the test."""

    left_bound: bool
    evidence: float
    """Log likelihood ratio of the run that goes on, or that ended with the pause."""
    passes: int
    """All that were weighed, those of earlier runs too."""
    false_alerts: int
    until_us: int
    """End of the last minute there is; `since_us` where there is none."""


def weigh(bound: Bound, minutes: Sequence[Minute], since_us: int) -> Weighed:
    """Runs the test over the minutes, in capture time and without gaps in what was counted, that begin at `since_us` or
    later."""
    evidence, passes, false_alerts, judged = 0.0, 0, 0, True
    later = [minute for minute in minutes if minute.start_us >= since_us]
    until_us = later[-1].start_us + 60_000_000 if later else since_us
    for minute in later:
        judged = judged and not minute.unjudged_alerts
        seen = minute.passes if judged else 0
        passes += seen
        false_alerts += minute.false_alerts
        evidence += bound.evidence(seen, minute.false_alerts)
        if evidence >= bound.upper:
            return Weighed(True, evidence, passes, false_alerts, until_us)
        if evidence <= bound.lower:
            evidence = 0.0
    return Weighed(False, evidence, passes, false_alerts, until_us)
