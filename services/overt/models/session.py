"""Opens a model in ONNX Runtime as its card says, and refuses whatever would silently be something else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from overt.models.card import Card, GraphOptimisation
from overt.models.errors import BadSession, InactiveProvider, MissingModel
from overt.models.files import read_checked
from overt.models.silent import onnxruntime

Floats = NDArray[np.float32]
CPU = "CPUExecutionProvider"
"""Runs everywhere."""

_LEVELS = {
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
_ERRORS_ONLY = 3
_RECORD_ASSIGNMENT = "session.record_ep_graph_assignment_info"
_ARITHMETIC = ("Conv", "MatMul", "Gemm")
_STATE = vars(onnxruntime.capi.onnxruntime_pybind11_state)
_REFUSALS = tuple(kind for kind in _STATE.values() if isinstance(kind, type) and issubclass(kind, Exception))
"""What ONNX Runtime raises; its exceptions have no base of their own."""


Shape = list[int | str | None]


@dataclass(frozen=True, slots=True)
class Graph:
    """What an ONNX file takes and gives; a dimension that is no number is free."""

    input: str
    input_type: str
    input_shape: Shape
    outputs: Mapping[str, Shape]


class Session:
    """An open model. `run` may be called from several threads at once.

    A graph with a fixed batch of one is run once for each image, so that any batch may be given to it.
    """

    def __init__(self, card: Card, inference: onnxruntime.InferenceSession) -> None:
        self._inference = inference
        self._input = card.input.tensor
        self._keys = tuple(card.outputs)
        self._outputs = [card.outputs[key] for key in card.outputs]
        self._one_at_a_time = inference.get_inputs()[0].shape[0] == 1
        self.provider: str = inference.get_providers()[0]
        """The execution provider that runs the graph."""

    def run(self, tensor: Floats) -> Mapping[str, Floats]:
        """One pass over a tensor of `preprocess.to_input`; float32 outputs by the names of the card's `outputs`."""
        if self._one_at_a_time and len(tensor) > 1:
            alone = [self._inference.run(self._outputs, {self._input: tensor[i : i + 1]}) for i in range(len(tensor))]
            found = [np.concatenate(outputs) for outputs in zip(*alone, strict=True)]
        else:
            found = self._inference.run(self._outputs, {self._input: tensor})
        return dict(zip(self._keys, found, strict=True))


def open_session(
    card: Card,
    path: Path,
    *,
    threads: int | None = None,
    graph_optimisation: GraphOptimisation | None = None,
    provider: str | None = None,
) -> Session:
    """Loads the file of `Registry.path` after hashing the bytes that are loaded.

    `threads` is the number for one pass; what is None is as the card says. Raises WrongBytes; MissingModel when there
    is no such file; InactiveProvider when the provider does not run the network (never a silent CPU); BadSession when
    the graph is not what the card says.
    """
    provider = provider or card.session.provider
    if provider not in onnxruntime.get_available_providers():
        raise _inactive(card, provider)
    try:
        data = read_checked(path, card.onnx, f"Run: overt models verify {card.name}")
    except FileNotFoundError as error:
        raise MissingModel(f"{card.name}: {path} does not exist. Run: overt models pull {card.name}") from error
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = _LEVELS[graph_optimisation or card.session.graph_optimisation]
    options.intra_op_num_threads = threads or card.session.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    options.add_session_config_entry(_RECORD_ASSIGNMENT, "1")
    inference = _load(data, options, provider, card.name)
    inference.disable_fallback()
    if provider not in inference.get_providers() or (provider != CPU and _left_to_the_cpu(inference)):
        raise _inactive(card, provider)
    _check_graph(card, _graph_of(inference))
    return Session(card, inference)


def read_graph(data: bytes) -> Graph:
    """What an ONNX file takes and gives. Raises BadSession when it cannot be read or has several inputs."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    return _graph_of(_load(data, options, CPU, "The file"))


def _load(data: bytes, options: onnxruntime.SessionOptions, provider: str, what: str) -> onnxruntime.InferenceSession:
    try:
        return onnxruntime.InferenceSession(data, options, providers=[provider])
    except _REFUSALS as error:
        raise BadSession(f"{what} cannot be loaded by ONNX Runtime with {provider}: {error}") from error


def _graph_of(inference: onnxruntime.InferenceSession) -> Graph:
    inputs = inference.get_inputs()
    if len(inputs) != 1:
        raise BadSession(f"The graph has the inputs {[i.name for i in inputs]}; exactly one was expected.")
    outputs = {output.name: output.shape for output in inference.get_outputs()}
    return Graph(inputs[0].name, inputs[0].type, inputs[0].shape, outputs)


def _left_to_the_cpu(inference: onnxruntime.InferenceSession) -> bool:
    """Whether the CPU got any of the network's arithmetic: a provider can be active and take nothing, as Azure's does.

    What computes shapes belongs on the CPU also beside a GPU. Older releases do not tell: then False.
    """
    tell = getattr(inference, "get_provider_graph_assignment_info", None)
    parts = tell() if tell else ()
    kinds = [node.op_type for part in parts if part.ep_name == CPU for node in part.get_nodes()]
    return any(heavy in kind for kind in kinds for heavy in _ARITHMETIC)


def _inactive(card: Card, provider: str) -> InactiveProvider:
    available = ", ".join(onnxruntime.get_available_providers())
    return InactiveProvider(
        f"{card.name}: the execution provider {provider} was asked for and is not active. Available here: {available}. "
        f"Name one of them, or install the ONNX Runtime build and the drivers that {provider} needs."
    )


def _check_graph(card: Card, graph: Graph) -> None:
    """Names, type and geometry of the graph against the card; a free dimension of the graph fits every size."""
    side = card.input.chip_px
    expected = [None, 3, side, side] if card.input.layout == "NCHW" else [None, side, side, 3]
    if graph.input != card.input.tensor:
        raise BadSession(
            f"{card.name}: field input.tensor is {card.input.tensor!r}, the graph's input: {graph.input!r}"
        )
    if graph.input_type != "tensor(float)" or not _fits(graph.input_shape, expected):
        raise BadSession(
            f"{card.name}: field input: float32 {expected} expected, the graph takes {graph.input_type} "
            f"{graph.input_shape}"
        )
    if absent := [name for name in card.outputs.values() if name not in graph.outputs]:
        raise BadSession(f"{card.name}: field outputs names {absent}, the graph's outputs: {list(graph.outputs)}")
    if card.role == "embedder" and not _fits(graph.outputs[card.outputs["embedding"]], [None, card.dimension]):
        raise BadSession(
            f"{card.name}: field dimension is {card.dimension}, the graph gives "
            f"{graph.outputs[card.outputs['embedding']]}"
        )


def _fits(shape: Shape, expected: list[int | None]) -> bool:
    """Whether a graph's shape has the expected sizes; None is a size that the graph must leave free. The first is the
    batch, which may also be fixed at one."""
    return len(shape) == len(expected) and all(
        not isinstance(size, int) or (place == 0 and size == 1) if wanted is None else size == wanted
        for place, (size, wanted) in enumerate(zip(shape, expected, strict=True))
    )
