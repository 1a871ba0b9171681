"""Readers: every image once, in order, with its time, the same on each reading; bad input is said, never hung on."""

from __future__ import annotations

import itertools
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from overt.frame.folder import natural_order
from overt.frame.reader import BadImage, EndOfSource, Fault, Read, Reader
from overt.frame.readers import open_reader
from overt.frame.source import CameraError, parse_source
from overt.picture import encode


def _open(path: Path | str, **options: float) -> Reader:
    return open_reader(parse_source(str(path)), clock=lambda: time.monotonic_ns() // 1000, **options)


def _drain(path: Path | str, **options: float) -> tuple[list[Read | BadImage], EndOfSource]:
    reader = _open(path, **options)
    images: list[Read | BadImage] = []
    try:
        while not isinstance(got := reader.read(), EndOfSource):
            images.append(got)
    finally:
        reader.close()
    return images, got


def _times(path: Path) -> list[int]:
    return [image.media_time_us for image in _drain(path)[0] if isinstance(image, Read)]


def _grey(level: int, width: int = 64, height: int = 48) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def _write_avi(path: Path, frames: int, fps: float = 25.0) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), fps, (64, 48))
    assert writer.isOpened()
    for number in range(frames):
        writer.write(_grey(number * 8 % 256))
    writer.release()
    return path


@pytest.fixture
def avi(tmp_path: Path) -> Path:
    """20 images at 25 a second, each of another grey."""
    return _write_avi(tmp_path / "grey.avi", 20)


# Good input


def test_a_video_gives_every_image_with_its_time(avi: Path) -> None:
    """25 a second: image n is at n x 40 ms, and its grey tells which it is."""
    images, end = _drain(avi)
    assert [image.number for image in images] == list(range(20))
    assert _times(avi) == [n * 40_000 for n in range(20)]
    assert (end.images, end.duration_us, end.damage) == (20, 800_000, None)
    for number, image in enumerate(images):
        assert isinstance(image, Read)
        assert image.bgr.shape == (48, 64, 3)
        assert image.bgr.dtype == np.uint8
        assert abs(float(image.bgr.mean()) - number * 8) < 2


def test_images_do_not_share_memory(avi: Path) -> None:
    """An image that is held stays as it was while the next are read."""
    images, _ = _drain(avi)
    pictures = [image.bgr for image in images if isinstance(image, Read)]
    assert not any(np.shares_memory(a, b) for a, b in itertools.pairwise(pictures))


def test_a_gif_keeps_its_own_delays(test_data: Path) -> None:
    """41 images; the delays in this file are 80 and 90 ms, and the last image is at 3.33 s."""
    times = _times(test_data / "videos" / "face-demographics-walking-and-pause.gif")
    assert len(times) == 41
    assert times[:5] == [0, 80_000, 170_000, 250_000, 330_000]
    assert times[-1] == 3_330_000
    assert set(np.diff(times)) == {80_000, 90_000}


@pytest.mark.parametrize(
    ("name", "images", "first", "last_us"),
    [
        ("short_hamilton_clip.mp4", 275, [0, 33_367, 66_733], 9_142_476),
        ("walk.mkv", 89, [0, 33_000, 67_000], 2_933_000),
    ],
)
def test_a_file_gives_the_same_images_and_times_on_every_reading(
    test_data: Path, name: str, images: int, first: list[int], last_us: int
) -> None:
    """Times are the container's, counted from its first image although its first stamp is not 0; pixels are equal."""
    one, end = _drain(test_data / "videos" / name)
    two, _ = _drain(test_data / "videos" / name)
    times = [image.media_time_us for image in one if isinstance(image, Read)]
    assert len(one) == end.images == images
    assert times[:3] == first
    assert times[-1] == last_us
    assert end.damage is None
    for a, b in zip(one, two, strict=True):
        assert isinstance(a, Read)
        assert isinstance(b, Read)
        assert a.media_time_us == b.media_time_us
        assert (a.bgr == b.bgr).all()


