"""Images made worse in the ways of a camera: fewer pixels, blur, bad light, noise, compression. Seeded."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from overt.picture import Bgr


@dataclass(frozen=True, slots=True)
class Degradation:
    """What is done to an image, in this order. The defaults do nothing."""

    scale: float = 1.0
    """Sides of the result by those of the image, at most 1."""
    blur_px: float = 0.0
    """Standard deviation of a Gaussian, in pixels of the result."""
    motion_px: int = 0
    """Length of a streak along `motion_deg`, in pixels of the result."""
    motion_deg: float = 0.0
    gain: float = 1.0
    """Exposure: factor of all grey levels; above 1 the bright ones are lost."""
    gamma: float = 1.0
    noise: float = 0.0
    """Standard deviation of a sensor's noise, in grey levels."""
    jpeg: int | None = None
    """Quality, 1 to 100."""


def drawn(random: np.random.Generator, eyes_px: float) -> Degradation:
    """A random degradation for a face with so many pixels between its eyes: 6 to 45 of them are left, and each other
    thing happens to some images and not to others."""

    def sometimes(share: float, value: float, otherwise: float = 0.0) -> float:
        return value if random.random() < share else otherwise

    left_px = float(np.exp(random.uniform(np.log(6), np.log(45))))
    scale = min(1.0, left_px / eyes_px)
    eyes = eyes_px * scale
    return Degradation(
        scale=scale,
        blur_px=sometimes(0.4, eyes * random.uniform(0, 0.14)),
        motion_px=round(sometimes(0.3, eyes * random.uniform(0, 0.6))),
        motion_deg=random.uniform(0, 180),
        gain=sometimes(0.5, float(np.exp(random.uniform(np.log(0.06), np.log(2.5)))), 1.0),
        gamma=sometimes(0.3, float(np.exp(random.normal(0, 0.5))), 1.0),
        noise=sometimes(0.5, random.uniform(0, 14)),
        jpeg=int(random.integers(12, 95)),
    )


def degraded(bgr: Bgr, how: Degradation, random: np.random.Generator) -> Bgr:
    """The image, uint8 [H, W, 3], after all of it: uint8 [H * scale, W * scale, 3]. `random` makes the noise."""
    height, width = bgr.shape[:2]
    size = (max(1, round(width * how.scale)), max(1, round(height * how.scale)))
    image = np.asarray(cv2.resize(bgr, size, interpolation=cv2.INTER_AREA), np.uint8)
    if how.blur_px > 0:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), how.blur_px), np.uint8)
    if how.motion_px > 1:
        image = np.asarray(cv2.filter2D(image, -1, _streak(how.motion_px, how.motion_deg)), np.uint8)
    light = 255 * np.clip(np.arange(256) * how.gain / 255, 0, 1) ** how.gamma
    signal = light.astype(np.float32)[image]
    if how.noise > 0:
        signal = signal + random.normal(0, how.noise, signal.shape).astype(np.float32)
    image = np.clip(np.rint(signal), 0, 255).astype(np.uint8)
    if how.jpeg is None:
        return image
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, how.jpeg])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def _streak(length: int, degrees: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """The kernel of a straight motion."""
    side = length | 1
    kernel = np.zeros((side, side), np.float32)
    kernel[side // 2] = 1
    turn = cv2.getRotationMatrix2D((side // 2, side // 2), degrees, 1)
    turned = np.asarray(cv2.warpAffine(kernel, turn, (side, side)), np.float32)
    return np.asarray(turned / turned.sum(), np.float32)
