"""The stage: whatever the batches, the same faces and passes; each passer-by once; nothing biometric remembered."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overt.detector.align import Aligner
from overt.detector.bestshot import ShotPolicy
from overt.detector.calibration import shipped_calibration
from overt.detector.locate import Locator
from overt.detector.quality import Gate
from overt.detector.stage import DetectorStage, Output
from overt.detector.state import DetectorState, Track
from overt.messages import AcquisitionFailure, Box, Face, Frame, Pass, Sightings
from overt.picture import Picture
from overt.ports import Reason, Reject
from overt.runtime.avro import AvroFormat, LocalRegistry, Schemas
from overt.runtime.resources import schemas_dir
from overt.runtime.state_codec import StateCodec
from tests.support.painted import LOW, POINTS, Painted, PaintedDetector, frame, paint

FPS = 10
ALIGNER = Aligner(POINTS * 100, 100)


def stage(*, observe: bool = False, context: bool = False, budget: int = 4) -> DetectorStage:
    return DetectorStage(
        Locator(PaintedDetector(), min_face_px=32),
        ALIGNER,
        calibration=shipped_calibration("centerface"),
        gate=Gate(min_face_px=32),
        shots=ShotPolicy(budget=budget),
        observe=observe,
        context=context,
    )


def street(seconds: float = 3.0, *, epoch: int = 1, start_s: float = 0.0, ending: bool = True) -> list[Frame]:
    """Three passers-by: one crosses from left to right, one approaches, one stands flat (no quality) for a second."""
    frames = []
    for n in range(round(seconds * FPS)):
        t = n / FPS
        faces = [Painted(80 + 110 * t, 120, 56, texture=1), Painted(560, 160 + 20 * t, 44 + 14 * t, texture=2)]
        if 1 <= t < 2:
            faces.append(Painted(300, 290, 60, texture=0))
        frames.append(frame(n, start_s + t, faces, epoch=epoch))
    if ending:
        frames.append(frame(len(frames), start_s + seconds, [], epoch=epoch, end=True))
    return frames


def run(
    made: DetectorStage, frames: Sequence[Frame], cuts: Sequence[int] = ()
) -> tuple[DetectorState, list[Output | Reject]]:
    """Hands over the frames in batches that end at `cuts`."""
    state, results = made.fresh("gate"), []
    edges = [0, *sorted(cuts), len(frames)]
    for begin, end in itertools.pairwise(edges):
        state, outputs = made.step(state, frames[begin:end])
        results += list(outputs)
    return state, results


def faces_of(results: Sequence[object]) -> list[Face]:
    return [r for r in results if isinstance(r, Face)]


def passes_of(results: Sequence[object]) -> list[Pass]:
    return [r for r in results if isinstance(r, Pass)]


def said(results: Sequence[object]) -> list[object]:
    """Results as comparable values: arrays and pictures by content."""

    def plain(value: object) -> object:
        if isinstance(value, np.ndarray):
            return value.tolist()
        if isinstance(value, Picture):
            return value.bgr().tobytes()
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return [type(value).__name__, *(plain(getattr(value, f.name)) for f in dataclasses.fields(value))]
        return [plain(v) for v in value] if isinstance(value, tuple) else value

    return [plain(r) for r in results]


STREET = street()
WHOLE = run(stage(), STREET)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, len(STREET)), max_size=8))
def test_results_do_not_depend_on_how_frames_are_cut_into_batches(cuts: list[int]) -> None:
    state, results = run(stage(), STREET, cuts)
    assert state == WHOLE[0]
    assert said(results) == said(WHOLE[1])


def test_each_passer_by_leaves_one_pass_that_says_what_became_of_them() -> None:
    passes = passes_of(WHOLE[1])
    assert [p.frames for p in passes] == [10, 30, 30]
    still, crossing, approaching = passes
    assert (still.crops, still.failure) == (0, AcquisitionFailure.TOO_POOR)
    for passer in (crossing, approaching):
        assert passer.failure is None
        assert 3 <= passer.crops <= 4
        sent = [f for f in faces_of(WHOLE[1]) if f.track_id == passer.track_id]
        assert len(sent) == passer.crops
        assert sent[0].captured_at_us == passer.first_seen_us  # the first at once
        assert (passer.last_seen_us - passer.first_seen_us) == 2_900_000
        assert passer.frame_seq == 29


def test_who_stays_is_compared_beyond_the_budget_whoever_continues_the_work() -> None:
    """A quarter of a minute at a door. The state between the batches is all that a replica which takes over has."""
    standing = [frame(n, n / FPS, [Painted(300, 200, 60)]) for n in range(150)]
    state, whole = run(stage(), standing)
    assert state.tracks[0].shots.crops == len(faces_of(whole)) > 4
    again, cut = run(stage(), standing, [*range(3, 150, 7)])
    assert again == state
    assert said(cut) == said(whole)


def test_a_pass_comes_when_the_face_has_been_gone_for_longer_than_the_limit() -> None:
    """The third stands until 1.9 s; by 2.9 s it has been gone for exactly 1 s, so the frame at 3.0 s closes it."""
    made = stage()
    frames = street(4.0, ending=False)
    state, _ = made.step(made.fresh("gate"), frames[:30])
    _, outputs = made.step(state, frames[30:31])
    assert [type(o) for o in outputs] == [Pass]


def test_faces_are_in_the_cameras_pixels_wherever_the_zone_lies() -> None:
    """The same picture at another offset: the same crops, boxes and landmarks moved, other ids."""
    made = stage()
    here = [replace(f, image_width=2000, image_height=1000) for f in STREET[:5]]
    there = [replace(f, left=700, top=300) for f in here]
    one, two = faces_of(run(made, here)[1]), faces_of(run(made, there)[1])
    assert len(one) == len(two) > 0
    for a, b in zip(one, two, strict=True):
        assert b.box == Box(a.box.x1 + 700, a.box.y1 + 300, a.box.x2 + 700, a.box.y2 + 300)
        moved = (b.landmarks - a.landmarks).reshape(5, 2)
        assert moved == pytest.approx(np.tile([700.0, 300.0], (5, 1)))
        assert a.crop == b.crop
        assert a.track_id != b.track_id


def test_causes_of_faces_rise_as_consumers_that_skip_by_cause_need() -> None:
    crowd = [frame(n, n / FPS, [Painted(60 + 90 * k, 150, 50, texture=k + 1) for k in range(6)]) for n in range(8)]
    causes = [f.cause for f in faces_of(run(stage(), crowd)[1])]
    assert len(causes) >= 6
    assert causes == sorted(set(causes))


def test_a_crop_is_the_models_chip_and_the_state_before_is_untouched() -> None:
    made = stage()
    before = made.fresh("gate")
    made.step(before, STREET[:3])
    assert before == made.fresh("gate")
    for face in faces_of(WHOLE[1]):
        assert face.crop.bgr().shape == (100, 100, 3)
        assert max(face.thumbnail.bgr().shape) <= 160
        assert face.context is None
        assert 0.2 <= face.quality <= 1


def test_the_context_is_made_only_where_it_is_wanted() -> None:
    with_context = faces_of(run(stage(context=True), STREET[:3])[1])
    assert with_context
    assert all(f.context is not None and f.context.bgr().shape == (360, 640, 3) for f in with_context)


def test_views_blur_everybody_else_the_uncertain_and_the_hidden_too() -> None:
    """One face is sent when two are hidden or uncertain; with the context all other textures are gone."""
    made = stage(context=True)
    sure, low, hidden = Painted(100, 150, 60), Painted(300, 150, 60, LOW, 2), Painted(500, 150, 60, texture=3)
    before = [frame(n, n / FPS, [hidden]) for n in range(3)]
    # The detector misses the hidden one now, but the picture shows it: its blue is below what it can see.
    now = frame(3, 3 / FPS, [sure, low, replace(hidden, blue=20)])
    _, results = run(made, [*before, now])
    face = faces_of(results)[-1]
    assert face.frame_seq == 3
    assert face.context is not None
    assert now.image is not None
    for x in (300, 500):
        cut = np.s_[125:175, x - 25 : x + 25, 1]
        assert face.context.bgr()[cut].std() < 0.75 * now.image.bgr()[cut].std()
    own = np.s_[125:175, 75:125]
    assert np.array_equal(face.context.bgr()[own], now.image.bgr()[own])


def test_a_new_epoch_closes_the_tracks_of_the_older_and_begins_its_own() -> None:
    """A camera's reader was replaced: the passers-by of the older epoch are closed before anything of the new one."""
    frames = [*street(1.0, ending=False), *street(1.0, epoch=2, start_s=1.0)]
    _, results = run(stage(), frames)
    epochs = [(type(r).__name__, r.source_epoch) for r in results if isinstance(r, Face | Pass)]
    assert epochs.index(("Pass", 1)) < epochs.index(("Face", 2))
    assert [p.source_epoch for p in passes_of(results)] == [1, 1, 2, 2]
    assert len({p.track_id for p in passes_of(results)}) == 4


