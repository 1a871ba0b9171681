"""How many passes of unlisted people a claim needs, and what a number of passes can claim."""

from __future__ import annotations

from dataclasses import dataclass

from overt.evaluation.intervals import LEVEL


@dataclass(frozen=True, slots=True)
class Plan:
    """`passes` are needed to claim `FPIR <= fpir` at `level` when `errors` are seen on the way."""

    fpir: float
    errors: int
    passes: int
    level: float = LEVEL


def passes_needed(fpir: float, errors: int = 0, level: float = LEVEL) -> int:
    """The least n whose exact upper bound with `errors` in n is within `fpir`; with none, about 3 / fpir.

    Raises CannotMeasure unless 0 < fpir < 1, errors >= 0 and 0 < level < 1.
    """
    raise NotImplementedError


def claimable(passes: int, errors: int = 0, level: float = LEVEL) -> float:
    """The FPIR that may be claimed: the exact upper bound."""
    raise NotImplementedError


def plans(fpir: float, errors: tuple[int, ...] = (0, 1, 3, 10), level: float = LEVEL) -> tuple[Plan, ...]:
    """What the claim costs for several numbers of errors on the way."""
    return tuple(Plan(fpir, number, passes_needed(fpir, number, level), level) for number in errors)
