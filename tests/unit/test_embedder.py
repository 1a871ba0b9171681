"""The embedder with a network of a few numbers: what goes in, what comes out, in which order, and in how many calls."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overt.embedder.fusion import Memory
from overt.embedder.model import EmbeddingModel
from overt.embedder.stage import EmbedderStage
from overt.messages import Embedding, Face
from overt.models.card import EmbedderCard, read_card
from overt.models.preprocess import Floats, to_input
from overt.models.registry import CARDS
from overt.picture import Bgr, Picture
from overt.ports import Reason, Reject
from tests.support import messages as make

SIDE = 8
DIMENSION = 5


def card(*, mirror: bool) -> EmbedderCard:
    """A shipped card with the geometry of a network that a test can afford."""
    real = read_card(CARDS / "mobilefacenet-192.yaml")
    assert isinstance(real, EmbedderCard)
    return real.model_copy(
        update={
            "mirror": mirror,
            "dimension": DIMENSION,
            "space_id": "tiny/1",
            "shared": None,
            "input": real.input.model_copy(update={"chip_px": SIDE}),
            "alignment": real.alignment.model_copy(update={"chip_px": SIDE}),
        }
    )


class Network:
    """A linear network: each input number has a weight for each output. It counts its calls."""

    def __init__(self) -> None:
        weights = np.random.default_rng(3).normal(size=(SIDE * SIDE * 3, DIMENSION))
        self.weights = np.asarray(weights, np.float32)
        self.batches: list[int] = []

    def __call__(self, tensor: Floats) -> Floats:
        self.batches.append(len(tensor))
        assert tensor.dtype == np.float32
        assert tensor.shape[1:] == (SIDE, SIDE, 3)
        return np.asarray(tensor.reshape(len(tensor), -1) @ self.weights, np.float32)


def chip(seed: int) -> Bgr:
    return make.pixels(seed, SIDE, SIDE)


def face(seed: int, **changes: object) -> Face:
    """A face of a track of its own unless told otherwise."""
    return make.face(**{"crop": Picture(bgr=chip(seed)), "frame_seq": seed, "track_id": f"t{seed}", **changes})


def stage(mirror: bool = False) -> tuple[EmbedderStage, Network]:
    network = Network()
    return EmbedderStage(EmbeddingModel(card(mirror=mirror), network), Memory()), network


def results_of(embedder: EmbedderStage, faces: Sequence[Face]) -> list[Embedding | Reject]:
    """What a batch gives when nothing is remembered yet."""
    return list(embedder.step(embedder.fresh("c1"), faces)[1])


def unit(raw: Floats) -> Floats:
    return np.asarray(raw / np.linalg.norm(raw), np.float32)


def raw(bgr: Bgr) -> Floats:
    return np.asarray(Network()(to_input(card(mirror=False), bgr[None]))[0], np.float32)


@pytest.mark.parametrize("mirror", [False, True])
def test_vectors_are_float32_and_of_unit_length(mirror: bool) -> None:
    vectors = EmbeddingModel(card(mirror=mirror), Network()).embed(np.stack([chip(n) for n in range(7)]))
    assert vectors.dtype == np.float32
    assert vectors.shape == (7, DIMENSION)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-6)


def test_without_mirror_a_vector_is_the_networks_output_at_unit_length() -> None:
    vectors = EmbeddingModel(card(mirror=False), Network()).embed(np.stack([chip(1), chip(2)]))
    assert vectors == pytest.approx(np.stack([unit(raw(chip(1))), unit(raw(chip(2)))]), abs=1e-5)


def test_with_mirror_it_is_the_sum_of_the_outputs_for_both_sides_at_unit_length() -> None:
    vectors = EmbeddingModel(card(mirror=True), Network()).embed(np.stack([chip(1), chip(2)]))
    wanted = [unit(raw(chip(n)) + raw(chip(n)[:, ::-1])) for n in (1, 2)]
    assert vectors == pytest.approx(np.stack(wanted), abs=1e-5)


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_with_mirror_a_face_and_its_mirror_image_have_one_vector(seed: int) -> None:
    model = EmbeddingModel(card(mirror=True), Network())
    assert model.embed(chip(seed)[None]) == pytest.approx(model.embed(chip(seed)[None, :, ::-1]), abs=1e-5)
    upside_down = model.embed(chip(seed)[None, ::-1])
    assert model.embed(chip(seed)[None]) != pytest.approx(upside_down, abs=1e-3)


@pytest.mark.parametrize("mirror", [False, True])
def test_a_batch_is_one_call_of_the_network(mirror: bool) -> None:
    embedder, network = stage(mirror)
    assert len(results_of(embedder, [face(n) for n in range(6)])) == 6
    assert network.batches == [12 if mirror else 6]


def test_a_batch_without_a_usable_chip_asks_the_network_nothing() -> None:
    embedder, network = stage()
    assert results_of(embedder, []) == []
    assert results_of(embedder, [make.face(crop=Picture(encoded=b"garbage"))]) == [Reject(0, Reason.BAD_PICTURE)]
    assert network.batches == []


@pytest.mark.parametrize(
    "crop",
    [
        Picture(bgr=make.pixels(1, SIDE, SIDE + 1)),
        Picture(bgr=make.pixels(1, 2 * SIDE, 2 * SIDE)),
        Picture(bgr=make.pixels(1, 1, 1)),
        Picture(encoded=b""),
        Picture(encoded=b"\xff\xd8\xff\xe0 no picture"),
        Picture(encoded=make.picture(1).encoded("png")[:-20]),
    ],
    ids=["wide", "twice", "pixel", "empty", "garbage", "cut short"],
)
def test_a_crop_that_is_no_chip_is_a_reject_and_hinders_nobody(crop: Picture) -> None:
    embedder, _ = stage()
    results = results_of(embedder, [face(1), make.face(crop=crop), face(3)])
    assert [r for r in results if isinstance(r, Reject)] == [Reject(1, Reason.BAD_PICTURE)]
    assert [r.frame_seq for r in results if isinstance(r, Embedding)] == [1, 3]


def probes(faces: Sequence[Face]) -> list[Embedding]:
    return [r for r in results_of(stage()[0], faces) if isinstance(r, Embedding)]


@given(st.lists(st.sampled_from(["good", "bad", "large"]), max_size=8))
@settings(max_examples=60, deadline=None)
def test_probes_keep_the_order_of_their_faces_and_each_has_its_own_vector(kinds: list[str]) -> None:
    crops = {"bad": Picture(encoded=b"\x89PNG"), "large": Picture(bgr=make.pixels(1, 9, 9))}
    faces = [
        dataclasses.replace(face(n), crop=crops[kind]) if kind in crops else face(n) for n, kind in enumerate(kinds)
    ]
    results = results_of(stage()[0], faces)
    assert len(results) == len(faces)
    good = [n for n, kind in enumerate(kinds) if kind == "good"]
    made = [r for r in results if isinstance(r, Embedding)]
    assert [p.frame_seq for p in made] == good
    assert [r.index for r in results if isinstance(r, Reject)] == [n for n in range(len(kinds)) if n not in good]
    for probe in made:
        assert probe.vector == pytest.approx(unit(raw(chip(probe.frame_seq))), abs=1e-5)


def test_a_face_has_the_same_vector_alone_and_in_a_batch() -> None:
    faces = [face(n) for n in range(9)]
    alone = [probes([item])[0].vector for item in faces]
    assert np.stack([p.vector for p in probes(faces)]) == pytest.approx(np.stack(alone), abs=1e-5)


def test_a_probe_carries_its_face_on_and_names_the_model_space() -> None:
    sent = face(1, context=None, camera_id="c9", face_index=4, track_id="t7", quality=0.31)
    (probe,) = probes([sent])
    shared = {f.name for f in dataclasses.fields(Embedding)} & {f.name for f in dataclasses.fields(Face)}
    assert {name: getattr(probe, name) for name in shared} == {name: getattr(sent, name) for name in shared}
    assert probe.thumbnail is sent.thumbnail
    assert probe.space_id == "tiny/1"
    assert probe.cause == sent.cause


def test_an_output_that_is_no_number_travels_on_to_be_rejected_by_whoever_compares() -> None:
    """The embedder invents no vector: 0/0 and NaN stay what they are, without a warning."""
    for value in (0.0, np.nan, np.inf):
        model = EmbeddingModel(card(mirror=False), lambda t, v=value: np.full((len(t), DIMENSION), v, np.float32))  # type: ignore[misc]  # binds the loop's value
        (probe,) = [r for r in results_of(EmbedderStage(model), [face(1)]) if isinstance(r, Embedding)]
        assert not np.isfinite(probe.vector).any()


def test_a_network_that_answers_for_another_number_of_faces_fails_loudly() -> None:
    model = EmbeddingModel(card(mirror=False), lambda tensor: np.ones((len(tensor) + 1, DIMENSION), np.float32))
    with pytest.raises(ValueError, match="zip"):
        results_of(EmbedderStage(model), [face(1)])


def test_chips_that_were_scaled_already_are_refused() -> None:
    with pytest.raises(ValueError, match="uint8"):
        EmbeddingModel(card(mirror=False), Network()).embed(chip(1)[None].astype(np.float32))
