"""The models that an evaluation of quality needs, opened."""

from __future__ import annotations

import numpy as np

from overt.detector.align import Aligner
from overt.detector.families import make_detector
from overt.detector.locate import Locator
from overt.embedder.model import EmbeddingModel
from overt.evaluation.quality_trials import Lens
from overt.evaluation.recipe import Models
from overt.picture import use_threads
from overt.runtime.loaded import open_model, open_registry
from overt.runtime.settings import Settings


def open_locator(settings: Settings, models: Models) -> Locator:
    """The detector. Raises overt.models.errors.ModelError."""
    use_threads(settings.threads or 1)
    session = open_model(models.detector, open_registry(settings).path(models.detector.name), settings)
    recipe = models.recipe
    detector = make_detector(models.detector, session.run)
    return Locator(detector, min_face_px=recipe.min_face_px, sure_score=recipe.detection_threshold)


def open_lens(settings: Settings, models: Models) -> Lens:
    """One embedder with its aligner. Raises overt.models.errors.ModelError."""
    card = models.embedder
    session = open_model(card, open_registry(settings).path(card.name), settings)
    aligner = Aligner(np.asarray(card.alignment.points_xy, np.float64), card.alignment.chip_px)
    return Lens(card.name, aligner, EmbeddingModel(card, lambda t: np.asarray(session.run(t)["embedding"])).embed)
