"""The converted models are the originals: compared with the original file, and with dlib itself."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overt.models import golden
from overt.models.card import DetectorCard, EmbedderCard
from overt.models.convert import CONVERTERS
from overt.models.preprocess import Floats, to_input
from overt.models.session import Session, open_session
from overt.models.silent import onnxruntime
from tests.support.models import model_registry, original_file, real_model


def detector() -> tuple[DetectorCard, Session]:
    card = model_registry().detector("centerface")
    return card, open_session(card, real_model(card.name))


def embedder() -> tuple[EmbedderCard, Session]:
    card = model_registry().embedder("dlib-resnet-v1")
    return card, open_session(card, real_model(card.name))


def pixels(shape: tuple[int, ...], seed: int = 1) -> Any:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("name", ["centerface", "dlib-resnet-v1", "mobilefacenet-192"])
def test_conversion_gives_the_pinned_bytes(name: str, tmp_path: Path) -> None:
    card = model_registry().card(name)
    converted = CONVERTERS[card.converter](original_file(name, tmp_path).read_bytes())
    assert (hashlib.sha256(converted).hexdigest(), len(converted)) == (card.onnx.sha256, card.onnx.size_bytes)


def test_centerface_gives_the_outputs_of_the_original_at_its_fixed_shape(tmp_path: Path) -> None:
    card, session = detector()
    images = pixels((10, 32, 32, 3))
    tensor = to_input(card, images)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    file = str(original_file("centerface", tmp_path))
    original = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    expected = original.run(list(card.outputs.values()), {card.input.tensor: tensor})
    for name, theirs, ours in zip(card.outputs, expected, session.run(tensor).values(), strict=True):
        difference = float(np.abs(ours - theirs).max())
        assert difference <= 1e-4, name
        assert difference <= 0.01 * float(np.ptp(theirs)), f"{name}: small beside what the output says"


def test_centerface_takes_any_size_and_batch_and_an_image_is_not_changed_by_its_neighbours() -> None:
    card, session = detector()
    images = pixels((3, 100, 150, 3))
    together = session.run(to_input(card, images))
    assert together["heatmap"].shape == (3, 1, 128 // 4, 160 // 4)
    assert together["landmarks"].shape == (3, 10, 128 // 4, 160 // 4)
    alone = session.run(to_input(card, images[1:2]))
    for name, output in alone.items():
        np.testing.assert_allclose(together[name][1:2], output, rtol=0, atol=1e-4)


def test_centerface_has_one_input_so_that_batch_norms_are_folded_away(tmp_path: Path) -> None:
    def left_over(model: str) -> int:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
        onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        nodes = onnx.load(options.optimized_model_filepath).graph.node
        return sum(node.op_type == "BatchNormalization" for node in nodes)

    assert left_over(str(original_file("centerface", tmp_path))) > 0
    assert left_over(str(real_model("centerface"))) == 0


def test_dlib_resnet_gives_the_descriptors_of_dlib(tmp_path: Path) -> None:
    dlib = pytest.importorskip("dlib", reason="dlib-bin has no wheel for this platform")
    card, session = embedder()
    network = dlib.face_recognition_model_v1(str(original_file(card.name, tmp_path)))
    y, x = np.mgrid[:150, :150].astype(np.float32)
    smooth = np.stack([x, y, 149 - x], axis=2) * (255 / 149)
    chips = np.concatenate(
        [pixels((3, 150, 150, 3)), smooth.astype(np.uint8)[None], np.zeros((1, 150, 150, 3), np.uint8)]
    )
    theirs = np.array([network.compute_face_descriptor(np.ascontiguousarray(c[:, :, ::-1])) for c in chips])
    ours: Floats = session.run(to_input(card, chips))["embedding"]
    assert ours.shape == (5, card.dimension)
    assert float(np.ptp(theirs, axis=0).max()) > 0.1, "the chips differ"
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4)


# The first numbers that LiteRT 2.3.0 gave for the original file and the picture of the card's golden numbers.
LITERT = [-0.3936, 0.4229, 0.3828, 0.5635, -1.3121, -1.2844, -1.5183, -3.5199, -5.6198, 4.1187, 0.1081, 0.1054]
LITERT += [-0.1632, 0.8833, -0.0246, -2.1982, -0.6439, 0.1242, 0.1012, 0.3565, -8.2522, -0.0153, 2.3289, 0.2113]


def test_mobilefacenet_gives_what_its_original_gave_in_its_own_runtime() -> None:
    card = model_registry().card("mobilefacenet-192")
    session = open_session(card, real_model(card.name))
    ours = session.run(to_input(card, golden.picture(card)))["embedding"]
    np.testing.assert_allclose(ours[0, : len(LITERT)], LITERT, rtol=0, atol=2e-4)


def test_mobilefacenet_is_its_original_beside_its_own_runtime(tmp_path: Path) -> None:
    litert = pytest.importorskip("ai_edge_litert.interpreter", reason="LiteRT, which runs .tflite files, is absent")
    card = model_registry().card("mobilefacenet-192")
    network = litert.Interpreter(model_path=str(original_file(card.name, tmp_path)))
    network.allocate_tensors()
    (taken,), (given,) = network.get_input_details(), network.get_output_details()
    chips = pixels((int(taken["shape"][0]), 112, 112, 3))
    network.set_tensor(taken["index"], to_input(card, chips))
    network.invoke()
    ours = open_session(card, real_model(card.name)).run(to_input(card, chips))["embedding"]
    np.testing.assert_allclose(ours, network.get_tensor(given["index"]), rtol=0, atol=2e-4)


@pytest.mark.parametrize("length", [8, 400, 100_000, 5_000_000, -2_000])
def test_a_cut_tflite_file_is_refused(tmp_path: Path, length: int) -> None:
    whole = original_file("mobilefacenet-192", tmp_path).read_bytes()
    with pytest.raises(ValueError, match="not this MobileFaceNet"):
        CONVERTERS["mobilefacenet_192"](whole[:length])


@settings(max_examples=25, deadline=None)
@given(where=st.integers(0, 1), offset=st.integers(0, 40_000), value=st.integers(0, 255))
def test_a_damaged_tflite_file_is_refused_or_converted_but_nothing_else(where: int, offset: int, value: int) -> None:
    """Its tables lie at the beginning and the end; numbers of the network lie between."""
    data = bytearray(_mobilefacenet())
    data[offset if where else -offset - 1] = value
    with contextlib.suppress(ValueError):
        assert CONVERTERS["mobilefacenet_192"](bytes(data))


@functools.cache
def _mobilefacenet() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return original_file("mobilefacenet-192", Path(folder)).read_bytes()


TAGS = [b"", b"\x01\x05con_4", b"\x01\x04fc_2", b"\x08\x07", b"\x20\x00\x00\x00TFL3"]
"""What files of each kind begin with, or nearly."""


@pytest.mark.parametrize("converter", sorted(CONVERTERS))
@settings(max_examples=50, deadline=None)
@given(
    data=st.binary(max_size=200),
    tag=st.sampled_from([b"", b"\x01\x05con_4", b"\x01\x04fc_2", b"\x08\x07", b"\x20\x00\x00\x00TFL3"]),
)
def test_a_converter_refuses_any_other_file_with_a_value_error(converter: str, data: bytes, tag: bytes) -> None:
    with pytest.raises(ValueError, match="not "):
        CONVERTERS[converter](tag + data)


def test_a_cut_dlib_file_is_refused(tmp_path: Path) -> None:
    whole = original_file("dlib-resnet-v1", tmp_path).read_bytes()
    for length in (100, len(whole) // 2, len(whole) - 40_000, len(whole) - 200_000):
        with pytest.raises(ValueError, match=r"buffer|not dlib"):
            CONVERTERS["dlib_resnet_v1"](whole[:length])