def test_a_stream_without_times_gets_them_from_its_rate(tmp_path: Path, avi: Path) -> None:
    """A bare sequence of JPEGs has no container: FFmpeg's rate of 25 a second gives rising times all the same."""
    reader = _open(avi)
    bare = b""
    while isinstance(image := reader.read(), Read):
        bare += encode(image.bgr, "jpeg")
    reader.close()
    (tmp_path / "bare.mjpeg").write_bytes(bare)
    assert _times(tmp_path / "bare.mjpeg") == [n * 40_000 for n in range(20)]


@pytest.mark.parametrize("name", ["12:30 gate%02d.avi", "rtsp:cam.avi", "-i.avi", "naïve 监控.avi"])
def test_a_file_is_opened_whatever_its_name(tmp_path: Path, name: str) -> None:
    """A colon is no protocol and a per cent sign no pattern."""
    _write_avi(tmp_path / "x.avi", 3).rename(tmp_path / name)
    assert len(_times(tmp_path / name)) == 3


def test_grabbing_passes_images_over_without_changing_the_next(avi: Path) -> None:
    """grab without retrieve goes on by one."""
    reader = _open(avi)
    for _ in range(7):
        reader.grab()
    seventh = reader.read()
    reader.close()
    assert isinstance(seventh, Read)
    assert seventh.number == 7
    assert abs(float(seventh.bgr.mean()) - 56) < 2


