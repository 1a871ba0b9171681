"""How rare a similarity is among strangers, from what a certificate has measured, never beyond it."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass

from overt.evaluation.certificate import Certificate
from overt.evaluation.spelling import one_in


@dataclass(frozen=True, slots=True)
class Odds:
    """Share of strangers who would score at least so high against a list of this size."""

    share: float | None
    """None where no stranger of the evaluation did: then only `at_most` is known."""
    at_most: float
    """Upper 95 % bound."""
    unit: str
    """`pass` or `image`."""

    def __str__(self) -> str:
        whom = "strangers" if self.unit == "pass" else "strangers' images"
        if self.share is None:
            return f"fewer than {one_in(self.at_most)} {whom} would score this high"
        return f"{one_in(self.share)} {whom} would score this high (at worst {one_in(self.at_most)})"


def odds(certificate: Certificate, similarity: float, subjects: int | None = None) -> Odds | None:
    """What the certified tail of non-mated scores says of a similarity; None below where the tail begins.

    Between two measured points the more frequent one counts. Above the highest score that a stranger reached nothing is
    extrapolated. On a list of more `subjects` than were measured with, strangers have more chances: 1 - (1 - p)^(n/m).
    """
    points = certificate.tail
    place = bisect_right([point.cosine for point in points], similarity) - 1
    if place < 0 or not math.isfinite(similarity):
        return None
    point = points[place]
    larger = max(1.0, (subjects or 0) / certificate.list_size.measured_with)
    share = None if point.fpir == 0 else grown(point.fpir, larger)
    return Odds(share, grown(point.high, larger), certificate.unit)


def grown(share: float, factor: float) -> float:
    """An FPIR with a list `factor` times as long, by the law (see `overt.evaluation.listsize`)."""
    return 1.0 if share >= 1 else -math.expm1(factor * math.log1p(-share))
