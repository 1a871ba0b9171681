"""Where faces are presumed to be in frames in which the detector missed them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from overt.messages import Box, Sighting, Sightings
from overt.output.presence import CARRY_US, LONGEST_GAP_US, UNTRACKED_CARRY_US, Presence, Presences
from tests.support.output_scenes import frame_without_picture

S = 1_000_000


def sightings(at_us: int, *faces: tuple[str | None, Box]) -> Sightings:
    return Sightings(frame_without_picture(at_us), tuple(Sighting(box, track) for track, box in faces))


def contains(outer: Box, inner: Box) -> bool:
    return outer.x1 <= inner.x1 and outer.y1 <= inner.y1 and outer.x2 >= inner.x2 and outer.y2 >= inner.y2


def box_at(x: float) -> Box:
    return Box(x, 100, x + 40, 150)


def test_a_seen_face_is_where_it_was_seen() -> None:
    presences = Presences()
    presences.add(sightings(0, ("t", box_at(100))))
    assert presences.at(0) == [Presence("t", box_at(100), seen=True)]


def test_a_missed_beat_is_bridged_along_the_way_between_two_sightings() -> None:
    presences = Presences()
    presences.add(sightings(0, ("t", box_at(100))))
    presences.add(sightings(S, ("t", box_at(200))))
    (found,) = presences.at(S // 2)
    assert not found.seen
    assert contains(found.box, box_at(150))


@given(st.integers(1, LONGEST_GAP_US - 1), st.integers(1, 99), st.floats(-200, 200))
def test_whoever_walks_evenly_is_covered_at_every_moment_of_a_gap(gap_us: int, share: int, way: float) -> None:
    presences = Presences()
    presences.add(sightings(0, ("t", box_at(300))))
    presences.add(sightings(gap_us, ("t", box_at(300 + way))))
    at_us = gap_us * share // 100
    (found,) = presences.at(at_us)
    there = box_at(300 + way * at_us / gap_us)
    assert found.seen == (at_us == 0)
    assert contains(Box(found.box.x1 - 1e-6, found.box.y1 - 1e-6, found.box.x2 + 1e-6, found.box.y2 + 1e-6), there)


def test_a_track_is_carried_before_its_first_and_after_its_last_sighting() -> None:
    presences = Presences()
    presences.add(sightings(10 * S, ("t", box_at(100))))
    for at_us in (10 * S - CARRY_US, 10 * S + CARRY_US):
        (found,) = presences.at(at_us)
        assert not found.seen
        assert contains(found.box, box_at(100))
        assert found.box.width > 40
    assert presences.at(10 * S - CARRY_US - 1) == []
    assert presences.at(10 * S + CARRY_US + 1) == []


def test_a_gap_that_is_too_long_to_bridge_is_carried_from_both_ends() -> None:
    presences = Presences()
    presences.add(sightings(0, ("t", box_at(100))))
    presences.add(sightings(LONGEST_GAP_US + 1, ("t", box_at(500))))
    (early,) = presences.at(S // 2)
    (late,) = presences.at(LONGEST_GAP_US - S // 2)
    assert contains(early.box, box_at(100))
    assert contains(late.box, box_at(500))
    assert presences.at(LONGEST_GAP_US // 2) == []


def test_a_detection_without_a_track_is_carried_too() -> None:
    presences = Presences()
    presences.add(sightings(10 * S, (None, box_at(100))))
    for at_us in (10 * S - UNTRACKED_CARRY_US, 10 * S + UNTRACKED_CARRY_US):
        (found,) = presences.at(at_us)
        assert (found.track_id, found.seen) == (None, False)
    assert presences.at(10 * S)[0].seen
    assert presences.at(10 * S + UNTRACKED_CARRY_US + 1) == []


def test_a_face_carried_to_where_another_is_seen_is_that_other() -> None:
    presences = Presences()
    presences.add(sightings(0, ("old", box_at(100))))
    presences.add(sightings(S // 10, ("new", box_at(102))))
    assert presences.at(S // 10) == [Presence("new", box_at(102), seen=True)]


def test_a_face_carried_beside_another_stays() -> None:
    presences = Presences()
    presences.add(sightings(0, ("old", box_at(100))))
    presences.add(sightings(S // 10, ("new", box_at(130))))
    assert {face.track_id for face in presences.at(S // 10)} == {"old", "new"}


def test_what_no_later_frame_needs_is_forgotten_and_nothing_else() -> None:
    presences = Presences()
    presences.add(sightings(0, ("gone", box_at(100)), (None, box_at(300))))
    presences.add(sightings(9 * S, ("here", box_at(200))))
    before = presences.at(9 * S)
    presences.forget_before(9 * S)
    assert list(presences.tracks()) == ["here"]
    assert presences.at(9 * S) == before
