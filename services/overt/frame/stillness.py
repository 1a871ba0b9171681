"""Which pictures show nothing that the last one sent did not: they need not be sent, and cost no detection.

Noise changes single pixels and hardly the mean of a block of them; anything that moves changes some block. A picture is
compared with the last one that was sent, so that what changes slowly is noticed too, and once in a while one is sent
whatever it shows: a track lives from being seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from overt.picture import Bgr


@dataclass(frozen=True, slots=True)
class StillRule:
    """When a picture counts as unchanged."""

    block_px: int = 8
    """Side of a block: a quarter of the smallest face that is compared."""
    levels: int = 6
    """Grey levels by which the mean of some block must differ. The worst block of a still scene differs by 2 to 5 in
    recordings with a codec or a palette."""
    at_least_every_us: int = 400_000
    """Capture time after which a picture is sent in any case. Less than half of what a track outlives unseen."""


def still_rule(min_face_px: int) -> StillRule:
    """The rule for a smallest face."""
    return StillRule(block_px=max(4, min_face_px // 4))


class Stillness:
    """For the pictures of one camera's zone. Of the last one sent, block means are kept, in this process only."""

    def __init__(self, rule: StillRule) -> None:
        self._rule = rule
        self._means: NDArray[np.uint8] | None = None
        self._sent_at_us = 0

    def unchanged(self, bgr: Bgr, captured_at_us: int) -> bool:
        """Whether the picture, uint8 [H, W, 3], need not be sent. One that is False counts as sent."""
        height, width = bgr.shape[:2]
        size = (max(1, width // self._rule.block_px), max(1, height // self._rule.block_px))
        reduced = cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)
        means = np.asarray(cv2.cvtColor(reduced, cv2.COLOR_BGR2GRAY), np.uint8)
        due = abs(captured_at_us - self._sent_at_us) >= self._rule.at_least_every_us
        before = self._means
        if before is not None and before.shape == means.shape and not due:
            changed = int(np.max(cv2.absdiff(before, means))) >= self._rule.levels
            if not changed:
                return True
        self._means, self._sent_at_us = means, captured_at_us
        return False
