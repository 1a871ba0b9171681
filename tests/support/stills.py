"""Stills of people cut from frames of a video, as a watchlist's maker would cut them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from overt.detector.locate import Locator
from overt.picture import Bgr

_AROUND = 0.6
"""What is cut beyond a face's box on each side, in its longer side."""


def faces(bgr: Bgr, locator: Locator) -> list[NDArray[np.float32]]:
    """Boxes of the sure faces, from left to right."""
    return sorted(locator.locate_precisely(bgr).xyxy, key=lambda xyxy: float(xyxy[0]))


def still(bgr: Bgr, xyxy: NDArray[np.float32], *, enlarged: float = 1.0) -> Bgr:
    """The face and what is around it; `enlarged` by bicubic interpolation, which adds pixels and no detail."""
    x1, y1, x2, y2 = (float(v) for v in xyxy)
    around = _AROUND * max(x2 - x1, y2 - y1)
    cut = bgr[max(0, int(y1 - around)) : int(y2 + around), max(0, int(x1 - around)) : int(x2 + around)]
    return np.asarray(cv2.resize(cut, None, fx=enlarged, fy=enlarged, interpolation=cv2.INTER_CUBIC), np.uint8)


def keep(folder: Path, people: dict[str, Sequence[Bgr]]) -> Path:
    """Stills of each subject as a watchlist's folder, one subfolder a subject."""
    for subject, pictures in people.items():
        (folder / subject).mkdir(parents=True)
        for number, picture in enumerate(pictures, start=1):
            assert cv2.imwrite(str(folder / subject / f"still-{number}.png"), picture)
    return folder
