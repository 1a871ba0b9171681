"""dlib's face recognition network (ResNet with 29 convolutions, 128 outputs) from its .dat file to ONNX.

The file is dlib's serialised `anet_type` (dnn_face_recognition_ex.cpp; He et al. 2016 with fewer layers and half the
filters). Its tensors follow each other in the order of the computation. Each affine layer is folded into the
convolution before it and the input's normalisation into the first, which is exact because that one has no padding.

Sums are made with `math.fsum`, so that the result does not depend on how a machine's numpy adds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Floats = NDArray[np.float32]

_TAGS: dict[bytes, Literal["con", "affine", "fc"]] = {
    b"\x01\x05con_4": "con",
    b"\x01\x07affine_": "affine",
    b"\x01\x04fc_2": "fc",
}
_CONVOLUTIONS = 29
_MEAN_RGB = (122.782, 117.001, 104.298)  # input_rgb_image_sized<150> of the network's definition
_PIXEL_SCALE = 256
_OPSET = 17
_IR_VERSION = 8


@dataclass(frozen=True)
class _Layer:
    kind: Literal["con", "affine", "fc"]
    numbers: Floats
    geometry: tuple[int, ...] = ()
    """Of a convolution: filters, rows, columns, stride y, stride x, padding y, padding x."""


def convert(original: bytes) -> bytes:
    """The ONNX file: input float32 [N, 3, 150, 150], RGB 0..255; output float32 [N, 128], not normalised.

    Raises ValueError when `original` is not this network.
    """
    try:
        layers = list(_read_layers(original))
    except IndexError as error:
        raise ValueError("not dlib's face recognition network: it ends within a layer") from error
    if [layer.kind for layer in layers] != ["con", "affine"] * _CONVOLUTIONS + ["fc"]:
        raise ValueError("not dlib's face recognition network: its layers are 29 convolutions and one fc_no_bias")
    model = _build(layers)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _read_layers(data: bytes) -> Iterator[_Layer]:
    position = 0
    while hits := [(at, tag) for tag in _TAGS if (at := data.find(tag, position)) >= 0]:
        at, tag = min(hits)
        position = at + len(tag)
        if _TAGS[tag] == "fc":
            _, position = _read_int(data, position)  # outputs
            _, position = _read_int(data, position)  # inputs
        numbers, position = _read_tensor(data, position)
        geometry: list[int] = []
        while _TAGS[tag] == "con" and len(geometry) < 7:
            value, position = _read_int(data, position)
            geometry.append(value)
        yield _Layer(_TAGS[tag], numbers, tuple(geometry))


def _read_int(data: bytes, at: int) -> tuple[int, int]:
    """dlib's variable-length integer: the low nibble counts the bytes that follow, the high bit is the sign."""
    control = data[at]
    end = at + 1 + (control & 0x0F)
    value = int.from_bytes(data[at + 1 : end], "little")
    return (-value if control & 0x80 else value), end


def _read_tensor(data: bytes, at: int) -> tuple[Floats, int]:
    version, at = _read_int(data, at)
    if version != 2:
        raise ValueError(f"not dlib's face recognition network: tensor version {version}, expected 2")
    count = 1
    for _ in range(4):
        size, at = _read_int(data, at)
        if size <= 0:
            raise ValueError(f"not dlib's face recognition network: a tensor has a side of {size}")
        count *= size
    return np.frombuffer(data, "<f4", count, at), at + 4 * count


