"""Bytes to pixels: what decoding will cost is known before it begins, and what is no photograph is named."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from overt.messages import Box
from overt.picture import BadPicture, Bgr, encode
from overt.watchlist.enrol import Template, Unusable, template_of
from overt.watchlist.pixels import part_with, pixels_of, reduced
from tests.support import messages as make
from tests.unit.test_enrol import Models, portrait

BOX = Box(5, 5, 65, 75)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def animated_png() -> bytes:
    """A PNG that says of itself that it is an animation (APNG: acTL before IDAT)."""
    still = encode(portrait(), "png")
    return still[:33] + chunk(b"acTL", struct.pack(">II", 2, 0)) + still[33:]


def animation(path: Path, suffix: str) -> bytes:
    animated = cv2.Animation()
    animated.frames = [portrait(), portrait()[::-1].copy()]
    animated.durations = np.full(2, 100, np.int32)  # type: ignore[assignment]  # no list is taken
    assert cv2.imwriteanimation(str(path / f"a{suffix}"), animated)
    return (path / f"a{suffix}").read_bytes()


def refusal(data: bytes) -> str:
    with pytest.raises(BadPicture) as caught:
        pixels_of(data)
    return str(caught.value)


@pytest.mark.parametrize(("suffix", "form"), [(".gif", "a GIF"), (".webp", "a WebP"), (".png", "an animated PNG")])
def test_an_animation_is_no_photograph(tmp_path: Path, suffix: str, form: str) -> None:
    """Nobody could tell which of its pictures was enrolled."""
    assert refusal(animation(tmp_path, suffix)) == f"is {form}; save it as a JPEG or PNG of one picture"
    assert "animated PNG" in refusal(animated_png())


@pytest.mark.parametrize(
    ("data", "form"),
    [
        (b"BM" + bytes(60), "a BMP"),
        (b"II*\0" + bytes(60), "a TIFF"),
        (b"%PDF-1.7" + bytes(60), "a PDF"),
        (b"PK\x03\x04" + bytes(60), "an archive"),
        (b"\0\0\0\x18ftypheic" + bytes(60), "a HEIC"),
        (b"\0\0\0\x1cftypavif" + bytes(60), "an AVIF"),
    ],
)
def test_another_form_is_named_whatever_the_file_is_called(data: bytes, form: str) -> None:
    assert form in refusal(data)


def test_fifty_megapixels_are_read() -> None:
    whole = pixels_of(bytes(cv2.imencode(".jpg", np.full((5800, 8700), 90, np.uint8))[1]))
    assert whole.shape == (5800, 8700, 3)
    small, factor = reduced(whole)
    assert max(small.shape) == 1280
    assert factor == pytest.approx(1280 / 8700)


def test_more_than_is_read_is_refused_by_its_header_alone() -> None:
    """The file has no pixels at all: its header alone says that they would fill 30 GB."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0))
    assert "100000x100000 pixels, 64 million at most" in refusal(b"\x89PNG\r\n\x1a\n" + header)


def test_a_jpeg_of_a_thousand_scans_is_refused_before_they_are_worked_off() -> None:
    """Each scan of a progressive JPEG is a pass over all its pixels: a small file could take minutes."""
    data = bytes(cv2.imencode(".jpg", np.zeros((4000, 4000, 3), np.uint8), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1])
    assert pixels_of(data).shape == (4000, 4000, 3)
    last = data.rfind(b"\xff\xda")
    hostile = data[:-2] + data[last:-2] * 1000 + data[-2:]
    assert "scans over 4000x4000 pixels" in refusal(hostile)


@pytest.mark.parametrize("flip", range(0, 600, 13))
def test_a_damaged_file_is_pixels_or_a_refusal(flip: int) -> None:
    for form in (encode(portrait(), "jpeg"), encode(portrait(), "png")):
        data = bytearray(form)
        data[flip % len(data)] ^= 0xA5
        try:
            assert pixels_of(bytes(data)).dtype == np.uint8
        except BadPicture:
            continue


# A box


class Crowd(Models):
    """A detector that sees faces at these places of the image it is shown."""

    def __init__(self, *boxes: tuple[float, float, float, float]) -> None:
        super().__init__(faces=len(boxes))
        self.boxes = boxes

    def find(self, bgr: Bgr) -> object:  # type: ignore[override]
        found = super().find(bgr)
        found.xyxy[:] = np.array(self.boxes, np.float32).reshape(-1, 4)
        return found


def template(models: Models, box: Box | None, data: bytes | None = None) -> Template | Unusable:
    return template_of(data or encode(portrait(), "png"), box, models.extractor())


def test_a_box_chooses_among_several_faces() -> None:
    two = ((10, 10, 60, 70), (66, 80, 86, 110))
    assert isinstance(template(Crowd(*two), None), Unusable)
    assert isinstance(template(Crowd(*two), BOX), Template)


@pytest.mark.parametrize(
    ("faces", "said"),
    [
        ((), "no face found in the box"),
        (((66, 80, 86, 110),), "no face found in the box"),
        (((10, 10, 60, 70), (20, 20, 50, 60)), "2 faces found in the box"),
    ],
)
def test_a_box_holds_exactly_one_face(faces: tuple[tuple[float, float, float, float], ...], said: str) -> None:
    made = template(Crowd(*faces), BOX)
    assert isinstance(made, Unusable)
    assert made.why.startswith(said)


def test_a_box_outside_the_image_is_refused() -> None:
    made = template(Models(), Box(90, 10, 95, 20))
    assert isinstance(made, Unusable)
    assert made.why == "the box lies outside the image, which has 90x120 pixels"


def test_the_part_with_a_box_is_as_wide_again_on_each_side() -> None:
    part, box = part_with(make.pixels(1, 400, 500), Box(200, 100, 240, 150))
    assert part.shape[:2] == (150, 140)
    assert (box.x1, box.y1, box.x2, box.y2) == (50, 50, 90, 100)
    whole, same = part_with(make.pixels(1, 40, 50), Box(10, 10, 1000, 1000))
    assert whole.shape[:2] == (40, 50)
    assert same == Box(10, 10, 1000, 1000)


def test_a_small_face_in_a_large_photograph_is_looked_at_again_in_the_files_own_pixels() -> None:
    """A face that lost its pixels when the photograph was reduced is not blamed for having few."""
    models = Models(eyes_px=40.0)
    assert isinstance(template(models, None, encode(portrait(3000, 2000), "jpeg")), Template)
    first, second = models.seen
    assert first.shape == (1280, 853, 3)
    assert max(second.shape[:2]) < 600
