"""Templates of an evaluation set: each image costs its models once, and whatever file comes there is an answer."""

from __future__ import annotations

import sqlite3
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from overt.detector.detections import Detections
from overt.evaluation.cache import Cache, CacheError, Row, open_cache
from overt.evaluation.datasets import Box, Sample
from overt.evaluation.recipe import Extractor, FaceRule, Recipe
from overt.evaluation.templates import Failure, Maker, Template, templates
from overt.messages import Vector
from overt.picture import Bgr, encode

RECIPE = Recipe("d", "0" * 64, "e", "1" * 64, "e/1", 4, True, "central", 32, 0.5)
LEFT, MIDDLE = (10, 10, 60, 70), (70, 60, 130, 130)
"""Boxes of faces in an image of 200 by 200 pixels."""


class Models:
    """Finds the faces it is told to find; a vector says which brightness it was shown, and how often it was asked."""

    def __init__(self, *boxes: Box) -> None:
        self.boxes = boxes or (MIDDLE,)
        self.aligned, self.finite = True, True
        self.asked = 0
        self.turned = False

    def find(self, bgr: Bgr) -> Detections:
        xyxy = np.array(self.boxes, np.float32).reshape(-1, 4)
        return Detections(
            xyxy, np.ones(len(xyxy), np.float32), np.array([self._marks(b) for b in xyxy], np.float32).reshape(-1, 5, 2)
        )

    def chip(self, bgr: Bgr, landmarks: NDArray[np.float32]) -> Bgr | None:
        x, y = landmarks.mean(0).astype(int)
        return bgr[y : y + 1, x : x + 1] if self.aligned else None

    def embed(self, chips: Bgr) -> Vector:
        self.asked += 1
        angle = float(chips.flat[0]) / 50 + self.turned
        vector = np.array([np.cos(angle), np.sin(angle), 0, 0], np.float32)
        return np.stack([vector if self.finite else np.full(4, np.nan, np.float32)])

    def maker(self, face: FaceRule = "central") -> Maker:
        return Maker(lambda: Extractor(self.find, self.chip, self.embed), face, 32)

    @staticmethod
    def _marks(box: NDArray[np.float32]) -> NDArray[np.float32]:
        left, top, right, bottom = box.tolist()
        middle, low = (left + right) / 2, (top + bottom) / 2
        eyes, mouth = [(middle - 15, low - 5), (middle + 15, low - 5)], [(middle - 10, low + 5), (middle + 10, low + 5)]
        return np.array([*eyes, (middle, low), *mouth], np.float32)


def portrait(folder: Path, name: str, brightness: int) -> Sample:
    bgr = np.full((200, 200, 3), brightness, np.uint8)
    bgr[10:70, 10:60] = 200  # the face on the left
    (folder / name).write_bytes(encode(bgr, "png"))
    return Sample(name, folder / name, name)


def make(
    samples: list[Sample], models: Models, cache: Cache | None = None, face: FaceRule = "central"
) -> list[Template]:
    return templates(samples, models.maker(face), cache, lambda done, total: None)


def angle(template: Template) -> float:
    assert template.vector is not None
    return float(np.arctan2(template.vector[1], template.vector[0]))


# Whose face


def test_of_several_faces_the_most_central_one_counts_or_none(tmp_path: Path) -> None:
    sample, models = portrait(tmp_path, "a.png", 50), Models(LEFT, MIDDLE)
    (central,) = make([sample], models)
    assert angle(central) == pytest.approx(1.0)
    assert make([sample], models, face="only")[0].failure is Failure.SEVERAL_FACES


def test_a_box_chooses_the_face_that_overlaps_it(tmp_path: Path) -> None:
    sample, models = portrait(tmp_path, "a.png", 50), Models(LEFT, MIDDLE)
    boxed, elsewhere = replace(sample, box=(12, 8, 58, 75)), replace(sample, box=(0, 150, 40, 199))
    in_box, not_there = make([boxed, elsewhere], models)
    assert angle(in_box) == pytest.approx(4.0 - 2 * np.pi)
    assert not_there.failure is Failure.NOT_IN_BOX


def test_a_large_image_is_reduced_and_its_box_with_it(tmp_path: Path) -> None:
    large = np.full((2000, 2560, 3), 50, np.uint8)
    (tmp_path / "a.png").write_bytes(encode(large, "png"))
    sample = Sample("a.png", tmp_path / "a.png", "a", (140, 120, 260, 260))
    assert make([sample], Models())[0].vector is not None


# Failures


def test_each_failure_has_its_reason(tmp_path: Path) -> None:
    sample = portrait(tmp_path, "a.png", 50)
    (tmp_path / "torn.jpg").write_bytes(b"\xff\xd8 no more")
    torn, gone = Sample("t", tmp_path / "torn.jpg", "t"), Sample("g", tmp_path / "gone.jpg", "g")
    nobody, tilted, broken = Models(), Models(), Models()
    nobody.boxes, tilted.aligned, broken.finite = (), False, False
    failures = [
        *(t.failure for t in make([torn, gone], Models())),
        *(make([sample], models)[0].failure for models in (nobody, Models((90, 90, 115, 130)), tilted, broken)),
    ]
    assert failures == [
        Failure.UNREADABLE, Failure.UNREADABLE, Failure.NO_FACE, Failure.TOO_SMALL, Failure.NOT_ALIGNABLE,
        Failure.NOT_FINITE,
    ]  # fmt: skip


