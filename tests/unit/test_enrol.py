"""Enrolment: one face an image or a reason, whatever file comes; the models are stood in for by plain functions."""

from __future__ import annotations

import dataclasses
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from overt.governance.listing import ListedImage
from overt.messages import Kind, Vector, WatchlistEntry
from overt.picture import Bgr, declared_size, encode
from overt.watchlist.enrol import Enrolled, Extractor, FoundFaces, Terms, enrol, template_of
from overt.watchlist.results import Refusal
from tests.support import messages as make
from tests.support.messages import unit

TERMS = Terms("d1", Kind.MISSING, "vulnerable-missing", 10, 20)
VECTOR = unit(3)
EYES = 40.0


def landmarks(eyes_px: float) -> NDArray[np.float32]:
    return np.array([[0, 0], [eyes_px, 0], [eyes_px / 2, 10], [2, 20], [eyes_px - 2, 20]], np.float32)


class Models:
    """A detector that finds what it is told to find, and remembers the pixels that it was shown."""

    def __init__(self, faces: int = 1, eyes_px: float = EYES, box: tuple[float, ...] = (10, 10, 60, 70)) -> None:
        self.faces, self.eyes_px, self.box = faces, eyes_px, box
        self.seen: list[Bgr] = []
        self.chips: list[tuple[int, ...]] = []
        self.aligned = True
        self.vector: Vector = VECTOR

    def find(self, bgr: Bgr) -> FoundFaces:
        self.seen.append(bgr)
        boxes = np.array([self.box] * self.faces, np.float32).reshape(-1, 4)
        points = np.array([landmarks(self.eyes_px)] * self.faces, np.float32).reshape(-1, 5, 2)
        return FoundFaces(boxes, points, np.full(self.faces, 0.9, np.float32))

    def chip(self, bgr: Bgr, points: NDArray[np.float32]) -> Bgr | None:
        assert points.shape == (5, 2)
        return make.pixels(1, 8, 8) if self.aligned else None

    def embed(self, chips: Bgr) -> Vector:
        self.chips.append(chips.shape)
        return np.stack([self.vector] * len(chips))

    def extractor(self) -> Extractor:
        return Extractor(self.find, self.chip, self.embed, "plain/1", min_eye_distance_px=24.0)


def portrait(height: int = 120, width: int = 90) -> Bgr:
    """Brighter from left to right and bluer from top to bottom, so that a turned or swapped picture shows."""
    bgr = np.zeros((height, width, 3), np.uint8)
    bgr[..., 2] = np.linspace(0, 255, width).astype(np.uint8)
    bgr[..., 0] = np.linspace(0, 255, height).astype(np.uint8)[:, None]
    return bgr


def listed(path: Path, subject: str = "S1") -> ListedImage:
    return ListedImage(path, subject, "missing")


def outcome(
    path: Path, models: Models | None = None, subject: str = "S1", terms: Terms = TERMS
) -> WatchlistEntry | Refusal:
    extractor = (models or Models()).extractor()
    made = enrol(listed(path, subject), terms, lambda data, box: template_of(data, box, extractor), "plain/1", 77)
    return made.entry if isinstance(made, Enrolled) else made


def entry_of(path: Path, models: Models | None = None) -> WatchlistEntry:
    made = outcome(path, models)
    assert isinstance(made, WatchlistEntry), made
    return made


def why(path: Path, models: Models | None = None) -> str:
    refused = outcome(path, models)
    assert isinstance(refused, Refusal)
    assert refused.place == str(path)
    return refused.why


@pytest.fixture
def image(tmp_path: Path) -> Callable[..., Path]:
    def write(data: bytes | None = None, name: str = "S1_1.png") -> Path:
        path = tmp_path / name
        path.write_bytes(encode(portrait(), "png") if data is None else data)
        return path

    return write