# A folder of images


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images 1 to 12, without leading zeros, among files that are none."""
    for number in range(1, 13):
        suffix = ".JPG" if number % 2 else ".png"
        (tmp_path / f"shot{number}{suffix}").write_bytes(encode(_grey(number * 10), "jpeg" if number % 2 else "png"))
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".hidden.png").write_bytes(encode(_grey(0), "png"))
    (tmp_path / "sub.png").mkdir()
    return tmp_path


def test_a_folder_is_read_in_the_order_of_its_numbers(folder: Path) -> None:
    """shot2 comes before shot10; image n is at n / fps seconds; hidden and other files are left out."""
    images, end = _drain(folder, folder_fps=8.0)
    levels = [round(float(image.bgr.mean()) / 10) for image in images if isinstance(image, Read)]
    assert levels == list(range(1, 13))
    assert [image.media_time_us for image in images if isinstance(image, Read)] == [n * 125_000 for n in range(12)]
    assert end == EndOfSource(12, 1_500_000)


def test_natural_order_is_total() -> None:
    """Names that differ in zeros or case only still have one order, the same on every machine."""
    names = ["b2", "a10", "a2", "a02", "A2", "a", "10", "9", "a2b10", "a2b9", "٣"]
    once = sorted((Path(n) for n in names), key=natural_order)
    again = sorted((Path(n) for n in reversed(names)), key=natural_order)
    assert once == again
    assert [p.name for p in once if p.name in ("9", "10", "a2", "a10")] == ["9", "10", "a2", "a10"]


def test_a_damaged_image_in_a_folder_is_one_reject_and_the_rest_goes_on(folder: Path) -> None:
    """Cut short, of another kind, empty: each keeps its number and its time; none stops the others."""
    whole = (folder / "shot3.JPG").read_bytes()
    (folder / "shot3.JPG").write_bytes(whole[: len(whole) // 2])
    (folder / "shot4.png").write_bytes(b"this is text")
    (folder / "shot5.JPG").write_bytes(b"")
    images, end = _drain(folder)
    bad = [image for image in images if isinstance(image, BadImage)]
    assert bad == [BadImage(n, Fault.UNDECODABLE) for n in (2, 3, 4)]
    assert [image.number for image in images if isinstance(image, Read)] == [0, 1, *range(5, 12)]
    assert end.images == 12


def test_an_image_that_declares_too_many_pixels_is_refused_before_it_is_decoded(folder: Path) -> None:
    """A PNG of 60,000 x 60,000 would take 10 GB."""
    png = bytearray(encode(_grey(1), "png"))
    png[16:24] = struct.pack(">II", 60_000, 60_000)
    (folder / "shot1.JPG").write_bytes(png)
    images, _ = _drain(folder)
    assert images[0] == BadImage(0, Fault.TOO_LARGE)
    assert isinstance(images[1], Read)


def test_an_image_that_vanishes_while_the_folder_is_read_is_one_reject(folder: Path) -> None:
    """The list is made when the folder is opened."""
    reader = _open(folder)
    (folder / "shot1.JPG").unlink()
    assert reader.read() == BadImage(0, Fault.UNREADABLE)
    assert isinstance(reader.read(), Read)


# Bad input


def _refusal(path: Path | str) -> str:
    with pytest.raises(CameraError) as caught:
        _drain(path)
    return str(caught.value)


def test_bad_files_are_refused_in_words_that_name_them(tmp_path: Path) -> None:
    """Missing, empty, text, a picture called a video, a pipe that would block for ever, a folder without images."""
    (tmp_path / "zero.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("hello\n" * 100)
    (tmp_path / "noise.mkv").write_bytes(np.random.default_rng(1).bytes(100_000))
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "none").mkdir()
    for name, says in [
        ("missing.mp4", "no such file"),
        ("zero.mp4", "is empty"),
        ("text.mp4", "no video that can be read"),
        ("noise.mkv", "no video that can be read"),
        ("pipe.mp4", "neither a file nor a folder"),
        ("none", "no image in this folder"),
    ]:
        said = _refusal(tmp_path / name)
        assert said.startswith(str(tmp_path / name))
        assert says in said


def test_a_video_cut_before_its_index_is_refused(test_data: Path, tmp_path: Path) -> None:
    """This MP4 has its index at the end: half of it cannot be read at all."""
    whole = (test_data / "videos" / "short_hamilton_clip.mp4").read_bytes()
    (tmp_path / "half.mp4").write_bytes(whole[: len(whole) // 2])
    assert "cut off before its index" in _refusal(tmp_path / "half.mp4")


@pytest.mark.parametrize("name", ["walk.mkv", "face-demographics-walking-and-pause.gif"])
def test_a_video_cut_behind_its_index_is_read_up_to_there_and_said_to_be_damaged(
    test_data: Path, tmp_path: Path, name: str
) -> None:
    """What is there is read; the end says that some is missing. The whole file is not said to be."""
    whole = (test_data / "videos" / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    images, end = _drain(tmp_path / name)
    entire, whole_end = _drain(test_data / "videos" / name)
    assert 0 < len(images) < len(entire)
    assert end.damage is not None
    assert "cut short" in end.damage
    assert whole_end.damage is None


def test_damage_inside_a_video_neither_stops_nor_delays_it(test_data: Path, tmp_path: Path) -> None:
    """Bytes zeroed all through the file: FFmpeg conceals what it cannot decode, and the reading comes to its end."""
    damaged = bytearray((test_data / "videos" / "short_hamilton_clip.mp4").read_bytes())
    for at in range(100_000, 500_000, 7_000):
        damaged[at : at + 40] = bytes(40)
    (tmp_path / "damaged.mp4").write_bytes(damaged)
    images, end = _drain(tmp_path / "damaged.mp4")
    assert len(images) == end.images > 200


def test_a_video_of_huge_images_is_refused_when_it_is_opened(tmp_path: Path) -> None:
    """A GIF declares its size in its first ten bytes; this one has 12,000 x 12,000 pixels."""
    header = b"GIF89a" + struct.pack("<HHBBB", 12_000, 12_000, 0x80, 0, 0) + bytes(6)
    image = b"\x2c" + struct.pack("<HHHHB", 0, 0, 12_000, 12_000, 0) + b"\x02\x02\x44\x01\x00"
    (tmp_path / "huge.gif").write_bytes(header + image + b";")
    assert "larger than the 64000000 pixels" in _refusal(tmp_path / "huge.gif")


def test_a_camera_that_is_not_there_is_an_error_that_says_what_to_check() -> None:
    """A number that no USB camera has, and a port on which nothing listens; no password in the text."""
    with pytest.raises(CameraError, match="usb:97"):
        _open("usb:97")
    with pytest.raises(CameraError) as caught:
        _open("rtsp://admin:hunter2@127.0.0.1:1/live", open_s=2.0)
    assert "does not answer" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.fixture(autouse=True)
def _bounded() -> Iterator[None]:
    """No input may hang a reader: a minute would be one, on any machine."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < 60
