"""In an annotated video everybody who raised no alert is unclear, in every frame; whoever raised one is clear."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from overt.messages import Box, Kind, Sighting, Sightings
from overt.output.annotate import Annotator, Surroundings
from overt.output.drawing import CAPTION_HEIGHT_PX, Patches, annotated
from overt.output.obscure import MARGIN, PATCH_CELLS, cover, patch_of, softened
from overt.output.presence import Presence
from overt.output.webm import VideoError, WebmFile
from overt.picture import Bgr, Picture
from tests.support.output_scenes import (
    START_US,
    alert_for,
    detail_energy,
    frame_of,
    likeness,
    scene,
    texture,
)

STEP_US = 80_000
LISTED = Box(80, 200, 140, 275)
OTHER = Box(400, 200, 460, 275)
LOOSE = Box(540, 40, 590, 100)
EVERYBODY = {1: LISTED, 2: OTHER, 3: LOOSE}

CLEAR = 0.8
UNCLEAR = 0.15


def crop(bgr: Bgr, box: Box) -> Bgr:
    return bgr[round(box.y1) : round(box.y2), round(box.x1) : round(box.x2)]


def frames_of(path: Path) -> list[Bgr]:
    video = cv2.VideoCapture(str(path))
    frames: list[Bgr] = []
    while True:
        more, frame = video.read()
        if not more:
            return frames
        frames.append(np.asarray(frame, np.uint8))


def watch(
    annotator: Annotator, count: int, *, missed: frozenset[int] = frozenset(), alert_at: int | None = None
) -> None:
    """A still scene of three; the detector misses everybody but the listed one in the `missed` frames."""
    picture = scene(EVERYBODY)
    for number in range(count):
        if number == alert_at:
            annotator.alert(alert_for("listed"))
        faces = [Sighting(LISTED, "listed")]
        if number not in missed:
            faces += [Sighting(OTHER, "other"), Sighting(LOOSE, None)]
        frame = frame_of(picture.copy(), START_US + number * STEP_US, seq=number)
        annotator.observe(Sightings(frame, tuple(faces)))


@pytest.mark.parametrize("surroundings", ["soft", "clear"])
def test_only_who_raised_an_alert_is_clear(tmp_path: Path, surroundings: Surroundings) -> None:
    with Annotator(tmp_path, title="t", delay_s=None, wait=True, surroundings=surroundings) as annotator:
        watch(annotator, 15, alert_at=10)
        (path,) = annotator.close()
    assert path == tmp_path / "north.webm"
    shown = frames_of(path)
    assert len(shown) == 15
    original = scene(EVERYBODY)
    for frame in shown:
        assert frame.shape == (360 + CAPTION_HEIGHT_PX, 640, 3)
        assert likeness(crop(frame, LISTED), crop(original, LISTED)) > CLEAR
        for box in (OTHER, LOOSE):
            assert abs(likeness(crop(frame, box), crop(original, box))) < UNCLEAR
            assert detail_energy(crop(frame, box)) < 0.01 * detail_energy(crop(original, box))


def test_without_an_alert_nobody_is_clear(tmp_path: Path) -> None:
    with Annotator(tmp_path, title="t", delay_s=None, wait=True, surroundings="clear") as annotator:
        watch(annotator, 10)
    original = scene(EVERYBODY)
    for frame in frames_of(tmp_path / "north.webm"):
        for box in EVERYBODY.values():
            assert abs(likeness(crop(frame, box), crop(original, box))) < UNCLEAR


def test_no_frame_is_clear_in_which_the_detector_missed_somebody(tmp_path: Path) -> None:
    """Also before the first sighting, after the last one, and with surroundings that are left as they are."""
    missed = frozenset([0, 1, 2, 3, 7, 11, 12, 13, 17, 18, 19])
    with Annotator(tmp_path, title="t", delay_s=None, wait=True, surroundings="clear") as annotator:
        watch(annotator, 20, missed=missed, alert_at=5)
    shown = frames_of(tmp_path / "north.webm")
    original = scene(EVERYBODY)
    assert len(shown) == 20
    for frame in shown:
        assert likeness(crop(frame, LISTED), crop(original, LISTED)) > CLEAR
        for box in (OTHER, LOOSE):
            assert abs(likeness(crop(frame, box), crop(original, box))) < UNCLEAR


def test_what_was_not_decided_in_time_stays_unclear(tmp_path: Path) -> None:
    """Frames older than the delay are written as what was known then; the alert clears those that come after."""
    with Annotator(tmp_path, title="t", delay_s=1.0, wait=True, surroundings="clear") as annotator:
        watch(annotator, 30)
        wait_for_frames(annotator, written=16)
        annotator.alert(alert_for("listed"))
    shown = frames_of(tmp_path / "north.webm")
    original = scene(EVERYBODY)
    clear = [likeness(crop(frame, LISTED), crop(original, LISTED)) > CLEAR for frame in shown]
    assert clear in ([False] * n + [True] * (30 - n) for n in (17, 18))


def wait_for_frames(annotator: Annotator, *, written: int) -> None:
    """Until the writer has taken what is due: `written` frames or a little more."""
    done = threading.Event()
    for _ in range(1000):
        if len(annotator._tapes["north"].held) <= 30 - written - 1:
            return
        done.wait(0.02)
    raise AssertionError("the writer never took the frames that were due")


def test_too_much_in_memory_is_written_early_and_unclear(tmp_path: Path) -> None:
    with Annotator(tmp_path, title="t", delay_s=None, wait=True, max_held_bytes=1) as annotator:
        watch(annotator, 12)
        wait_for_frames(annotator, written=20)
        annotator.alert(alert_for("listed"))
    original = scene(EVERYBODY)
    shown = frames_of(tmp_path / "north.webm")
    assert 12 <= len(shown) <= 15  # the rate is not known yet when the first frame is written
    assert abs(likeness(crop(shown[0], LISTED), crop(original, LISTED))) < UNCLEAR


def test_two_cameras_do_not_share_alerts(tmp_path: Path) -> None:
    with Annotator(tmp_path, title="t", delay_s=None, wait=True) as annotator:
        for number in range(5):
            for camera in ("north", "south"):
                frame = frame_of(scene({1: LISTED}), START_US + number * STEP_US, seq=number, camera=camera)
                annotator.observe(Sightings(frame, (Sighting(LISTED, "same-name"),)))
        annotator.alert(alert_for("same-name", camera="south"))
        paths = annotator.close()
    assert [path.name for path in paths] == ["north.webm", "south.webm"]
    original = crop(scene({1: LISTED}), LISTED)
    assert abs(likeness(crop(frames_of(paths[0])[2], LISTED), original)) < UNCLEAR
    assert likeness(crop(frames_of(paths[1])[2], LISTED), original) > CLEAR


def test_boxes_are_in_the_cameras_pixels_also_when_only_the_zone_travels(tmp_path: Path) -> None:
    left, top = 600, 300
    moved = Box(LISTED.x1 + left, LISTED.y1 + top, LISTED.x2 + left, LISTED.y2 + top)
    with Annotator(tmp_path, title="t", delay_s=None, wait=True) as annotator:
        for number in range(4):
            frame = frame_of(scene(EVERYBODY), START_US + number * STEP_US, seq=number, left=left, top=top)
            annotator.observe(Sightings(frame, (Sighting(moved, "listed"),)))
        annotator.alert(alert_for("listed"))
    original = scene(EVERYBODY)
    shown = frames_of(tmp_path / "north.webm")[1]
    assert likeness(crop(shown, LISTED), crop(original, LISTED)) > CLEAR
    assert abs(likeness(crop(shown, OTHER), crop(original, OTHER))) < UNCLEAR  # nobody saw this one: soft all the same


def test_a_large_picture_is_reduced_and_its_boxes_with_it(tmp_path: Path) -> None:
    listed = Box(400, 300, 640, 600)
    with Annotator(tmp_path, title="t", delay_s=None, wait=True) as annotator:
        for number in range(4):
            picture = scene({}, height=1080, width=1920)
            picture[300:600, 400:640] = np.kron(texture(75, 60, 1), np.ones((4, 4, 1), np.uint8))
            frame = frame_of(picture, START_US + number * STEP_US, seq=number)
            annotator.observe(Sightings(frame, (Sighting(listed, "listed"),)))
        annotator.alert(alert_for("listed"))
    shown = frames_of(tmp_path / "north.webm")[1]
    assert shown.shape == (540 + CAPTION_HEIGHT_PX, 960, 3)
    half = Box(200, 150, 320, 300)
    small = np.asarray(cv2.resize(picture, (960, 540), interpolation=cv2.INTER_AREA), np.uint8)
    assert likeness(crop(shown, half), crop(small, half)) > CLEAR


def test_a_camera_that_comes_back_with_another_size_keeps_its_file(tmp_path: Path) -> None:
    with Annotator(tmp_path, title="t", delay_s=None, wait=True) as annotator:
        for number, (height, width) in enumerate([(360, 640)] * 3 + [(480, 800)] * 3):
            frame = frame_of(scene({}, height=height, width=width), START_US + number * STEP_US, seq=number)
            annotator.observe(Sightings(frame))
    assert len(frames_of(tmp_path / "north.webm")) == 6


def test_nothing_but_the_videos_is_written_and_that_where_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames wait in memory: while everything is still held, no file holds a picture."""
    elsewhere = tmp_path / "tmp"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("TMPDIR", str(elsewhere))
    out = tmp_path / "out"
    with Annotator(out, title="t", delay_s=None, wait=True) as annotator:
        watch(annotator, 10)
        assert list(out.iterdir()) == []
        assert list(elsewhere.iterdir()) == []
    assert [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()] == ["out/north.webm"]