def test_a_template_shows_no_vector_when_it_is_printed(tmp_path: Path) -> None:
    (template,) = make([portrait(tmp_path, "a.png", 50)], Models())
    assert template.vector is not None
    assert "array" not in repr(template)
    assert "array" not in repr(Row(None, 30.0, template.vector))


# The cache


def test_an_image_costs_its_models_once_whatever_it_is_called(tmp_path: Path) -> None:
    samples = [portrait(tmp_path, "a.png", 50), portrait(tmp_path, "copy.png", 50), portrait(tmp_path, "b.png", 60)]
    models = Models()
    with open_cache(tmp_path / "cache", RECIPE) as cache:
        first = make(samples, models, cache)
    assert models.asked == 2
    again = Models()
    with open_cache(tmp_path / "cache", RECIPE) as cache:
        second = make(samples, again, cache)
    assert again.asked == 3  # the first images are made again, to see that the code still makes the same
    for one, other in zip(first, second, strict=True):
        assert one.vector is not None
        assert other.vector is not None
        assert np.array_equal(one.vector, other.vector)


def test_failures_are_kept_too(tmp_path: Path) -> None:
    samples, models = [portrait(tmp_path, f"{n}.png", n) for n in range(9)], Models()
    models.boxes = ()
    with open_cache(tmp_path / "cache", RECIPE) as cache:
        make(samples, models, cache)
        assert [t.failure for t in make(samples, models, cache)] == [Failure.NO_FACE] * 9


def test_another_recipe_or_box_or_content_is_another_template(tmp_path: Path) -> None:
    sample, models = portrait(tmp_path, "a.png", 50), Models(LEFT, MIDDLE)
    with open_cache(tmp_path / "cache", RECIPE) as cache:
        make([sample], models, cache)
        boxed = make([replace(sample, box=(12, 8, 58, 75))], models, cache)
        changed = make([portrait(tmp_path, "a.png", 70)], models, cache)
    assert angle(boxed[0]) == pytest.approx(4.0 - 2 * np.pi)
    assert angle(changed[0]) == pytest.approx(1.4)
    with open_cache(tmp_path / "cache", replace(RECIPE, mirror=False)) as other:
        asked = models.asked
        make([sample], models, other)
    assert models.asked == asked + 1


def test_a_cache_that_other_code_made_is_forgotten(tmp_path: Path) -> None:
    samples, models = [portrait(tmp_path, f"{n}.png", 10 * n) for n in range(6)], Models()
    with open_cache(tmp_path / "cache", RECIPE) as cache:
        make(samples, models, cache)
        models.turned = True
        turned = make(samples, models, cache)
    assert [angle(t) for t in turned] == pytest.approx([n / 5 + 1 for n in range(6)], abs=1e-5)


def test_a_row_that_is_no_unit_vector_is_made_again(tmp_path: Path) -> None:
    sample, models = portrait(tmp_path, "a.png", 50), Models()
    for data in (b"", b"abc", np.zeros(4, "<f4").tobytes(), np.full(4, np.nan, "<f4").tobytes()):
        with open_cache(tmp_path / "cache", RECIPE) as cache:
            make([sample], models, cache)
        file = next((tmp_path / "cache").glob("*.sqlite"))
        with sqlite3.connect(file) as rows:
            rows.execute("UPDATE template SET vector = ?", (data,))
        rows.close()
        with open_cache(tmp_path / "cache", RECIPE) as cache:
            assert angle(make([sample], models, cache)[0]) == pytest.approx(1.0)


def test_what_was_made_before_an_interruption_is_kept(tmp_path: Path) -> None:
    samples, models = [portrait(tmp_path, f"{n}.png", n) for n in range(8)], Models()

    def stop(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), open_cache(tmp_path / "cache", RECIPE) as cache:
        templates(samples, models.maker(), cache, stop)
    again = Models()
    with open_cache(tmp_path / "cache", RECIPE) as cache:
        make(samples, again, cache)
    assert again.asked == 3 + 3  # three are looked at again, three were not made yet


def test_only_its_owner_can_enter_the_cache_and_no_name_of_anybody_is_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    folder.mkdir(mode=0o755)
    with open_cache(folder, RECIPE) as cache:
        make([portrait(tmp_path, "ann.png", 50)], Models(), cache)
    (file,) = folder.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert b"ann" not in file.read_bytes()


def test_a_file_that_is_no_cache_is_said_with_what_to_do(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / f"templates-{RECIPE.key()}.sqlite").write_bytes(b"something else, and longer than a page's head" * 40)
    with pytest.raises(CacheError, match=r"delete this file, or give --no-cache"):
        open_cache(folder, RECIPE)