def test_an_image_with_one_face_becomes_an_entry(image: Callable[..., Path]) -> None:
    made = entry_of(image())
    assert dataclasses.replace(made, vector=VECTOR, reference_image=make.picture()) == WatchlistEntry(
        entry_id=made.entry_id,
        deployment_id="d1",
        subject_id="S1",
        category="missing",
        kind=Kind.MISSING,
        basis="vulnerable-missing",
        valid_from_us=10,
        valid_until_us=20,
        space_id="plain/1",
        enrolled_at_us=77,
        vector=VECTOR,
        reference_image=make.picture(),
    )
    assert np.array_equal(made.vector, VECTOR)


def test_enrolling_again_replaces_the_entry_and_another_image_is_another(image: Callable[..., Path]) -> None:
    path = image()
    assert entry_of(path).entry_id == entry_of(path).entry_id
    ids = {
        entry_of(path).entry_id,
        entry_of(image(name="S1_2.png")).entry_id,
        enrolled_for("d2", path).entry_id,
        entry_under("S2", path).entry_id,
    }
    assert len(ids) == 4


def enrolled_for(deployment_id: str, path: Path) -> WatchlistEntry:
    made = outcome(path, terms=dataclasses.replace(TERMS, deployment_id=deployment_id))
    assert isinstance(made, WatchlistEntry)
    return made


def entry_under(subject: str, path: Path) -> WatchlistEntry:
    made = outcome(path, subject=subject)
    assert isinstance(made, WatchlistEntry)
    return made


def test_the_same_file_in_another_folder_is_the_same_entry(tmp_path: Path, image: Callable[..., Path]) -> None:
    (tmp_path / "moved").mkdir()
    here, there = image(), image(name="moved/S1_1.png")
    assert entry_of(here).entry_id == entry_of(there).entry_id


@pytest.mark.parametrize(("faces", "said"), [(0, "no face found"), (2, "2 faces found"), (7, "7 faces found")])
def test_exactly_one_face_is_wanted(image: Callable[..., Path], faces: int, said: str) -> None:
    """An image of two people enrols neither: the wrong one could be taken."""
    models = Models(faces=faces)
    assert why(image(), models).startswith(said)
    assert "exactly one is wanted: cut the image" in why(image(), models)
    assert models.chips == []


def test_a_face_that_is_too_small_is_refused_with_both_figures(image: Callable[..., Path]) -> None:
    assert why(image(), Models(eyes_px=23.4)) == "23 px between the eyes, 24 wanted: use a larger image"
    assert isinstance(outcome(image(), Models(eyes_px=24.0)), WatchlistEntry)


def test_a_face_that_cannot_be_aligned_is_refused(image: Callable[..., Path]) -> None:
    models = Models()
    models.aligned = False
    assert "frontal" in why(image(), models)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_vector_that_is_no_number_is_refused(image: Callable[..., Path], value: float) -> None:
    models = Models()
    models.vector = np.full(8, value, np.float32)
    assert "no finite vector" in why(image(), models)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not an image",
        b"GIF89a" + b"\0" * 50,
        encode(portrait(), "png")[:-30],
        encode(portrait(), "jpeg")[:-30],
        encode(portrait(), "jpeg")[:40],
    ],
    ids=["empty", "text", "gif", "png cut short", "jpeg cut short", "jpeg header"],
)
def test_a_file_that_is_no_whole_picture_is_refused(image: Callable[..., Path], data: bytes) -> None:
    models = Models()
    assert why(image(data), models)
    assert models.seen == []


def test_a_file_too_large_to_be_a_photograph_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "S1_1.jpg"
    with path.open("wb") as file:
        file.truncate(50_000_001)  # a hole: it takes no space on the disk
    assert why(path) == "the file is larger than 50 MB"


def test_a_picture_that_declares_a_hostile_size_is_refused(image: Callable[..., Path]) -> None:
    data = bytearray(encode(portrait(), "png"))
    data[16:24] = struct.pack(">II", 60_000, 60_000)
    assert "60000x60000" in why(image(bytes(data)))


