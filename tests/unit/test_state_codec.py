"""States that hold vectors of passers-by: sealed while they are kept, and gone with their key."""

from __future__ import annotations

import dataclasses

import pytest

from overt.embedder.state import EmbedderState, FusedTrack
from overt.messages import Embedding
from overt.ports import Undecodable
from overt.runtime.avro import AvroFormat, LocalRegistry
from overt.runtime.keys.transient import MemoryTransientKeys
from overt.runtime.runners import StatefulRunner
from overt.runtime.state_codec import StateCodec
from overt.runtime.vault import MAGIC, SealingVault
from tests.support import messages as make
from tests.support.messages import SCHEMAS
from tests.unit.test_embedder import face, results_of, stage


class Site:
    """The keys of a site; codecs of several processes share them."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.expired = 0
        self.keys = MemoryTransientKeys(elapsed=lambda: self.now_s)

    def codec(self, deployment_id: str = "d1") -> StateCodec:
        avro = AvroFormat(SCHEMAS, LocalRegistry(SCHEMAS), lambda record: record)
        return StateCodec(avro, SealingVault(deployment_id, self.keys, None), expired=self._count)

    def _count(self, tracks: int) -> None:
        self.expired += tracks


def track(name: str, frame_seq: int = 1) -> FusedTrack:
    return FusedTrack(
        name, 3, frame_seq, 0, 1_000_000 * frame_seq, 2, 1.5, 1.4, 1.3, make.unit(sum(name.encode()) + frame_seq)
    )


def said(state: EmbedderState) -> list[tuple[object, ...]]:
    return [(*dataclasses.astuple(t)[:-1], t.vector.tobytes()) for t in state.tracks]


def test_a_state_comes_back_in_another_process_and_its_vectors_were_sealed() -> None:
    site, state = Site(), EmbedderState((track("a"), track("b")))
    data = site.codec().dumps(state, "c1")
    assert said(site.codec().loads(EmbedderState, data, "c1")) == said(state)
    assert data.count(MAGIC) == 2
    for kept in state.tracks:
        assert kept.vector.tobytes()[:32] not in data


def test_a_vector_goes_with_the_key_that_lived_when_its_last_face_came() -> None:
    """Others keep coming and the state is saved again and again: that prolongs nobody's vector."""
    site = Site()
    codec, early = site.codec(), track("early")
    codec.dumps(EmbedderState((early,)), "c1")
    for n in range(1, 8):
        site.now_s = 4.0 * n
        data = codec.dumps(EmbedderState((early, track("late", n))), "c1")
    assert [t.track_id for t in site.codec().loads(EmbedderState, data, "c1").tracks] == ["early", "late"]
    site.now_s = 31.0
    data = codec.dumps(EmbedderState((early, track("late", 8))), "c1")
    assert [t.track_id for t in site.codec().loads(EmbedderState, data, "c1").tracks] == ["late"]
    assert site.expired == 1


def test_a_process_that_took_over_does_not_prolong_either() -> None:
    site, state = Site(), EmbedderState((track("a"),))
    data = site.codec().dumps(state, "c1")
    site.now_s = 20.0
    successor = site.codec()
    again = successor.dumps(successor.loads(EmbedderState, data, "c1"), "c1")
    site.now_s = 31.0
    assert successor.loads(EmbedderState, again, "c1").tracks == ()


def test_a_track_with_a_new_face_is_sealed_anew() -> None:
    site, codec = Site(), Site().codec()
    first, second = (codec.dumps(EmbedderState((track("a", n),)), "c1") for n in (1, 2))
    assert first[first.index(MAGIC) :] != second[second.index(MAGIC) :]
    assert site.expired == 0


@pytest.mark.parametrize("how", ["another camera", "another deployment", "another track", "a changed bit"])
def test_a_vector_that_was_moved_or_changed_does_not_open(how: str) -> None:
    site = Site()
    data = site.codec().dumps(EmbedderState((track("a"),)), "c1")
    reader, camera = site.codec("d2" if how == "another deployment" else "d1"), "c1"
    if how == "another camera":
        camera = "c2"
    if how == "another track":
        data = data.replace(b"\x02a", b"\x02b")
    if how == "a changed bit":
        data = data[:-2] + bytes([data[-2] ^ 1]) + data[-1:]
    with pytest.raises(Undecodable):
        reader.loads(EmbedderState, data, camera)


def test_without_a_vault_nothing_biometric_is_written() -> None:
    avro = AvroFormat(SCHEMAS, LocalRegistry(SCHEMAS), lambda record: record)
    with pytest.raises(TypeError, match="no vault"):
        StateCodec(avro).dumps(EmbedderState((track("a"),)), "c1")


def test_what_is_remembered_of_a_quiet_camera_goes_with_its_time_and_no_repeat_is_worked_off_again() -> None:
    now_s = 0.0
    embedder, _ = stage()
    runner = StatefulRunner(
        "embedder", embedder, state_type=EmbedderState, store=None, codec=None, life_s=30.0, elapsed=lambda: now_s
    )
    first, second = (face(n, track_id="t") for n in (1, 2))
    runner.run([first])
    runner.keep()
    now_s = 29.0
    runner.tidy()
    assert [t.track_id for t in runner._known["c1"].state.tracks] == ["t"]
    now_s = 31.0
    runner.tidy()
    assert runner._known["c1"].state.tracks == ()
    assert runner.run([first]).repeats == 1
    (alone,), (probe,) = runner.run([second]).outputs, results_of(embedder, [second])
    assert isinstance(probe, Embedding)
    assert alone.vector.tobytes() == probe.vector.tobytes()
