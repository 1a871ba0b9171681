"""What turns an image into a template: two models and the rules around them, and the parts that do it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from overt.detector.align import Aligner
from overt.detector.detections import Detections
from overt.detector.families import make_detector
from overt.detector.locate import Locator
from overt.embedder.model import EmbeddingModel
from overt.messages import Vector
from overt.models.card import DetectorCard, EmbedderCard
from overt.picture import Bgr, use_threads
from overt.runtime.loaded import open_model, open_registry
from overt.runtime.settings import Settings

FaceRule = Literal["central", "only"]
"""Which face of an image is the person's: the one nearest to the image's centre, or the only one there is."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What whoever evaluates may choose. None: the default model; the embedder's card decides on the mirrored chip."""

    detector: str | None = None
    embedder: str | None = None
    mirror: bool | None = None
    face: FaceRule = "central"
    min_face_px: int = 32
    """Smallest face that is compared: the shorter side of its box."""
    detection_threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that a template depends on but the image. It stands in every result."""

    detector: str
    detector_sha256: str
    embedder: str
    embedder_sha256: str
    space_id: str
    dimension: int
    mirror: bool
    face: FaceRule
    min_face_px: int
    detection_threshold: float

    def key(self) -> str:
        """Equal for equal recipes only."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Models:
    """The cards of a choice, and the recipe that they make."""

    detector: DetectorCard
    embedder: EmbedderCard
    recipe: Recipe


def choose(settings: Settings, choice: Choice) -> Models:
    """The cards and the recipe of a choice; nothing is opened. Raises overt.models.errors.ModelError."""
    registry = open_registry(settings)
    detector, embedder = registry.detector(choice.detector), registry.embedder(choice.embedder)
    mirror = embedder.mirror if choice.mirror is None else choice.mirror
    threshold = detector.score_threshold if choice.detection_threshold is None else choice.detection_threshold
    recipe = Recipe(
        detector=detector.name,
        detector_sha256=detector.onnx.sha256,
        embedder=embedder.name,
        embedder_sha256=embedder.onnx.sha256,
        # Another use of the mirrored chip than the card's makes another space, which no deployment can name.
        space_id=embedder.space_id + ("" if mirror == embedder.mirror else "+mirror" if mirror else "-mirror"),
        dimension=embedder.dimension,
        mirror=mirror,
        face=choice.face,
        min_face_px=choice.min_face_px,
        detection_threshold=threshold,
    )
    return Models(detector, embedder.model_copy(update={"mirror": mirror}), recipe)


@dataclass(frozen=True, slots=True)
class Extractor:
    """From pixels to a template."""

    find: Callable[[Bgr], Detections]
    """Every sure face of an image."""
    chip: Callable[[Bgr, NDArray[np.float32]], Bgr | None]
    """The aligned chip for landmarks [5, 2]; None where they are no face."""
    embed: Callable[[Bgr], Vector]
    """Chips uint8 [N, S, S, 3] to unit vectors float32 [N, D]."""


def open_extractor(settings: Settings, models: Models) -> Extractor:
    """The parts that a deployment enrols and recognises with, opened. Raises overt.models.errors.ModelError."""
    use_threads(settings.threads or 1)
    registry = open_registry(settings)
    detector, embedder = (
        open_model(card, registry.path(card.name), settings) for card in (models.detector, models.embedder)
    )
    recipe, alignment = models.recipe, models.embedder.alignment
    locator = Locator(
        make_detector(models.detector, detector.run),
        min_face_px=recipe.min_face_px,
        sure_score=recipe.detection_threshold,
    )
    aligner = Aligner(np.asarray(alignment.points_xy, np.float64), alignment.chip_px)
    model = EmbeddingModel(models.embedder, lambda tensor: np.asarray(embedder.run(tensor)["embedding"]))
    return Extractor(locator.locate_precisely, aligner.chip, model.embed)
