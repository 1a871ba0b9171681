"""An embedding model that is described by its card alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from overt.messages import Vector
from overt.models.card import EmbedderCard
from overt.models.preprocess import to_input
from overt.picture import Bgr

Infer = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""One call of the network: its input tensor to float32 [N, D]."""


class EmbeddingModel:
    """Makes unit vectors of aligned chips.

    Where the card says `mirror`, a face's vector is the normalised sum of those of its chip and of the mirrored chip.
    """

    def __init__(self, card: EmbedderCard, infer: Infer) -> None:
        self.card = card
        self._infer = infer

    def embed(self, chips_bgr: Bgr) -> Vector:
        """Chips uint8 [N, S, S, 3] to unit vectors, float32 [N, D]. A vector that is not finite stays so."""
        if self.card.mirror:
            both = np.concatenate([chips_bgr, chips_bgr[:, :, ::-1]])
            raw = self._infer(to_input(self.card, both))
            raw = raw[: len(chips_bgr)] + raw[len(chips_bgr) :]
        else:
            raw = self._infer(to_input(self.card, chips_bgr))
        norms = np.linalg.norm(raw, axis=1, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(raw / norms, np.float32)