def test_the_end_of_a_source_and_a_run_without_frames_leave_no_file(tmp_path: Path) -> None:
    with Annotator(tmp_path / "out", title="t") as annotator:
        assert annotator.close() == []
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("camera", ["../escape", "a/b", "..", ""])
def test_a_cameras_name_cannot_lead_out_of_the_folder(tmp_path: Path, camera: str) -> None:
    with Annotator(tmp_path / "out", title="t") as annotator, pytest.raises(ValueError, match="plain file name"):
        annotator.observe(Sightings(frame_of(scene({}), START_US, camera=camera)))


def test_a_writer_that_fails_says_so_to_whoever_comes_next(tmp_path: Path) -> None:
    (tmp_path / "north.webm").mkdir()  # the video cannot be made here
    annotator = Annotator(tmp_path, title="t", delay_s=None, wait=True)
    annotator.begin()
    watch(annotator, 3)
    with pytest.raises(VideoError, match=r"north\.webm"):
        annotator.close()


def test_a_slow_writer_makes_a_live_source_leave_pictures_out_and_count_them(tmp_path: Path) -> None:
    annotator = Annotator(tmp_path, title="t", delay_s=None, max_held_bytes=1)
    watch(annotator, 5)  # the writer has not begun, so that it is behind for certain
    assert annotator.skipped == 4
    annotator.begin()
    annotator.close()
    assert len(frames_of(tmp_path / "north.webm")) == 1