def test_a_file_that_cannot_be_read_is_refused_with_the_systems_reason(tmp_path: Path) -> None:
    assert why(tmp_path / "gone.jpg") == "the file cannot be read: No such file or directory"
    assert why(tmp_path) == "the file cannot be read: Is a directory"


def test_a_file_whose_name_is_no_text_is_refused(tmp_path: Path) -> None:
    """Its subject's id would travel in every record, and records hold text."""
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/S\xff_1.png"))
    path.write_bytes(encode(portrait(), "png"))
    refused = outcome(path, subject=path.stem)
    assert isinstance(refused, Refusal)
    assert "UTF-8" in refused.why


# The forms that photographs come in


def with_orientation(bgr: Bgr, orientation: int) -> bytes:
    """A JPEG whose EXIF says how it is to be turned (CIPA DC-008, tag 274)."""
    tiff = b"MM\x00\x2a\x00\x00\x00\x08" + struct.pack(">HHHIHHI", 1, 274, 3, 1, orientation, 0, 0)
    exif = b"Exif\0\0" + tiff
    data = encode(bgr, "jpeg")
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]


@pytest.mark.parametrize(
    ("orientation", "stored"),
    [
        (1, lambda upright: upright),
        (3, lambda upright: upright[::-1, ::-1]),
        (6, lambda upright: np.rot90(upright, 1)),
        (8, lambda upright: np.rot90(upright, -1)),
    ],
)
def test_a_photograph_is_turned_upright_as_its_exif_says(
    image: Callable[..., Path], orientation: int, stored: Callable[[Bgr], Bgr]
) -> None:
    models = Models()
    upright = portrait()
    entry_of(image(with_orientation(np.ascontiguousarray(stored(upright)), orientation), "S1_1.jpg"), models)
    (seen,) = models.seen
    assert seen.shape == upright.shape
    assert np.abs(seen.astype(int) - upright.astype(int)).mean() < 6


