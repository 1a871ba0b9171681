"""Which input of a batch an output came of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from overt.messages import Message


def origin_of(output: Any, inputs: Sequence[Message]) -> int:
    """Index of the input with the output's camera and cause; else of its frame; else of the camera's last, which made
    a stage give out what it had kept of earlier ones; else the last of all. `inputs` is not empty."""
    camera = output.camera_id
    at = (output.source_epoch, output.frame_seq, getattr(output, "face_index", -1))

    def nearness(index: int) -> tuple[bool, bool, bool, int]:
        each: Any = inputs[index]
        same = each.camera_id == camera
        return same and each.cause == at, same and each.cause[:2] == at[:2], same, index

    return max(range(len(inputs)), key=nearness)
