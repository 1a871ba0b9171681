"""A session is what was asked for, or an error that says what differs."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from overt.models.card import Card, SessionOptions
from overt.models.errors import BadSession, InactiveProvider, MissingModel, WrongBytes
from overt.models.preprocess import to_input
from overt.models.session import CPU, open_session
from overt.models.silent import onnxruntime
from overt.models.sources import Bytes
from overt.runtime.loaded import open_model
from overt.runtime.settings import load_settings
from tests.support.models import model_registry
from tests.support.tiny_models import make_arcface

SIDE = 8


def graph(
    path: Path, *, name: str = "x", side: int | str = SIDE, dimension: int = 2, kind: int = TensorProto.FLOAT
) -> Path:
    """A model that gives the sums of a chip's first two channels, float32 [N, 2], unless told otherwise."""
    nodes = [
        helper.make_node("Cast", [name], ["f"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["f", "axes"], ["s"], keepdims=0),
        helper.make_node("Slice", ["s", "from", "to", "axis"], ["y"]),
    ]
    constants = {"axes": [2, 3], "from": [0], "to": [dimension], "axis": [1]}
    body = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, kind, ["N", 3, side, side])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", dimension])],
        [helper.make_tensor(n, TensorProto.INT64, [len(v)], v) for n, v in constants.items()],
    )
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


def card(path: Path, **fields: object) -> Card:
    """An embedder's card for `graph`'s defaults and the file as it is."""
    data = path.read_bytes()
    base = model_registry().embedder("dlib-resnet-v1")
    changes = {"tensor": "x", "chip_px": SIDE}
    pinned = Bytes(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))
    update = {"input": base.input.model_copy(update=changes), "dimension": 2, "outputs": {"embedding": "y"}}
    return base.model_copy(update={"onnx": pinned} | update | fields)


def test_a_session_runs_and_names_its_outputs_as_the_card_does(tmp_path: Path) -> None:
    path = graph(tmp_path / "m.onnx")
    session = open_session(card(path), path, threads=2)
    assert session.provider == CPU
    bgr = np.zeros((3, SIDE, SIDE, 3), np.uint8)
    bgr[1, ..., 2] = 1  # one in every pixel's red, which the card puts first
    outputs = session.run(to_input(card(path), bgr))
    assert {k: v.tolist() for k, v in outputs.items()} == {"embedding": [[0, 0], [SIDE * SIDE, 0], [0, 0]]}


def test_a_provider_that_is_not_active_is_an_error_and_never_a_silent_cpu(tmp_path: Path) -> None:
    path = graph(tmp_path / "m.onnx")
    for provider in ("TensorrtExecutionProvider", "NoSuchProvider"):
        with pytest.raises(BadSession, match=rf"{provider} was asked for.*{CPU}"):
            open_session(card(path), path, provider=provider)


