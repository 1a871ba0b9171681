"""What an evaluation measured, in the form that a certificate is made from: the part `certifiable` of result.json."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from overt.evaluation.estimate import Estimate
from overt.evaluation.openset import Identification
from overt.evaluation.recipe import Recipe
from overt.evaluation.searches import NonMatedSearches
from overt.evaluation.tail import ScoreTail, score_tail
from overt.evaluation.unmeasurable import NotMeasurable

OF_IMAGES = (
    "Single images were searched for, not passes: detection in a scene, tracking, the quality gate, best shots, fusion"
    " and confirmation were not exercised."
)
OF_COMPOSED = "Passes were composed from photographs: real scenes differ."


@dataclass(frozen=True, slots=True)
class Point:
    """What was measured with a rule. strong, confirmations and within_s are None where single images were searched."""

    match: float
    tpir: Estimate | NotMeasurable
    fpir: Estimate | NotMeasurable
    strong: float | None = None
    confirmations: int | None = None
    within_s: float | None = None


@dataclass(frozen=True, slots=True)
class NamedModel:
    """A model's name in the registry and the SHA-256 of its file."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Certifiable:
    """Everything of an evaluation that a certificate states or is bound to."""

    unit: Literal["pass", "image"]
    detector: NamedModel
    embedder: NamedModel
    space_id: str
    list_size: int
    """Subjects on the list."""
    points: tuple[Point, ...]
    fta: Estimate | NotMeasurable
    tail: ScoreTail | NotMeasurable
    quality_policy_sha256: str | None = None
    """None where no policy was exercised."""
    limits: tuple[str, ...] = field(default=())


def of_images(recipe: Recipe, list_size: int, answers: Identification, non_mated: NonMatedSearches) -> Certifiable:
    """From open-set identification on images: a point for each threshold, given or found."""
    found = [target.point for target in answers.targets if not isinstance(target.point, NotMeasurable)]
    return Certifiable(
        unit="image",
        detector=NamedModel(recipe.detector, recipe.detector_sha256),
        embedder=NamedModel(recipe.embedder, recipe.embedder_sha256),
        space_id=recipe.space_id,
        list_size=list_size,
        points=tuple(Point(point.threshold, point.tpir, point.fpir) for point in (*answers.given, *found)),
        fta=answers.fta,
        tail=score_tail(non_mated),
        limits=(OF_IMAGES,),
    )
