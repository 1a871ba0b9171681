"""Causes order as things happened, every record travels on one topic, and a message cannot be changed."""

from __future__ import annotations

import dataclasses
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overt.messages import TOPIC_OF, Box, Face, Frame, Message, Sighting, Sightings
from tests.support import messages as make

CAUSES = st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))


def frame_of(cause: tuple[int, int, int]) -> Frame:
    return make.frame(source_epoch=cause[0], frame_seq=cause[1])


def face_of(cause: tuple[int, int, int]) -> Face:
    return make.face(source_epoch=cause[0], frame_seq=cause[1], face_index=cause[2])


@given(CAUSES, CAUSES)
def test_a_newer_lease_wins_then_a_later_frame_then_a_later_face(
    one: tuple[int, int, int], two: tuple[int, int, int]
) -> None:
    assert (face_of(one).cause < face_of(two).cause) == (one < two)
    assert (frame_of(one).cause < frame_of(two).cause) == (one[:2] < two[:2])


@given(CAUSES, CAUSES)
def test_a_frame_comes_before_its_own_faces_and_after_those_of_earlier_frames(
    one: tuple[int, int, int], two: tuple[int, int, int]
) -> None:
    assert (frame_of(one).cause < face_of(two).cause) == (one[:2] <= two[:2])


def test_what_comes_of_a_face_keeps_its_cause() -> None:
    assert make.face().cause == make.embedding().cause == make.match().cause == make.alert().cause == (3, 7, 0)


def test_keys_keep_a_cameras_records_together_and_a_deployments_alerts() -> None:
    seen, said = ["c1", "c1", "c1", "c1", "d1", "c1"], ["A/1", "a1", "d1", "alert/a1", "d1/c1/minute/0", "d1"]
    assert [m.key for m in make.one_of_each()] == seen + said
    assert Sightings(make.frame()).key == "c1"


def test_every_record_has_one_topic_of_its_own() -> None:
    assert set(TOPIC_OF) == set(typing.get_args(Message))
    assert len(set(TOPIC_OF.values())) == len(TOPIC_OF)


@pytest.mark.parametrize("made", make.one_of_each(), ids=lambda m: type(m).__name__)
def test_a_message_is_frozen_and_takes_no_other_field(made: Message) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(made, dataclasses.fields(made)[0].name, "other")
    assert not hasattr(made, "__dict__")


@pytest.mark.parametrize("made", make.one_of_each(), ids=lambda m: type(m).__name__)
def test_no_message_shows_pixels_vectors_or_landmarks_where_it_is_printed(made: Message) -> None:
    """Whatever is formatted into a log line or an exception's text is formatted with this."""
    shown = repr(made)
    assert shown.count("Picture(") == shown.count("Picture(...)")
    assert not [hidden for hidden in ("array", "vector=", "landmarks=", "\\x") if hidden in shown]


def test_a_box_has_the_size_between_its_edges() -> None:
    box = Box(1, 2, 4, 8.5)
    assert (box.width, box.height) == (3, 6.5)
    assert Sighting(box, None).track_id is None