def test_a_provider_that_is_listed_and_then_not_active_is_an_error_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where its drivers are missing: ONNX Runtime itself goes on without it, and only warns."""
    path = graph(tmp_path / "m.onnx")
    listed = [*onnxruntime.get_available_providers(), "CUDAExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: listed)
    warnings.simplefilter("ignore")  # pytest restores it
    with pytest.raises(BadSession, match="CUDAExecutionProvider was asked for and is not"):
        open_session(card(path), path, provider="CUDAExecutionProvider")


def test_a_provider_that_is_active_and_leaves_the_network_to_the_cpu_is_an_error(tmp_path: Path) -> None:
    """ONNX Runtime's own packages list Azure's provider, which is active here and takes no part of a network."""
    azure = "AzureExecutionProvider"
    if azure not in onnxruntime.get_available_providers():
        pytest.skip(f"this ONNX Runtime has no {azure}")
    made_for, path = arcface(tmp_path, "N")
    bare = onnxruntime.InferenceSession(str(path), providers=[azure])
    assert azure in bare.get_providers()
    if not hasattr(bare, "get_provider_graph_assignment_info"):
        pytest.skip("this ONNX Runtime does not tell which provider got which node")
    with pytest.raises(InactiveProvider, match=azure):
        open_session(made_for, path, provider=azure)


@pytest.mark.parametrize("role", ["", "EMBEDDER_", "DETECTOR_"])
def test_a_provider_comes_from_the_card_or_a_setting_of_all_or_of_its_role(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, role: str
) -> None:
    path = graph(tmp_path / "m.onnx")
    asks = card(path).model_copy(
        update={"session": SessionOptions(graph_optimisation="all", threads=1, provider="CoreMLExecutionProvider")}
    )
    with pytest.raises(BadSession, match="CoreMLExecutionProvider was asked for"):
        open_model(asks, path, load_settings())
    monkeypatch.setenv("OVERT_PROVIDER", CPU)
    assert open_model(asks, path, load_settings()).provider == CPU
    monkeypatch.setenv(f"OVERT_{role}PROVIDER", "NoSuchProvider")
    if role == "DETECTOR_":
        assert open_model(asks, path, load_settings()).provider == CPU, "this one is an embedder"
    else:
        with pytest.raises(BadSession, match="NoSuchProvider was asked for"):
            open_model(asks, path, load_settings())


def test_threads_and_optimisation_are_the_cards_unless_a_setting_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = graph(tmp_path / "m.onnx")
    says = card(path).model_copy(update={"session": SessionOptions(graph_optimisation="basic", threads=3)})
    asked: list[tuple[int, object]] = []
    real = onnxruntime.InferenceSession

    def opened(data: bytes, options: Any, providers: list[str]) -> Any:
        asked.append((options.intra_op_num_threads, options.graph_optimization_level))
        return real(data, options, providers=providers)

    monkeypatch.setattr(onnxruntime, "InferenceSession", opened)
    open_model(says, path, load_settings())
    monkeypatch.setenv("OVERT_THREADS", "2")
    monkeypatch.setenv("OVERT_GRAPH_OPTIMISATION", "extended")
    open_model(says, path, load_settings())
    level = onnxruntime.GraphOptimizationLevel
    assert asked == [(3, level.ORT_ENABLE_BASIC), (2, level.ORT_ENABLE_EXTENDED)]


@pytest.mark.parametrize("count", [1, 3])
def test_a_graph_with_a_batch_of_one_takes_any_batch(tmp_path: Path, count: int) -> None:
    chips = np.random.default_rng(1).normal(size=(count, 3, 112, 112)).astype(np.float32)
    alone, together = (open_session(*arcface(tmp_path, batch)).run(chips)["embedding"] for batch in (1, "N"))
    assert alone.shape == (count, 16)
    np.testing.assert_allclose(alone, together, rtol=1e-5, atol=1e-4)


def test_a_batch_fixed_at_another_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSession, match="field input"):
        open_session(*arcface(tmp_path, 2))


def arcface(folder: Path, batch: int | str) -> tuple[Card, Path]:
    path = make_arcface(folder / f"{batch}.onnx", batch=batch, output_name="y", input_name="x")
    return card(path, input=card(path).input.model_copy(update={"chip_px": 112}), dimension=16), path


def test_the_bytes_that_are_loaded_are_hashed(tmp_path: Path) -> None:
    path = graph(tmp_path / "m.onnx")
    made_for = card(path)
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    with pytest.raises(WrongBytes, match="overt models verify dlib-resnet-v1"):
        open_session(made_for, path)
    path.unlink()
    with pytest.raises(MissingModel, match="overt models pull dlib-resnet-v1"):
        open_session(made_for, path)


@pytest.mark.parametrize(
    ("made", "field"),
    [
        ({"name": "image"}, r"input\.tensor is 'x'.*image"),
        ({"side": 16}, r"field input.*16"),
        ({"side": "S"}, r"field input.*S"),
        ({"kind": TensorProto.UINT8}, r"field input.*uint8"),
        ({"dimension": 1}, "dimension is 2"),
    ],
)
def test_a_graph_that_is_not_what_the_card_says_is_refused(
    tmp_path: Path, made: dict[str, str | int], field: str
) -> None:
    path = graph(tmp_path / "m.onnx", **made)  # type: ignore[arg-type]  # each case has the right type for its key
    with pytest.raises(BadSession, match=field):
        open_session(card(path), path)


def test_a_missing_output_and_a_fixed_size_where_the_card_says_free_are_refused(tmp_path: Path) -> None:
    path = graph(tmp_path / "m.onnx")
    with pytest.raises(BadSession, match=r"outputs names \['z'\].*y"):
        open_session(card(path, outputs={"embedding": "z"}), path)
    free = card(path).input.model_copy(update={"chip_px": None, "stride_px": 4})
    with pytest.raises(BadSession, match="field input"):
        open_session(card(path, input=free), path)