def test_frames_of_an_older_epoch_give_nothing() -> None:
    made = stage()
    state, _ = made.step(made.fresh("gate"), street(1.0, epoch=2, ending=False))
    assert made.step(state, street(1.0, epoch=1)) == (state, [])


def test_a_clock_that_is_set_back_neither_ends_nor_freezes_tracks() -> None:
    """An hour back in the middle: one pass for each, and who leaves afterwards is still closed in time."""
    first = street(1.0, ending=False)
    later = [replace(f, frame_seq=f.frame_seq + 10) for f in street(3.0, start_s=-3599.0, ending=False)[10:]]
    empty = [frame(100 + n, -3595 + n, []) for n in range(4)]
    _, results = run(stage(), [*first, *later, *empty])
    passes = passes_of(results)
    assert sorted(p.frames for p in passes) == [10, 30, 30]
    assert all(p.last_seen_us >= p.first_seen_us for p in passes)


def test_shed_frames_leave_gaps_and_the_tracks_go_on() -> None:
    kept = [f for f in STREET if f.frame_seq % 5 in (0, 1) or f.end]
    assert len([p for p in passes_of(run(stage(), kept)[1]) if p.crops]) == 2


@pytest.mark.parametrize(
    "spoil",
    [
        lambda f: replace(f, image=Picture(encoded=b"\xff\xd8 no picture")),
        lambda f: replace(f, image=None),
        lambda f: replace(f, image_width=639),
        lambda f: replace(f, left=1),
        lambda f: replace(f, top=-1),
        lambda f: replace(f, image=Picture(bgr=np.zeros((0, 10, 3), np.uint8))),
        lambda f: replace(f, image=Picture(bgr=np.zeros((360, 640), np.uint8))),
        lambda f: replace(f, image=Picture(bgr=np.zeros((360, 640, 3), np.float32))),
    ],
)
def test_a_picture_that_cannot_be_used_is_a_reject_and_changes_nothing(spoil: Callable[[Frame], Frame]) -> None:
    made = stage()
    good = STREET[:6]
    state, results = made.step(made.fresh("gate"), [*good[:3], spoil(good[3]), *good[4:]])
    without, expected = made.step(made.fresh("gate"), [*good[:3], *good[4:]])
    assert [r for r in results if isinstance(r, Reject)] == [Reject(3, Reason.BAD_PICTURE)]
    assert said([r for r in results if not isinstance(r, Reject)]) == said(list(expected))
    assert state == without