def grey_cmyk_jpeg(height: int, width: int) -> bytes:
    """A mid-grey baseline JPEG of four components, as printers' software writes them: OpenCV writes none.

    Every block has the DC difference 0 and no AC coefficient, one bit each; four components make one byte of zeros.
    """
    blocks = -(-height // 8) * -(-width // 8)
    frame = struct.pack(">BHHB", 8, height, width, 4) + b"".join(bytes([n, 0x11, 0]) for n in range(1, 5))
    scan = b"\4" + b"".join(bytes([n, 0]) for n in range(1, 5)) + b"\0\x3f\0"
    one_code = b"\1" + b"\0" * 15 + b"\0"  # of one bit, for the symbol 0
    parts = [
        (b"\xee", b"Adobe\x00\x64\0\0\0\0\0"),
        (b"\xdb", b"\0" + b"\1" * 64),
        (b"\xc0", frame),
        (b"\xc4", b"\x00" + one_code),
        (b"\xc4", b"\x10" + one_code),
        (b"\xda", scan),
    ]
    segments = b"".join(b"\xff" + marker + struct.pack(">H", len(data) + 2) + data for marker, data in parts)
    return b"\xff\xd8" + segments + b"\0" * blocks + b"\xff\xd9"


def encoded(extension: str, pixels: NDArray[Any]) -> bytes:
    return bytes(cv2.imencode(extension, pixels)[1].tobytes())


def ramp(kind: type[np.uint8 | np.uint16]) -> NDArray[Any]:
    """A grey ramp over the whole range of the type."""
    row = np.linspace(0, np.iinfo(kind).max, 90)
    return np.tile(row, (120, 1)).astype(kind)


def is_portrait_sized(bgr: Bgr) -> bool:
    return bgr.shape == (120, 90, 3) and bgr.dtype == np.uint8


@pytest.mark.parametrize("extension", [".png", ".jpg"])
def test_a_grey_photograph_is_taken_as_equal_channels(image: Callable[..., Path], extension: str) -> None:
    models = Models()
    entry_of(image(encoded(extension, ramp(np.uint8)), "S1_1" + extension), models)
    (seen,) = models.seen
    assert is_portrait_sized(seen)
    assert np.abs(seen.astype(int) - ramp(np.uint8)[..., None].astype(int)).max() < 6
    assert np.array_equal(seen[..., 0], seen[..., 2])


def test_sixteen_bits_a_channel_are_scaled_and_not_cut_off(image: Callable[..., Path]) -> None:
    for pixels in (ramp(np.uint16), np.repeat(ramp(np.uint16)[..., None], 3, axis=2)):
        models = Models()
        entry_of(image(encoded(".png", pixels)), models)
        (seen,) = models.seen
        assert is_portrait_sized(seen)
        assert np.abs(seen.astype(int) - ramp(np.uint8)[..., None].astype(int)).max() <= 1


def test_a_transparent_png_loses_its_transparency_only(image: Callable[..., Path]) -> None:
    bgra = np.dstack([portrait(), np.full((120, 90), 128, np.uint8)])
    models = Models()
    entry_of(image(encoded(".png", bgra)), models)
    assert np.array_equal(models.seen[0], portrait())


def test_a_cmyk_photograph_is_taken_as_colours(image: Callable[..., Path]) -> None:
    models = Models()
    data = grey_cmyk_jpeg(120, 90)
    assert declared_size(data) == (90, 120)
    entry_of(image(data, "S1_1.jpg"), models)
    (seen,) = models.seen
    assert is_portrait_sized(seen)
    assert seen.std() == 0
    assert 30 < seen.mean() < 200


# Sizes


def test_a_large_photograph_is_reduced_before_the_detector_sees_it(image: Callable[..., Path]) -> None:
    models = Models()
    entry_of(image(encode(portrait(3000, 2000), "jpeg"), "S1_1.jpg"), models)
    assert models.seen[0].shape == (1280, 853, 3)
    models = Models()
    entry_of(image(encode(portrait(1280, 900), "jpeg"), "S1_2.jpg"), models)
    assert models.seen[0].shape == (1280, 900, 3)


@pytest.mark.parametrize(
    ("box", "shape"),
    [
        ((10, 10, 60, 70), (88, 78)),  # 0.3 of its longer side, 18 px, on each side, as far as the picture goes
        ((-20, -30, 40, 30), (48, 58)),
        ((0, 0, 90, 120), (120, 90)),
        ((60, 80, 200, 400), (120, 90)),
    ],
)
def test_the_reference_image_is_the_face_with_some_of_its_surroundings(
    image: Callable[..., Path], box: tuple[float, ...], shape: tuple[int, int]
) -> None:
    assert entry_of(image(), Models(box=box)).reference_image.bgr().shape[:2] == shape


def test_the_reference_image_is_at_most_a_thumbnail(image: Callable[..., Path]) -> None:
    path = image(encode(portrait(1000, 800), "jpeg"), "S1_1.jpg")
    made = entry_of(path, Models(box=(100, 100, 700, 900)))
    assert max(made.reference_image.bgr().shape) == 160


def test_the_reference_image_does_not_keep_the_whole_photograph_in_memory(image: Callable[..., Path]) -> None:
    models = Models()
    made = entry_of(image(), models)
    assert not np.shares_memory(made.reference_image.bgr(), models.seen[0])


def test_nothing_of_the_face_stands_in_a_reason(image: Callable[..., Path]) -> None:
    """Reasons are printed and kept: they hold figures of the image, never coordinates or vectors."""
    models = Models()
    models.vector = np.array([0.123, np.nan], np.float32)
    reasons = [why(image(), models), why(image(), Models(faces=2)), why(image(), Models(eyes_px=5))]
    assert not [r for r in reasons if "0.123" in r or "[" in r]
