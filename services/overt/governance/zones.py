"""The authorised zone of a camera, as fractions of its image."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise

from pydantic import Field, field_validator

from overt.governance.fields import Fraction, Part, Slug, refuse

Point = tuple[float, float]

SMALLEST_AREA = 1e-4
"""Smallest zone that is accepted, as a fraction of the image: about 14 x 14 pixels of a 1080p one."""


class Zone(Part):
    """The part of the image that the authority covers. Everything outside is blanked before anything leaves the camera
    service."""

    zone_id: Slug = Field(
        default="zone", alias="id", description="Name of the zone; every alert carries it.", examples=["pavement"]
    )
    polygon: tuple[tuple[Fraction, Fraction], ...] = Field(
        min_length=3,
        max_length=64,
        description="Corners of the zone in order, each [x, y] as fractions (0 to 1) of the image's width and height"
        " from its top left corner: divide pixels by the image's size.",
        examples=[[[0.1, 0.25], [0.9, 0.25], [0.95, 1.0], [0.05, 1.0]]],
    )

    @field_validator("polygon")
    @classmethod
    def _is_a_simple_polygon(cls, polygon: tuple[Point, ...]) -> tuple[Point, ...]:
        if (fault := fault_of(polygon)) is not None:
            raise refuse(fault)
        return polygon


def fault_of(polygon: Sequence[Point]) -> str | None:
    """What keeps the corners from enclosing one area, in words for the user; None when nothing does."""
    if polygon[0] == polygon[-1]:
        return "the last corner repeats the first; leave it out, the zone closes by itself"
    for number, (here, there) in enumerate(pairwise(polygon)):
        if here == there:
            return f"corners {number + 1} and {number + 2} are the same point {list(here)}; leave one out"
    edges = list(zip(polygon, [*polygon[1:], polygon[0]], strict=True))
    pairs = list(combinations(range(len(edges)), 2))
    meeting = [pair for pair in pairs if pair[1] - pair[0] in (1, len(edges) - 1)]
    apart = [pair for pair in pairs if pair not in meeting]
    if crossing := next(((i, j) for i, j in apart if _touch(edges[i], edges[j])), None):
        return _crossing(*crossing)
    if abs(area(polygon)) < SMALLEST_AREA:
        return "the corners enclose no area, or almost none; give at least three corners that are not on one line"
    if crossing := next(((i, j) for i, j in meeting if _fold_back(edges[i], edges[j])), None):
        return _crossing(*crossing)
    return None


def _crossing(first: int, second: int) -> str:
    return (
        f"the edges after corner {first + 1} and after corner {second + 1} cross or touch;"
        " list the corners in the order in which one walks around the zone"
    )


def area(polygon: Sequence[Point]) -> float:
    """Signed area by the shoelace formula, as a fraction of the image."""
    around = zip(polygon, [*polygon[1:], polygon[0]], strict=True)
    return sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in around) / 2


def _turn(a: Point, b: Point, c: Point) -> int:
    cross = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    return 0 if abs(cross) < 1e-12 else (1 if cross > 0 else -1)


def _between(a: Point, b: Point, c: Point) -> bool:
    """Whether c, known to be on the line through a and b, lies on the segment."""
    return min(a[0], b[0]) <= c[0] <= max(a[0], b[0]) and min(a[1], b[1]) <= c[1] <= max(a[1], b[1])


def _touch(one: tuple[Point, Point], other: tuple[Point, Point]) -> bool:
    (a, b), (c, d) = one, other
    t1, t2, t3, t4 = _turn(a, b, c), _turn(a, b, d), _turn(c, d, a), _turn(c, d, b)
    if t1 != t2 and t3 != t4:
        return True
    on_line = ((t1, a, b, c), (t2, a, b, d), (t3, c, d, a), (t4, c, d, b))
    return any(turn == 0 and _between(p, q, r) for turn, p, q, r in on_line)


def _fold_back(one: tuple[Point, Point], other: tuple[Point, Point]) -> bool:
    """Whether two edges that share a corner lie on each other."""
    shared = one[1] if one[1] in other else one[0]
    first = one[0] if one[1] == shared else one[1]
    second = other[0] if other[1] == shared else other[1]
    if _turn(first, shared, second) != 0:
        return False
    dot = (first[0] - shared[0]) * (second[0] - shared[0]) + (first[1] - shared[1]) * (second[1] - shared[1])
    return dot > 0
