"""Pictures that show nothing new are not sent; nobody is overlooked for it."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from overt.frame.stillness import Stillness, still_rule
from overt.picture import Bgr

FACE_PX = 32
RULE = still_rule(FACE_PX)
STEP_US = 100_000


def empty(seed: int = 0, noise: float = 4.0) -> Bgr:
    """An empty zone as a noisy sensor gives it."""
    grey = np.linspace(60, 180, 160 * 90).reshape(90, 160)[..., None] + np.zeros(3)
    return np.clip(grey + np.random.default_rng(seed).normal(0, noise, grey.shape), 0, 255).astype(np.uint8)


def test_an_empty_zone_is_sent_now_and_then_and_noise_is_no_change() -> None:
    stillness = Stillness(RULE)
    sent = [n for n in range(21) if not stillness.unchanged(empty(n), n * STEP_US)]
    assert sent == [0, 4, 8, 12, 16, 20]


@given(st.integers(0, 160 - FACE_PX), st.integers(0, 90 - FACE_PX), st.sampled_from([-25, 25]))
@settings(deadline=None)
def test_a_face_of_the_smallest_size_is_a_change_wherever_it_appears(left: int, top: int, contrast: int) -> None:
    stillness = Stillness(RULE)
    assert not stillness.unchanged(empty(1), 0)
    entered = empty(2).astype(np.int16)
    entered[top : top + FACE_PX, left : left + FACE_PX] += contrast
    assert not stillness.unchanged(np.clip(entered, 0, 255).astype(np.uint8), STEP_US)


def test_what_changes_slowly_is_noticed() -> None:
    """Each picture is compared with the last one sent, not with the one before."""
    stillness = Stillness(RULE)
    dusk = [np.full((90, 160, 3), 100 - n, np.uint8) for n in range(13)]
    assert [n for n, picture in enumerate(dusk) if not stillness.unchanged(picture, n)] == [0, 6, 12]


def test_another_size_and_a_clock_that_was_set_back_are_sent() -> None:
    stillness = Stillness(RULE)
    assert not stillness.unchanged(empty(), 10_000_000)
    assert not stillness.unchanged(empty(), 5_000_000)
    assert stillness.unchanged(empty(), 5_000_001)
    assert not stillness.unchanged(empty()[:80], 5_000_002)
