"""Golden numbers: each model, fed as its card says, gives what it gave when it was measured to work.

A wrong colour order, a normalisation done twice or another template raise no error anywhere; they only make worse
vectors. So each is tried here too and must miss the golden numbers by far more than the tolerance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from overt.models.card import Card, DetectorCard, EmbedderCard, Point
from overt.models.preprocess import Floats, to_input
from overt.models.session import open_session
from tests.support.models import model_registry, real_model

Pixels = NDArray[np.uint8]

# First numbers of the output named, for `pattern`: of an embedder its unit vector, of a detector the raw output.
GOLDEN: dict[str, tuple[str, list[float]]] = {
    "centerface": ("landmarks", [0.49634, 0.51804, 0.48447, 0.49153, 0.46114, 0.44357, 0.4236, 0.45594]),
    "dlib-resnet-v1": ("embedding", [-0.05684, 0.04297, 0.034, -0.05157, -0.05489, -0.04324, -0.06446, -0.04947]),
    "mobilefacenet-192": ("embedding", [-0.01175, 0.01263, 0.01143, 0.01682, -0.03917, -0.03835, -0.04533, -0.10509]),
    "yunet-n": ("kps_32", [0.29209, 0.11028, 0.76737, 0.10044, 0.69084, 0.45764, 0.41224, 0.7451]),
    "yunet-s": ("kps_32", [0.57848, 0.57774, 1.77226, 0.55676, 1.4011, 1.42956, 0.87934, 2.03977]),
}

TOLERANCE = 1e-3
MISSED_BY = 10 * TOLERANCE


def pattern(side: int, points_xy: Sequence[Point]) -> Pixels:
    """A picture of nobody, uint8 [1, side, side, 3] BGR: a slope of colours with a soft spot at each of five points.

    Only sums, products and roots, which give the same numbers on every machine.
    """
    y, x = np.mgrid[:side, :side].astype(np.float64)
    picture = np.stack([40 + 60 * x / side, 90 + 50 * y / side, 130 + 45 * (x + y) / side], axis=2)
    eye, nose, mouth = (150, 60, 30), (90, 140, 230), (60, 40, 200)
    for (px, py), colour in zip(points_xy, (eye, eye, nose, mouth, mouth), strict=True):
        weight = np.clip(1 - ((x - px) ** 2 + (y - py) ** 2) / (0.09 * side) ** 2, 0, None)[..., None]
        picture = picture * (1 - weight) + np.array(colour) * weight
    return np.asarray(np.round(picture), np.uint8)[None]


def template(card: Card) -> tuple[int, list[Point]]:
    """Side and points of the pattern: an embedder's own; for detectors the default embedder's on 128 px."""
    embedder = card if isinstance(card, EmbedderCard) else model_registry().embedder("dlib-resnet-v1")
    side = card.input.chip_px or 128
    scale = side / embedder.alignment.chip_px
    return side, [(x * scale, y * scale) for x, y in embedder.alignment.points_xy]


def answer(card: Card, tensor: Floats) -> Floats:
    """The numbers that are compared with GOLDEN."""
    name, golden = GOLDEN[card.name]
    output = open_session(card, real_model(card.name)).run(tensor)[name].ravel()
    if isinstance(card, EmbedderCard):
        output = output / np.linalg.norm(output)
    return np.asarray(output[: len(golden)], np.float32)


def distance(card: Card, tensor: Floats) -> float:
    return float(np.abs(answer(card, tensor) - np.array(GOLDEN[card.name][1], np.float32)).max())


CARDS = [c.name for c in model_registry().cards()]
EMBEDDERS = [c.name for c in model_registry().cards() if isinstance(c, EmbedderCard)]


@pytest.mark.parametrize("name", CARDS)
def test_a_model_gives_its_golden_numbers(name: str) -> None:
    card = model_registry().card(name)
    assert distance(card, to_input(card, pattern(*template(card)))) < TOLERANCE


MISTAKES: dict[str, Callable[[Card, Pixels], Floats]] = {
    "colours swapped": lambda card, image: to_input(card, image[..., ::-1]),
    "mean and scale applied twice": lambda card, image: (to_input(card, image) - np.float32(127.5)) / np.float32(127.5),
    "scaled to 0..1 before": lambda card, image: to_input(card, image) / np.float32(255),
}


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("name", CARDS)
def test_golden_numbers_are_missed_with_a_mistake_in_the_input(name: str, mistake: str) -> None:
    card = model_registry().card(name)
    assert distance(card, MISTAKES[mistake](card, pattern(*template(card)))) > MISSED_BY


@pytest.mark.parametrize("name", EMBEDDERS)
def test_golden_numbers_are_missed_with_another_template(name: str) -> None:
    card = model_registry().embedder(name)
    side, points = template(card)
    other = next(model_registry().embedder(e) for e in EMBEDDERS if e != name).alignment
    scaled = [(x * side / other.chip_px, y * side / other.chip_px) for x, y in other.points_xy]
    for wrong in (scaled, [(x + 4, y) for x, y in points]):
        assert distance(card, to_input(card, pattern(side, wrong))) > MISSED_BY


@pytest.mark.parametrize("name", [c for c in CARDS if isinstance(model_registry().card(c), DetectorCard)])
def test_every_model_has_all_outputs_that_its_card_names(name: str) -> None:
    card = model_registry().card(name)
    outputs = open_session(card, real_model(name)).run(to_input(card, pattern(*template(card))))
    assert list(outputs) == list(card.outputs)
    assert all(o.dtype == np.float32 and np.isfinite(o).all() for o in outputs.values())
