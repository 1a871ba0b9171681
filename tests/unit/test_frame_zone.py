"""The zone: what lies outside the polygon never leaves the camera service, what lies inside is not touched."""

from __future__ import annotations

import contextlib
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overt.frame.zone import Cut, Point, Zone, ZoneError, cut

_fractions = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]))
_polygons = st.lists(st.tuples(_fractions, _fractions), min_size=3, max_size=8)
_sizes = st.tuples(st.integers(1, 24), st.integers(1, 24))


def _image(width: int, height: int) -> np.ndarray:
    """No pixel is 0 in any channel, so a blanked one is told from any other."""
    rng = np.random.default_rng(width * 100 + height)
    return rng.integers(1, 256, (height, width, 3), np.uint8)


def _inside(polygon: list[Point], x: float, y: float) -> bool | None:
    """Even-odd rule by casting a ray to the left, straight from its definition; None too near an edge to say."""
    crossings = 0
    for (x1, y1), (x2, y2) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
        length = math.hypot(x2 - x1, y2 - y1)
        along = 0.0 if length < 1e-9 else max(0.0, min(1.0, ((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / length**2))
        if math.hypot(x - x1 - along * (x2 - x1), y - y1 - along * (y2 - y1)) < 1e-6:
            return None
        if (y1 <= y) != (y2 <= y) and x1 + (y - y1) / (y2 - y1) * (x2 - x1) <= x:
            crossings += 1
    return crossings % 2 == 1


@settings(max_examples=150, deadline=None)
@given(_polygons, _sizes)
def test_no_pixel_outside_survives_and_none_inside_changes(polygon: list[Point], size: tuple[int, int]) -> None:
    """Each pixel is judged by its centre, against an independent even-odd test."""
    width, height = size
    image = _image(width, height)
    scaled = [(x * width, y * height) for x, y in polygon]
    truth = [[_inside(scaled, column + 0.5, row + 0.5) for column in range(width)] for row in range(height)]
    whole = np.zeros_like(image)
    part: Cut | None = None
    with contextlib.suppress(ZoneError):
        part = Zone(polygon).cut(image)
    if part is not None:
        rows, columns = part.bgr.shape[:2]
        whole[part.top : part.top + rows, part.left : part.left + columns] = part.bgr
    for row in range(height):
        for column in range(width):
            if truth[row][column] is True:
                assert part is not None
                assert (whole[row, column] == image[row, column]).all()
            elif truth[row][column] is False:
                assert not whole[row, column].any()


@settings(max_examples=100, deadline=None)
@given(_polygons, _sizes)
def test_only_the_bounding_rectangle_travels(polygon: list[Point], size: tuple[int, int]) -> None:
    """Every border row and column of the cut holds at least one pixel of the zone."""
    zone = Zone(polygon)
    try:
        part = zone.cut(_image(*size))
    except ZoneError:
        assert not any(
            _inside([(x * size[0], y * size[1]) for x, y in polygon], column + 0.5, row + 0.5)
            for row in range(size[1])
            for column in range(size[0])
        )
        return
    kept = np.asarray(part.bgr.any(axis=2))
    assert kept[0].any()
    assert kept[-1].any()
    assert kept[:, 0].any()
    assert kept[:, -1].any()
    assert (zone.mask(*size) > 0).sum() == kept.sum()


@settings(max_examples=100, deadline=None)
@given(st.floats(0.05, 0.95), st.floats(0.05, 0.95), _sizes)
def test_zones_that_share_an_edge_share_no_pixel_and_leave_none_out(
    above: float, below: float, size: tuple[int, int]
) -> None:
    """The two sides of one line, each listed in its own direction, make up the image exactly."""
    left, right = Zone([(0, 0), (above, 0), (below, 1), (0, 1)]), Zone([(1, 1), (below, 1), (above, 0), (1, 0)])
    covered = np.zeros((size[1], size[0]), int)
    for zone in (left, right):
        try:
            covered += zone.mask(*size) > 0
        except ZoneError:
            continue
    assert (covered == 1).all()


def test_a_centre_on_an_edge_is_inside_at_the_left_and_top_and_outside_at_the_right_and_bottom() -> None:
    """In a 4x4 image the centres lie at 1/8, 3/8, 5/8, 7/8."""
    part = Zone([(0.125, 0.125), (0.875, 0.125), (0.875, 0.875), (0.125, 0.875)]).cut(_image(4, 4))
    assert (part.left, part.top, part.bgr.shape) == (0, 0, (3, 3, 3))


def test_the_whole_image_as_zone_keeps_every_pixel() -> None:
    """Fractions 0 and 1 are the image's borders."""
    image = _image(17, 9)
    part = cut(image, Zone([(0, 0), (1, 0), (1, 1), (0, 1)]))
    assert (part.left, part.top) == (0, 0)
    assert (part.bgr == image).all()


@pytest.mark.parametrize("polygon", [[(0, 0), (1, 0), (1, 1), (0, 1)], [(0.5, 0), (1, 1), (0, 1)]])
def test_the_cut_shares_no_memory_with_the_image(polygon: list[Point]) -> None:
    """A reader may use its buffer again: with a mask and without, what was cut stays as it was."""
    image = _image(20, 20)
    part = Zone(polygon).cut(image)
    before = part.bgr.copy()
    image[:] = 0
    assert not np.shares_memory(part.bgr, image)
    assert (part.bgr == before).all()
    assert part.bgr.flags.c_contiguous


def test_one_zone_serves_images_of_any_size() -> None:
    """A camera may change its resolution: the fractions are laid on each size anew."""
    zone = Zone([(0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)])
    for width, height in [(40, 20), (400, 200), (8, 8), (64, 48), (100, 100), (40, 20)]:
        part = zone.cut(_image(width, height))
        assert part.bgr.shape[:2] == (height // 2, width // 2)
        assert (part.left, part.top) == (width // 4, height // 4)


@pytest.mark.parametrize(
    ("polygon", "says"),
    [
        ([(0, 0), (1, 1)], "at least three"),
        ([(0, 0), (1, 0), (1.5, 1)], "corner 3"),
        ([(0, 0), (float("nan"), 0), (1, 1)], "corner 2"),
    ],
)
def test_a_polygon_that_is_none_is_refused_with_its_corner(polygon: list[Point], says: str) -> None:
    """The text names what is wrong."""
    with pytest.raises(ZoneError, match=says):
        Zone(polygon)


def test_a_zone_without_a_pixel_is_an_error_that_names_the_size() -> None:
    """Nothing would ever be seen: that is said instead of sending empty pictures."""
    with pytest.raises(ZoneError, match="10x10"):
        Zone([(0.01, 0.01), (0.02, 0.01), (0.02, 0.02)]).cut(_image(10, 10))
