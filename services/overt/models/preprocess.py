"""From pixels to a model's input tensor, as its card says. The only place where colours are swapped or scaled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from overt.models.card import Card, Input

Floats = NDArray[np.float32]


def to_input(card: Card, bgr: NDArray[np.uint8]) -> Floats:
    """The input tensor for a batch of images of one size.

    `bgr`: uint8 [N, H, W, 3], blue first. Returns float32 [N, 3, H', W'] (NCHW) or [N, H', W', 3] (NHWC), each value
    (pixel - mean) / scale. A fixed input takes exactly its chip; for a free one the image is filled with black below
    and right up to the next multiple of the stride, so that coordinates stay those of the image.

    Raises ValueError for another type, shape or size: pixels that were scaled before are floats, and are refused.
    """
    if bgr.dtype != np.uint8 or bgr.ndim != 4 or bgr.shape[3] != 3:
        raise ValueError(f"{card.name} takes uint8 [N, H, W, 3] pixels, not {bgr.dtype} {list(bgr.shape)}")
    count, height, width, _ = bgr.shape
    spec = card.input
    rows, columns = _size(card.name, spec, height, width)
    channels_first = spec.layout == "NCHW"
    tensor = np.empty((count, 3, rows, columns) if channels_first else (count, rows, columns, 3), np.float32)
    planes = tensor if channels_first else tensor.transpose(0, 3, 1, 2)
    planes[:, :, height:] = 0
    planes[:, :, :height, width:] = 0
    for image, target in zip(bgr, planes, strict=True):
        if channels_first:  # OpenCV takes pixels apart twice as fast as a strided copy
            colours: Sequence[Any] = cv2.split(image)
        else:
            colours = [image[..., channel] for channel in range(3)]
        for channel in range(3):
            target[channel, :height, :width] = colours[2 - channel if spec.colour == "RGB" else channel]
    for channel in range(3):
        if spec.mean[channel]:
            planes[:, channel] -= np.float32(spec.mean[channel])
    if spec.scale != 1:
        tensor /= np.float32(spec.scale)
    return tensor


def _size(name: str, spec: Input, height: int, width: int) -> tuple[int, int]:
    if spec.chip_px is not None:
        if (height, width) != (spec.chip_px, spec.chip_px):
            raise ValueError(f"{name} takes chips of {spec.chip_px} x {spec.chip_px} px, not {width} x {height}")
        return height, width
    assert spec.stride_px is not None  # the card has exactly one of the two
    if not height or not width:
        raise ValueError(f"{name} takes images with pixels, not {width} x {height}")
    return -(-height // spec.stride_px) * spec.stride_px, -(-width // spec.stride_px) * spec.stride_px
