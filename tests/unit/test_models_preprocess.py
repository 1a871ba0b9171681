"""Pixels to tensor: exactly (pixel - mean) / scale, in the card's order and layout, once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overt.models.card import Card, Input
from overt.models.preprocess import to_input
from tests.support.models import model_registry

BASE = model_registry().card("centerface")


def card(**fields: object) -> Card:
    given_fields = {"tensor": "x", "layout": "NCHW", "colour": "RGB", "mean": (0, 0, 0), "scale": 1, "stride_px": 4}
    return BASE.model_copy(update={"input": Input.model_validate(given_fields | fields)})


@given(
    layout=st.sampled_from(["NCHW", "NHWC"]),
    colour=st.sampled_from(["RGB", "BGR"]),
    mean=st.tuples(*[st.sampled_from([0.0, 104.0, 127.5])] * 3),
    scale=st.sampled_from([1.0, 127.5, 255.0]),
    shape=st.tuples(st.integers(0, 3), st.integers(1, 9), st.integers(1, 9)),
)
def test_every_value_is_the_pixel_less_the_mean_over_the_scale(
    layout: str, colour: str, mean: tuple[float, ...], scale: float, shape: tuple[int, int, int]
) -> None:
    bgr = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    tensor = to_input(card(layout=layout, colour=colour, mean=mean, scale=scale), bgr)
    assert tensor.dtype == np.float32
    assert tensor.flags.c_contiguous
    last = tensor.transpose(0, 2, 3, 1) if layout == "NCHW" else tensor
    _, height, width = shape
    assert last.shape[1:] == (-(-height // 4) * 4, -(-width // 4) * 4, 3)
    ordered = bgr[..., ::-1] if colour == "RGB" else bgr
    filled = np.zeros(last.shape)
    filled[:, :height, :width] = ordered
    np.testing.assert_allclose(last, (filled - np.array(mean)) / scale, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((1, 8, 8, 3), np.float32),
        np.zeros((8, 8, 3), np.uint8),
        np.zeros((1, 3, 8, 8), np.uint8),
        np.zeros((1, 8, 8, 4), np.uint8),
        np.zeros((1, 0, 8, 3), np.uint8),
    ],
    ids=["scaled before", "no batch", "channels first", "with alpha", "no rows"],
)
def test_what_is_no_batch_of_pixels_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="centerface takes"):
        to_input(card(), wrong)


def test_a_fixed_input_takes_its_chip_only() -> None:
    fixed = card(stride_px=None, chip_px=8)
    assert to_input(fixed, np.zeros((2, 8, 8, 3), np.uint8)).shape == (2, 3, 8, 8)
    for side in (7, 9, 16):
        with pytest.raises(ValueError, match="8 x 8 px"):
            to_input(fixed, np.zeros((2, side, side, 3), np.uint8))
