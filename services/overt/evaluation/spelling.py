"""Shares in the digits that they can carry."""

from __future__ import annotations

import math

_MOST_DIGITS = 8


def percent(share: float) -> str:
    """`0.37 %`, `95.1 %`: two significant digits below 10 %, and as many after the point as tell a share from 100 %."""
    if not math.isfinite(share):
        return "no number"
    value = 100 * share
    rest = min(abs(value), abs(100 - value))
    digits = 0 if rest == 0 else max(1, 1 - math.floor(math.log10(rest)))
    if digits > _MOST_DIGITS:
        return f"under {10**-_MOST_DIGITS:.{_MOST_DIGITS}f} %" if value < 50 else f"over {100 - 10**-4:.4f} %"
    return f"{value:.{digits}f} %"


def one_in(share: float) -> str:
    """`1 in 270`: rounded to two digits towards the worse, never rarer than it is."""
    if share <= 0:
        return "none"
    many = 1 / min(1.0, share)
    unit = 10 ** max(0, math.floor(math.log10(many) + 1e-9) - 1)
    return f"1 in {math.floor(many / unit + 1e-9) * unit:,}"
