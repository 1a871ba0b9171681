"""Notices a camera that sends the same picture over and over."""

from __future__ import annotations

import hashlib

import numpy as np

from overt.picture import Bgr

_STEP = 16  # every 16th pixel of every 16th row: 8,000 samples of a 1080p image, a tenth of a millisecond


class Sameness:
    """Tells whether the picture has not changed in one sampled pixel for `frozen_s` seconds.

    A camera's noise changes some pixel between any two pictures, and an encoder sends a whole picture anew every few
    seconds, so a picture that stays equal to the last bit comes from a frozen sensor or encoder. Of the picture only a
    digest is kept (BLAKE2b, RFC 7693).
    """

    def __init__(self, frozen_s: float) -> None:
        self._frozen_s = frozen_s
        self._digest = b""
        self._since_s = 0.0

    def see(self, bgr: Bgr, now_s: float) -> bool:
        """Takes note of a picture, uint8 [H, W, 3]; returns whether the camera looks frozen now."""
        digest = hashlib.blake2b(np.ascontiguousarray(bgr[::_STEP, ::_STEP]).data, digest_size=16).digest()
        if digest != self._digest:
            self._digest, self._since_s = digest, now_s
        return now_s - self._since_s >= self._frozen_s