def test_a_picture_of_one_pixel_has_no_face() -> None:
    tiny = replace(frame(0, 0, [], size=(1, 1)), image_width=10, image_height=10)
    assert list(stage().step(DetectorState(), [tiny])[1]) == []


def test_the_end_of_a_source_closes_everybody_and_a_second_end_nobody() -> None:
    made = stage()
    state, results = run(made, street(1.0))
    assert len(passes_of(results)) == 2
    assert state.tracks == ()
    assert list(made.step(state, [frame(99, 9, [], end=True)])[1]) == []


def test_one_spurious_detection_leaves_no_pass_and_two_do() -> None:
    flat = [Painted(300, 200, 60, texture=0)]
    once = [frame(0, 0, flat), frame(1, 0.1, []), frame(2, 0.2, [], end=True)]
    twice = [frame(0, 0, flat), frame(1, 0.1, flat), frame(2, 0.2, [], end=True)]
    assert passes_of(run(stage(), once)[1]) == []
    assert [p.failure for p in passes_of(run(stage(), twice)[1])] == [AcquisitionFailure.TOO_BRIEF]


def test_a_single_good_face_counts_and_is_sent() -> None:
    """In a folder of pictures, or at a frame a second, nobody is seen twice."""
    once = [frame(0, 0, [Painted(300, 200, 60)]), frame(1, 5, [], end=True)]
    _, results = run(stage(), once)
    assert [p.crops for p in passes_of(results)] == [1]
    assert len(faces_of(results)) == 1


