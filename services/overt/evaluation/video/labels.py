"""Who passes when in a recording: what an evaluator writes down while watching it.

CSV with a header, or JSON (a list of objects): `person`, `from`, `until` (seconds, or h:mm:ss), and optionally `left`,
`top`, `right`, `bottom`: the part of the picture, in pixels, that holds the middle of the face meanwhile. Rows of one
person that follow each other within two seconds are one pass, so that a box can move. Whoever is on the watchlist is
written as there; others need any name of their own.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from overt.evaluation.datasets import DatasetError, csv_rows
from overt.evaluation.video.truth import TrueFace, Xyxy

_SAME_PASS_S = 2.0
_SIDES = ("left", "top", "right", "bottom")


@dataclass(frozen=True, slots=True)
class Spell:
    """One row."""

    person: str
    from_s: float
    until_s: float
    xyxy: Xyxy | None
    where: str
    """The row's place in its file."""


@dataclass(frozen=True, slots=True)
class LabelledPass:
    """One pass of one person."""

    person: str
    spells: tuple[Spell, ...]

    @property
    def from_s(self) -> float:
        return self.spells[0].from_s

    @property
    def until_s(self) -> float:
        return max(spell.until_s for spell in self.spells)


def read_labels(path: Path) -> list[LabelledPass]:
    """All passes, by their begin. Raises DatasetError, naming the row, also where passes overlap in time and no boxes
    tell them apart."""
    rows = _json_rows(path) if path.suffix.lower() == ".json" else csv_rows(path)
    spells = sorted((_spell(where, row) for where, row in rows), key=lambda spell: spell.from_s)
    if not spells:
        raise DatasetError(f"{path}: no row; expected person, from, until of each pass")
    for one, other in combinations(spells, 2):
        together = one.from_s < other.until_s and other.from_s < one.until_s
        if together and one.person != other.person and (one.xyxy is None or other.xyxy is None):
            raise DatasetError(
                f"{other.where}: {other.person} passes while {one.person} does ({one.where}); "
                "give both a box (left, top, right, bottom), so that their faces can be told apart"
            )
    passes: dict[str, list[list[Spell]]] = {}
    for spell in spells:
        known = passes.setdefault(spell.person, [])
        if known and spell.from_s - max(s.until_s for s in known[-1]) <= _SAME_PASS_S:
            known[-1].append(spell)
        else:
            known.append([spell])
    found = [LabelledPass(person, tuple(each)) for person, many in passes.items() for each in many]
    return sorted(found, key=lambda each: each.from_s)


class LabelledTruth:
    """The ground truth of a recording (`overt.evaluation.video.truth.Truth`). `begin_us`: capture time of its first
    picture; None: that of the first frame that is asked for."""

    def __init__(self, passes: Sequence[LabelledPass], begin_us: int | None) -> None:
        self._passes = passes
        self._begin_us = begin_us

    def faces_at(self, frame_seq: int, captured_at_us: int) -> Sequence[TrueFace]:
        """Whoever passes at that time. No face's size is known."""
        del frame_seq
        if self._begin_us is None:
            self._begin_us = captured_at_us
        time_s = (captured_at_us - self._begin_us) / 1e6
        now = [[s.xyxy for s in each.spells if s.from_s <= time_s < s.until_s] for each in self._passes]
        return [
            TrueFace(number, None, 1.0, () if None in regions else tuple(r for r in regions if r is not None))
            for number, regions in enumerate(now)
            if regions
        ]

    def owners(self, faces: Sequence[TrueFace], boxes: Sequence[Xyxy]) -> list[int | None]:
        """Whose region holds a box's middle, of several the first."""
        return [next((face.passer for face in faces if _holds(face, box)), None) for box in boxes]


def _holds(face: TrueFace, box: Xyxy) -> bool:
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return not face.regions or any(r[0] <= x <= r[2] and r[1] <= y <= r[3] for r in face.regions)


def _json_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        rows = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: cannot be read as JSON ({error})") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DatasetError(f'{path}: a list of objects like {{"person": "a", "from": 3.2, "until": 6}} is expected')
    yield from ((f"{path}: [{number}]", row) for number, row in enumerate(rows))


def _spell(where: str, row: Mapping[str, Any]) -> Spell:
    person = str(row.get("person") or "").strip()
    if not person:
        raise DatasetError(f"{where}: no person; give whoever is on no list a name of their own too")
    from_s, until_s = (_seconds(where, name, row.get(name)) for name in ("from", "until"))
    if not from_s < until_s:
        raise DatasetError(f"{where}: from {from_s:g} s until {until_s:g} s is no time")
    given = [row.get(side) for side in _SIDES]
    if all(value in (None, "") for value in given):
        return Spell(person, from_s, until_s, None, where)
    try:
        left, top, right, bottom = (float(value) for value in given if value is not None)
    except ValueError:
        raise DatasetError(f"{where}: {', '.join(_SIDES)}: four numbers, or none, are expected") from None
    if not (left < right and top < bottom):
        raise DatasetError(f"{where}: left < right and top < bottom are expected")
    return Spell(person, from_s, until_s, (left, top, right, bottom), where)


def _seconds(where: str, name: str, value: Any) -> float:
    """`12.5`, `1:12.5` or `0:01:12.5`."""
    try:
        parts = [float(part) for part in str(value).split(":")]
    except ValueError:
        parts = []
    if not 1 <= len(parts) <= 3 or not all(math.isfinite(part) and part >= 0 for part in parts):
        raise DatasetError(f"{where}: {name}: seconds or h:mm:ss are expected, not {value}")
    return sum(part * 60.0**power for power, part in enumerate(reversed(parts)))
