"""Golden numbers: what a model gave, fed as its card says, for a picture of nobody.

A wrong colour order, a normalisation done twice or another template raise no error anywhere; they only make worse
vectors. The card keeps what was right, and `overt models verify` compares.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from overt.models.arcface import ARCFACE
from overt.models.card import Card, EmbedderCard, Golden, Point
from overt.models.errors import BadSession
from overt.models.preprocess import to_input
from overt.models.session import Floats, Session

Pixels = NDArray[np.uint8]

TOLERANCE = 5e-3
"""Part of the largest golden number. Providers and optimisations differ by less, mistakes by more than ten times it."""

_NUMBERS = 8
_DETECTOR_SIDE_PX = 128


def picture(card: Card) -> Pixels:
    """The picture for a card, uint8 [1, side, side, 3] BGR: a soft spot at each of the five points of its template.

    A detector gets ArcFace's template on 128 px.
    """
    alignment = card.alignment if isinstance(card, EmbedderCard) else ARCFACE
    side = card.input.chip_px or _DETECTOR_SIDE_PX
    scale = side / alignment.chip_px
    return pattern(side, [(x * scale, y * scale) for x, y in alignment.points_xy])


def pattern(side: int, points_xy: Sequence[Point]) -> Pixels:
    """A slope of colours with five soft spots, uint8 [1, side, side, 3] BGR.

    Only sums, products and quotients, which give the same numbers on every machine.
    """
    y, x = np.mgrid[:side, :side].astype(np.float64)
    bgr = np.stack([40 + 60 * x / side, 90 + 50 * y / side, 130 + 45 * (x + y) / side], axis=2)
    eye, nose, mouth = (150, 60, 30), (90, 140, 230), (60, 40, 200)
    for (px, py), colour in zip(points_xy, (eye, eye, nose, mouth, mouth), strict=True):
        weight = np.clip(1 - ((x - px) ** 2 + (y - py) ** 2) / (0.09 * side) ** 2, 0, None)[..., None]
        bgr = bgr * (1 - weight) + np.array(colour) * weight
    return np.asarray(np.round(bgr), np.uint8)[None]


def measure(card: Card, session: Session, tensor: Floats | None = None) -> Golden:
    """The numbers of this model now, for its picture or for another input tensor.

    The first of the vector, scaled to unit length; of a detector, of the last output that the card names.
    """
    name = card.golden.output if card.golden else list(card.outputs)[-1]
    output = session.run(to_input(card, picture(card)) if tensor is None else tensor)[name].ravel()
    if isinstance(card, EmbedderCard):
        output = output / np.linalg.norm(output)
    return Golden(output=name, numbers=tuple(round(float(value), 6) for value in output[:_NUMBERS]))


def distance(golden: Golden, found: Golden) -> float:
    """The largest difference, as a part of the largest golden number."""
    theirs = np.array(golden.numbers)
    return float(np.abs(theirs - np.array(found.numbers)).max() / np.abs(theirs).max())


def check(card: Card, session: Session) -> None:
    """Raises BadSession when the model does not give its card's golden numbers; a card without any passes."""
    if card.golden is None:
        return
    apart = distance(card.golden, measure(card, session))
    if not apart <= TOLERANCE:
        raise BadSession(
            f"{card.name}: gives other numbers than its card's golden ones (apart by {apart:.3f}, at most {TOLERANCE} "
            f"was expected): the card's colour, mean, scale, layout or template was changed, or {session.provider} "
            "computes wrongly. Restore the card, or use another provider."
        )