def test_faces_below_the_limit_are_followed_and_counted_as_too_small() -> None:
    small = [frame(n, n / FPS, [Painted(300, 200, 28)]) for n in range(8)]
    _, results = run(stage(), [*small, frame(8, 1, [], end=True)])
    assert [p.failure for p in passes_of(results)] == [AcquisitionFailure.TOO_SMALL]
    assert faces_of(results) == []


def test_sightings_show_every_face_even_of_no_track_and_hidden() -> None:
    made = stage(observe=True)
    two = [Painted(200, 120, 60), Painted(450, 200, 60, LOW)]
    frames = [frame(0, 0, two), frame(1, 0.1, two), frame(2, 0.2, two[1:])]
    _, results = run(made, frames)
    sightings = [r for r in results if isinstance(r, Sightings)]
    assert [s.frame.frame_seq for s in sightings] == [0, 1, 2]
    ids = [[s.track_id for s in each.faces] for each in sightings]
    track = ids[0][0]
    assert track is not None
    assert ids == [[track, None], [track, None], [None, track]]
    hidden = sightings[2].faces[1].box
    assert abs(hidden.x1 - 170) < 3
    assert abs(hidden.y2 - 150) < 3


def test_the_state_survives_being_saved_and_holds_no_pixel_vector_or_landmark() -> None:
    schemas = Schemas(schemas_dir())
    codec = StateCodec(AvroFormat(schemas, LocalRegistry(schemas), lambda record: record))
    state, _ = stage().step(DetectorState(), STREET[:15])
    assert len(state.tracks) == 3
    assert codec.loads(DetectorState, codec.dumps(state, "c"), "c") == state
    numbers = [f.name for f in dataclasses.fields(Track) if f.type == "float"]
    assert set(numbers) == {"cx", "cy", "width", "height", "vx", "vy", "largest_px"}


def test_the_same_frames_give_the_same_ids_however_often() -> None:
    again = run(stage(), street())
    assert said(again[1]) == said(WHOLE[1])


def test_pictures_that_were_encoded_losslessly_give_the_same() -> None:
    """As over Kafka without real time."""
    over_kafka = [replace(f, image=Picture(encoded=f.image.encoded("png")) if f.image else None) for f in street()]
    assert said(run(stage(), over_kafka)[1]) == said(WHOLE[1])


def test_a_huge_frame_is_processed_or_rejected_but_never_an_exception() -> None:
    wide = replace(frame(0, 0, [], size=(1, 1)), image_width=40_000, image_height=10)
    results = stage().step(DetectorState(), [replace(wide, image=Picture(bgr=np.zeros((2, 40_000, 3), np.uint8)))])[1]
    assert list(results) == [Reject(0, Reason.BAD_PICTURE)]
    large = replace(wide, image=Picture(bgr=paint(5000, 4000, [Painted(2500, 2000, 1500)])), image_height=4000)
    assert len(faces_of(list(stage().step(DetectorState(), [large])[1]))) == 1
