"""CenterFace with a free batch, height and width, and a graph that ONNX Runtime can optimise.

The published file is fixed at 10x3x32x32 and lists its weights among the graph's inputs. What is an input may be
replaced at run time, so batch norms are never folded into the convolutions before them, and inference takes two to
three times as long. Nothing else is changed. Model: github.com/Star-Clouds/CenterFace, MIT.
"""

from __future__ import annotations

from typing import Any

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # protobuf ships no types

_INPUT = "input.1"
_OUTPUT_CHANNELS = {"537": 1, "538": 2, "539": 2, "540": 10}  # heat map, scale, offset, landmarks


def convert(original: bytes) -> bytes:
    """The ONNX file with input float32 [B, 3, H, W] (H and W multiples of 32) and outputs [B, C, H/4, W/4].

    Raises ValueError when `original` is not CenterFace.
    """
    try:
        model = onnx.load_model_from_string(original)
    except DecodeError as error:
        raise ValueError("not CenterFace: no ONNX file") from error
    graph = model.graph
    used = {name for node in graph.node for name in node.input}
    weights = [w for w in graph.initializer if w.name in used]  # the rest counts batches of the training
    stored = {w.name for w in graph.initializer}
    inputs = [i for i in graph.input if i.name not in stored]
    if [i.name for i in inputs] != [_INPUT] or [o.name for o in graph.output] != list(_OUTPUT_CHANNELS):
        raise ValueError(f"not CenterFace: its input is {_INPUT} and its outputs are {list(_OUTPUT_CHANNELS)}")
    for field, kept in ((graph.input, inputs), (graph.initializer, weights)):
        del field[:]
        field.extend(kept)
    del graph.value_info[:]
    _set_shape(graph.input[0], ["B", 3, "H", "W"])
    for output, channels in zip(graph.output, _OUTPUT_CHANNELS.values(), strict=True):
        _set_shape(output, ["B", channels, "h", "w"])
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _set_shape(value: Any, shape: list[int | str]) -> None:
    for dimension, size in zip(value.type.tensor_type.shape.dim, shape, strict=True):
        dimension.Clear()
        if isinstance(size, str):
            dimension.dim_param = size
        else:
            dimension.dim_value = size
