"""The composed walk-past: repeatable, true to its ground truth, and what a detector can find people in."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from overt.demo.cast import DEMO, DemoCast, Listed, Pass
from overt.demo.film import Camera, Shot, frame_count, frames, shots
from overt.demo.portraits import PORTRAITS
from overt.demo.rephotograph import LABEL, rephotograph
from overt.demo.scene import compose, composed, key, read, truth_path
from overt.demo.walk import ZONE, Person, Photo, Walk, Walker, pose, schedule

SMALL = Camera(size=(320, 180), fps=10)
FACE = (60.0, 50.0, 120.0, 130.0)
WALK = Walk(far_px=12, near_px=40, seconds=2.0, leave_seconds=0.6)
Bgr = NDArray[np.uint8]


def paint(path: Path, skin: tuple[int, int, int] = (40, 220, 40)) -> Photo:
    """A picture of somebody with a face of one colour, before a blue wall."""
    bgr = np.full((300, 180, 3), (160, 90, 60), np.uint8)
    cv2.rectangle(bgr, (15, 175), (165, 300), (30, 30, 120), -1)
    cv2.rectangle(bgr, (75, 120), (105, 180), skin, -1)
    cv2.ellipse(bgr, (90, 88), (32, 44), 0, 0, 360, skin, -1)
    cv2.imwrite(str(path), bgr)
    return Photo(path, FACE)


@pytest.fixture
def photo(tmp_path: Path) -> Photo:
    return paint(tmp_path / "green.png")


def walker(photo: Photo, start_s: float = 0.0, walk: Walk = WALK, label: str = "somebody") -> Walker:
    return Walker(label, True, photo, start_s, walk)


def green(bgr: Bgr) -> NDArray[np.bool_]:
    b, g, r = (bgr[..., channel].astype(int) for channel in range(3))
    return (g > b + 50) & (g > r + 50)


def test_the_same_arguments_give_the_same_frames_and_another_seed_gives_others(photo: Photo) -> None:
    cast = [walker(replace(photo, rephotographed=True))]
    once, again = (list(frames(cast, seed=5, camera=SMALL)) for _ in range(2))
    assert len(once) == frame_count(cast, SMALL.fps) == math.ceil((2.6 + 0.5) * 10)
    assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))
    other = next(frames(cast, seed=6, camera=SMALL))
    assert not np.array_equal(once[0], other)


def test_frames_come_one_at_a_time_from_a_scene_of_any_length(photo: Photo) -> None:
    stream = frames([walker(photo)], seed=1, camera=SMALL, seconds=10_000_000)
    assert isinstance(stream, Iterator)
    first, second = itertools.islice(stream, 2)
    assert first.shape == (180, 320, 3)
    assert first.dtype == np.uint8
    assert not np.shares_memory(first, second)


def test_the_truth_says_where_the_face_is(photo: Photo) -> None:
    """Where the walker is whole and not in haze, the box holds the face and nearly all of what has its colour."""
    clear = [s for s in shots([walker(photo)], seed=1, camera=SMALL) if s.faces and s.faces[0].clear > 0.99]
    assert len(clear) > 10
    for shot in clear:
        x1, y1, x2, y2 = (round(v) for v in shot.faces[0].xyxy)
        face = green(shot.bgr)
        assert face[y1:y2, x1:x2].mean() > 0.6
        neck = round(0.7 * (y2 - y1))
        around = face.copy()
        around[max(y1 - 5, 0) : y2 + neck, max(x1 - 5, 0) : x2 + 5] = False
        assert around.sum() < 0.03 * face.sum()


def test_a_walker_comes_nearer_at_an_even_pace_and_leaves_the_picture(photo: Photo) -> None:
    still = replace(WALK, sway=0.0, roll_degrees=0.0)
    poses = [pose(walker(photo, walk=still), n / 10, size=(320, 180), horizon=0.2, drop=1.6) for n in range(26)]
    sizes = [p.face_px for p in poses if p]
    assert sizes[0] == pytest.approx(12)
    assert sizes[20] == pytest.approx(40)
    assert sizes == sorted(sizes)
    distances = np.diff(1 / np.array(sizes[:21]))
    assert distances == pytest.approx(np.full(20, distances[0]))
    last = poses[-1]
    assert last is not None
    assert not 0 < last.x < 320
    assert pose(walker(photo), 2.6, size=(320, 180), horizon=0.2, drop=1.6) is None
    assert pose(walker(photo), -0.01, size=(320, 180), horizon=0.2, drop=1.6) is None


def test_who_is_hidden_by_somebody_nearer_is_not_clear(tmp_path: Path) -> None:
    far = replace(WALK, far_px=31, near_px=34, seconds=3.0)
    near = replace(WALK, far_px=38, near_px=40, seconds=3.0, from_x=0.2, to_x=0.8)
    behind, before = paint(tmp_path / "green.png"), paint(tmp_path / "red.png", (40, 40, 220))
    shown = list(shots([walker(behind, walk=far), walker(before, walk=near)], seed=1, camera=SMALL))
    clear = {(n, face.walker): face.clear for n, shot in enumerate(shown) for face in shot.faces}
    assert [face.walker for face in shown[10].faces] == [0, 1], "the farther first"
    assert min(clear[n, 0] for n in range(8, 25)) < 0.3
    assert max(clear[n, 0] for n in range(8, 25)) > 0.9
    assert min(clear[n, 1] for n in range(8, 25)) > 0.99
    hidden = min(range(8, 25), key=lambda n: clear[n, 0])
    x1, y1, x2, y2 = (round(v) for v in next(f for f in shown[hidden].faces if f.walker == 0).xyxy)
    assert green(shown[hidden].bgr)[y1:y2, x1:x2].mean() < 0.3


def sharpness(bgr: Bgr) -> float:
    return float(cv2.Laplacian(bgr, cv2.CV_32F).var())


def nth(photo: Photo, n: int, camera: Camera) -> Shot:
    return next(itertools.islice(shots([walker(photo)], seed=1, camera=camera), n, None))


def test_noise_blur_shutter_and_light_do_what_they_say(photo: Photo) -> None:
    clean = replace(SMALL, noise=0.0, blur_px=0.0, shutter=0.0, light=0.0)
    assert sharpness(nth(photo, 12, replace(clean, noise=8.0)).bgr) > 2 * sharpness(nth(photo, 12, clean).bgr)

    def face(camera: Camera, n: int) -> Bgr:
        shot = nth(photo, n, camera)
        x1, y1, x2, y2 = (round(v) for v in shot.faces[0].xyxy)
        return shot.bgr[y1 - 8 : y2, x1 - 8 : x2 + 8]

    assert sharpness(face(replace(clean, blur_px=2.0), 12)) < 0.5 * sharpness(face(clean, 12))
    assert sharpness(face(replace(clean, shutter=0.9), 23)) < 0.5 * sharpness(face(clean, 23)), "leaving, fast"
    steady, varied = (
        [face(camera, n).mean() / nth(photo, n, camera).bgr[:20].mean() for n in (6, 10, 14, 18)]
        for camera in (clean, replace(clean, light=0.4))
    )
    assert np.std(varied) > 2 * np.std(steady)


def test_a_composed_video_reads_back_with_its_truth(photo: Photo, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    beside = replace(WALK, from_x=0.75, to_x=0.8)
    cast = [walker(replace(photo, rephotographed=True)), walker(photo, 1.0, beside, "another")]
    scene = compose(cast, tmp_path / "out" / "s.avi", seed=1, camera=SMALL, progress=lambda *at: seen.append(at))
    assert read(scene.video) == scene
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["s.avi", "s.truth.json"]
    assert seen == [(n + 1, scene.frames) for n in range(scene.frames)]
    video, written = cv2.VideoCapture(str(scene.video)), 0
    for shot in shots(cast, seed=1, camera=SMALL):
        ok, bgr = video.read()
        assert ok
        assert cv2.PSNR(bgr, shot.bgr) > 25
        written += 1
    assert written == scene.frames
    assert not video.read()[0]
    assert [truth.note for truth in scene.walkers] == [LABEL, ""]
    for truth in scene.walkers:
        assert truth.first_frame == min(truth.boxes)
        assert truth.last_frame == max(truth.boxes)
        assert all(0 <= x1 < x2 <= 320 and 0 <= y1 < y2 <= 180 for x1, y1, x2, y2 in truth.boxes.values())
    assert scene.walkers[1].first_frame - scene.walkers[0].first_frame == 10


def test_nothing_is_left_of_a_scene_that_could_not_be_composed(photo: Photo, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    for bad, says in (
        (Photo(tmp_path / "text.png", FACE), "text.png"),
        (replace(photo, face_xyxy=None), "locate"),
        (replace(photo, face_xyxy=(900.0, 0.0, 990.0, 90.0)), "180x300"),
    ):
        with pytest.raises(ValueError, match=says):
            compose([walker(bad)], tmp_path / "out" / "s.avi", seed=1, camera=SMALL)
        assert list((tmp_path / "out").iterdir()) == []
    with pytest.raises(ValueError, match=r"\.avi"):
        compose([walker(photo)], tmp_path / "s.mp4", seed=1, camera=SMALL)


def test_a_face_without_a_box_is_located(photo: Photo) -> None:
    bare = walker(replace(photo, face_xyxy=None))
    located = list(frames([bare], seed=1, camera=SMALL, locate=lambda bgr: FACE))
    given_box = list(frames([walker(photo)], seed=1, camera=SMALL))
    assert all(np.array_equal(a, b) for a, b in zip(located, given_box, strict=True))


def test_a_scene_is_composed_once_for_the_same_photographs_wherever_they_lie(photo: Photo, tmp_path: Path) -> None:
    scene = composed([walker(photo)], tmp_path / "cache", seed=1, camera=SMALL)
    written = scene.video.stat().st_mtime_ns
    (tmp_path / "moved").mkdir()
    moved = Photo(photo.path.rename(tmp_path / "moved" / photo.path.name), FACE)
    assert composed([walker(moved)], tmp_path / "cache", seed=1, camera=SMALL) == scene
    assert scene.video.stat().st_mtime_ns == written
    named = key([walker(moved)], seed=1, camera=SMALL)
    assert key([walker(moved)], seed=2, camera=SMALL) != named
    assert key([walker(moved, 0.1)], seed=1, camera=SMALL) != named
    paint(moved.path, (40, 40, 220))
    assert key([walker(moved)], seed=1, camera=SMALL) != named


def test_a_broken_truth_says_which_file(tmp_path: Path) -> None:
    truth_path(tmp_path / "s.avi").write_text('{"walkers": []}')
    with pytest.raises(ValueError, match=r"s\.truth\.json"):
        read(tmp_path / "s.avi")


def test_a_rephotograph_is_another_picture_with_the_face_in_its_box(photo: Photo) -> None:
    bgr = np.asarray(cv2.imread(str(photo.path)), np.uint8)
    changed, box = rephotograph(bgr, FACE, np.random.default_rng(1))
    assert changed.shape == bgr.shape
    assert cv2.PSNR(changed, bgr) < 30
    x1, y1, x2, y2 = (round(v) for v in box)
    assert green(changed)[y1:y2, x1:x2].mean() > 0.6


# --- timetables ---


@st.composite
def timetables(draw: st.DrawFn) -> tuple[int, int, tuple[tuple[Walker, ...], ...]]:
    count, concurrent = draw(st.integers(1, 12)), draw(st.integers(1, 4))
    people = [
        Person(f"p{i}", i % 2 == 0, tuple(Photo(Path(f"{i}-{k}.jpg"), FACE) for k in range(1 + i % 3)))
        for i in range(count)
    ]
    rows = schedule(
        people,
        passes=draw(st.integers(1, 60)),
        seed=draw(st.integers(0, 2**31)),
        cameras=draw(st.integers(1, 4)),
        concurrent=concurrent,
        face_px=(30.0, 90.0),
    )
    return count, concurrent, rows


@settings(max_examples=60, deadline=None)
@given(timetables())
def test_a_timetable_keeps_to_its_lanes_and_sizes(made: tuple[int, int, tuple[tuple[Walker, ...], ...]]) -> None:
    _, concurrent, rows = made
    for row in rows:
        assert [w.start_s for w in row] == sorted(w.start_s for w in row)
        for now in row:
            assert sum(w.start_s <= now.start_s < w.end_s for w in row) <= concurrent
            assert 30 <= now.walk.far_px < now.walk.near_px <= 90


@settings(max_examples=60, deadline=None)
@given(timetables())
def test_nobody_is_at_two_places_at_once_while_others_are_free(
    made: tuple[int, int, tuple[tuple[Walker, ...], ...]],
) -> None:
    count, concurrent, rows = made
    if count <= 2 * concurrent * len(rows):  # everybody may be under way: each lane holds one, and its next is planned
        return
    passes = sorted((w for row in rows for w in row), key=lambda w: (w.label, w.start_s))
    for a, b in itertools.pairwise(passes):
        assert a.label != b.label or a.end_s <= b.start_s


def test_everybody_comes_about_equally_often_in_all_their_photographs() -> None:
    people = [Person(f"p{i}", True, (Photo(Path(f"{i}a")), Photo(Path(f"{i}b")))) for i in range(8)]
    rows = schedule(people, passes=80, seed=3, cameras=2)
    passes = [w for row in rows for w in row]
    assert len(passes) == 80
    came = {p.label: [w.photo for w in passes if w.label == p.label] for p in people}
    assert all(8 <= len(photos) <= 12 and len(set(photos)) == 2 for photos in came.values())
    assert rows == schedule(people, passes=80, seed=3, cameras=2)
    assert rows != schedule(people, passes=80, seed=4, cameras=2)
    with pytest.raises(ValueError, match="at least one person"):
        schedule([], passes=1, seed=1)


def inside(x: float, y: float) -> bool:
    return cv2.pointPolygonTest(np.array(ZONE, np.float32), (x, y), False) >= 0


def test_the_way_of_every_walker_leads_through_the_zone_and_out_of_it() -> None:
    """Between coming out of the haze and turning aside the middle of the face is in the zone; at the end it is not."""
    people = [Person("p", True, (Photo(Path("p"), FACE),))]
    passes = [w for row in schedule(people, passes=60, seed=1, concurrent=3) for w in row]
    for w in [*passes, *DEMO.walkers({p.name: Path(p.file_name) for p in PORTRAITS})]:

        def at(share: float, w: Walker = w) -> tuple[float, float]:
            spot = pose(w, w.start_s + share, size=(1280, 720), horizon=0.2, drop=0.37 * 720 / 115)
            assert spot is not None
            return spot.x / 1280, spot.y / 720

        assert all(inside(*at(w.walk.seconds * share)) for share in np.linspace(0, 0.999, 12))
        assert not inside(*at(w.walk.seconds + w.walk.leave_seconds * 0.999))
    assert 0.4 < cv2.contourArea(np.array(ZONE, np.float32)) < 0.8, "some of the picture lies outside"


# --- the demo's parts ---


def test_who_is_listed_follows_from_the_cast() -> None:
    paths = {p.name: Path(p.file_name) for p in PORTRAITS}
    assert {w.label: w.listed for w in DEMO.walkers(paths)} == {
        "barack-obama": True,
        "joe-biden": False,
        "grace-hopper": True,
        "eileen-collins": False,
    }
    swapped = DemoCast(
        watchlist=(Listed("eileen-collins", ("collins",)),),
        passes=(Pass("eileen-collins", "collins", rephotographed=True), Pass("barack-obama", "obama3")),
    )
    assert [(w.label, w.listed, w.photo.path.name, w.photo.rephotographed) for w in swapped.walkers(paths)] == [
        ("eileen-collins", True, "collins.png", True),
        ("barack-obama", False, "obama3.jpg", False),
    ]


def test_nobody_listed_walks_past_in_the_very_photograph_of_the_enrolment() -> None:
    with pytest.raises(ValueError, match=r"obama walks past in obama, .*re-photographed"):
        DemoCast(watchlist=(Listed("obama", ("obama",)),), passes=(Pass("obama", "obama"),))


# --- real photographs and a real detector ---


def overlap(a: NDArray[np.float32], b: tuple[float, float, float, float]) -> float:
    w = min(a[0] + a[2], b[2]) - max(a[0], b[0])
    h = min(a[1] + a[3], b[3]) - max(a[1], b[1])
    joint = max(w, 0) * max(h, 0)
    return float(joint / (a[2] * a[3] + (b[2] - b[0]) * (b[3] - b[1]) - joint))


def test_a_detector_finds_the_walkers_where_the_truth_says(test_data: Path) -> None:
    """Of strangers' photographs, with a detector that has nothing to do with how the scene is made: 9 of 10 faces."""
    model, folders = test_data / "models" / "yunet_s_dynamic.onnx", sorted((test_data / "lfw").glob("A*_*"))[:6]
    if not model.is_file() or len(folders) < 6:
        pytest.skip(f"{model} or photographs in {test_data / 'lfw'} are missing")
    people = [Person(f.name, True, (Photo(min(f.glob("*.jpg"))),)) for f in folders]
    (row,) = schedule(people, passes=6, seed=2, face_px=(28, 80), seconds=(3, 4), crossing=0.0)
    camera = Camera(size=(640, 360), fps=5)
    still, moving = (cv2.FaceDetectorYN.create(str(model), "", size, 0.6) for size in ((250, 250), camera.size))

    def locate(bgr: Bgr) -> tuple[float, float, float, float]:
        found = still.detect(bgr)[1]
        x, y, w, h = min(found, key=lambda f: abs(f[0] + f[2] / 2 - 125) + abs(f[1] + f[3] / 2 - 125))[:4].tolist()
        return x, y, x + w, y + h

    due = seen = 0
    for shot in shots(row, seed=2, camera=camera, locate=locate):
        detected = moving.detect(shot.bgr)[1]
        for face in shot.faces:
            if face.clear > 0.9:
                due += 1
                seen += any(overlap(d, face.xyxy) > 0.4 for d in (detected if detected is not None else ()))
    assert due > 60
    assert seen >= 0.9 * due, f"{seen} of {due}"
