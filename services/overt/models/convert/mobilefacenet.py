"""MobileFaceNet from TensorFlow Lite to ONNX: the few operators that it is made of, and its PReLU as one node.

The original computes PReLU as relu(x) + c (x - |x|), in four operators; PRelu(x, 2c) is the same to rounding. Tensors
keep the order of the computation, activations go channels first as ONNX wants them, the input stays [N, 112, 112, 3].
Format: TensorFlow Lite's schema.fbs. Model: Chen et al., "MobileFaceNets" (2018), as sirius-ai/MobileFaceNet_TF.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from overt.models.convert.flatbuffer import Table

_SIDE, _DIMENSION = 112, 192
_OPSET, _IR_VERSION = 15, 8
_ADD, _CONV, _DEPTHWISE, _MUL, _RELU, _RESHAPE, _SUB, _ABS = 0, 3, 4, 18, 19, 22, 41, 101  # BuiltinOperator
_NAMES = {_ADD: "Add", _MUL: "Mul", _SUB: "Sub", _RELU: "Relu", _ABS: "Abs"}
_FLOAT32, _SAME, _NO_ACTIVATION, _RELU_ACTIVATION = 0, 0, 0, 1
_NOT = "not this MobileFaceNet"


def convert(original: bytes) -> bytes:
    """The ONNX file: input float32 [N, 112, 112, 3], RGB, (x - 127.5) / 127.5; output float32 [N, 192], not normalised.

    Raises ValueError when `original` is not this network.
    """
    if original[4:8] != b"TFL3":
        raise ValueError(f"{_NOT}: no TensorFlow Lite file")
    try:
        graph = _translate(Table.root(original))
    except (ValueError, IndexError, KeyError) as error:
        raise ValueError(f"{_NOT}: {error}") from error
    _fuse_prelu(graph)
    body = helper.make_graph(
        graph.nodes,
        "MobileFaceNet192",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", _SIDE, _SIDE, 3])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", _DIMENSION])],
        graph.weights,
    )
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", _OPSET)])
    model.ir_version = _IR_VERSION
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise ValueError(f"{_NOT}: {error}") from error
    return bytes(model.SerializeToString(deterministic=True))


@dataclass
class _Graph:
    """The ONNX graph as it grows. Names are the kind and a running number, so that they are the same each time."""

    nodes: list[Any] = field(default_factory=list)
    weights: list[Any] = field(default_factory=list)
    values: dict[int, str] = field(default_factory=dict)
    """By the number of a tensor in the original: its name here."""
    count: int = 0

    def name(self, kind: str) -> str:
        self.count += 1
        return f"{kind}{self.count}"

    def constant(self, values: NDArray[Any]) -> str:
        name = self.name("w")
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def add(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        name = self.name(kind)
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name


class _Original:
    """The tables of the one subgraph, and its constants."""

    def __init__(self, model: Table) -> None:
        (subgraph,) = model.tables(2)
        self._buffers = model.tables(4)
        self._tensors = subgraph.tables(0)
        self.inputs, self.outputs = subgraph.integers(1), subgraph.integers(2)
        self.operators = subgraph.tables(3)
        # Codes up to 127 stand in the deprecated field 0; newer writers fill field 3 as well.
        self._codes = [max(code.integer(0, "<b"), code.integer(3, "<i")) for code in model.tables(1)]

    def code(self, operator: Table) -> int:
        return self._codes[operator.integer(0, "<I")]

    def constant(self, number: int) -> NDArray[np.float32]:
        """A constant tensor as it is stored. Raises ValueError when it is none, or not of 32-bit floats."""
        tensor = self._tensors[number]
        raw = self._buffers[tensor.integer(2, "<I")].raw(0)
        if tensor.integer(1, "<b") != _FLOAT32 or not raw:
            raise ValueError(f"tensor {number} is no constant of 32-bit floats")
        return np.frombuffer(raw, "<f4").reshape(tensor.integers(0))


def _translate(model: Table) -> _Graph:
    original, graph = _Original(model), _Graph()
    (source,), (result,) = original.inputs, original.outputs
    graph.values[source] = graph.add("Transpose", ["input"], perm=[0, 3, 1, 2])
    kinds: dict[int, Callable[[_Graph, _Original, Table], str]] = {
        _CONV: _convolution,
        _DEPTHWISE: _convolution,
        _RESHAPE: lambda graph, original, operator: graph.add(
            "Flatten", [_value(graph, original, operator.integers(1)[0])], axis=1
        ),
    }
    for operator in original.operators:
        translate = kinds.get(original.code(operator), _elementwise)
        graph.values[operator.integers(2)[0]] = translate(graph, original, operator)
    graph.nodes.append(helper.make_node("Identity", [graph.values[result]], ["embedding"]))
    return graph


def _value(graph: _Graph, original: _Original, number: int) -> str:
    """The name of an operand: what was computed, or a constant that is stored now and used again later."""
    if number not in graph.values:
        values = original.constant(number)
        if values.ndim != 1:
            raise ValueError(f"constant {number} has {values.ndim} dimensions where one for each channel was expected")
        graph.values[number] = graph.constant(values.reshape(-1, 1, 1))
    return graph.values[number]


def _convolution(graph: _Graph, original: _Original, operator: Table) -> str:
    depthwise = original.code(operator) == _DEPTHWISE
    options = operator.table(4)
    if options is None:
        raise ValueError("a convolution has no options")
    x, kernel, bias = operator.integers(1)
    # [filters, rows, columns, channels], of a depthwise one [1, rows, columns, channels]; ONNX: channels before rows
    weight = original.constant(kernel).transpose((3, 0, 1, 2) if depthwise else (0, 3, 1, 2))
    inputs = [_value(graph, original, x), graph.constant(weight), graph.constant(original.constant(bias))]
    output = graph.add(
        "Conv",
        inputs,
        kernel_shape=list(weight.shape[2:]),
        strides=[options.integer(2, "<i"), options.integer(1, "<i")],
        group=weight.shape[0] if depthwise else 1,
        auto_pad="SAME_UPPER" if options.integer(0, "<b") == _SAME else "VALID",
    )
    return _activated(graph, output, options.integer(4 if depthwise else 3, "<b"))


def _elementwise(graph: _Graph, original: _Original, operator: Table) -> str:
    code = original.code(operator)
    if code not in _NAMES:
        raise ValueError(f"it has an operator {code} that is none of this network's")
    output = graph.add(_NAMES[code], [_value(graph, original, number) for number in operator.integers(1)])
    options = operator.table(4) if code in (_ADD, _SUB, _MUL) else None
    return _activated(graph, output, options.integer(0, "<b") if options else _NO_ACTIVATION)


def _activated(graph: _Graph, output: str, activation: int) -> str:
    if activation not in (_NO_ACTIVATION, _RELU_ACTIVATION):
        raise ValueError(f"it has an activation {activation} that is none of this network's")
    return graph.add("Relu", [output]) if activation == _RELU_ACTIVATION else output


def _fuse_prelu(graph: _Graph) -> None:
    """Replaces each relu(x) + c (x - |x|) by PRelu(x, 2c), and drops what nothing uses any more."""
    made_by = {node.output[0]: node for node in graph.nodes}
    stored = {weight.name: weight for weight in graph.weights}
    nodes = []
    for node in graph.nodes:
        parts = _prelu_of(node, made_by)
        if parts is None:
            nodes.append(node)
            continue
        x, slope = parts
        doubled = np.asarray(2 * numpy_helper.to_array(stored[slope]), np.float32)
        graph.weights.append(numpy_helper.from_array(doubled, f"{slope}_s"))
        output = node.output[0]
        nodes.append(helper.make_node("PRelu", [x, f"{slope}_s"], [output], name=f"prelu_{output}"))
    # The parts of a PReLU feed nothing else: dropped from the end, each after what used it.
    kept: list[Any] = []
    used = {"embedding"}
    for node in reversed(nodes):
        if node.output[0] in used:
            used.update(node.input)
            kept.insert(0, node)
    graph.nodes[:] = kept
    graph.weights[:] = [weight for weight in graph.weights if weight.name in used]


def _prelu_of(node: Any, made_by: dict[str, Any]) -> tuple[str, str] | None:
    """The names of x and c where `node` is the sum of a PReLU in parts; else None."""
    if node.op_type != "Add" or not made_by.keys() >= set(node.input):
        return None
    relu, product = (made_by[name] for name in node.input)
    if (relu.op_type, product.op_type) != ("Relu", "Mul"):
        return None
    computed = [name for name in product.input if name in made_by]
    constant = [name for name in product.input if name not in made_by]
    if len(computed) != 1 or made_by[computed[0]].op_type != "Sub":
        return None
    x, magnitude = made_by[computed[0]].input
    if relu.input[0] != x or magnitude not in made_by or made_by[magnitude].op_type != "Abs":
        return None
    return x, constant[0]
