"""How long a model takes on this machine: a detector for a picture, an embedder for a face."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from overt.models.card import Card, EmbedderCard
from overt.models.preprocess import to_input
from overt.models.session import Session

_WARM_UPS = 2


@dataclass(frozen=True, slots=True)
class Timing:
    """Median times of a model for one size. `ms` is of one picture or face: preparing its input and the network's pass,
    of a face both passes where the card asks for the mirrored chip too."""

    name: str
    role: str
    width_px: int
    height_px: int
    ms: float
    least_ms: float
    provider: str
    repeats: int


def time_model(card: Card, session: Session, sizes_px: Sequence[tuple[int, int]], repeats: int) -> tuple[Timing, ...]:
    """A timing for each (width, height) of a detector; one for an embedder, whose chip has one size.

    One picture at a time, of noise: networks take the same time for every picture. Blocks for as long as it takes.
    """
    if card.input.chip_px is not None:
        sizes_px = [(card.input.chip_px, card.input.chip_px)]
    return tuple(_time(card, session, width, height, repeats) for width, height in sizes_px)


def _time(card: Card, session: Session, width: int, height: int, repeats: int) -> Timing:
    bgr = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), dtype=np.uint8)
    if isinstance(card, EmbedderCard) and card.mirror:
        bgr = np.concatenate([bgr, bgr[:, :, ::-1]])
    taken_ms = []
    for _ in range(_WARM_UPS + repeats):
        start = time.perf_counter()
        session.run(to_input(card, bgr))
        taken_ms.append((time.perf_counter() - start) * 1000)
    counted = taken_ms[_WARM_UPS:]
    return Timing(
        card.name,
        card.role,
        width,
        height,
        round(median(counted), 3),
        round(min(counted), 3),
        session.provider,
        repeats,
    )
