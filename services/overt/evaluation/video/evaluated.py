"""What an evaluation gave: the records of all passes, and what they depend on."""

from __future__ import annotations

from dataclasses import dataclass

from overt.evaluation.canonical import sha256_of
from overt.evaluation.results import Data
from overt.evaluation.video.enrolled import Enrolled
from overt.evaluation.video.records import StretchRecord
from overt.evaluation.video.rules import Confirming
from overt.governance.deployment import Deployment, Recognition
from overt.runtime.loaded import LoadedModels
from overt.runtime.quality_policy import quality_policy


@dataclass(frozen=True, slots=True)
class Evaluated:
    """All records, and what they depend on."""

    deployment: Deployment
    enrolled: Enrolled
    confirming: Confirming
    threshold: float
    models: dict[str, str]
    """Names and sha256 of the files."""
    data: Data
    stretches: tuple[StretchRecord, ...]


def confirming_of(deployment: Deployment, loaded: LoadedModels) -> tuple[Confirming, float]:
    """How the deployment's first category confirms, and its threshold of a match."""
    category = deployment.watchlist.categories[0]
    thresholds = loaded.thresholds(category)
    strong_by = thresholds.strong - thresholds.match
    return Confirming(strong_by, category.confirmations, round(category.within_s * 1e6)), thresholds.match


def names_of(loaded: LoadedModels, recognition: Recognition) -> dict[str, str]:
    """The models' names and the sha256 of their files, and of what decides which crops are compared."""
    return {
        "detector": loaded.detector.name,
        "detector_sha256": loaded.detector.onnx.sha256,
        "embedder": loaded.embedder.name,
        "embedder_sha256": loaded.embedder.onnx.sha256,
        "space_id": loaded.embedder.space_id,
        "quality_policy_sha256": sha256_of(quality_policy(recognition, loaded.detector)),
    }
