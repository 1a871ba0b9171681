"""An image that is encoded anew, or somewhat reduced, keeps its identity: the same person, and nobody else."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from overt.evaluation.recipe import Choice, Extractor, choose, open_extractor
from overt.messages import Vector
from overt.picture import Bgr
from tests.support import embedded, runs
from tests.support.models import model_registry, real_model

PEOPLE = 8


@pytest.fixture(scope="module")
def extractor(test_data: Path) -> Extractor:
    for name in runs.FAST.values():
        real_model(name)
    settings = embedded.settings(test_data)
    return open_extractor(settings, choose(settings, Choice(runs.FAST["detector"], runs.FAST["embedder"])))


@pytest.fixture(scope="module")
def portraits(test_data: Path) -> list[Bgr]:
    photographs = sorted((test_data / "lfw").glob("*/*_0001.jpg"))[:PEOPLE]
    if len(photographs) < PEOPLE:
        pytest.skip(f"test data is missing: {test_data / 'lfw'}")
    return [np.asarray(cv2.imread(str(path)), np.uint8) for path in photographs]


def recoded(bgr: Bgr, how: str) -> Bgr:
    kind, _, value = how.partition(" ")
    if kind == "scale":
        return np.asarray(
            cv2.resize(bgr, None, fx=float(value), fy=float(value), interpolation=cv2.INTER_AREA), np.uint8
        )
    parameters = {
        "jpg": [cv2.IMWRITE_JPEG_QUALITY, int(value or 0)],
        "webp": [cv2.IMWRITE_WEBP_QUALITY, int(value or 0)],
    }
    _, data = cv2.imencode(f".{kind}", bgr, parameters.get(kind, []))
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def vector(extractor: Extractor, bgr: Bgr) -> Vector:
    """Of the face nearest to the middle."""
    found = extractor.find(bgr)
    centres = (found.xyxy[:, :2] + found.xyxy[:, 2:]) / 2
    central = int(np.argmin(np.linalg.norm(centres - np.array(bgr.shape[1::-1]) / 2, axis=1)))
    chip = extractor.chip(bgr, found.landmarks[central])
    assert chip is not None
    return np.asarray(extractor.embed(chip[None])[0])


@pytest.mark.parametrize("how", ["png", "jpg 95", "jpg 40", "webp 50", "scale 0.5"])
def test_an_image_encoded_anew_matches_its_original_and_no_other(
    extractor: Extractor, portraits: list[Bgr], how: str
) -> None:
    card = model_registry().embedder(runs.FAST["embedder"])
    assert card.match is not None
    strictest = max(point.cosine for point in card.match.points)
    originals = np.stack([vector(extractor, bgr) for bgr in portraits])
    again = np.stack([vector(extractor, recoded(bgr, how)) for bgr in portraits])
    similarity = again @ originals.T
    assert similarity.argmax(1).tolist() == list(range(PEOPLE))
    assert float(similarity.diagonal().min()) > strictest + 0.1
    assert float(similarity[~np.eye(PEOPLE, dtype=bool)].max()) < strictest