def test_frames_that_come_too_fast_for_the_video_are_thinned_evenly(tmp_path: Path) -> None:
    with Annotator(tmp_path, title="t", delay_s=None, wait=True) as annotator:
        for number in range(60):
            annotator.observe(Sightings(frame_of(scene({}), START_US + number * 20_000, seq=number)))
    video = cv2.VideoCapture(str(tmp_path / "north.webm"))
    assert 10 <= video.get(cv2.CAP_PROP_FPS) <= 15
    assert 15 <= len(frames_of(tmp_path / "north.webm")) <= 20  # 1.2 s


def test_the_frames_own_picture_is_left_as_it_was(tmp_path: Path) -> None:
    picture = Picture(bgr=scene(EVERYBODY))
    before = picture.bgr().copy()
    frame = frame_of(scene(EVERYBODY), START_US)
    with Annotator(tmp_path, title="t") as annotator:
        annotator.observe(Sightings(frame, (Sighting(OTHER, "other"),)))
    assert frame.image is not None
    assert np.array_equal(frame.image.bgr(), before)


def test_a_patch_holds_sixteen_colours_in_sixteen_steps_and_no_more() -> None:
    patch = patch_of(scene(EVERYBODY), OTHER)
    assert patch is not None
    assert patch.shape == (PATCH_CELLS, PATCH_CELLS, 3)
    assert set(np.unique(patch % 16)) == {8}


def test_a_tracks_patch_is_taken_once_so_that_frames_do_not_add_up() -> None:
    patches = Patches()
    first = patches.of(scene({2: OTHER}), Presence("t", OTHER, seen=True))
    later = patches.of(scene({7: OTHER}), Presence("t", OTHER, seen=True))
    assert first is not None
    assert later is first


