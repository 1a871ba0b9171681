"""What each shortcoming of a face costs, as data: measured by `overt evaluate quality`, not guessed.

A quality is the probability that a comparison of the face with another image of its person succeeds at a false match
rate of 1e-3, by that of a face with nothing wrong, as it was measured with the models and images that the calibration's
file names. With other models it ranks faces as well, and its level is theirs to measure.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

import yaml

Line = tuple[tuple[float, float], ...]
"""(value, penalty in log-odds), values ascending; straight between, level beyond both ends."""

RISING: Mapping[str, bool] = {
    "eye_distance_px": True,
    "yaw": False,
    "sharpness": True,
    "contrast": True,
    "score": True,
}
"""The components, and whether more of each is better."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Log-odds of a face with nothing wrong, and what is taken off them."""

    best: float
    penalties: Mapping[str, Line]

    def quality(self, components: Mapping[str, float]) -> float:
        """0 to 1. A component that is not given is taken for faultless; one that is NaN is the worst there is."""
        taken = sum(_at(self.penalties[name], value) for name, value in components.items() if name in self.penalties)
        return (1 + math.exp(-self.best)) / (1 + math.exp(taken - self.best))


def shipped_calibration(decoder: str) -> Calibration:
    """The one that comes with the package for detectors of a family (`DetectorCard.decoder`): scores and landmarks of
    another family are not on the same scale."""
    name = f"{decoder}.yaml"
    file = resources.files("overt.detector") / "calibrations" / name
    return read_calibration(yaml.safe_load(file.read_text("utf-8")), name)


def read_calibration(content: object, where: str) -> Calibration:
    """From what a YAML file holds: `best`, and `penalties` by component as lists of [value, penalty].

    Raises ValueError that names `where`, the component and what was expected.
    """
    if not isinstance(content, dict) or not isinstance(content.get("penalties"), dict) or "best" not in content:
        raise ValueError(f"{where}: expected best (a number) and penalties (by component)")
    penalties = {}
    for name, points in content["penalties"].items():
        if name not in RISING:
            raise ValueError(f"{where}: penalties.{name}: expected one of {', '.join(RISING)}")
        penalties[name] = _checked(points, rising=RISING[name], where=f"{where}: penalties.{name}")
    return Calibration(float(content["best"]), penalties)


def _checked(points: Sequence[Sequence[float]], *, rising: bool, where: str) -> Line:
    try:
        line = tuple((float(value), float(penalty)) for value, penalty in points)
    except (TypeError, ValueError):
        raise ValueError(f"{where}: expected a list of [value, penalty]") from None
    values, costs = [value for value, _ in line], [cost for _, cost in line]
    if len(line) < 2 or values != sorted(set(values)) or costs != sorted(costs, reverse=rising) or min(costs) < 0:
        falling = "falling" if rising else "rising"
        raise ValueError(f"{where}: expected two points or more with values ascending and {falling} penalties from 0")
    return line


def _at(line: Line, value: float) -> float:
    if math.isnan(value):
        return max(line[0][1], line[-1][1])
    if value <= line[0][0]:
        return line[0][1]
    if value >= line[-1][0]:
        return line[-1][1]
    right = bisect_right(line, value, key=lambda point: point[0])
    (x0, y0), (x1, y1) = line[right - 1], line[right]
    return y0 + (y1 - y0) * (value - x0) / (x1 - x0)
