"""A picture keeps its pixels, tells nothing of them, and refuses what is hostile before it costs anything."""

from __future__ import annotations

import struct
import tracemalloc
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from overt.picture import MAX_PIXELS, BadPicture, Bgr, Picture, declared_size, decode, encode

PIXELS = hnp.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3)))
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def smooth(height: int = 48, width: int = 64) -> Bgr:
    """Pixels with the detail of a photograph."""
    noise = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 3), np.uint8)


def jpeg(bgr: Bgr, *options: int) -> bytes:
    return bytes(cv2.imencode(".jpg", bgr, list(options))[1].tobytes())


def chunk(kind: bytes, data: bytes) -> bytes:
    """One PNG chunk (PNG 5.3)."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_that_declares(width: int, height: int) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return PNG_SIGNATURE + header + chunk(b"IDAT", zlib.compress(b"\0" * 9)) + chunk(b"IEND", b"")


def jpeg_that_declares(width: int, height: int) -> bytes:
    data = bytearray(jpeg(np.zeros((8, 8, 3), np.uint8)))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


SAMPLES = {
    "png": encode(smooth(), "png"),
    "jpeg": encode(smooth(), "jpeg"),
    "progressive": jpeg(smooth(), cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "restarts": jpeg(smooth(), cv2.IMWRITE_JPEG_RST_INTERVAL, 2),
}


@given(PIXELS)
@settings(max_examples=60, deadline=None)
def test_png_loses_nothing(bgr: Bgr) -> None:
    sent = Picture(bgr=bgr).encoded("png")
    assert np.array_equal(Picture(encoded=sent).bgr(), bgr)


def test_jpeg_keeps_the_size_and_comes_close() -> None:
    got = Picture(encoded=Picture(bgr=smooth()).encoded("jpeg")).bgr()
    assert got.shape == smooth().shape
    assert got.dtype == np.uint8
    assert np.abs(got.astype(int) - smooth().astype(int)).mean() < 3
    assert len(SAMPLES["jpeg"]) < len(SAMPLES["png"])


def test_received_bytes_are_handed_on_as_they_came_whatever_form_is_asked_for() -> None:
    for data in SAMPLES.values():
        assert Picture(encoded=data).encoded("png") is data
        picture = Picture(encoded=data)
        picture.bgr()
        assert picture.encoded("jpeg") is data


@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from(["png", "jpeg", "progressive", "restarts"]))
@settings(max_examples=60, deadline=None)
def test_the_declared_size_is_that_of_the_pixels(width: int, height: int, form: str) -> None:
    bgr = np.full((height, width, 3), 77, np.uint8)
    data = {
        "png": lambda: encode(bgr, "png"),
        "jpeg": lambda: encode(bgr, "jpeg"),
        "progressive": lambda: jpeg(bgr, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        "restarts": lambda: jpeg(bgr, cv2.IMWRITE_JPEG_RST_INTERVAL, 1),
    }[form]()
    assert declared_size(data) == (width, height)
    assert decode(data).shape == (height, width, 3)


def test_metadata_before_the_size_is_stepped_over() -> None:
    """EXIF with a thumbnail holds a JPEG of its own; the picture's size is not the thumbnail's."""
    thumbnail = jpeg(np.zeros((8, 8, 3), np.uint8))
    exif = b"\xff\xe1" + struct.pack(">H", 2 + 6 + len(thumbnail)) + b"Exif\0\0" + thumbnail
    comment = b"\xff\xff\xff\xfe" + struct.pack(">H", 6) + b"\xff\xc0\xff\xd9"  # fill bytes before a marker are allowed
    data = SAMPLES["jpeg"][:2] + exif * 20 + comment + SAMPLES["jpeg"][2:]
    assert declared_size(data) == (64, 48)
    assert decode(data).shape == (48, 64, 3)


@pytest.mark.parametrize("form", SAMPLES)
def test_a_picture_that_is_cut_short_is_refused_at_every_length(form: str) -> None:
    data = SAMPLES[form]
    for length in [*range(min(len(data), 700)), *range(700, len(data), 37)]:
        with pytest.raises(BadPicture):
            decode(data[:length])


@pytest.mark.parametrize("data", [b"", b"\0", b"\0" * 5000, b"\xff\xd8", PNG_SIGNATURE, b"GIF89a" + b"\x10" * 50])
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(BadPicture):
        decode(data)


@given(st.binary(max_size=300), st.sampled_from([b"", b"\xff\xd8", b"\xff\xd8\xff", PNG_SIGNATURE]))
@settings(max_examples=300, deadline=None)
def test_garbage_is_refused_and_nothing_else_happens(data: bytes, start: bytes) -> None:
    with pytest.raises(BadPicture):
        decode(start + data)


@given(st.sampled_from(sorted(SAMPLES)), st.lists(st.tuples(st.integers(0, 9999), st.integers(0, 255)), max_size=4))
@settings(max_examples=400, deadline=None)
@example("jpeg", [])
def test_a_corrupt_picture_is_refused_or_has_the_size_it_declares(form: str, flips: list[tuple[int, int]]) -> None:
    """Nothing but BadPicture is raised, and no decoder finds a larger picture than the one that was checked."""
    data = bytearray(SAMPLES[form])
    for at, value in flips:
        data[at % len(data)] = value
    if len(data) > 700 and max(declared_or_none(bytes(data))) > 3000:
        return  # valid sizes, but slow ones
    try:
        bgr = decode(bytes(data))
    except BadPicture:
        return
    assert bgr.dtype == np.uint8
    assert bgr.shape[1::-1] == declared_size(bytes(data))


def declared_or_none(data: bytes) -> tuple[int, int]:
    try:
        return declared_size(data)
    except BadPicture:
        return (0, 0)


@pytest.mark.parametrize("make", [png_that_declares, jpeg_that_declares])
@pytest.mark.parametrize("size", [(65535, 65535), (8001, 8000), (65500, 1000)])
def test_a_hostile_size_is_refused_without_allocating(make: object, size: tuple[int, int]) -> None:
    assert callable(make)
    data = make(*size)
    tracemalloc.start()  # numpy's own allocations are traced, and so are the decoder's, which are numpy's
    try:
        with pytest.raises(BadPicture, match=f"{size[0]}x{size[1]} is larger"):
            decode(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


def test_pngs_largest_numbers_do_not_wrap_around() -> None:
    with pytest.raises(BadPicture, match="larger"):
        decode(png_that_declares(2**32 - 1, 2**32 - 1))
    assert MAX_PIXELS < 2**31


@pytest.mark.parametrize("make", [png_that_declares, jpeg_that_declares])
@pytest.mark.parametrize("size", [(0, 0), (0, 8), (8, 0)])
def test_a_picture_without_pixels_is_refused(make: object, size: tuple[int, int]) -> None:
    assert callable(make)
    with pytest.raises(BadPicture):
        decode(make(*size))


def test_a_second_header_cannot_hide_where_only_the_decoder_looks() -> None:
    """Decoders scan past 0xFF 0x00 for the next marker: a size that is read behind it would not be the decoded one."""
    large = jpeg_that_declares(9000, 9000)
    small = jpeg_that_declares(8, 8)
    at = small.index(b"\xff\xc0")
    jump = b"\xff\x00" + struct.pack(">H", len(large))  # as long as what follows, less the large one's first two bytes
    for marker in (jump, b"\xff" + jump, b"\xff\xd9" + jump[2:]):
        with pytest.raises(BadPicture):
            decode(b"\xff\xd8" + marker + large[2:] + small[at:])


@pytest.mark.parametrize("filler", [b"\xff", b"\xff\xd0", b"\xff\x01", b"\xff\xe0\x00\x02"], ids=bytes.hex)
def test_megabytes_of_markers_do_not_keep_the_reader_busy(filler: bytes) -> None:
    data = b"\xff\xd8" + filler * 20_000 + SAMPLES["jpeg"][2:]
    with pytest.raises(BadPicture):  # a limit on steps: the size behind so many is never reached
        declared_size(data)
    assert declared_size(b"\xff\xd8" + filler * 100 + SAMPLES["jpeg"][2:]) == (64, 48)


def test_pixels_that_no_file_can_hold_are_a_bad_picture() -> None:
    nothing = Picture(bgr=np.zeros((0, 5, 3), np.uint8))
    with pytest.raises(BadPicture, match=r"\(0, 5, 3\)"):
        nothing.encoded("png")
    with pytest.raises(BadPicture, match=r"\(0, 5, 3\)"):
        nothing.encoded("jpeg")


def test_a_picture_is_made_of_exactly_one_thing() -> None:
    with pytest.raises(ValueError, match="exactly one"):
        Picture()
    with pytest.raises(ValueError, match="exactly one"):
        Picture(bgr=smooth(), encoded=SAMPLES["png"])


@given(PIXELS)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_neither_repr_nor_text_shows_content_or_size(bgr: Bgr) -> None:
    for picture in (Picture(bgr=bgr), Picture(encoded=encode(bgr, "png"))):
        assert repr(picture) == str(picture) == f"{picture}" == "Picture(...)"


def test_the_text_of_a_refusal_holds_no_bytes() -> None:
    secret = b"\xff\xd8secret-pixels"
    with pytest.raises(BadPicture) as caught:
        decode(secret)
    assert "secret" not in str(caught.value)


def test_pictures_are_equal_when_their_pixels_are() -> None:
    bgr = smooth()
    assert Picture(bgr=bgr) == Picture(encoded=encode(bgr, "png"))
    assert Picture(bgr=bgr) != Picture(bgr=255 - bgr)
    assert Picture(bgr=bgr) != "a picture"
    with pytest.raises(TypeError):
        hash(Picture(bgr=bgr))
