"""Fusion over a track: what a probe is made of, what is remembered, and for how long."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overt.embedder.fusion import Memory, fused
from overt.embedder.model import EmbeddingModel
from overt.embedder.stage import EmbedderStage
from overt.embedder.state import EmbedderState, FusedTrack
from overt.messages import Embedding, Face, Vector
from overt.picture import Picture
from tests.support import messages as make
from tests.unit.test_embedder import chip, face, stage

DIMENSION = 6


def unit(seed: int, dimension: int = DIMENSION) -> Vector:
    raw = np.random.default_rng(seed).normal(size=dimension)
    return np.asarray(raw / np.linalg.norm(raw), np.float32)


def seen(
    track: str, seq: int, *, at_s: float = 0.0, quality: float = 0.8, epoch: int = 3, seed: int | None = None
) -> Face:
    crop = Picture(bgr=chip(seq if seed is None else seed))
    at_us = round(at_s * 1e6)
    return make.face(
        track_id=track, frame_seq=seq, captured_at_us=at_us, quality=quality, source_epoch=epoch, crop=crop
    )


def probes(embedder: EmbedderStage, faces: list[Face]) -> tuple[EmbedderState, list[Embedding]]:
    state, results = embedder.step(embedder.fresh("c1"), faces)
    return state, [r for r in results if isinstance(r, Embedding)]


def sum_of(faces: list[tuple[Face, Vector]], shared: Vector | None) -> FusedTrack:
    track = None
    for item, vector in faces:
        track = fused(track, item, vector, shared)
    assert track is not None
    return track


@pytest.mark.parametrize("shared", [None, unit(500)], ids=["nothing shared", "a shared direction"])
@given(st.lists(st.tuples(st.integers(0, 99), st.floats(0, 1)), min_size=1, max_size=5))
@settings(deadline=None)
def test_the_order_of_faces_makes_no_difference(shared: Vector | None, drawn: list[tuple[int, float]]) -> None:
    faces = [(seen("t", n, quality=quality), unit(seed)) for n, (seed, quality) in enumerate(drawn)]
    whole = sum_of(faces, shared)
    for order in itertools.islice(itertools.permutations(faces), 24):
        other = sum_of(list(order), shared)
        if min(other.length / other.weight, whole.length / whole.weight) < 0.05:
            continue  # nearly opposite faces: a direction is hardly defined
        assert other.vector == pytest.approx(whole.vector, abs=1e-4)


def test_a_probe_is_as_far_from_what_all_faces_share_as_its_faces_are() -> None:
    """In a space where strangers are at 0.85 a mean of whole vectors would come nearer to every stranger."""
    shared = unit(500, 64)
    own = [unit(n, 64) - shared * float(shared @ unit(n, 64)) for n in range(4)]
    faces = [np.asarray(0.9 * shared + np.sqrt(1 - 0.81) * v / np.linalg.norm(v), np.float32) for v in own]
    stranger = np.asarray(0.9 * shared + np.sqrt(1 - 0.81) * unit(77, 64), np.float32)
    stranger /= np.linalg.norm(stranger)
    probe = sum_of([(seen("t", n), v) for n, v in enumerate(faces)], shared).vector
    mean = np.sum(faces, 0) / np.linalg.norm(np.sum(faces, 0))
    singles = [float(v @ stranger) for v in faces]
    assert float(probe @ shared) == pytest.approx(0.9, abs=1e-3)
    assert float(mean @ stranger) > max(singles)
    assert float(probe @ stranger) < float(mean @ stranger) - 0.02
    assert np.linalg.norm(probe) == pytest.approx(1, abs=1e-6)


def test_the_first_probe_of_a_track_is_its_faces_own_vector_bit_by_bit() -> None:
    embedder, _ = stage()
    (single,) = probes(embedder, [face(1)])[1]
    state, _ = embedder.step(embedder.fresh("c1"), [face(1)])
    assert single.vector.tobytes() == state.tracks[0].vector.tobytes()


def test_a_track_of_one_and_the_same_face_keeps_its_vector() -> None:
    embedder, _ = stage()
    _, made = probes(embedder, [seen("t", n, seed=5, quality=q) for n, q in enumerate((0.3, 0.9, 0.5))])
    for probe in made:
        assert probe.vector == pytest.approx(made[0].vector, abs=1e-6)


def test_tracks_do_not_mix() -> None:
    embedder, _ = stage()
    apart = [
        probes(embedder, [seen(t, n) for n in numbers])[1][-1].vector for t, numbers in (("a", (1, 3)), ("b", (2, 4)))
    ]
    _, together = probes(embedder, [seen("a", 1), seen("b", 2), seen("a", 3), seen("b", 4)])
    assert [p.vector for p in together[2:]] == [pytest.approx(v, abs=1e-6) for v in apart]


def test_a_vector_that_is_no_number_spoils_no_other() -> None:

    embedder, network = stage()
    card = embedder._model.card
    calls = itertools.count()

    def infer(tensor: np.ndarray) -> np.ndarray:
        out = network(tensor)
        return out * np.float32(np.nan) if next(calls) == 1 else out

    broken = EmbedderStage(EmbeddingModel(card, infer), Memory())
    state = broken.fresh("c1")
    vectors = []
    for item in (seen("t", 1), seen("t", 2), seen("t", 3)):
        state, results = broken.step(state, [item])
        vectors += [r.vector for r in results if isinstance(r, Embedding)]
    _, without = probes(embedder, [seen("t", 1), seen("t", 3)])
    assert not np.isfinite(vectors[1]).any()
    assert vectors[2] == pytest.approx(without[1].vector, abs=1e-6)


FACES = [seen(t, n, at_s=0.3 * n, quality=0.3 + 0.1 * (n % 7)) for n, t in enumerate("abacbacabcca")]


@given(st.lists(st.integers(0, len(FACES)), max_size=4))
@settings(max_examples=40, deadline=None)
def test_what_comes_out_does_not_depend_on_how_faces_are_cut_into_batches(cuts: list[int]) -> None:
    embedder, _ = stage()
    whole_state, whole = probes(embedder, FACES)
    state, parts = embedder.fresh("c1"), list[Embedding]()
    for begin, end in itertools.pairwise([0, *sorted(cuts), len(FACES)]):
        state, results = embedder.step(state, FACES[begin:end])
        parts += [r for r in results if isinstance(r, Embedding)]
    assert [p.cause for p in parts] == [p.cause for p in whole]
    for one, other in zip(parts, whole, strict=True):
        assert one.vector == pytest.approx(other.vector, abs=1e-5)
    assert [t.track_id for t in state.tracks] == [t.track_id for t in whole_state.tracks]


def test_a_step_changes_no_state_that_it_was_given() -> None:
    embedder, _ = stage()
    before, _ = embedder.step(embedder.fresh("c1"), FACES[:4])
    kept = [(t.track_id, t.faces, t.vector.tobytes()) for t in before.tracks]
    embedder.step(before, FACES[4:])
    assert [(t.track_id, t.faces, t.vector.tobytes()) for t in before.tracks] == kept


@pytest.mark.parametrize(
    "later",
    [seen("x", 9, at_s=21), seen("x", 9, at_s=-21), seen("x", 9, epoch=4)],
    ids=["time has gone by", "the clock was set back", "another lease of the camera"],
)
def test_a_track_is_forgotten_when_its_time_is_over(later: Face) -> None:
    embedder, _ = stage()
    state, _ = embedder.step(embedder.fresh("c1"), [seen("t", 1, at_s=0)])
    assert [t.track_id for t in state.tracks] == ["t"]
    state, _ = embedder.step(state, [later])
    assert [t.track_id for t in state.tracks] == ["x"]
    again = dataclasses.replace(later, track_id="t", frame_seq=10)
    _, results = embedder.step(state, [again])
    _, alone = probes(embedder, [again])
    assert [r.vector.tobytes() for r in results if isinstance(r, Embedding)] == [alone[0].vector.tobytes()]


def test_a_track_that_gets_no_more_faces_is_forgotten_at_once() -> None:
    base, _ = stage()
    embedder = EmbedderStage(base._model, Memory(faces=3))
    state, made = probes(embedder, [seen("t", n) for n in range(3)])
    assert state.tracks == ()
    assert made[2].vector == pytest.approx(probes(base, [seen("t", n) for n in range(3)])[1][2].vector, abs=1e-6)


def test_a_crowd_is_remembered_up_to_a_bound_and_the_oldest_are_forgotten_first() -> None:
    base, _ = stage()
    embedder = EmbedderStage(base._model, Memory(tracks=4))
    state, _ = probes(embedder, [seen(t, n) for n, t in enumerate("abcdaef")])
    assert [t.track_id for t in state.tracks] == list("daef")


def test_nothing_prints_a_vector() -> None:
    state, _ = probes(stage()[0], [face(1)])
    assert "vector" not in repr(state)


def test_without_a_memory_each_face_is_a_probe_of_its_own_and_nobody_is_remembered() -> None:
    base, _ = stage()
    faces = [seen("t", n) for n in range(4)]
    state, made = probes(EmbedderStage(base._model, None), faces)
    alone = [probes(base, [one])[1][0] for one in faces]
    assert state == EmbedderState()
    assert [p.vector for p in made] == [pytest.approx(p.vector, abs=1e-6) for p in alone]