@dataclass
class _Graph:
    """Collects nodes and weights; every name is the kind and a running number, so that it is the same each time."""

    layers: Iterator[_Layer]
    nodes: list[Any] = field(default_factory=list)
    weights: list[Any] = field(default_factory=list)

    def constant(self, values: NDArray[Any]) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def add(self, kind: str, inputs: list[str], output: str | None = None, **attributes: Any) -> str:
        name = output or f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def convolve(self, x: str, channels: int, *, takes_pixels: bool = False) -> tuple[str, int, int]:
        """The next convolution with its affine layer folded in. Returns its output, filters and stride."""
        con, affine = next(self.layers), next(self.layers)
        filters, rows, columns, stride_y, stride_x, pad_y, pad_x = con.geometry
        taps = filters * channels * rows * columns
        if con.numbers.size != taps + filters or affine.numbers.size != 2 * filters:
            raise ValueError(f"not dlib's face recognition network: a convolution has {con.numbers.size} numbers")
        gamma, beta = affine.numbers[:filters], affine.numbers[filters:]
        weight = con.numbers[:taps].reshape(filters, channels, rows, columns) * gamma[:, None, None, None]
        bias = con.numbers[taps:] * gamma + beta
        if takes_pixels:
            if (pad_y, pad_x) != (0, 0):
                raise ValueError("not dlib's face recognition network: its first convolution has no padding")
            weight, bias = _fold_pixels(weight, bias)
        y = self.add(
            "Conv",
            [x, self.constant(weight), self.constant(bias)],
            kernel_shape=[rows, columns],
            strides=[stride_y, stride_x],
            pads=[pad_y, pad_x, pad_y, pad_x],
        )
        return y, filters, stride_y

    def pad(self, x: str, *, channels: int = 0, pixels: int = 0) -> str:
        """Zeros behind the last channel, and below and right of the last pixel."""
        return self.add("Pad", [x, self.constant(np.array([0, 0, 0, 0, 0, channels, pixels, pixels], np.int64))])


def _fold_pixels(weight: Floats, bias: Floats) -> tuple[Floats, Floats]:
    """Folds (pixel - mean) / 256 into the convolution."""
    exact = weight.astype(np.float64)
    shift = [math.fsum((f * np.array(_MEAN_RGB)[:, None, None]).ravel().tolist()) for f in exact]
    return (exact / _PIXEL_SCALE).astype(np.float32), (bias - np.array(shift) / _PIXEL_SCALE).astype(np.float32)


def _build(layers: list[_Layer]) -> Any:
    graph = _Graph(iter(layers[:-1]))
    x, channels, _ = graph.convolve("input", 3, takes_pixels=True)
    x = graph.add("MaxPool", [graph.add("Relu", [x])], kernel_shape=[3, 3], strides=[2, 2])
    side = 35  # 150 -> 72 by the first convolution (7x7, stride 2) -> 35 by the pool
    for _ in range((_CONVOLUTIONS - 1) // 2):
        x, channels, side = _residual_block(graph, x, channels, side)
    x = graph.add("Flatten", [graph.add("GlobalAveragePool", [x])], axis=1)
    final = layers[-1].numbers
    if final.size != channels * 128:
        raise ValueError(f"not dlib's face recognition network: its last layer has {final.size} numbers")
    graph.add("MatMul", [x, graph.constant(final.reshape(channels, 128))], output="embedding")
    body = helper.make_graph(
        graph.nodes,
        "dlib_face_recognition_resnet_model_v1",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 3, 150, 150])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", 128])],
        graph.weights,
    )
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", _OPSET)])
    model.ir_version = _IR_VERSION
    return model


def _residual_block(graph: _Graph, x: str, channels: int, side: int) -> tuple[str, int, int]:
    """Two convolutions and the way past them. Returns the output, its channels and its side in pixels."""
    y, filters, stride = graph.convolve(x, channels)
    y, filters, _ = graph.convolve(graph.add("Relu", [y]), filters)
    skip = x
    if stride == 2:
        # dlib's add_prev fills the smaller operand with zeros, in channels, rows and columns alike.
        through, side = (side - 3) // 2 + 1, (side - 2) // 2 + 1
        skip = graph.add("AveragePool", [x], kernel_shape=[2, 2], strides=[2, 2])
        if through < side:
            y = graph.pad(y, pixels=side - through)
        if filters > channels:
            skip = graph.pad(skip, channels=filters - channels)
    return graph.add("Relu", [graph.add("Add", [y, skip])]), filters, side
