"""The watchlist of an evaluation, made of a data set's images as enrolment makes it, and cached."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from overt.evaluation.cache import open_cache
from overt.evaluation.datasets import Sample
from overt.evaluation.recipe import Choice, Extractor, choose, open_extractor
from overt.evaluation.templates import Maker, templates
from overt.governance.deployment import Deployment
from overt.identity import entry_id
from overt.messages import Vector, WatchlistEntry
from overt.picture import Picture
from overt.runtime.settings import Settings

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and of how much."""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The watchlist, and what of it could not be enrolled."""

    entries: tuple[WatchlistEntry, ...]
    images: int
    failures: dict[str, int]
    """Reasons and how many images had them."""
    of_person: dict[str, int]


def enrol(
    samples: Sequence[Sample], deployment: Deployment, settings: Settings, progress: Progress
) -> tuple[Extractor, Enrolled]:
    """Makes templates as enrolment does (cached), of the face nearest to the middle where an image shows several."""
    recognition = deployment.recognition
    models = choose(
        settings,
        Choice(
            deployment.models.detector,
            deployment.models.embedder,
            min_face_px=recognition.min_face_px,
            detection_threshold=recognition.detection_threshold,
        ),
    )
    extractor = open_extractor(settings, models)
    maker = Maker(lambda: extractor, models.recipe.face, models.recipe.min_face_px)
    with open_cache(settings.cache / "evaluation", models.recipe) as cache:
        made = templates(samples, maker, cache, lambda done, total: progress("enrolling", done, total))
    entries = tuple(
        _entry(sample, template.vector, deployment, models.recipe.space_id)
        for sample, template in zip(samples, made, strict=True)
        if template.vector is not None
    )
    failures = Counter(template.failure.value for template in made if template.failure is not None)
    return extractor, Enrolled(entries, len(samples), dict(failures), dict(Counter(e.subject_id for e in entries)))


def _entry(sample: Sample, vector: Vector, deployment: Deployment, space_id: str) -> WatchlistEntry:
    category, window = deployment.watchlist.categories[0], deployment.window
    return WatchlistEntry(
        entry_id=entry_id(deployment.deployment_id, sample.person, sample.image),
        deployment_id=deployment.deployment_id,
        subject_id=sample.person,
        category=category.category_id,
        kind=category.kind,
        basis=category.basis,
        valid_from_us=window.start_us,
        valid_until_us=window.end_us,
        space_id=space_id,
        enrolled_at_us=window.start_us,
        vector=vector,
        reference_image=Picture(bgr=np.zeros((8, 8, 3), np.uint8)),  # nobody looks at these alerts
    )