def test_what_is_covered_depends_on_the_patch_alone() -> None:
    """Two different faces under one patch give the same picture: nothing of either is left."""
    one, two = scene({2: OTHER}), scene({5: OTHER})
    patch = patch_of(one, OTHER)
    assert patch is not None
    for picture in (one, two):
        cover(picture, OTHER, patch)
    assert np.array_equal(one, two)


def test_the_cover_reaches_beyond_the_box_on_every_side() -> None:
    picture = texture(360, 640, 1)
    before = picture.copy()
    patch = patch_of(picture, OTHER)
    assert patch is not None
    cover(picture, OTHER, patch)
    changed = np.argwhere((picture != before).any(axis=2))
    (y1, x1), (y2, x2) = changed.min(axis=0), changed.max(axis=0)
    assert x1 <= OTHER.x1 - MARGIN * OTHER.width + 1
    assert y1 <= OTHER.y1 - MARGIN * OTHER.height + 1
    assert x2 >= OTHER.x2 + MARGIN * OTHER.width - 2
    assert y2 >= OTHER.y2 + MARGIN * OTHER.height - 2


@pytest.mark.parametrize("box", [Box(-50, -50, 10, 10), Box(630, 350, 700, 400), Box(900, 900, 950, 950)])
def test_faces_at_and_beyond_the_edge_are_no_trouble(box: Box) -> None:
    faces = [Presence("a", box, seen=True), Presence("b", box, seen=True)]
    picture = annotated(texture(360, 640, 1), faces, {"a": alert_for("a")}, Patches(), soften=True)
    assert picture.shape == (360, 640, 3)


def test_somebody_elses_face_stays_covered_inside_an_alerted_ones_frame() -> None:
    close = Box(LISTED.x1 + 35, LISTED.y1, LISTED.x2 + 35, LISTED.y2)
    original = texture(360, 640, 4)
    faces = [Presence("listed", LISTED, seen=True), Presence("other", close, seen=True)]
    shown = annotated(original, faces, {"listed": alert_for("listed")}, Patches(), soften=False)
    assert abs(likeness(crop(shown, close), crop(original, close))) < UNCLEAR
    free = Box(LISTED.x1 + 3, LISTED.y1 + 3, LISTED.x1 + 26, LISTED.y2 - 3)
    assert likeness(crop(shown, free), crop(original, free)) > CLEAR


def test_an_alerted_face_that_was_not_seen_in_this_frame_is_covered() -> None:
    original = texture(360, 640, 4)
    faces = [Presence("listed", LISTED, seen=False)]
    shown = annotated(original, faces, {"listed": alert_for("listed")}, Patches(), soften=False)
    assert abs(likeness(crop(shown, LISTED), crop(original, LISTED))) < UNCLEAR


def test_labels_of_neighbours_do_not_hide_each_other_or_a_face() -> None:
    boxes = {"a": Box(200, 150, 250, 210), "b": Box(290, 150, 340, 210)}
    faces = [Presence(track, box, seen=True) for track, box in boxes.items()]
    original = texture(360, 640, 4)
    alerts = {"a": alert_for("a"), "b": alert_for("b", kind=Kind.MISSING, subject="s-2")}
    shown = annotated(original, faces, alerts, Patches(), soften=False)
    for box in boxes.values():
        assert likeness(crop(shown, box), crop(original, box)) > CLEAR


def test_softened_surroundings_hold_no_detail_of_faces_that_nothing_found() -> None:
    original = scene(EVERYBODY)
    soft = softened(original)
    for box in EVERYBODY.values():
        assert detail_energy(crop(soft, box)) < 0.01 * detail_energy(crop(original, box))


def test_a_gap_in_the_frames_keeps_time_up_to_two_seconds(tmp_path: Path) -> None:
    video = WebmFile(tmp_path / "v.webm", 10.0, 320, 240)
    for at_s in (0.0, 0.1, 1.1, 61.1):
        video.write(scene({}, height=240, width=320), START_US + round(at_s * 1e6))
    video.close()
    assert len(frames_of(tmp_path / "v.webm")) == 2 + 10 + 21


def test_opening_a_video_prints_nothing_and_swallows_nothing_else(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    os.write(2, b"before\n")
    WebmFile(tmp_path / "v.webm", 10.0, 320, 240).close()
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "before\nafter\n"
